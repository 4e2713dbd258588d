/**
 * Notices that a program can never end: every node is idle and has set no timer, nothing is on the
 * way between them, and the host itself does nothing.
 *
 * A round asks every node how things stand. Two rounds, the second begun after the first was over,
 * that both found everybody idle and the same bytes sent and received on every link, prove that
 * nobody ran and nothing was on the way at the moment between them (Mattern's four counters). Only
 * something from outside, which a program from the command line has not, could start it again.
 */

const INTERVAL_MS = 500;
/** So many rounds in a row in which only handlers of the host do anything, before somebody is told. */
const QUIET_ROUNDS = 10;

export class StuckDetector {
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
