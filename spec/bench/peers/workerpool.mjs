import { fileURLToPath } from "node:url";

import workerpool from "workerpool";

export async function start() {
  const script = fileURLToPath(new URL("workerpool-worker.mjs", import.meta.url));
  const pool = workerpool.pool(script, { minWorkers: 1, maxWorkers: 1, workerType: "thread" });
  return { echo: (value) => pool.exec("echo", [value]) };
}
