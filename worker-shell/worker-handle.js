/**
 * The host's end of one Lua node: its thread, what state it is in, and the messages to and from it.
 * It starts, is ready, and dies once, for one cause, however the end shows: an exit, an error, a
 * trap, a message that cannot be read, or because somebody killed it.
 */
import { patiently } from "./deadlines.js";
import { ActorError } from "./errors.js";
import { Traffic } from "./traffic.js";

/** Lines of log are acknowledged in groups. */
const LOG_GROUP = 100;
/** How long a node may take to say goodbye before its thread is taken away. */
const GOODBYE_MS = 500;

/**
 * @typedef {object} Hub what the system does for its nodes
 * @property {(handle: WorkerHandle, bytes: Uint8Array) => void} data
 * @property {(handle: WorkerHandle, to: object, bytes: Uint8Array) => void} pass what is for a node that the host has a port to
 * @property {(handle: WorkerHandle, message: object) => void} connect
 * @property {(handle: WorkerHandle, message: object) => void} malformed it dropped somebody's link
 * @property {(handle: WorkerHandle, event: object) => void} event
 * @property {(handle: WorkerHandle, status: number) => void} exit
 * @property {(handle: WorkerHandle, cause: ActorError) => Promise<unknown>} dead resolves when those
 *   that end with it have ended
 * @property {() => void} foreign a message that is none of ours
 */

export class WorkerHandle {
  #thread;
  #hub;
  #doorbells;
  #starting;
  #logs = 0;
  #idle = new Map();
  #closing;
  #goodbye;
  #cause;
  #gone;
  traffic = new Traffic();
  /** When it last said something. */
  heardAt = performance.now();

  /**
   * @param {{ name: string, incarnation: number, secret: Uint8Array, parent?: string, slot?: number }} identity
   * @param {Hub} hub
   * @param {import("./ring.js").Doorbells} [doorbells]
   */
  constructor({ name, incarnation, secret, parent, slot }, hub, doorbells) {
    this.name = name;
    this.incarnation = incarnation;
    this.secret = secret;
    this.parent = parent;
    this.slot = slot;
    this.state = "starting";
    this.#hub = hub;
    this.#doorbells = doorbells;
  }

  get alive() {
    return this.state !== "dead";
  }

  /** @param {(events: object) => object} startThread @param {object} message what the node starts with */
  start(startThread, message) {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      try {
        this.#thread = startThread({
          onMessage: (received) => this.#receive(received),
          onEnd: (cause) => this.die(cause),
        });
        this.post("start", message);
      } catch (error) {
        this.die(error.message);
      }
    });
  }

  /** @param {string} type @param {object} [fields] @param {Transferable[]} [transfer] */
  post(type, fields = {}, transfer = []) {
    if (!this.alive) return;
    this.#thread.post({ mooncast: 1, type, ...fields }, transfer);
    // It may be asleep where no message can reach it.
    this.#doorbells?.control(this.slot);
  }

  /** The host node's link to this node. */
  send(bytes) {
    const whole = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
    this.traffic.sent(0, bytes.byteLength);
    this.post("data", { bytes: whole.buffer }, [whole.buffer]);
  }

  /** How things stand there, after everything posted before; undefined when it dies instead. */
  probe(round) {
    return new Promise((resolve) => {
      this.#idle.set(round, resolve);
      this.post("probe", { round });
    });
  }

  #receive(message) {
    if (message?.mooncast !== 1) return this.#hub.foreign();
    if (!this.alive) return undefined;
    this.heardAt = performance.now();
    return receivers[message.type]?.call(this, message);
  }

  ready() {
    this.state = "ready";
    this.#starting?.resolve();
    this.#starting = undefined;
  }

  /** What such a node sends to this one. @param {Uint8Array} bytes all of their buffer */
  pass({ name, incarnation }, bytes) {
    this.post("data", { from: { name, incarnation }, bytes: bytes.buffer }, [bytes.buffer]);
  }

  data({ bytes, to }) {
    if (to) return this.#hub.pass(this, to, new Uint8Array(bytes));
    this.traffic.received(0, bytes.byteLength);
    return this.#hub.data(this, new Uint8Array(bytes));
  }

  connect(message) {
    this.#hub.connect(this, message);
  }

  malformed(message) {
    this.#hub.malformed(this, message);
  }

  event(event) {
    this.#hub.event(this, event);
  }

  exit(status) {
    this.#hub.exit(this, status);
  }

  log({ level, text, seq }) {
    this.#logs += 1;
    if (this.#logs === LOG_GROUP) {
      this.post("logged", { count: this.#logs });
      this.#logs = 0;
    }
    this.#hub.event(this, { type: "log", level, text, seq });
  }

  idle(message) {
    this.#idle.get(message.round)?.(message);
    this.#idle.delete(message.round);
  }

  closed() {
    this.#goodbye?.();
  }

  /**
   * Lets the node close itself, then takes its thread away.
   * @param {boolean} [last] all others are closed, too
   */
  async close(last = false) {
    if (!this.alive) return this.#gone;
    this.#closing ??= this.#sayGoodbye(last);
    await this.#closing;
    return this.kill("closed", `node ${this.name} was closed`);
  }

  #sayGoodbye(last) {
    return new Promise((resolve) => {
      const timer = patiently(resolve, GOODBYE_MS);
      this.#goodbye = () => {
        clearTimeout(timer);
        resolve();
      };
      this.post("close", { last });
    });
  }

  /** Ends the thread whatever it does; resolves when those that it had started have ended, too. */
  async kill(code, why) {
    this.#cause ??= new ActorError(code, why, { node: this.name });
    await this.#thread?.terminate();
    this.die(why);
    await this.#gone;
  }

  /** The one end of a node. @param {string} why */
  die(why) {
    if (!this.alive) return;
    this.state = "dead";
    const cause = this.#cause ?? new ActorError("node_down", `node ${this.name} went down: ${why}`, { node: this.name });
    this.#starting?.reject(startError(this.name, this.#cause?.message ?? why));
    this.#starting = undefined;
    this.#goodbye?.();
    for (const resolve of this.#idle.values()) resolve(undefined);
    this.#idle.clear();
    // A thread whose instance trapped still lives.
    this.#thread?.terminate();
    this.#gone = this.#hub.dead(this, cause);
  }
}

function startError(name, why) {
  return new ActorError("node_down", `node ${name} could not start: ${why}`, { node: name });
}

/** What is done for each type of message. */
const receivers = {
  ready() {
    this.ready();
  },
  data(message) {
    this.data(message);
  },
  connect(message) {
    this.connect(message);
  },
  malformed(message) {
    this.malformed(message);
  },
  log(message) {
    this.log(message);
  },
  output({ fd, bytes }) {
    this.event({ type: "output", fd, bytes });
  },
  idle(message) {
    this.idle(message);
  },
  closed() {
    this.closed();
  },
  exit({ status }) {
    this.exit(status);
  },
  trap({ message }) {
    this.die(message);
  },
  failed({ message }) {
    this.die(message);
  },
};
