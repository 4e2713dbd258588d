// A worker is killed while others wait for it: spec/worker-shell/kill.test.js in a page.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { links, threads } from "../support/here.js";
import { killed } from "../worker-shell/fixtures/killed.js";

for (const link of links) {
  describe(`a worker that is killed, over ${link}s`, () => {
    it("fails all calls that await it at once, is reported once, and nothing is left [C9] [E4] [I18]", async () => {
      const before = threads();
      const system = await createSystem({ workers: 3, link });
      const { outcomes, events, left, nodes } = await killed(system, () => system.terminate("w2"));
      assert.equal(outcomes.length, 200);
      for (const outcome of outcomes) assert.equal(outcome, "node_down w2 true");
      assert.deepEqual([events, left, nodes], [["w2"], { host: 0, w1: 0, w3: 0 }, ["w1", "w3"]]);
      await system.close();
      assert.equal(threads(), before);
    });
  });
}

describe("the link that a system chooses", () => {
  it("is rings in an isolated page, ports elsewhere, and it tells so [I15]", async () => {
    const system = await createSystem({ workers: 1 });
    const expected = crossOriginIsolated ? ["ring", true] : ["port", false];
    assert.deepEqual([system.info().link, system.info().sharedMemory], expected);
    const { text } = await system.eval('local i = require("mooncast").info() return i.link, i.shared_memory');
    assert.equal(text, expected.join("\t"));
    if (!crossOriginIsolated) await assert.rejects(createSystem({ link: "ring" }), /cross-origin isolated/);
    await system.close();
  });
});
