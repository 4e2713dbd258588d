// <script type="text/lua">, run by one import.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { links } from "../support/here.js";
import { framed } from "./frame.js";

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

  it("runs under a strict content security policy", async () => {
    const { said, title } = await framed("/spec/browser/auto.html?csp");
    assert.deepEqual([said, title], [["first", "set on w2, of 2"], "after"]);
  });
});
