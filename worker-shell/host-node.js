/**
 * A node whose actors are JavaScript objects. It speaks the envelopes of envelope.cddl with any
 * other node and knows nothing of workers: its inputs are the bytes that arrive and the clock, its
 * outputs the bytes that links take.
 *
 * A call is answered once. The record of a pending call exists before the call is sent, and goes
 * with its answer, its deadline or the death of its node, whichever is first; what comes later is
 * counted and dropped. Whoever was called is told when nobody waits any more.
 *
 * Many hosts only ask. What handles messages for actors here, host-actors.js, is loaded with the first such
 * message; it and those behind it wait meanwhile.
 */
import { malformed } from "./cbor.js";
import { NOTHING, carriedBy } from "./context.js";
import { Deadlines } from "./deadlines.js";
import {
  MAX_CHAIN,
  WIRE_VERSION,
  decodeEnvelope,
  encodeCall,
  encodeCancel,
  encodeCast,
  encodeHello,
  encodeStop,
  typeHash,
} from "./envelope.js";
import { ActorError, errorCodes, errorText } from "./errors.js";
import { decodeError, decodeResults, outcome } from "./host-answer.js";
import { HostPeer } from "./host-peer.js";
import * as Kind from "./kind.js";
import { PendingCall, checkRequest } from "./pending-call.js";
import { RefTable, RemoteRef } from "./ref.js";
import { randomId, randomSecret } from "./random.js";
import { Signatures } from "./signature.js";

const DEFAULT_TIMEOUT_MS = 30_000;

/** @typedef {import("./ref.js").Address} Address */

/**
 * @typedef {object} HostNodeOptions
 * @property {string} name
 * @property {number} [incarnation]
 * @property {number} [callTimeout] milliseconds; Infinity for none
 * @property {(name: string, incarnation: number) => { send(bytes: Uint8Array): void } | string} connect
 *   the outgoing link to a node, or the code of the error that explains why there is none
 * @property {typeof import("./json.js")} [codec] what calls are encoded in; the built-in one otherwise
 * @property {(to: string) => boolean} [permits] whether actors of that node may be called from here
 * @property {() => number} [now] monotonic milliseconds
 * @property {(text: string, error: unknown) => void} [onError] an error that nobody waits for
 * @property {(peer: HostPeer, error: Error) => void} [onMalformed] a link that was dropped
 * @property {typeof import("./host-actors.js").HostActors} [HostActors] where it cannot be loaded later
 */

const SYSTEM_TYPES = new Set(["mc.node", "mc.host"]);

export class HostNode {
  #options;
  #peers = new Map();
  /** What was exposed and lives, by instance and by name: { address, object, options }. */
  #exposed = new Map();
  #names = new Map();
  /** What handles their messages, and those that came before it was there. */
  #actors;
  #early = [];
  #calls = 0;
  #instances = 0;
  #closed = false;
  #deadlines;
  #counters = { late_replies: 0, dead_letters: 0, malformed: 0, sent: 0, received: 0 };

  /** @param {HostNodeOptions} options */
  constructor(options) {
    this.name = options.name;
    this.incarnation = options.incarnation ?? randomId();
    this.now = options.now ?? (() => performance.now());
    this.callTimeout = options.callTimeout ?? DEFAULT_TIMEOUT_MS;
    this.codec = options.codec;
    this.refs = new RefTable(this);
    this.#options = options;
    this.#deadlines = new Deadlines(this.now);
    if (options.HostActors) this.#actors = this.#makeActors(options.HostActors);
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
    const signatures = new Signatures(options.signatures);
    const secret = randomSecret();
    const instance = ++this.#instances;
    const address = { node: this.name, incarnation: this.incarnation, instance, secret, type: name };
    const exposed = { address, object, options: { ...options, signatures } };
    this.#exposed.set(instance, exposed);
    this.#names.set(name, exposed);
    return this.refs.get(address);
  }

  /** The reference of what was exposed under this name last. @returns {RemoteRef | undefined} */
  lookup(name) {
    const exposed = this.#names.get(name);
    return exposed && this.refs.get(exposed.address);
  }

  #ended({ instance, type }) {
    this.#exposed.delete(instance);
    if (this.#names.get(type)?.address.instance === instance) this.#names.delete(type);
  }

  #makeActors(HostActors) {
    return new HostActors({
      node: this,
      deadlines: this.#deadlines,
      counters: this.#counters,
      exposed: (instance) => this.#exposed.get(instance),
      ended: (address) => this.#ended(address),
      send: (peer, frame) => this.#send(peer, frame),
      handled: (peer, instance) => this.#handled(peer, instance),
      onError: (text, error) => this.#options.onError?.(text, error),
    });
  }

  /** A message for an actor here. */
  #asked(peer, envelope) {
    if (this.#actors) return this.#actors.receive(peer, envelope, this.now());
    this.#early.push([peer, envelope, this.now()]);
    return this.#early.length === 1 ? this.#loadActors() : undefined;
  }

  async #loadActors() {
    let failure;
    try {
      const { HostActors } = await import("./host-actors.js");
      this.#actors = this.#makeActors(HostActors);
    } catch (error) {
      failure = error;
    }
    for (const [peer, ...message] of this.#early.splice(0)) {
      if (this.#closed || peer.down) continue;
      try {
        if (failure) throw failure;
        this.#actors.receive(peer, ...message);
      } catch (error) {
        this.#drop(peer, error); // whoever asks is told
      }
    }
  }

  stats() {
    let pending = 0;
    for (const peer of this.#peers.values()) pending += peer.pending.size;
    const tasks = this.#early.length + (this.#actors?.tasks ?? 0);
    return { actors: this.#exposed.size, tasks, pending, timers: this.#deadlines.size, ...this.#counters };
  }

  /** What has not answered yet, a line each, longest first. */
  waits() {
    return this.#actors?.waits() ?? [];
  }

  /* ---- requests ------------------------------------------------------------------------------- */

  /**
   * @param {Address} address
   * @param {string} method
   * @param {unknown[]} args
   * @param {{ timeout?: number, signal?: AbortSignal, trace?: number | true, context?: object, makes?: boolean }} [options]
   *   makes: the result is a new actor; when it comes too late the actor is stopped
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
      if (request.makes) peer.making.add(id);
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
    const codec = this.#codecFor(address);
    return codec ? [codec.toJson(args, "arguments")] : args;
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
    this.#actors?.close();
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
      case Kind.CANCEL:
      case Kind.PROBE:
        return this.#asked(peer, envelope);
      case Kind.REPLY:
      case Kind.ERROR:
        return this.#answer(peer, envelope);
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
    const makes = peer.making.delete(envelope.call) && envelope.kind === Kind.REPLY;
    if (!call) {
      this.#counters.late_replies += 1;
      if (makes) this.#unmake(decodeResults(envelope.body, {}, this.refs));
      return;
    }
    try {
      if (envelope.kind === Kind.REPLY) call.succeed(outcome(decodeResults(envelope.body, call, this.refs)));
      else call.fail(decodeError(envelope, call, this.refs));
    } catch (error) {
      call.fail(error);
    }
  }

  /** Nobody wants the actor any more, and no policy keeps it. */
  #unmake([ref]) {
    const { node, incarnation, instance, secret } = addressOf(ref);
    this.#send(this.#peer(node, incarnation), encodeStop({ call: 0, instance, secret }));
  }

  #handled(peer, instance) {
    if (!this.#closed && !peer.down && !this.#connect(peer)) peer.owe(instance);
  }

  #send(peer, frame) {
    if (!this.#closed && !peer.down && !this.#connect(peer)) peer.send(frame);
  }
}

function otherVersion({ name, version }, label) {
  const text = `${label}: node ${name} speaks version ${version} of the wire, this node version ${WIRE_VERSION}`;
  return Object.assign(new ActorError("version_mismatch", text, { node: name }), { ours: WIRE_VERSION, theirs: version });
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
