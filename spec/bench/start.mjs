// How long it takes until something answers, in milliseconds, with the package as it ships: prints lines `figure value`.
//
//   bare     first_answer: a worker thread that does nothing but say that it is there
//            second_node: another one, when one runs
//   ring, port  first_answer: from createSystem to the answer of its one node
//            second_node: startNode, then its answer
//   wasmoon  first_answer: from its factory to the first result, in this very thread
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const [what] = process.argv.slice(2);

async function bareWorker() {
  const source = 'require("node:worker_threads").parentPort.postMessage("here")';
  const worker = new Worker(source, { eval: true });
  await once(worker, "message");
}

/** What a node's own actor answers: no program is there yet, and system.eval would load the wasm's second part. */
async function answer(system, on) {
  const { actors } = await system.nodeActor(on).call("stats");
  if (actors !== 1) throw new Error(`the first answer is ${actors}`);
}

/** What each does, and what it has to have imported before. */
async function bare() {
  return [bareWorker, bareWorker];
}

async function mooncast() {
  const { createSystem } = await import("../../dist/node.js");
  let system;
  return [
    async () => {
      system = await createSystem({ workers: 1, link: what });
      await answer(system, "w1");
    },
    async () => answer(system, await system.startNode()),
  ];
}

async function wasmoon() {
  const { LuaFactory } = await import("wasmoon");
  return [
    async () => {
      const lua = await new LuaFactory().createEngine();
      if ((await lua.doString('return "here"')) !== "here") throw new Error("wasmoon does not answer");
    },
  ];
}

const [first, second] = await { bare, ring: mooncast, port: mooncast, wasmoon }[what]();
const start = performance.now();
await first();
console.log(`first_answer ${performance.now() - start}`);
if (second) {
  const again = performance.now();
  await second();
  console.log(`second_node ${performance.now() - again}`);
}
process.exit(0);
