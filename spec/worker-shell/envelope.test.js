import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  FrameReader,
  decodeEnvelope,
  encodeCall,
  encodeCancel,
  encodeCast,
  encodeCredit,
  encodeError,
  encodeHello,
  encodeProbe,
  encodeReply,
  encodeStop,
  typeHash,
} from "../../worker-shell/envelope.js";
import { Reader } from "../../worker-shell/cbor.js";
import * as Kind from "../../worker-shell/kind.js";
import { RefTable } from "../../worker-shell/ref.js";
import { decodeValue, decodeValues } from "../../worker-shell/value.js";
import { fromHex, toHex, vectors } from "./vectors.js";

const refs = new RefTable({});
const { valid, malformed, malformed_frames: malformedFrames } = await vectors("envelopes");

const encoders = [encodeHello, encodeCall, encodeCast, encodeReply, encodeError, encodeStop, encodeCredit, encodeCancel, encodeProbe];

/** What an encoder takes, from what a vector says. */
function fieldsOf(vector) {
  const fields = { ...vector };
  if (vector.context) fields.context = fromHex(vector.context);
  if (vector.secret) fields.secret = fromHex(vector.secret);
  if (vector.type) fields.type = typeHash(vector.type);
  if (vector.arguments) fields.args = decodeValues(fromHex(vector.arguments), refs);
  if (vector.results) fields.results = decodeValues(fromHex(vector.results), refs);
  for (const name of ["value", "traceback"]) {
    if (vector[name]) fields[name] = decodeValue(new Reader(fromHex(vector[name])), refs);
  }
  return fields;
}

const simple = ["kind", "version", "node", "incarnation", "call", "instance", "method", "chain", "code", "count", "probe", "cycle"];

describe("golden vectors of envelopes", () => {
  for (const vector of valid) {
    it(`writes ${vector.name}`, () => {
      const frame = encoders[vector.kind](fieldsOf(vector));
      assert.equal(frame[0], 0x5a);
      assert.equal(new DataView(frame.buffer).getUint32(1), frame.length - 5);
      assert.equal(toHex(frame.subarray(5)), vector.hex);
    });

    it(`reads ${vector.name}`, () => {
      const envelope = decodeEnvelope(fromHex(vector.hex));
      for (const name of simple) if (name in vector) assert.deepEqual(envelope[name], vector[name], name);
      if (vector.secret) assert.equal(toHex(envelope.secret), vector.secret);
      if (vector.type) assert.equal(envelope.type, typeHash(vector.type));
      if (vector.kind === Kind.CALL) assert.equal(envelope.remaining, vector.remaining ?? null);
      if (vector.arguments) assert.equal(envelope.context && toHex(envelope.context), vector.context ?? null);
      if (vector.arguments) assert.equal(toHex(envelope.body), vector.arguments);
      if (vector.results) assert.equal(toHex(envelope.body), vector.results);
    });
  }
  for (const vector of malformed) {
    it(`refuses ${vector.name}`, () => {
      assert.throws(() => decodeEnvelope(fromHex(vector.hex)), { code: "malformed" });
    });
  }
  for (const vector of malformedFrames) {
    it(`refuses ${vector.name}`, () => {
      assert.throws(() => new FrameReader().push(fromHex(vector.hex)), { code: "malformed" });
    });
  }
});

describe("the context of a call", () => {
  const to = { instance: 3, secret: new Uint8Array(16), type: 1, method: "f" };
  const context = (length) => new Uint8Array(length).fill(1);

  it("has 4096 bytes at most [F4]", () => {
    const read = (frame) => decodeEnvelope(frame.subarray(5)).context.length;
    assert.equal(read(encodeCall({ call: 1, ...to, chain: [], context: context(4096), args: [] })), 4096);
    assert.equal(read(encodeCast({ ...to, context: context(4096), args: [] })), 4096);
    for (const frame of [
      encodeCall({ call: 1, ...to, chain: [], context: context(4097), args: [] }),
      encodeCast({ ...to, context: context(4097), args: [] }),
    ]) {
      assert.throws(() => read(frame), { code: "malformed" });
    }
  });
});

describe("a link", () => {
  const frames = valid.map((vector) => encoders[vector.kind](fieldsOf(vector)));
  const stream = Uint8Array.from(frames.flatMap((frame) => [...frame]));
  const envelopes = frames.map((frame) => toHex(frame.subarray(5)));

  const receive = (...pieces) => {
    const reader = new FrameReader();
    const got = pieces.flatMap((piece) => reader.push(piece).map(toHex));
    assert.equal(reader.waiting, 0);
    return got;
  };

  it("may be cut anywhere into two", () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      assert.deepEqual(receive(stream.subarray(0, cut), stream.subarray(cut)), envelopes);
    }
  });

  it("may be cut anywhere into three", () => {
    const two = stream.subarray(0, frames[0].length + frames[1].length);
    for (let a = 0; a <= two.length; a++) {
      for (let b = a; b <= two.length; b++) {
        const got = receive(two.subarray(0, a), two.subarray(a, b), two.subarray(b));
        assert.deepEqual(got, envelopes.slice(0, 2));
      }
    }
  });

  it("may come byte by byte", () => {
    assert.deepEqual(receive(...Array.from(stream, (_, i) => stream.subarray(i, i + 1))), envelopes);
  });

  it("never allocates ahead of the bytes", () => {
    const reader = new FrameReader();
    assert.deepEqual(reader.push(fromHex("5a10000000")), []);
    assert.equal(reader.waiting, 5);
  });

  it("carries 16 MiB in pieces of 64 KiB", () => {
    const value = new Uint8Array(16 << 20).fill(7);
    const frame = encodeReply({ call: 1, results: [value] });
    const reader = new FrameReader();
    const got = [];
    for (let at = 0; at < frame.length; at += 65536) got.push(...reader.push(frame.subarray(at, at + 65536)));
    assert.equal(got.length, 1);
    const [back] = decodeValues(decodeEnvelope(got[0]).body, refs);
    assert.equal(back.length, value.length);
  });
});

describe("the hash of a type's name", () => {
  it("is FNV-1a", () => {
    assert.equal(typeHash(""), 0x811c9dc5);
    assert.equal(typeHash("a"), 0xe40c292c);
    assert.equal(typeHash("foobar"), 0xbf9cf968);
  });
});
