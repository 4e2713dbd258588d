// The same seeds give the same events, byte for byte, natively and in wasm. The logs stay in build/sim/logs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { before, describe, it } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const LOGS = "build/sim/logs";
const SEEDS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
const SCENARIO = ["spec/support/sim_scenario.lua", LOGS, ...SEEDS];

const read = (seed, engine) => readFile(`${LOGS}/${seed}-${engine}.log`, "latin1");
const count = (text, what) => text.split(what).length - 1;

describe("the simulation of a seed", () => {
  before(async () => {
    const env = { ...process.env };
    delete env.MAKEFLAGS;
    await run("make", ["-s", "sim"], { env, maxBuffer: 1 << 24 });
    await rm(LOGS, { recursive: true, force: true });
    await mkdir(LOGS, { recursive: true });
    await run("build/sim/lua", SCENARIO);
    await run("node", ["spec/support/sim-wasm.mjs", ...SCENARIO]);
  });

  for (const seed of SEEDS) {
    it(`${seed} is the same natively and in wasm`, async () => {
      const native = await read(seed, "native");
      assert.ok(count(native, " bytes ") > 300, "several hundred messages");
      assert.ok(native.endsWith("ends with nothing left\n"), native.slice(-100));
      assert.ok(native === (await read(seed, "wasm")), `diff ${LOGS}/${seed}-*.log shows where they differ`);
    });
  }

  it("has kills, partitions and links that break among them", async () => {
    const all = (await Promise.all(SEEDS.map((seed) => read(seed, "native")))).join("");
    for (const what of ["is killed", " | ", " breaks\n", " lost\n", "fails: node_down", "fails: timeout"]) {
      assert.ok(count(all, what) > 3, what);
    }
  });
});
