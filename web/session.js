/**
 * One system after the other: a program runs on a fresh one, which stays when it has ended, so that
 * the prompt and the picture see what is left; stopping ends it and starts the next.
 */
import { createSystem } from "../worker-shell/index.js";
import watch from "./watch.lua";

/** Long enough for a busy node to answer, short enough to say so when it does not. */
const LOOK_TIMEOUT_MS = 2000;

/**
 * @typedef {object} SessionEvents
 * @property {(state: "starting" | "idle" | "running" | "ended" | "failed", more?: string) => void} onState
 * @property {(node: string, bytes: Uint8Array, fd: number) => void} onOutput
 * @property {(line: { node: string, level: string, text: string }) => void} onLog
 * @property {(system: import("../worker-shell/index.js").System) => void} onSystem before anything runs on it
 */

export class Session {
  #events;
  #settings = { workers: 2 };
  /** @type {Promise<object>} what runs, or will */
  #current;
  #number = 0;

  /** @param {SessionEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** Ends what runs and starts a system. @param {{ workers?: number, files?: Record<string, string> }} [settings] */
  restart(settings = {}) {
    this.#settings = { ...this.#settings, ...settings };
    const last = this.#current;
    const number = ++this.#number;
    this.#events.onState("starting");
    this.#current = this.#start(number, last);
    this.#current.then(
      () => this.#tell(number, "idle"),
      (error) => this.#tell(number, "failed", error.message),
    );
    return this.#current;
  }

  #tell(number, ...state) {
    if (number === this.#number) this.#events.onState(...state);
  }

  async #start(number, last) {
    await last?.then(end, () => {});
    const isCurrent = () => number === this.#number;
    const output = (fd) => (bytes, node) => isCurrent() && this.#events.onOutput(node, bytes, fd);
    const system = await createSystem({
      ...this.#settings,
      wasm: new URL("mooncast.wasm", import.meta.url),
      workerUrl: new URL("worker.js", import.meta.url),
      stdout: output(1),
      stderr: output(2),
      log: (line) => isCurrent() && this.#events.onLog(line),
      onExit: (status) => isCurrent() && this.#exited(status),
    });
    const run = { system, number, used: false, prepared: new Set(), watches: new Map(), asking: new Set() };
    this.#events.onSystem(system);
    await Promise.all(system.nodes().map((node) => prepare(run, node)));
    return run;
  }

  #exited(status) {
    this.#events.onState(status === 0 ? "ended" : "failed", `os.exit with ${status}`);
    this.restart();
  }

  /**
   * Runs a program on a fresh system. Resolves when it has ended or was stopped.
   * @returns {Promise<Error | undefined>} what it raised
   */
  async run(name, source, { args = [], files } = {}) {
    let run = await this.#current?.catch(() => undefined);
    if (!run || run.used || run.number !== this.#number || files) run = await this.restart({ files });
    run.used = true;
    this.#tell(run.number, "running");
    const start = performance.now();
    try {
      await run.system.runSource(name, source, args);
      this.#tell(run.number, "ended", `in ${((performance.now() - start) / 1000).toFixed(2)} s`);
    } catch (error) {
      if (run.number !== this.#number) return undefined;
      this.#tell(run.number, "failed", "with an error");
      return error;
    }
    return undefined;
  }

  async eval(entry) {
    const run = await this.#current;
    run.used = true;
    return run.system.eval(entry);
  }

  async complete(line) {
    const { system } = await this.#current;
    return system.complete(line);
  }

  async info() {
    const { system } = await this.#current;
    return system.info();
  }

  /** How each node stands: undefined for one that is too busy to answer. @returns {Promise<Map<string, object | undefined>>} */
  async look() {
    const run = await this.#current;
    const found = new Map();
    await Promise.all(run.system.nodes().map(async (node) => found.set(node, await this.#ask(run, node))));
    return new Map([...found].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })));
  }

  async #ask(run, node) {
    if (run.asking.has(node)) return undefined;
    run.asking.add(node);
    try {
      const watcher = run.watches.get(node) ?? (await this.#watcher(run, node));
      const [stats, types] = await watcher.call("look", [], { timeout: LOOK_TIMEOUT_MS });
      return { ...stats, types, actors: Object.values(types).reduce((sum, n) => sum + n, 0) };
    } catch {
      return undefined;
    } finally {
      run.asking.delete(node);
    }
  }

  async #watcher(run, node) {
    // One that the program has started.
    if (!run.prepared.has(node)) await prepare(run, node);
    const watcher = await run.system.spawn("page.Watch", [], { on: node, timeout: LOOK_TIMEOUT_MS });
    run.watches.set(node, watcher);
    return watcher;
  }
}

/** What the prompt and the picture need, before anything else runs there. */
async function prepare({ system, prepared }, node) {
  prepared.add(node);
  await system.eval(`mc = mc or require "mooncast"\n${watch}`, { on: node });
}

/** Whatever it does. */
async function end({ system }) {
  await Promise.all(system.nodes().map((node) => system.terminate(node)));
  await system.close();
}
