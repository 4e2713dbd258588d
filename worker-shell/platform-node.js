/** What Mooncast needs of Node: threads, files, the number of processors. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

import { loadRest, makeFiles, pathOf } from "./files-node.js";

/** A worker thread, as workers are started everywhere. */
class Thread {
  #worker;

  /** @param {{ onMessage: (message: unknown) => void, onEnd: (cause: string) => void }} events */
  constructor(name, url, events) {
    // execArgv: flags like --input-type or -e of the main thread do not fit a worker.
    this.#worker = new Worker(url, { name, execArgv: [] });
    this.#worker.on("message", events.onMessage);
    this.#worker.on("messageerror", (error) => events.onEnd(`a message could not be read: ${error.message}`));
    this.#worker.on("error", (error) => events.onEnd(error?.message ?? String(error)));
    this.#worker.on("exit", (code) => events.onEnd(`its thread ended with code ${code}`));
  }

  post(message, transfer) {
    this.#worker.postMessage(message, transfer);
  }

  /** Ends the thread whatever it does; resolves when it is gone. */
  async terminate() {
    await this.#worker.terminate();
  }
}

/** @type {import("./platform.js").Platform} */
export const nodePlatform = {
  name: "node",
  sharedMemory: typeof SharedArrayBuffer === "function",
  processors: availableParallelism,
  makeFiles,
  startThread: (name, events, url) => new Thread(name, url ?? new URL("./worker-node.js", import.meta.url), events),
  compile: async (source) => WebAssembly.compile(await readFile(pathOf(source))),
  loadRest,
  address: String,
  /** Whether the nodes can read the program's file by themselves. */
  readsFiles: true,
};
