import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { ActorError, createSystem, results } from "../../worker-shell/index.js";
import { endsHungThreads, inPage, links, program, threads } from "../support/here.js";
import { until } from "./until.js";
import { AT_ONCE, HANG, TRAP, constant, tinyWasm } from "./fixtures/tiny-wasm.js";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const text = (bytes) => String.fromCharCode(...bytes);

/** On a busy machine, and less than the 30 s of a timeout. */
const SOON_MS = 10_000;

/** What it is rejected with, soon. */
async function soonFails(promise) {
  const start = performance.now();
  const error = await promise.then(() => assert.fail("it did not fail"), (e) => e);
  assert.ok(performance.now() - start < SOON_MS, `it took ${performance.now() - start} ms`);
  return error;
}

/** Evaluates on a node; fails with the error's text. */
async function lua(system, entry, on) {
  const { status, text } = await system.eval(entry, { on });
  assert.equal(status, "ok", text);
  return text;
}

const COUNTER = `
local mc = require "mooncast"
local Counter = mc.actor "Counter"
function Counter:init(n) if n == "bad" then error("no db", 0) end self.n = n or 0 end
function Counter:inc(by) self.n = self.n + (by or 1); return self.n end
function Counter:where() return mc.node() end
function Counter:boom() error { code = 42 } end
function Counter:fail() local t = nil; return t.x end
function Counter:sleep(s) mc.sleep(s) return "slept" end
function Counter:many() return nil, 2, nil end
function Counter:echo(...) return ... end
function Counter:ask(name, method, ...) return mc.call(mc.lookup(name), method, ...) end
local Slow = mc.actor "Slow"
function Slow:init(seconds)
  local till = os.clock() + seconds
  while os.clock() < till do end
end
mc.main(function() end)
`;
const COUNTER_FILE = await program("counter.lua", COUNTER);

describe("a system that cannot start", () => {
  const cases = [
    ["whose wasm is not there", { wasm: new URL("./fixtures/none.wasm", import.meta.url) }, /cannot load the wasm: .*none\.wasm/],
    ["whose wasm is none", { wasm: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }, /cannot load the wasm/],
    ["whose worker is not there", { workerUrl: new URL("./fixtures/none.js", import.meta.url) }, /node w\d could not start: (.*none\.js|its script could not be loaded)/],
    ["whose worker throws", { workerUrl: new URL("./fixtures/throws.js", import.meta.url) }, /node w\d could not start: .*this worker throws/],
    ["whose wasm traps", { wasm: tinyWasm({ mc_open: TRAP }) }, /node w\d could not start: wasm trap: .*unreachable/i],
    ["whose wasm refuses", { wasm: tinyWasm({ mc_open: constant(1) }) }, /node w\d could not start: the node could not be opened/],
    ...(endsHungThreads ? [["whose wasm hangs", { wasm: tinyWasm({ mc_open: HANG }), startTimeout: 500 }, /node w\d could not start: .*it was not ready after 500 ms/]] : []),
  ];
  // A page hears nothing of a worker that closes itself.
  if (!inPage) {
    const workerUrl = new URL("./fixtures/ends.js", import.meta.url);
    cases.push(["whose worker ends", { workerUrl }, /node w\d could not start: its thread ended/]);
  }
  for (const [name, options, message] of cases) {
    it(`rejects with the cause, and nothing is left: ${name}`, async () => {
      const before = threads();
      const error = await soonFails(createSystem({ workers: 2, ...options }));
      assert.match(error.message, message);
      await until(() => threads() === before);
    });
  }

  // A page's workers load their scripts by its help.
  it("is none whose host did not listen for all the time that a node may take", { skip: inPage }, async () => {
    const system = await createSystem({ workers: 1, startTimeout: 1000 });
    try {
      const starting = system.startNode();
      for (const till = performance.now() + 1500; performance.now() < till; );
      assert.equal(await lua(system, "1 + 1", await starting), "2");
    } finally {
      await system.close();
    }
  });

  it("rejects wrong options and says what they are", async () => {
    const wrong = [
      [{ worker: 2 }, "createSystem has no option worker"],
      [{ toString: 2 }, "createSystem has no option toString"],
      [{ workers: -1 }, "workers is a whole number from 0 to 1024, not -1"],
      [{ workers: 1.5 }, "workers is a whole number from 0 to 1024, not 1.5"],
      [{ workers: "2" }, "workers is a whole number from 0 to 1024, not 2"],
      [{ workers: 1e9 }, "workers is a whole number from 0 to 1024, not 1000000000"],
      [{ link: "socket" }, 'link is "ring" or "port", not socket'],
      [{ callTimeout: 0 }, "callTimeout is a number of milliseconds above 0, not 0"],
      [{ callTimeout: "5" }, "callTimeout is a number of milliseconds above 0, not 5"],
      [{ args: "x" }, "args is an array, not x"],
      [{ main: 5 }, "main is a string, not 5"],
      [{ log: console }, /^log is a function, not/],
      [{ policy: true }, "policy is a function, not true"],
      [5, "options is an object, not 5"],
      [null, "options is an object, not null"],
    ];
    for (const [options, message] of wrong) await assert.rejects(createSystem(options), { message });
  });

  it("rejects wrong arguments before anything is sent", async () => {
    const system = await createSystem({ workers: 1 });
    try {
      const ref = system.expose("echo", { say: (text) => text });
      await assert.rejects(system.eval(5), { message: "entry is a string, not 5" });
      await assert.rejects(system.run(), { message: "a program's name is a string, not undefined" });
      await assert.rejects(system.spawn(5), { message: "type is a string, not 5" });
      await assert.rejects(ref.call("say", [1], { signal: 5 }), { message: "signal is an AbortSignal" });
      assert.throws(() => system.expose(5, {}), { message: "name is a string, not 5" });
      assert.equal((await system.stats()).pending, 0);
    } finally {
      await system.close();
    }
  });

  it("rejects with what the program raised", async () => {
    const before = threads();
    const main = await program("bad.lua", "error('no config', 0)");
    await assert.rejects(createSystem({ workers: 1, main }), { code: "raised", message: "no config" });
    await assert.rejects(createSystem({ workers: 1, main: main.replace("bad", "none") }), /cannot open/);
    assert.equal(threads(), before);
  });
});

describe("a node that fails", () => {
  const isDown = { code: "node_down", node: "w1", transport: true };

  it("by a trap is down with its message, and not called again", async () => {
    const system = await createSystem({ workers: 2, wasm: tinyWasm({ mc_deliver: TRAP }) });
    const events = system.events();
    const error = await soonFails(system.nodeActor("w1").call("stats"));
    assert.deepEqual({ code: error.code, node: error.node, transport: error.transport }, isDown);
    const { value } = await events.next();
    assert.match(value.reason, /node w1 went down: wasm trap: .*unreachable/i);
    assert.deepEqual(system.nodes(), ["w2"]);
    await system.close();
  });

  it("by a trap in the host's own thread is down, too", async () => {
    const system = await createSystem({ workers: 0, wasm: tinyWasm({ mc_deliver: TRAP }) });
    await assert.rejects(system.nodeActor("w1").call("stats"), isDown);
    await system.close();
  });

  it("by hanging is killed when it was asked to be noticed", { skip: !endsHungThreads }, async () => {
    const hangs = [0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f];
    const wasm = tinyWasm({ mc_deliver: HANG, mc_step: hangs });
    const system = await createSystem({ workers: 2, wasm, hangTimeout: 600 });
    const calls = Array.from({ length: 5 }, () => system.nodeActor("w1").call("stats"));
    const errors = await Promise.all(calls.map((call) => soonFails(call)));
    for (const error of errors) assert.deepEqual([error.code, error.node], ["node_hung", "w1"]);
    assert.deepEqual(system.nodes(), ["w2"]);
    await system.close();
  });

  it("does not look hung when it only computes", async () => {
    const system = await createSystem({ workers: 1, wasm: tinyWasm({ mc_step: AT_ONCE }), hangTimeout: 200 });
    await sleep(600);
    assert.deepEqual(system.nodes(), ["w1"]);
    await system.close();
  });

  it("when it hangs can be terminated, and closing does not wait for it", { skip: !endsHungThreads }, async () => {
    const system = await createSystem({ workers: 2, wasm: tinyWasm({ mc_deliver: HANG }) });
    const calls = ["w1", "w2"].map((name) => system.nodeActor(name).call("stats").catch((error) => error.code));
    await sleep(50);
    await system.terminate("w1");
    const start = performance.now();
    await system.close();
    assert.ok(performance.now() - start < SOON_MS);
    assert.deepEqual(await Promise.all(calls), ["node_down", "closed"]);
  });
});

for (const kind of [...links, "memory"]) {
  const shape = kind === "memory" ? { workers: 0 } : { workers: 2, link: kind };
  const where = kind === "memory" ? "in this thread" : `over ${kind}s`;

  describe(`a system ${where}`, () => {
    const main = COUNTER_FILE;
    let system;
    after(() => system?.close());

    it("starts, with its nodes' names", async () => {
      system = await createSystem({ ...shape, main });
      await system.finished;
      assert.deepEqual(system.nodes(), kind === "memory" ? ["w1"] : ["w1", "w2"]);
      assert.equal(system.info().link, kind);
      assert.equal(await lua(system, 'require"mooncast".info().link'), kind);
    });

    it("spawns actors and calls them", async () => {
      const last = system.nodes().at(-1);
      const counter = await system.spawn("Counter", [10], { on: last });
      assert.equal(await counter.call("inc", [5]), 15);
      assert.equal(await counter.proxy.inc(), 16);
      assert.equal(await counter.call("where"), last);
      assert.equal(counter.node, last);
      assert.match(String(counter), /^Counter\(w\d\/\d+\)$/);
      assert.deepEqual(await counter.call("many"), [null, 2, null]);
      await counter.stop();
      await assert.rejects(counter.call("inc"), { code: "dead_actor", transport: true });
    });

    it("carries values both ways", async () => {
      const counter = await system.spawn("Counter");
      const values = [1, 1.5, -0, 2n ** 60n, "héllo", Uint8Array.of(0, 255), [1, [2]], { a: { b: 1 } }, new Map([[1.5, "x"]]), true];
      for (const value of values) assert.deepEqual(await counter.call("echo", [value]), value);
      assert.equal(await counter.call("echo", [counter]), counter);
      const page = system.expose("page", {});
      assert.equal(await counter.call("echo", [page]), page);
    });

    it("gives errors as they were raised", async () => {
      const counter = await system.spawn("Counter");
      const raised = (method) => counter.call(method).then(assert.fail, (error) => error);
      const boom = await raised("boom");
      assert.ok(boom instanceof ActorError);
      assert.deepEqual([boom.code, boom.value, boom.transport], ["raised", { code: 42 }, false]);
      const fail = await raised("fail");
      assert.match(fail.message, /counter\.lua:8: attempt to index a nil value \(local 't'\)/);
      assert.match(fail.traceback, /counter\.lua:8/);
      await assert.rejects(system.spawn("Counter", ["bad"]), { message: "no db" });
      await assert.rejects(system.spawn("Nobody"), /Nobody/);
      await assert.rejects(counter.call("nope"), { code: "no_such_method" });
      await assert.rejects(counter.call("init"), { code: "no_such_method" });
    });

    it("ends calls by timeout and signal", async () => {
      const counter = await system.spawn("Counter");
      await assert.rejects(counter.call("sleep", [5], { timeout: 30 }), { code: "timeout" });
      const other = await system.spawn("Counter");
      const abort = AbortSignal.timeout(30);
      await assert.rejects(other.call("sleep", [0.2], { signal: abort }), { code: "cancelled" });
    });

    it("stops an actor that is made after its spawn was given up", async () => {
      const actors = async () => {
        const { nodes } = await system.stats();
        return Object.values(nodes).reduce((sum, node) => sum + node.actors, 0);
      };
      const before = await actors();
      // Its init makes the actor, and answers too late.
      for (const on of system.nodes()) {
        await assert.rejects(system.spawn("Slow", [0.1], { on, timeout: 20 }), { code: "timeout" });
      }
      const made = await Promise.all(Array.from({ length: 200 }, () => system.spawn("Counter")));
      await until(async () => (await actors()) === before + 200);
      await Promise.all(made.map((counter) => counter.stop()));
      await until(async () => (await actors()) === before);
    });

    it("lets Lua call JavaScript", async () => {
      const seen = [];
      system.expose("greeter", {
        hello: (name) => `Hello, ${name}!`,
        pair: () => results(1, "two"),
        note: (text) => void seen.push(text),
        boom() {
          throw new Error("no page");
        },
        later: (ms) => sleep(ms).then(() => ms),
        bad: () => () => {},
      });
      const counter = await system.spawn("Counter");
      const ask = (...args) => counter.call("ask", ["greeter", ...args]);
      assert.equal(await ask("hello", "world"), "Hello, world!");
      assert.deepEqual(await ask("pair"), [1, "two"]);
      assert.equal(await ask("later", 20), 20);
      await assert.rejects(ask("boom"), { code: "raised", message: "no page" });
      await assert.rejects(ask("nope"), { code: "no_such_method", transport: false });
      await assert.rejects(ask("bad"), { code: "unsendable", transport: false });
      await lua(system, 'local mc = require "mooncast"; local g = mc.lookup("greeter"); for i = 1, 3000 do mc.cast(g, "note", i) end');
      await counter.call("ask", ["greeter", "note", "last"]);
      await until(() => seen.length === 3001);
    });

    it("leaves nothing pending when arguments cannot be sent", async () => {
      const counter = await system.spawn("Counter");
      await assert.rejects(counter.call("echo", [{ f() {} }]), { code: "unsendable", message: /arguments\[1\]\.f/ });
      assert.equal(await counter.call("echo", [1]), 1);
      const stats = await system.stats();
      assert.deepEqual([stats.pending, stats.tasks, stats.timers], [0, 0, 0]);
    });

    it("carries 8 MiB intact, through links that are smaller", async () => {
      const counter = await system.spawn("Counter", [], { on: system.nodes().at(-1) });
      const much = new Uint8Array(8 << 20).map((_, i) => i * 7);
      const back = await counter.call("echo", [much]);
      assert.equal(back.length, much.length);
      assert.ok(back.every((byte, i) => byte === much[i]));
      const text = `("x"):rep(8 << 20)`;
      await lua(system, `local mc = require "mooncast"; local C = mc.actor "Echo"; function C:echo(s) return s end; local c = mc.spawn{C, on = "${counter.node}"}; assert(c:echo(${text}) == ${text})`);
    });

    it("runs other programs on it", async () => {
      const path = await program("plain.lua", "seen = {arg[0], ...}");
      await system.run(path, "a", "b");
      assert.equal(await lua(system, "#seen, seen[2], seen[3]"), "3\ta\tb");
      await system.runSource("=inline", "inline_ran = true");
      assert.equal(await lua(system, "inline_ran"), "true");
    });

    it("runs a program without mc.main after one with it, once and on the first node alone", async () => {
      await system.runSource("=with", 'require "mooncast".main(function() mains = (mains or 0) + 1 end)');
      await system.runSource("=without", "withouts = (withouts or 0) + 1");
      assert.equal(await lua(system, "mains, withouts"), "1\t1");
      assert.equal(await lua(system, "withouts", system.nodes().at(-1)), system.nodes().length > 1 ? "nil" : "1");
    });

    it("spawns a newer version of a type that a program's text defines, and the one that a variable of it is in", async () => {
      const text = (word) => `
        local mc = require "mooncast"
        local word = "${word}"
        local Teller = mc.actor "Teller"
        function Teller:tell() return word end
        mc.main(function() told = mc.spawn({ Teller, on = mc.nodes()[#mc.nodes()] }):tell() end)`;
      for (const word of ["one", "two"]) {
        await system.runSource("=teller", text(word));
        assert.equal(await lua(system, "told"), word);
      }
      const [plain] = text("three").split("mc.main");
      await system.runSource("=teller", `${plain} told = mc.spawn({ Teller, on = mc.nodes()[#mc.nodes()] }):tell()`);
      assert.equal(await lua(system, "told"), "three");
    });

    it("evaluates, incomplete entries too", async () => {
      assert.deepEqual(await system.eval("for i = 1, 3 do"), { status: "more", text: "" });
      assert.deepEqual(await system.eval("1 + 1, 'x'"), { status: "ok", text: "2\tx" });
      assert.equal((await system.eval("error 'x'")).status, "error");
    });

    it("ignores and counts messages that are none of its", async () => {
      assert.equal((await system.stats()).foreign_messages, 0);
    });
  });
}

for (const link of links) {
  describe(`nodes that come and go, over ${link}s`, () => {
    it("are started by the host and by Lua, and called at once", async () => {
      const system = await createSystem({ workers: 1, link });
      const events = system.events();
      assert.equal(await system.startNode(), "w2");
      assert.equal(await lua(system, 'require"mooncast".start_node()'), "w1.1");
      assert.deepEqual(system.nodes(), ["w1", "w2", "w1.1"]);
      assert.equal(await lua(system, 'table.concat(require"mooncast".nodes(), " ")', "w2"), "w1 w2 w1.1");
      assert.deepEqual((await events.next()).value, { type: "node", node: "w2" });
      assert.deepEqual((await events.next()).value, { type: "node", node: "w1.1" });
      const where = 'local mc = require "mooncast"; local W = mc.actor "W"; function W:where() return mc.node() end; return mc.spawn{W, on = "w1.1"}:where()';
      assert.equal(await lua(system, where, "w2"), "w1.1");
      await system.close();
    });

    it("end with the node that started them, and both are reported", async () => {
      const system = await createSystem({ workers: 2, link });
      await lua(system, 'require"mooncast".start_node()');
      const events = system.events();
      await system.terminate("w1");
      const down = [(await events.next()).value, (await events.next()).value];
      assert.deepEqual(down.map(({ type, node }) => [type, node]), [["down", "w1"], ["down", "w1.1"]]);
      assert.deepEqual(system.nodes(), ["w2"]);
      assert.equal(await lua(system, 'table.concat(require"mooncast".nodes(), " ")', "w2"), "w2");
      await system.close();
    });

    it("fail what is awaited from them at once, in JavaScript and in Lua", async () => {
      const system = await createSystem({ workers: 2, link, main: COUNTER_FILE });
      const counter = await system.spawn("Counter", [], { on: "w2" });
      const calls = Array.from({ length: 100 }, () => counter.call("sleep", [30]));
      const fromLua = lua(system, 'local mc = require "mooncast"; local C = mc.actor "Sleeper"; function C:sleep(s) mc.sleep(s) end; local c = mc.spawn{C, on = "w2"}; local ok, e = pcall(c.sleep, c, 30); return e.code, e.node').catch((e) => e);
      const { actors } = (await system.stats()).nodes.w1;
      await until(async () => (await system.stats()).nodes.w2.actors >= actors + 2);
      await sleep(200);
      const start = performance.now();
      await system.terminate("w2");
      for (const call of calls) await assert.rejects(call, { code: "node_down", node: "w2" });
      assert.ok(performance.now() - start < SOON_MS);
      assert.equal(await fromLua, "node_down\tw2");
      const stats = await system.stats();
      assert.equal(stats.pending, 0);
      assert.equal(stats.nodes.w1.pending, 0);
      await assert.rejects(counter.call("inc"), { code: "node_down", node: "w2" });
      await system.close();
    });

    it("may come and go while everybody calls everybody: every call is settled", async () => {
      const system = await createSystem({ workers: 1, link });
      await lua(system, `local mc = require "mooncast"; Echo = mc.actor("Echo", { reentrant = true })
        function Echo:echo(...) return ... end
        function Echo:storm(others, n)
          local good, bad, strange = 0, 0, 0
          local tasks = {}
          for i = 1, n do
            tasks[i] = mc.async(function()
              local ok, e = pcall(others[i % #others + 1].echo, others[i % #others + 1], ("x"):rep(i * 10))
              if ok then good = good + 1 elseif e.code == "node_down" then bad = bad + 1 else strange = strange + 1; print(e) end
            end)
          end
          for i = 1, n do tasks[i]:await() end
          return good, bad, strange
        end`);
      const spawnOn = async (name) => {
        await lua(system, `local mc = require "mooncast"; mc.lookup("keep"):keep(mc.spawn { Echo, on = "${name}" })`);
      };
      const refs = [];
      system.expose("keep", { keep: (ref) => void refs.push(ref) });
      let good = 0;
      let bad = 0;
      for (let round = 0; round < 8; round++) {
        refs.length = 0;
        const names = [await system.startNode(), await system.startNode()];
        for (const name of ["w1", ...names]) await spawnOn(name);
        const storms = refs.map((ref) => ref.call("storm", [refs, 300]).catch((error) => error));
        const direct = Array.from({ length: 50 }, (_, i) => refs[i % 3].call("echo", [i]).then(() => 1, (error) => error.code));
        await sleep(round * 5);
        await system.terminate(names[0]);
        for (const outcome of await Promise.all(storms)) {
          if (outcome instanceof ActorError) assert.equal(outcome.code, "node_down");
          else [good, bad] = [good + outcome[0], bad + outcome[1]], assert.equal(outcome[2], 0);
        }
        for (const outcome of await Promise.all(direct)) assert.ok(outcome === 1 || outcome === "node_down", outcome);
        await system.terminate(names[1]);
      }
      assert.ok(good > 0 && bad > 0, `${good} good, ${bad} bad`);
      const stats = await system.stats();
      assert.deepEqual([stats.pending, stats.nodes.w1.pending, system.nodes()], [0, 0, ["w1"]]);
      await system.close();
    });

    it("may be stopped: their actors resign", async () => {
      const system = await createSystem({ workers: 2, link });
      await system.stopNode("w2");
      assert.deepEqual(system.nodes(), ["w1"]);
      await assert.rejects(system.stopNode("w2"), { code: "unknown_node" });
      await assert.rejects(system.terminate("w9"), { code: "unknown_node" });
      await system.close();
    });
  });
}

describe("the end of a system", () => {
  it("fails what is pending, and closing twice is closing once", async () => {
    const before = threads();
    const system = await createSystem({ workers: 2 });
    const call = system.nodeActor("w1").call("eval", ["require'mooncast'.sleep(30)"]).catch((error) => error.code);
    await sleep(50);
    await Promise.all([system.close(), system.close()]);
    assert.equal(await call, "closed");
    await assert.rejects(system.eval("1"), { code: "unknown_node" });
    assert.equal(threads(), before);
  });

  it("is the end of starting nodes, from the moment that it begins", async () => {
    const before = threads();
    const system = await createSystem({ workers: 1 });
    const closing = system.close();
    await assert.rejects(system.startNode(), { code: "closed" });
    await closing;
    await assert.rejects(system.startNode(), { code: "closed" });
    assert.equal(threads(), before);
  });

  it("comes with os.exit", async () => {
    let status;
    const system = await createSystem({ workers: 1, onExit: (code) => (status = code) });
    system.eval("os.exit(7)").catch(() => {});
    await until(() => status !== undefined);
    assert.equal(status, 7);
    await system.close();
  });

  it("is the end of its events", async () => {
    const system = await createSystem({ workers: 1 });
    const events = system.events();
    const read = (async () => {
      const all = [];
      for await (const event of events) all.push(event);
      return all;
    })();
    await system.close();
    assert.deepEqual(await read, []);
    for await (const event of system.events()) assert.fail(event.type);
  });
});

describe("output", () => {
  it("goes to callbacks when there are any, byte for byte", async () => {
    for (const workers of [0, 1]) {
      const out = { w1: "" };
      const system = await createSystem({ workers, stdout: (bytes, node) => (out[node] += text(bytes)) });
      await lua(system, String.raw`io.write("a\0\xffb\n"); print("c", 1)`);
      await until(() => out.w1.endsWith("1\n"));
      assert.equal(out.w1, "a\0\xffb\nc\t1\n");
      await system.close();
    }
  });

  it("of the log is an event, and a flood of it is bounded and counted", async () => {
    const lines = [];
    const system = await createSystem({ workers: 1, log: (line) => lines.push(line) });
    await lua(system, 'require"mooncast".log("info", "hello")');
    await until(() => lines.length > 0);
    assert.deepEqual(lines, [{ node: "w1", level: "info", text: "hello" }]);
    const flood = lua(system, 'for i = 1, 20000 do require"mooncast".log("info", "line " .. i) end');
    // The host does nothing for a while: lines must not pile up.
    const end = performance.now() + 500;
    while (performance.now() < end);
    await flood;
    const dropped = () => lines.filter(({ text }) => /^dropped \d+ lines of log$/.test(text));
    const counted = () => dropped().reduce((sum, { text }) => sum + Number(text.match(/\d+/)[0]), 0);
    await until(() => lines.length - 1 - dropped().length + counted() === 20000);
    assert.ok(dropped().length > 0);
    await system.close();
  });
});
