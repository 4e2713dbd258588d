// A call between JavaScript actors that its caller takes back.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { encodeCancel } from "../../worker-shell/envelope.js";
import { CAST_WINDOW } from "../../worker-shell/host-peer.js";
import { GRACE_MS } from "../../worker-shell/pending-call.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { randomFrom } from "../support/generate.js";
import { soon } from "../../worker-shell/soon.js";
import { Net, nothingLeft, seenBy, sleep, two } from "../support/host-nodes.js";
import { until } from "./until.js";

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
    const calls = ["slow", "queued"].map((method) => ref.call(method, [], { timeout: 300 }).catch((e) => e.code));
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
    await until(() => signals.length === 1 && b.stats().tasks === 2);
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
