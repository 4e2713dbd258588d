// Programs that can never end, each explained by the line that says why; and errors of tasks that nobody
// awaited. The same programs run in wasm, over rings and ports and without workers, and under stock Lua.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { ROOT, execute, mooncast, programFolder } from "../support/cli.js";

const program = programFolder(after);

const wasm = (workers, ...link) => (path) => mooncast(["--workers", `${workers}`, ...link, path]);
const native = (workers) => (path) =>
  execute("lua5.4", [path], { env: { MOONCAST_WORKERS: `${workers}`, LUA_CPATH: `${ROOT}build/native/?.so` } });

const TWO = [
  { name: "over rings", last: "w2", run: wasm(2, "--link", "ring") },
  { name: "over ports", last: "w2", run: wasm(2, "--link", "port") },
  { name: "natively", last: "w2", run: native(2) },
];
const ONE = [
  { name: "without workers", last: "w1", run: wasm(0) },
  { name: "with one worker", last: "w1", run: wasm(1) },
  { name: "natively on one node", last: "w1", run: native(1) },
];
/** Every program on two nodes in all three ways, and in one of the ways on one node. */
const waysFor = (index) => [...TWO, ONE[index % ONE.length]];

const HEAD = `
local mc = require "mooncast"
local last = mc.nodes()[#mc.nodes()]
local never = math.huge
local Waiter = mc.actor "Waiter"
function Waiter:wait() mc.sleep(never) end
function Waiter:note() end

local function for_ever(fn, ...) return mc.with({ timeout = never }, fn, ...) end
`;

const NEVER = /deadlock: the program can never end: every node is idle, no timer is set, and no message is on the way\n/;
const ITSELF = /deadlock: .*it waits for itself: /;

// What it does in main, and the line that says why it cannot go on; LAST is the node of the actors.
const stuck = {
  "main sleeps for ever": [`mc.sleep(never)`, "w1: FILE:12: main waits for a time that never comes"],
  "a handler sleeps for ever": [
    `for_ever(mc.call, mc.spawn { Waiter, on = last }, "wait")`,
    "LAST: FILE:6: Waiter:wait waits for a time that never comes",
  ],
  "main awaits a handler that sleeps for ever": [
    `for_ever(mc.call, mc.spawn { Waiter, on = last }, "wait")`,
    "w1: FILE:\\d+: main waits for Waiter:wait on LAST",
  ],
  "an init never ends": [
    `local Never = mc.actor "Never"
     function Never:init() mc.sleep(never) end
     for_ever(mc.spawn, { Never, on = last })`,
    "LAST: FILE:13: Never:init waits for a time that never comes",
  ],
  "an actor never is stopped": [
    `local Endless = mc.actor "Endless"
     function Endless:stopped() mc.sleep(never) end
     for_ever(mc.stop, mc.spawn { Endless, on = last })`,
    "LAST: FILE:13: Endless:stopped waits for a time that never comes",
  ],
  "a stop waits for a handler": [
    `local waiter = mc.spawn { Waiter, on = last }
     mc.cast(waiter, "wait")
     for_ever(mc.stop, waiter)`,
    "w1: FILE:\\d+: main waits for Waiter:stop on LAST",
  ],
  "a call waits behind another": [
    `local waiter = mc.spawn { Waiter, on = last }
     mc.cast(waiter, "wait")
     for_ever(waiter.note, waiter)`,
    "w1: FILE:\\d+: main waits for Waiter:note on LAST",
  ],
  "a call waits for a hold": [
    `local Shut = mc.actor "Shut"
     function Shut:close() mc.spawn_task(function() local _ <close> = mc.hold()
       mc.sleep(never) end) mc.sleep(0) end
     function Shut:note() end
     local shut = mc.spawn { Shut, on = last }
     shut:close()
     for_ever(shut.note, shut)`,
    "w1: FILE:\\d+: main waits for Shut:note on LAST",
  ],
  "a turn of mc.whenlocal never ends": [
    `local waiter = mc.spawn { Waiter, on = "w1" }
     for_ever(mc.whenlocal, waiter, function()
       mc.sleep(never) end)`,
    "w1: FILE:14: .* waits for a time that never comes",
  ],
  "casts wait for room": [
    `local waiter = mc.spawn { Waiter, on = last }
     mc.cast(waiter, "wait")
     while true do mc.cast(waiter, "note") end`,
    "w1: FILE:14: main waits for room in the mailbox to cast Waiter:note on LAST",
  ],
  "a task never ends": [`mc.async(mc.sleep, never):await()`, "w1: FILE:12: main waits for the task made at FILE:12"],
  "a task that outlives its handler never ends": [
    `mc.spawn_task(mc.sleep, never):await()`,
    "w1: FILE:12: main waits for the task made at FILE:12",
  ],
  "all of some tasks": [
    `mc.all(
       mc.async(mc.sleep, never),
       mc.async(mc.sleep, 0))`,
    "w1: FILE:1[2-4]: main waits for the task made at FILE:13",
  ],
  "one of some tasks": [
    `mc.race(
       mc.async(mc.sleep, never),
       mc.async(mc.sleep, never))`,
    "w1: FILE:1[2-4]: main waits for the task made at FILE:13, the task made at FILE:14",
  ],
  "one of some tasks that does not fail": [
    `mc.any(
       mc.async(error, "no"),
       mc.async(mc.sleep, never))`,
    "w1: FILE:1[2-4]: main waits for the task made at FILE:14",
  ],
  "tasks as they end": [
    `for _, task in mc.each(mc.async(mc.sleep, never)) do task:await() end`,
    "w1: FILE:12: main waits for the task made at FILE:12",
  ],
  "a coroutine of the program's own": [
    `coroutine.wrap(function() mc.sleep(never) end)()`,
    "w1: FILE:12: main waits for a time that never comes",
  ],
  "an iterator": [
    `for _ in coroutine.wrap(function() coroutine.yield(1)
       mc.sleep(never) end) do end`,
    "w1: FILE:13: main waits for a time that never comes",
  ],
  "a metamethod, inside pcall": [
    `local t = setmetatable({}, { __index = function()
       mc.sleep(never) end })
     pcall(function() return t.x end)`,
    "w1: FILE:13: main waits for a time that never comes",
  ],
  "a value that is closed": [
    `do local _ <close> = setmetatable({}, { __close = function()
       mc.sleep(never) end }) end`,
    "w1: FILE:13: main waits for a time that never comes",
  ],
  "its tasks do not end when they are cancelled": [
    `mc.async(function()
       pcall(mc.sleep, never)
       mc.sleep(never)
     end)
     mc.sleep(0)`,
    "w1: main waits for its tasks to end",
  ],
  "a handler waits for a message that comes after it": [
    `local Box = mc.actor "Box"
     function Box:get() self.full = mc.async(mc.sleep, never)
       self.full:await() end
     function Box:put() self.full:cancel() end
     local box = mc.spawn { Box, on = last }
     mc.async(function() for_ever(box.get, box) end)
     mc.sleep(0)
     for_ever(box.put, box)`,
    "LAST: FILE:14: Box:get waits for the task made at FILE:13",
  ],
  "who should go on with it has failed": [
    `local waiter = mc.spawn { Waiter, on = last }
     mc.spawn_task(function() error "it failed" end)
     for_ever(waiter.wait, waiter)`,
    "LAST: FILE:6: Waiter:wait waits for a time that never comes",
    /w1: error: a task made at \S*:13, which nobody awaited, failed: \S*:13: it failed\n/,
  ],
  "an actor on a node that was started later": [
    `local waiter = mc.spawn { Waiter, on = mc.start_node() }
     for_ever(waiter.wait, waiter)`,
    "w1\\.1: FILE:6: Waiter:wait waits for a time that never comes",
  ],
  "a node was stopped": [
    `mc.stop_node(mc.start_node())
     mc.sleep(never)`,
    "w1: FILE:13: main waits for a time that never comes",
  ],
};

// Waits for oneself are an error of the await or call that closes the cycle.
const cycles = {
  "a task awaits itself": [
    `local task
     task = mc.async(function() task:await() end)
     mc.sleep(0)
     task:await()`,
    "the task made at FILE:13 -> the task made at FILE:13",
  ],
  "two tasks await each other": [
    `local a, b
     a = mc.async(function() mc.sleep(0) b:await() end)
     b = mc.async(function() mc.sleep(0) a:await() end)
     mc.all(a, b)`,
    "the task made at FILE:14 -> the task made at FILE:13 -> the task made at FILE:14",
  ],
  "tasks await all of some that await them": [
    `local a, b, c
     a = mc.async(function() mc.sleep(0) mc.all(mc.async(mc.sleep, never), b) end)
     b = mc.async(function() mc.sleep(0) c:await() end)
     c = mc.async(function() mc.sleep(0) mc.sleep(0) a:await() end)
     c:await()`,
    "the task made at FILE:15 -> the task made at FILE:13 -> the task made at FILE:14 -> the task made at FILE:15",
  ],
  "a task calls a handler that awaits it": [
    `local Here, task = mc.actor "Here"
     function Here:wait() mc.sleep(0) task:await() end
     local here = mc.spawn { Here, on = "w1" }
     task = mc.async(function() for_ever(here.wait, here) end)
     task:await()`,
    "Here:wait -> the task made at FILE:15 -> Here:wait",
  ],
  "a handler calls its own actor": [
    `local Own = mc.actor "Own"
     function Own:first(own) return for_ever(own.second, own) end
     function Own:second() end
     local own = mc.spawn { Own, on = last }
     for_ever(own.first, own, own)`,
    "Own:first -> Own:first",
  ],
  "a task of a handler calls its actor": [
    `local Own = mc.actor "Own"
     function Own:first(own) return mc.async(function() return for_ever(own.second, own) end):await() end
     function Own:second() end
     local own = mc.spawn { Own, on = last }
     for_ever(own.first, own, own)`,
    "Own:first -> Own:first",
  ],
  "three actors in a ring, through tasks": [
    `local Ring = mc.actor "Ring"
     function Ring:go(ring, at)
       return mc.all(mc.async(function() return for_ever(ring[at].go, ring[at], ring, at % 3 + 1) end))
     end
     local ring = {}
     for i = 1, 3 do ring[i] = mc.spawn(Ring) end
     for_ever(ring[1].go, ring[1], ring, 2)`,
    "Ring:go -> Ring:go -> Ring:go -> Ring:go",
  ],
};

let count = 0;
const written = (body) => program(`stuck${++count}.lua`, `${HEAD}mc.main(function()\n\n     ${body}\nend)\n`);

/** A line as it stands in the table, for a file and a node. */
function lineFor(text, path, last) {
  return new RegExp(text.replaceAll("FILE", path.replace(/[.\\/]/g, "\\$&")).replaceAll("LAST", last));
}

describe("a program that can never end is explained:", { concurrency: 8 }, () => {
  Object.entries(stuck).forEach(([what, [body, line, told]], index) => {
    for (const { name, last, run } of waysFor(index)) {
      it(`${what}, ${name}`, async () => {
        const path = written(body);
        const { code, stdout, stderr } = await run(path);
        assert.match(stderr, NEVER);
        assert.match(stderr, lineFor(`\\n  ${line}, for \\d+\\.\\d s`, path, last));
        if (told) assert.match(stderr, told);
        assert.deepEqual([code, stdout], [1, ""]);
      });
    }
  });

  for (const { name, run } of [...TWO, ...ONE]) {
    it(`outside of main, ${name}`, async () => {
      const path = program(`file${++count}.lua`, `local mc = require "mooncast"\n\nmc.sleep(math.huge)\n`);
      const { code, stderr } = await run(path);
      assert.match(stderr, NEVER);
      assert.match(stderr, lineFor("\\n  w1: FILE:3: the script waits for a time that never comes", path, "w1"));
      assert.equal(code, 1);
    });
  }

  for (const { name, run } of TWO) {
    it(`while other nodes load it, ${name}`, async () => {
      const path = program(`load${++count}.lua`, `
        local mc = require "mooncast"
        if mc.node() == "w2" then mc.sleep(math.huge) end
        mc.main(print)`);
      const { code, stderr } = await run(path);
      assert.match(stderr, NEVER);
      assert.match(stderr, lineFor("\\n  w2: FILE:3: the script waits for a time that never comes", path, "w2"));
      assert.equal(code, 1);
    });
  }
});

describe("a call of the program", () => {
  for (const { name, run } of [...TWO, ...ONE]) {
    it(`waits as long as any other, ${name}`, async () => {
      const path = program(`limit${++count}.lua`, `
        local mc, core = require "mooncast", require "mooncast.core"
        print(core.timeout())
        mc.main(function() print(core.timeout()) end)`);
      const { code, stdout } = await run(path);
      assert.equal(code, 0);
      assert.match(stdout, /^(nil\n)+$/);
    });
  }
});

describe("a cycle of waits raises deadlock:", { concurrency: 8 }, () => {
  Object.entries(cycles).forEach(([what, [body, cycle]], index) => {
    for (const { name, last, run } of waysFor(index)) {
      it(`${what}, ${name} [K20]`, async () => {
        const path = written(body);
        const { code, stdout, stderr } = await run(path);
        assert.match(stderr, ITSELF);
        assert.match(stderr, lineFor(`it waits for itself: ${cycle}\\n`, path, last));
        assert.deepEqual([code, stdout], [1, ""]);
      });
    }
  });
});

// What main does, and how often it is told that a task failed unheard.
const FAIL = `function() error "nobody hears this" end`;
const unheard = {
  "that nobody has": [`mc.async(${FAIL}) mc.sleep(0)`, 1],
  "that is kept": [`task = mc.async(${FAIL}) mc.sleep(0)`, 1],
  "that was collected": [`mc.async(${FAIL}) mc.sleep(0) collectgarbage() collectgarbage() mc.sleep(0)`, 1],
  "that outlives its handler": [`mc.spawn_task(${FAIL}) mc.sleep(0)`, 1],
  "that outlives its handler and is kept": [`task = mc.spawn_task(${FAIL}) mc.sleep(0)`, 1],
  "of a task": [`mc.async(function() mc.async(${FAIL}) mc.sleep(0) end):await() collectgarbage()`, 1],
  "of a handler": [
    `local Bad = mc.actor "Bad"
     function Bad:note() end
     function Bad:fail() self.task = mc.async(${FAIL}) mc.sleep(0) end
     local waiter = mc.spawn { Bad, on = last }
     waiter:fail()
     waiter:note()`,
    1,
  ],
  "of an actor that ends": [
    `local Bad = mc.actor "Bad"
     function Bad:note() end
     function Bad:fail() task = mc.spawn_task(${FAIL}) end
     local waiter = mc.spawn { Bad, on = last }
     waiter:fail()
     waiter:note()
     mc.stop(waiter)`,
    1,
  ],
  "on a node that ends": [
    `local Bad = mc.actor "Bad"
     function Bad:note() end
     function Bad:fail() task = mc.spawn_task(${FAIL}) end
     local node = mc.start_node()
     local waiter = mc.spawn { Bad, on = node }
     waiter:fail()
     waiter:note()
     mc.stop_node(node)`,
    1,
  ],
  "that whoever awaited it gave up on": [
    `local task = mc.async(function() mc.sleep(0.05) error "nobody hears this" end)
     print((pcall(mc.deadline, 0.01, function() task:await() end)))
     mc.sleep(0.1)`,
    1,
  ],
  "raised while it cleaned up": [
    `mc.async(function()
       local _ <close> = setmetatable({}, { __close = function() error "nobody hears this" end })
       mc.sleep(never)
     end)
     mc.sleep(0)`,
    1,
  ],
  "no: it was awaited": [`print(pcall(function() mc.async(${FAIL}):await() end))`, 0],
  "no: it was awaited later": [
    `local task = mc.async(${FAIL}) mc.sleep(0) collectgarbage() print(pcall(task.await, task))`,
    0,
  ],
  "no: another of them failed": [`print(pcall(mc.all, mc.async(${FAIL}), mc.async(${FAIL}), mc.async(mc.sleep, never)))`, 0],
  "no: another was first": [`mc.race(mc.async(mc.sleep, 0), mc.async(function() mc.sleep(0) error "x" end))`, 0],
  "no: another did not fail": [`mc.any(mc.async(${FAIL}), mc.async(mc.sleep, 0.01))`, 0],
  "no: it was cancelled": [`local task = mc.async(mc.sleep, never) mc.sleep(0) task:cancel() task = nil mc.sleep(0)`, 0],
  "no: its owner ended": [`mc.async(mc.sleep, never) mc.sleep(0)`, 0],
  "no: its deadline passed": [
    `print((pcall(mc.deadline, 0.01, function() mc.async(mc.sleep, never) mc.sleep(never) end)))`,
    0,
  ],
};

describe("the error of a task that nobody awaited is told once, with where it was made:", { concurrency: 8 }, () => {
  Object.entries(unheard).forEach(([what, [body, times]], index) => {
    for (const { name, run } of waysFor(index)) {
      it(`${what}, ${name} [E7]`, async () => {
        const path = written(body);
        const { code, stderr } = await run(path);
        const told = stderr.match(/a task made at \S+\.lua:\d+, which nobody awaited, failed: \S+\.lua:\d+: nobody hears this\nstack traceback:/g);
        assert.equal(told?.length ?? 0, times, stderr);
        if (times === 0) assert.equal(stderr, "");
        assert.equal(code, 0);
      });
    }
  });
});
