/**
 * The deadlines of all pending calls behind one timer of the platform. Moments are rounded up to
 * ticks, so that adding and removing cost the same however many there are, and none fires early.
 *
 * What is here keeps a Node process alive, an entry without a deadline too: a program must not end
 * while somebody awaits an answer.
 */

const TICK_MS = 4;
/** Beyond this setTimeout fires at once. */
export const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

export class Deadlines {
  #ticks = new Map();
  #timer;
  #armedFor = Infinity;
  #now;
  #size = 0;

  /** @param {() => number} now monotonic milliseconds */
  constructor(now) {
    this.#now = now;
  }

  now() {
    return this.#now();
  }

  get size() {
    return this.#size;
  }

  /**
   * @param {number} at when; Infinity: never
   * @param {() => void} expire
   * @returns {() => void} removes it
   */
  add(at, expire) {
    const tick = Math.ceil(at / TICK_MS);
    const entry = { expire };
    if (!this.#ticks.has(tick)) this.#ticks.set(tick, new Set());
    this.#ticks.get(tick).add(entry);
    this.#size += 1;
    if (this.#timer === undefined || tick < this.#armedFor) this.#arm(tick);
    return () => this.#remove(tick, entry);
  }

  #remove(tick, entry) {
    const entries = this.#ticks.get(tick);
    if (!entries?.delete(entry)) return;
    this.#size -= 1;
    if (entries.size === 0) this.#ticks.delete(tick);
    if (this.#size === 0) this.#disarm();
  }

  #arm(tick) {
    clearTimeout(this.#timer);
    this.#armedFor = tick;
    const wait = Math.max(0, tick * TICK_MS - this.#now());
    this.#timer = setTimeout(() => this.#fire(), Math.min(Math.ceil(wait), LONGEST_TIMEOUT_MS));
  }

  #disarm() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedFor = Infinity;
  }

  #fire() {
    const now = this.#now();
    const due = [...this.#ticks.keys()].filter((tick) => tick * TICK_MS <= now);
    for (const tick of due.sort((a, b) => a - b)) this.#expire(tick);
    if (this.#size === 0) this.#disarm();
    else this.#arm([...this.#ticks.keys()].reduce((least, tick) => Math.min(least, tick), Infinity));
  }

  #expire(tick) {
    const entries = this.#ticks.get(tick) ?? new Set();
    this.#ticks.delete(tick);
    this.#size -= entries.size;
    for (const { expire } of entries) expire();
  }
}

/**
 * Runs a task after that many milliseconds, unless clearTimeout prevents it. This thread may have been busy or
 * asleep all that time, and news lie there that it did not read: so a quarter of it at most passes at once.
 */
export function patiently(task, ms) {
  let quarters = 4;
  const timer = setInterval(() => {
    quarters -= 1;
    if (quarters > 0) return;
    clearTimeout(timer);
    task();
  }, Math.min(ms / 4, LONGEST_TIMEOUT_MS));
  return timer;
}
