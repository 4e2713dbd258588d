/**
 * A node whose actors are JavaScript objects. It speaks the envelopes of envelope.cddl with any
 * other node and knows nothing of workers: its inputs are the bytes that arrive and the clock, its
 * outputs the bytes that links take.
 *
 * A call is answered once. The record of a pending call exists before the call is sent, and goes
 * with its answer, its deadline or the death of its node, whichever is first; what comes later is
 * counted and dropped. Whoever was called is told when nobody waits any more.
 */
import { malformed } from "./cbor.js";
import { NOTHING, carriedBy } from "./context.js";
import { Deadlines } from "./deadlines.js";
import {
  Kind,
  MAX_CHAIN,
  WIRE_VERSION,
  decodeEnvelope,
  encodeCall,
  encodeCancel,
  encodeCast,
  encodeHello,
  encodeProbe,
  encodeReply,
  encodeStop,
  typeHash,
} from "./envelope.js";
import { ActorError, errorCodes, errorText } from "./errors.js";
import { HostActor } from "./host-actor.js";
import { decodeError, decodeResults, encodeRaised, encodeRefusal, outcome } from "./host-answer.js";
import { HostPeer } from "./host-peer.js";
import { fromJson, toJson } from "./json.js";
import { PendingCall, checkRequest } from "./pending-call.js";
import { Prober } from "./probe.js";
import { RefTable, RemoteRef } from "./ref.js";
import { randomId, randomSecret } from "./random.js";
import { Unsettled } from "./unsettled.js";
import { Payload, decodeValues } from "./value.js";

const DEFAULT_TIMEOUT_MS = 30_000;

/** @typedef {import("./ref.js").Address} Address */

/**
 * @typedef {object} HostNodeOptions
 * @property {string} name
 * @property {number} [incarnation]
 * @property {number} [callTimeout] milliseconds; Infinity for none
 * @property {(name: string, incarnation: number) => { send(bytes: Uint8Array): void } | string} connect
 *   the outgoing link to a node, or the code of the error that explains why there is none
 * @property {string} [codec] "json": what calls are encoded in; the built-in one otherwise
 * @property {(to: string) => boolean} [permits] whether actors of that node may be called from here
 * @property {() => number} [now] monotonic milliseconds
 * @property {(text: string, error: unknown) => void} [onError] an error that nobody waits for
 * @property {(peer: HostPeer, error: Error) => void} [onMalformed] a link that was dropped
 */

const SYSTEM_TYPES = new Set(["mc.node", "mc.host"]);
const KIND_NAMES = { [Kind.CALL]: "call", [Kind.CAST]: "cast", [Kind.STOP]: "stop" };

export class HostNode {
  #options;
  #peers = new Map();
  #actors = new Map();
  #names = new Map();
  #calls = 0;
  #instances = 0;
  #closed = false;
  #deadlines;
  #prober;
  #counters = { late_replies: 0, dead_letters: 0, malformed: 0, sent: 0, received: 0 };

  /** @param {HostNodeOptions} options */
  constructor(options) {
    this.name = options.name;
    this.incarnation = options.incarnation ?? randomId();
    this.now = options.now ?? (() => performance.now());
    this.callTimeout = options.callTimeout ?? DEFAULT_TIMEOUT_MS;
    this.codec = options.codec === "json" ? "json" : undefined;
    this.refs = new RefTable(this);
    /** The handlers whose promise has not settled. */
    this.unsettled = new Unsettled(this.now, (actor, turn) => this.#dropped(actor, turn));
    this.#options = options;
    this.#deadlines = new Deadlines(this.now);
    this.#prober = new Prober(this.incarnation, this.#deadlines, (peer, probe) => {
      this.#counters.sent += 1;
      peer.send(encodeProbe(probe));
    });
  }

  /* ---- JS actors ------------------------------------------------------------------------------ */

  /**
   * Makes an object callable by those who get the reference.
   * @param {string} name its type, and what lookup finds it by
   * @param {object} object
   * @param {{ reentrant?: boolean, interleave?: string[], mailbox?: number, signatures?: Record<string, string>, permanent?: boolean }} [options]
   *   interleave: methods that may start while a handler awaits; signatures: as of mc.actor; permanent: nobody can stop it
   * @returns {RemoteRef}
   */
  expose(name, object, options = {}) {
    if ((typeof object !== "object" && typeof object !== "function") || object === null) {
      throw new TypeError(`expose("${name}") wants an object with methods`);
    }
    const secret = randomSecret();
    const instance = ++this.#instances;
    const address = { node: this.name, incarnation: this.incarnation, instance, secret, type: name };
    const actor = new HostActor(address, object, this, options);
    actor.typeHash = typeHash(name);
    this.#actors.set(instance, actor);
    this.#names.set(name, actor);
    return this.refs.get(address);
  }

  /** The reference of what was exposed under this name last. @returns {RemoteRef | undefined} */
  lookup(name) {
    const actor = this.#names.get(name);
    return actor && this.refs.get(actor.address);
  }

  actorEnded(actor) {
    this.#actors.delete(actor.address.instance);
    if (this.#names.get(actor.address.type) === actor) this.#names.delete(actor.address.type);
  }

  /** A call waits in a mailbox: if it does so for long, somebody looks whether it can ever start. */
  probeLater(actor, message, atOnce) {
    this.#prober.later(actor, message, atOnce);
  }

  turnId() {
    return randomId();
  }

  stats() {
    let pending = 0;
    for (const peer of this.#peers.values()) pending += peer.pending.size;
    let tasks = 0;
    for (const actor of this.#actors.values()) tasks += actor.busy;
    return { actors: this.#actors.size, tasks, pending, timers: this.#deadlines.size, ...this.#counters };
  }

  /** What has not answered yet, a line each, longest first. */
  waits() {
    return this.unsettled.list().map(([actor, turn]) => {
      const calls = [...turn.waits].map(({ label, peer }) => `${label} on ${peer.name}`);
      const on = calls.length > 0 ? `; it called ${calls.join(", ")}` : "";
      return `${nameOf(actor, turn)} has not answered for ${((this.now() - turn.since) / 1000).toFixed(1)} s${on}`;
    });
  }

  #dropped(actor, turn) {
    const text = `${nameOf(actor, turn)} will never answer: nothing can settle its promise any more`;
    this.unsettled.delete(turn);
    this.#options.onError?.(text);
    actor.drop(turn, new ActorError("deadlock", text));
  }

  /* ---- requests ------------------------------------------------------------------------------- */

  /**
   * @param {Address} address
   * @param {string} method
   * @param {unknown[]} args
   * @param {{ timeout?: number, signal?: AbortSignal, trace?: number | true, context?: object }} [options]
   */
  call(address, method, args, options = {}) {
    return this.#ask(address, { method, args, ...options });
  }

  stop(address, options = {}) {
    return this.#ask(address, { stop: true, method: "stop", args: [], ...options });
  }

  async cast(address, method, args, options = {}) {
    return this.#cast(address, method, args, carriedBy(NOTHING, options));
  }

  /** A call out of a handler: it carries the handler's deadline, chain, trace and context. */
  callFrom(turn, ref, method, args, options) {
    return this.#ask(addressOf(ref), { method, args, turn, ...options });
  }

  async castFrom(turn, ref, method, args, options = {}) {
    return this.#cast(addressOf(ref), method, args, carriedBy(turn.carried, options));
  }

  async #ask(address, request) {
    checkRequest(request);
    const peer = this.#peerFor(address);
    const since = this.now();
    const { deadline, remaining } = this.#timing(request, since);
    const id = ++this.#calls;
    const frame = this.#requestFrame(address, request, id, remaining);
    return new Promise((resolve, reject) => {
      const wait = { peer, call: id, instance: address.instance, secret: address.secret };
      wait.label = `${address.type}:${request.method}`;
      wait.abortable = request.signal !== undefined;
      const done = () => {
        peer.pending.delete(id);
        request.turn?.waits.delete(wait);
      };
      const cancel = () => peer.send(encodeCancel({ call: id, ...address }));
      const about = { type: address.type, method: request.method, node: peer.name, codec: this.#codecFor(address) };
      const call = new PendingCall(about, frame, { done, cancel, resolve, reject });
      call.expireAt(this.#deadlines, since, deadline);
      call.abortWith(request.signal);
      // A handler that was cancelled already was told: what it calls now is to clean up.
      if (request.turn && !request.turn.cancelled) call.abortWith(request.turn.signal);
      peer.pending.set(id, call);
      request.turn?.waits.add(wait);
      peer.sendTo(address.instance, call.request);
      this.#counters.sent += 1;
    });
  }

  #requestFrame(address, request, call, remaining) {
    const { stop, method, args, turn } = request;
    const { instance, secret } = address;
    if (stop) return encodeStop({ call, instance, secret });
    const chain = turn?.chain ?? [];
    if (chain.length > MAX_CHAIN) {
      throw new ActorError("call_depth", `${address.type}:${method} would be call ${chain.length} in a row`);
    }
    const type = typeHash(address.type);
    const carried = carriedBy(turn?.carried ?? NOTHING, request);
    return encodeCall({ call, instance, secret, type, method, remaining, ...carried, chain, args: this.#packed(address, args) });
  }

  /** What the system sends, to its own actors, is never in a codec. */
  #codecFor(address) {
    return SYSTEM_TYPES.has(address.type) ? undefined : this.codec;
  }

  #packed(address, args) {
    return this.#codecFor(address) ? [toJson(args, "arguments")] : args;
  }

  /** When a call ends, and what of it goes along: only a deadline that somebody chose. */
  #timing({ timeout, turn, method }, now) {
    const chosen = Math.min(timeout === undefined ? Infinity : now + timeout, turn?.deadline ?? Infinity);
    if (chosen <= now) throw new ActorError("timeout", `no time was left to call ${method}`);
    if (chosen !== Infinity) return { deadline: chosen, remaining: Math.ceil(chosen - now) };
    return { deadline: timeout === Infinity ? Infinity : now + this.callTimeout, remaining: null };
  }

  /** What cannot reach its node any more is a dead letter, as what reaches a dead actor is. */
  async #cast(address, method, args, carried) {
    const { instance, secret } = address;
    const frame = encodeCast({ instance, secret, type: typeHash(address.type), method, ...carried, args: this.#packed(address, args) });
    try {
      const peer = this.#peerFor(address);
      await new Promise((sent, failed) => {
        peer.sendTo(instance, { frame, cast: true, label: `${address.type}:${method}`, sent, failed });
      });
      this.#counters.sent += 1;
    } catch (error) {
      if (error.code === "unknown_node" || error.code === "not_permitted") throw error;
      this.#counters.dead_letters += 1;
    }
  }

  /* ---- links ---------------------------------------------------------------------------------- */

  #peer(name, incarnation) {
    const key = `${name}/${incarnation}`;
    if (!this.#peers.has(key)) this.#peers.set(key, new HostPeer(name, incarnation));
    return this.#peers.get(key);
  }

  /** The peer that an address is on, connected; throws when there is no way to it. */
  #peerFor(address) {
    if (this.#closed) throw new ActorError("closed", `the system is closed: ${address.type} cannot be called`);
    const peer = this.#peer(address.node, address.incarnation);
    const problem = peer.down ?? this.#connect(peer);
    if (problem === "version_mismatch") throw otherVersion(peer, address.type);
    if (problem) throw new ActorError(problem, unreachable(problem, address), { node: address.node });
    if (!SYSTEM_TYPES.has(address.type) && !this.#permitted(peer)) {
      throw new ActorError("not_permitted", `the policy lets nobody here call actors of node ${address.node}`, { node: address.node });
    }
    return peer;
  }

  #permitted(peer) {
    peer.permitted ??= this.#isSelf(peer) || (this.#options.permits?.(peer.name) ?? true);
    return peer.permitted;
  }

  /** @returns {string | undefined} the code of what prevents it */
  #connect(peer) {
    if (peer.connected) return undefined;
    const link = this.#isSelf(peer) ? this.#loopback(peer) : this.#options.connect(peer.name, peer.incarnation);
    if (typeof link === "string") {
      this.#peers.delete(`${peer.name}/${peer.incarnation}`);
      return link;
    }
    peer.connect(link, encodeHello({ node: this.name, incarnation: this.incarnation }));
    return undefined;
  }

  #isSelf(peer) {
    return peer.name === this.name && peer.incarnation === this.incarnation;
  }

  #loopback(peer) {
    return { send: (bytes) => queueMicrotask(() => this.deliver(peer.name, peer.incarnation, bytes)) };
  }

  /**
   * Bytes of the link that comes from a node; they must not change afterwards.
   * @returns {boolean} false when the link is malformed and was dropped
   */
  deliver(name, incarnation, bytes) {
    const peer = this.#peer(name, incarnation);
    if (peer.down || this.#closed) return false;
    try {
      for (const envelope of peer.frames.push(bytes)) {
        if (peer.down) break;
        this.#receive(peer, decodeEnvelope(envelope));
      }
      return true;
    } catch (error) {
      this.#drop(peer, error);
      return false;
    }
  }

  #drop(peer, error) {
    this.#counters.malformed += 1;
    const code = errorCodes.includes(error?.code) ? error.code : "malformed";
    peer.end(code, ({ label }) => new ActorError(code, `${label}: the link from ${peer.name} was dropped: ${errorText(error)}`));
    this.#options.onMalformed?.(peer, error);
  }

  /** The node is dead; call it after its last bytes were delivered. */
  peerDown(name, incarnation, code = "node_down") {
    const peer = this.#peer(name, incarnation);
    const said = code === "node_hung" ? "stopped answering" : "went down";
    peer.end(code, ({ label }) => {
      const text = `node ${name} ${said} while ${label} was awaited`;
      return new ActorError(code, text, { node: name });
    });
    // From now on connect says that the node is dead.
    this.#peers.delete(`${name}/${incarnation}`);
  }

  /** Everybody who waits is told; nothing is sent or received any more. */
  close() {
    this.#closed = true;
    this.unsettled.close();
    for (const peer of this.#peers.values()) {
      peer.end("closed", ({ label }) => new ActorError("closed", `the system was closed while ${label} was awaited`));
    }
  }

  /* ---- envelopes ------------------------------------------------------------------------------ */

  #receive(peer, envelope) {
    this.#counters.received += 1;
    if (!peer.greeted) return this.#greet(peer, envelope);
    switch (envelope.kind) {
      case Kind.CALL:
      case Kind.CAST:
      case Kind.STOP:
        return this.#request(peer, envelope);
      case Kind.REPLY:
      case Kind.ERROR:
        return this.#answer(peer, envelope);
      case Kind.CANCEL:
        return this.#cancel(peer, envelope);
      case Kind.PROBE:
        return this.#probe(peer, envelope);
      case Kind.CREDIT:
        if (!peer.credit(envelope.instance, envelope.count)) throw malformed("credit that was not owed");
        return undefined;
      default:
        throw malformed("a second hello");
    }
  }

  #greet(peer, envelope) {
    if (envelope.kind !== Kind.HELLO) throw malformed("a link that does not begin with hello");
    if (envelope.version !== WIRE_VERSION) return this.#foreign(peer, envelope.version);
    if (envelope.node !== peer.name || envelope.incarnation !== peer.incarnation) {
      throw malformed("a hello from another node");
    }
    peer.greeted = true;
    return undefined;
  }

  /** Another version of the wire: the node gets our hello, so that it knows too, and no more. */
  #foreign(peer, version) {
    peer.version = version;
    if (!this.#connect(peer)) peer.flush();
    peer.end("version_mismatch", ({ label }) => otherVersion(peer, label));
    this.#options.onError?.(otherVersion(peer, "a link was dropped").message);
  }

  #answer(peer, envelope) {
    const call = peer.pending.get(envelope.call);
    if (!call) {
      this.#counters.late_replies += 1;
      return;
    }
    try {
      if (envelope.kind === Kind.REPLY) call.succeed(outcome(decodeResults(envelope.body, call, this.refs)));
      else call.fail(decodeError(envelope, call, this.refs));
    } catch (error) {
      call.fail(error);
    }
  }

  #request(peer, envelope) {
    const message = this.#message(peer, envelope);
    const actor = this.#actors.get(envelope.instance);
    const problem = this.#refusal(actor, envelope);
    if (!problem) return actor.receive(message);
    message.fail(problem);
    return message.done();
  }

  /** Why a message does not even reach an actor. */
  #refusal(actor, { kind, secret, type }) {
    if (!actor || !sameSecret(actor.address.secret, secret)) {
      this.#counters.dead_letters += 1;
      return new ActorError("dead_actor", "");
    }
    if (kind !== Kind.STOP) return type === actor.typeHash ? undefined : new ActorError("type_mismatch", actor.address.type);
    return actor.permanent ? new ActorError("not_permitted", `${actor.address.type} ends with its node`) : undefined;
  }

  /** A call that nobody waits for any more; it may have been answered already. */
  #cancel(peer, { call, instance, secret }) {
    const actor = this.#actors.get(instance);
    if (actor && sameSecret(actor.address.secret, secret)) actor.cancel(peer, call);
  }

  /** Somebody looks what a call waits for. */
  #probe(peer, envelope) {
    const actor = this.#actors.get(envelope.instance);
    if (actor && sameSecret(actor.address.secret, envelope.secret)) this.#prober.arrived(actor, peer, envelope);
  }

  /** @returns {import("./host-actor.js").Message} */
  #message(peer, envelope) {
    const cast = envelope.kind === Kind.CAST;
    const remaining = envelope.remaining ?? Infinity;
    let codec; // known when the arguments were decoded
    const decode = () => {
      const values = decodeValues(envelope.body, this.refs);
      if (values.length !== 1 || !(values[0] instanceof Payload)) return values;
      const args = fromJson(values[0], this.refs);
      codec = values[0].codec;
      return args;
    };
    const answer = (values) => encodeReply({ call: envelope.call, results: codec ? [toJson(values, "results")] : values });
    return {
      kind: KIND_NAMES[envelope.kind],
      method: envelope.method ?? "stop",
      origin: peer,
      call: envelope.call,
      size: envelope.body?.length ?? 0,
      deadline: this.now() + remaining,
      chain: envelope.chain ?? [],
      trace: envelope.trace ?? null,
      context: envelope.context ?? null,
      decode,
      reply: (values) => cast || this.#send(peer, answer(values)),
      fail: (error) => (cast ? this.#unheard(envelope, error) : this.#send(peer, encodeRefusal(envelope.call, error))),
      raise: (error) => (cast ? this.#unheard(envelope, error) : this.#send(peer, encodeRaised(envelope.call, error, codec))),
      done: () => cast && this.#handled(peer, envelope.instance),
    };
  }

  #handled(peer, instance) {
    if (!this.#closed && !peer.down && !this.#connect(peer)) peer.owe(instance);
  }

  #send(peer, frame) {
    if (!this.#closed && !peer.down && !this.#connect(peer)) peer.send(frame);
  }

  #unheard(envelope, error) {
    const traced = envelope.trace ? ` (trace ${envelope.trace})` : "";
    this.#options.onError?.(`${envelope.method} was cast and raised${traced}: ${errorText(error)}`, error);
  }
}

function otherVersion({ name, version }, label) {
  const text = `${label}: node ${name} speaks version ${version} of the wire, this node version ${WIRE_VERSION}`;
  return Object.assign(new ActorError("version_mismatch", text, { node: name }), { ours: WIRE_VERSION, theirs: version });
}

function nameOf(actor, turn) {
  return `${actor.address.type}.${turn.method} (JavaScript)`;
}

function unreachable(code, { node, type }) {
  if (code === "unknown_node") return `there is no node ${node} in this system`;
  return `node ${node} is down: its ${type} cannot be called`;
}

function addressOf(ref) {
  const address = RemoteRef.addressOf(ref);
  if (!address) throw new TypeError("call and cast want a reference to an actor");
  return address;
}

function sameSecret(a, b) {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
