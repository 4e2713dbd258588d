import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Reader, Writer } from "../../worker-shell/cbor.js";
import { ActorError } from "../../worker-shell/errors.js";
import { RefTable } from "../../worker-shell/ref.js";
import { decodeValue, decodeValues, encodeValue, encodeValues } from "../../worker-shell/value.js";
import { fromHex, nested, toHex, vectors } from "./vectors.js";

const refs = new RefTable({});

function ref(node, incarnation, instance, secret, type) {
  return refs.get({ node, incarnation, instance, secret: fromHex(secret), type });
}

function decode(bytes) {
  const reader = new Reader(bytes);
  const value = decodeValue(reader, refs);
  reader.end();
  return value;
}

function encode(value) {
  const writer = new Writer();
  encodeValue(writer, value);
  return writer.take();
}

function roundTrip(...values) {
  const writer = new Writer(1);
  encodeValues(writer, values, "arguments");
  return decodeValues(writer.take(), refs);
}

function refusal(value) {
  try {
    roundTrip(value);
  } catch (error) {
    assert.ok(error instanceof ActorError, String(error));
    assert.equal(error.code, "unsendable");
    return error.message;
  }
  assert.fail("it was sent");
}

/** The value that a vector's expression stands for. */
function expected({ js }) {
  return new Function("ref", "nested", "ActorError", `return (${js})`)(ref, nested, ActorError);
}

/** An error without its stack. */
function comparable(value) {
  return value instanceof ActorError ? [value.code, value.message, value.transport] : value;
}

const { valid, malformed } = await vectors("values");

describe("golden vectors of values", () => {
  for (const vector of valid) {
    it(`reads and writes ${vector.name}`, () => {
      const value = decode(fromHex(vector.hex));
      assert.deepEqual(comparable(value), comparable(expected(vector)));
      assert.equal(toHex(encode(value)), vector.js_hex ?? vector.hex);
    });
  }
  for (const vector of malformed) {
    it(`refuses ${vector.name}`, () => {
      const code = vector.code ?? "malformed";
      assert.throws(() => decode(fromHex(vector.hex)), { name: "ActorError", code });
    });
  }
  it("are there", () => assert.ok(valid.length > 50 && malformed.length > 50));
});

describe("values", () => {
  it("keep nil in front, inside and behind", () => {
    assert.deepEqual(roundTrip(null, 2, undefined), [null, 2, null]);
    assert.deepEqual(roundTrip(), []);
  });

  it("drop nils from tables, which cannot hold them", () => {
    assert.deepEqual(roundTrip({ a: undefined, b: null, c: 1 }), [{ c: 1 }]);
    assert.deepEqual(roundTrip(new Map([[1, null], [2, 3]])), [new Map([[2, 3]])]);
  });

  it("take integers for integers and all else for floats", () => {
    const heads = [5, -0, 2 ** 53, 1.5, 5n].map((value) => encode(value)[0]);
    assert.deepEqual(heads, [0x05, 0xfb, 0xfb, 0xfb, 0x05]);
  });

  it("come as plain objects when all keys are strings, else as Map", () => {
    assert.deepEqual(roundTrip(new Map([["a", 1]])), [{ a: 1 }]);
    assert.deepEqual(roundTrip(new Map([["a", 1], [2, 3]])), [new Map([["a", 1], [2, 3]])]);
  });

  it("do not change what an object inherits", () => {
    const [back] = roundTrip(JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}'));
    assert.equal(Object.getPrototypeOf(back), Object.prototype);
    assert.equal(back.admin, undefined);
    assert.deepEqual(Object.keys(back), ["__proto__", "constructor"]);
  });

  it("are copies: bytes do not share memory", () => {
    const wire = encode(Uint8Array.of(1, 2, 3)).slice();
    const back = decode(wire);
    wire.fill(0);
    assert.deepEqual(back, Uint8Array.of(1, 2, 3));
    assert.equal(back.buffer.byteLength, 3);
  });

  it("keep a ref one object, and its secret out of sight", () => {
    const counter = ref("w1", 5, 3, "00".repeat(15) + "ff", "Counter");
    const [again, list] = roundTrip(counter, [counter]);
    assert.equal(again, counter);
    assert.equal(list[0], counter);
    assert.equal(`${counter}`, "Counter(w1/3)");
    assert.equal(JSON.stringify({ counter }), '{"counter":"Counter(w1/3)"}');
    assert.deepEqual(Object.keys(counter), []);
  });

  it("carry a system error as mc.Error, whose receiver did not make it", () => {
    const [back] = roundTrip(new ActorError("node_down", "node w2 went down", { node: "w2" }));
    assert.ok(back instanceof ActorError);
    assert.deepEqual([back.code, back.node, back.transport], ["node_down", "w2", false]);
    assert.equal(back.message, "node_down: node w2 went down");
  });

  it("survive a Float: every double but -0 and NaN compares equal", () => {
    let seed = 1;
    const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31);
    const view = new DataView(new ArrayBuffer(8));
    for (let i = 0; i < 10_000; i++) {
      view.setUint32(0, random());
      view.setUint32(4, random());
      const number = view.getFloat64(0);
      const [back] = roundTrip(number);
      assert.ok(Object.is(back, number) || Number.isNaN(number), String(number));
    }
  });
});

describe("what cannot be sent", () => {
  const cyclic = { list: [] };
  cyclic.list.push({ back: cyclic });
  const cases = [
    ["a function", () => {}, "cannot send a function at arguments[1]: pass an actor's reference instead"],
    ["a nested function", { on: { click() {} } }, "cannot send a function at arguments[1].on.click"],
    ["a symbol", [1, Symbol("x")], "cannot send a symbol at arguments[1][2]"],
    ["a date", { "some day": new Date() }, 'cannot send a Date at arguments[1]["some day"]'],
    ["an object of a class", new (class Point {})(), "cannot send a Point at arguments[1]"],
    ["an array of floats", new Float64Array(1), "cannot send a Float64Array at arguments[1]"],
    ["an error", new TypeError("x"), "cannot send a TypeError at arguments[1]"],
    ["a cycle", cyclic, "cannot send a table that contains itself at arguments[1].list[1].back"],
    ["a lone surrogate", "\ud83c", "cannot send a string with a lone surrogate at arguments[1]"],
    ["a lone surrogate in a key", { "\udf19": 1 }, "cannot send a string with a lone surrogate at arguments[1]"],
    ["2^63", 2n ** 63n, "cannot send a BigInt beyond 64 bits at arguments[1]"],
    ["-2^63-1", -(2n ** 63n) - 1n, "cannot send a BigInt beyond 64 bits at arguments[1]"],
    ["101 arrays in one another", nested(101), "cannot send what is nested deeper than 100 at arguments[1]"],
    ["NaN as a key", new Map([[NaN, 1]]), "cannot send NaN as a key at arguments[1]"],
    ["nil as a key", new Map([[null, 1]]), "cannot send nil as a key at arguments[1]"],
    ["an object as a key", new Map([[{}, 1]]), "cannot send an object as a key at arguments[1]"],
    ["a key twice", new Map([[1, 1], [1n, 2]]), "cannot send two keys that are the same in Lua at arguments[1]"],
  ];
  for (const [name, value, message] of cases) {
    it(`is refused with its path: ${name}`, () => {
      assert.ok(refusal(value).startsWith(`unsendable: ${message}`), refusal(value));
    });
  }

  it("may be shared as long as it is no cycle", () => {
    const shared = { n: 1 };
    assert.deepEqual(roundTrip([shared, shared]), [[{ n: 1 }, { n: 1 }]]);
  });
});

describe("bytes that nobody vouches for", () => {
  it("are malformed or a value, for every prefix and every flipped bit of the vectors", () => {
    let tried = 0;
    for (const { hex } of valid) {
      const bytes = fromHex(hex);
      if (bytes.length > 64) continue;
      const attempts = Array.from({ length: bytes.length }, (_, i) => bytes.subarray(0, i));
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = bytes.slice();
        flipped[bit >> 3] ^= 1 << (bit & 7);
        attempts.push(flipped);
      }
      for (const attempt of attempts) {
        tried += 1;
        try {
          decode(attempt);
        } catch (error) {
          assert.match(error.code ?? String(error), /^(malformed|type_not_allowed)$/);
        }
      }
    }
    assert.ok(tried > 2000);
  });
});
