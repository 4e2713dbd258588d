/**
 * A worker thread that starts while there is nothing yet that it could run. What happens to it until
 * somebody takes it is kept.
 */
export class EarlyThread {
  #thread;
  #failed;
  #events;
  #kept = [];

  /** @param {(events: import("./platform.js").ThreadEvents) => object} start */
  constructor(start) {
    const on = (type) => (value) => (this.#events ? this.#events[type](value) : this.#kept.push([type, value]));
    try {
      this.#thread = start({ onMessage: on("onMessage"), onEnd: on("onEnd") });
    } catch (error) {
      this.#failed = error;
    }
  }

  /** Throws what starting it threw. @param {import("./platform.js").ThreadEvents} events from now on */
  take(events) {
    if (this.#failed) throw this.#failed;
    this.#events = events;
    // First whoever takes it has it: it may have to be ended.
    queueMicrotask(() => {
      for (const [type, value] of this.#kept) events[type](value);
    });
    return this.#thread;
  }

  async terminate() {
    await this.#thread?.terminate();
  }
}
