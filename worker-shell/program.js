/**
 * How a program runs: the first node runs its file; if that calls mc.main, the other nodes run the
 * file too, and then main runs on the first.
 */

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
    const call = (signal) => ref.call(method, args, { timeout: Infinity, signal });
    if (!this.#options.detectStuck) return call();
    const { watched } = await import("./stuck.js");
    return watched(call, this.#system, this.#pool, this.#host, this.#options.warn);
  }
}
