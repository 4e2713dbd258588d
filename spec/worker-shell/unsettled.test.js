// Handlers in JavaScript that never answer: told of, and ended where nothing can ever settle them.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { createSystem } from "../../worker-shell/index.js";
import { HostNode } from "../../worker-shell/host-node.js";
import { programFolder } from "../support/cli.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
const program = programFolder(after);

/** Collects until it has happened. */
async function collectUntil(condition) {
  while (!condition()) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function node() {
  const told = [];
  const host = new HostNode({ name: "host", connect: () => "unknown_node", onError: (text) => told.push(text) });
  return { host, told };
}

const kinds = {
  "a promise that was dropped": { title: () => new Promise(() => {}) },
  "an async function that awaits one": {
    async title() {
      await new Promise(() => {});
    },
  },
};

describe("a handler whose promise nobody can settle any more", () => {
  for (const [what, page] of Object.entries(kinds)) {
    it(`ends as deadlock, and is told of: ${what}`, async () => {
      const { host, told } = node();
      const answer = host.expose("page", page).call("title", [], { timeout: Infinity }).catch((error) => error);
      await collectUntil(() => told.length > 0);
      const error = await answer;
      assert.equal(error.code, "deadlock");
      assert.match(error.message, /page\.title \(JavaScript\) will never answer/);
      assert.equal(told.length, 1);
      assert.equal(host.stats().tasks, 0);
      host.close();
    });
  }

  it("lets the next message start", async () => {
    const { host, told } = node();
    const ref = host.expose("page", { title: () => new Promise(() => {}), ping: () => "pong" });
    const dropped = ref.call("title", []).catch((error) => error.code);
    const next = ref.call("ping", []);
    await collectUntil(() => told.length > 0);
    assert.deepEqual([await dropped, await next], ["deadlock", "pong"]);
    host.close();
  });

  it("is not one that somebody still may", async () => {
    const { host, told } = node();
    let settle;
    const page = { title: () => new Promise((resolve) => (settle = resolve)), drop: () => new Promise(() => {}) };
    const answer = host.expose("page", page).call("title", []);
    const other = host.expose("other", page).call("drop", []).catch((error) => error.code);
    await collectUntil(() => told.length > 0);
    assert.equal(await other, "deadlock");
    assert.match(host.waits().join("\n"), /^page\.title \(JavaScript\) has not answered for \d+\.\d s$/);
    settle("late");
    assert.equal(await answer, "late");
    assert.deepEqual([told.length, host.waits()], [1, []]);
    host.close();
  });
});

describe("a program that waits for a handler in JavaScript alone", { concurrency: 3 }, () => {
  const main = `
    local mc = require "mooncast"
    mc.main(function()
      local page = mc.lookup "page"
      mc.with({ timeout = math.huge }, page.title, page, "x")
    end)`;
  for (const [workers, link] of [[2, "ring"], [2, "port"], [0, undefined]]) {
    it(`is explained, and goes on when that answers: ${workers} workers, ${link}`, async () => {
      const path = program(`page${workers}${link}.lua`, main);
      let settle, tell;
      const explained = new Promise((resolve) => (tell = resolve));
      const system = await createSystem({ workers, link, detectStuck: true, log: ({ text }) => tell(text) });
      try {
        system.expose("page", { title: () => new Promise((done) => (settle = done)) });
        const running = system.run(path);
        assert.match(await explained, /^page\.title \(JavaScript\) has not answered for \d+\.\d s$/);
        settle();
        await running;
      } finally {
        await system.close();
      }
    });
  }
});
