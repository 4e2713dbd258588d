import { fileURLToPath } from "node:url";

import { Piscina } from "piscina";

export async function start() {
  const filename = fileURLToPath(new URL("pool-worker.mjs", import.meta.url));
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 100 });
  return { echo: (value) => pool.run(value) };
}
