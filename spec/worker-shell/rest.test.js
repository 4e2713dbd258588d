// The wasm's second part: what programs do without it, and that it comes when it is called.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { links, readText } from "../support/here.js";
import { tinyWasm } from "./fixtures/tiny-wasm.js";

const nowhere = new URL("./fixtures/none.wasm", import.meta.url);

/** Why the node went down that was to evaluate something, which is in the second part. */
async function reasonOf(options) {
  const system = await createSystem({ workers: 1, log: () => {}, ...options });
  const events = system.events();
  await assert.rejects(system.eval("1"), { code: "node_down" });
  for await (const event of events) {
    if (event.type !== "down") continue;
    await system.close();
    return event.reason;
  }
  throw new Error("nothing went down");
}

describe("the wasm's second part", () => {
  for (const link of links) {
    for (const [what, name] of [["a file", "ordinary.lua"], ["the page itself", "=ordinary"]]) {
      it(`is not wanted by ordinary programs of ${what}: ${link}`, async () => {
        let text = "";
        const stdout = (bytes) => (text += new TextDecoder().decode(bytes));
        const system = await createSystem({ workers: 2, link, wasmRest: nowhere, stdout });
        const source = await readText(new URL("../fixtures/ordinary.lua", import.meta.url));
        await system.runSource(name, new TextEncoder().encode(source));
        await system.close();
        assert.match(text, /\bdone\n$/);
      });
    }

    it(`comes when a function or a module of it is called, on each node for itself: ${link}`, async () => {
      const system = await createSystem({ workers: 2, link });
      const entry = `
        local mc = require "mooncast"
        local clock = mc.clock "frames"
        clock:advance(2)
        return clock:now(), string.pack("i2", 3):byte(), os.date("!%Y", 0), pcall(string.unpack, "i4", "")`;
      const unpacked = "false\tbad argument #2 to 'string.unpack' (data string too short)";
      for (const on of ["w1", "w2", "w1"]) {
        const { text } = await system.eval(entry, { on });
        assert.match(text, /^\d\t3\t1970\tfalse\t/);
        assert.ok(text.endsWith(unpacked), text);
      }
      await system.close();
    });
  }

  it("that is not there ends the node that calls it, and says which file that is", async () => {
    assert.match(await reasonOf({ wasmRest: nowhere }), /cannot load .*none\.wasm/);
  });

  it("of another build is refused", async () => {
    assert.match(await reasonOf({ wasmRest: tinyWasm({}) }), /of another build/);
  });
});
