/**
 * A call that was sent and waits for whatever comes first: its answer, its deadline, or the death of
 * its node. It is settled once; then nothing of it is left.
 *
 * A signal takes it back: whoever was called is told, and says how it ended. It may have returned
 * before it heard. Only when it says nothing for a while does the caller go on without it.
 */
import { ActorError } from "./errors.js";

/** How long the one who was called may take to confirm that it was cancelled. */
export const GRACE_MS = 1000;

export class PendingCall {
  #settled = false;
  #sent = false;
  #deadlines;
  #until = Infinity;
  #removeDeadline = () => {};
  #signals = [];
  #abort = ({ target }) => this.#takeBack(target.reason);
  #done;
  #cancel;
  /** Why it was taken back. */
  cause = undefined;

  /**
   * @param {{ type: string, method: string, node: string, codec?: object }} call
   * @param {Uint8Array} frame
   * @param {{ done: () => void, cancel: () => void, resolve: (value: unknown) => void, reject: (error: Error) => void }} settle
   *   done: it is pending no more; cancel: tells whoever was called
   */
  constructor({ type, method, node, codec }, frame, { done, cancel, resolve, reject }) {
    this.type = type;
    this.method = method;
    this.node = node;
    this.codec = codec;
    this.label = `${type}:${method}`;
    /** How it stands in the queue to its actor. */
    this.request = { frame, cast: false, dropped: false, sent: () => (this.#sent = true) };
    this.#done = done;
    this.#cancel = cancel;
    this.succeed = (value) => this.#settle(resolve, value);
    this.fail = (error) => this.#settle(reject, error);
  }

  #settle(tell, value) {
    if (this.#settled) return;
    this.#settled = true;
    this.request.dropped = true;
    this.#removeDeadline();
    this.#forgetSignals();
    this.#done();
    tell(value);
  }

  /**
   * @param {import("./deadlines.js").Deadlines} deadlines
   * @param {number} since @param {number} until by their clock
   */
  expireAt(deadlines, since, until) {
    this.#deadlines = deadlines;
    this.#until = until;
    this.#removeDeadline = deadlines.add(until, () => {
      const waited = Math.round(until - since);
      if (this.#sent) this.#cancel();
      this.#failWith("timeout", `${this.label} on ${this.node} did not answer within ${waited} ms`);
    });
  }

  #failWith(code, text) {
    this.fail(new ActorError(code, text, { node: this.node, ...(this.cause !== undefined && { cause: this.cause }) }));
  }

  /** @param {AbortSignal | undefined} signal one of those that take it back */
  abortWith(signal) {
    if (!signal) return;
    this.#signals.push(signal);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  #forgetSignals() {
    for (const signal of this.#signals.splice(0)) signal.removeEventListener("abort", this.#abort);
  }

  #takeBack(cause) {
    this.cause = cause;
    this.#forgetSignals();
    if (!this.#sent) return this.#failWith("cancelled", `${this.label} was cancelled before it was sent`);
    this.#cancel();
    this.#removeDeadline();
    const until = Math.min(this.#until, this.#deadlines.now() + GRACE_MS);
    this.#removeDeadline = this.#deadlines.add(until, () => {
      this.#failWith("cancelled", `${this.label} was cancelled, which ${this.node} did not confirm in time`);
    });
    return undefined;
  }
}

/** Refuses what is no request, before anything was made for it. */
export function checkRequest({ timeout, signal, method, args }) {
  if (timeout !== undefined && !(typeof timeout === "number" && timeout > 0)) {
    throw new TypeError(`timeout is a number of milliseconds above 0, not ${timeout}`);
  }
  if (typeof method !== "string") throw new TypeError(`a method's name is a string, not ${typeof method}`);
  if (!Array.isArray(args)) throw new TypeError(`the arguments of ${method} are an array`);
  if (signal && !signal.addEventListener) throw new TypeError("signal is an AbortSignal");
  if (signal?.aborted) throw new ActorError("cancelled", `${method} was cancelled before it was sent`, { cause: signal.reason });
}
