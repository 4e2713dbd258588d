// How long the first answer takes: prints a line `name milliseconds`. Its argument is a link, or
// "bare" for worker threads that do nothing but say that they are there.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

import { createSystem } from "../../worker-shell/index.js";

const [link] = process.argv.slice(2);
const WORKERS = 2;

async function bare() {
  const source = 'require("node:worker_threads").parentPort.postMessage("here")';
  const workers = Array.from({ length: WORKERS }, () => new Worker(source, { eval: true }));
  await Promise.all(workers.map((worker) => once(worker, "message")));
}

async function firstAnswer() {
  const system = await createSystem({ workers: WORKERS, link });
  const { text } = await system.eval('return "here"');
  if (text !== "here") throw new Error(`the first answer is '${text}'`);
  return system;
}

const start = performance.now();
const system = await (link === "bare" ? bare() : firstAnswer());
console.log(`first_answer ${performance.now() - start}`);
await system?.close();
