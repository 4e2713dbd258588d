/**
 * Probes along the waits of JavaScript handlers, as runtime/probe.c has them: what a call in a mailbox
 * waits for, and what that waits for in turn, until nothing is left or it is the call itself.
 *
 * What a handler does with the promise of a call cannot be seen. It is taken to await the one call that it
 * made through its context and that was not answered; with several out it may go on after any of them
 * (Promise.race, Promise.any), and with a signal that ends the call, too. Only the rounds that find one call
 * left go on along it: so all that Promise.all still awaits is found as well, a little later.
 */
import { MAX_CYCLE } from "./envelope.js";
import { ActorError } from "./errors.js";

const PROBE_MS = 50;
const ROUNDS = 8;
/** A probe's number is its call's, times this, and its round. */
const ROUND_SPAN = 16;
const MAX_HOPS = 100;
const ARROW = " -> ";

const utf8 = new TextEncoder();

export class Prober {
  #incarnation;
  #deadlines;
  #send;
  #calls = 0;

  /**
   * @param {number} incarnation of this node
   * @param {import("./deadlines.js").Deadlines} deadlines
   * @param {(peer: object, probe: object) => void} send
   */
  constructor(incarnation, deadlines, send) {
    this.#incarnation = incarnation;
    this.#deadlines = deadlines;
    this.#send = send;
  }

  /**
   * A call waits in an actor's mailbox; message.waits() ends that.
   * @param {boolean} atOnce it comes from a handler that this actor's own waits for
   */
  later(actor, message, atOnce) {
    message.probe = ++this.#calls * ROUND_SPAN;
    const probe = (wait) => {
      message.waits = this.#deadlines.add(this.#deadlines.now() + wait, () => {
        message.probe += 1;
        const round = message.probe % ROUND_SPAN;
        message.waits = undefined;
        if (round < ROUNDS) probe(PROBE_MS * 2 ** round);
        this.#followTurns(actor, { incarnation: this.#incarnation, probe: message.probe, count: 0, cycle: "" });
      });
    };
    probe(atOnce ? 0 : PROBE_MS);
  }

  /** @param {object} origin the peer whose call it is about */
  arrived(actor, origin, { incarnation, probe, count, cycle, call }) {
    const walk = { incarnation, probe, count, cycle };
    const turn = actor.turnOf(origin, call);
    if (turn) return this.#follow(actor, turn, walk);
    const message = actor.waitingCall(origin, call);
    if (!message) return undefined;
    if (!this.#isOwn(message, walk)) return this.#followTurns(actor, walk);
    const [first] = cycle.split(ARROW, 1);
    return actor.refuse(message, new ActorError("deadlock", `it waits for itself: ${cycle}${ARROW}${first}`));
  }

  #isOwn(message, { incarnation, probe }) {
    if (incarnation !== this.#incarnation) return false;
    return Math.floor(probe / ROUND_SPAN) === Math.floor(message.probe / ROUND_SPAN);
  }

  #followTurns(actor, walk) {
    for (const turn of actor.turns) this.#follow(actor, turn, walk);
  }

  #follow(actor, turn, { incarnation, probe, count, cycle }) {
    const seen = `${incarnation}/${probe}`;
    if (turn.seen === seen || count >= MAX_HOPS) return;
    turn.seen = seen;
    const [wait] = turn.waits;
    if (turn.waits.size !== 1 || wait.abortable) return;
    const walk = { incarnation, probe, count: count + 1, cycle: longer(cycle, `${actor.address.type}:${turn.method}`) };
    const { peer, call, instance, secret } = wait;
    this.#send(peer, { ...walk, call, instance, secret });
  }
}

function longer(cycle, name) {
  const both = cycle === "" ? name : cycle + ARROW + name;
  return utf8.encode(both).length > MAX_CYCLE ? cycle : both;
}
