/** Events for whoever iterates over them: each iterator has a bounded queue of its own. */

/** Events that may wait for a slow reader; what comes above is counted and dropped. */
const BOUND = 1000;

class EventQueue {
  #events = [];
  #dropped = 0;
  #waiting = [];
  #ended = false;
  #onReturn;

  constructor(onReturn) {
    this.#onReturn = onReturn;
  }

  push(event) {
    const waiting = this.#waiting.shift();
    if (waiting) return waiting({ value: event, done: false });
    if (this.#events.length >= BOUND) this.#dropped += 1;
    else this.#events.push(event);
    return undefined;
  }

  end() {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ value: undefined, done: true });
  }

  next() {
    if (this.#events.length > 0) return Promise.resolve({ value: this.#events.shift(), done: false });
    if (this.#dropped > 0) {
      const event = { type: "dropped", count: this.#dropped };
      this.#dropped = 0;
      return Promise.resolve({ value: event, done: false });
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return() {
    this.#onReturn(this);
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

export class Events {
  #queues = new Set();
  #ended = false;

  push(event) {
    for (const queue of this.#queues) queue.push(event);
  }

  iterate() {
    const queue = new EventQueue((gone) => this.#queues.delete(gone));
    if (this.#ended) queue.end();
    else this.#queues.add(queue);
    return queue;
  }

  end() {
    this.#ended = true;
    for (const queue of this.#queues) queue.end();
    this.#queues.clear();
  }
}
