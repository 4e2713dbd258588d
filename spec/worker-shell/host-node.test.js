import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { encodeCall, encodeCancel, encodeHello, encodeReply, typeHash } from "../../worker-shell/envelope.js";
import { ActorError } from "../../worker-shell/errors.js";
import { results } from "../../worker-shell/host-actor.js";
import { CAST_WINDOW } from "../../worker-shell/host-peer.js";
import { HostNode } from "../../worker-shell/host-node.js";
import { GRACE_MS } from "../../worker-shell/pending-call.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { randomFrom } from "../support/generate.js";
import { soon } from "../../worker-shell/soon.js";
import { until } from "./until.js";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nodes in one thread, linked in memory; a link can be held back. */
class Net {
  nodes = new Map();
  held = undefined;
  malformed = [];
  errors = [];

  node(name) {
    const node = new HostNode({
      name,
      connect: (to, incarnation) => this.connect(node, to, incarnation),
      onMalformed: (peer, error) => this.malformed.push(error.message),
      onError: (text) => this.errors.push(text),
    });
    this.nodes.set(name, node);
    return node;
  }

  connect(from, to, incarnation) {
    const target = this.nodes.get(to);
    if (target?.incarnation !== incarnation) return "unknown_node";
    const deliver = (bytes) => target.deliver(from.name, from.incarnation, bytes);
    return { send: (bytes) => (this.held ? this.held.push(() => deliver(bytes)) : soon(() => deliver(bytes))) };
  }

  release() {
    const held = this.held;
    this.held = undefined;
    held.forEach((deliver) => deliver());
  }
}

/** The same actor as another node sees it. */
const seenBy = (node, ref) => node.refs.get(RemoteRef.addressOf(ref));

/** Two nodes, and on the second an object that the first has a reference to. */
function two(object, options) {
  const net = new Net();
  const [a, b] = [net.node("a"), net.node("b")];
  const ref = b.expose("thing", object, options);
  return { net, a, b, ref: seenBy(a, ref), local: ref };
}

async function nothingLeft(...nodes) {
  for (const node of nodes) {
    await until(() => {
      const { pending, tasks, timers } = node.stats();
      return pending + tasks + timers === 0;
    });
  }
}

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
    const { a, b, ref } = two({ slow: () => sleep(40) });
    const error = await ref.call("slow", [], { timeout: 10 }).catch((e) => e);
    assert.equal(error.code, "timeout");
    assert.match(error.message, /thing:slow on b did not answer within 10 ms/);
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

/** Resolves when the signal aborts; rejects then with `error`, if there is one. */
const aborted = (signal, error) =>
  new Promise((resolve, reject) => signal.addEventListener("abort", () => (error ? reject(error) : resolve())));

describe("a call that is taken back", () => {
  it("while it runs tells its handler, and is cancelled when that ends by it [K7]", async () => {
    let log = [];
    const { a, b, ref } = two(
      {
        async heeds() {
          log.push("begins");
          await aborted(this.signal);
          log.push("cleans up");
          this.signal.throwIfAborted();
        },
        async platform() {
          log.push("begins");
          await aborted(this.signal, Object.assign(new Error("This operation was aborted"), { name: "AbortError" }));
        },
      },
      { reentrant: true },
    );
    for (const [method, expected] of [["heeds", ["begins", "cleans up"]], ["platform", ["begins"]]]) {
      log = [];
      const abort = new AbortController();
      const call = ref.call(method, [], { signal: abort.signal }).catch((e) => e);
      await until(() => log.length === 1);
      abort.abort(new Error("not interested"));
      const error = await call;
      assert.equal(error.message, `cancelled: thing:${method}: it was cancelled while it ran`);
      assert.deepEqual([error.code, error.transport, error.node, error.cause.message], ["cancelled", true, "b", "not interested"]);
      assert.deepEqual(log, expected);
    }
    assert.equal(a.stats().late_replies, 0);
    await nothingLeft(a, b);
  });

  it("ends as its handler ends that returns or raises all the same [K10]", async () => {
    const { a, b, ref } = two({
      async returns() {
        await aborted(this.signal);
        return "done";
      },
      async raises() {
        await aborted(this.signal);
        throw new Error("no db");
      },
    });
    const taken = async (method) => {
      const abort = new AbortController();
      const call = ref.call(method, [], { signal: abort.signal });
      setTimeout(() => abort.abort(), 2);
      return call;
    };
    assert.equal(await taken("returns"), "done");
    await assert.rejects(taken("raises"), { code: "raised", message: "no db" });
    await nothingLeft(a, b);
  });

  it("before it started never runs [K9]", async () => {
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const ran = [];
    const { a, b, ref } = two({
      wait: () => gate,
      run: (name) => void ran.push(name),
    });
    const first = ref.call("wait");
    const abort = new AbortController();
    const [second, third] = [ref.call("run", [2], { signal: abort.signal }), ref.call("run", [3])];
    await until(() => b.stats().tasks === 3);
    abort.abort();
    // Nobody waits for the handler that runs.
    const error = await second.catch((e) => e);
    assert.equal(error.message, "cancelled: thing:run: it was cancelled before it started");
    open();
    await Promise.all([first, third]);
    assert.deepEqual(ran, [3]);
    await nothingLeft(a, b);
  });

  it("before it was sent is not sent, and what stands behind it is", async () => {
    const ran = [];
    const { a, b, ref } = two({ run: (n) => void ran.push(n) });
    await assert.rejects(ref.call("run", [0], { signal: AbortSignal.abort() }), { code: "cancelled" });
    for (let i = 1; i <= CAST_WINDOW + 1; i++) ref.cast("run", [i]);
    const abort = new AbortController();
    const call = ref.call("run", ["taken back"], { signal: abort.signal }).catch((e) => e);
    const behind = ref.call("run", ["behind"]);
    abort.abort();
    assert.match((await call).message, /^cancelled: thing:run was cancelled before it was sent$/);
    await behind;
    assert.deepEqual(ran.slice(CAST_WINDOW), [CAST_WINDOW + 1, "behind"]);
    await nothingLeft(a, b);
  });

  it("by its timeout ends at once; its handler is told", async () => {
    let told = false;
    const { a, b, ref } = two({
      async slow() {
        await aborted(this.signal);
        await sleep(20);
        told = true;
      },
      queued: () => assert.fail("it ran"),
    });
    const calls = ["slow", "queued"].map((method) => ref.call(method, [], { timeout: 10 }).catch((e) => e.code));
    assert.deepEqual(await Promise.all(calls), ["timeout", "timeout"]);
    assert.equal(told, false);
    await until(() => told && a.stats().late_replies === 2);
    await nothingLeft(a, b);
  });

  it("and gets no answer is over after a second [K12]", async () => {
    const { net, a, ref } = two({ f: () => 1 });
    await ref.call("f");
    net.held = [];
    const abort = new AbortController();
    const call = ref.call("f", [], { signal: abort.signal }).catch((e) => e);
    await sleep(1);
    const start = performance.now();
    abort.abort();
    assert.match((await call).message, /^cancelled: thing:f was cancelled, which b did not confirm in time$/);
    assert.ok(performance.now() - start >= GRACE_MS - 5);
    net.release();
    // Both envelopes arrive, the answer is late.
    await until(() => a.stats().late_replies === 1);
    await nothingLeft(a);
  });

  it("and whose node dies meanwhile is over at once", async () => {
    const { a, b, ref } = two({ slow: () => new Promise(() => {}) });
    const abort = new AbortController();
    const call = ref.call("slow", [], { signal: abort.signal }).catch((e) => e.code);
    await sleep(2);
    abort.abort();
    await sleep(2);
    a.peerDown("b", b.incarnation);
    assert.equal(await call, "node_down");
    await nothingLeft(a);
  });

  it("unwinds a chain from its far end, and cleaning up may call [K11]", async () => {
    const net = new Net();
    const nodes = ["a", "b", "c", "d"].map((name) => net.node(name));
    const log = [];
    const logger = nodes[0].expose("logger", { note: (text) => void log.push(text) });
    let next;
    for (const node of nodes.slice(1).reverse()) {
      const further = next;
      next = node.expose("link", {
        async pass() {
          log.push(`${node.name} begins`);
          try {
            if (further) return await this.call(seenBy(node, further), "pass");
            await aborted(this.signal);
            return this.signal.throwIfAborted();
          } finally {
            // The chain is cancelled; this is not.
            await this.call(seenBy(node, logger), "note", [`${node.name} ends`]);
          }
        },
      });
    }
    const abort = new AbortController();
    const call = seenBy(nodes[0], next).call("pass", [], { signal: abort.signal }).catch((e) => e.code);
    await until(() => log.length === 3);
    abort.abort();
    assert.equal(await call, "cancelled");
    assert.deepEqual(log, ["b begins", "c begins", "d begins", "d ends", "c ends", "b ends"]);
    await nothingLeft(...nodes);
  });

  it("at any time ends once: returned, cancelled before it started, or while it ran [K10]", async () => {
    const turn = () => new Promise(soon);
    const { a, b, ref } = two({
      async work(count) {
        for (let i = 0; i < count; i++) await turn();
        this.signal.throwIfAborted();
        return "returned";
      },
    });
    const random = randomFrom(4);
    const outcomes = {};
    const one = async (abort) => {
      const call = ref.call("work", [random(4)], { signal: abort.signal });
      const outcome = await call.catch((e) => e.message);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    };
    for (let round = 0; round < 100; round++) {
      const aborts = Array.from({ length: 100 }, () => ({ abort: new AbortController(), at: random(300) }));
      const calls = aborts.map(({ abort }) => one(abort));
      for (let now = 0; now < 300; now++) {
        for (const { abort, at } of aborts) if (at === now) abort.abort();
        await turn();
      }
      await Promise.all(calls);
    }
    assert.deepEqual(Object.keys(outcomes).sort(), [
      "cancelled: thing:work: it was cancelled before it started",
      "cancelled: thing:work: it was cancelled while it ran",
      "returned",
    ]);
    assert.equal(Object.values(outcomes).reduce((x, y) => x + y), 10_000);
    // A second answer would have found nobody.
    assert.deepEqual([a.stats().late_replies, b.stats().late_replies], [0, 0]);
    await nothingLeft(a, b);
  });

  it("is one's own: not another node's of the same number, not without the secret", async () => {
    const net = new Net();
    const [a, b, c] = ["a", "b", "c"].map((name) => net.node(name));
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const signals = [];
    const ref = b.expose("thing", {
      wait() {
        signals.push(this.signal);
        return gate;
      },
    });
    const calls = [a, c].map((node) => seenBy(node, ref).call("wait").then(() => "done", (e) => e.code));
    await until(() => b.stats().tasks === 2);
    const { instance, secret } = RemoteRef.addressOf(ref);
    const cancel = (node, changes) => {
      const frame = encodeCancel({ call: 1, instance, secret, ...changes });
      assert.equal(b.deliver(node.name, node.incarnation, frame), true);
    };
    // Both calls are number 1; a's runs, c's waits.
    for (const changes of [{ secret: new Uint8Array(16) }, { instance: 9 }, { call: 2 }]) cancel(a, changes);
    assert.equal(signals[0].aborted, false);
    assert.equal(b.stats().tasks, 2);
    cancel(c, {});
    assert.equal(signals[0].aborted, false);
    assert.equal(b.stats().tasks, 1);
    open();
    assert.deepEqual(await Promise.all(calls), ["done", "cancelled"]);
    await nothingLeft(a, b, c);
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
