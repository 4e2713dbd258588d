// A policy of the host's: which nodes may call actors of which.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { links, program } from "../support/here.js";
import { withSystem } from "../support/with-system.js";

const PROGRAM = `
local mc = require "mooncast"
local Child = mc.actor("Child", { reentrant = true })
function Child:hello(name) return "Hello, " .. name .. "!" end
function Child:pass(...) return mc.call(...) end
function Child:count(n) self.sum = (self.sum or 0) + n end
function Child:counted() return self.sum or 0 end
function Child:code_of(kind, ...)
  local ok, raised = pcall(mc[kind], ...)
  return not ok and raised.code or "it returned"
end
function Child:code_of_page(name, ...) return self:code_of("call", mc.lookup(name), ...) end
function Child:stats() return mc.stats() end
function Child:start() return mc.start_node() end
function Child:nodes() return table.concat(mc.nodes(), " ") end
mc.main(function() end)
`;
const path = await program("policy.lua", PROGRAM);

const parentOf = (name) => (name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "host");
const noSiblings = (from, to) => parentOf(from) !== parentOf(to) || !from.includes(".");

const withProgram = (options, run) => withSystem({ ...options, main: path }, run);

const spawnOn = (system, ...names) => Promise.all(names.map((on) => system.spawn("Child", [], { on })));

for (const link of links) {
  describe(`createSystem({ policy }) over ${link}s`, () => {
    it("keeps children from calling siblings, and neither from calling their parent [E6] [I8]", async () => {
      await withProgram({ link, policy: noSiblings }, async (system) => {
        const [parent] = await spawnOn(system, "w1");
        const names = [await parent.call("start"), await parent.call("start")];
        assert.deepEqual(names, ["w1.1", "w1.2"]);
        const [a, b] = await spawnOn(system, ...names);
        const codes = ["call", "cast"].map((kind) => a.call("code_of", [kind, b, "count", 1]));
        assert.deepEqual(await Promise.all([...codes, a.call("code_of", ["stop", b])]), Array(3).fill("not_permitted"));
        assert.equal(await b.call("counted"), 0);
        assert.equal((await b.call("stats")).dead_letters, 0);
        for (const [from, to] of [[a, parent], [parent, a], [b, parent]]) {
          assert.equal(await from.call("pass", [to, "hello", "there"]), "Hello, there!");
        }
        // A page's actors, too, and what the page itself asks.
        system.expose("page", { hello: (name) => `Hello, ${name}, from the page!` });
        assert.equal(await a.call("code_of_page", ["page", "hello", "a"]), "it returned");
      });
    });

    it("is about one direction: answers come back", async () => {
      await withProgram({ link, policy: (from, to) => !(from === "w1" && to === "w2") }, async (system) => {
        const [a, b] = await spawnOn(system, "w1", "w2");
        assert.equal(await a.call("code_of", ["call", b, "hello", "b"]), "not_permitted");
        assert.equal(await b.call("pass", [a, "hello", "a"]), "Hello, a!");
      });
    });

    it("holds for the host and its actors, as caller and as callee", async () => {
      const policy = (from, to) => !(from === "host" && to === "w2") && !(from === "w1" && to === "host");
      await withProgram({ link, policy }, async (system) => {
        const page = { heard: 0, hello() { this.self.heard += 1; } };
        system.expose("page", page);
        const [a, b] = await spawnOn(system, "w1", "w2");
        const refused = { code: "not_permitted", node: "w2", transport: true };
        await assert.rejects(b.call("hello", ["b"]), refused);
        await assert.rejects(b.cast("hello", ["b"]), refused);
        await assert.rejects(b.stop(), refused);
        assert.equal(await a.call("code_of_page", ["page", "hello"]), "not_permitted");
        assert.equal(page.heard, 0);
        assert.equal(await a.call("pass", [b, "hello", "b"]), "Hello, b!");
      });
    });

    it("that throws, or gives no boolean, permits nothing: calls raise, the log says why, nothing waits [E6]", async () => {
      const lines = [];
      const policy = (from, to) => {
        if (from === "w1" && to === "w2") throw new Error("no rule for w2");
        return from === "w2" && to === "w1" ? Promise.resolve(true) : true;
      };
      await withProgram({ link, policy, log: (line) => lines.push(line) }, async (system) => {
        const [a, b] = await spawnOn(system, "w1", "w2");
        assert.equal(await a.call("code_of", ["call", b, "hello", "b"]), "not_permitted");
        assert.equal(await b.call("code_of", ["cast", a, "count", 1]), "not_permitted");
        assert.equal(await a.call("counted"), 0);
        assert.deepEqual(lines.map(({ node, level, text }) => [node, level, text]), [
          ["host", "error", "the policy on calls from w1 to w2 failed, there will be none: no rule for w2"],
          ["host", "error", "the policy on calls from w2 to w1 failed, there will be none: it returned no boolean"],
        ]);
      });
    });

    it("is known before a new node is used; nodes that start together know one another", async () => {
      const policy = (from, to) => !(from === "w1" && to.startsWith("w3"));
      await withProgram({ link, policy }, async (system) => {
        const [a, b] = await spawnOn(system, "w1", "w2");
        assert.deepEqual((await Promise.all([system.startNode(), system.startNode()])).sort(), ["w3", "w4"]);
        const [c, d] = await spawnOn(system, "w3", "w4");
        assert.equal(await a.call("code_of", ["call", c, "hello", "c"]), "not_permitted");
        assert.equal(await b.call("pass", [c, "hello", "c"]), "Hello, c!");
        for (const ref of [a, b, c, d]) {
          assert.deepEqual((await ref.call("nodes")).split(" ").sort(), ["w1", "w2", "w3", "w4"]);
        }
      });
    });
  });
}
