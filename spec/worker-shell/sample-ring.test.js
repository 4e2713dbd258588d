import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SampleRing } from "../../worker-shell/sample-ring.js";
import { makeSamples } from "../../worker-shell/samples.js";

const QUANTUM = 128;

const ringOf = (frames, channels = 1) => new SampleRing(new ArrayBuffer(SampleRing.bytes(frames, channels)), channels);
const output = (channels = 1) => Array.from({ length: channels }, () => new Float32Array(QUANTUM).fill(9));
const ramp = (from, frames) => Float32Array.from({ length: frames }, (_, i) => from + i);

function read(ring, channels) {
  const to = output(channels);
  const count = ring.read(to);
  return { count, to };
}

describe("a ring of samples", () => {
  it("has room for at least so many frames", () => {
    for (const [frames, capacity] of [[128, 128], [129, 256], [12000, 16384]]) assert.equal(ringOf(frames).capacity, capacity);
  });

  it("gives what was written in order, around its end, whatever the pieces", () => {
    const ring = ringOf(1024, 2);
    let [written, expected] = [0, 0];
    for (let turn = 0; turn < 200; turn++) {
      const frames = 1 + ((turn * 37) % 300);
      const samples = Float32Array.from({ length: 2 * frames }, (_, i) => (i % 2 === 0 ? 1 : -1) * (written + 1 + (i >> 1)));
      written += ring.write(samples);
      if (turn === 0) continue;
      const { count, to } = read(ring, 2);
      for (let i = 0; i < count; i++) {
        expected += 1;
        assert.deepEqual([to[0][i], to[1][i]], [expected, -expected]);
      }
    }
    assert.ok(expected > 10 * 1024, `${expected} frames`);
    assert.equal(ring.played, expected);
  });

  it("takes no more than there is room for", () => {
    const ring = ringOf(256);
    assert.deepEqual([ring.write(ramp(0, 300)), ring.write(ramp(0, 1)), ring.ahead], [256, 0, 256]);
    read(ring);
    assert.equal(ring.write(ramp(0, 300), 290), 10);
  });

  it("begins when it is half full, or when nothing more is to come", () => {
    const ring = ringOf(1024);
    ring.write(ramp(1, 511));
    assert.deepEqual([read(ring).count, ring.underruns], [0, 0]);
    ring.write(ramp(512, 1));
    assert.equal(read(ring).to[0][0], 1);
    const short = ringOf(1024);
    short.write(ramp(1, 10));
    short.finish();
    const { count, to } = read(short);
    assert.deepEqual([count, to[0][9], to[0][10], short.underruns], [10, 10, 0, 0]);
  });

  it("counts an underrun once, its silence by frames, and fills up before it goes on", () => {
    const ring = ringOf(256);
    ring.write(ramp(1, 192));
    read(ring);
    const { count, to } = read(ring);
    assert.deepEqual([count, to[0][63], to[0][64], ring.underruns, ring.missing], [64, 192, 0, 1, 64]);
    read(ring);
    ring.write(ramp(193, 127));
    read(ring);
    assert.deepEqual([ring.underruns, ring.missing, ring.ahead], [1, 64 + 256, 127]);
    ring.write(ramp(320, 1));
    assert.deepEqual([read(ring).to[0][0], ring.underruns], [193, 1]);
  });

  it("does not count silence before the first sample and behind the last", () => {
    const ring = ringOf(256);
    read(ring);
    ring.write(ramp(1, 256));
    ring.finish();
    for (let i = 0; i < 5; i++) read(ring);
    assert.deepEqual([ring.played, ring.underruns, ring.missing], [256, 0, 0]);
  });

  it("forgets what was not played when it is cleared, and goes on with what comes then", () => {
    const ring = ringOf(512);
    ring.write(ramp(1, 512));
    read(ring);
    ring.clear();
    assert.deepEqual([read(ring).count, ring.ahead, ring.underruns], [0, 0, 0]);
    ring.write(ramp(1000, 256));
    assert.equal(read(ring).to[0][0], 1000);
  });

  // The reader has seen the first clearing and not yet how far it goes.
  it("plays nothing twice when it is cleared again at that very moment", () => {
    const ring = ringOf(1024);
    ring.write(ramp(1, 300));
    ring.clear();
    const { load } = Atomics;
    Atomics.load = (words, word) => {
      const value = load(words, word);
      if (word !== 2) return value;
      Atomics.load = load;
      ring.write(ramp(301, 200));
      ring.clear();
      ring.write(ramp(501, 500));
      ring.finish();
      return value;
    };
    try {
      assert.equal(read(ring).to[0][0], 501);
    } finally {
      Atomics.load = load;
    }
    assert.equal(read(ring).to[0][0], 501 + QUANTUM);
    assert.equal(ring.ahead, 500 - 2 * QUANTUM);
  });

  it("counts on when its counters go around", () => {
    const ring = ringOf(256);
    const words = new Int32Array(ring.buffer, 0, 32);
    words[0] = words[16] = 2 ** 31 - 100;
    ring.write(ramp(1, 256));
    const first = read(ring).to[0];
    const second = read(ring).to[0];
    assert.deepEqual([first[0], first[127], second[0], second[127], ring.ahead], [1, 128, 129, 256, 0]);
  });

  it("plays the last of its channels on those that it has not", () => {
    const ring = ringOf(128, 1);
    ring.write(ramp(1, 128));
    const { to } = read(ring, 2);
    assert.deepEqual([to[0][5], to[1][5]], [6, 6]);
  });
});

describe("the actor that fills it", () => {
  const context = () => ({ signal: new AbortController().signal });
  const bytes = (frames) => ramp(1, frames).buffer;

  it("refuses what is no whole number of frames", async () => {
    const samples = makeSamples(ringOf(256, 2), 48_000);
    for (const bad of [new ArrayBuffer(4), Uint8Array.of(1), "abc", 5, undefined]) {
      await assert.rejects(samples.write.call(context(), bad), /2 to a frame/);
    }
  });

  it("takes buffers, bytes at any place, and strings", async () => {
    const ring = ringOf(1024);
    const samples = makeSamples(ring, 48_000);
    await samples.write.call(context(), bytes(2));
    await samples.write.call(context(), new Uint8Array([9, ...new Uint8Array(bytes(2))]).subarray(1));
    await samples.write.call(context(), "\0\0\0\0");
    ring.finish();
    assert.deepEqual([...read(ring).to[0].subarray(0, 5)], [1, 2, 1, 2, 0]);
  });

  it("waits until all is in the ring, and no longer when it is cleared or given up", async () => {
    const ring = ringOf(256);
    const samples = makeSamples(ring, 48_000);
    const write = samples.write.call(context(), bytes(600));
    while (ring.played < 600 - 256) {
      read(ring);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok((await write) <= 256);
    const cleared = samples.write.call(context(), bytes(600));
    samples.clear();
    await cleared;
    const abort = new AbortController();
    const given = samples.write.call({ signal: abort.signal }, bytes(600));
    abort.abort();
    await given;
  });
});
