/**
 * A byte ring between two threads: one writes, one reads, in a SharedArrayBuffer.
 *
 *   word 0   head: bytes ever written, modulo 2^32        written by the sender alone
 *   word 16  tail: bytes ever read, modulo 2^32           written by the receiver alone
 *   word 32  the receiver's doorbell + 1, 0 before it accepted the ring
 *   word 33  the sender's doorbell + 1 while it waits for room, else 0
 *   byte 256 the data; its size is a power of two
 *
 * Nobody ever waits for a lock. Each node has one doorbell, a word that it sleeps on:
 *
 *   receiver: writes ASLEEP, looks at everything once more, waits
 *   sender:   writes data, then head, then swaps ASLEEP for AWAKE, and notifies if it was ASLEEP
 *
 * so that either the receiver sees the data in its last look or the sender sees ASLEEP. A full ring
 * turns the same around: the sender leaves its doorbell in word 33 and looks once more; the receiver
 * takes it when half of the ring is free. It may take it late, when the ring is full again: who looks
 * before it sleeps and finds its doorbell gone tries anew. Doorbell words are 64 bytes apart: word 0 is the state,
 * word 1 counts the messages that the host has posted to this node, which only its event loop can read.
 */

import { copyBytes, viewOf } from "./copy.js";

const HEAD = 0;
const TAIL = 16;
const RECEIVER = 32;
const WAITING = 33;
const HEADER_BYTES = 256;

const AWAKE = 0;
const ASLEEP = 1;
const SLOT_WORDS = 16;

export const RING_BYTES = 64 * 1024;

/** The doorbells of all nodes of a system. */
export class Doorbells {
  #words;

  /** @param {SharedArrayBuffer} buffer */
  constructor(buffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** @param {number} slots how many nodes there can be at a time */
  static create(slots) {
    return new Doorbells(new SharedArrayBuffer(slots * SLOT_WORDS * 4));
  }

  get slots() {
    return this.#words.length / SLOT_WORDS;
  }

  /** Wakes a node if it sleeps. */
  ring(slot) {
    const word = slot * SLOT_WORDS;
    // Looking leaves the word with who looks at it all the time.
    if (Atomics.load(this.#words, word) !== ASLEEP) return;
    if (Atomics.compareExchange(this.#words, word, ASLEEP, AWAKE) === ASLEEP) {
      Atomics.notify(this.#words, word, 1);
    }
  }

  /** Tells a node that a message of the host waits in its event loop. */
  control(slot) {
    Atomics.add(this.#words, slot * SLOT_WORDS + 1, 1);
    this.ring(slot);
  }

  /** How many messages the host has posted, modulo 2^32. */
  posted(slot) {
    return Atomics.load(this.#words, slot * SLOT_WORDS + 1);
  }

  /** The same at a glance: perhaps what it was a moment ago. */
  glimpse(slot) {
    return this.#words[slot * SLOT_WORDS + 1];
  }

  /** A slot gets a new owner. */
  clear(slot) {
    Atomics.store(this.#words, slot * SLOT_WORDS, AWAKE);
    Atomics.store(this.#words, slot * SLOT_WORDS + 1, 0);
  }

  /**
   * Sleeps until somebody rings or the time is over.
   * @param {number} slot
   * @param {number} timeout milliseconds
   * @param {() => boolean} anything looks once more whether there is something to do
   */
  sleep(slot, timeout, anything) {
    const word = slot * SLOT_WORDS;
    Atomics.store(this.#words, word, ASLEEP);
    if (!anything()) Atomics.wait(this.#words, word, ASLEEP, timeout);
    Atomics.store(this.#words, word, AWAKE);
  }
}

/** What both ends of a ring share. */
class RingEnd {
  constructor(buffer, doorbells, slot) {
    this.words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.data = new Uint8Array(buffer, HEADER_BYTES);
    this.view = viewOf(this.data);
    this.capacity = this.data.length;
    this.doorbells = doorbells;
    this.slot = slot;
  }
}

export class RingWriter extends RingEnd {
  #head = 0;
  #tail = 0;
  #blocked = false;
  #receiver = 0;
  /** What was written last came from here. */
  #from;
  #fromView;

  /**
   * @param {Doorbells} doorbells
   * @param {number} slot the sender's own doorbell
   * @param {number} [capacity] a power of two
   */
  constructor(doorbells, slot, capacity = RING_BYTES) {
    const buffer = new SharedArrayBuffer(HEADER_BYTES + capacity);
    super(buffer, doorbells, slot);
    this.buffer = buffer;
  }

  /** Whether bytes were refused and are to be written anew: there is room, or the receiver will not tell when there is. */
  get unblocked() {
    return this.#blocked && (this.#room() > 0 || Atomics.load(this.words, WAITING) === 0);
  }

  #room() {
    this.#tail = Atomics.load(this.words, TAIL);
    return this.capacity - ((this.#head - this.#tail) | 0);
  }

  /**
   * Writes what there is room for.
   * @param {Uint8Array} bytes of which `count` from `start` on are written
   * @returns {number} how many
   */
  write(bytes, start = 0, count = bytes.length - start) {
    if (bytes !== this.#from) this.#writesFrom(bytes);
    let taken = this.#copy(bytes, start, count);
    while (taken < count) {
      // Each time anew: the receiver may have taken it for the room that was found since.
      Atomics.store(this.words, WAITING, this.slot + 1);
      const more = this.#copy(bytes, start + taken, count - taken);
      if (more === 0) break;
      taken += more;
    }
    this.#blocked = taken < count;
    if (taken > 0) this.#wakeReceiver();
    return taken;
  }

  #writesFrom(bytes) {
    this.#from = bytes;
    this.#fromView = viewOf(bytes);
  }

  #copy(bytes, start, most) {
    let room = this.capacity - ((this.#head - this.#tail) | 0);
    if (room < most) room = this.#room();
    const count = Math.min(room, most);
    if (count === 0) return 0;
    const at = this.#head & (this.capacity - 1);
    const first = Math.min(count, this.capacity - at);
    copyBytes(bytes, this.#fromView, start, this.data, this.view, at, first);
    if (first < count) copyBytes(bytes, this.#fromView, start + first, this.data, this.view, 0, count - first);
    this.#head = (this.#head + count) | 0;
    Atomics.store(this.words, HEAD, this.#head);
    return count;
  }

  #wakeReceiver() {
    // It accepts the ring once.
    if (this.#receiver === 0) this.#receiver = Atomics.load(this.words, RECEIVER);
    if (this.#receiver > 0) this.doorbells.ring(this.#receiver - 1);
  }
}

export class RingReader extends RingEnd {
  #head = 0;
  #tail = 0;

  /**
   * Accepts a ring: from now on its sender rings this node's doorbell.
   * @param {SharedArrayBuffer} buffer
   * @param {Doorbells} doorbells
   * @param {number} slot the receiver's own doorbell
   */
  constructor(buffer, doorbells, slot) {
    super(buffer, doorbells, slot);
    Atomics.store(this.words, RECEIVER, slot + 1);
  }

  /** How many bytes can be read. */
  get available() {
    this.#head = Atomics.load(this.words, HEAD);
    return (this.#head - this.#tail) | 0;
  }

  /** Whether there is something to read, at a glance: perhaps as it was a moment ago. */
  get glimpse() {
    return this.words[HEAD] !== this.#tail;
  }

  /** Where in `data` the next bytes are. */
  get at() {
    return this.#tail & (this.capacity - 1);
  }

  /** How many bytes can be read from there, at most `most` and none across the ring's end. */
  peek(most) {
    const count = (this.#head - this.#tail) | 0 || this.available;
    return Math.min(count, most, this.capacity - this.at);
  }

  /** Frees what was read. */
  advance(count) {
    this.#tail = (this.#tail + count) | 0;
    Atomics.store(this.words, TAIL, this.#tail);
    if (Atomics.load(this.words, WAITING) !== 0) this.#wakeSender();
  }

  #wakeSender() {
    const used = (Atomics.load(this.words, HEAD) - this.#tail) | 0;
    if (used > this.capacity / 2) return;
    const sender = Atomics.exchange(this.words, WAITING, 0);
    if (sender > 0) this.doorbells.ring(sender - 1);
  }
}
