/**
 * What the scope of an AudioWorklet lacks of what a node uses. Timers and random bytes come from the page:
 * `equip` says how.
 */

function supply(name, value) {
  if (globalThis[name] === undefined) globalThis[name] = value;
}

/* ---- text: in WebKit alone it is there -------------------------------------------------------- */

const UNPAIRED = /\p{Surrogate}/gu;

supply(
  "TextEncoder",
  class {
    encode(text) {
      const escaped = encodeURIComponent(text.replace(UNPAIRED, "\ufffd"));
      const bytes = [];
      for (let i = 0; i < escaped.length; i++) {
        if (escaped[i] !== "%") bytes.push(escaped.charCodeAt(i));
        else bytes.push(parseInt(escaped.slice(i + 1, (i += 2) + 1), 16));
      }
      return Uint8Array.from(bytes);
    }
  },
);

supply(
  "TextDecoder",
  class {
    #fatal;

    constructor(_, { fatal = false } = {}) {
      this.#fatal = fatal;
    }

    decode(bytes = new Uint8Array()) {
      const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
      try {
        return decodeURIComponent(escaped);
      } catch {
        if (this.#fatal) throw new TypeError("the bytes are no UTF-8");
        return Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : "\ufffd")).join("");
      }
    }
  },
);

/* ---- tasks and signals ------------------------------------------------------------------------ */

supply("queueMicrotask", (task) => void Promise.resolve().then(task));

supply(
  "AbortController",
  class {
    signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined });

    abort(reason = new Error("it was aborted")) {
      if (this.signal.aborted) return;
      Object.assign(this.signal, { aborted: true, reason });
      this.signal.dispatchEvent(new Event("abort"));
    }
  },
);

/* ---- time ------------------------------------------------------------------------------------- */

let latest = 0;
// The audio's own clock stands still while its context is suspended; this one may be set back.
supply("performance", { now: () => (latest = Math.max(latest, Date.now())) });

const timers = new Map();
let lastTimer = 0;
let early = [];
let ask = (timer) => early.push(timer);

supply("setTimeout", (task, ms = 0) => {
  timers.set(++lastTimer, task);
  ask({ id: lastTimer, ms });
  return lastTimer;
});
supply("clearTimeout", (id) => void timers.delete(id));

function fire({ data: id }) {
  const task = timers.get(id);
  timers.delete(id);
  task?.();
}

/* ---- chance ----------------------------------------------------------------------------------- */

let secrets = new Uint8Array();

supply("crypto", {
  getRandomValues(array) {
    // Ids need to differ; only secrets, which are bytes, must not be guessed.
    if (!(array instanceof Uint8Array)) {
      array.set(Array.from(array, () => Math.random() * 2 ** 32));
      return array;
    }
    if (secrets.length < array.length) throw new Error("the page has given no more random bytes");
    array.set(secrets.subarray(0, array.length));
    secrets = secrets.slice(array.length);
    return array;
  },
});

/**
 * @param {{ random: Uint8Array, timers?: MessagePort }} from the page; timers: at its other end `{ id, ms }` is
 *   answered with the id after so many milliseconds. It serves all nodes of the scope
 */
export function equip({ random, timers: port }) {
  secrets = Uint8Array.of(...secrets, ...random);
  if (!port) return;
  port.onmessage = fire;
  ask = (timer) => port.postMessage(timer);
  early.forEach(ask);
  early = [];
}
