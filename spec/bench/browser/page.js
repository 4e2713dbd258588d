/** Measures in one page what its workers can do among themselves, ours and others, in turns. */
// As the package ships it: a worker loads two modules, not a dozen.
import { createSystem } from "../../../dist/index.js";

const MS = 500;
const ROUNDS = 3;

const PROGRAM = `
local mc = require "mooncast"
local Echo = mc.actor("Echo", { reentrant = true })
function Echo:echo(n) return n end
echo = mc.spawn { Echo, on = "w2" }
function calls(in_flight, each)
  local tasks = {}
  for t = 1, in_flight do
    tasks[t] = mc.async(function() for i = 1, each do echo:echo(i) end end)
  end
  for t = 1, in_flight do tasks[t]:await() end
end`;

/** A worker's first message after it was told something. */
function tell(worker, message, transfer = []) {
  worker.postMessage(message, transfer);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data?.error ? reject(new Error(data.error)) : resolve(data));
    worker.onerror = ({ message: text }) => reject(new Error(text));
  });
}

const startWorker = (script) => new Worker(new URL(script, import.meta.url), { type: "module" });

async function between(ask, answer, inFlight, script = "worker.js") {
  const workers = [startWorker(script), startWorker(script)];
  const { port1, port2 } = new MessageChannel();
  await tell(workers[1], { role: answer, port: port2 }, [port2]);
  const rate = await tell(workers[0], { role: ask, port: port1, inFlight, ms: MS }, [port1]);
  for (const worker of workers) worker.terminate();
  return rate;
}

async function atomics() {
  const workers = [startWorker("worker.js"), startWorker("worker.js")];
  const words = new Int32Array(new SharedArrayBuffer(128));
  await tell(workers[1], { role: "answerAtomics", words });
  const rate = await tell(workers[0], { role: "askAtomics", words, ms: MS });
  for (const worker of workers) worker.terminate();
  return rate;
}

async function ours(link, inFlight) {
  const system = await createSystem({ workers: 2, link });
  await system.eval(PROGRAM);
  let [each, ms] = [Math.ceil(200 / inFlight), 0];
  // More at a time until it takes long enough to be measured.
  for (;;) {
    const start = performance.now();
    await system.eval(`calls(${inFlight}, ${each})`);
    ms = performance.now() - start;
    if (ms > MS) break;
    each = Math.ceil(each * Math.min(8, (1.5 * MS) / ms));
  }
  await system.close();
  return ((each * inFlight) / ms) * 1000;
}

async function started() {
  const start = performance.now();
  const system = await createSystem({ workers: 1 });
  // Not the prompt, which is in the wasm's second part.
  await system.nodeActor("w1").call("stats");
  const ms = performance.now() - start;
  await system.close();
  return ms;
}

/** Until a worker that is started now has done something. */
async function firstOf(script, message, transfer) {
  const before = performance.now();
  const worker = startWorker(script);
  await tell(worker, message, transfer);
  const ms = performance.now() - before;
  worker.terminate();
  return ms;
}

function bareWorker() {
  const { port1 } = new MessageChannel();
  return firstOf("worker.js", { role: "answer", port: port1 }, [port1]);
}

const figures = {
  "mooncast: start to first answer, ms": started,
  "wasmoon in a worker: start to first answer, ms": () => firstOf("lua-worker.js", { role: "first" }),
  "a bare worker: start to first answer, ms": bareWorker,
};
if (crossOriginIsolated) figures["Atomics without spin: 1 in flight, calls/s"] = atomics;
for (const inFlight of [1, 100]) {
  for (const link of crossOriginIsolated ? ["ring", "port"] : ["port"]) {
    figures[`mooncast, ${link}s: ${inFlight} in flight, calls/s`] = () => ours(link, inFlight);
  }
  figures[`postMessage: ${inFlight} in flight, calls/s`] = () => between("ask", "answer", inFlight);
  figures[`Comlink: ${inFlight} in flight, calls/s`] = () => between("askComlink", "answerComlink", inFlight);
  figures[`wasmoon and Comlink: ${inFlight} in flight, calls/s`] = () => between("ask", "answer", inFlight, "lua-worker.js");
}

const report = (figure) => fetch("/report", { method: "POST", body: JSON.stringify(figure) });
try {
  const all = Object.fromEntries(Object.keys(figures).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, measure] of Object.entries(figures)) all[name].push(await measure());
  }
  const median = (list) => list.sort((a, b) => a - b)[ROUNDS >> 1];
  for (const [name, list] of Object.entries(all)) {
    const value = median(list);
    await report({ name, value, min: list[0], max: list.at(-1) });
  }
} catch (error) {
  await report({ error: `${error}\n${error.stack}` });
}
report({ end: true });
