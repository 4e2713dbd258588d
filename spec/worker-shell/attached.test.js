// Nodes of JavaScript actors at the other end of a port, as createAudioNode makes them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { attach } from "../../worker-shell/attached.js";
import { createSystem } from "../../worker-shell/index.js";
import { PortNode } from "../../worker-shell/port-node.js";
import { links } from "../support/here.js";

/** A system, and a node of this very thread at the other end of a port. */
async function systemWith(link, actor, { workers = 2, ...options } = {}) {
  const system = await createSystem({ workers, link, ...options });
  const { port1, port2 } = new MessageChannel();
  const ended = new Promise((close) => {
    new PortNode(port2, { open: (node, more) => node.expose("far", actor, more), close });
  });
  const node = await attach(system, port1, { reentrant: true });
  return { system, node, ended };
}

async function lua(system, entry, on = "w1") {
  const { status, text } = await system.eval(entry, { on });
  assert.equal(status, "ok", text);
  return text;
}

const FAR = 'mc = require "mooncast" far = mc.lookup "far"';

for (const link of links) {
  describe(`a node behind a port, over ${link}s`, () => {
    it("is called from every node by what it exposes, and from JavaScript", async () => {
      const { system } = await systemWith(link, { twice: (n) => 2 * n, both: (a, b) => [b, a] });
      for (const on of ["w1", "w2"]) {
        await lua(system, FAR, on);
        assert.equal(await lua(system, "far:twice(21), tostring(far):match 'host.1'", on), "42\thost.1");
        assert.equal(await lua(system, "far:both('x', { 'ü' })[1][1]", on), "ü");
      }
      const far = await system.lookup("far");
      assert.deepEqual([far.node, await far.call("twice", [4])], ["host.1", 8]);
      assert.deepEqual(system.nodes(), ["w1", "w2"]);
      await system.close();
    });

    it("calls actors in Lua and of the host, by references that it got", async () => {
      const actor = {
        async add(counter, n) {
          return (await this.call(counter, "inc", [n])) + 0.5;
        },
        async ask(page) {
          return this.call(page, "title", []);
        },
      };
      const { system } = await systemWith(link, actor);
      system.expose("page", { title: () => "a title" });
      await lua(system, `${FAR} C = mc.actor "C" function C:inc(n) self.n = (self.n or 0) + n return self.n end`);
      await lua(system, 'c = mc.spawn({ C, on = "w2" })');
      assert.equal(await lua(system, "far:add(c, 5), far:add(c, 5)"), "5.5\t10.5");
      assert.equal(await lua(system, 'far:ask(mc.lookup "page")'), "a title");
      await system.close();
    });

    it("says what a handler raised, what is no method, and that it took too long", async () => {
      const actor = {
        fail() {
          throw new Error("the far side failed");
        },
        wait() {
          return new Promise((resolve) => this.signal.addEventListener("abort", resolve));
        },
      };
      const { system } = await systemWith(link, actor);
      await lua(system, FAR);
      assert.match(await lua(system, "select(2, pcall(far.fail, far))"), /the far side failed/);
      assert.equal(await lua(system, "select(2, pcall(far.none, far)).code"), "no_such_method");
      assert.equal(await lua(system, "select(2, pcall(mc.with, { timeout = 0.05 }, far.wait, far)).code"), "timeout");
      await system.close();
    });

    it("fails calls that wait for it when it ends, and later ones", async () => {
      const called = {};
      called.promise = new Promise((resolve) => (called.resolve = resolve));
      const wait = () => new Promise(() => called.resolve());
      const { system, node, ended } = await systemWith(link, { wait });
      const events = system.events();
      await lua(system, FAR);
      const waiting = lua(system, "local e = select(2, pcall(far.wait, far)) return e.code, e.node");
      await called.promise;
      node.close();
      await ended;
      assert.equal(await waiting, "node_down\thost.1");
      assert.equal(await lua(system, "select(2, pcall(far.wait, far)).code"), "node_down");
      assert.equal(await lua(system, `${FAR} return far`, "w2"), "nil");
      const { value } = await events.next();
      assert.deepEqual([value.type, value.node, value.code], ["down", "host.1", "node_down"]);
      await system.close();
    });

    it("hears that another node died while it waited for an actor there", async () => {
      const actor = {
        async ask(ref) {
          return this.call(ref, "forever", []).catch((error) => `${error.code} ${error.node}`);
        },
      };
      const { system } = await systemWith(link, actor);
      await lua(system, `${FAR} S = mc.actor "S" function S:forever() self.page:asked() mc.sleep(60) end`);
      await lua(system, 'function S:init(page) self.page = page end');
      const asked = new Promise((resolve) => system.expose("page", { asked: resolve }));
      await lua(system, 's = mc.spawn({ S, on = "w2" }, mc.lookup "page")');
      const answer = lua(system, "far:ask(s)");
      await asked;
      await system.terminate("w2");
      assert.equal(await answer, "node_down w2");
      await system.close();
    });

    it("ends with its system", async () => {
      const { system, ended } = await systemWith(link, {});
      await system.close();
      await ended;
    });
  });
}

describe("a node behind a port that cannot start", () => {
  it("says why", async () => {
    const system = await createSystem({ workers: 1 });
    const { port1, port2 } = new MessageChannel();
    const open = () => {
      throw new Error("there is nothing to host");
    };
    new PortNode(port2, { open });
    await assert.rejects(attach(system, port1), /there is nothing to host/);
    await system.close();
  });
});
