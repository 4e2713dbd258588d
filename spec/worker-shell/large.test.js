// What a large argument costs: bindings/large_spec.lua measures it natively.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { inPage, links } from "../support/here.js";

const SIZE = 64 << 20;
const workerUrl = new URL(inPage ? "./fixtures/grows-page.js" : "./fixtures/grows.js", import.meta.url);

const PROGRAM = `
  local mc = require "mooncast"
  local Echo = mc.actor "Echo"
  function Echo:echo(s) return s end
  echo = mc.spawn { Echo, on = "w2" }
  assert(echo:echo "small" == "small")
  local piece = {}
  for byte = 0, 255 do piece[#piece + 1] = string.char(byte) end
  piece = table.concat(piece)
  sent = piece:rep(${SIZE} // #piece)
  collectgarbage()`;

/** How large the memories of the nodes are, as far as they have grown. */
function listen() {
  const sizes = new Map();
  const channel = new BroadcastChannel("mooncast-memory");
  channel.onmessage = ({ data: { worker, bytes } }) => void sizes.set(worker, bytes);
  return { sizes, close: () => channel.close() };
}

/** What has grown was told before, but on another way. */
async function settled({ sizes }) {
  for (let last = -1, turns = 0; turns < 20; turns++) {
    const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (total !== last) turns = 0;
    last = total;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// A wasm's memory never shrinks: what is free again counts here. Of the node that sends that is what it sends and
// what comes back, of the other what came, its string, and the answer.
describe("a string of 64 MiB", () => {
  for (const link of links) {
    it(`comes back intact over ${link}s, and no node's memory grows by more than three times its size [C18]`, async () => {
      const memory = listen();
      const system = await createSystem({ workers: 2, link, workerUrl });
      try {
        assert.deepEqual(await system.eval(PROGRAM), { status: "ok", text: "" });
        await settled(memory);
        const before = new Map(memory.sizes);
        assert.ok([...before.values()].some((bytes) => bytes > SIZE), "nothing was measured");
        assert.deepEqual(await system.eval("echo:echo(sent) == sent"), { status: "ok", text: "true" });
        await settled(memory);
        const growths = [...memory.sizes].map(([worker, bytes]) => (bytes - (before.get(worker) ?? 0)) / SIZE);
        assert.equal(growths.length, 2);
        for (const growth of growths) assert.ok(growth > 0.9 && growth < 3.2, `${growths}`);
        assert.ok(growths[0] + growths[1] < 5.3, `${growths}`);
      } finally {
        await system.close();
        memory.close();
      }
    });
  }
});
