/** Most envelopes are that short; below it a loop is faster than two views and a call of the engine's. */
const SHORT = 96;

/**
 * Copies bytes from one array into another.
 * @param {Uint8Array} from @param {number} start
 * @param {Uint8Array} to @param {number} at
 * @param {number} count
 */
export function copyBytes(from, start, to, at, count) {
  if (count > SHORT) to.set(from.subarray(start, start + count), at);
  else for (let i = 0; i < count; i++) to[at + i] = from[start + i];
}
