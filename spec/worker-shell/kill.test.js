// A worker is killed from outside while others wait for it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { SOON_MS, execute } from "../support/cli.js";

const FIXTURE = fileURLToPath(new URL("./fixtures/killed-process.js", import.meta.url));

for (const link of ["ring", "port"]) {
  for (const [how, what] of [["terminate", "by the system"], ["thread", "behind the system's back"]]) {
    describe(`a worker that is killed ${what}, over ${link}s`, () => {
      let run, result;
      const once = async () => {
        run ??= await execute(process.execPath, [FIXTURE, link, how]);
        assert.equal(run.code, 0, run.stderr);
        result ??= JSON.parse(run.stdout);
      };

      it("fails all calls that await it with node_down: 100 from Lua, 100 from JavaScript [C9]", async () => {
        await once();
        assert.equal(result.outcomes.length, 200);
        for (const outcome of result.outcomes) assert.equal(outcome, "node_down w2 true");
      });

      it("by notice and not by timeout, which would be 30 s [E4]", async () => {
        await once();
        assert.ok(result.ms < SOON_MS, `${result.ms} ms`);
      });

      it("is reported once, and nothing is left pending anywhere [I18]", async () => {
        await once();
        assert.deepEqual(result.events, ["w2"]);
        assert.deepEqual(result.left, { host: 0, w1: 0, w3: 0 });
        assert.deepEqual(result.nodes, ["w1", "w3"]);
      });

      it("keeps no process: it ends by itself, soon [J21]", async () => {
        await once();
        assert.equal(run.signal, null);
        assert.equal(run.stderr, "");
        assert.ok(run.endedAt - result.doneAt < SOON_MS, `${run.endedAt - result.doneAt} ms`);
      });
    });
  }
}
