import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Doorbells, RingReader, RingWriter } from "../../worker-shell/ring.js";
import { inPage, links, startThread } from "../support/here.js";

/** There is no memory to share. */
const skip = !links.includes("ring");

const bytes = (...list) => Uint8Array.from(list);

function ring(capacity) {
  const doorbells = Doorbells.create(2);
  const writer = new RingWriter(doorbells, 0, capacity);
  return { doorbells, writer, reader: new RingReader(writer.buffer, doorbells, 1) };
}

function drain(reader, most = 1 << 20) {
  const got = [];
  for (let count; (count = reader.peek(most)); reader.advance(count)) {
    got.push(...reader.data.subarray(reader.at, reader.at + count));
  }
  return got;
}

describe("a ring", { skip }, () => {
  it("gives what was put in, in order, and across its end", () => {
    const { writer, reader } = ring(8);
    for (let round = 0; round < 50; round++) {
      assert.equal(reader.glimpse, false);
      assert.equal(writer.write(bytes(round, 1, 2, 3, 4)), 5);
      assert.equal(reader.glimpse, true);
      assert.deepEqual(drain(reader, 3), [round, 1, 2, 3, 4]);
    }
    assert.equal(reader.peek(10), 0);
  });

  it("takes what there is room for, and says when there is room again", () => {
    const { writer, reader } = ring(8);
    assert.equal(writer.write(bytes(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)), 8);
    assert.equal(writer.unblocked, false);
    assert.equal(writer.write(bytes(9, 10)), 0);
    reader.advance(reader.peek(3));
    assert.equal(writer.unblocked, true);
    assert.equal(writer.write(bytes(9, 10)), 2);
    assert.equal(writer.unblocked, false);
    assert.deepEqual(drain(reader), [4, 5, 6, 7, 8, 9, 10]);
  });

  // The receiver makes room and finds the sender's doorbell, the sender uses that room up and waits anew,
  // and only then the receiver takes the doorbell away.
  it("does not let a sender sleep whose doorbell was taken just now", () => {
    const { writer, reader } = ring(8);
    assert.equal(writer.write(new Uint8Array(9)), 8);
    const { exchange } = Atomics;
    Atomics.exchange = (...args) => {
      Atomics.exchange = exchange;
      assert.equal(writer.write(new Uint8Array(9)), 8);
      return exchange(...args);
    };
    try {
      reader.advance(reader.peek(8));
    } finally {
      Atomics.exchange = exchange;
    }
    assert.equal(writer.unblocked, true);
    assert.equal(writer.write(bytes(1)), 0);
    assert.equal(writer.unblocked, false);
  });

  it("takes a part of an array, short or long", () => {
    const { writer, reader } = ring(1024);
    const all = Uint8Array.from({ length: 600 }, (_, i) => i % 251);
    assert.equal(writer.write(all, 10, 20), 20);
    assert.equal(writer.write(all, 30, 500), 500);
    assert.equal(writer.write(all, 530), 70);
    assert.deepEqual(drain(reader), [...all.subarray(10)]);
  });

  it("counts bytes modulo 2^32", () => {
    const { writer, reader } = ring(1 << 24);
    const piece = new Uint8Array(1 << 24).fill(7);
    for (let i = 0; i < 300; i++) {
      assert.equal(writer.write(piece), piece.length);
      assert.equal(reader.available, piece.length);
      reader.advance(piece.length);
    }
    assert.equal(writer.write(bytes(1)), 1);
    assert.deepEqual(drain(reader), [1]);
  });

  // A page may not sleep.
  it("wakes only a sleeper", { skip: inPage }, () => {
    const doorbells = Doorbells.create(1);
    const words = new Int32Array(doorbells.buffer);
    let notified = 0;
    const { notify } = Atomics;
    Atomics.notify = (...args) => (notified++, notify(...args));
    try {
      doorbells.ring(0);
      assert.equal(notified, 0);
      doorbells.sleep(0, 1000, () => {
        doorbells.ring(0);
        return false;
      });
      assert.equal(notified, 1);
      assert.equal(words[0], 0);
    } finally {
      Atomics.notify = notify;
    }
  });

  it("counts the messages that its host has posted, modulo 2^32", () => {
    const doorbells = Doorbells.create(2);
    doorbells.control(1);
    doorbells.control(1);
    assert.equal(doorbells.posted(1), 2);
    assert.equal(doorbells.posted(0), 0);
    doorbells.clear(1);
    assert.equal(doorbells.posted(1), 0);
  });
});

describe("a ring between two threads", { skip }, () => {
  const url = new URL("./fixtures/ring-end.js", import.meta.url);

  async function stress({ capacity, total, seed }) {
    const doorbells = Doorbells.create(2).buffer;
    const threads = [startThread(url), startThread(url)];
    const [writer, reader] = threads;
    try {
      writer.post({ role: "writer", slot: 0, total, seed, capacity, doorbells });
      const buffer = await writer.next();
      reader.post({ role: "reader", slot: 1, total, seed: seed + 1, buffer, doorbells });
      assert.deepEqual(await Promise.all(threads.map((thread) => thread.next())), ["done", "done"]);
    } finally {
      for (const thread of threads) await thread.end();
    }
  }

  it("loses nothing and no wakeup, small and always full", () => stress({ capacity: 64, total: 200_000, seed: 1 }));
  it("loses nothing and no wakeup, of the usual size", () => stress({ capacity: 65536, total: 30_000_000, seed: 2 }));
});
