/**
 * An actor written in JavaScript: an object's methods behind a mailbox. It handles one message to
 * its end, awaits included, before the next, unless it was exposed as reentrant or the method may
 * interleave.
 */
import { ActorError } from "./errors.js";
import { resultsOf } from "./results.js";
import { Turn } from "./turn.js";

/** Messages waiting in one mailbox: MC_MAILBOX_BOUND. */
export const MAILBOX_BOUND = 4096;
/** Their bytes; the message that reaches them is still taken: MC_MAILBOX_BYTES. */
export const MAILBOX_BYTES = 64 << 20;

const HOOKS = new Set(["init", "stopped", "terminated", "constructor"]);

/**
 * The method that may be called from outside under this name: a function that the object has or
 * inherits from a class, no accessor, no hook, nothing that begins with an underscore.
 */
export function methodOf(object, name) {
  if (name.startsWith("_") || HOOKS.has(name)) return undefined;
  for (let owner = object; owner && owner !== Object.prototype; owner = Object.getPrototypeOf(owner)) {
    const property = Object.getOwnPropertyDescriptor(owner, name);
    if (property) return typeof property.value === "function" ? property.value : undefined;
  }
  return undefined;
}

/**
 * What a handler finds as `this`: the exposed object with these names in front of its own. Calls
 * made through it carry the deadline, the chain and the trace of the message being handled; those
 * that are awaited when its caller cancels it are cancelled too. Later ones are not: they clean up.
 *
 *   this.call(ref, method, args, options)   this.cast(ref, method, args, options)
 *   this.remaining()  milliseconds, Infinity when nobody chose a deadline
 *   this.signal       aborts when the caller no longer wants the answer
 *   this.trace        this.context  what its caller gave to carry along
 *   this.self         the object itself, for its private fields
 */
function contextFor(object, turn, node) {
  const own = {
    self: object,
    trace: turn.carried.trace,
    context: turn.context,
    get signal() {
      return turn.signal;
    },
    remaining: () => turn.deadline - node.now(),
    call: (ref, method, args = [], options = {}) => node.callFrom(turn, ref, method, args, options),
    cast: (ref, method, args = [], options = {}) => node.castFrom(turn, ref, method, args, options),
  };
  return new Proxy(object, {
    get: (target, name) => (Object.hasOwn(own, name) ? own[name] : Reflect.get(target, name)),
    set: (target, name, value) => Reflect.set(target, name, value),
  });
}

/**
 * @typedef {object} Message what a node hands to an actor
 * @property {"call" | "cast" | "stop"} kind
 * @property {string} method
 * @property {object} origin the peer that sent it
 * @property {number} [call] its number there
 * @property {number} size bytes of its arguments
 * @property {number} deadline by the node's clock
 * @property {number[]} chain
 * @property {number | null} trace
 * @property {Uint8Array | null} context
 * @property {() => unknown[]} decode the arguments
 * @property {(results: unknown[]) => void} reply
 * @property {(error: unknown) => void} fail what the system says
 * @property {(error: unknown) => void} raise what the handler threw
 * @property {() => void} done after the message was handled or dropped
 */

export class HostActor {
  #queue = [];
  #bytes = 0; // in the queue
  #turns = new Set();
  #node;
  #ended = false;

  /**
   * @param {import("./ref.js").Address} address
   * @param {object} object
   * @param {import("./host-actors.js").HostActors} node
   * @param {{ reentrant?: boolean, interleave?: string[], mailbox?: number, signatures: import("./signature.js").Signatures, permanent?: boolean }} options
   */
  constructor(address, object, node, options) {
    const { reentrant = false, interleave = [], mailbox = MAILBOX_BOUND, signatures, permanent = false } = options;
    this.address = address;
    this.object = object;
    this.reentrant = reentrant;
    this.interleave = new Set(interleave);
    this.mailbox = mailbox;
    this.signatures = signatures;
    this.permanent = permanent;
    this.#node = node;
  }

  /** How many messages are being handled or wait. */
  get busy() {
    return this.#turns.size + this.#queue.length;
  }

  /** @param {Message} message */
  receive(message) {
    const problem = this.#problem(message);
    if (problem) return this.#refuse(message, problem);
    if (this.#mayPass(message) && this.#mayStart(message)) return this.#start(message);
    this.#queue.push(message);
    this.#bytes += message.size;
    const chained = [...this.#turns].some((turn) => message.chain.includes(turn.id));
    if (message.kind !== "cast") this.#node.probeLater(this, message, chained);
    return undefined;
  }

  #mayStart(message) {
    return this.#turns.size === 0 || (this.reentrant && message.kind !== "stop") || this.#interleaves(message);
  }

  #interleaves({ kind, method }) {
    return kind !== "stop" && this.interleave.has(method);
  }

  /** Nothing overtakes what waits, but what may interleave: and that not its like, nor a stop. */
  #mayPass(message) {
    if (this.#queue.length === 0) return true;
    return this.#interleaves(message) && !this.#queue.some((other) => other.kind === "stop" || this.#interleaves(other));
  }

  /** Why a call cannot even wait. Casts were bounded where they came from, by their credit. */
  #problem({ kind }) {
    if (kind !== "call") return undefined;
    if (this.#queue.length < this.mailbox && this.#bytes < MAILBOX_BYTES) return undefined;
    return new ActorError("overloaded", "its mailbox is full");
  }

  /** Takes the message at that place out of the queue. */
  #take(at) {
    const [message] = this.#queue.splice(at, 1);
    this.#bytes -= message.size;
    return message;
  }

  #refuse(message, error) {
    message.waits?.();
    message.fail(error);
    message.done();
  }

  async #start(message) {
    message.waits?.();
    const turn = new Turn(message, this.#node.turnId(), this.#node.now());
    this.#turns.add(turn);
    try {
      await this.#handle(message, turn);
    } catch (error) {
      message.fail(error);
    }
    this.#end(turn);
  }

  #end(turn) {
    if (!this.#turns.delete(turn)) return;
    turn.message.done();
    if (!this.#ended) this.#next();
  }

  /** What its handler waits for can never come: nothing goes on behind its await. */
  drop(turn, error) {
    turn.message.fail(error);
    this.#end(turn);
  }

  async #handle(message, turn) {
    if (message.kind === "stop") return this.#stop(message);
    // Its caller has given up already.
    if (message.deadline <= this.#node.now()) throw new ActorError("timeout", "its deadline passed before it could start");
    const method = methodOf(this.object, message.method);
    if (!method) throw noSuchMethod(message.method);
    const args = message.decode();
    this.signatures.checkArguments(message.method, args);
    const context = contextFor(this.object, turn, this.#node);
    let result;
    try {
      result = Reflect.apply(method, context, args);
      if (typeof result?.then === "function") result = await this.#settled(result, turn);
    } catch (error) {
      if (turn.wasEndedBy(error)) throw new ActorError("cancelled", "it was cancelled while it ran");
      return message.raise(error);
    }
    const values = resultsOf(result);
    this.signatures.checkResults(message.method, values);
    return message.reply(values);
  }

  async #settled(promise, turn) {
    this.#node.unsettled.add(this, turn, promise);
    try {
      return await promise;
    } finally {
      this.#node.unsettled.delete(turn);
    }
  }

  #stop(message) {
    this.end();
    message.reply([]);
  }

  /**
   * The caller no longer wants the answer of a call; it gets one all the same. What waits never
   * starts, what runs is told, and what was answered before is left alone.
   * @param {object} origin the peer that called @param {number} call its number there
   */
  cancel(origin, call) {
    const isIt = (message) => message.kind === "call" && message.origin === origin && message.call === call;
    const turn = [...this.#turns].find(({ message }) => isIt(message));
    if (turn) return turn.cancel();
    const at = this.#queue.findIndex(isIt);
    if (at < 0) return undefined;
    return this.#refuse(this.#take(at), new ActorError("cancelled", "it was cancelled before it started"));
  }

  get turns() {
    return this.#turns;
  }

  #isCall(message, origin, call) {
    return message.kind !== "cast" && message.origin === origin && message.call === call;
  }

  /** The turn that handles a call, if it runs. */
  turnOf(origin, call) {
    return [...this.#turns].find(({ message }) => this.#isCall(message, origin, call));
  }

  /** The message of a call that waits, if it does. */
  waitingCall(origin, call) {
    return this.#queue.find((message) => this.#isCall(message, origin, call));
  }

  /** Answers a call that waits. */
  refuse(message, error) {
    this.#take(this.#queue.indexOf(message));
    this.#refuse(message, error);
    this.#next();
  }

  /** The actor is gone: whoever waits in its mailbox is told so. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#node.actorEnded(this);
    const error = new ActorError("dead_actor", "");
    while (this.#queue.length > 0) this.#refuse(this.#take(0), error);
  }

  #next() {
    while (this.#queue.length > 0 && this.#mayStart(this.#queue[0])) this.#start(this.#take(0));
  }
}

function noSuchMethod(method) {
  return new ActorError("no_such_method", `the actor has no method '${method}' to call from outside`);
}
