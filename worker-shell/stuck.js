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

export class StuckDetector {
  #pool;
  #host;
  #onStuck;
  #timer;
  #round = 0;
  #last = "";

  /**
   * @param {import("./pool.js").Pool} pool
   * @param {{ name: string, incarnation: number, busy: () => boolean }} host
   * @param {() => void} onStuck called once
   */
  constructor(pool, host, onStuck) {
    this.#pool = pool;
    this.#host = host;
    this.#onStuck = onStuck;
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
    const state = await this.#ask();
    if (!this.#onStuck) return;
    if (state !== "" && state === this.#last) return this.#onStuck();
    this.#last = state;
    this.#again();
  }

  /** @returns {Promise<string>} what everybody has sent and received; "" when somebody is busy */
  async #ask() {
    const round = ++this.#round;
    const nodes = this.#pool.list();
    const answers = await Promise.all(nodes.map((node) => node.probe(round)));
    if (this.#host.busy() || nodes.some((node) => !node.alive)) return "";
    if (answers.some((answer) => !answer?.idle)) return "";
    const counts = countsOf(nodes, answers, this.#host);
    return balanced(counts) ? JSON.stringify([...counts]) : "";
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
