import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { encodeCall, encodeCast, encodeReply, typeHash } from "../../worker-shell/envelope.js";
import { HostNode } from "../../worker-shell/host-node.js";
import * as Kind from "../../worker-shell/kind.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { RawNode } from "../support/raw-node.js";
import { fromHex, toHex } from "./vectors.js";
import { until } from "./until.js";

/** Two nodes in one thread, and what one was told of that nobody awaited. */
function two() {
  const nodes = new Map();
  const errors = [];
  const node = (name) => {
    const connect = (to) => ({ send: (bytes) => setImmediate(() => nodes.get(to).deliver(name, nodes.get(name).incarnation, bytes)) });
    nodes.set(name, new HostNode({ name, connect, onError: (text) => errors.push(text) }));
    return nodes.get(name);
  };
  return { a: node("a"), b: node("b"), errors };
}

const seenBy = (node, ref) => node.refs.get(RemoteRef.addressOf(ref));

function seer() {
  return {
    seen() {
      return { trace: this.trace, context: { ...this.context } };
    },
    through(next) {
      return this.call(next, "seen");
    },
    widen(next, more) {
      return this.call(next, "seen", [], more);
    },
    keep() {
      this.kept = [this.trace, { ...this.context }];
    },
    passOn(next) {
      return this.cast(next, "keep");
    },
    spoil() {
      this.context.user = "eve";
    },
    fail() {
      throw new Error("no");
    },
  };
}

describe("what travels with a call of JavaScript", () => {
  const carried = { trace: 77, context: { user: "ada", level: 3 } };
  const { a, b, errors } = two();
  const [near, far] = [seer(), seer()];
  const here = a.expose("near", near);
  const there = seenBy(a, b.expose("far", far));
  const back = here;

  it("reaches the handler, and what it calls and casts through its context [C15]", async () => {
    assert.deepEqual(await there.call("seen"), { context: {} });
    assert.deepEqual(await there.call("seen", [], carried), carried);
    assert.deepEqual(await there.call("through", [back], carried), carried);
    await there.cast("passOn", [back], carried);
    await until(() => near.kept);
    assert.deepEqual(near.kept, [77, carried.context]);
  });

  it("gets other keys on the way, which those who come behind see [C15]", async () => {
    const more = { trace: 78, context: { level: 4, night: true } };
    assert.deepEqual(await there.call("widen", [back, more], carried), { trace: 78, context: { user: "ada", level: 4, night: true } });
  });

  it("has a new trace for true", async () => {
    const [first, second] = await Promise.all([1, 2].map(() => there.call("seen", [], { trace: true })));
    assert.ok(Number.isSafeInteger(first.trace) && first.trace > 0);
    assert.notEqual(first.trace, second.trace);
  });

  it("cannot be changed by a handler", async () => {
    await assert.rejects(there.call("spoil", [], carried), /read only/);
  });

  it("is refused when it is not plain or too large", async () => {
    const refused = (options, why) => assert.rejects(there.call("seen", [], options), (error) => error.code === "bad_arguments" && why.test(error.message));
    for (const trace of [0, -1, 1.5, 2 ** 53, "7", false]) await refused({ trace }, /trace is true or an integer/);
    await refused({ context: { a: {} } }, /context.a is a boolean, a number or a string/);
    await refused({ context: { a: null } }, /context.a/);
    await refused({ context: 7 }, /context is an object/);
    await refused({ context: { a: "x".repeat(4096) } }, /a context of 4102 bytes: 4096 are the most/);
    await assert.rejects(there.cast("seen", [], { trace: 0 }), { code: "bad_arguments" });
  });

  it("is malformed when what comes is no map of names and plain values [F4]", async () => {
    const bytes = ["ff", "a0", "8101", "a1616ba0", "a10101", "a141ff01", "a2616b01616b01", "a1616b0100"].map(fromHex);
    for (const context of bytes) {
      const turn = { chain: [], deadline: Infinity, waits: new Set(), signal: new AbortController().signal, carried: { trace: null, context } };
      await assert.rejects(a.callFrom(turn, there, "seen", [], {}), { code: "malformed", node: "b" });
    }
  });

  it("is named where a cast's error is told [K6]", async () => {
    await there.cast("fail", [], { trace: 123 });
    await until(() => errors.length > 0);
    assert.deepEqual(errors, ["fail was cast and raised (trace 123): no"]);
  });
});

describe("what travels with a call to Lua", () => {
  let node, thing;

  before(() => {
    node = new RawNode();
    node.runLua(`
      local Thing = mc.actor "Thing"
      function Thing:seen() return mc.trace(), mc.context() end
      function Thing:ask(ref) return mc.call(ref, "seen") end
      function Thing:fail() error "no" end
    `);
    thing = node.spawn("Thing");
  });
  after(() => node.close());

  let call = 5000;
  const ask = (context, method = "seen", args = []) => {
    node.deliver(encodeCall({ call: ++call, ...thing, type: typeHash("Thing"), method, trace: 9, chain: [], context, args }));
    node.run();
    return node.answers(call)[0];
  };

  it("is what its bytes say, and goes on as the same bytes [C15]", () => {
    const bytes = fromHex("a2616b01617af5");
    assert.deepEqual(ask(bytes).results, [9, { k: 1, z: true }]);
    const ref = new RemoteRef({ node: "peer", incarnation: 99, instance: 3, secret: new Uint8Array(16), type: "T" }, {});
    ask(bytes, "ask", [ref]);
    const sent = node.received.find(({ kind }) => kind === Kind.CALL);
    assert.deepEqual([sent.trace, toHex(sent.context)], [9, toHex(bytes)]);
    node.deliver(encodeReply({ call: sent.call, results: [] }));
    node.run();
  });

  it("is malformed when it is no map of names and plain values, and the link goes on [F4]", () => {
    const hostile = {
      "not CBOR": "ff",
      "an empty map": "a0",
      "an array": "8101",
      "a map in a map": "a1616ba0",
      "a number as a key": "a10101",
      "bytes as a key": "a141ff01",
      "a key twice": "a2616b01616b01",
      "bytes behind it": "a1616b0100",
      "half of a map": "a2616b01",
      "an error": "d81b82686d632e4572726f72a264636f64656774696d656f7574676d6573736167656178",
    };
    for (const [what, hex] of Object.entries(hostile)) assert.equal(ask(fromHex(hex)).code, "malformed", what);
    assert.deepEqual(ask(null).results, [9, []]);
  });

  it("is named in the log with the error of a cast [K6]", () => {
    node.deliver(encodeCast({ ...thing, type: typeHash("Thing"), method: "fail", trace: 321, args: [] }));
    node.run();
    assert.match(node.log.at(-1).text, /^a cast to Thing failed \(trace 321\): .*no/);
  });
});
