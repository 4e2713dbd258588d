/** Most envelopes are that short; below it a loop is faster than a view and a call of the engine's. */
const SHORT = 192;

export const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * Copies bytes from one array into another.
 * @param {Uint8Array} from @param {DataView} fromView what reads the same four at a time, @param {number} start
 * @param {Uint8Array} to @param {DataView} toView @param {number} at
 * @param {number} count
 */
export function copyBytes(from, fromView, start, to, toView, at, count) {
  if (count > SHORT) to.set(from.subarray(start, start + count), at);
  else copyShort(fromView, start, toView, at, count);
}

function copyShort(from, start, to, at, count) {
  let done = 0;
  for (; done + 4 <= count; done += 4) to.setInt32(at + done, from.getInt32(start + done));
  for (; done < count; done++) to.setUint8(at + done, from.getUint8(start + done));
}
