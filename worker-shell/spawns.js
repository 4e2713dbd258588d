/**
 * Spawns that the host asks nodes for. One that is aborted or timed out may have made its actor already,
 * and the answer then finds nobody: so each has a token, and the node is told how it went, as between
 * Lua nodes (lua/node.lua, "Spawning"): at once when the actor is not wanted, else by the dozen.
 */
const TOLD_AT_ONCE = 64;

export class Spawns {
  #sender;
  #count = 0;
  #settled = new Map();

  /** @param {string} sender the host's name */
  constructor(sender) {
    this.#sender = sender;
  }

  /**
   * @param {import("./ref.js").RemoteRef} nodeActor of the node that is asked
   * @param {string} type
   * @param {string | null} on the node for the actor; null: any
   * @param {unknown[]} args
   */
  async ask(nodeActor, type, on, args, options) {
    const token = ++this.#count;
    let answered = false;
    try {
      const ref = await nodeActor.call("spawn_type", [type, on, this.#sender, token, ...args], options);
      answered = true;
      return ref;
    } finally {
      this.#settle(nodeActor, answered ? token : -token);
    }
  }

  #settle(nodeActor, told) {
    const tokens = this.#settled.get(nodeActor.node) ?? [];
    tokens.push(told);
    this.#settled.set(nodeActor.node, tokens);
    if (told > 0 && tokens.length < TOLD_AT_ONCE) return;
    this.#settled.delete(nodeActor.node);
    nodeActor.cast("settle", [this.#sender, tokens]).catch(() => {});
  }

  /** The node is gone, and what it remembered. */
  forget(node) {
    this.#settled.delete(node);
  }
}
