// worker.js, the script that pages start, in a worker thread of Node.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { until } from "./until.js";

async function evaluate(system, entry, on) {
  const { status, text } = await system.eval(entry, { on });
  assert.equal(status, "ok", text);
}

describe("a worker as a page starts it", () => {
  const workerUrl = new URL("./fixtures/page-worker.js", import.meta.url);
  for (const link of ["ring", "port"]) {
    it(`works over ${link}s: events are all it hears, and files are in its memory`, async () => {
      const out = [];
      const stdout = (bytes) => out.push(Buffer.from(bytes).toString());
      const files = { "/mod.lua": "return { x = 42 }" };
      const system = await createSystem({ workers: 2, link, workerUrl, stdout, files });
      system.expose("page", { title: (text) => `title: ${text}` });
      const entry = `package.path = "/?.lua"; local mc = require "mooncast"
        local A = mc.actor "A"; function A:ask(n) for i = 1, n do mc.lookup("page"):title(i) end return mc.node(), require "mod".x end
        print(mc.spawn{ A, on = "w1" }:ask(50))`;
      await evaluate(system, 'package.path = "/?.lua"', "w1");
      await evaluate(system, entry, "w2");
      await until(() => out.join("").endsWith("\n"));
      assert.equal(out.join(""), "w1\t42\n");
      assert.equal((await system.stats()).foreign_messages, 2);
      const calls = Array.from({ length: 200 }, (_, i) => system.eval(`return ${i}`, { on: i % 2 ? "w1" : "w2" }));
      assert.deepEqual((await Promise.all(calls)).map(({ text }) => text), calls.map((_, i) => String(i)));
      await system.close();
    });
  }
});
