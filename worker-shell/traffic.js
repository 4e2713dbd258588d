/**
 * How many bytes went to and came from each peer of a node. When nobody runs and both ends of every
 * link have counted the same, nothing is on the way.
 */
export class Traffic {
  #sent = [];
  #received = [];
  /** All that was sent. */
  total = 0;

  sent(peer, count) {
    this.#sent[peer] = (this.#sent[peer] ?? 0) + count;
    this.total += count;
  }

  received(peer, count) {
    this.#received[peer] = (this.#received[peer] ?? 0) + count;
  }

  /** @param {number} peer @returns {[number, number]} sent, received */
  of(peer) {
    return [this.#sent[peer] ?? 0, this.#received[peer] ?? 0];
  }
}
