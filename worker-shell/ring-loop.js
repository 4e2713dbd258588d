/**
 * How a node runs in a worker whose links are rings: it takes a piece from each ring in turn, steps,
 * and sleeps on its doorbell when nothing is left. While the host has posted messages it takes those
 * first. Where they can be read in the event loop only, it returns to there; `turn` is called again
 * after each.
 */
import { RingReader, RingWriter } from "./ring.js";
import { Spin } from "./spin.js";

const BUDGET_MS = 4;
/** Small pieces make both sides of a link work at the same time instead of in lockstep. */
const SMALL_PIECE = 1024;
/** Pieces of something so large that a whole one makes the node send nothing. */
const LARGE_PIECE = 64 * 1024;

export class RingLoop {
  #instance;
  #doorbells;
  #slot;
  #traffic;
  #readers = [];
  #writers = new Map();
  #seen = 0;
  #wake = 0;
  /** Whether it has run since it last slept. */
  #stepped = false;
  /** Whether a ring was full when it last ran. */
  #blocked = false;
  #stopped = false;
  #pull;
  #spin;
  #look = () => this.#anything();
  #glance = () => this.#glimpsed();

  /**
   * @param {import("./node-instance.js").NodeInstance} instance
   * @param {{ doorbells: import("./ring.js").Doorbells, slot: number, traffic: object,
   *   malformed: (peer: number) => void, pull?: () => boolean, spin?: boolean }} outside
   *   pull: takes a message of the host right here; false when there is none yet
   *   spin: every node has a processor of its own
   */
  constructor(instance, { doorbells, slot, traffic, malformed, pull = () => false, spin = false }) {
    this.#instance = instance;
    this.#doorbells = doorbells;
    this.#slot = slot;
    this.#traffic = traffic;
    this.malformed = malformed;
    this.#pull = pull;
    this.#spin = spin ? new Spin() : undefined;
  }

  /** Until when nothing happens by itself: 0 running, Infinity only bytes wake it. */
  get wake() {
    return this.#wake;
  }

  /** The sending end to a new peer; what it returns goes to that peer's `accept`. */
  connect(peer) {
    const writer = new RingWriter(this.#doorbells, this.#slot);
    this.#writers.set(peer, writer);
    return { offer: writer.buffer, transfer: [] };
  }

  accept(peer, buffer) {
    const ring = new RingReader(buffer, this.#doorbells, this.#slot);
    this.#readers.push({ peer, ring, piece: SMALL_PIECE, dropped: false });
  }

  send(peer, bytes, start, count) {
    const taken = this.#writers.get(peer)?.write(bytes, start, count) ?? count;
    if (taken < count) this.#blocked = true;
    this.#traffic.sent(peer, taken);
    return taken;
  }

  /** A message of the host was read in the event loop. */
  heard() {
    this.#seen = (this.#seen + 1) | 0;
  }

  /** Bytes that the host posted. */
  deliver(peer, bytes) {
    this.#traffic.received(peer, bytes.length);
    const sound = this.#instance.deliver(peer, bytes);
    this.#step();
    return sound;
  }

  /** The peer is dead: what it had sent comes first, then the node is told. */
  peerDown(peer) {
    for (const reader of this.#readers.filter((each) => each.peer === peer)) this.#drain(reader);
    this.#readers = this.#readers.filter((each) => each.peer !== peer);
    this.#writers.delete(peer);
    this.#instance.peerDown(peer);
    this.#stepped = false;
  }

  #drain(reader) {
    for (let count; (count = reader.ring.peek(LARGE_PIECE)) > 0; ) {
      const address = this.#put(reader, count);
      if (!reader.dropped && !this.#instance.deliverPut(reader.peer, address, count)) this.#refuse(reader);
    }
  }

  stop() {
    this.#stopped = true;
  }

  /** What was written stays in the rings for the peers to read. */
  async end() {
    this.stop();
  }

  /** Steps once, for those who need to know how things stand. */
  settle() {
    this.#step();
  }

  turn() {
    this.#stepped = false;
    while (!this.#stopped) {
      if (this.#hostWaits()) {
        if (this.#pull()) continue;
        return;
      }
      if (this.#takeFromEach()) continue;
      if (!this.#stepped) this.#step();
      if (this.#wake > 0) this.#sleep();
      this.#stepped = false;
    }
  }

  #step() {
    this.#blocked = false;
    this.#wake = this.#instance.step(BUDGET_MS);
    this.#stepped = true;
  }

  #sleep() {
    if (this.#spin?.try(this.#glance)) return;
    this.#doorbells.sleep(this.#slot, this.#wake, this.#look);
  }

  #hostWaits() {
    return ((this.#doorbells.posted(this.#slot) - this.#seen) | 0) > 0;
  }

  /** One piece of every ring that has one. */
  #takeFromEach() {
    let any = false;
    for (const reader of this.#readers) {
      const before = this.#traffic.total;
      if (!this.#take(reader)) continue;
      any = true;
      // Nobody waits for an answer to this: take more at a time.
      reader.piece = this.#traffic.total === before ? Math.min(LARGE_PIECE, reader.piece * 2) : SMALL_PIECE;
    }
    return any;
  }

  /** @returns {boolean} whether there was something to take */
  #take(reader) {
    const count = reader.ring.peek(reader.piece);
    if (count === 0) return false;
    const address = this.#put(reader, count);
    this.#blocked = false;
    const wake = reader.dropped ? -1 : this.#instance.run(reader.peer, address, count, BUDGET_MS);
    if (wake >= 0) this.#wake = wake;
    else this.#refuse(reader);
    this.#stepped = wake >= 0;
    return true;
  }

  /** Copies the next bytes to where the node reads them: from then on there is room for more in the ring. */
  #put({ peer, ring }, count) {
    const address = this.#instance.put(ring.data, ring.at, count, ring.view);
    ring.advance(count);
    this.#traffic.received(peer, count);
    return address;
  }

  #refuse(reader) {
    if (reader.dropped) return;
    reader.dropped = true;
    // The node sends nothing there any more: room in that ring is no reason to wake.
    this.#writers.delete(reader.peer);
    this.malformed(reader.peer);
  }

  #anything() {
    if (this.#hostWaits()) return true;
    for (const reader of this.#readers) if (reader.ring.available > 0) return true;
    if (this.#blocked) for (const writer of this.#writers.values()) if (writer.unblocked) return true;
    return false;
  }

  /**
   * The same without an atomic load, which costs as much as ten of these looks. What it misses it sees a
   * moment later, or the last look before sleeping does.
   */
  #glimpsed() {
    if (((this.#doorbells.glimpse(this.#slot) - this.#seen) | 0) > 0) return true;
    const readers = this.#readers;
    for (let i = 0; i < readers.length; i++) if (readers[i].ring.glimpse) return true;
    return this.#blocked && this.#anything();
  }
}
