/** Host nodes in one thread, for tests of what JavaScript actors do to one another. */
import { HostNode } from "../../worker-shell/host-node.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { soon } from "../../worker-shell/soon.js";
import { until } from "../worker-shell/until.js";

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nodes in one thread, linked in memory; a link can be held back. */
export class Net {
  nodes = new Map();
  held = undefined;
  malformed = [];
  errors = [];

  node(name) {
    const node = new HostNode({
      name,
      connect: (to, incarnation) => this.connect(node, to, incarnation),
      onMalformed: (peer, error) => this.malformed.push(error.message),
      onError: (text) => this.errors.push(text),
    });
    this.nodes.set(name, node);
    return node;
  }

  connect(from, to, incarnation) {
    const target = this.nodes.get(to);
    if (target?.incarnation !== incarnation) return "unknown_node";
    const deliver = (bytes) => target.deliver(from.name, from.incarnation, bytes);
    return { send: (bytes) => (this.held ? this.held.push(() => deliver(bytes)) : soon(() => deliver(bytes))) };
  }

  release() {
    const held = this.held;
    this.held = undefined;
    held.forEach((deliver) => deliver());
  }
}

/** The same actor as another node sees it. */
export const seenBy = (node, ref) => node.refs.get(RemoteRef.addressOf(ref));

/** Two nodes, and on the second an object that the first has a reference to. */
export function two(object, options) {
  const net = new Net();
  const [a, b] = [net.node("a"), net.node("b")];
  const ref = b.expose("thing", object, options);
  return { net, a, b, ref: seenBy(a, ref), local: ref };
}

export async function nothingLeft(...nodes) {
  for (const node of nodes) {
    await until(() => {
      const { pending, tasks, timers } = node.stats();
      return pending + tasks + timers === 0;
    });
  }
}
