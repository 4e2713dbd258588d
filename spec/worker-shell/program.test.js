import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { Program } from "../../worker-shell/program.js";

/** Nodes that are idle, and a `main` that never returns unless it is taken back. */
function idleSystem(waits) {
  const log = [];
  const methods = {
    run: () => "main",
    main: (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          log.push("main is taken back");
          reject(new Error("taken back"));
        });
      }),
    waits: (_, node) => (log.push(`asked ${node} what waits`), waits(node)),
  };
  const nodes = ["w1", "w2"].map((name) => ({
    name,
    incarnation: 1,
    alive: true,
    traffic: { of: () => [0, 0] },
    probe: async () => ({ idle: true, traffic: [] }),
  }));
  const system = {
    nodes: () => ["w1", "w2"],
    nodeActor: (node) => ({ call: async (method, _, { signal }) => methods[method](signal, node) }),
  };
  const host = { name: "host", incarnation: 2, stats: () => ({ tasks: 0 }) };
  return { log, program: new Program(system, { list: () => nodes }, host, { detectStuck: true, readsFiles: true }) };
}

const NEVER = "deadlock: the program can never end: every node is idle, no timer is set, and no message is on the way";

describe("a program that can never end", () => {
  // What looks for such programs does not keep the process alive; workers do that.
  const alive = setInterval(() => {}, 1000);
  after(() => clearInterval(alive));
  const cases = [
    ["what waits on each node", (node) => `a task waits for ${node}\nanother waits, too`,
      `${NEVER}\n  w1: a task waits for w1\n  w1: another waits, too\n  w2: a task waits for w2\n  w2: another waits, too`],
    ["that much when nothing is known to wait", () => "", NEVER],
    [
      "that much when the node cannot tell",
      () => {
        throw new Error("no such method");
      },
      NEVER,
    ],
  ];
  for (const [what, waits, message] of cases) {
    it(`says ${what}, asked for before anything is taken back`, async () => {
      const { log, program } = idleSystem(waits);
      await program.load("never.lua", []);
      await assert.rejects(program.main([]), { code: "deadlock", message });
      assert.deepEqual(log, ["asked w1 what waits", "asked w2 what waits", "main is taken back"]);
    });
  }
});
