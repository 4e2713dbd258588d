/**
 * One Lua node: an instance of the wasm with its own memory. Everything that goes in or out is bytes
 * and moments. An instance that trapped or exited is poisoned: no call enters it again, because
 * engines would allow it and its state is broken.
 */
import { Writer } from "./cbor.js";
import { copyBytes, viewOf } from "./copy.js";
import { ExitStatus } from "./files.js";
import { isRest, linkRest } from "./rest.js";
import { encodeValues } from "./value.js";

// In Node the global is a getter, which costs as much as reading the clock.
const { performance } = globalThis;

/** What mc_log calls its levels. */
export const LOG_LEVELS = Object.freeze(["error", "warn", "info", "debug"]);

/** The wasm trapped, or was called after it had. */
export class Trap extends Error {
  constructor(message, cause) {
    super(message, { cause });
    this.name = "Trap";
  }
}

/** The wasm asked the process to exit. */
export class Exit extends Error {
  constructor(status) {
    super(`exited with status ${status}`);
    this.name = "Exit";
    this.status = status;
  }
}

/**
 * @typedef {object} Outside what the node needs of its thread
 * @property {(peer: number, name: string, incarnation: number) => void} connect
 * @property {(peer: number, bytes: Uint8Array, start: number, count: number) => number} send takes bytes, which it
 *   must copy, and returns how many
 * @property {(level: string, text: string) => void} log
 */

export class NodeInstance {
  #exports;
  #outside;
  #files;
  #loadRest;
  /** Random bytes that are still to be given. */
  #drawn;
  #decoder = new TextDecoder();
  #memoryBytes = new Uint8Array(0);
  #memoryView;
  /** Where bytes go that arrive, and for how many there is room. */
  #room = 0;
  #roomSize = 0;
  #poison;

  /**
   * @param {WebAssembly.Module} module
   * @param {Outside} outside
   * @param {import("./files.js").Files} files
   * @param {() => WebAssembly.Module} loadRest the wasm's second part: see rest.js
   * @param {Uint8Array} [drawn] the first random bytes: in Node a thread needs 2 ms to draw its first
   */
  constructor(module, outside, files, loadRest, drawn = new Uint8Array(0)) {
    this.#outside = outside;
    this.#files = files;
    this.#loadRest = loadRest;
    this.#drawn = drawn;
    const instance = new WebAssembly.Instance(module, this.#imports(module));
    this.#exports = instance.exports;
    files.attach(instance.exports.memory);
    this.#guard(() => instance.exports._initialize());
  }

  get poisoned() {
    return this.#poison !== undefined;
  }

  /* ---- out ------------------------------------------------------------------------------------ */

  #imports(module) {
    const files = this.#files.imports;
    const imports = { ...files, env: { ...files.env, ...this.#environment() } };
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      if (kind !== "function") continue;
      (imports[from] ??= {})[name] ??= isRest(from) ? this.#linkRest(from) : missing(from, name);
    }
    return imports;
  }

  /** Called by what stands in the table for functions of the wasm's second part. */
  #linkRest(part) {
    return () => linkRest(this.#loadRest(), part, this.#exports);
  }

  #environment() {
    return {
      mc_now: () => performance.now(),
      mc_random: (at, length) => this.#random(at >>> 0, length >>> 0),
      mc_log: (level, at, length) => this.#outside.log(LOG_LEVELS[level] ?? "info", this.#text(at, length)),
      mc_connect: (peer, at, length, incarnation) =>
        this.#outside.connect(peer, this.#text(at, length), incarnation),
      mc_send: (peer, at, length) => this.#outside.send(peer, this.#memory(), at >>> 0, length >>> 0),
    };
  }

  #random(at, length) {
    if (length <= this.#drawn.length) {
      this.#view(at, length).set(this.#drawn.subarray(0, length));
      this.#drawn = this.#drawn.subarray(length);
      return;
    }
    // getRandomValues takes 64 KiB at most.
    for (let done = 0; done < length; done += 65536) {
      crypto.getRandomValues(this.#view(at + done, Math.min(65536, length - done)));
    }
  }

  /** The memory as it is now: growing detaches what was there, which leaves its length at zero. */
  #memory() {
    if (this.#memoryBytes.length === 0) this.#look();
    return this.#memoryBytes;
  }

  #look() {
    this.#memoryBytes = new Uint8Array(this.#exports.memory.buffer);
    this.#memoryView = viewOf(this.#memoryBytes);
  }

  #view(at, length) {
    return this.#memory().subarray(at >>> 0, (at >>> 0) + (length >>> 0));
  }

  #text(at, length) {
    return this.#decoder.decode(this.#view(at, length));
  }

  /* ---- in ------------------------------------------------------------------------------------- */

  /** Calls into the wasm; whatever is thrown out of it poisons the instance. */
  #guard(call) {
    if (this.#poison) throw this.#poison;
    try {
      return call();
    } catch (error) {
      throw this.#poisonedBy(error);
    }
  }

  #poisonedBy(error) {
    this.#poison = error instanceof ExitStatus ? new Exit(error.exit) : new Trap(trapText(error), error);
    return this.#poison;
  }

  /**
   * Copies bytes to where the wasm reads them.
   * @param {Uint8Array} bytes @param {number} start @param {number} count
   * @param {DataView} view of the same
   * @returns {number} their address
   */
  put(bytes, start = 0, count = bytes.length, view = viewOf(bytes)) {
    if (count > this.#roomSize) this.#makeRoom(count);
    const memory = this.#memory();
    copyBytes(bytes, view, start, memory, this.#memoryView, this.#room, count);
    return this.#room;
  }

  #makeRoom(count) {
    this.#room = this.#exports.mc_buffer(count) >>> 0;
    this.#roomSize = this.#room === 0 ? 0 : count;
    if (this.#room === 0) throw new Error(`out of memory: no room for ${count} bytes that arrived`);
  }

  /** @param {Uint8Array} config @returns {boolean} whether the node could be opened */
  open(config) {
    return this.#guard(() => this.#exports.mc_open(this.put(config), config.length)) === 0;
  }

  /** The number of a peer, made if it is new. */
  peer(name, incarnation) {
    const bytes = new TextEncoder().encode(name);
    return this.#guard(() => this.#exports.mc_peer(this.put(bytes), bytes.length, incarnation));
  }

  /** @returns {boolean} false: the link is malformed */
  deliver(peer, bytes) {
    if (bytes.length === 0) return true;
    return this.deliverPut(peer, this.put(bytes), bytes.length);
  }

  /** The same of what was put there. */
  deliverPut(peer, address, count) {
    return this.#guard(() => this.#exports.mc_deliver(peer, address, count)) === 0;
  }

  /**
   * Runs the node.
   * @param {number} budget milliseconds
   * @returns {number} in how many it wants to run again; 0 at once, Infinity when bytes arrive
   */
  step(budget) {
    return this.#guard(() => this.#exports.mc_step(budget));
  }

  /**
   * Delivers what was put there, and runs the node.
   * @returns {number} as step does; -1 when the link is malformed
   */
  run(peer, address, count, budget) {
    if (this.#poison) throw this.#poison;
    try {
      return this.#exports.mc_run(peer, address, count, budget);
    } catch (error) {
      throw this.#poisonedBy(error);
    }
  }

  peerDown(peer) {
    this.#guard(() => this.#exports.mc_peer_down(peer));
  }

  close() {
    if (!this.#poison) this.#guard(() => this.#exports.mc_close());
    this.#poison = new Trap("the node is closed");
    this.#files.close();
  }
}

/** Linked against something that nobody gives: tell who calls it. */
function missing(from, name) {
  return () => {
    throw new Error(`the wasm calls ${from}.${name}, which this shell does not have`);
  };
}

function trapText(error) {
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return `wasm trap: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

/**
 * The bytes that mc_open takes.
 * @param {{ name: string, incarnation: number, secret: Uint8Array, host: object | null, options: object }} config
 */
export function encodeConfig({ name, incarnation, secret, host, options }) {
  const writer = new Writer();
  encodeValues(writer, [name, incarnation, secret, host, options], "config");
  return writer.take();
}
