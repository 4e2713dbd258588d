// How long calls wait when nobody chose: the system's option.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";

const PROGRAM = `
local mc = require "mooncast"
local Silent = mc.actor "Silent"
function Silent:wait(seconds) mc.sleep(seconds) return "answered" end
silent = mc.spawn({ Silent, on = "w2" })`;

/** What the entries print on the first of two nodes. */
async function evaluate(callTimeout, ...entries) {
  const system = await createSystem({ workers: 2, callTimeout });
  const printed = [];
  try {
    for (const entry of [PROGRAM, ...entries]) {
      const { status, text } = await system.eval(entry, { on: "w1" });
      assert.equal(status, "ok", text);
      printed.push(text);
    }
  } finally {
    await system.close();
  }
  return printed.slice(1);
}

describe("callTimeout", () => {
  it("ends calls to a silent actor, unless somebody chose otherwise [G7]", async () => {
    const fails = "local ok, e = pcall(silent.wait, silent, 60) return ok, e.code, e.node";
    // Long enough for a node to load the wasm's second part on a busy machine.
    const chosen = "return require('mooncast').with({ timeout = 20 }, silent.wait, silent, 1.2)";
    assert.deepEqual(await evaluate(1000, fails, chosen), ["false\ttimeout\tw2", "answered"]);
  });

  it("can be off [G7]", async () => {
    assert.deepEqual(await evaluate(Infinity, "return silent:wait(0.3)"), ["answered"]);
  });
});
