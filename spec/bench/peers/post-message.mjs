// The least that calls over postMessage can be: a number for whom the answer is, and the value.
import { Worker } from "node:worker_threads";

export async function start() {
  const worker = new Worker(new URL("echo-worker.mjs", import.meta.url));
  const waiting = new Map();
  let last = 0;
  worker.on("message", ([id, value]) => {
    const resolve = waiting.get(id);
    waiting.delete(id);
    resolve(value);
  });
  return {
    echo: (value) =>
      new Promise((resolve) => {
        waiting.set(++last, resolve);
        worker.postMessage([last, value]);
      }),
  };
}
