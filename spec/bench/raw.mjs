// What the platform alone can do, between two worker threads with none of ours in them: prints a line
// `name value` for each. The ratios of run.mjs have these below the line.
//
//   atomics_ping_pong       one round trip after the other, a sleeping Atomics.wait on both sides
//   post_message_ping_pong  one round trip after the other, over a MessageChannel
//   post_message_100        the same with a hundred on the way
import { once } from "node:events";
import { MessageChannel, Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const seconds = Number(process.argv[2] ?? 0.2);

/* ---- in the workers --------------------------------------------------------------------------- */

const PING = 0;
const PONG = 16;
const STOP = -1;

function waitForChange(words, index, last) {
  while (Atomics.load(words, index) === last) Atomics.wait(words, index, last);
  return Atomics.load(words, index);
}

function answerPings({ words }) {
  for (let seen = 0; seen !== STOP; ) {
    seen = waitForChange(words, PING, seen);
    Atomics.store(words, PONG, seen);
    Atomics.notify(words, PONG);
  }
}

function sendPings({ words, seconds }) {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    for (let i = 0; i < 100; i++) {
      Atomics.store(words, PING, ++count);
      Atomics.notify(words, PING);
      waitForChange(words, PONG, count - 1);
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

function atomics() {
  const words = new Int32Array(new SharedArrayBuffer(128));
  return rateOf(start("answerPings", { words }), start("sendPings", { words, seconds }));
}

function messages(onTheWay) {
  const { port1, port2 } = new MessageChannel();
  const answering = start("answerMessages", { port: port1 }, [port1]);
  return rateOf(answering, start("sendMessages", { port: port2, seconds, onTheWay }, [port2]));
}

if (isMainThread) {
  console.log(`atomics_ping_pong ${await atomics()}`);
  console.log(`post_message_ping_pong ${await messages(1)}`);
  console.log(`post_message_100 ${await messages(100)}`);
} else {
  roles[workerData.role](workerData);
}
