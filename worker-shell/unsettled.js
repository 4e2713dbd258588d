/**
 * Handlers in JavaScript whose promise has not settled. One that nobody can settle any more, because it
 * was collected, ends as an error; of the others it is known who they are and since when.
 *
 * A promise is looked at only after a while, for most settle soon: until then its turn refers to it, from
 * then on nothing of ours does.
 */
const YOUNG_MS = 1000;

export class Unsettled {
  #turns = new Map();
  #dropped;
  #timer;
  #now;

  /**
   * @param {() => number} now monotonic milliseconds
   * @param {(actor: object, turn: import("./turn.js").Turn) => void} onDropped
   */
  constructor(now, onDropped) {
    this.#now = now;
    this.#dropped = new FinalizationRegistry((turn) => {
      const actor = this.#turns.get(turn);
      if (actor) onDropped(actor, turn);
    });
  }

  /** A handler has returned a promise. */
  add(actor, turn, promise) {
    this.#turns.set(turn, actor);
    // Another class may keep what settles it elsewhere, and drop the promise itself.
    if (Object.getPrototypeOf(promise) === Promise.prototype) turn.promise = promise;
    this.#timer ??= this.#later();
  }

  delete(turn) {
    if (!this.#turns.delete(turn)) return;
    if (!turn.promise) this.#dropped.unregister(turn);
    turn.promise = undefined;
  }

  /** Those who have waited longest first: [actor, turn]. */
  list() {
    return [...this.#turns].map(([turn, actor]) => [actor, turn]);
  }

  close() {
    clearTimeout(this.#timer);
    this.#turns.clear();
  }

  #later() {
    const timer = setTimeout(() => this.#look(), YOUNG_MS);
    timer.unref?.();
    return timer;
  }

  #look() {
    const old = this.#now() - YOUNG_MS;
    let young = false;
    for (const turn of this.#turns.keys()) {
      if (!turn.promise) continue;
      if (turn.since > old) {
        young = true;
        continue;
      }
      this.#dropped.register(turn.promise, turn, turn);
      turn.promise = undefined;
    }
    this.#timer = young ? this.#later() : undefined;
  }
}
