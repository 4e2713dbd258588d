/** Measures in one page what its workers can do among themselves, ours and others, in turns. */
import { createSystem } from "../../../worker-shell/index.js";

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
  return new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
}

async function between(ask, answer, inFlight) {
  const workers = [0, 1].map(() => new Worker(new URL("worker.js", import.meta.url), { type: "module" }));
  const { port1, port2 } = new MessageChannel();
  await tell(workers[1], { role: answer, port: port2 }, [port2]);
  const rate = await tell(workers[0], { role: ask, port: port1, inFlight, ms: MS }, [port1]);
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
  await system.eval("1 + 1");
  const ms = performance.now() - start;
  await system.close();
  return ms;
}

async function bareWorker() {
  const start = performance.now();
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const { port1 } = new MessageChannel();
  await tell(worker, { role: "answer", port: port1 }, [port1]);
  const ms = performance.now() - start;
  worker.terminate();
  return ms;
}

const figures = {
  "start to first answer, ms": started,
  "a bare worker's first answer, ms": bareWorker,
};
for (const inFlight of [1, 100]) {
  for (const link of crossOriginIsolated ? ["ring", "port"] : ["port"]) {
    figures[`mooncast, ${link}, ${inFlight} in flight, calls/s`] = () => ours(link, inFlight);
  }
  figures[`postMessage, ${inFlight} in flight, calls/s`] = () => between("ask", "answer", inFlight);
  figures[`Comlink, ${inFlight} in flight, calls/s`] = () => between("askComlink", "answerComlink", inFlight);
}

const report = (figure) => fetch("/report", { method: "POST", body: JSON.stringify(figure) });
try {
  const all = Object.fromEntries(Object.keys(figures).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, measure] of Object.entries(figures)) all[name].push(await measure());
  }
  const median = (list) => list.sort((a, b) => a - b)[ROUNDS >> 1];
  for (const [name, list] of Object.entries(all)) await report({ name, value: median(list) });
} catch (error) {
  await report({ error: `${error}\n${error.stack}` });
}
report({ end: true });
