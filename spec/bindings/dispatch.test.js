// What a Lua node makes of envelopes that no well-behaved node would send: written by hand, byte by byte.
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import {
  FrameReader,
  decodeEnvelope,
  encodeError,
  encodeHello,
  encodeReply,
  typeHash,
} from "../../worker-shell/envelope.js";
import * as Kind from "../../worker-shell/kind.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { RawNode } from "../support/raw-node.js";
import { fromHex, toHex, vectors } from "../worker-shell/vectors.js";

const PROGRAM = `
local Thing = mc.actor "Thing"
function Thing:init() self.count = 0 end
function Thing:inc(by) self.count = self.count + (by or 1) return self.count end
function Thing:_shell() self.count = self.count + 1000 end
function Thing:stopped() end
function Thing:echo(...) return ... end
function Thing:fail() error("no", 0) end
function Thing:give_function() return print end
-- Its caller may be gone when the answer comes: outcome tells.
function Thing:ask(ref, ...)
  local ok, value = pcall(mc.call, ref, ...)
  self.ok, self.value = ok, not ok and value.code or value
  return ok, self.value
end
function Thing:outcome() return self.ok, self.value end
local Small = mc.actor "Small"
function Small:method1(x) return x end
local Big = mc.actor "Big"
for i = 1, 1000 do Big["method" .. i] = function(_, x) return x end end
`;

let node, thing;

beforeEach(() => {
  node = new RawNode();
  node.runLua(PROGRAM);
  thing = node.spawn("Thing");
});

/** A frame whose body (arguments, results, value) is replaced by other bytes. */
function withBody(frame, body) {
  const [envelope] = new FrameReader().push(frame);
  const { body: old } = decodeEnvelope(envelope);
  const head = frame.subarray(0, frame.length - old.length);
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  new DataView(whole.buffer).setUint32(1, whole.length - 5);
  return whole;
}

/** Delivers one call frame and returns the only answer to it. */
function answerTo(frame, call) {
  assert.equal(node.deliver(frame), true);
  node.run();
  const answers = node.answers(call);
  assert.equal(answers.length, 1);
  return answers[0];
}

/** The inside of an envelope as a frame. */
function framed(envelope) {
  const frame = new Uint8Array(envelope.length + 5);
  frame[0] = 0x5a;
  new DataView(frame.buffer).setUint32(1, envelope.length);
  frame.set(envelope, 5);
  return frame;
}

const { valid, malformed } = await vectors("envelopes");

describe("the bytes of a call", () => {
  const golden = (name) => valid.find((vector) => vector.name === name);

  it("are those of the golden vectors when a Lua node reads them, and when it writes them [C5]", () => {
    const vector = golden("a call of inc(5)");
    // Nobody has the vector's address: that much of it was understood, and the answer has its id.
    assert.equal(answerTo(framed(fromHex(vector.hex)), vector.call).code, "dead_actor");

    // The node calls the same address on the peer.
    const secret = fromHex(vector.secret);
    const ref = new RemoteRef({ node: "peer", incarnation: 99, instance: vector.instance, secret, type: vector.type }, {});
    const call = 1000;
    node.deliver(node.callFrame(thing, "ask", [ref, "inc", 5], call));
    node.run();
    const sent = node.received.find((envelope) => envelope.kind === Kind.CALL);
    // Its id, the remaining time, trace and chain are the node's own; the rest is as written down.
    const { instance, type, method, remaining, trace, body } = sent;
    assert.deepEqual(
      { instance, type, method, remaining, trace, secret: toHex(sent.secret), body: toHex(body) },
      { instance: vector.instance, type: typeHash(vector.type), method: "inc", remaining: null, trace: null, secret: vector.secret, body: vector.arguments },
    );
    assert.equal(sent.chain.length, 1);
    node.deliver(encodeReply({ call: sent.call, results: [8] }));
    node.run();
    assert.deepEqual(node.answers(call)[0].results, [true, 8]);
  });

  it("begin with a hello that has the version, name and incarnation [C5]", () => {
    const [first] = node.batches;
    assert.equal(toHex(first.subarray(0, 5 + 7)), "5a00000007" + "84000162773101");
  });
});

describe("names that are not for callers", () => {
  for (const name of ["_shell", "_", "init", "stopped", "terminated", "__index", "__gc", "nothing", "count", "toString"]) {
    it(`are answered no_such_method: ${name} [D5]`, () => {
      const { code, value } = node.ask(thing, name, []);
      assert.equal(code, "no_such_method");
      assert.match(value, new RegExp(`'${name}'`));
      assert.deepEqual(node.ask(thing, "inc", [1]).results, [1]);
    });
  }

  it("are dropped in a cast, and told [D5]", () => {
    node.deliver(node.castFrame(thing, "_shell"));
    node.run();
    assert.match(node.log.at(-1).text, /a cast to Thing was dropped: no_such_method/);
    assert.deepEqual(node.ask(thing, "inc", [1]).results, [1]);
  });

  it("make no envelope when there is none at all: the link ends [D5]", () => {
    assert.equal(node.deliver(node.callFrame(thing, "")), false);
    assert.equal(node.malformed(), 1);
  });

  it("are found among a thousand as among one [D2]", () => {
    const big = node.spawn("Big");
    for (const i of [1, 500, 1000]) assert.deepEqual(node.ask(big, `method${i}`, [i]).results, [i]);
    assert.equal(node.ask(big, "method1001", []).code, "no_such_method");
    // The least of several rounds each: what else the machine does only adds.
    const time = (to, method) => {
      const frame = node.callFrame(to, method, [1], 2 ** 40);
      let best = Infinity;
      for (let round = 0; round < 15; round++) {
        const start = performance.now();
        for (let i = 0; i < 300; i++) node.deliver(frame);
        node.run();
        best = Math.min(best, performance.now() - start);
        node.received.length = 0;
      }
      return best;
    };
    const small = node.spawn("Small");
    time(small, "method1");
    const [one, thousand] = [time(small, "method1"), time(big, "method777")];
    assert.ok(thousand < one * 1.5, `${thousand} ms against ${one} ms`);
  });
});

describe("arguments", () => {
  it("of 10 MB to an actor that is not there are not decoded [D1]", () => {
    const large = new Uint8Array(10_000_000);
    const before = node.stats();
    for (const to of [{ ...thing, instance: 4_000_001 }, { ...thing, secret: new Uint8Array(16) }]) {
      const call = 5000 + to.instance;
      const start = performance.now();
      const { code } = answerTo(node.callFrame(to, "echo", [large], call), call);
      assert.equal(code, "dead_actor");
      assert.ok(performance.now() - start < 1000);
    }
    const after = node.stats();
    assert.ok(after.decoded_bytes - before.decoded_bytes < 200, `${after.decoded_bytes - before.decoded_bytes} bytes`);
    // The counter does count what is decoded.
    node.ask(thing, "echo", [large]);
    assert.ok(node.stats().decoded_bytes - after.decoded_bytes > 10_000_000);
  });

  it("that are no values of ours to an actor that is not there are not looked at [D1]", () => {
    const frame = withBody(node.callFrame({ ...thing, instance: 4_000_001 }, "echo", [], 77), fromHex("ffffff"));
    assert.equal(answerTo(frame, 77).code, "dead_actor");
  });

  it("reach the handler in their order and number, too few and too many as well [D3]", () => {
    assert.deepEqual(node.ask(thing, "echo", [1, null, "c", null]).results, [1, null, "c", null]);
    assert.deepEqual(node.ask(thing, "echo", []).results, []);
    assert.deepEqual(node.ask(thing, "inc", []).results, [1]);
    assert.deepEqual(node.ask(thing, "inc", [2, "more", null]).results, [3]);
  });

  const corrupt = {
    "no array": "05",
    "an array that is too short": "8301",
    "bytes behind them": "810500",
    "an unknown tag": "81c101",
    "a text that is no UTF-8": "8161ff",
    "a length that cannot be": "819affffffff",
    "undefined": "81f7",
    "a short float": "81f93c00",
    "a break": "81ff",
    "nothing at all": "",
    "a map with a key twice": "81a2616101616102",
    "a ref with a short secret": "81d827856162014102416141".slice(0, 18),
  };
  for (const [what, hex] of Object.entries(corrupt)) {
    it(`that are corrupt after a good header are answered malformed: ${what} [D5]`, () => {
      const { code } = answerTo(withBody(node.callFrame(thing, "inc", [], 42), fromHex(hex)), 42);
      assert.equal(code, "malformed");
      // The handler did not run, and the link goes on.
      assert.deepEqual(node.ask(thing, "inc", [1]).results, [1]);
      assert.equal(node.stats().pending, 0);
    });
  }

  it("that are corrupt in a cast are told, for nobody waits [D5]", () => {
    node.deliver(withBody(node.castFrame(thing, "inc"), fromHex("81ff")));
    node.run();
    assert.match(node.log.at(-1).text, /a cast to Thing was dropped: malformed/);
    assert.deepEqual(node.ask(thing, "inc", [1]).results, [1]);
  });
});

describe("an actor of another type", () => {
  it("is answered type_mismatch with its own type, and nothing runs [D3]", () => {
    const { code, value } = node.ask({ ...thing, type: "Other" }, "inc", [5]);
    assert.deepEqual([code, value], ["type_mismatch", "Thing"]);
    assert.deepEqual(node.ask(thing, "inc", [1]).results, [1]);
  });
});

describe("results that cannot be sent", () => {
  it("are answered with an error, and the actor goes on [D6]", () => {
    for (let i = 0; i < 100; i++) {
      const { code, value } = node.ask(thing, "give_function", []);
      assert.equal(code, "unsendable");
      assert.match(value, /results\[1\]/);
    }
    assert.deepEqual(node.ask(thing, "inc", [1]).results, [1]);
  });
});

describe("a hello of another version", () => {
  it("fails what waits for that node and what is asked later, with both versions [E5]", () => {
    const lua = new RawNode({ greet: false });
    lua.deliver(encodeHello({ node: "peer", incarnation: 99 }));
    lua.runLua(`
      local Thing = mc.actor "Thing"
      function Thing:ask(ref) local ok, e = pcall(mc.call, ref, "f") return e.code, e.message, e.ours, e.theirs, e.node end
    `);
    const actor = lua.spawn("Thing");
    const other = lua.otherPeer({ greet: false });
    const ref = new RemoteRef({ ...other.address, instance: 1, secret: new Uint8Array(16), type: "T" }, {});
    const ask = () => lua.callFrame(actor, "ask", [ref], ++call);
    let call = 7000;
    lua.deliver(ask());
    lua.run();
    assert.deepEqual(other.received.map(({ kind }) => kind), [Kind.HELLO, Kind.CALL]);
    assert.equal(other.deliver(encodeHello({ ...other.address, version: 2 })), true);
    lua.run();
    lua.deliver(ask());
    lua.run();
    for (const id of [7001, 7002]) {
      const [code, message, ours, theirs, node] = lua.answers(id)[0].results;
      assert.deepEqual([code, ours, theirs, node], ["version_mismatch", 1, 2, other.address.node]);
      assert.match(message, /T:f: node other1 speaks version 2 of the wire, this node version 1/);
    }
    assert.equal(other.received.length, 2);
    lua.close();
  });
});

describe("a header that is corrupt", () => {
  /** A call of the node to the peer that is not answered yet; what it ends with is in `asked`. */
  function waiting() {
    const secret = new Uint8Array(16).fill(1);
    const ref = new RemoteRef({ node: "peer", incarnation: 99, instance: 5, secret, type: "Far" }, {});
    node.deliver(node.callFrame(thing, "ask", [ref, "inc", 5], 900));
    node.run();
    assert.equal(node.received.filter(({ kind }) => kind === Kind.CALL).length, 1);
  }

  it("ends the link, and every call that awaits that peer fails [D5]", () => {
    waiting();
    assert.equal(node.deliver(framed(fromHex("820700"))), false);
    node.run();
    assert.equal(node.malformed(), 1);
    // Who asked is gone with the link; another peer asks what the call came to.
    const other = node.otherPeer();
    const { results } = other.ask(thing, "outcome", []);
    assert.equal(results[0], false);
    assert.equal(results[1], "node_down");
    assert.equal(other.ask(other.node, "stats", []).results[0].pending, 0);
  });

  it("ends the link whatever is wrong with it [D5]", () => {
    for (const { name, hex } of malformed) {
      const fresh = new RawNode();
      assert.equal(fresh.deliver(framed(fromHex(hex))), false, name);
      assert.equal(fresh.malformed(), 1, name);
      fresh.close();
    }
  });

  it("so does what stands before the hello, and a hello of somebody else [D5]", () => {
    for (const bytes of [encodeReply({ call: 1, results: [] }), encodeHello({ node: "other", incarnation: 99 }), encodeHello({ node: "peer", incarnation: 98 })]) {
      const fresh = new RawNode({ greet: false });
      assert.equal(fresh.deliver(bytes), false);
      fresh.close();
    }
  });
});

describe("answers that nobody waits for", () => {
  it("are counted and dropped [D4]", () => {
    const before = node.stats();
    for (const call of [1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      assert.equal(node.deliver(encodeReply({ call, results: [1] })), true);
      assert.equal(node.deliver(encodeError({ call, code: 1, value: "late" })), true);
    }
    node.run();
    assert.equal(node.stats().late_replies, before.late_replies + 6);
  });

  it("have no effect when they come twice [D4]", () => {
    const secret = new Uint8Array(16).fill(1);
    const ref = new RemoteRef({ node: "peer", incarnation: 99, instance: 5, secret, type: "Far" }, {});
    node.deliver(node.callFrame(thing, "ask", [ref, "inc"], 900));
    node.run();
    const { call } = node.received.find(({ kind }) => kind === Kind.CALL);
    const before = node.stats().late_replies;
    node.deliver(encodeReply({ call, results: ["first"] }));
    node.deliver(encodeReply({ call, results: ["second"] }));
    node.run();
    assert.deepEqual(node.answers(900).map(({ results }) => results), [[true, "first"]]);
    assert.equal(node.stats().late_replies, before + 1);
  });

  it("with a corrupt body fail the call that waits, and only that [D5]", () => {
    const secret = new Uint8Array(16).fill(1);
    const ref = new RemoteRef({ node: "peer", incarnation: 99, instance: 5, secret, type: "Far" }, {});
    node.deliver(node.callFrame(thing, "ask", [ref, "inc"], 900));
    node.run();
    const { call } = node.received.find(({ kind }) => kind === Kind.CALL);
    assert.equal(node.deliver(withBody(encodeReply({ call, results: [] }), fromHex("81ff"))), true);
    node.run();
    assert.equal(node.ask(thing, "outcome", []).results[1], "malformed");
  });
});
