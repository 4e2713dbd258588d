/**
 * What a host node keeps about one other node: the link to it, what waits to be sent, the calls
 * that wait for its answers, and the credit for casts in both directions.
 */
import { FrameReader, encodeCredit } from "./envelope.js";

/** Casts of one node to one actor that may be unhandled: MC_CAST_WINDOW. */
export const CAST_WINDOW = 1024;

export class HostPeer {
  /** Calls to this node that were not answered, by call id. */
  pending = new Map();
  /** The ids of those that make actors, until the answer comes, were it too late. */
  making = new Set();
  frames = new FrameReader();
  greeted = false;
  /** The version of the wire that it speaks, when that is not ours. */
  version = undefined;
  /** Whether its actors may be called from here, once that was asked. */
  permitted = undefined;
  /** Set when the node is dead or its link was dropped: why. */
  down = undefined;

  #link;
  #outbox = [];
  #scheduled = false;
  #windows = new Map();
  #owed = new Map();

  /** @param {string} name @param {number} incarnation */
  constructor(name, incarnation) {
    this.name = name;
    this.incarnation = incarnation;
  }

  get connected() {
    return this.#link !== undefined;
  }

  /** @param {{ send(bytes: Uint8Array): void }} link @param {Uint8Array} hello */
  connect(link, hello) {
    this.#link = link;
    this.send(hello);
  }

  /** Puts a frame into the outbox, which leaves as one batch when the current turn is over. */
  send(frame) {
    if (this.down) return;
    this.#outbox.push(frame);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.flush());
  }

  /** Sends what waits now. */
  flush() {
    this.#scheduled = false;
    for (const [instance, count] of this.#owed) this.#outbox.push(encodeCredit({ instance, count }));
    this.#owed.clear();
    const frames = this.#outbox;
    this.#outbox = [];
    if (frames.length > 0 && !this.down) this.#link?.send(frames.length === 1 ? frames[0] : concat(frames));
  }

  /** A cast that came from there was handled: its credit goes back with the next batch. */
  owe(instance) {
    this.#owed.set(instance, (this.#owed.get(instance) ?? 0) + 1);
    if (this.#scheduled || this.down || !this.#link) return;
    this.#scheduled = true;
    queueMicrotask(() => this.flush());
  }

  get owesCredit() {
    return this.#owed.size > 0;
  }

  /**
   * Sends to an actor in the order of the requests: a cast takes one credit, and what comes behind
   * a cast that waits for credit waits too.
   * @param {number} instance
   * @param {{ frame: Uint8Array, cast: boolean, dropped?: boolean, sent?: () => void, failed?: (error: Error) => void }} request
   */
  sendTo(instance, request) {
    const window = this.#windows.get(instance);
    if (!window && !request.cast) {
      this.send(request.frame);
      return request.sent?.();
    }
    const open = window ?? { used: 0, queue: [] };
    this.#windows.set(instance, open);
    open.queue.push(request);
    return this.#drain(instance, open);
  }

  #drain(instance, window) {
    while (window.queue.length > 0) {
      const [request] = window.queue;
      if (request.cast && window.used >= CAST_WINDOW) return;
      window.queue.shift();
      if (request.dropped) continue;
      if (request.cast) window.used += 1;
      this.send(request.frame);
      request.sent?.();
    }
    if (window.used === 0) this.#windows.delete(instance);
  }

  /** Credit arrived. @returns {boolean} false when it is more than was given out */
  credit(instance, count) {
    const window = this.#windows.get(instance);
    if (!window || count > window.used) return false;
    window.used -= count;
    this.#drain(instance, window);
    return true;
  }

  /** No answer will come from there any more. @param {(request: object) => Error} errorFor */
  end(why, errorFor) {
    if (this.down) return;
    this.down = why;
    const waiting = [...this.pending.values()];
    this.pending.clear();
    for (const call of waiting) call.fail(errorFor(call));
    for (const { queue } of this.#windows.values()) {
      for (const request of queue) request.failed?.(errorFor(request));
    }
    this.#windows.clear();
    this.#outbox = [];
  }
}

function concat(frames) {
  const whole = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
  let at = 0;
  for (const frame of frames) {
    whole.set(frame, at);
    at += frame.length;
  }
  return whole;
}
