/**
 * Samples on their way to an audio callback: one thread writes them ahead, the callback reads them. It
 * never waits, locks or allocates. Frames are counted, each a 32-bit float per channel, side by side.
 *
 *   word 0   frames ever written, modulo 2^32        written by the writer alone
 *   word 1   1 while more is to come
 *   word 2   how often the writer threw away what was not played, word 3 up to which frame
 *   word 16  frames ever read, modulo 2^32           written by the reader alone
 *   word 17  underruns: how often it ran dry while more was to come
 *   word 18  frames of silence that were played for that
 *   byte 128 the samples; there is room for a power of two of frames
 *
 * The reader begins when half of the ring is full, or nothing more is to come; and again so after an
 * underrun, for a writer that is late once should not be late with every block.
 */
const WRITTEN = 0;
const OPEN = 1;
const CLEARS = 2;
const CLEARED = 3;
const READ = 16;
const UNDERRUNS = 17;
const MISSING = 18;
const HEADER_BYTES = 128;

const isShared = (buffer) => typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer;

export class SampleRing {
  #words;
  #samples;
  #mask;
  #playing = false;
  /** Whether it ran dry in the middle, and is silent for that. */
  #dry = false;
  #clears = 0;

  /** @param {SharedArrayBuffer | ArrayBuffer} buffer one that `bytes` gave the length of @param {number} channels */
  constructor(buffer, channels) {
    this.buffer = buffer;
    this.channels = channels;
    this.#words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.#samples = new Float32Array(buffer, HEADER_BYTES);
    this.capacity = this.#samples.length / channels;
    this.#mask = this.capacity - 1;
  }

  /** What a ring needs that holds so many frames at least. */
  static bytes(frames, channels) {
    return HEADER_BYTES + 2 ** Math.ceil(Math.log2(frames)) * channels * Float32Array.BYTES_PER_ELEMENT;
  }

  get shared() {
    return isShared(this.buffer);
  }

  /** Frames that were written and not read. */
  get ahead() {
    return (Atomics.load(this.#words, WRITTEN) - Atomics.load(this.#words, READ)) | 0;
  }

  get played() {
    return Atomics.load(this.#words, READ) >>> 0;
  }

  get underruns() {
    return Atomics.load(this.#words, UNDERRUNS);
  }

  get missing() {
    return Atomics.load(this.#words, MISSING) >>> 0;
  }

  /* ---- the writer ----------------------------------------------------------------------------- */

  /**
   * Writes what there is room for.
   * @param {Float32Array} samples whole frames @param {number} [from] the first frame of them
   * @returns {number} how many frames
   */
  write(samples, from = 0) {
    const { channels } = this;
    const count = Math.min(this.capacity - this.ahead, samples.length / channels - from);
    const written = Atomics.load(this.#words, WRITTEN);
    const at = written & this.#mask;
    const first = Math.min(count, this.capacity - at);
    const piece = (start, frames) => samples.subarray(start * channels, (start + frames) * channels);
    this.#samples.set(piece(from, first), at * channels);
    this.#samples.set(piece(from + first, count - first), 0);
    Atomics.store(this.#words, WRITTEN, (written + count) | 0);
    Atomics.store(this.#words, OPEN, 1);
    return count;
  }

  /** Nothing more is to come, for now. */
  finish() {
    Atomics.store(this.#words, OPEN, 0);
  }

  /** What was not played never is. */
  clear() {
    this.finish();
    Atomics.store(this.#words, CLEARED, Atomics.load(this.#words, WRITTEN));
    Atomics.add(this.#words, CLEARS, 1);
  }

  /* ---- the reader: in the audio callback ------------------------------------------------------ */

  /** Fills an output, one array per channel, with what comes next or with silence. @returns {number} frames that were there */
  read(output) {
    const words = this.#words;
    const frames = output[0].length;
    const read = this.#skip(words);
    const ahead = (Atomics.load(words, WRITTEN) - read) | 0;
    const open = Atomics.load(words, OPEN) === 1;
    if (!open) this.#dry = false;
    this.#playing ||= ahead > 0 && (!open || ahead >= this.capacity / 2);
    const count = this.#playing ? Math.min(frames, ahead) : 0;
    this.#copy(output, read, count, frames);
    if (count > 0) Atomics.store(words, READ, (read + count) | 0);
    if (count < frames) this.#ranDry(words, open, frames - count);
    return count;
  }

  /** @returns {number} the next frame */
  #skip(words) {
    const clears = Atomics.load(words, CLEARS);
    if (clears !== this.#clears) {
      this.#clears = clears;
      this.#playing = false;
      // Up to there it may have read already, and on: when the writer clears again between the two looks.
      const cleared = Atomics.load(words, CLEARED);
      if (((cleared - Atomics.load(words, READ)) | 0) > 0) Atomics.store(words, READ, cleared);
    }
    return Atomics.load(words, READ);
  }

  #copy(output, read, count, frames) {
    const samples = this.#samples;
    const mask = this.#mask;
    const width = this.channels;
    for (let channel = 0; channel < output.length; channel++) {
      const to = output[channel];
      const lane = channel < width ? channel : width - 1;
      for (let i = 0; i < count; i++) to[i] = samples[((read + i) & mask) * width + lane];
      for (let i = count; i < frames; i++) to[i] = 0;
    }
  }

  #ranDry(words, open, silence) {
    if (this.#playing && open) {
      this.#dry = true;
      Atomics.store(words, UNDERRUNS, Atomics.load(words, UNDERRUNS) + 1);
    }
    this.#playing = false;
    if (this.#dry) Atomics.store(words, MISSING, (Atomics.load(words, MISSING) + silence) | 0);
  }
}
