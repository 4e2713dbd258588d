/**
 * What stands around one Lua node in its thread: the wasm instance, the loop that runs it, and the
 * messages between it and the host. Every message is an object with `mooncast: 1` and a `type`:
 *
 *   host to node                                    node to host
 *   start   module, config, link, ...               ready | failed  message
 *   data    bytes, from                             data    bytes, to: see attached.js
 *   accept  from, offer (a ring or a port)          connect to, offer
 *   refused to            none, or link dropped     malformed  from
 *   down    name, incarnation                       log     level, text, seq
 *   probe   round                                   output  fd, bytes
 *   logged  count                                   idle    round, idle, traffic
 *   close   last: nobody is left to hear of it      closed | trap  message | exit  status
 */
import { EventLoop } from "./event-loop.js";
import { Exit, NodeInstance } from "./node-instance.js";
import { Doorbells } from "./ring.js";
import { RingLoop } from "./ring-loop.js";
import { Traffic } from "./traffic.js";

/** Lines of log that may be on the way to the host; what comes above is counted and dropped. */
const LOG_WINDOW = 1000;

export class NodeShell {
  #post;
  #makeFiles;
  #loadRest;
  #poll;
  #instance;
  #loop;
  #traffic = new Traffic();
  /** Peers by their number: { name, incarnation }. */
  #peers = [];
  #hostName = "";
  #hostPeer = -1;
  #lastError;
  #ready = false;
  #stopped = false;
  #log = { seq: 0, onTheWay: 0, dropped: 0 };

  /**
   * @param {(message: object, transfer?: Transferable[]) => void} post to the host
   * @param {(start: object, output: (fd: number, bytes: Uint8Array) => void) => import("./files.js").Files} makeFiles
   * @param {(source: string) => WebAssembly.Module} loadRest loads the wasm's second part, synchronously
   * @param {() => unknown} [poll] the next message of the host, where one can look without waiting
   */
  constructor(post, makeFiles, loadRest, poll) {
    this.#post = (type, fields, transfer) => post({ mooncast: 1, type, ...fields }, transfer);
    this.#makeFiles = makeFiles;
    this.#loadRest = loadRest;
    this.#poll = poll;
  }

  /** A message of the host, or of somebody else, which is ignored. */
  receive(message) {
    if (message?.mooncast !== 1 || this.#stopped) return;
    this.#guard(() => {
      this.#handle(message);
      if (!this.#stopped) this.#loop?.turn();
    });
  }

  #handle(message) {
    this.#loop?.heard();
    handlers[message.type]?.call(this, message);
  }

  /** Takes a message from within the loop. @returns {boolean} whether there was one */
  #pull() {
    const message = this.#poll?.();
    if (message?.mooncast === 1) this.#handle(message);
    return message !== undefined;
  }

  /** Runs what may trap. Then the node is over: the host is told, and nothing enters it again. */
  #guard(run) {
    try {
      run();
    } catch (error) {
      this.#stop();
      if (error instanceof Exit) this.#post("exit", { status: error.status });
      else this.#post(this.#ready ? "trap" : "failed", { message: error.message, stack: error.stack });
    }
  }

  #stop() {
    this.#stopped = true;
    this.#loop?.stop();
  }

  start(message) {
    this.#hostName = message.host.name;
    const output = (fd, bytes) => this.#post("output", { fd, bytes });
    const { module, rest, drawn } = message;
    const loadRest = () => (rest instanceof WebAssembly.Module ? rest : this.#loadRest(rest));
    this.#instance = new NodeInstance(module, this.#outside(), this.#makeFiles(message, output), loadRest, drawn);
    this.#loop = this.#makeLoop(message);
    this.#loop.heard();
    if (!this.#instance.open(message.config)) throw new Error(this.#lastError ?? "the node could not be opened");
    this.#hostPeer = this.#peer(message.host);
    this.#loop.settle();
    this.#ready = true;
    this.#post("ready");
  }

  #makeLoop({ link, doorbells, slot, spin }) {
    const outside = {
      traffic: this.#traffic,
      malformed: (peer) => this.#malformed(peer),
      guard: (run) => this.#guard(run),
    };
    if (link !== "ring") return new EventLoop(this.#instance, outside);
    const pull = () => this.#pull();
    return new RingLoop(this.#instance, { ...outside, doorbells: new Doorbells(doorbells), slot, spin, pull });
  }

  /* ---- the wasm's side ------------------------------------------------------------------------ */

  #outside() {
    return {
      connect: (peer, name, incarnation) => this.#connect(peer, name, incarnation),
      send: (peer, bytes, start, count) =>
        this.#peers[peer]?.byHost
          ? this.#sendHost(peer, bytes, start, count)
          : this.#loop.send(peer, bytes, start, count),
      log: (level, text) => this.#write(level, text),
    };
  }

  /** The host's name, and those that begin with it, stand for what is reached by its port. */
  #peerNamed(name, incarnation) {
    const passed = name.startsWith(`${this.#hostName}.`);
    return { name, incarnation, byHost: passed || name === this.#hostName, to: passed ? { name, incarnation } : undefined };
  }

  #connect(peer, name, incarnation) {
    this.#peers[peer] = this.#peerNamed(name, incarnation);
    if (this.#peers[peer].byHost) return;
    const { offer, transfer } = this.#loop.connect(peer);
    this.#post("connect", { to: { name, incarnation }, offer }, transfer);
  }

  #sendHost(peer, bytes, start, count) {
    // A copy of its own: posting a view would clone the whole memory.
    const batch = bytes.slice(start, start + count);
    this.#traffic.sent(peer, count);
    const { to } = this.#peers[peer];
    this.#post("data", { bytes: batch.buffer, to }, [batch.buffer]);
    return count;
  }

  /** Whoever sent that awaits answers in vain: the host tells it so. */
  #malformed(peer) {
    const { name, incarnation } = this.#peers[peer];
    this.#write("error", `the link from ${name} was malformed and is dropped`);
    this.#post("malformed", { from: { name, incarnation } });
  }

  #write(level, text) {
    if (level === "error") this.#lastError = text;
    const log = this.#log;
    if (log.onTheWay >= LOG_WINDOW) log.dropped += 1;
    else this.#postLog(level, text);
  }

  #postLog(level, text) {
    this.#log.onTheWay += 1;
    this.#post("log", { level, text, seq: ++this.#log.seq });
  }

  /* ---- the host's side ------------------------------------------------------------------------ */

  /** The number of a peer that the host names. */
  #peer({ name, incarnation }) {
    const peer = this.#instance.peer(name, incarnation);
    this.#peers[peer] ??= this.#peerNamed(name, incarnation);
    return peer;
  }

  data({ bytes, from }) {
    const peer = from ? this.#peer(from) : this.#hostPeer;
    if (this.#loop.deliver(peer, new Uint8Array(bytes))) return;
    if (!from) throw new Error("the link from the host is malformed");
    this.#malformed(peer);
  }

  accept({ from, offer }) {
    this.#loop.accept(this.#peer(from), offer);
  }

  down(node) {
    this.#loop.peerDown(this.#peer(node));
  }

  /** Tells how things stand, after everything that came before was worked off. */
  probe(round) {
    this.#loop.settle();
    const traffic = [];
    this.#peers.forEach(({ name, incarnation }, peer) => {
      traffic.push([`${name}/${incarnation}`, ...this.#traffic.of(peer)]);
    });
    this.#post("idle", { round, idle: this.#loop.wake === Infinity, traffic });
  }

  logged(count) {
    const log = this.#log;
    log.onTheWay -= count;
    if (log.dropped === 0) return;
    const { dropped } = log;
    log.dropped = 0;
    this.#postLog("warn", `dropped ${dropped} lines of log`);
  }

  /** Its thread is taken away: nothing runs any more, and nobody is told. */
  abandon() {
    this.#stop();
  }

  /** The node's last words are sent, and have arrived when the host hears that it is closed. */
  close(last) {
    this.#stopped = true;
    this.#instance?.close();
    const closed = () => this.#post("closed");
    if (!last && this.#loop) return this.#loop.end().then(closed);
    this.#loop?.stop();
    return closed();
  }
}

/** What is done for each type of message. */
const handlers = {
  start(message) {
    this.start(message);
  },
  data(message) {
    this.data(message);
  },
  accept(message) {
    this.accept(message);
  },
  refused({ to }) {
    this.down(to);
  },
  down({ name, incarnation }) {
    this.down({ name, incarnation });
  },
  probe({ round }) {
    this.probe(round);
  },
  logged({ count }) {
    this.logged(count);
  },
  close({ last }) {
    this.close(last);
  },
};
