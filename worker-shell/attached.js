/**
 * The nodes of JavaScript actors that are at the end of a port: see port-node.js. Their names begin with the
 * host's, `host.1`, by which workers know that what is for them goes to the host, who passes it on.
 */
import { ActorError } from "./errors.js";
import { randomId } from "./random.js";

/** How many of the dead are told apart from those who never were. */
const MAX_DEAD = 256;

class AttachedNode {
  #port;
  #hub;
  #starting;
  #names = new Map();
  alive = true;

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
    if (message.type === "malformed") return this.#hub.malformed(this, message.from);
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

export class Attached {
  #hub;
  #onDown;
  #nodes = new Map();
  #dead = new Set();
  #count = 0;

  /**
   * @param {{ host: { name: string, incarnation: number }, pass: Function, malformed: Function, log: Function, down: Function }} hub
   *   pass(node, to, bytes): what a node sent
   */
  constructor(hub) {
    this.#onDown = hub.down;
    this.#hub = { ...hub, down: (node, cause) => this.#down(node, cause) };
  }

  /** Resolves when the node is ready. @returns {Promise<AttachedNode>} */
  attach(port, message, transfer = []) {
    const identity = { name: `${this.#hub.host.name}.${++this.#count}`, incarnation: randomId() };
    const node = new AttachedNode(identity, port, this.#hub);
    this.#nodes.set(node.name, node);
    return node.start(message, transfer);
  }

  /** The way to a node, or the code of the error that explains why there is none. */
  route(name, incarnation) {
    const node = this.#nodes.get(name);
    if (node?.incarnation === incarnation) return node;
    return this.#dead.has(`${name}/${incarnation}`) ? "node_down" : "unknown_node";
  }

  /** The address of what one of them exposes under a name. */
  find(name) {
    for (const node of this.#nodes.values()) {
      const address = node.find(name);
      if (address) return address;
    }
    return undefined;
  }

  /** Another node is dead. */
  peerDown(name, incarnation) {
    for (const node of this.#nodes.values()) node.post("down", { name, incarnation });
  }

  #down(node, cause) {
    this.#nodes.delete(node.name);
    this.#dead.add(`${node.name}/${node.incarnation}`);
    if (this.#dead.size > MAX_DEAD) this.#dead.delete(this.#dead.values().next().value);
    this.peerDown(node.name, node.incarnation);
    this.#onDown(node, cause);
  }

  close() {
    for (const node of this.#nodes.values()) node.close();
  }
}
