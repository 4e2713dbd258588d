// A node's share of memory, over both links.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { links } from "../support/here.js";

const PROGRAM = `
  local mc = require "mooncast"
  local Hog = mc.actor "Hog"
  function Hog:eat() local all = {} for i = 1, 1e9 do all[i] = ("x"):rep(100000) .. i end end
  function Hog:alive() return "alive" end
  hog = mc.spawn({ Hog, on = "w2" })`;

describe("the memory of a node", () => {
  for (const link of links) {
    it(`has a limit that fails who exceeds it, and nobody else, over ${link}s [I21]`, async () => {
      const system = await createSystem({ workers: 2, link, maxMemory: 32 << 20 });
      try {
        assert.equal(system.info().link, link);
        assert.equal(system.info().sharedMemory, link === "ring");
        assert.deepEqual(await system.eval(PROGRAM), { status: "ok", text: "" });
        const eaten = await system.eval("hog:eat()");
        assert.equal(eaten.status, "error");
        assert.match(eaten.text, /not enough memory|out_of_memory/);
        assert.deepEqual(await system.eval("hog:alive()"), { status: "ok", text: "alive" });
      } finally {
        await system.close();
      }
    });
  }
});
