/**
 * Looking again for a few microseconds before going to sleep. Where an answer is that near it saves
 * a wakeup; where it is not, or where the other thread needs this very processor, it only costs. So
 * each failure makes the next attempts rarer, and one success makes them usual again.
 */

// In Node the global is a getter, which costs as much as reading the clock.
const { performance } = globalThis;

const LIMIT_MS = 0.01;
const RAREST = 1024;

export class Spin {
  #failures = 0;
  #skip = 0;

  /** @param {() => boolean} anything @returns {boolean} whether there was something to do */
  try(anything) {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return false;
    }
    const until = performance.now() + LIMIT_MS;
    do {
      if (!anything()) continue;
      this.#failures = 0;
      return true;
    } while (performance.now() < until);
    this.#failures += 1;
    this.#skip = Math.min(RAREST, 2 ** this.#failures);
    return false;
  }
}
