/**
 * A node of JavaScript actors at the end of a port, wherever that is: in an AudioWorklet, say. It has no link
 * to any other node: the host, which has the port's other end, passes on what they send to one another.
 * See attached.js for that end. Every message is an object with `mooncast: 1` and a `type`:
 *
 *   host to node                                     node to host
 *   start   name, incarnation, ..., more             ready | failed  message
 *   data    from, bytes                              data      to, bytes
 *   down    name, incarnation                        exposed   name, address
 *   close                                            malformed from      log  level, text
 */
import { HostActors } from "./host-actors.js";
import { HostNode } from "./host-node.js";
import * as json from "./json.js";
import { RemoteRef } from "./ref.js";

export class PortNode {
  #port;
  #node;
  #open;
  #close;

  /**
   * @param {MessagePort} port
   * @param {{ open: (node: PortNode, more: object) => void, close?: () => void }} events
   *   open: makes the actors, given what the host had to say; close: it ends
   */
  constructor(port, { open, close = () => {} }) {
    this.#port = port;
    this.#open = open;
    this.#close = close;
    port.onmessage = ({ data }) => data?.mooncast === 1 && handlers[data.type]?.call(this, data);
  }

  #post(type, fields = {}, transfer = []) {
    this.#port.postMessage({ mooncast: 1, type, ...fields }, transfer);
  }

  /** Makes an object callable: system.expose, here. @returns {RemoteRef} */
  expose(name, object, options = {}) {
    const ref = this.#node.expose(name, object, options);
    this.#post("exposed", { name, address: RemoteRef.addressOf(ref) });
    return ref;
  }

  start({ name, incarnation, callTimeout, codec, more }) {
    this.#node = new HostNode({
      name,
      incarnation,
      callTimeout,
      codec: codec === "json" ? json : undefined,
      // In a worklet nothing can be loaded later.
      HostActors,
      connect: (to, toIncarnation) => ({ send: (bytes) => this.#send({ name: to, incarnation: toIncarnation }, bytes) }),
      onError: (text) => this.#post("log", { level: "error", text }),
      onMalformed: (peer) => this.#post("malformed", { from: { name: peer.name, incarnation: peer.incarnation } }),
    });
    try {
      this.#open(this, more);
      this.#post("ready");
    } catch (error) {
      this.#post("failed", { message: error.message });
    }
  }

  #send(to, bytes) {
    const whole = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
    this.#post("data", { to, bytes: whole.buffer }, [whole.buffer]);
  }

  data({ from, bytes }) {
    this.#node?.deliver(from.name, from.incarnation, new Uint8Array(bytes));
  }

  down({ name, incarnation }) {
    this.#node?.peerDown(name, incarnation);
  }

  close() {
    this.#node?.close();
    this.#port.close?.();
    this.#close();
  }
}

const handlers = {
  start(message) {
    this.start(message);
  },
  data(message) {
    this.data(message);
  },
  down(message) {
    this.down(message);
  },
  close() {
    this.close();
  },
};
