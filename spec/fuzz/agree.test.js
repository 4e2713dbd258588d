// C and JavaScript agree on what is malformed and on what the rest means: over the fuzzers' corpus,
// the golden vectors, and both with every prefix and every flipped bit. The C core runs in wasm.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";

import { Reader, Writer } from "../../worker-shell/cbor.js";
import { ActorError } from "../../worker-shell/errors.js";
import * as wire from "../../worker-shell/envelope.js";
import * as Kind from "../../worker-shell/kind.js";
import { RefTable } from "../../worker-shell/ref.js";
import { decodeValue, encodeValue } from "../../worker-shell/value.js";
import { anyValue, damaged, randomFrom } from "../support/generate.js";
import { RawNode } from "../support/raw-node.js";
import { fromHex, toHex, vectors } from "../worker-shell/vectors.js";

const refs = new RefTable({});

function corpus(target) {
  const folder = new URL(`corpus/${target}/`, import.meta.url);
  return readdirSync(folder).map((name) => new Uint8Array(readFileSync(new URL(name, folder))));
}

async function ofVectors(name) {
  const { valid, malformed } = await vectors(name);
  return [...valid, ...malformed].map(({ hex }) => fromHex(hex));
}

/** The inputs, and small ones damaged in every way. */
function* withDamage(inputs) {
  for (const input of inputs) {
    yield input;
    if (input.length <= 128) yield* damaged(input);
  }
}

function refusal(error) {
  assert.ok(error instanceof ActorError, error.stack);
  assert.match(error.code, /^(malformed|type_not_allowed)$/);
  return null;
}

/* ---- values ----------------------------------------------------------------------------------- */

/** What JavaScript sends back, or null when it refuses. */
function throughJs(bytes) {
  let value;
  try {
    const reader = new Reader(bytes);
    value = decodeValue(reader, refs);
    reader.end();
  } catch (error) {
    return refusal(error);
  }
  const writer = new Writer();
  encodeValue(writer, value);
  return writer.take();
}

// Judges pairs of bytes: those that came, and what JavaScript made of them. JavaScript has no floats
// that are integral, hence == for numbers.
const JUDGE = `
local core = require "mooncast.core"
local function equal(a, b)
  if a == b or (a ~= a and b ~= b) then return true end
  if getmetatable(a) == getmetatable(mc.buffer(0)) and getmetatable(a) == getmetatable(b) then
    return a:string() == b:string()
  end
  if type(a) ~= "table" or type(b) ~= "table" or getmetatable(a) ~= getmetatable(b) then return false end
  for k, v in next, a do if not equal(v, b[k]) then return false end end
  for k in next, b do if a[k] == nil then return false end end
  return true
end
local Judge = mc.actor "Judge"
function Judge:judge(pairs)
  local accepted = 0
  for i = 1, #pairs do
    local bytes, js = pairs[i][1], pairs[i][2]
    local ok, value = pcall(core.decode, bytes)
    if ok ~= (js ~= nil) then return i, ok and "C takes it, JavaScript does not" or tostring(value) end
    if ok then
      accepted = accepted + 1
      if not equal(value, core.decode(js)) then return i, "another value" end
    end
  end
  return nil, accepted
end`;

describe("C and JavaScript agree on values", () => {
  let node, judge;

  before(() => {
    node = new RawNode();
    node.runLua(JUDGE);
    judge = node.spawn("Judge");
  });
  after(() => node.close());

  /** @returns {[number, number]} how many were accepted, of how many */
  function judgeAll(inputs) {
    let [accepted, tried] = [0, 0];
    let batch = [];
    const send = () => {
      const { results, value } = node.ask(judge, "judge", [batch]);
      assert.ok(results, String(value));
      assert.equal(results[0], null, `${results[1]}: ${results[0] && toHex(batch[results[0] - 1][0])}`);
      accepted += results[1];
      tried += batch.length;
      batch = [];
    };
    for (const bytes of inputs) {
      batch.push([bytes, throughJs(bytes)]);
      if (batch.length === 1000) send();
    }
    send();
    return [accepted, tried];
  }

  it("of the corpus", () => {
    const [accepted, tried] = judgeAll(withDamage([...corpus("value"), ...corpus("lua_value")]));
    assert.ok(accepted > 1000 && tried - accepted > 1000, `${accepted} of ${tried}`);
  });

  it("of the golden vectors", async () => {
    const [accepted, tried] = judgeAll(withDamage(await ofVectors("values")));
    assert.ok(accepted > 2000 && tried - accepted > 5000, `${accepted} of ${tried}`);
  });

  it("that are random", () => {
    const random = randomFrom(20240607);
    const inputs = Array.from({ length: 500 }, () => {
      const writer = new Writer();
      encodeValue(writer, anyValue(random));
      return writer.take();
    });
    const [accepted, tried] = judgeAll(withDamage(inputs));
    assert.ok(accepted > 10_000 && tried - accepted > 5000, `${accepted} of ${tried}`);
  });
});

/* ---- envelopes -------------------------------------------------------------------------------- */

const { decodeEnvelope } = wire;
/** By kind: encodeHello, encodeCall ... */
const encoders = [];
for (const [name, kind] of Object.entries(Kind)) encoders[kind] = wire[`encode${name[0]}${name.slice(1).toLowerCase()}`];

/** The header as JavaScript writes it again. */
function headerAgain(envelope, length) {
  const nothing = { args: [], results: [], value: null, traceback: null };
  return encoders[envelope.kind]({ ...envelope, ...nothing }).subarray(5, 5 + length);
}

/** The envelope, or null when JavaScript refuses it. What it takes it writes as it was. */
function readByJs(bytes) {
  let envelope;
  try {
    envelope = decodeEnvelope(bytes);
  } catch (error) {
    return refusal(error);
  }
  const length = bytes.length - (envelope.body?.length ?? 0);
  assert.equal(toHex(headerAgain(envelope, length)), toHex(bytes.subarray(0, length)));
  return envelope;
}

function inFrame(bytes) {
  const frame = new Uint8Array(5 + bytes.length);
  frame[0] = 0x5a;
  new DataView(frame.buffer).setUint32(1, bytes.length);
  frame.set(bytes, 5);
  return frame;
}

describe("C and JavaScript agree on envelopes", () => {
  const node = new RawNode();
  after(() => node.close());

  it("of the corpus and the golden vectors", async () => {
    let peer = node.otherPeer();
    let [taken, refused] = [0, 0];
    for (const bytes of withDamage([...corpus("envelope"), ...(await ofVectors("envelopes"))])) {
      const envelope = readByJs(bytes);
      const good = peer.deliver(inFrame(bytes));
      // Whether a hello is that of its peer is another question.
      const mayDiffer = envelope?.kind === Kind.HELLO && !good;
      if (!mayDiffer) assert.equal(good, envelope !== null, toHex(bytes));
      if (good) taken += 1;
      else refused += 1;
      // Of a peer whose hello was of another version, all else is dropped unread.
      if (!good || envelope?.kind === Kind.HELLO) peer = node.otherPeer();
    }
    assert.ok(taken > 2000 && refused > 4000, `${taken} taken, ${refused} refused`);
  });
});
