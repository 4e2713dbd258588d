/**
 * A Lua node in the host's own thread, behind the face of a worker: the same messages, handed over
 * in turns of their own, so that neither side runs inside the other.
 */
import { NodeShell } from "./node-shell.js";
import { soon } from "./soon.js";

export class InlineThread {
  #shell;
  #events;
  #ended = false;

  /**
   * @param {import("./platform.js").Platform} platform
   * @param {import("./platform.js").ThreadEvents} events
   */
  constructor(platform, events) {
    this.#events = events;
    const post = (message) => queueMicrotask(() => this.#ended || events.onMessage(message));
    this.#shell = new NodeShell(post, platform.makeFiles, platform.loadRest);
  }

  post(message) {
    // No microtask: two who call each other all the time must let others in between.
    soon(() => this.#ended || this.#shell.receive(message));
  }

  async terminate() {
    if (this.#ended) return;
    this.#ended = true;
    this.#shell.abandon();
    this.#events.onEnd("it was terminated");
  }
}
