/**
 * A call that was sent and waits for whatever comes first: its answer, its deadline, its signal, or
 * the death of its node. It is settled once; then nothing of it is left.
 */
import { ActorError } from "./errors.js";

export class PendingCall {
  #settled = false;
  #removeDeadline = () => {};
  #signal;
  #abort = () => this.fail(new ActorError("cancelled", `${this.label} was cancelled`, { cause: this.#signal.reason }));
  #done;

  /**
   * @param {{ type: string, method: string, node: string }} call
   * @param {Uint8Array} frame
   * @param {{ done: () => void, resolve: (value: unknown) => void, reject: (error: Error) => void }} settle
   *   done: it is pending no more
   */
  constructor({ type, method, node }, frame, { done, resolve, reject }) {
    this.type = type;
    this.method = method;
    this.node = node;
    this.label = `${type}:${method}`;
    /** How it stands in the queue to its actor. */
    this.request = { frame, cast: false, dropped: false };
    this.#done = done;
    this.succeed = (value) => this.#settle(resolve, value);
    this.fail = (error) => this.#settle(reject, error);
  }

  #settle(tell, value) {
    if (this.#settled) return;
    this.#settled = true;
    this.request.dropped = true;
    this.#removeDeadline();
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#done();
    tell(value);
  }

  /**
   * @param {import("./deadlines.js").Deadlines} deadlines
   * @param {number} since @param {number} until by their clock
   */
  expireAt(deadlines, since, until) {
    this.#removeDeadline = deadlines.add(until, () => {
      const waited = Math.round(until - since);
      this.fail(new ActorError("timeout", `${this.label} on ${this.node} did not answer within ${waited} ms`, { node: this.node }));
    });
  }

  /** @param {AbortSignal | undefined} signal */
  abortWith(signal) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort, { once: true });
  }
}

/** Refuses what is no request, before anything was made for it. */
export function checkRequest({ timeout, signal, method, args }) {
  if (timeout !== undefined && !(typeof timeout === "number" && timeout > 0)) {
    throw new TypeError(`timeout is a number of milliseconds above 0, not ${timeout}`);
  }
  if (typeof method !== "string") throw new TypeError(`a method's name is a string, not ${typeof method}`);
  if (!Array.isArray(args)) throw new TypeError(`the arguments of ${method} are an array`);
  if (signal?.aborted) throw new ActorError("cancelled", `${method} was cancelled before it was sent`, { cause: signal.reason });
}
