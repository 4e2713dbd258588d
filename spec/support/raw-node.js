/**
 * One Lua node in this thread, and one peer of it that writes and reads envelopes by hand. Nothing
 * moves by itself: what is delivered is handled in `run`, and what the node sent lies in `received`.
 */
import fs from "node:fs";

import { decodeEnvelope, encodeCall, encodeCast, encodeHello, FrameReader, typeHash } from "../../worker-shell/envelope.js";
import { Files } from "../../worker-shell/files.js";
import * as Kind from "../../worker-shell/kind.js";
import { NodeFiles, loadRest } from "../../worker-shell/files-node.js";
import { encodeConfig, NodeInstance } from "../../worker-shell/node-instance.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { decodeValue, decodeValues } from "../../worker-shell/value.js";
import { restUrl } from "../../worker-shell/wasm-url.js";
import { Reader } from "../../worker-shell/cbor.js";
import { errorCodes } from "../../worker-shell/errors.js";

const module = new WebAssembly.Module(fs.readFileSync(new URL("../../build/mooncast.wasm", import.meta.url)));
const SECRET = new Uint8Array(16).fill(7);
const PEER = { node: "peer", incarnation: 99 };
/** References that arrive stay addresses. */
const refs = { get: (address) => new RemoteRef(address, {}) };

/** A peer's end of the link: what it hears, and what it says by hand. */
class RawPeer {
  /** Envelopes that the node sent to this peer, in order; the hello is the first. */
  received = [];
  /** The same as bytes, one array a batch. */
  batches = [];
  #frames = new FrameReader();
  #calls = 0;

  constructor(shared, name, incarnation) {
    this.shared = shared;
    this.address = { node: name, incarnation };
    this.number = shared.instance.peer(name, incarnation);
    shared.peers.set(this.number, this);
  }

  take(bytes) {
    this.batches.push(bytes);
    for (const envelope of this.#frames.push(bytes)) this.received.push(decodeEnvelope(envelope));
  }

  /** @returns {boolean} false: the link is malformed */
  deliver(bytes) {
    return this.shared.instance.deliver(this.number, bytes);
  }

  /** Lets the node work until it wants to sleep. @returns {number} for how many milliseconds */
  run() {
    for (;;) {
      const wake = this.shared.instance.step(100);
      if (wake > 0) return wake;
    }
  }

  /** A frame that calls a method. @param {{ instance: number, secret: Uint8Array, type: string }} to */
  callFrame(to, method, args = [], call = ++this.#calls) {
    return encodeCall({ call, instance: to.instance, secret: to.secret, type: typeHash(to.type), method, chain: [], args });
  }

  castFrame(to, method, args = []) {
    return encodeCast({ instance: to.instance, secret: to.secret, type: typeHash(to.type), method, args });
  }

  /** What was answered to a call id: each answer, decoded. */
  answers(call) {
    return this.received.filter((e) => (e.kind === Kind.REPLY || e.kind === Kind.ERROR) && e.call === call).map(decodeAnswer);
  }

  /** Calls and returns the one answer. */
  ask(to, method, args) {
    const call = ++this.#calls;
    if (!this.deliver(this.callFrame(to, method, args, call))) throw new Error("the link was refused");
    this.run();
    const answers = this.answers(call);
    if (answers.length !== 1) throw new Error(`${answers.length} answers to ${method}`);
    return answers[0];
  }

  /** The node's own actor. */
  get node() {
    return { instance: 1, secret: SECRET, type: "mc.node" };
  }

  stats() {
    return this.ask(this.node, "stats").results[0];
  }

}

export class RawNode extends RawPeer {
  #others = 0;

  /** @param {{ name?: string, greet?: boolean }} [options] */
  constructor({ name = "w1", greet = true } = {}) {
    const shared = { peers: new Map(), log: [] };
    const outside = {
      connect: () => {},
      send(peer, memory, at, length) {
        shared.peers.get(peer).take(memory.slice(at, at + length));
        return length;
      },
      log: (level, text) => shared.log.push({ level, text }),
    };
    shared.instance = new NodeInstance(module, outside, new Files(new NodeFiles(fs), {}), () => loadRest(restUrl));
    const options = { nodes: [[name, 1, SECRET]], link: "none", version: "0", args: [], call_timeout_ms: 30000 };
    if (!shared.instance.open(encodeConfig({ name, incarnation: 1, secret: SECRET, host: null, options }))) {
      throw new Error(shared.log.at(-1)?.text);
    }
    super(shared, PEER.node, PEER.incarnation);
    if (greet) this.deliver(encodeHello(PEER));
  }

  /** Lines that the node logged: { level, text }. */
  get log() {
    return this.shared.log;
  }

  /** One more peer, which can ask when this one's link was dropped. */
  otherPeer({ greet = true } = {}) {
    const [node, incarnation] = [`other${++this.#others}`, 98];
    const peer = new RawPeer(this.shared, node, incarnation);
    if (greet) peer.deliver(encodeHello({ node, incarnation }));
    return peer;
  }

  /** How many links were malformed, by what the node counts. */
  malformed() {
    const peer = this.otherPeer();
    return peer.ask(peer.node, "stats").results[0].malformed;
  }

  stats() {
    return this.ask(this.node, "stats").results[0];
  }

  /** Runs a program; `mc` is there. */
  runLua(lua) {
    const source = new TextEncoder().encode(`local mc = require "mooncast"; ${lua}`);
    const { code, value } = this.ask(this.node, "run", ["=program", source]);
    if (code !== undefined) throw new Error(String(value));
  }

  /** Makes an actor of a type that the program defined. @returns {{ instance: number, secret: Uint8Array, type: string }} */
  spawn(type, args = []) {
    const { results, value } = this.ask(this.node, "spawn_type", [type, null, ...args]);
    if (!results) throw new Error(String(value));
    return RemoteRef.addressOf(results[0]);
  }

  close() {
    this.shared.instance.close();
  }
}

function decodeAnswer({ kind, body, code }) {
  if (kind === Kind.REPLY) return { results: decodeValues(body, refs) };
  const reader = new Reader(body);
  const value = decodeValue(reader, refs);
  const traceback = decodeValue(reader, refs);
  return { code: code === 0 ? "raised" : errorCodes[code - 1], value, traceback };
}
