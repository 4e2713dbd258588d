/**
 * A system: the Lua nodes that one host has started, and the host itself, a node that hosts
 * JavaScript actors.
 */
import { ActorError, errorText } from "./errors.js";
import { Events } from "./events.js";
import { results } from "./results.js";
import { HostNode } from "./host-node.js";
import { checkOptions, checkText } from "./options.js";
import { currentPlatform } from "./platform.js";
import { Pool, startThreads } from "./pool.js";
import { Program } from "./program.js";
import { VERSION } from "./version.js";
import { hasRest, restSource } from "./rest.js";
import { restUrl, wasmUrl } from "./wasm-url.js";

/** The instance of every Lua node's own actor. */
const NODE_ACTOR = { instance: 1, type: "mc.node" };
const START_TIMEOUT_MS = 30_000;
const DEFAULT_CALL_TIMEOUT_MS = 30_000;
/** How long a new node waits for one that must not call it and does not say that it knows. */
const TELL_MS = 2000;

/**
 * Starts a system. Resolves when every node is ready and, with `main`, the program was loaded.
 * @param {import("./index.js").SystemOptions} [options]
 * @returns {Promise<System>}
 */
export async function createSystem(options = {}) {
  checkOptions(options);
  const json = options.codec === "json" ? await import("./json.js") : undefined;
  const system = new System(await currentPlatform(), options, json);
  try {
    await system.start();
    return system;
  } catch (error) {
    await system.terminateAll();
    throw error;
  }
}

async function compile(platform, wasm) {
  if (wasm instanceof WebAssembly.Module) return wasm;
  try {
    if (wasm instanceof Uint8Array || wasm instanceof ArrayBuffer) return await WebAssembly.compile(wasm);
    return await platform.compile(wasm);
  } catch (error) {
    throw new Error(`cannot load the wasm: ${error.message}`, { cause: error });
  }
}

/** The wasm's second part, or where a node loads it when it is needed. */
async function findRest(platform, module, options) {
  if (!hasRest(module)) return undefined;
  const source = restSource(options, restUrl);
  const inline = options.workers === 0 && !platform.loadRest;
  if (inline || (typeof source !== "string" && !(source instanceof URL))) return compile(platform, source);
  return platform.address(source);
}

export class System {
  #options;
  #platform;
  #workers;
  #link;
  #host;
  #pool;
  /** Nodes behind ports, if there are any. */
  #attached;
  #events = new Events();
  #heartbeat;
  #closing;
  #foreign = 0;
  #program;
  /** Kept, so that nobody takes it for a promise that was dropped. */
  #never = new Promise(() => {});

  /** For createSystem alone. */
  constructor(platform, options, codec) {
    this.#options = options;
    this.#platform = platform;
    this.#workers = options.workers ?? Math.max(1, platform.processors() - 1);
    this.#link = this.#workers === 0 ? "memory" : (options.link ?? (platform.sharedMemory ? "ring" : "port"));
    if (this.#link === "ring" && !platform.sharedMemory) {
      throw new Error('link "ring" needs SharedArrayBuffer, which this page may only use when it is cross-origin isolated');
    }
    // Before all else: they take longest.
    const { workerUrl } = options;
    const threads = startThreads(Math.max(1, this.#workers), { platform, link: this.#link, workerUrl });
    this.#host = this.#makeHost(codec);
    this.#pool = this.#makePool(this.#exposeHost(), threads);
  }

  #makeHost(codec) {
    return new HostNode({
      name: "host",
      callTimeout: this.#options.callTimeout ?? DEFAULT_CALL_TIMEOUT_MS,
      codec,
      permits: (to) => this.#permits("host", to),
      connect: (...node) => (this.#attached ?? this.#pool).route(...node),
      onError: (text) => this.#event("host", { type: "log", level: "error", text }),
      onMalformed: (peer, error) => this.#dropped(peer, error),
    });
  }

  /** What the policy says of calls between two nodes. */
  #permits(from, to) {
    const { policy } = this.#options;
    if (!policy || from === to) return true;
    try {
      const permitted = policy(from, to);
      if (typeof permitted === "boolean") return permitted;
      throw new TypeError("it returned no boolean");
    } catch (error) {
      const text = `the policy on calls from ${from} to ${to} failed, there will be none: ${errorText(error)}`;
      this.#event("host", { type: "log", level: "error", text });
      return false;
    }
  }

  /** What a node sent to the host was malformed. */
  #dropped(peer, error) {
    this.#pool.refuse(peer, this.#host);
    this.#event(peer.name, { type: "log", level: "error", text: error.message });
  }

  /** The host's own actor, which Lua nodes know from the start. */
  #exposeHost() {
    const host = {
      start_node: (parent) => this.#startFor(parent),
      stop_node: (name) => this.#stopIfThere(name),
      lookup: (name) => this.#find(name),
      exit: (code) => this.#exit(code),
    };
    return this.#host.expose("mc.host", host, { reentrant: true, permanent: true });
  }

  #makePool(hostRef, threads) {
    const { name, incarnation } = this.#host;
    const { args = [], startTimeout = START_TIMEOUT_MS, callTimeout = DEFAULT_CALL_TIMEOUT_MS } = this.#options;
    const { files, stdout, stderr, workerUrl, maxMemory, codec } = this.#options;
    const capture = stdout !== undefined || stderr !== undefined;
    return new Pool(
      {
        platform: this.#platform,
        threads,
        link: this.#link,
        host: { name, incarnation },
        hostRef,
        callTimeout,
        maxMemory,
        codec,
        startTimeout,
        args,
        version: VERSION,
        permits: (from, to) => this.#permits(from, to),
        more: { files, capture },
        workerUrl,
      },
      {
        data: (node, bytes) => this.#host.deliver(node.name, node.incarnation, bytes),
        pass: (node, to, bytes) => (this.#attached ? this.#attached.pass(node, to, bytes) : node.post("down", to)),
        event: (node, event) => this.#event(node.name, event),
        exit: (node, status) => this.#exit(status),
        down: (node, cause) => this.#down(node, cause),
        started: (node) => this.#started(node),
        foreign: () => (this.#foreign += 1),
      },
    );
  }

  /** For createSystem alone. */
  async start() {
    const count = Math.max(1, this.#workers);
    const { wasm = wasmUrl, hangTimeout, main, args = [] } = this.#options;
    const module = await compile(this.#platform, wasm);
    const rest = await findRest(this.#platform, module, this.#options);
    await this.#pool.startFirst(count, { module, rest });
    if (hangTimeout) await this.#watch(hangTimeout);
    if (main === undefined) return;
    this.#program = this.#newProgram();
    await this.#program.load(main, args);
    // Whoever is interested asks for `finished`.
    this.#program.main(args).catch(() => {});
  }

  async #watch(hangTimeout) {
    const { Heartbeat } = await import("./heartbeat.js");
    if (!this.#closing) this.#heartbeat = new Heartbeat(this.#pool, hangTimeout);
  }

  /* ---- actors --------------------------------------------------------------------------------- */

  /**
   * Makes an actor of a type that the program defines.
   * @param {string} type
   * @param {unknown[]} [args] for its init
   * @param {{ on?: string, timeout?: number, signal?: AbortSignal }} [options] on: the name of a node. An actor
   *   that is made after all when the spawn was given up is stopped
   * @returns {Promise<import("./ref.js").RemoteRef>}
   */
  async spawn(type, args = [], { on, ...options } = {}) {
    checkText("type", type);
    const node = this.nodeActor(on ?? this.nodes()[0] ?? "w1");
    return node.call("spawn_type", [type, on ?? null, ...args], { ...options, makes: true });
  }

  /** What was exposed under this name. @returns {Promise<import("./ref.js").RemoteRef | undefined>} */
  async lookup(name) {
    return this.#find(name);
  }

  #find(name) {
    const address = this.#attached?.find(name);
    return this.#host.lookup(name) ?? (address && this.#host.refs.get(address));
  }

  /**
   * Makes an object's methods callable from Lua, where mc.lookup(name) finds it.
   * @param {string} name
   * @param {object} object
   * @param {{ reentrant?: boolean, interleave?: string[], mailbox?: number, signatures?: Record<string, string> }} [options]
   */
  expose(name, object, options = {}) {
    checkText("name", name);
    if (name === "mc.host") throw new Error("mc.host is the system's own");
    return this.#host.expose(name, object, options);
  }

  /** A node's own actor: runs programs, evaluates, tells how things stand. */
  nodeActor(name) {
    const node = this.#pool.get(name);
    if (!node) throw new ActorError("unknown_node", `there is no node ${name}`, { node: name });
    const { incarnation, secret } = node;
    return this.#host.refs.get({ node: name, incarnation, secret, ...NODE_ACTOR });
  }

  /* ---- nodes behind ports --------------------------------------------------------------------- */

  /**
   * The nodes behind ports. Few have any: what makes them comes along with the first, see attached.js.
   * @param {(hub: object) => import("./attached.js").Attached} make
   */
  attached(make) {
    const { callTimeout = DEFAULT_CALL_TIMEOUT_MS, codec } = this.#options;
    const event = (node, event) => this.#closing || this.#event(node, event);
    this.#attached ??= make({ host: this.#host, pool: this.#pool, settings: { callTimeout, codec }, event });
    return this.#attached;
  }

  /* ---- programs ------------------------------------------------------------------------------- */

  #newProgram() {
    return new Program(this, this.#pool, this.#host, {
      detectStuck: this.#options.detectStuck ?? false,
      warn: (text) => this.#event("host", { type: "log", level: "warn", text }),
      readsFiles: this.#platform.readsFiles,
    });
  }

  /**
   * Runs a program on the first node, as `lua file args` would; if it calls mc.main, on every node,
   * and then main. Resolves when it has ended.
   * @param {string} file
   * @param {...unknown} args
   */
  async run(file, ...args) {
    await this.runSource(file, undefined, args);
  }

  /** As run, with the program's text. @param {string} chunkname a path, or = and a name */
  async runSource(chunkname, source, args = []) {
    checkText("a program's name", chunkname);
    const program = this.#newProgram();
    await program.load(chunkname, args, source);
    await program.main(args);
  }

  /** When the program given as `main` has ended; rejects with its error. */
  get finished() {
    return this.#program?.ended ?? Promise.resolve();
  }

  /**
   * Evaluates what was typed at a prompt.
   * @param {string} entry
   * @returns {Promise<{ status: "ok" | "more" | "error", text: string }>}
   */
  async eval(entry, { on = "w1", ...options } = {}) {
    checkText("entry", entry);
    const answer = await this.nodeActor(on).call("eval", [entry], { timeout: Infinity, ...options });
    const [status, text] = Array.isArray(answer) ? answer : [answer, ""];
    return { status, text: typeof text === "string" ? text : new TextDecoder().decode(text ?? undefined) };
  }

  /** Names that go on what was typed, and the part of it that they replace. @returns {Promise<[string[], string]>} */
  async complete(line, { on = "w1" } = {}) {
    const answer = await this.nodeActor(on).call("complete", [line], { timeout: 1000 });
    return Array.isArray(answer) && Array.isArray(answer[0]) ? answer : [[], line];
  }

  /* ---- nodes ---------------------------------------------------------------------------------- */

  /** The names of the living Lua nodes, in the order they were started. */
  nodes() {
    return this.#pool.list().filter((node) => node.state === "ready").map((node) => node.name);
  }

  /** Starts one more worker. @returns {Promise<string>} its name */
  async startNode() {
    return (await this.#pool.startOne()).name;
  }

  async #startFor(parent) {
    const { name, incarnation, secret } = await this.#pool.startOne(parent);
    return results(name, incarnation, secret);
  }

  /** Everybody hears of a new node before it is used; who may not call it knows that before. */
  async #started(node) {
    const identity = [node.name, node.incarnation, node.secret];
    const known = [];
    for (const other of this.#others(node)) {
      const barred = !this.#permits(other.name, node.name);
      const ref = this.nodeActor(other.name);
      const told = barred ? ref.call("peer_up", [...identity, true], { timeout: TELL_MS }) : ref.cast("peer_up", identity);
      known.push(told.catch(() => {}));
    }
    await Promise.all(known);
    this.#events.push({ type: "node", node: node.name });
  }

  #others(node) {
    return this.#pool.list().filter((other) => other !== node);
  }

  #down(node, cause) {
    this.#host.peerDown(node.name, node.incarnation, cause.code);
    for (const other of this.#others(node)) {
      this.nodeActor(other.name).cast("peer_down", [node.name, node.incarnation]).catch(() => {});
    }
    this.#attached?.peerDown(node.name, node.incarnation);
    if (this.#closing) return;
    this.#events.push({ type: "down", node: node.name, code: cause.code, reason: cause.message });
  }

  /** Lets a node end itself: its actors resign. */
  async stopNode(name) {
    await this.#pool.stop(name);
  }

  async #stopIfThere(name) {
    if (!this.#pool.get(name)) return false;
    await this.stopNode(name);
    return true;
  }

  /** Ends a node from outside, whatever it does. */
  async terminate(name) {
    await this.#pool.kill(name);
  }

  /* ---- looking -------------------------------------------------------------------------------- */

  /** Log lines, nodes that started and nodes that went down, from now on. */
  events() {
    return this.#events.iterate();
  }

  #event(node, event) {
    if (event.type === "output") return this.#output(node, event);
    this.#events.push({ ...event, node });
    if (event.type === "log") this.#log(node, event);
    return undefined;
  }

  #log(node, { level, text }) {
    if (this.#options.log) this.#options.log({ node, level, text });
    else if (level === "error" || level === "warn") console.error(`${node}: ${level}: ${text}`);
  }

  #output(node, { fd, bytes }) {
    const { stdout, stderr } = this.#options;
    if (fd === 1 && stdout) stdout(bytes, node);
    else if (fd === 2 && stderr) stderr(bytes, node);
    else console.log(new TextDecoder().decode(bytes).replace(/\n$/, ""));
  }

  info() {
    return {
      node: this.#host.name,
      link: this.#link,
      version: VERSION,
      workers: this.#pool.list().length,
      sharedMemory: this.#link === "ring",
    };
  }

  /** Counters of the host, and with `nodes` those of every Lua node. */
  async stats() {
    const nodes = {};
    const ask = async (name) => {
      nodes[name] = await this.nodeActor(name).call("stats", [], { timeout: 5000 }).catch(() => undefined);
    };
    const host = { ...this.#host.stats(), foreign_messages: this.#foreign };
    await Promise.all(this.nodes().map(ask));
    return { ...host, nodes };
  }

  /* ---- ending --------------------------------------------------------------------------------- */

  /** A program called os.exit. */
  #exit(code) {
    const status = code === true || code === undefined || code === null ? 0 : code === false ? 1 : Number(code);
    this.#events.push({ type: "exit", code: status });
    if (this.#options.onExit) this.#options.onExit(status);
    else this.close();
    // Whoever called exit is not answered: it ends with its node.
    return this.#never;
  }

  /** Ends every node and fails what is pending. Nothing of the system keeps the process alive then. */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    this.#heartbeat?.stop();
    this.#host.close();
    this.#attached?.close();
    await this.#pool.close();
    this.#events.end();
  }

  /** As close, without asking anybody. */
  async terminateAll() {
    this.#closing ??= Promise.resolve();
    this.#heartbeat?.stop();
    this.#host.close();
    this.#attached?.close();
    await this.#pool.endThreads();
    await Promise.all(this.#pool.list().map((node) => node.kill("closed", "the system was closed")));
    this.#events.end();
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }
}
