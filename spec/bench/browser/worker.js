/** A worker that answers, and measures what another answers: over bare messages or through Comlink. */
import * as Comlink from "../node_modules/comlink/dist/esm/comlink.mjs";

/** As a small envelope would come: one transferred buffer each. */
function message() {
  const bytes = new Uint8Array(48).buffer;
  return [bytes, [bytes]];
}

/** Calls a second with so many on the way. */
async function rate(call, inFlight, ms) {
  let count = 0;
  const start = performance.now();
  const one = async () => {
    while (performance.now() - start < ms) {
      await call();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return (count / (performance.now() - start)) * 1000;
}

function caller(port) {
  const waiting = [];
  port.onmessage = () => waiting.shift()();
  return () => new Promise((resolve) => {
    waiting.push(resolve);
    port.postMessage(...message());
  });
}

const [PING, PONG, STOP] = [0, 16, -1];

/** Sleeps until the word is another. */
function change(words, index, last) {
  while (Atomics.load(words, index) === last) Atomics.wait(words, index, last);
  return Atomics.load(words, index);
}

function set(words, index, value) {
  Atomics.store(words, index, value);
  Atomics.notify(words, index);
}

const roles = {
  answerAtomics({ words }) {
    setTimeout(() => {
      for (let seen = 0; seen !== STOP; set(words, PONG, seen)) seen = change(words, PING, seen);
    }, 0);
  },
  askAtomics({ words, ms }) {
    let count = 0;
    const start = performance.now();
    while (performance.now() - start < ms) {
      for (let i = 0; i < 100; i++) {
        set(words, PING, ++count);
        change(words, PONG, count - 1);
      }
    }
    const rate = (count / (performance.now() - start)) * 1000;
    set(words, PING, STOP);
    return rate;
  },
  answer({ port }) {
    port.onmessage = () => port.postMessage(...message());
  },
  answerComlink({ port }) {
    Comlink.expose({ echo: (n) => n }, port);
  },
  ask: ({ port, inFlight, ms }) => rate(caller(port), inFlight, ms),
  askComlink({ port, inFlight, ms }) {
    const other = Comlink.wrap(port);
    return rate(() => other.echo(1), inFlight, ms);
  },
};

self.onmessage = async ({ data }) => self.postMessage(await roles[data.role](data));
