// worker-shell/ring-loop.js: when a node sleeps.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Doorbells, RingReader, RingWriter } from "../../worker-shell/ring.js";
import { RingLoop } from "../../worker-shell/ring-loop.js";
import { Traffic } from "../../worker-shell/traffic.js";
import { inPage, links } from "../support/here.js";

/** A page may not sleep. */
const skip = inPage || !links.includes("ring");

const PEER = 1;
const MOST_STEPS = 20;

/** Runs a loop until it has slept so often, or has stepped so often that it will not; returns how often it slept. */
function sleeps(loop, node, most, asleep) {
  const { wait } = Atomics;
  let count = 0;
  node.stepped = (steps) => steps > MOST_STEPS && loop.stop();
  Atomics.wait = () => {
    if (++count === most) loop.stop();
    else asleep(count);
    return "ok";
  };
  try {
    loop.turn();
  } finally {
    Atomics.wait = wait;
  }
  return count;
}

/** A node with more to send to its peer than their ring takes, until the peer turns out to be malformed. */
function nodeThatSends(bytes) {
  let left = bytes;
  let steps = 0;
  return {
    step() {
      left = left.subarray(this.send(PEER, left, 0, left.length));
      this.stepped((steps += 1));
      return Infinity;
    },
    run() {
      left = left.subarray(left.length);
      return -1;
    },
    put: () => 0,
  };
}

/** Reads all that there is; returns how much. */
function drain(reader) {
  let sum = 0;
  for (let count; (count = reader.peek(1 << 20)); sum += count) reader.advance(count);
  return sum;
}

describe("a loop over rings", { skip }, () => {
  it("sleeps when a link is dropped that was full, and the peer has read what was in it", () => {
    const doorbells = Doorbells.create(2);
    const node = nodeThatSends(new Uint8Array(100_000));
    const dropped = [];
    const malformed = (peer) => {
      dropped.push(peer);
      drain(reader);
    };
    const loop = new RingLoop(node, { doorbells, slot: 0, traffic: new Traffic(), malformed });
    node.send = (peer, bytes, start, count) => (count === 0 ? 0 : loop.send(peer, bytes, start, count));
    const reader = new RingReader(loop.connect(PEER).offer, doorbells, 1);
    const writer = new RingWriter(doorbells, 1);
    loop.accept(PEER, writer.buffer);

    assert.equal(sleeps(loop, node, 2, () => writer.write(Uint8Array.of(1))), 2);
    assert.deepEqual(dropped, [PEER]);
  });

  it("goes on sending when its peer has made room", () => {
    const doorbells = Doorbells.create(2);
    const node = nodeThatSends(new Uint8Array(100_000));
    const loop = new RingLoop(node, { doorbells, slot: 0, traffic: new Traffic(), malformed: assert.fail });
    node.send = (peer, bytes, start, count) => (count === 0 ? 0 : loop.send(peer, bytes, start, count));
    const reader = new RingReader(loop.connect(PEER).offer, doorbells, 1);
    let read = 0;
    assert.equal(sleeps(loop, node, 2, () => (read += drain(reader))), 2);
    assert.equal(read + drain(reader), 100_000);
  });
});
