/**
 * How a node runs where it must not block: without SharedArrayBuffer, and in the host's own thread.
 * Bytes come as events; a step takes a few milliseconds at most, and what is left runs after other
 * events had their chance.
 */
import { LONGEST_TIMEOUT_MS } from "./deadlines.js";
import { PortReader, PortWriter } from "./port.js";
import { soon } from "./soon.js";

// In Node the global is a getter, which costs as much as reading the clock.
const { performance } = globalThis;

const BUDGET_MS = 4;
/** How long it goes on before other events have their chance: they cost more than a short task. */
const AGAIN_MS = 0.2;

export class EventLoop {
  #instance;
  #traffic;
  #readers = new Map();
  #writers = new Map();
  #wake = 0;
  #timer;
  #scheduled = false;
  #stopped = false;
  #guard;

  /**
   * @param {import("./node-instance.js").NodeInstance} instance
   * @param {{ traffic: object, malformed: (peer: number) => void, guard: (run: () => void) => void }} outside
   *   guard: runs what may trap
   */
  constructor(instance, { traffic, malformed, guard }) {
    this.#instance = instance;
    this.#traffic = traffic;
    this.#guard = guard;
    this.malformed = malformed;
  }

  get wake() {
    return this.#wake;
  }

  connect(peer) {
    const { port1, port2 } = new MessageChannel();
    this.#writers.set(peer, new PortWriter(port1, () => this.#guard(() => this.#step())));
    return { offer: port2, transfer: [port2] };
  }

  accept(peer, port) {
    const receive = (bytes) =>
      this.#guard(() => {
        if (!this.#stopped && !this.deliver(peer, bytes)) this.#drop(peer);
      });
    this.#readers.set(peer, new PortReader(port, receive));
  }

  #drop(peer) {
    this.#readers.get(peer)?.close();
    this.#readers.delete(peer);
    this.malformed(peer);
  }

  send(peer, bytes, start, count) {
    const taken = this.#writers.get(peer)?.write(bytes.subarray(start, start + count)) ?? count;
    this.#traffic.sent(peer, taken);
    return taken;
  }

  heard() {}

  deliver(peer, bytes) {
    this.#traffic.received(peer, bytes.length);
    const sound = this.#instance.deliver(peer, bytes);
    this.#step();
    return sound;
  }

  /** The peer is dead. Its last bytes may be events that are due: they come first. */
  peerDown(peer) {
    setTimeout(() => {
      if (this.#stopped) return;
      this.#guard(() => {
        this.#forget(peer);
        this.#instance.peerDown(peer);
        this.#step();
      });
    }, 0);
  }

  #forget(peer) {
    this.#readers.get(peer)?.close();
    this.#writers.get(peer)?.close();
    this.#readers.delete(peer);
    this.#writers.delete(peer);
  }

  /** Nothing runs any more. Resolves when the peers have all that was sent to them. */
  async end() {
    this.#halt();
    await Promise.all([...this.#writers.values()].map((writer) => writer.end()));
    this.stop();
  }

  #halt() {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  stop() {
    this.#halt();
    for (const peer of [...this.#readers.keys(), ...this.#writers.keys()]) this.#forget(peer);
  }

  settle() {
    this.#step();
  }

  turn() {
    if (!this.#scheduled) this.#step();
  }

  #step() {
    if (this.#stopped) return;
    this.#wake = this.#instance.step(BUDGET_MS);
    if (this.#wake === 0) this.#goOn();
    if (this.#wake === 0) this.#again();
    else this.#sleep();
  }

  #goOn() {
    const until = performance.now() + AGAIN_MS;
    do this.#wake = this.#instance.step(AGAIN_MS);
    while (this.#wake === 0 && performance.now() < until);
  }

  #again() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    soon(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#guard(() => this.#step());
    });
  }

  #sleep() {
    clearTimeout(this.#timer);
    if (this.#wake === Infinity) return;
    // It may fire a little early; the node then says how long to wait again.
    const wait = Math.min(Math.ceil(this.#wake), LONGEST_TIMEOUT_MS);
    this.#timer = setTimeout(() => this.#guard(() => this.#step()), wait);
  }
}
