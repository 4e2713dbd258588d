/**
 * The nodes of a system: starts them, links them to one another, notices their ends and tells the
 * others. Names are never used twice at a time; incarnations are random, so that what was sent to a
 * node that died finds nobody.
 */
import { patiently } from "./deadlines.js";
import { EarlyThread } from "./early-thread.js";
import { ActorError } from "./errors.js";
import { InlineThread } from "./inline-thread.js";
import { encodeConfig } from "./node-instance.js";
import { randomId, randomSecret } from "./random.js";
import { Doorbells } from "./ring.js";
import { WorkerHandle } from "./worker-handle.js";

/** Nodes that can live at a time. */
export const MAX_NODES = 1024;
/**
 * Each node has a doorbell. A page cannot tell when a worker that it terminated is gone: until then
 * it may sleep on its doorbell, and take the wakeups of whoever has it next. So a doorbell is used
 * again only after all others were.
 */
const DOORBELLS = 4 * MAX_NODES;
/** Random bytes that a node starts with: more than it takes to open. */
const DRAWN = 2048;

/**
 * Starts the threads of the first nodes, while there is nothing yet that they could run.
 * @param {number} count @param {{ platform: object, link: string, workerUrl?: string | URL }} options
 */
export function startThreads(count, { platform, link, workerUrl }) {
  if (link === "memory" || count > MAX_NODES) return [];
  const start = (i) => new EarlyThread((events) => platform.startThread(`w${i + 1}`, events, workerUrl));
  return Array.from({ length: count }, (_, i) => start(i));
}

/**
 * @typedef {object} PoolOptions
 * @property {import("./platform.js").Platform} platform
 * @property {EarlyThread[]} threads for the first nodes
 * @property {"ring" | "port" | "memory"} link
 * @property {{ name: string, incarnation: number }} host
 * @property {object} hostRef the reference of mc.host
 * @property {number} callTimeout
 * @property {number} [maxMemory] bytes
 * @property {number} startTimeout
 * @property {unknown[]} args
 * @property {string} version
 * @property {(from: string, to: string) => boolean} permits
 * @property {object} more what else a node starts with: capture, files
 * @property {string | URL} [workerUrl]
 */

export class Pool {
  #options;
  #nodes = new Map();
  #dead = new Set();
  #children = new Map();
  #doorbells;
  #freeSlots = [];
  #nextSlot = 0;
  /** Threads for the first nodes. */
  #early;
  /** What every node runs. */
  #wasm;
  #count = 0;
  #closed = false;
  #listener;

  /**
   * @param {PoolOptions} options
   * @param {{ data: Function, pass: Function, event: Function, exit: Function, down: Function, foreign: Function, started: Function }} listener
   */
  constructor(options, listener) {
    this.#options = options;
    this.#early = options.threads;
    this.#listener = listener;
    if (options.link === "ring") this.#doorbells = Doorbells.create(DOORBELLS);
  }

  /** Living nodes, in the order they were started. @returns {WorkerHandle[]} */
  list() {
    return [...this.#nodes.values()];
  }

  get(name) {
    return this.#nodes.get(name);
  }

  /** The way to a node, or the code of the error that explains why there is none. */
  route(name, incarnation) {
    const node = this.#nodes.get(name);
    if (node?.incarnation === incarnation) return node;
    return this.#dead.has(`${name}/${incarnation}`) ? "node_down" : "unknown_node";
  }

  /* ---- starting ------------------------------------------------------------------------------- */

  /** Ends those that no node has taken, and none is started any more. */
  async endThreads() {
    this.#closed = true;
    await Promise.all(this.#early.splice(0).map((thread) => thread.terminate()));
  }

  /**
   * Starts the first nodes: each knows all of them from the beginning.
   * @param {number} count
   * @param {{ module: WebAssembly.Module, rest?: WebAssembly.Module | string }} wasm what all nodes run
   */
  async startFirst(count, wasm) {
    this.#wasm = wasm;
    const nodes = Array.from({ length: count }, () => this.#make(`w${++this.#count}`));
    await Promise.all(nodes.map((node) => this.#start(node)));
  }

  /** Starts one more node, for the host or as a child of another. */
  async startOne(parent) {
    const node = this.#make(this.#newName(parent), parent);
    await this.#start(node);
    await this.#listener.started(node);
    return node;
  }

  #newName(parent) {
    if (parent === undefined) return `w${++this.#count}`;
    const children = (this.#children.get(parent) ?? 0) + 1;
    this.#children.set(parent, children);
    return `${parent}.${children}`;
  }

  #make(name, parent) {
    if (this.#closed) throw new ActorError("closed", `the system is closed: node ${name} cannot be started`);
    if (parent !== undefined && !this.#nodes.has(parent)) {
      throw new ActorError("unknown_node", `there is no node ${parent} that could have a child`);
    }
    const slot = this.#takeSlot();
    const identity = { name, incarnation: randomId(), secret: randomSecret(), parent, slot };
    const node = new WorkerHandle(identity, this.#hub(), this.#doorbells);
    this.#nodes.set(name, node);
    return node;
  }

  #takeSlot() {
    if (this.#nodes.size >= MAX_NODES) throw new ActorError("overloaded", `there can be ${MAX_NODES} nodes at a time`);
    const slot = this.#nextSlot < DOORBELLS ? this.#nextSlot++ : this.#freeSlots.shift();
    this.#doorbells?.clear(slot);
    return slot;
  }

  async #start(node) {
    const { startTimeout } = this.#options;
    const timer = patiently(() => node.kill("node_down", `it was not ready after ${startTimeout} ms`), startTimeout);
    try {
      await node.start((events) => this.#thread(node.name, events), this.#startMessage(node));
    } finally {
      clearTimeout(timer);
    }
  }

  #thread(name, events) {
    const { platform, link, workerUrl } = this.#options;
    if (link === "memory") return new InlineThread(platform, events);
    const early = this.#early.shift();
    return early ? early.take(events) : platform.startThread(name, events, workerUrl);
  }

  #startMessage(node) {
    const { link, host, more, platform } = this.#options;
    const doorbells = this.#doorbells?.buffer ?? null;
    const spin = this.#nodes.size <= platform.processors();
    const drawn = crypto.getRandomValues(new Uint8Array(DRAWN));
    return { ...more, ...this.#wasm, link, host, doorbells, slot: node.slot, spin, drawn, config: this.#config(node) };
  }

  #config({ name, incarnation, secret }) {
    const { callTimeout, maxMemory, link, version, args, host, hostRef, codec, permits } = this.#options;
    const nodes = this.list().map((node) => [node.name, node.incarnation, node.secret, !permits(name, node.name)]);
    const options = { nodes, link, version, args, call_timeout_ms: callTimeout };
    if (codec) options.codec = codec;
    if (!permits(name, host.name)) options.host_barred = true;
    if (maxMemory) options.max_memory = maxMemory;
    return encodeConfig({ name, incarnation, secret, host: hostRef, options });
  }

  /* ---- what nodes say ------------------------------------------------------------------------- */

  #hub() {
    const { data, pass, event, exit, foreign } = this.#listener;
    return {
      data,
      pass,
      event,
      exit,
      foreign,
      connect: (node, message) => this.#connect(node, message),
      malformed: (node, { from }) => this.refuse(from, node),
      dead: (node, cause) => this.#down(node, cause),
    };
  }

  /** Hands a link of one node to the other. */
  #connect(from, { to, offer }) {
    const target = this.route(to.name, to.incarnation);
    if (typeof target === "string") return from.post("refused", { to });
    const transfer = typeof MessagePort !== "undefined" && offer instanceof MessagePort ? [offer] : [];
    return target.post("accept", { from: { name: from.name, incarnation: from.incarnation }, offer }, transfer);
  }

  /**
   * Tells a node that its link to another was dropped: no answer will come from there.
   * @param {{ name: string, incarnation: number }} from @param {{ name: string, incarnation: number }} to
   */
  refuse(from, { name, incarnation }) {
    const node = this.route(from.name, from.incarnation);
    if (typeof node !== "string") node.post("refused", { to: { name, incarnation } });
  }

  #down(node, cause) {
    const { name, incarnation } = node;
    if (this.#nodes.get(name) === node) this.#nodes.delete(name);
    this.#remember(`${name}/${incarnation}`);
    this.#freeSlots.push(node.slot);
    for (const other of this.#nodes.values()) other.post("down", { name, incarnation });
    this.#listener.down(node, cause);
    const children = this.list().filter((other) => other.parent === name);
    return Promise.all(
      children.map((child) => child.kill("node_down", `node ${child.name} ended with ${name}, which had started it`)),
    );
  }

  /** The dead are told apart from those who never were, the latest of them. */
  #remember(dead) {
    this.#dead.add(dead);
    if (this.#dead.size > MAX_NODES) this.#dead.delete(this.#dead.values().next().value);
  }

  /* ---- ending --------------------------------------------------------------------------------- */

  /** Kills a node from outside. */
  async kill(name, code = "node_down", why = `node ${name} was terminated`) {
    const node = this.#nodes.get(name);
    if (!node) throw new ActorError("unknown_node", `there is no node ${name}`);
    await node.kill(code, why);
  }

  /** Lets a node close itself. */
  async stop(name) {
    const node = this.#nodes.get(name);
    if (!node) throw new ActorError("unknown_node", `there is no node ${name}`);
    await node.close();
  }

  async close() {
    this.#closed = true;
    await Promise.all(this.list().map((node) => node.close(true)));
  }
}
