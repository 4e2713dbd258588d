// Who can reach whom: hosts, workers, their siblings and the workers that they start.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createSystem } from "../../worker-shell/index.js";
import { inPage, links, program } from "../support/here.js";
import { withSystem } from "../support/with-system.js";

/** Two threads to start, one processor to run on, and somebody else's tests: less than the 30 s of a timeout. */
const SOON_MS = 10_000;
/** Nodes that start and end, after the first forty. Each takes about 50 ms: many in one mode are enough. */
const CYCLES = inPage ? { ring: 20, port: 20 } : { ring: 960, port: 60 };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const PROGRAM = `
local mc = require "mooncast"
local Greeter = mc.actor("Greeter", { reentrant = true })
function Greeter:hello(name) return "Hello, " .. name .. "!", mc.node() end
function Greeter:sleep(seconds) mc.sleep(seconds) end
function Greeter:pass(ref, ...) return mc.call(ref, ...) end
function Greeter:catch(ref, ...)
  local ok, raised = pcall(mc.call, ref, ...)
  return ok, not ok and raised.code or raised, not ok and raised.node or nil
end
function Greeter:work(name, steps)
  local progress = mc.lookup(name)
  for i = 1, steps do progress:step(i / steps, mc.node()) end
  return "done"
end
function Greeter:work_for(listener, steps)
  for i = 1, steps do listener:step(i) end
end
function Greeter:start_child()
  local name = mc.start_node()
  return name, mc.spawn { Greeter, on = name }
end
function Greeter:garble(ref) return self:catch(ref, "hello", "garble" .. " this") end
function Greeter:stop(name) return mc.stop_node(name), table.concat(mc.nodes(), " ") end
function Greeter:pending() return mc.stats().pending end
function Greeter:nodes() return table.concat(mc.nodes(), " ") end
function Greeter:numbers(to, count)
  for i = 1, count do mc.cast(to, "number", i) end
  return to:seen()
end
function Greeter:number(i)
  self.jumps = (self.jumps or 0) + (i == (self.last or 0) + 1 and 0 or 1)
  self.last = i
end
function Greeter:seen() return self.last, self.jumps end
local Listener = mc.actor "Listener"
function Listener:init() self.steps = {} end
function Listener:step(i) self.steps[#self.steps + 1] = i end
function Listener:all() return self.steps end
mc.main(function() end)
`;
const path = await program("topology.lua", PROGRAM);
const garbles = new URL(inPage ? "./fixtures/garbles-page.js" : "./fixtures/garbles.js", import.meta.url);

const withProgram = (options, run) => withSystem({ ...options, main: path }, run);

async function eventually(condition, what) {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await sleep(5);
  }
}

for (const link of links) {
  describe(`nodes that are linked by ${link}s`, () => {
    it("are started, with an actor on them, by one call each; the host calls it [I1] [I4]", async () => {
      await withProgram({ link }, async (system) => {
        const greeter = await system.spawn("Greeter", [], { on: await system.startNode() });
        assert.deepEqual(await greeter.call("hello", ["world"]), ["Hello, world!", "w3"]);
      });
    });

    it("call actors of their parent, which hears them in order [I5]", async () => {
      await withProgram({ link }, async (system) => {
        const heard = [];
        system.expose("progress", { step: (part, node) => void heard.push([part, node]) });
        const greeter = await system.spawn("Greeter", [], { on: "w2" });
        assert.equal(await greeter.call("work", ["progress", 10]), "done");
        assert.deepEqual(heard, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((i) => [i / 10, "w2"]));
        // And an actor that the parent node made and handed to its child.
        const listener = await system.spawn("Listener", [], { on: "w1" });
        await greeter.call("work_for", [listener, 10]);
        assert.deepEqual(await listener.call("all"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      });
    });

    it("call their siblings, and learn when one dies in the middle of it [I6]", async () => {
      await withProgram({ link, workers: 3 }, async (system) => {
        const [a, b] = await Promise.all(["w1", "w2"].map((on) => system.spawn("Greeter", [], { on })));
        assert.deepEqual(await a.call("pass", [b, "hello", "sibling"]), ["Hello, sibling!", "w2"]);
        const waiting = a.call("catch", [b, "sleep", 1000]);
        await eventually(async () => (await a.call("pending")) > 0, "the call is on its way");
        const start = performance.now();
        await system.terminate("w2");
        assert.deepEqual(await waiting, [false, "node_down", "w2"]);
        assert.ok(performance.now() - start < SOON_MS);
        assert.deepEqual(await a.call("catch", [b, "hello", "again"]), [false, "node_down", "w2"]);
      });
    });

    // Siblings are linked directly. What they send goes into the new link at once, and stands there until the host,
    // which is asked over another way, has handed the other end over: that is the switch.
    it("send in order from the first message on, while the link is made [I6] [I7]", async () => {
      await withProgram({ link }, async (system) => {
        const [a, b] = await Promise.all(["w1", "w2"].map((on) => system.spawn("Greeter", [], { on })));
        assert.deepEqual(await a.call("numbers", [b, 10_000]), [10_000, 0]);
      });
    });

    it("lose nothing and keep the order when a busy host hands the link over late, in both directions [I7]", async () => {
      await withProgram({ link }, async (system) => {
        const [a, b] = await Promise.all(["w1", "w2"].map((on) => system.spawn("Greeter", [], { on })));
        const both = [a.call("numbers", [b, 10_000]), b.call("numbers", [a, 10_000])];
        // The calls leave; then nothing is handed over for a while.
        await sleep(0);
        for (const till = performance.now() + 300; performance.now() < till; );
        assert.deepEqual(await Promise.all(both), [[10_000, 0], [10_000, 0]]);
      });
    });

    it("start nodes of their own, which the host can call; they end with them [I9]", async () => {
      await withProgram({ link }, async (system) => {
        const down = [];
        const events = system.events();
        const listening = (async () => {
          for await (const event of events) if (event.type === "down") down.push(event.node);
        })();
        const first = await system.spawn("Greeter", [], { on: "w1" });
        const [name, child] = await first.call("start_child");
        assert.equal(name, "w1.1");
        assert.deepEqual(await child.call("hello", ["grandchild"]), ["Hello, grandchild!", "w1.1"]);
        const [deeper, grandchild] = await child.call("start_child");
        assert.equal(deeper, "w1.1.1");
        assert.deepEqual(system.nodes(), ["w1", "w2", "w1.1", "w1.1.1"]);
        const other = await system.spawn("Greeter", [], { on: "w2" });
        assert.deepEqual(await other.call("pass", [grandchild, "hello", "all"]), ["Hello, all!", "w1.1.1"]);
        const waiting = [child, grandchild].map((ref) => ref.call("sleep", [1000]).then(assert.fail, (error) => error));
        await grandchild.call("pending");
        await system.terminate("w1");
        for (const error of await Promise.all(waiting)) assert.equal(error.code, "node_down");
        await eventually(() => down.length === 3, "all three are down");
        assert.deepEqual(down.sort(), ["w1", "w1.1", "w1.1.1"]);
        assert.deepEqual(system.nodes(), ["w2"]);
        await eventually(async () => (await other.call("nodes")) === "w2", "w2 knows");
        events.return();
        await listening;
      });
    });

    it("are stopped with those that they started, and whoever asked for it knows at once [I9]", async () => {
      await withProgram({ link }, async (system) => {
        const first = await system.spawn("Greeter", [], { on: "w1" });
        for (let i = 1; i <= 5; i++) {
          const [name, child] = await first.call("start_child");
          const [deeper] = await child.call("start_child");
          assert.deepEqual([name, deeper], [`w1.${i}`, `w1.${i}.1`]);
          assert.deepEqual(await first.call("stop", [name]), [true, "w1 w2"]);
          assert.deepEqual(system.nodes(), ["w1", "w2"]);
        }
        assert.deepEqual(await first.call("stop", ["w7"]), [false, "w1 w2"]);
        // The children of another node, too.
        const second = await system.spawn("Greeter", [], { on: "w2" });
        await second.call("start_child");
        assert.deepEqual(await first.call("stop", ["w2"]), [true, "w1"]);
      });
    });

    it("that send what is malformed are told so: what is awaited there fails at once, on both sides [D5]", async () => {
      const workerUrl = garbles;
      const lines = [];
      await withProgram({ link, workerUrl, log: (line) => lines.push(line) }, async (system) => {
        const [a, b] = await Promise.all(["w1", "w2"].map((on) => system.spawn("Greeter", [], { on })));
        assert.deepEqual(await a.call("pass", [b, "hello", "sound"]), ["Hello, sound!", "w2"]);
        const waiting = [a.call("catch", [b, "sleep", 1000]), b.call("catch", [a, "sleep", 1000])];
        for (const ref of [a, b]) await eventually(async () => (await ref.call("pending")) > 0, "both wait");
        const start = performance.now();
        assert.deepEqual(await a.call("garble", [b]), [false, "node_down", "w2"]);
        assert.deepEqual(await Promise.all(waiting), [[false, "node_down", "w2"], [false, "node_down", "w1"]]);
        assert.ok(performance.now() - start < SOON_MS);
        await eventually(() => lines.length > 0, "the log has come");
        assert.match(lines[0].text, /the link from w1 was malformed/);
        // The host can talk to both of them; one still sleeps on each.
        for (const ref of [a, b]) assert.equal(await ref.call("pending"), 0);
        await Promise.all(["w1", "w2"].map((name) => system.terminate(name)));
      });
    });

    it("that send the host what is malformed are told so as well [D5]", async () => {
      const workerUrl = garbles;
      const lines = [];
      await withProgram({ link, workerUrl, log: (line) => lines.push(line) }, async (system) => {
        const page = system.expose("page", { hello: () => "hello" });
        const [a, b] = await Promise.all(["w1", "w2"].map((on) => system.spawn("Greeter", [], { on })));
        const waiting = a.call("sleep", [1000]).catch((error) => error.code);
        const start = performance.now();
        assert.deepEqual(await b.call("pass", [a, "garble", page]), [false, "node_down", "host"]);
        assert.equal(await waiting, "malformed");
        assert.ok(performance.now() - start < SOON_MS);
        assert.match(lines[0].text, /no frame/);
        await system.terminate("w1");
      });
    });

    it("come and go, and nothing of them stays [I3] [I18]", { timeout: 300_000 }, async () => {
      await withProgram({ link }, async (system) => {
        const here = await system.spawn("Greeter", [], { on: "w1" });
        const cycle = async () => {
          const name = await system.startNode();
          const there = await system.spawn("Greeter", [], { on: name });
          assert.equal((await here.call("pass", [there, "hello", name]))[1], name);
          await system.terminate(name);
        };
        const rss = async (cycles) => {
          for (let i = 0; i < cycles; i++) await cycle();
          globalThis.gc?.();
          // A page is not told.
          return inPage ? 0 : process.memoryUsage().rss;
        };
        await rss(20);
        const before = await rss(20);
        const after = await rss(CYCLES[link]);
        assert.deepEqual(system.nodes(), ["w1", "w2"]);
        assert.equal(system.info().workers, 2);
        await eventually(async () => (await here.call("nodes")) === "w1 w2", "w1 knows");
        // A node takes several MB: one in ten that stayed would show, in many cycles one in fifty.
        assert.ok(after - before < (CYCLES[link] < 100 ? 40e6 : 100e6), `${Math.round((after - before) / 1e6)} MB more`);
      });
    });
  });
}

describe("a worker that cannot start", () => {
  const cases = {
    "its script is not there": { workerUrl: new URL("./fixtures/none.js", import.meta.url) },
    "its script throws": { workerUrl: new URL("./fixtures/throws.js", import.meta.url) },
    "its wasm is none": { wasm: Uint8Array.of(0, 1, 2, 3) },
    "its wasm is not there": { wasm: new URL("./fixtures/none.wasm", import.meta.url) },
  };
  for (const [what, options] of Object.entries(cases)) {
    it(`fails at once, with the cause: ${what} [I1]`, async () => {
      const start = performance.now();
      await assert.rejects(createSystem({ workers: 2, ...options }), /none\.js|script could not be loaded|this worker throws|cannot load the wasm|none\.wasm/);
      assert.ok(performance.now() - start < SOON_MS);
    });
  }
});

describe("the wasm", () => {
  it("is compiled once, however many workers run it [I2]", async () => {
    const { compile, compileStreaming } = WebAssembly;
    let compiled = 0;
    WebAssembly.compile = (...args) => ((compiled += 1), compile(...args));
    WebAssembly.compileStreaming = (...args) => ((compiled += 1), compileStreaming(...args));
    const times = [];
    try {
      const system = await createSystem({ workers: 1 });
      for (let i = 0; i < 7; i++) {
        const start = performance.now();
        await system.startNode();
        times.push(performance.now() - start);
      }
      assert.equal(system.nodes().length, 8);
      await system.close();
    } finally {
      Object.assign(WebAssembly, { compile, compileStreaming });
    }
    // Workers get the module itself: nothing in the shell compiles but this.
    assert.equal(compiled, 1);
    const typical = times.sort((a, b) => a - b)[3];
    assert.ok(typical < (inPage ? 1000 : 250), `${typical} ms for one more worker`);
  });
});
