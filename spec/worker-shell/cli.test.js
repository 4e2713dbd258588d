// The command line: what programs see of it, what it says when they fail, and that it always ends.
import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { after, describe, it } from "node:test";

import { SOON_MS, mooncast, programFolder } from "../support/cli.js";

const program = programFolder(after);
const LINKS = [["--link", "ring"], ["--link", "port"]];

/** Ends with status 1 and one message on stderr, nothing else. */
function failedWith(run, message) {
  assert.equal(run.signal, null);
  assert.match(run.stderr, message);
  assert.match(run.stderr, /^mooncast: /);
  assert.equal(run.stderr.match(/^mooncast: /gm).length, 1, run.stderr);
  assert.equal(run.code, 1);
  assert.equal(run.stdout, "");
}

describe("a program that ends", () => {
  for (const link of LINKS) {
    it(`lets the process end by itself with status 0, over ${link[1]}s [J21]`, async () => {
      const path = program("hello.lua", `
        local mc = require "mooncast"
        local Greeter = mc.actor "Greeter"
        function Greeter:init(greeting) self.greeting = greeting end
        function Greeter:hello(name) return self.greeting .. ", " .. name .. "!" end
        mc.main(function()
          for _, name in ipairs(mc.nodes()) do
            print(name, mc.spawn({ Greeter, on = name }, "Hello"):hello(name))
          end
        end)`);
      const run = await mooncast(["--workers", "3", ...link, path]);
      assert.equal(run.stderr, "");
      assert.equal(run.stdout, "w1\tHello, w1!\nw2\tHello, w2!\nw3\tHello, w3!\n");
      assert.equal(run.code, 0);
    });

    it(`ends also when tasks, timers and actors are left, over ${link[1]}s [J21]`, async () => {
      const path = program("left.lua", `
        local mc = require "mooncast"
        local Busy = mc.actor "Busy"
        function Busy:wait() mc.sleep(1000) end
        mc.main(function()
          for i, name in ipairs(mc.nodes()) do
            mc.cast(mc.spawn { Busy, on = name }, "wait")
            mc.async(mc.sleep, 500)
          end
          print(os.time())
        end)`);
      const run = await mooncast(["--workers", "2", ...link, path]);
      assert.deepEqual([run.code, run.stderr], [0, ""]);
      assert.ok(run.endedAt - Number(run.stdout) * 1000 < SOON_MS + 1000, run.stdout);
    });
  }

  it("gets its arguments, in arg and in main [J21]", async () => {
    const path = program("args.lua", `
      local mc = require "mooncast"
      print(arg[0], #arg, ...)
      mc.main(function(...) print(select("#", ...), ...) end)`);
    const run = await mooncast(["--workers", "1", path, "a b", "", "--link", "ü"]);
    assert.equal(run.stdout, `${path}\t4\ta b\t\t--link\tü\n4\ta b\t\t--link\tü\n`);
  });

  it("prints byte for byte and in order, from stdin too [J21]", async () => {
    const path = program("bytes.lua", `
      io.write("\\0\\xff\\n", "no newline", 1, 2.5)
      print()
      io.stderr:write "to stderr\\n"
      print(io.read "l", io.read "n", io.read "a")
      io.write(("x"):rep(1000000))`);
    const run = await mooncast(["--workers", "1", path], { input: "first\n 42rest\nof it" });
    assert.deepEqual([run.code, run.stderr], [0, "to stderr\n"]);
    assert.equal(run.stdout, `\0\ufffd\nno newline12.5\nfirst\t42\trest\nof it\n` + "x".repeat(1000000));
  });

  it("may be given by -e, by - and as stdin, and with -l [J21]", async () => {
    assert.equal((await mooncast(["-e", "print(1 + 1)"])).stdout, "2\n");
    assert.equal((await mooncast(["-e", "x = 1", "-e", "print(x)"])).stdout, "1\n");
    assert.equal((await mooncast(["-", "a"], { input: "print(...)" })).stdout, "a\n");
    assert.equal((await mooncast([], { input: "print 'from stdin'" })).stdout, "from stdin\n");
    assert.equal((await mooncast(["-l", "cjson", "-e", "print(cjson.encode { 1 })"])).stdout, "[1]\n");
  });

  it("may end by os.exit, whatever else goes on [J21]", async () => {
    for (const [call, code] of [["os.exit()", 0], ["os.exit(true)", 0], ["os.exit(false)", 1], ["os.exit(7)", 7]]) {
      const path = program("exit.lua", `
        local mc = require "mooncast"
        mc.main(function()
          mc.async(mc.sleep, 1000)
          io.write "written before"
          ${call}
        end)`);
      const run = await mooncast(["--workers", "2", path]);
      assert.deepEqual([run.code, run.stdout, run.stderr], [code, "written before", ""]);
    }
  });

  it("finds modules beside it in the working folder, and its actors in them everywhere [J21]", async () => {
    const folder = fs.mkdtempSync(`${tmpdir()}/mooncast-`);
    after(() => fs.rmSync(folder, { recursive: true }));
    fs.writeFileSync(`${folder}/greeter.lua`, `
      local mc = require "mooncast"
      local Greeter = mc.actor "Greeter"
      function Greeter:hello() return "hello from " .. mc.node() end
      return Greeter`);
    fs.writeFileSync(`${folder}/app.lua`, `
      local mc = require "mooncast"
      local Greeter = require "greeter"
      print(mc.spawn({ Greeter, on = "w2" }):hello())`);
    const run = await mooncast(["--workers", "2", "app.lua"], { cwd: folder });
    assert.deepEqual([run.stdout, run.stderr, run.code], ["hello from w2\n", "", 0]);
  });
});

describe("a program that fails says why, once, with status 1:", () => {
  it("it is not there [J21]", async () => {
    failedWith(await mooncast(["no/such/file.lua"]), /^mooncast: cannot open no\/such\/file\.lua\n$/);
  });

  it("it is a folder [J21]", async () => {
    failedWith(await mooncast([tmpdir()]), /^mooncast: cannot read .*: it is a folder\n$/);
  });

  it("it does not parse [J21]", async () => {
    const path = program("broken.lua", "local x = = 1");
    const run = await mooncast(["--workers", "1", path]);
    failedWith(run, /broken\.lua:1: unexpected symbol near '='/);
    failedWith(await mooncast(["-e", "x x"]), /\(command line\):1: syntax error near 'x'/);
  });

  it("it raises at top level: message and traceback [J21]", async () => {
    const path = program("raises.lua", `
      local function inner() error "from the top" end
      inner()
      print "not reached"`);
    const run = await mooncast(["--workers", "2", path]);
    failedWith(run, /^mooncast: \S*raises\.lua:2: from the top\nstack traceback:\n/);
    assert.match(run.stderr, /raises\.lua:3: in /);
  });

  it("it raises in main, through actors of other nodes [J21]", async () => {
    const path = program("main.lua", `
      local mc = require "mooncast"
      local Deep = mc.actor "Deep"
      function Deep:fail() error "in the actor" end
      mc.main(function()
        local deep = mc.spawn { Deep, on = "w2" }
        deep:fail()
      end)`);
    for (const link of LINKS) {
      const run = await mooncast(["--workers", "2", ...link, path]);
      failedWith(run, /^mooncast: \S*main\.lua:4: in the actor\nstack traceback:\n/);
      assert.match(run.stderr, /main\.lua:4: in /);
      assert.match(run.stderr, /main\.lua:7: in /);
    }
  });

  it("it raises a table, nil, or an error of the system [J21]", async () => {
    failedWith(await mooncast(["-e", "error { code = 42 }"]), /^mooncast: /);
    failedWith(await mooncast(["-e", "error(nil)"]), /^mooncast: /);
    failedWith(await mooncast(["-e", "require('mooncast').resolve('T', 'nonsense')"]), /^mooncast: bad_id: /);
  });

  it("another node cannot run it [J21]", async () => {
    const path = program("second.lua", `
      local mc = require "mooncast"
      if mc.node() == "w2" then error "not on w2" end
      mc.main(function() print "not reached" end)`);
    failedWith(await mooncast(["--workers", "3", path]), /second\.lua:3: not on w2/);
  });

  it("the options are wrong [J21]", async () => {
    failedWith(await mooncast(["--workers", "many", "x.lua"]), /--workers wants a number/);
    failedWith(await mooncast(["--link", "string", "x.lua"]), /--link wants ring or port/);
    failedWith(await mooncast(["--frobnicate"]), /unrecognized option '--frobnicate'/);
    failedWith(await mooncast(["-e"]), /'-e' needs argument/);
  });
});

// They mostly wait, so several at a time.
describe("a program that waits for ever ends with a message and status 1:", { concurrency: 4 }, () => {
  let count = 0;
  const forever = {
    "sleep(math.huge) at top level": "mc.sleep(math.huge)",
    "sleep(math.huge) in main": "mc.main(function() mc.sleep(math.huge) end)",
    "a task that never ends": "mc.async(mc.sleep, math.huge):await()",
    "a task that awaits a task that awaits it": `
      local a, b
      a = mc.async(function() mc.sleep(0) b:await() end)
      b = mc.async(function() mc.sleep(0) a:await() end)
      a:await()`,
    "an actor that awaits for ever": `
      local Waiter = mc.actor "Waiter"
      function Waiter:wait() mc.sleep(math.huge) end
      mc.main(function()
        local waiter = mc.spawn { Waiter, on = "w2" }
        mc.with({ timeout = math.huge }, waiter.wait, waiter)
      end)`,
    "an actor that never is made": `
      local Never = mc.actor "Never"
      function Never:init() mc.sleep(math.huge) end
      mc.main(function() mc.with({ timeout = math.huge }, mc.spawn, { Never, on = "w2" }) end)`,
    "two actors that await each other": `
      local One = mc.actor "One"
      function One:meet(other, gate)
        gate:pass()
        return mc.with({ timeout = math.huge }, other.answer, other)
      end
      function One:answer() return 1 end
      local Gate = mc.actor("Gate", { reentrant = true })
      function Gate:init() self.here = 0 end
      function Gate:pass()
        self.here = self.here + 1
        while self.here < 2 do mc.sleep(0) end
      end
      mc.main(function()
        local a, b, gate = mc.spawn { One, on = "w1" }, mc.spawn { One, on = "w2" }, mc.spawn(Gate)
        mc.with({ timeout = math.huge }, function()
          mc.all(mc.async(a.meet, a, b, gate), mc.async(b.meet, b, a, gate))
        end)
      end)`,
  };
  const stuck = /^mooncast: deadlock: the program can never end[^\n]*\n(  w[12]: [^\n]* waits for [^\n]*\n)+$/;
  // Calls that wait for one another are told apart from waiting as such.
  const cycles = {
    "two actors that await each other": /^mooncast: deadlock: One:answer: it waits for itself: One:meet -> One:meet -> One:meet\n/,
    "a task that awaits a task that awaits it": /^mooncast: deadlock: it waits for itself: the task made at \S*:5 -> the task made at \S*:4 -> /,
  };
  for (const [what, text] of Object.entries(forever)) {
    for (const link of LINKS) {
      it(`${what}, over ${link[1]}s [J21]`, async () => {
        const path = program(`forever${++count}.lua`, `local mc = require "mooncast"\n${text}`);
        failedWith(await mooncast(["--workers", "2", ...link, path]), cycles[what] ?? stuck);
      });
    }
  }

  it("but not one that only takes its time, here or there [J21]", async () => {
    const path = program("slow.lua", `
      local mc = require "mooncast"
      local Slow = mc.actor "Slow"
      function Slow:sleep() mc.sleep(1.2) return "slept" end
      function Slow:compute()
        local till = os.clock() + 1.2
        while os.clock() < till do end
        return "computed"
      end
      mc.main(function()
        local slow = mc.spawn { Slow, on = "w2" }
        print(slow:sleep(), slow:compute())
      end)`);
    const run = await mooncast(["--workers", "2", path]);
    assert.deepEqual([run.code, run.stdout, run.stderr], [0, "slept\tcomputed\n", ""]);
  });
});

describe("a task that nobody awaits", () => {
  it("is told of when it fails, and the program goes on [E7]", async () => {
    const path = program("unawaited.lua", `
      local mc = require "mooncast"
      mc.main(function()
        mc.async(function() error "nobody hears this" end)
        mc.sleep(0)
        collectgarbage()
        collectgarbage()
        print "goes on"
      end)`);
    const run = await mooncast(["--workers", "1", path]);
    assert.deepEqual([run.code, run.stdout], [0, "goes on\n"]);
    assert.match(run.stderr, /unawaited\.lua:4: nobody hears this/);
    assert.match(run.stderr, /nobody awaited/);
    assert.match(run.stderr, /stack traceback/);
  });

  it("is told of at the end of the program at the latest [E7]", async () => {
    const path = program("unawaited2.lua", `
      local mc = require "mooncast"
      task = mc.async(function() error "nobody hears this" end)
      mc.sleep(0)`);
    const run = await mooncast(["--workers", "1", path]);
    assert.equal(run.code, 0);
    assert.match(run.stderr, /nobody hears this/);
  });

  it("is not told of when somebody does [E7]", async () => {
    const run = await mooncast(["-e", `
      local mc = require "mooncast"
      local task = mc.async(error, "heard")
      print(pcall(task.await, task))
      task = nil
      collectgarbage()`]);
    assert.deepEqual([run.stdout, run.stderr], ["false\theard\n", ""]);
  });
});

describe("a cast whose handler fails", () => {
  it("is told of with its traceback, by the node where it ran [E7]", async () => {
    const path = program("cast.lua", `
      local mc = require "mooncast"
      local Bad = mc.actor "Bad"
      function Bad:fail() error "in the cast" end
      function Bad:ping() end
      mc.main(function()
        local bad = mc.spawn { Bad, on = "w2" }
        mc.cast(bad, "fail")
        bad:ping()
      end)`);
    const run = await mooncast(["--workers", "2", path]);
    assert.equal(run.code, 0);
    assert.match(run.stderr, /w2.*cast to Bad failed: \S*cast\.lua:4: in the cast/);
  });
});
