/** Where Mooncast runs: what differs between a page and Node stands behind one object. */
import { makeFiles } from "./files-page.js";

/**
 * @typedef {object} ThreadEvents
 * @property {(message: unknown) => void} onMessage
 * @property {(cause: string) => void} onEnd it failed or ended; may be told more than once
 *
 * @typedef {object} Platform
 * @property {string} name
 * @property {boolean} sharedMemory whether workers can share memory and wait on it
 * @property {() => number} processors how many threads can run at a time
 * @property {(name: string, events: ThreadEvents, url?: string | URL) => { post: Function, terminate: () => Promise<void> }} startThread
 * @property {(source: string | URL) => Promise<WebAssembly.Module>} compile
 * @property {((source: string) => WebAssembly.Module) | undefined} loadRest in the host's own thread, where it can wait
 * @property {(source: string | URL) => string} address what workers find it by
 * @property {(start: object, output: (fd: number, bytes: Uint8Array) => void) => import("./files.js").Files} makeFiles
 *   for a node in the host's own thread
 * @property {boolean} readsFiles whether nodes can read the program's file by themselves
 */

class WebThread {
  #worker;
  #onEnd;

  constructor(worker, { onMessage, onEnd }) {
    this.#worker = worker;
    this.#onEnd = onEnd;
    worker.onmessage = ({ data }) => onMessage(data);
    worker.onmessageerror = () => onEnd("a message could not be read");
    worker.onerror = (event) => {
      event.preventDefault?.();
      onEnd(event.message || "its script could not be loaded");
    };
  }

  post(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  /** A page hears nothing of a worker's end: it says so itself. */
  async terminate() {
    this.#worker.terminate();
    this.#onEnd("it was terminated");
  }
}

async function compile(source) {
  const response = await fetch(source);
  if (!response.ok) throw new Error(`cannot load ${source}: ${response.status} ${response.statusText}`);
  const copy = response.clone();
  try {
    return await WebAssembly.compileStreaming(response);
  } catch {
    // A server that does not know the type of .wasm.
    return WebAssembly.compile(await copy.arrayBuffer());
  }
}

/** @type {Platform} */
const webPlatform = {
  name: "web",
  get sharedMemory() {
    return typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated === true;
  },
  processors: () => globalThis.navigator?.hardwareConcurrency ?? 2,
  startThread(name, events, url) {
    // Bundlers look for exactly this form.
    const worker = url
      ? new Worker(url, { type: "module", name })
      : new Worker(new URL("./worker.js", import.meta.url), { type: "module", name });
    return new WebThread(worker, events);
  },
  makeFiles,
  compile,
  loadRest: undefined,
  // Workers have another base.
  address: (source) => new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href).href,
  readsFiles: false,
};

const inNode = typeof process === "object" && process.versions?.node && typeof document === "undefined";
// Loaded by now when a system starts.
const node = inNode ? import("./platform-node.js") : undefined;
// Who starts a system hears of it.
node?.catch(() => {});

/** @returns {Promise<Platform>} */
export async function currentPlatform() {
  return node ? (await node).nodePlatform : webPlatform;
}
