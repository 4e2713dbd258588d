// The project's own specs: a file that leaves something behind on any node fails, with what it is.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { ROOT, execute, mooncast, programFolder } from "../support/cli.js";

const program = programFolder(after);

const WAYS = [
  { name: "in wasm", run: (path) => mooncast(["test", "--workers", "3", path]) },
  {
    name: "natively",
    run: (path) =>
      execute("lua5.4", [`${ROOT}spec/support/run_busted.lua`, path], {
        env: { MOONCAST_WORKERS: "3", LUA_CPATH: `${ROOT}build/native/?.so;;` },
      }),
  },
];

const HEAD = `
local mc = require "mooncast"
local Odd = mc.actor "Odd"
function Odd:hang() mc.sleep(math.huge) end
function Odd:stopped() if self.stuck then mc.sleep(math.huge) end end
function Odd:stick() self.stuck = true end
`;

/** What a test of the file does, and what is told. */
const leaks = {
  "a task": [`mc.spawn_task(mc.sleep, math.huge)`, /left behind: w1 has 1 tasks more than before\n/],
  "a timer": [`mc.spawn_task(mc.sleep, 1000)`, /left behind: w1 has 1 tasks more than before, w1 has 1 timers\n/],
  "a pending call": [
    `local odd = mc.spawn { Odd, on = "w2" }
     mc.spawn_task(mc.with, { timeout = math.huge }, odd.hang, odd)`,
    /left behind: w1 has 1 pending, w1 has 1 tasks more than before, w2 has 1 actors .*, w2 has \d tasks /,
  ],
  "an actor that cannot be stopped": [
    `mc.call(mc.spawn { Odd, on = "w3" }, "stick")`,
    /left behind: w3 has 1 actors more than before, w3 has 1 tasks /,
  ],
  "a node": [`mc.start_node()`, /left behind: node w1\.1 is still there\n/],
};

const spec = (name, body) => program(name, `${HEAD}it("leaves it", function()\n${body}\nend)\n`);

describe("a spec file fails when it leaves", { concurrency: 4 }, () => {
  Object.entries(leaks).forEach(([what, [body, told]], index) => {
    for (const { name, run } of WAYS) {
      it(`${what}, ${name}`, async () => {
        const path = spec(`leak${index}_spec.lua`, body);
        const { code, stdout } = await run(path);
        assert.match(stdout, told);
        assert.ok(stdout.includes(`${path}\nleft behind:`), stdout);
        assert.match(stdout, /^1 passed, 1 failed$/m);
        assert.equal(code, 1);
      });
    }
  });
});

describe("a spec file does not fail", { concurrency: 4 }, () => {
  for (const { name, run } of WAYS) {
    it(`for actors that can be stopped, ${name}`, async () => {
      const path = spec("fine_spec.lua", `for _, on in ipairs(mc.nodes()) do mc.spawn { Odd, on = on } end mc.new(Odd)`);
      const { code, stdout } = await run(path);
      assert.deepEqual([stdout, code], ["1 passed, 0 failed\n", 0]);
    });
  }
});
