/**
 * Notices that a program can never end: every node is idle and has set no timer, nothing is on the
 * way between them, and the host itself does nothing.
 *
 * A round asks every node how things stand. Two rounds, the second begun after the first was over,
 * that both found everybody idle and the same bytes sent and received on every link, prove that
 * nobody ran and nothing was on the way at the moment between them (Mattern's four counters). Only
 * something from outside, which a program from the command line has not, could start it again.
 */
import { ActorError } from "./errors.js";

const INTERVAL_MS = 500;
/** So many rounds in a row in which only handlers of the host do anything, before somebody is told. */
const QUIET_ROUNDS = 10;
/** How long to wait for an explanation of what waits for what. */
const EXPLAIN_MS = 5000;

/**
 * Makes a call, and ends it when nothing can answer it any more.
 * @param {(signal: AbortSignal) => Promise<unknown>} call
 * @param {import("./system.js").System} system
 * @param {import("./pool.js").Pool} pool
 * @param {import("./host-node.js").HostNode} host
 * @param {(line: string) => void} [warn] is told what the program waits for when that is the host alone
 */
export async function watched(call, system, pool, host, warn) {
  const { name, incarnation } = host;
  const busy = () => host.stats().tasks > 0;
  const over = new AbortController();
  let detector;
  const stuck = new Promise((_, reject) => {
    // Asked before anything is taken back: afterwards nothing would wait any more.
    const onStuck = async () => reject(await explain(system));
    const onQuiet = () => host.waits().forEach((line) => warn?.(line));
    detector = new StuckDetector(pool, { name, incarnation, busy }, onStuck, onQuiet);
  });
  try {
    return await Promise.race([call(over.signal), stuck]);
  } finally {
    detector.stop();
    over.abort();
  }
}

/** Names what waits, node by node: two that wait for each other may be on different ones. */
async function explain(system) {
  const what = "the program can never end: every node is idle, no timer is set, and no message is on the way";
  const waits = await Promise.all(system.nodes().map((node) => waitsOn(node, system)));
  return new ActorError("deadlock", [what, ...waits.flat()].join("\n  "));
}

async function waitsOn(node, system) {
  const waits = await system.nodeActor(node).call("waits", [], { timeout: EXPLAIN_MS }).catch(() => "");
  const lines = typeof waits === "string" ? waits.split("\n") : [];
  return lines.filter((line) => line !== "").map((line) => `${node}: ${line}`);
}

class StuckDetector {
  #pool;
  #host;
  #onStuck;
  #onQuiet;
  #timer;
  #round = 0;
  #last = "";
  #quiet = 0;

  /**
   * @param {import("./pool.js").Pool} pool
   * @param {{ name: string, incarnation: number, busy: () => boolean }} host
   * @param {() => void} onStuck called once
   * @param {() => void} onQuiet called each time that everybody has waited long for the host alone: it may
   *   yet go on, by what cannot be seen from here
   */
  constructor(pool, host, onStuck, onQuiet) {
    this.#pool = pool;
    this.#host = host;
    this.#onStuck = onStuck;
    this.#onQuiet = onQuiet;
    this.#again();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#onStuck = undefined;
  }

  #again() {
    this.#timer = setTimeout(() => this.#check(), INTERVAL_MS);
    // Watching is no reason to stay alive.
    this.#timer.unref?.();
  }

  async #check() {
    const { busy, state } = await this.#ask();
    if (!this.#onStuck) return;
    const still = state !== "" && state === this.#last;
    if (still && !busy) return this.#onStuck();
    this.#quiet = still ? this.#quiet + 1 : 0;
    if (this.#quiet === QUIET_ROUNDS) this.#onQuiet();
    this.#last = state;
    this.#again();
  }

  /**
   * @returns {Promise<{ busy: boolean, state: string }>} whether the host is, and what everybody has sent
   *   and received; "" when a node is busy
   */
  async #ask() {
    const round = ++this.#round;
    const nodes = this.#pool.list();
    const answers = await Promise.all(nodes.map((node) => node.probe(round)));
    const busy = this.#host.busy();
    if (nodes.some((node) => !node.alive) || answers.some((answer) => !answer?.idle)) return { busy, state: "" };
    const counts = countsOf(nodes, answers, this.#host);
    return { busy, state: balanced(counts) ? JSON.stringify([busy, ...counts]) : "" };
  }
}

/** Both ends of every link between the living: "from>to" -> [sent, received]. */
function countsOf(nodes, answers, host) {
  const keys = new Set([host, ...nodes].map(({ name, incarnation }) => `${name}/${incarnation}`));
  const counts = new Map();
  const add = (from, to, end, count) => {
    if (!keys.has(from) || !keys.has(to)) return;
    const link = `${from}>${to}`;
    if (!counts.has(link)) counts.set(link, [0, 0]);
    counts.get(link)[end] += count;
  };
  const self = `${host.name}/${host.incarnation}`;
  nodes.forEach((node, i) => {
    const key = `${node.name}/${node.incarnation}`;
    const [toNode, fromNode] = node.traffic.of(0);
    add(self, key, 0, toNode);
    add(key, self, 1, fromNode);
    for (const [peer, sent, received] of answers[i].traffic) {
      add(key, peer, 0, sent);
      add(peer, key, 1, received);
    }
  });
  return counts;
}

function balanced(counts) {
  return [...counts.values()].every(([sent, received]) => sent === received);
}
