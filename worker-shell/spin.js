/**
 * Looking again for a few microseconds before going to sleep. Where an answer is that near it saves
 * a wakeup; where it is not, or where the other thread needs this very processor, it only costs. Two
 * that answer each other must both look to find it worth while, so a thread tries several times in a row
 * before it gives up, and then rests for longer each time.
 */

// In Node the global is a getter, which costs as much as reading the clock.
const { performance } = globalThis;

const LIMIT_MS = 0.015;
/** Looks between two readings of the clock, which costs as much as a dozen of them. */
const LOOKS = 100;
/** How many failures in a row end the trying, at first and at most. */
const PATIENCE = 16;
/** Sleeps until it is tried again. */
const SHORTEST_REST = 16;
const LONGEST_REST = 2048;

export class Spin {
  #patience = PATIENCE;
  #resting = 0;
  #rest = SHORTEST_REST;

  /** @param {() => boolean} anything @returns {boolean} whether there was something to do */
  try(anything) {
    if (this.#resting > 0) {
      this.#resting -= 1;
      return false;
    }
    if (this.#look(anything)) {
      if (this.#patience < PATIENCE) this.#patience += 1;
      else this.#rest = SHORTEST_REST;
      return true;
    }
    this.#patience -= 1;
    if (this.#patience === 0) this.#giveUp();
    return false;
  }

  #look(anything) {
    const until = performance.now() + LIMIT_MS;
    do {
      for (let i = 0; i < LOOKS; i++) if (anything()) return true;
    } while (performance.now() < until);
    return false;
  }

  #giveUp() {
    this.#patience = PATIENCE;
    this.#resting = this.#rest;
    this.#rest = Math.min(LONGEST_REST, this.#rest * 2);
  }
}
