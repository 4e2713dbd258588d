import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Deadlines } from "../../worker-shell/deadlines.js";

const now = () => performance.now();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

describe("deadlines", () => {
  it("never fire early, and in order", async () => {
    const deadlines = new Deadlines(now);
    const fired = [];
    const start = now();
    for (const ms of [40, 10, 25, 10]) deadlines.add(start + ms, () => fired.push([ms, now() - start]));
    await sleep(70);
    assert.deepEqual(fired.map(([ms]) => ms), [10, 10, 25, 40]);
    for (const [ms, after] of fired) assert.ok(after >= ms, `${ms} fired after ${after}`);
    assert.equal(deadlines.size, 0);
  });

  it("do not fire once removed, and removing twice does nothing", async () => {
    const deadlines = new Deadlines(now);
    let fired = 0;
    const removes = [5, 5, 10].map((ms) => deadlines.add(now() + ms, () => fired++));
    removes[0]();
    removes[0]();
    removes[2]();
    assert.equal(deadlines.size, 1);
    await sleep(25);
    assert.equal(fired, 1);
  });

  it("of thirty days wait, and of infinity too", async () => {
    const deadlines = new Deadlines(now);
    let fired = 0;
    const removes = [30 * 86_400_000, Infinity].map((ms) => deadlines.add(now() + ms, () => fired++));
    await sleep(20);
    assert.equal(fired, 0);
    for (const remove of removes) remove();
    assert.equal(deadlines.size, 0);
  });

  it("may be added while others fire", async () => {
    const deadlines = new Deadlines(now);
    let again = 0;
    deadlines.add(now() + 1, () => deadlines.add(now() + 1, () => again++));
    await sleep(30);
    assert.equal(again, 1);
  });

  it("cost one timer however many there are", () => {
    const deadlines = new Deadlines(now);
    let timers = 0;
    const { setTimeout: usual } = globalThis;
    globalThis.setTimeout = (...args) => ((timers += 1), usual(...args));
    const removes = Array.from({ length: 100_000 }, (_, i) => deadlines.add(now() + 30_000 + i / 100, () => {}));
    globalThis.setTimeout = usual;
    assert.equal(timers, 1);
    for (const remove of removes) remove();
  });
});
