// What the platform alone can do, between two worker threads with none of ours in them: prints a line
// `figure value` for each of what its first argument names.
//
//   atomics  round_trip: one after the other, a sleeping Atomics.wait on both sides
//   spin     round_trip: the same, looking for a while before it sleeps
//   buffers  round_trip and, with a hundred on the way, calls_from_100: a transferred buffer each, over a
//            MessageChannel
import { once } from "node:events";
import { MessageChannel, Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const seconds = Number(process.argv[3] ?? 0.2);

/* ---- in the workers --------------------------------------------------------------------------- */

const PING = 0;
const PONG = 16;
const STOP = -1;
/** How often a word is looked at before sleeping: some ten microseconds. */
const LOOKS = 2000;

function waitForChange(words, index, last, spin) {
  for (let i = 0; spin && i < LOOKS; i++) if (Atomics.load(words, index) !== last) return Atomics.load(words, index);
  while (Atomics.load(words, index) === last) Atomics.wait(words, index, last);
  return Atomics.load(words, index);
}

function answerPings({ words, spin }) {
  for (let seen = 0; seen !== STOP; ) {
    seen = waitForChange(words, PING, seen, spin);
    Atomics.store(words, PONG, seen);
    Atomics.notify(words, PONG);
  }
}

function sendPings({ words, seconds, spin }) {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    for (let i = 0; i < 100; i++) {
      Atomics.store(words, PING, ++count);
      Atomics.notify(words, PING);
      waitForChange(words, PONG, count - 1, spin);
    }
  }
  const rate = (count / (performance.now() - start)) * 1000;
  Atomics.store(words, PING, STOP);
  Atomics.notify(words, PING);
  parentPort.postMessage(rate);
}

/** As a small envelope would come: one transferred buffer each. */
function message() {
  const bytes = new Uint8Array(48).buffer;
  return [bytes, [bytes]];
}

function answerMessages({ port }) {
  port.on("message", (data) => (data === null ? port.close() : port.postMessage(...message())));
}

function sendMessages({ port, seconds, onTheWay }) {
  const start = performance.now();
  let count = 0;
  port.on("message", () => {
    count++;
    const took = performance.now() - start;
    if (took < seconds * 1000) return port.postMessage(...message());
    port.postMessage(null);
    port.close();
    parentPort.postMessage((count / took) * 1000);
    return undefined;
  });
  for (let i = 0; i < onTheWay; i++) port.postMessage(...message());
}

/* ---- the main thread -------------------------------------------------------------------------- */

const roles = { answerPings, sendPings, answerMessages, sendMessages };

function start(role, data, transferList) {
  return new Worker(new URL(import.meta.url), { workerData: { role, ...data }, transferList });
}

async function rateOf(answering, sending) {
  const workers = [answering, sending];
  const ends = workers.map((worker) => once(worker, "exit"));
  const [rate] = await once(sending, "message");
  await Promise.all(ends);
  return rate;
}

function atomics(spin) {
  const words = new Int32Array(new SharedArrayBuffer(128));
  return rateOf(start("answerPings", { words, spin }), start("sendPings", { words, seconds, spin }));
}

function messages(onTheWay) {
  const { port1, port2 } = new MessageChannel();
  const answering = start("answerMessages", { port: port1 }, [port1]);
  return rateOf(answering, start("sendMessages", { port: port2, seconds, onTheWay }, [port2]));
}

const figures = {
  atomics: async () => ({ round_trip: await atomics(false) }),
  spin: async () => ({ round_trip: await atomics(true) }),
  buffers: async () => ({ round_trip: await messages(1), calls_from_100: await messages(100) }),
};

if (isMainThread) {
  for (const [name, value] of Object.entries(await figures[process.argv[2]]())) console.log(`${name} ${value}`);
} else {
  roles[workerData.role](workerData);
}
