/**
 * The actor that fills a ring of samples, as Lua sees it:
 *
 *   samples:write(b)   plays the 32-bit floats of a buffer or string after all that was written before. Returns how many
 *                      frames are ahead as soon as all are in the ring: so who writes in a loop keeps it full.
 *   samples:finish()   nothing more is to come: that it runs empty now is no underrun. Returns when all was played.
 *   samples:clear()    silence, at once: what was not played never is.
 *   samples:stats()    { played, ahead, underruns, missing, capacity, rate, channels }, all but the underruns and the
 *                      last two in frames.
 */

/** Other messages that are handled while a write or finish waits. */
export const INTERLEAVE = ["clear", "stats"];
const LEAST_WAIT_MS = 2;

/** Whatever the samples of a call came as. */
function floats(value, channels) {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  const length = bytes?.byteLength ?? -1;
  if (length < 0 || length % (4 * channels) !== 0) {
    throw new TypeError(`samples are 32-bit floats in a buffer or string, ${channels} to a frame`);
  }
  if (bytes instanceof ArrayBuffer) return new Float32Array(bytes);
  return new Float32Array(bytes.slice().buffer);
}

/** @param {import("./sample-ring.js").SampleRing} ring @param {number} rate frames a second */
export function makeSamples(ring, rate) {
  /** Counts what was cleared, so that what waits to be written is dropped, too. */
  let clears = 0;

  /** Until so many frames more were played; nobody is told, but how long that takes is known. */
  const played = (frames) => new Promise((resolve) => setTimeout(resolve, Math.max(LEAST_WAIT_MS, (frames / rate) * 1000)));

  return {
    async write(value) {
      const samples = floats(value, ring.channels);
      const frames = samples.length / ring.channels;
      const before = clears;
      for (let done = ring.write(samples); done < frames; done += ring.write(samples, done)) {
        await played(Math.min(frames - done, ring.capacity / 4));
        if (this.signal.aborted || clears !== before) break;
      }
      return ring.ahead;
    },
    async finish() {
      ring.finish();
      while (ring.ahead > 0 && !this.signal.aborted) await played(ring.ahead);
    },
    clear() {
      clears += 1;
      ring.clear();
    },
    stats() {
      const { played, ahead, underruns, missing, capacity, channels } = ring;
      return { played, ahead, underruns, missing, capacity, channels, rate };
    },
  };
}
