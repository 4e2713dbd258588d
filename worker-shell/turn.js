/**
 * One message while a JavaScript actor handles it: its place in the chain of calls, and a signal
 * that tells the handler when its caller no longer wants the answer.
 *
 * Nobody can take a running function away. One that heeds the signal, or awaits a call made through
 * its context, ends early, and its caller is told `cancelled`; any other is answered with what it
 * returns.
 */
import { decodeContext } from "./context.js";
import { ActorError } from "./errors.js";

export class Turn {
  #abort;
  #context;

  /** @param {import("./host-actor.js").Message} message @param {number} id @param {number} since */
  constructor(message, id, since) {
    this.id = id;
    this.message = message;
    this.method = message.method;
    this.deadline = message.deadline;
    /** What calls through its context carry along. */
    this.carried = { trace: message.trace, context: message.context };
    this.chain = [...message.chain, id];
    /** The calls through its context that were not answered, by peer and number. */
    this.waits = new Set();
    /** The last probe that came by. */
    this.seen = undefined;
    /** Since when it runs, by the node's clock; and what it returned, while that is new: see unsettled.js. */
    this.since = since;
    this.promise = undefined;
  }

  /** The keys that came along; throws when they are malformed. */
  get context() {
    this.#context ??= decodeContext(this.carried.context);
    return this.#context;
  }

  /** Made for the first who asks: most handlers never do. */
  get signal() {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  get cancelled() {
    return this.#abort?.signal.aborted === true;
  }

  cancel() {
    this.#abort ??= new AbortController();
    this.#abort.abort(new ActorError("cancelled", `the caller of ${this.method} no longer wants its answer`));
  }

  /** Whether a handler threw that because it was cancelled: our error, or what the platform makes of it. */
  wasEndedBy(error) {
    if (!this.cancelled) return false;
    return error?.name === "AbortError" || (error instanceof ActorError && error.code === "cancelled");
  }
}
