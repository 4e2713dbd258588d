/**
 * The nodes of JavaScript actors that are at the end of a port: see port-node.js. Their names begin with the
 * host's, `host.1`, by which workers know that what is for them goes to the host, who passes it on.
 */
// Of the index, so that the package has one chunk for both.
import { ActorError } from "./index.js";
import { randomId } from "./random.js";

/** How many of the dead are told apart from those who never were. */
const MAX_DEAD = 256;

class AttachedNode {
  #port;
  #hub;
  #starting;
  #names = new Map();
  alive = true;

  /** @param {Attached} hub */
  constructor({ name, incarnation }, port, hub) {
    this.name = name;
    this.incarnation = incarnation;
    this.#port = port;
    this.#hub = hub;
    port.onmessage = ({ data }) => this.#receive(data);
  }

  /** @param {object} message what it starts with @param {Transferable[]} transfer */
  start(message, transfer) {
    const { name, incarnation } = this;
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.post("start", { name, incarnation, ...message }, transfer);
    });
  }

  post(type, fields = {}, transfer = []) {
    if (this.alive) this.#port.postMessage({ mooncast: 1, type, ...fields }, transfer);
  }

  /** The host's own link to it. */
  send(bytes) {
    this.pass(this.#hub.host, bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice());
  }

  /** Bytes that another node has sent. @param {Uint8Array} bytes all of their buffer */
  pass({ name, incarnation }, bytes) {
    this.post("data", { from: { name, incarnation }, bytes: bytes.buffer }, [bytes.buffer]);
  }

  /** The address of what it exposes under that name. */
  find(name) {
    return this.#names.get(name);
  }

  #receive(message) {
    if (!this.alive || message?.mooncast !== 1) return undefined;
    if (message.type === "data") return this.#hub.pass(this, message.to, new Uint8Array(message.bytes));
    if (message.type === "exposed") return this.#names.set(message.name, message.address);
    if (message.type === "malformed") return this.#hub.refuse(message.from, this);
    if (message.type === "log") return this.#hub.log(this, message);
    if (message.type === "ready") return this.#starting.resolve(this);
    if (message.type === "failed") return this.close(message.message);
    return undefined;
  }

  /** Lets it end. */
  close(why = `node ${this.name} was closed`) {
    this.post("close");
    this.die(why);
  }

  /** It has ended. */
  die(why) {
    if (!this.alive) return;
    this.alive = false;
    const cause = new ActorError("node_down", why, { node: this.name });
    this.#starting?.reject(cause);
    this.#hub.down(this, cause);
  }
}

/**
 * Makes a node of what is at the other end of a port, a PortNode. Resolves when it is ready.
 * @param {import("./system.js").System} system
 * @param {MessagePort} port @param {object} [more] what it gets to know @param {Transferable[]} [transfer]
 * @returns {Promise<AttachedNode>}
 */
export function attach(system, port, more = {}, transfer = []) {
  return system.attached((hub) => new Attached(hub)).attach(port, more, transfer);
}

export class Attached {
  #hub;
  #nodes = new Map();
  #dead = new Set();
  #count = 0;

  /**
   * @param {{ host: import("./host-node.js").HostNode, pool: import("./pool.js").Pool, settings: object, event: Function }} hub
   *   settings: what nodes start with; event(name, event): what the system tells
   */
  constructor(hub) {
    this.#hub = hub;
  }

  get host() {
    return this.#hub.host;
  }

  /** See the function of this name. */
  attach(port, more, transfer) {
    const identity = { name: `${this.host.name}.${++this.#count}`, incarnation: randomId() };
    const node = new AttachedNode(identity, port, this);
    this.#nodes.set(node.name, node);
    return node.start({ ...this.#hub.settings, more }, transfer);
  }

  /** The way to a node, or the code of the error that explains why there is none. */
  route(name, incarnation) {
    const node = this.#nodes.get(name);
    if (node?.incarnation === incarnation) return node;
    return this.#dead.has(`${name}/${incarnation}`) ? "node_down" : this.#hub.pool.route(name, incarnation);
  }

  /** The address of what one of them exposes under a name. */
  find(name) {
    for (const node of this.#nodes.values()) {
      const address = node.find(name);
      if (address) return address;
    }
    return undefined;
  }

  /** What a node sent to one that it has no link to. */
  pass(from, to, bytes) {
    const { host } = this.#hub;
    if (to.name === host.name && to.incarnation === host.incarnation) return host.deliver(from.name, from.incarnation, bytes);
    const target = this.route(to.name, to.incarnation);
    return typeof target === "string" ? from.post("down", to) : target.pass(from, bytes);
  }

  /** What one of them got from another was malformed. */
  refuse(from, node) {
    const sender = this.route(from.name, from.incarnation);
    if (typeof sender !== "string") sender.post("down", { name: node.name, incarnation: node.incarnation });
  }

  log({ name }, { level, text }) {
    this.#hub.event(name, { type: "log", level, text });
  }

  /** A node is dead. */
  peerDown(name, incarnation) {
    for (const node of this.#nodes.values()) node.post("down", { name, incarnation });
  }

  /** One of these is. */
  down({ name, incarnation }, cause) {
    this.#nodes.delete(name);
    this.#dead.add(`${name}/${incarnation}`);
    if (this.#dead.size > MAX_DEAD) this.#dead.delete(this.#dead.values().next().value);
    this.peerDown(name, incarnation);
    this.#hub.host.peerDown(name, incarnation, cause.code);
    for (const node of this.#hub.pool.list()) node.post("down", { name, incarnation });
    this.#hub.event(name, { type: "down", code: cause.code, reason: cause.message });
  }

  close() {
    for (const node of this.#nodes.values()) node.close();
  }
}
