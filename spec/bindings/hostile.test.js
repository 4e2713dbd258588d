// Hostile bytes against a Lua node in wasm: what comes is malformed, runs into a limit that has a name,
// or is a value; memory stays flat and the node answers whoever asks next.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Reader, Writer } from "../../worker-shell/cbor.js";
import { decodeEnvelope } from "../../worker-shell/envelope.js";
import { ActorError } from "../../worker-shell/errors.js";
import { RefTable } from "../../worker-shell/ref.js";
import { decodeValue, decodeValues } from "../../worker-shell/value.js";
import { anyFrame, damaged, randomFrom } from "../support/generate.js";
import { RawNode } from "../support/raw-node.js";

const MIB = 1 << 20;

const PROGRAM = `
local Thing = mc.actor "Thing"
function Thing:inc(...) self.n = (self.n or 0) + 1; return ... end
-- What would be touched if a name that came were looked up somewhere.
local touched = {}
function Thing:guard()
  local function watch(owner, name)
    local real = owner[name]
    owner[name] = function(what, ...)
      touched[#touched + 1] = name .. " " .. tostring(what)
      return real(what, ...)
    end
  end
  for _, name in ipairs { "require", "load", "loadfile", "dofile" } do watch(_G, name) end
  for i = 1, #package.searchers do watch(package.searchers, i) end
  local watched = { __index = function(_, name) touched[#touched + 1] = "global " .. tostring(name) end }
  setmetatable(_G, watched)
  setmetatable(package.loaded, watched)
  setmetatable(package.preload, watched)
end
function Thing:touched() return table.concat(touched, "; ") end
function Thing:used() collectgarbage() collectgarbage() return collectgarbage "count" * 1024 end
`;

let node, thing;

/** A call whose array of arguments is these bytes. */
function callWith(peer, bytes, call = 1000, actor = thing) {
  const frame = peer.callFrame(actor, "inc", [], call); // its last byte is the empty array
  const whole = new Uint8Array(frame.length - 1 + bytes.length);
  whole.set(frame.subarray(0, -1));
  whole.set(bytes, frame.length - 1);
  new DataView(whole.buffer).setUint32(1, whole.length - 5);
  return whole;
}

/** What a call with these arguments is answered with. */
function answerTo(bytes) {
  const peer = node.otherPeer();
  assert.ok(peer.deliver(callWith(peer, bytes)));
  peer.run();
  const answers = peer.answers(1000);
  assert.equal(answers.length, 1);
  return answers[0];
}

function lives() {
  const peer = node.otherPeer();
  assert.deepEqual(peer.ask(thing, "inc", ["still there"]).results, ["still there"]);
}

const used = () => node.otherPeer().ask(thing, "used").results[0];

/** Bytes that repeat, as one argument. */
function repeated(pattern, length) {
  return concat(Uint8Array.of(0x81), new Uint8Array(length).map((_, i) => pattern[i % pattern.length]));
}

/** An integer in its shortest form. */
function integer(value) {
  const writer = new Writer();
  writer.int(value);
  return writer.take();
}

/** A reference to an actor of node n, of that incarnation. */
function refTo(incarnation) {
  return concat(
    Uint8Array.of(0xd8, 0x27, 0x85, 0x61, 0x6e),
    integer(incarnation),
    Uint8Array.of(0x01, 0x50, ...new Uint8Array(16), 0x61, 0x54),
  );
}

function concat(...parts) {
  return new Uint8Array(Buffer.concat(parts));
}

before(() => {
  node = new RawNode();
  node.runLua(PROGRAM);
  thing = node.spawn("Thing");
});
after(() => node.close());

describe("a node that is sent too much", () => {
  it("refuses 6 bytes that claim 2^31 elements, a thousand times, with flat memory [F4]", () => {
    const claim = Uint8Array.of(0x9a, 0x80, 0, 0, 0, 0);
    answerTo(claim);
    const [inLua, inProcess] = [used(), process.memoryUsage().rss];
    for (let i = 0; i < 1000; i++) {
      const { code, value } = answerTo(claim);
      assert.equal(`${code}: ${value}`, "malformed: more items than bytes");
    }
    lives();
    assert.ok(used() - inLua < 2 * MIB, `${used() - inLua} bytes more in Lua`);
    const grown = process.memoryUsage().rss - inProcess;
    assert.ok(grown < 64 * MIB, `the process grew by ${grown}`);
  });

  for (const [name, pattern] of [
    ["arrays", [0x81]],
    ["maps", [0xa1, 0x01]],
    ["maps as keys", [0xa1]],
    ["registered values", [0xd8, 0x1b, 0x82, 0x61, 0x78]],
  ]) {
    it(`refuses 2 MB of openings of ${name} [F4]`, () => {
      const bytes = repeated(pattern, 2 * MIB);
      const inLua = used();
      const inProcess = process.memoryUsage().rss;
      for (let i = 0; i < 10; i++) assert.match(answerTo(bytes).code, /^(malformed|type_not_allowed)$/);
      lives();
      assert.ok(used() - inLua < MIB, `${used() - inLua} bytes more in Lua`);
      const grown = process.memoryUsage().rss - inProcess;
      assert.ok(grown < 128 * MIB, `the process grew by ${grown}`);
    });
  }

  it("takes depth 100 and refuses 101 by the name of the limit [F4]", () => {
    const nested = (depth) => concat(new Uint8Array(depth).fill(0x81), Uint8Array.of(0x80));
    assert.equal(answerTo(nested(100)).results.length, 1);
    const { code, value } = answerTo(nested(101));
    assert.equal(code, "malformed");
    assert.match(value, /more than 100 nested containers/);
    lives();
  });

  // Multiples of 65535 stand in one chain of a Lua table with 65536 slots.
  const multiples = (step) => {
    const pairs = Array.from({ length: 65535 }, (_, i) => concat(integer((i + 2) * step), Uint8Array.of(1)));
    return new Uint8Array(Buffer.concat([Uint8Array.of(0x81, 0xb9, 0xff, 0xff), ...pairs]));
  };

  it("refuses keys that are made to collide, in time that the bytes bound [F4]", () => {
    const map = multiples(65535);
    const start = performance.now();
    const { code, value } = answerTo(map);
    assert.equal(`${code}: ${value}`, "malformed: too many keys that collide");
    const ms = performance.now() - start;
    assert.ok(ms < 5000, `${ms} ms`);
    lives();
  });

  it("takes as many keys that do not collide [F4]", () => {
    for (const step of [1, 7, 1000, 65536]) {
      assert.equal(answerTo(multiples(step)).code, undefined, `multiples of ${step}`);
    }
  });

  it("is not kept busy by names of nodes that were chosen to share a hash [F4]", () => {
    const milliseconds = (step) => {
      const other = new RawNode();
      other.runLua(PROGRAM);
      const actor = other.spawn("Thing");
      const refs = Array.from({ length: 25000 }, (_, i) => refTo(i * step));
      const list = Buffer.concat([Uint8Array.of(0x81, 0x99, 25000 >> 8, 25000 & 255), ...refs]);
      const frame = callWith(other, list, 1000, actor);
      const start = performance.now();
      for (let i = 0; i < 4; i++) {
        assert.ok(other.deliver(frame));
        other.run();
      }
      const ms = performance.now() - start;
      assert.equal(other.answers(1000).at(-1).results[0].length, 25000);
      other.close();
      return ms;
    };
    const [ordinary, chosen] = [milliseconds(1), milliseconds(2 ** 20)];
    assert.ok(chosen < 5 * ordinary, `${chosen} ms against ${ordinary}`);
  });
});

describe("a name that came", () => {
  it("is type_not_allowed when no such type is registered, and is looked up nowhere [F7]", () => {
    node.otherPeer().ask(thing, "guard");
    for (const name of ["os", "_G", "io", "mooncast", "string", "Thing", "fuzz.box", "__index", "a".repeat(255)]) {
      const text = new TextEncoder().encode(name);
      const head = text.length < 24 ? [0x60 | text.length] : [0x78, text.length];
      const { code, value } = answerTo(concat(Uint8Array.of(0x81, 0xd8, 0x1b, 0x82, ...head), text, Uint8Array.of(0x80)));
      assert.equal(code, "type_not_allowed", name);
      assert.ok(value.includes(name.slice(0, 100)), value);
    }
    assert.equal(node.otherPeer().ask(thing, "touched").results[0], "");
  });

  it("is malformed when it has a megabyte [F7]", () => {
    const text = new Uint8Array(MIB).fill(0x61);
    const { code } = answerTo(concat(Uint8Array.of(0x81, 0xd8, 0x1b, 0x82, 0x7a, 0, 0x10, 0, 0), text, Uint8Array.of(0x80)));
    assert.equal(code, "malformed");
    assert.equal(node.otherPeer().ask(thing, "touched").results[0], "");
  });

  it("in a reference is no more than a name [F7]", () => {
    const ref = [0xd8, 0x27, 0x85, 0x61, 0x6e, 0x01, 0x01, 0x50, ...new Uint8Array(16), 0x62, 0x6f, 0x73];
    const { results } = answerTo(Uint8Array.of(0x81, ...ref));
    assert.match(String(results[0]), /^os\(n\/1\)$/);
    assert.equal(node.otherPeer().ask(thing, "touched").results[0], "");
  });
});

describe("a thousand envelopes with every prefix and every flipped bit", () => {
  const refs = new RefTable({});

  /** What JavaScript makes of an envelope's inside: whatever it is, or an ActorError. */
  function readByJs(bytes) {
    try {
      const { kind, body } = decodeEnvelope(bytes);
      if (kind === 4) decodeValue(new Reader(body), refs);
      else if (body) decodeValues(body, refs);
    } catch (error) {
      assert.ok(error instanceof ActorError, error.stack);
      assert.match(error.code, /^(malformed|type_not_allowed)$/);
    }
  }

  it("leave the node as it was: malformed, refused by name, or handled [F4] [D5]", () => {
    const random = randomFrom(20240607);
    const inProcess = process.memoryUsage().rss;
    let [envelopes, taken, broken] = [0, 0, 0];
    const answers = new Map();
    while (envelopes < 1000) {
      // Peers stay known as long as their node: a new node now and then.
      const raw = new RawNode();
      raw.runLua(PROGRAM);
      const target = raw.spawn("Thing");
      for (let i = 0; i < 100; ) {
        const frame = anyFrame(random, random(2) ? target : undefined);
        if (frame.length > 80) continue;
        i += 1;
        envelopes += 1;
        let peer = raw.otherPeer();
        for (const inside of damaged(frame.subarray(5))) {
          readByJs(inside);
          const whole = concat(frame.subarray(0, 5), inside);
          new DataView(whole.buffer).setUint32(1, inside.length);
          if (peer.deliver(whole)) {
            taken += 1;
            continue;
          }
          broken += 1;
          peer = raw.otherPeer();
        }
        peer.run();
        for (const { call } of peer.received.filter((e) => e.call !== undefined)) {
          for (const { code } of peer.answers(call)) answers.set(code, (answers.get(code) ?? 0) + 1);
        }
        assert.deepEqual(raw.otherPeer().ask(target, "inc", [i]).results, [i]);
      }
      raw.close();
    }
    assert.ok(taken > 100_000 && broken > 20_000, `${taken} taken, ${broken} broken`);
    for (const code of answers.keys()) {
      assert.match(String(code), /^(undefined|malformed|type_not_allowed|type_mismatch|dead_actor|no_such_method|raised)$/);
    }
    for (const code of [undefined, "malformed", "dead_actor", "no_such_method"]) assert.ok(answers.get(code) > 0, String(code));
    const grown = process.memoryUsage().rss - inProcess;
    assert.ok(grown < 256 * MIB, `the process grew by ${grown}`);
  });
});
