import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { Program } from "../../worker-shell/program.js";

/** A node that is idle, and whose `main` never returns unless it is taken back. */
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
    waits: () => (log.push("asked what waits"), waits()),
  };
  const node = { name: "w1", incarnation: 1, alive: true, traffic: { of: () => [0, 0] }, probe: async () => ({ idle: true, traffic: [] }) };
  const system = {
    nodes: () => ["w1"],
    nodeActor: () => ({ call: async (method, _, { signal }) => methods[method](signal) }),
  };
  const host = { name: "host", incarnation: 2, stats: () => ({ tasks: 0 }) };
  return { log, program: new Program(system, { list: () => [node] }, host, { detectStuck: true, readsFiles: true }) };
}

const NEVER = "deadlock: the program can never end: every node is idle, no timer is set, and no message is on the way";

describe("a program that can never end", () => {
  // What looks for such programs does not keep the process alive; workers do that.
  const alive = setInterval(() => {}, 1000);
  after(() => clearInterval(alive));
  const cases = [
    ["what waits", () => "task 3 awaits Counter:inc on w2 since 1.5 s", `${NEVER}. What waits on w1: task 3 awaits Counter:inc on w2 since 1.5 s`],
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
      assert.deepEqual(log, ["asked what waits", "main is taken back"]);
    });
  }
});
