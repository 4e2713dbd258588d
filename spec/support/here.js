/** Where a test runs, Node or a page, for those that run in both: what they use of either. */
export const inPage = typeof document !== "undefined";

const node = inPage ? undefined : await import("./here-node.js");

/** The links there can be: a page that is not cross-origin isolated has no rings. */
export const links = inPage && !crossOriginIsolated ? ["port"] : ["ring", "port"];

/**
 * WebKit's terminate() does not end a worker that is inside a loop of wasm. (What computes in Lua comes
 * back to its event loop all the time and is ended.)
 */
export const endsHungThreads = !inPage || /Chrome|Firefox/.test(navigator.userAgent);

/** Puts a program where createSystem finds it. @returns {Promise<string>} its path, which ends with the name */
export async function program(name, text) {
  if (node) return node.program(name, text);
  const path = `/programs/${name}`;
  await fetch(path, { method: "POST", body: text });
  return path;
}

/** The text of one of the project's files. @param {URL} url */
export async function readText(url) {
  return node ? node.readText(url) : (await fetch(url)).text();
}

/** A thread of a test's own. */
class Thread {
  #received = [];
  #waiting = [];
  #thread;

  constructor(url) {
    this.#thread = node ? node.startThread(url) : new Worker(url, { type: "module" });
    const settle = (outcome) => (this.#waiting.length > 0 ? this.#waiting.shift()(outcome) : this.#received.push(outcome));
    const failed = (error) => settle(Promise.reject(new Error(error.message)));
    if (node) {
      this.#thread.on("message", settle);
      this.#thread.on("error", failed);
    } else {
      this.#thread.onmessage = ({ data }) => settle(data);
      this.#thread.onerror = failed;
    }
  }

  post(message) {
    this.#thread.postMessage(message);
  }

  /** The next message. */
  async next() {
    return this.#received.length > 0 ? this.#received.shift() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async end() {
    await this.#thread.terminate();
  }
}

export const startThread = (url) => new Thread(url);

const workers = new Set();
if (inPage) {
  // A page is not told what workers it has.
  globalThis.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      workers.add(this);
    }
    terminate() {
      workers.delete(this);
      super.terminate();
    }
  };
}

/** How many threads were started that still run. */
export const threads = () => (node ? node.threads() : workers.size);
