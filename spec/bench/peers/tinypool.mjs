import { Tinypool } from "tinypool";

export async function start() {
  const filename = new URL("pool-worker.mjs", import.meta.url).href;
  const pool = new Tinypool({ filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 100 });
  return { echo: (value) => pool.run(value) };
}
