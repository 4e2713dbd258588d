/**
 * The actors of a host node: finds the one that a message is for, and sends its answers. A host node loads
 * this when the first such message comes.
 */
import { encodeProbe, encodeReply, typeHash } from "./envelope.js";
import { ActorError, errorText } from "./errors.js";
import { HostActor } from "./host-actor.js";
import { encodeRaised, encodeRefusal } from "./host-reply.js";
import { fromJson, toJson } from "./json.js";
import * as Kind from "./kind.js";
import { Prober } from "./probe.js";
import { randomId } from "./random.js";
import { Unsettled } from "./unsettled.js";
import { Payload, decodeValues } from "./value.js";

const KIND_NAMES = { [Kind.CALL]: "call", [Kind.CAST]: "cast", [Kind.STOP]: "stop" };

/**
 * @typedef {object} Outside what the actors need of their node
 * @property {import("./host-node.js").HostNode} node
 * @property {import("./deadlines.js").Deadlines} deadlines
 * @property {{ sent: number, dead_letters: number }} counters
 * @property {(instance: number) => { address: object, object: object, options: object } | undefined} exposed
 * @property {(address: object) => void} ended it is exposed no more
 * @property {(peer: object, frame: Uint8Array) => void} send
 * @property {(peer: object, instance: number) => void} handled a cast was
 * @property {(text: string, error?: unknown) => void} onError
 */

export class HostActors {
  #outside;
  #node;
  #prober;
  /** By instance: those that a message came for. */
  #actors = new Map();

  /** @param {Outside} outside */
  constructor(outside) {
    const { node, deadlines, counters } = outside;
    this.#outside = outside;
    this.#node = node;
    /** The handlers whose promise has not settled. */
    this.unsettled = new Unsettled(node.now, (actor, turn) => this.#dropped(actor, turn));
    this.#prober = new Prober(node.incarnation, deadlines, (peer, probe) => {
      counters.sent += 1;
      peer.send(encodeProbe(probe));
    });
  }

  /** How many messages are being handled or wait. */
  get tasks() {
    let tasks = 0;
    for (const actor of this.#actors.values()) tasks += actor.busy;
    return tasks;
  }

  /** See HostNode. */
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
    this.#outside.onError(text);
    actor.drop(turn, new ActorError("deadlock", text));
  }

  close() {
    this.unsettled.close();
  }

  /* ---- for one actor -------------------------------------------------------------------------- */

  now() {
    return this.#node.now();
  }

  turnId() {
    return randomId();
  }

  /** A call out of a handler. */
  callFrom(...call) {
    return this.#node.callFrom(...call);
  }

  castFrom(...cast) {
    return this.#node.castFrom(...cast);
  }

  actorEnded({ address }) {
    this.#actors.delete(address.instance);
    this.#outside.ended(address);
  }

  /** A call waits in a mailbox: if it does so for long, somebody looks whether it can ever start. */
  probeLater(actor, message, atOnce) {
    this.#prober.later(actor, message, atOnce);
  }

  /* ---- what comes ----------------------------------------------------------------------------- */

  /** @param {object} peer who has sent it @param {object} envelope @param {number} since when it came */
  receive(peer, envelope, since) {
    if (envelope.kind in KIND_NAMES) return this.#request(peer, envelope, since);
    const actor = this.#find(envelope);
    if (!actor) return undefined;
    // Nobody waits for a call any more, which may have been answered already; or looks what it waits for.
    if (envelope.kind === Kind.CANCEL) return actor.cancel(peer, envelope.call);
    return this.#prober.arrived(actor, peer, envelope);
  }

  /** The actor that an envelope names and has the secret of. */
  #find({ instance, secret }) {
    const exposed = this.#outside.exposed(instance);
    if (!exposed || !sameSecret(exposed.address.secret, secret)) return undefined;
    const known = this.#actors.get(instance);
    if (known) return known;
    const actor = new HostActor(exposed.address, exposed.object, this, exposed.options);
    this.#actors.set(instance, actor);
    return actor;
  }

  #request(peer, envelope, since) {
    const message = this.#message(peer, envelope, since);
    const actor = this.#find(envelope);
    const problem = this.#refusal(actor, envelope);
    if (!problem) return actor.receive(message);
    message.fail(problem);
    return message.done();
  }

  /** Why a message does not even reach an actor. */
  #refusal(actor, { kind, type }) {
    if (!actor) {
      this.#outside.counters.dead_letters += 1;
      return new ActorError("dead_actor", "");
    }
    const { type: found } = actor.address;
    if (kind !== Kind.STOP) return type === typeHash(found) ? undefined : new ActorError("type_mismatch", found);
    return actor.permanent ? new ActorError("not_permitted", `${found} ends with its node`) : undefined;
  }

  /** @returns {import("./host-actor.js").Message} */
  #message(peer, envelope, since) {
    const { send, handled } = this.#outside;
    const cast = envelope.kind === Kind.CAST;
    const remaining = envelope.remaining ?? Infinity;
    let codec; // known when the arguments were decoded
    const decode = () => {
      const values = decodeValues(envelope.body, this.#node.refs);
      if (values.length !== 1 || !(values[0] instanceof Payload)) return values;
      const args = fromJson(values[0], this.#node.refs);
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
      deadline: since + remaining,
      chain: envelope.chain ?? [],
      trace: envelope.trace ?? null,
      context: envelope.context ?? null,
      decode,
      reply: (values) => cast || send(peer, answer(values)),
      fail: (error) => (cast ? this.#unheard(envelope, error) : send(peer, encodeRefusal(envelope.call, error))),
      raise: (error) => (cast ? this.#unheard(envelope, error) : send(peer, encodeRaised(envelope.call, error, codec))),
      done: () => cast && handled(peer, envelope.instance),
    };
  }

  #unheard(envelope, error) {
    const traced = envelope.trace ? ` (trace ${envelope.trace})` : "";
    this.#outside.onError(`${envelope.method} was cast and raised${traced}: ${errorText(error)}`, error);
  }
}

function nameOf(actor, turn) {
  return `${actor.address.type}.${turn.method} (JavaScript)`;
}

function sameSecret(a, b) {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
