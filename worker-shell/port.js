/**
 * A link over a MessagePort: one transferred ArrayBuffer per batch. A port never pushes back, so the
 * receiver tells how much it has taken, and the sender keeps no more than a window on the way. What a
 * worker has sent may be lost with it: one that ends in order sends null and waits for the answer.
 */

/** Bytes that may be on the way. */
export const PORT_WINDOW = 1024 * 1024;
const ACKNOWLEDGE_EVERY = PORT_WINDOW / 4;

export class PortWriter {
  #port;
  #left = PORT_WINDOW;
  #refused = false;
  #taken;

  /**
   * @param {MessagePort} port
   * @param {() => void} onRoom there is room again after bytes were refused
   */
  constructor(port, onRoom) {
    this.#port = port;
    port.onmessage = ({ data }) => {
      if (data === null) return this.#taken?.();
      this.#left += data;
      if (!this.#refused) return;
      this.#refused = false;
      return onRoom();
    };
  }

  /** Nothing follows. Resolves when all that was written has arrived; never, if nobody reads any more. */
  end() {
    return new Promise((resolve) => {
      this.#taken = resolve;
      this.#port.postMessage(null);
    });
  }

  /** Sends what the window allows. @param {Uint8Array} bytes @returns {number} how many */
  write(bytes) {
    const count = Math.min(bytes.length, this.#left);
    this.#refused ||= count < bytes.length;
    if (count === 0) return 0;
    // A copy of its own: posting a view would clone the whole memory it looks at.
    const batch = bytes.slice(0, count);
    this.#left -= count;
    this.#port.postMessage(batch.buffer, [batch.buffer]);
    return count;
  }

  close() {
    this.#port.close();
  }
}

export class PortReader {
  #port;
  #taken = 0;

  /** @param {MessagePort} port @param {(bytes: Uint8Array) => void} onBytes */
  constructor(port, onBytes) {
    this.#port = port;
    port.onmessage = ({ data }) => {
      if (data === null) return port.postMessage(null);
      this.#acknowledge(data.byteLength);
      return onBytes(new Uint8Array(data));
    };
  }

  #acknowledge(count) {
    this.#taken += count;
    if (this.#taken < ACKNOWLEDGE_EVERY) return;
    this.#port.postMessage(this.#taken);
    this.#taken = 0;
  }

  close() {
    this.#port.close();
  }
}
