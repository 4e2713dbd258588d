// One program, with every kind of value and error, prints the same wherever and however it runs.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { execute, mooncast } from "../support/cli.js";

const PROGRAM = "spec/support/transcript.lua";
const ARGUMENTS = ["one", "two words", ""];

describe("the transcript", () => {
  let expected;

  it("is complete natively, with three nodes in memory [C8] [I12]", async () => {
    const env = { MOONCAST_WORKERS: "3", LUA_CPATH: "build/native/?.so" };
    const run = await execute("lua5.4", [PROGRAM, ...ARGUMENTS], { env });
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /\nend\n$/);
    assert.ok(run.stdout.split("\n").length > 90);
    expected = run.stdout;
  });

  const ways = {
    "one native node": () => execute("lua5.4", [PROGRAM, ...ARGUMENTS], { env: { MOONCAST_WORKERS: "1", LUA_CPATH: "build/native/?.so" } }),
    "three workers over rings": () => mooncast(["--workers", "3", "--link", "ring", PROGRAM, ...ARGUMENTS]),
    "three workers over ports": () => mooncast(["--workers", "3", "--link", "port", PROGRAM, ...ARGUMENTS]),
    "one worker": () => mooncast(["--workers", "1", PROGRAM, ...ARGUMENTS]),
    "no worker, in the main thread": () => mooncast(["--workers", "0", PROGRAM, ...ARGUMENTS]),
  };
  for (const [what, run] of Object.entries(ways)) {
    it(`is the same with ${what} [C8] [I12]`, async () => {
      const { code, stdout, stderr } = await run();
      assert.equal(code, 0, stderr);
      assert.equal(stdout, expected);
    });
  }
});
