/**
 * How a program runs: the first node runs its file; if that calls mc.main, the other nodes run the
 * file too, and then main runs on the first.
 */
import { ActorError } from "./errors.js";
import { StuckDetector } from "./stuck.js";

/** How long to wait for an explanation of what waits for what. */
const EXPLAIN_MS = 1000;
const FOREVER = { timeout: Infinity };

export class Program {
  #system;
  #pool;
  #host;
  #options;
  #hasMain = false;
  /** When main has returned; rejects with its error. */
  ended = Promise.resolve();

  constructor(system, pool, host, options) {
    this.#system = system;
    this.#pool = pool;
    this.#host = host;
    this.#options = options;
  }

  /** Runs the file where it has to run. */
  async load(chunkname, args, source) {
    const text = source ?? (await this.#fetch(chunkname));
    const call = (node) => this.#watched(node, "run", [chunkname, text ?? null, ...args]);
    const [first, ...others] = this.#system.nodes();
    this.#hasMain = (await call(first)) === "main";
    if (this.#hasMain) await Promise.all(others.map(call));
  }

  /** A page's nodes have no files of the server: the host gets the text. */
  async #fetch(chunkname) {
    if (this.#options.readsFiles) return undefined;
    const response = await fetch(chunkname);
    if (!response.ok) throw new Error(`cannot open ${chunkname}: ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  main(args) {
    if (!this.#hasMain) return this.ended;
    this.ended = this.#watched(this.#system.nodes()[0], "main", args).then(() => undefined);
    return this.ended;
  }

  /** A call without a deadline; if asked to, ends it when nothing can answer it any more. */
  async #watched(node, method, args) {
    const ref = this.#system.nodeActor(node);
    if (!this.#options.detectStuck) return ref.call(method, args, FOREVER);
    const { name, incarnation } = this.#host;
    const busy = () => this.#host.stats().tasks > 0;
    const over = new AbortController();
    let detector;
    const stuck = new Promise((_, reject) => {
      // Asked before anything is taken back: afterwards nothing would wait any more.
      const onStuck = async () => reject(await this.#explain());
      const onQuiet = () => this.#host.waits().forEach((line) => this.#options.warn?.(line));
      detector = new StuckDetector(this.#pool, { name, incarnation, busy }, onStuck, onQuiet);
    });
    try {
      return await Promise.race([ref.call(method, args, { ...FOREVER, signal: over.signal }), stuck]);
    } finally {
      detector.stop();
      over.abort();
    }
  }

  /** Names what waits, node by node: two that wait for each other may be on different ones. */
  async #explain() {
    const what = "the program can never end: every node is idle, no timer is set, and no message is on the way";
    const waits = await Promise.all(this.#system.nodes().map((node) => this.#waitsOn(node)));
    return new ActorError("deadlock", [what, ...waits.flat()].join("\n  "));
  }

  async #waitsOn(node) {
    const waits = await this.#system.nodeActor(node).call("waits", [], { timeout: EXPLAIN_MS }).catch(() => "");
    const lines = typeof waits === "string" ? waits.split("\n") : [];
    return lines.filter((line) => line !== "").map((line) => `${node}: ${line}`);
  }
}
