// <script type="text/lua">, run by one import.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { links } from "../support/here.js";
import { framed } from "./frame.js";

const REST = "/build/mooncast-rest.wasm";
const requestsFor = async (path) => (await fetch(`/requests${path}`)).json();

describe("Lua in a page's script elements", () => {
  it("runs by one import, in order; what one raises is an event", async () => {
    const result = await framed("/spec/browser/auto.html");
    assert.deepEqual(result, {
      said: ["first", "set on w2, of 2"],
      errors: [["broken", "broken:3: this script is broken"]],
      hello: "Hello, page!",
      link: links[0],
      title: "after",
    });
  });

  it("needs the wasm's first part alone for types that it defines beside mc.main [I16]", async () => {
    const before = await requestsFor(REST);
    const { said } = await framed("/spec/browser/inline.html");
    assert.deepEqual(said, ["Hello, page! This is w1.", "Hello, page! This is w2.", "greeter:6: failed"]);
    assert.equal(await requestsFor(REST), before);
    // The one of auto.html is defined within main, on w1 alone: it travels.
    await framed("/spec/browser/auto.html");
    assert.ok((await requestsFor(REST)) > before);
  });

  it("runs under a strict content security policy", async () => {
    const { said, title } = await framed("/spec/browser/auto.html?csp");
    assert.deepEqual([said, title], [["first", "set on w2, of 2"], "after"]);
  });
});
