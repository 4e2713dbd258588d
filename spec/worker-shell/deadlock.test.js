import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { HostNode } from "../../worker-shell/host-node.js";
import { RemoteRef } from "../../worker-shell/ref.js";
import { soon } from "../../worker-shell/soon.js";
import { links } from "../support/here.js";
import { until } from "./until.js";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nodes in one thread, linked in memory. */
function net(...names) {
  const nodes = new Map();
  const connect = (from) => (to) => ({
    send: (bytes) => soon(() => nodes.get(to).deliver(from, nodes.get(from).incarnation, bytes)),
  });
  for (const name of names) nodes.set(name, new HostNode({ name, connect: connect(name) }));
  return [...nodes.values()];
}

/** Actors A, B, C ... of which each knows the next, the last one the first; as the first node sees them. */
function ring(nodes, size, options) {
  const refs = [];
  const seenFrom = (node, i) => node.refs.get(RemoteRef.addressOf(refs[i % size]));
  for (let i = 0; i < size; i++) {
    const node = nodes[i % nodes.length];
    const next = () => seenFrom(node, i + 1);
    refs.push(
      node.expose(String.fromCharCode(65 + i), {
        async cross() {
          await sleep(10);
          return this.call(next(), "end");
        },
        end: () => "end",
        ping(depth) {
          return depth === 0 ? "end" : this.call(next(), "ping", [depth - 1]);
        },
      }, options),
    );
  }
  return refs.map((_, i) => seenFrom(nodes[0], i));
}

async function nothingLeft(nodes) {
  for (const node of nodes) {
    await until(() => {
      const { pending, tasks, timers } = node.stats();
      return pending + tasks + timers === 0;
    });
  }
}

describe("JavaScript handlers that wait for one another", () => {
  for (const [size, count] of [[2, 1], [2, 2], [5, 3]]) {
    const place = `${size} actors on ${count} nodes`;

    it(`are told at once in a chain, with all names: ${place} [K20]`, async () => {
      const nodes = net(...["a", "b", "c"].slice(0, count));
      const [first] = ring(nodes, size);
      const error = await first.call("ping", [size], { timeout: 5000 }).catch((e) => e);
      const names = Array.from({ length: size + 1 }, (_, i) => `${String.fromCharCode(65 + (i % size))}:ping`);
      assert.equal(error.message, `deadlock: A:ping: it waits for itself: ${names.join(" -> ")}`);
      await nothingLeft(nodes);
    });

    it(`are told when they cross, with all names: ${place} [K20]`, async () => {
      const nodes = net(...["a", "b", "c"].slice(0, count));
      const all = ring(nodes, size).map((ref) => ref.call("cross", [], { timeout: 5000 }).catch((e) => e));
      const ends = await Promise.all(all);
      const errors = ends.filter((end) => end !== "end");
      assert.ok(errors.length > 0);
      for (const { code, message } of errors) {
        assert.equal(code, "deadlock");
        for (let i = 0; i < size; i++) assert.match(message, new RegExp(`${String.fromCharCode(65 + i)}:cross`));
      }
      await nothingLeft(nodes);
    });

    it(`answer when they are reentrant: ${place}`, async () => {
      const nodes = net(...["a", "b", "c"].slice(0, count));
      const refs = ring(nodes, size, { reentrant: true });
      assert.equal(await refs[0].call("ping", [size * 2]), "end");
      assert.deepEqual(await Promise.all(refs.map((ref) => ref.call("cross"))), refs.map(() => "end"));
      await nothingLeft(nodes);
    });
  }

  /** A:cross awaits what `wait` makes of its call to B, B:cross awaits A; and a third that answers later. */
  async function crossing(wait) {
    const nodes = net("a", "b");
    const seen = (node, ref) => node.refs.get(RemoteRef.addressOf(ref));
    const end = () => "end";
    const later = nodes[0].expose("Later", { get: (ms) => sleep(ms).then(() => "later") });
    const a = nodes[0].expose("A", {
      end,
      async cross() {
        await sleep(10);
        return wait(this, seen(nodes[0], b), later);
      },
    });
    const b = nodes[1].expose("B", {
      end,
      async cross() {
        await sleep(10);
        return this.call(seen(nodes[1], a), "end");
      },
    });
    const calls = [a.call("cross", [], { timeout: 5000 }), b.call("cross", [], { timeout: 5000 })];
    const ends = await Promise.all(calls.map((call) => call.catch((e) => e.code)));
    await nothingLeft(nodes);
    return ends;
  }

  for (const way of ["race", "any"]) {
    it(`are none when another call may end the wait: Promise.${way} [K20]`, async () => {
      const wait = (self, b, later) => Promise[way]([self.call(b, "end"), self.call(later, "get", [400])]);
      assert.deepEqual(await crossing(wait), ["later", "end"]);
    });
  }

  it("are none when a signal may end the wait [K20]", async () => {
    const wait = (self, b) => self.call(b, "end", [], { signal: AbortSignal.timeout(400) }).catch(() => "gave up");
    assert.deepEqual(await crossing(wait), ["gave up", "end"]);
  });

  it("are told when one call is left of those that all are awaited [K20]", async () => {
    const wait = (self, b, later) => Promise.all([self.call(b, "end"), self.call(later, "get", [80])]);
    const ends = await crossing(wait);
    assert.ok(ends.includes("deadlock"), String(ends));
  });

  it("let in what may interleave, in order", async () => {
    const nodes = net("a");
    const seen = [];
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const object = {
      put: async (n) => (await gate, seen.push(`put ${n}`)),
      get: (n) => seen.push(`get ${n}`),
    };
    const ref = nodes[0].expose("Shelf", object, { interleave: ["get"] });
    const calls = [ref.call("put", [1]), ref.call("put", [2])];
    await ref.call("get", [1]);
    await ref.call("get", [2]);
    const stop = ref.stop();
    const late = assert.rejects(ref.call("get", [3]), { code: "dead_actor" });
    open();
    await late;
    await Promise.all([...calls, stop]);
    assert.deepEqual(seen, ["get 1", "get 2", "put 1", "put 2"]);
    await nothingLeft(nodes);
  });

  it("are none while one only takes long", async () => {
    const nodes = net("a", "b");
    const object = {
      slow: (ms) => sleep(ms),
      quick: () => "quick",
    };
    const ref = nodes[0].expose("Slow", object);
    const far = nodes[1].refs.get(RemoteRef.addressOf(ref));
    const slow = ref.call("slow", [400]);
    assert.deepEqual(await Promise.all([far.call("quick"), ref.call("quick")]), ["quick", "quick"]);
    await slow;
    await nothingLeft(nodes);
  });
});

for (const link of links) {
  describe(`handlers in Lua and JavaScript that wait for one another, over ${link}s`, () => {
    it("are told, with all names [K20]", { timeout: 60_000 }, async () => {
      const gateType = `local mc = require "mooncast"
        local Gate = mc.actor "Gate"
        function Gate:enter(other, seconds) mc.sleep(seconds) return other:pass(mc.self(), seconds) end
        function Gate:leave() return "left" end`;
      const system = await createSystem({ workers: 2, link });
      const page = {
        pass(gate, seconds) {
          return seconds > 0 ? "passed" : this.call(gate, "leave");
        },
        async enter(gate) {
          await sleep(20);
          return this.call(gate, "leave");
        },
      };
      const ref = system.expose("page", page);
      for (const on of ["w1", "w2"]) {
        const { status, text } = await system.eval(gateType, { on });
        assert.equal(status, "ok", text);
      }
      const gate = await system.spawn("Gate", [], { on: "w2" });
      const chain = await gate.call("enter", [ref, 0], { timeout: 5000 }).catch((e) => e);
      assert.match(chain.message, /Gate:enter -> page:pass -> Gate:enter$/);
      const both = [gate.call("enter", [ref, 0.02], { timeout: 5000 }), ref.call("enter", [gate], { timeout: 5000 })];
      const ends = await Promise.all(both.map((call) => call.catch((e) => e)));
      const errors = ends.filter((end) => typeof end !== "string");
      assert.ok(errors.length > 0);
      for (const { message } of errors) {
        assert.match(message, /Gate:enter/);
        assert.match(message, /page:enter/);
        assert.match(message, /waits for itself/);
      }
      await system.close();
    });
  });
}
