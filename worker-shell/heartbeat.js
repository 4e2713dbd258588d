/**
 * Notices a node that hangs: one that says nothing for longer than the timeout though it was asked.
 * A node that only computes does answer, because its handlers are preempted. When this very timer
 * comes late, the whole process was asleep, and nobody is blamed.
 */

export class Heartbeat {
  #pool;
  #timeout;
  #interval;
  #timer;
  #due;
  #round = 0;

  /**
   * @param {import("./pool.js").Pool} pool
   * @param {number} timeout milliseconds
   */
  constructor(pool, timeout) {
    this.#pool = pool;
    this.#timeout = timeout;
    this.#interval = Math.max(1, timeout / 4);
    this.#due = performance.now() + this.#interval;
    this.#timer = setInterval(() => this.#beat(), this.#interval);
    this.#timer.unref?.();
  }

  stop() {
    clearInterval(this.#timer);
  }

  #beat() {
    const now = performance.now();
    const late = now - this.#due > this.#interval;
    this.#due = now + this.#interval;
    for (const node of this.#pool.list()) {
      if (node.state !== "ready") continue;
      if (late) node.heardAt = now;
      else if (now - node.heardAt > this.#timeout) this.#hung(node);
      node.probe(`beat ${++this.#round}`);
    }
  }

  #hung(node) {
    node.kill("node_hung", `node ${node.name} did not answer for ${this.#timeout} ms and was killed`);
  }
}
