import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { encodeCall, encodeHello, encodeReply, typeHash } from "../../worker-shell/envelope.js";
import { ActorError } from "../../worker-shell/errors.js";
import { results } from "../../worker-shell/results.js";
import { CAST_WINDOW } from "../../worker-shell/host-peer.js";
import { HostNode } from "../../worker-shell/host-node.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { Net, nothingLeft, seenBy, sleep, two } from "../support/host-nodes.js";
import { until } from "./until.js";

describe("a call to a JavaScript actor", () => {
  it("brings its one result, several as an array, none as undefined", async () => {
    const { a, b, ref } = two({
      one: (x) => x,
      several: () => results(1, null, "c"),
      list: () => [1, 2],
      none() {},
    });
    assert.deepEqual(await ref.call("one", [{ deep: [1, 2.5] }]), { deep: [1, 2.5] });
    assert.deepEqual(await ref.call("several"), [1, null, "c"]);
    assert.deepEqual(await ref.call("list"), [1, 2]);
    assert.equal(await ref.call("none"), undefined);
    await nothingLeft(a, b);
  });

  it("goes through the proxy, which can be awaited", async () => {
    const { ref } = two({ inc: (n) => n + 1 });
    assert.equal(await ref.proxy.inc(1), 2);
    assert.equal(await ref.proxy, ref.proxy);
    assert.equal(await Promise.resolve(ref), ref);
    assert.equal(String(ref), "thing(b/1)");
  });

  it("works on its own node as well, with copies", async () => {
    const { b, local } = two({ change: (t) => ((t.n = 2), t) });
    const mine = { n: 1 };
    assert.deepEqual(await local.call("change", [mine]), { n: 2 });
    assert.equal(mine.n, 1);
    await nothingLeft(b);
  });

  it("fails as raised: an Error by its text, a value as it is", async () => {
    const { a, b, ref } = two({
      error() {
        throw new Error("no db");
      },
      value() {
        throw { code: 42 };
      },
      async later() {
        await sleep(1);
        throw "late";
      },
      nothing() {
        throw undefined;
      },
      unsendable() {
        throw Object.assign(new Error("with a function"), { fn: () => {} });
      },
    });
    const raised = (method) => ref.call(method).then(assert.fail, (error) => error);
    const error = await raised("error");
    assert.ok(error instanceof ActorError);
    assert.deepEqual([error.code, error.message, error.value, error.transport], ["raised", "no db", "no db", false]);
    assert.match(error.traceback, /host-node\.test\.js/);
    assert.deepEqual((await raised("value")).value, { code: 42 });
    assert.equal((await raised("later")).message, "late");
    assert.equal((await raised("nothing")).value, null);
    assert.equal((await raised("unsendable")).message, "with a function");
    await nothingLeft(a, b);
  });

  it("cannot forge a system error", async () => {
    const { ref } = two({
      forge() {
        throw { transport: true, code: "timeout", message: "timeout: forged" };
      },
      through() {
        throw new ActorError("node_down", "node w9 went down", { node: "w9" });
      },
    });
    const forged = await ref.call("forge").catch((error) => error);
    assert.deepEqual([forged.code, forged.transport, forged.value.code], ["raised", false, "timeout"]);
    const through = await ref.call("through").catch((error) => error);
    assert.deepEqual([through.code, through.transport, through.node], ["node_down", false, "w9"]);
  });

  it("reaches only methods that are meant to be called", async () => {
    class Base {
      inherited() {
        return "inherited";
      }
    }
    class Thing extends Base {
      field = () => "field";
      #private = 1;
      get accessor() {
        return () => "accessor";
      }
      secret() {
        return this.self.#private;
      }
      _helper() {}
      init() {}
      number = 5;
    }
    const { a, b, ref } = two(new Thing());
    assert.equal(await ref.call("inherited"), "inherited");
    assert.equal(await ref.call("field"), "field");
    assert.equal(await ref.call("secret"), 1);
    const closed = ["_helper", "init", "constructor", "accessor", "number", "toString", "hasOwnProperty", "__proto__", "nope"];
    for (const method of closed) {
      await assert.rejects(ref.call(method), { code: "no_such_method", transport: true }, method);
    }
    await nothingLeft(a, b);
  });

  it("keeps state in the object: this reads and writes it", async () => {
    const { ref } = two({
      n: 1,
      add(by) {
        this.n += by;
        return this.n;
      },
    });
    assert.equal(await ref.call("add", [2]), 3);
    assert.equal(await ref.call("add", [2]), 5);
  });

  it("handles one message to its end before the next, unless it is reentrant", async () => {
    const slow = () => ({
      log: [],
      async work(name) {
        this.log.push(`${name} begins`);
        await sleep(5);
        this.log.push(`${name} ends`);
        return this.log.length;
      },
    });
    const one = slow();
    const { ref } = two(one);
    await Promise.all([ref.call("work", ["x"]), ref.call("work", ["y"])]);
    assert.deepEqual(one.log, ["x begins", "x ends", "y begins", "y ends"]);
    const other = slow();
    const { ref: open } = two(other, { reentrant: true });
    await Promise.all([open.call("work", ["x"]), open.call("work", ["y"])]);
    assert.deepEqual(other.log, ["x begins", "y begins", "x ends", "y ends"]);
  });

  it("to oneself through others is a deadlock, at once", async () => {
    const net = new Net();
    const [a, b] = [net.node("a"), net.node("b")];
    const refs = {};
    refs.b = a.expose("A", {
      ask() {
        return this.call(seenBy(a, refs.inB), "back");
      },
      again: () => "never",
    });
    refs.inB = b.expose("B", {
      back() {
        return this.call(seenBy(b, refs.b), "again");
      },
    });
    const error = await refs.b.call("ask", [], { timeout: 1000 }).catch((e) => e);
    assert.equal(error.code, "deadlock");
    assert.match(error.message, /^deadlock: A:again: it waits for itself: A:ask -> B:back -> A:ask$/);
    await nothingLeft(a, b);
  });

  it("ends a chain of 33 calls", async () => {
    const { a, b, ref, local } = two(
      {
        async dig(n) {
          return n === 0 ? "ground" : this.call(local, "dig", [n - 1]);
        },
      },
      { reentrant: true },
    );
    assert.equal(await ref.call("dig", [31]), "ground");
    const error = await ref.call("dig", [40]).catch((e) => e);
    assert.equal(error.code, "call_depth");
    await nothingLeft(a, b);
  });
});

describe("a call that gets no answer", () => {
  it("ends with its timeout, and the late answer finds nobody", async () => {
    const { a, b, ref } = two({ slow: () => sleep(600) });
    const error = await ref.call("slow", [], { timeout: 300 }).catch((e) => e);
    assert.equal(error.code, "timeout");
    assert.match(error.message, /thing:slow on b did not answer within 300 ms/);
    await until(() => a.stats().late_replies === 1);
    await nothingLeft(a, b);
  });

  it("passes on what is left of a chosen deadline, and nothing of the default", async () => {
    const { ref } = two({
      left() {
        return this.remaining();
      },
    });
    const left = await ref.call("left", [], { timeout: 1000 });
    assert.ok(left > 500 && left < 1001, String(left));
    assert.equal(await ref.call("left"), Infinity);
  });

  it("does not start when its deadline passed in the mailbox [G6]", async () => {
    let started = 0;
    const { a, b, ref } = two({ slow: () => sleep(50), quick: () => started++ });
    const first = ref.call("slow");
    await assert.rejects(ref.call("quick", [], { timeout: 10 }), { code: "timeout" });
    await first;
    await sleep(10);
    assert.equal(started, 0);
    await nothingLeft(a, b);
  });

  it("ends when its node goes down, at once, and names both", async () => {
    const { a, b, ref } = two({ slow: () => sleep(50) });
    const calls = Array.from({ length: 100 }, () => ref.call("slow").catch((e) => e));
    await sleep(5);
    a.peerDown("b", b.incarnation);
    for (const error of await Promise.all(calls)) {
      assert.deepEqual([error.code, error.node, error.transport], ["node_down", "b", true]);
      assert.equal(error.message, "node_down: node b went down while thing:slow was awaited");
    }
    assert.equal(a.stats().pending, 0);
  });

  it("fails when there is no such node, no such actor, another type, another secret", async () => {
    const { a, b, ref } = two({ f: () => 1 });
    const address = RemoteRef.addressOf(ref);
    const made = (changes) => a.refs.get({ ...address, ...changes });
    await assert.rejects(made({ node: "c" }).call("f"), { code: "unknown_node", node: "c" });
    await assert.rejects(made({ incarnation: 1 }).call("f"), { code: "unknown_node" });
    await assert.rejects(made({ instance: 99 }).call("f"), { code: "dead_actor" });
    await assert.rejects(made({ secret: new Uint8Array(16) }).call("f"), { code: "dead_actor" });
    await assert.rejects(made({ type: "Other" }).call("f"), { code: "type_mismatch" });
    await nothingLeft(a, b);
  });

  it("leaves nothing pending when it cannot be sent", async () => {
    const { a, b, ref } = two({ f: (x) => x });
    await assert.rejects(ref.call("f", [() => {}]), { code: "unsendable" });
    await assert.rejects(ref.call("f", [1], { timeout: -1 }), TypeError);
    assert.equal(await ref.call("f", [1]), 1);
    await nothingLeft(a, b);
  });

  it("is answered unsendable when its result is", async () => {
    const { a, b, ref } = two({ f: () => ({ on: { click() {} } }) });
    const error = await ref.call("f").catch((e) => e);
    assert.equal(error.code, "unsendable");
    assert.match(error.message, /cannot send a function at results\[1\]\.on\.click/);
    await nothingLeft(a, b);
  });

  it("fails when the system is closed", async () => {
    const { a, ref } = two({ slow: () => sleep(20) });
    const call = ref.call("slow").catch((e) => e);
    await sleep(2);
    a.close();
    assert.equal((await call).code, "closed");
    await assert.rejects(ref.call("slow"), { code: "closed" });
    await nothingLeft(a);
  });
});

describe("stopping", () => {
  it("comes after what was sent before, and answers what is behind", async () => {
    const { a, b, ref } = two({ slow: () => sleep(10).then(() => "done") });
    const before = ref.call("slow");
    const stop = ref.stop();
    const after = ref.call("slow").catch((e) => e.code);
    assert.deepEqual(await Promise.all([before, stop, after]), ["done", undefined, "dead_actor"]);
    await assert.rejects(ref.call("slow"), { code: "dead_actor" });
    assert.equal(b.stats().actors, 0);
    assert.equal(b.lookup("thing"), undefined);
    await nothingLeft(a, b);
  });
});

describe("a cast", () => {
  it("is handled once, in order, with the calls around it", async () => {
    const got = [];
    const { a, b, ref } = two({ put: (n) => void got.push(n) });
    for (let i = 0; i < 10; i++) ref.cast("put", [i]);
    await ref.call("put", [10]);
    assert.deepEqual(got, Array.from({ length: 11 }, (_, i) => i));
    await nothingLeft(a, b);
  });

  it("waits when too many were not handled, and what comes after it stays behind it", async () => {
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const got = [];
    const { a, b, ref } = two({
      async put(n) {
        await gate;
        got.push(n);
      },
      last: () => got.at(-1),
    });
    let sent = 0;
    for (let i = 0; i < CAST_WINDOW + 10; i++) ref.cast("put", [i]).then(() => sent++);
    const last = ref.call("last");
    await until(() => sent === CAST_WINDOW);
    await sleep(5);
    assert.equal(sent, CAST_WINDOW);
    open();
    assert.equal(await last, CAST_WINDOW + 9);
    assert.equal(sent, CAST_WINDOW + 10);
    await nothingLeft(a, b);
  });

  it("that waits, or comes later, is a dead letter when its node goes down", async () => {
    const { a, b, ref } = two({ put: () => new Promise(() => {}) });
    const casts = Array.from({ length: CAST_WINDOW + 5 }, () => ref.cast("put"));
    await sleep(10);
    a.peerDown("b", b.incarnation);
    await Promise.all(casts);
    assert.equal(a.stats().dead_letters, 5);
  });

  it("that cannot be sent fails", async () => {
    const { a, ref } = two({ put() {} });
    await assert.rejects(ref.cast("put", [() => {}]), { code: "unsendable" });
    await assert.rejects(a.refs.get({ ...RemoteRef.addressOf(ref), node: "c" }).cast("put"), { code: "unknown_node" });
  });

  it("that raises is told to the node it was on", async () => {
    const { net, ref } = two({
      boom() {
        throw new Error("lost");
      },
    });
    await ref.cast("boom");
    await until(() => net.errors.length > 0);
    assert.deepEqual(net.errors, ["boom was cast and raised: lost"]);
  });
});

describe("a full mailbox", () => {
  it("refuses calls, not casts and not answers", async () => {
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const { a, b, ref } = two({ wait: () => gate }, { mailbox: 3 });
    const calls = Array.from({ length: 6 }, () => ref.call("wait").then(() => "done", (e) => e.code));
    await sleep(10);
    open();
    assert.deepEqual(await Promise.all(calls), ["done", "done", "done", "done", "overloaded", "overloaded"]);
    await nothingLeft(a, b);
  });
});

describe("a mailbox with few messages that are large", () => {
  it("refuses calls once its bytes are reached, and takes them again", async () => {
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const { a, b, ref } = two({ wait: () => gate, size: (bytes) => bytes.length });
    const held = ref.call("wait");
    const large = new Uint8Array(33 << 20);
    const calls = Array.from({ length: 3 }, () => ref.call("size", [large]).catch((e) => e.code));
    assert.equal(await calls[2], "overloaded");
    open();
    await held;
    assert.deepEqual(await Promise.all(calls), [33 << 20, 33 << 20, "overloaded"]);
    assert.equal(await ref.call("size", [large]), 33 << 20);
    await nothingLeft(a, b);
  });
});

describe("what comes over a link and is not right", () => {
  const secret = new Uint8Array(16);
  const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

  function stranger(node) {
    const hello = encodeHello({ node: "s", incarnation: 7 });
    return { hello, deliver: (...parts) => node.deliver("s", 7, concat(...parts)) };
  }

  it("is dropped without a hello, with a second one, with another's", () => {
    const cases = [
      [encodeReply({ call: 1, results: [] })],
      [encodeHello({ node: "s", incarnation: 7 }), encodeHello({ node: "s", incarnation: 7 })],
      [encodeHello({ node: "t", incarnation: 7 })],
      [encodeHello({ node: "s", incarnation: 8 })],
      [encodeHello({ node: "s", incarnation: 7 }), Uint8Array.of(1, 2, 3)],
    ];
    for (const parts of cases) {
      const net = new Net();
      const node = net.node("a");
      assert.equal(stranger(node).deliver(...parts), false);
      assert.equal(node.stats().malformed, 1);
      assert.equal(net.malformed.length, 1);
    }
  });

  it("of another version is the last, and all that waits and comes fails with both versions [E5]", async () => {
    const sent = [];
    const node = new HostNode({ name: "a", connect: () => ({ send: (bytes) => sent.push(bytes) }) });
    const ref = node.refs.get({ node: "s", incarnation: 7, instance: 1, secret, type: "T" });
    const waiting = ref.call("f").catch((e) => e);
    await sleep(1);
    const before = sent.length;
    const call = encodeCall({ call: 1, instance: 1, secret, type: 1, method: "f", chain: [], args: [] });
    assert.equal(node.deliver("s", 7, concat(encodeHello({ node: "s", incarnation: 7, version: 2 }), call)), true);
    assert.equal(node.deliver("s", 7, call), false);
    for (const error of [await waiting, await ref.call("f").catch((e) => e)]) {
      assert.deepEqual([error.code, error.ours, error.theirs, error.node], ["version_mismatch", 1, 2, "s"]);
      assert.match(error.message, /node s speaks version 2 of the wire, this node version 1/);
    }
    await sleep(1);
    assert.equal(sent.length, before);
    await nothingLeft(node);
  });

  it("of another version that comes first is answered with a hello, and no more [E5]", async () => {
    const sent = [];
    const node = new HostNode({ name: "a", incarnation: 5, connect: () => ({ send: (bytes) => sent.push(bytes) }) });
    const call = encodeCall({ call: 1, instance: 1, secret, type: 1, method: "f", chain: [], args: [] });
    node.deliver("s", 7, concat(encodeHello({ node: "s", incarnation: 7, version: 9 }), call));
    await sleep(1);
    assert.deepEqual(sent, [encodeHello({ node: "a", incarnation: 5 })]);
  });

  it("fails what is awaited from there", async () => {
    const { a, b, ref } = two({ slow: () => sleep(20) });
    const call = ref.call("slow").catch((e) => e);
    await sleep(2);
    assert.equal(a.deliver("b", b.incarnation, Uint8Array.of(0)), false);
    assert.equal((await call).code, "malformed");
    assert.equal(a.stats().pending, 0);
  });

  it("is answered when only the arguments are malformed", async () => {
    const net = new Net();
    const [a, b] = [net.node("a"), net.node("b")];
    const address = RemoteRef.addressOf(b.expose("thing", { f: () => 1 }));
    const good = encodeCall({ ...address, call: 5, type: typeHash("thing"), method: "f", chain: [], args: [1] });
    good[good.length - 1] = 0xff;
    const answers = [];
    a.deliver = (name, incarnation, bytes) => answers.push(bytes);
    const hello = encodeHello({ node: "a", incarnation: a.incarnation });
    assert.equal(b.deliver("a", a.incarnation, concat(hello, good)), true);
    await until(() => answers.length === 1);
    assert.match(new TextDecoder().decode(answers[0]), /a simple value other than null/);
  });

  it("does not answer a wrong secret differently from a dead actor", async () => {
    const { a, ref } = two({ f: () => 1 });
    const address = RemoteRef.addressOf(ref);
    const text = (changes) => a.refs.get({ ...address, ...changes }).call("f").catch((e) => e.message);
    const [wrong, dead] = [await text({ secret }), await text({ instance: 77 })];
    assert.equal(wrong, dead);
  });
});
