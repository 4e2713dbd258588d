/**
 * References to actors. A ref is an address and a way to send there; it holds no connection, keeps
 * nothing alive, and shows its secret to nobody but the codec.
 */

/**
 * @typedef {object} Address
 * @property {string} node
 * @property {number} incarnation
 * @property {number} instance
 * @property {Uint8Array} secret
 * @property {string} type
 */

/** Names that `proxy` must not answer to, or awaiting and printing a proxy would be calls. */
const NOT_METHODS = new Set(["then", "catch", "finally", "toJSON", "toString", "valueOf", "constructor"]);

export class RemoteRef {
  #address;
  #caller;
  #proxy;

  /**
   * @param {Address} address
   * @param {{ call: Function, cast: Function, stop: Function }} caller the node that sends
   */
  constructor(address, caller) {
    this.#address = Object.freeze({ ...address });
    this.#caller = caller;
  }

  /** Node and instance: what tells two actors apart, and nothing that would let one call them. */
  get id() {
    return `${this.#address.node}/${this.#address.instance}`;
  }

  get type() {
    return this.#address.type;
  }

  get node() {
    return this.#address.node;
  }

  /**
   * Asks and waits for the answer.
   * @param {string} method
   * @param {unknown[]} [args]
   * @param {{ timeout?: number, signal?: AbortSignal, trace?: number | true, context?: object }} [options]
   *   timeout in milliseconds; trace and context travel with all that is done for the call
   * @returns {Promise<unknown>} the one result, or an array when there are several
   */
  call(method, args = [], options = {}) {
    return this.#caller.call(this.#address, method, args, options);
  }

  /**
   * Sends without asking for an answer. Resolves once the message was handed over, which waits
   * while too many earlier ones were not handled yet. What cannot reach its actor any more is
   * counted as a dead letter; only what cannot be sent at all is an error.
   * @param {string} method
   * @param {unknown[]} [args]
   * @param {{ trace?: number | true, context?: object }} [options]
   * @returns {Promise<void>}
   */
  cast(method, args = [], options = {}) {
    return this.#caller.cast(this.#address, method, args, options);
  }

  /** Ends the actor once it has handled what came before. */
  stop(options = {}) {
    return this.#caller.stop(this.#address, options);
  }

  /** `ref.proxy.inc(5)` is `ref.call("inc", [5])`. */
  get proxy() {
    this.#proxy ??= new Proxy(Object.create(null), {
      get: (_, name) => {
        if (typeof name !== "string" || NOT_METHODS.has(name)) return undefined;
        return (...args) => this.call(name, args);
      },
      set: () => false,
    });
    return this.#proxy;
  }

  toString() {
    return `${this.type}(${this.id})`;
  }

  toJSON() {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")]() {
    return `[RemoteRef ${this}]`;
  }

  /** The address inside a ref; undefined for everything else. For the codec. */
  static addressOf(value) {
    return typeof value === "object" && value !== null && #address in value ? value.#address : undefined;
  }
}

/** Text that is equal for equal addresses: a key for tables, not for people. */
export function addressKey(address) {
  const secret = Array.from(address.secret, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${address.node}/${address.incarnation}/${address.instance}/${secret}/${address.type}`;
}

/** The refs of one node, so that the same address is the same object while somebody holds it. */
export class RefTable {
  #refs = new Map();
  #caller;
  #gone = new FinalizationRegistry((key) => {
    if (this.#refs.get(key)?.deref() === undefined) this.#refs.delete(key);
  });

  constructor(caller) {
    this.#caller = caller;
  }

  get size() {
    return this.#refs.size;
  }

  /** @param {Address} address @returns {RemoteRef} */
  get(address) {
    const key = addressKey(address);
    const known = this.#refs.get(key)?.deref();
    if (known) return known;
    const ref = new RemoteRef(address, this.#caller);
    this.#refs.set(key, new WeakRef(ref));
    this.#gone.register(ref, key);
    return ref;
  }
}
