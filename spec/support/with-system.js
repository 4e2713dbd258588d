import assert from "node:assert/strict";

import { createSystem } from "../../worker-shell/index.js";

/** Runs a test with a system of two workers, unless it says otherwise, and asserts that nothing is left pending. */
export async function withSystem(options, run) {
  const system = await createSystem({ workers: 2, ...options });
  try {
    await run(system);
    const { pending, timers, nodes } = await system.stats();
    // The host's questions for these numbers are answered: nothing else is left.
    assert.deepEqual([pending, timers], [0, 0]);
    for (const [name, stats] of Object.entries(nodes)) assert.deepEqual([name, stats.pending, stats.timers], [name, 0, 0]);
  } finally {
    await system.close();
  }
}
