-- Cancellation: told once, on whatever node, with exactly one outcome for every call.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim

local function program()
  local mc = require "mooncast"
  local Worker = mc.actor "Worker"
  local Host = mc.actor("Host", { reentrant = true })

  function mc.closing(fn) return setmetatable({}, { __close = fn }) end
  -- The outcome of a cancelled task: "returned", "before" it started, "during", or what else it was.
  function mc.outcome(task)
    local ok, e = pcall(task.await, task)
    if ok then return "returned" end
    if type(e) ~= "table" or e.code ~= "cancelled" then return tostring(e) end
    return e.message:find "before it started" and "before" or e.message:find "while it ran" and "during" or e.message
  end

  function Worker:init(wait)
    self.started, self.ended, self.told, self.cleaned = 0, 0, 0, 0
    if wait then mc.sleep(wait) end
  end
  function Worker:work(...)
    self.started = self.started + 1
    local _ <close> = mc.closing(function() self.ended = self.ended + 1 end)
    for _, seconds in ipairs { ... } do mc.sleep(seconds) end
    return "worked"
  end
  function Worker:counts() return self.started, self.ended, self.told, self.cleaned end
  -- Hears of its cancellation, and goes on.
  function Worker:stubborn(seconds)
    local till = mc.now() + seconds
    while mc.now() < till do
      if not pcall(mc.sleep, till - mc.now()) then self.told = self.told + 1 end
    end
    return "stubborn"
  end
  function Worker:cleans(seconds)
    local _ <close> = mc.closing(function()
      mc.sleep(seconds)
      self.cleaned = self.cleaned + 1
    end)
    mc.sleep(1000)
  end

  -- A chain: each calls the next and notes with the one who asked when it closes.
  function Host:init() self.notes = {} end
  function Host:note(text) self.notes[#self.notes + 1] = text end
  function Host:all() return self.notes end
  function Host:relay(name, asker, next, ...)
    local _ <close> = mc.closing(function()
      mc.sleep(0.01)
      asker:note(name)
    end)
    if next then return next:relay(name .. "'", asker, ...) end
    mc.sleep(1000)
  end
  function Host:echo(seconds, value)
    mc.sleep(seconds)
    return value
  end
  return { Worker = Worker, Host = Host }
end

local case = require "spec.support.sim_case"(program)
local run, new = case.run, case.new

local places = { "w1", "w2" }

describe("10,000 calls that are cancelled at random times", function()
  -- 100 rounds of 25 calls on each of four nodes, to actors on all of them.
  local function client(rounds, calls)
    local mc = require "mooncast"
    local Worker = require("program").Worker
    local counts = { returned = 0, before = 0, during = 0, other = 0, told = 0 }
    for _ = 1, rounds do
      local workers = {}
      for i, name in ipairs(mc.nodes()) do workers[i] = mc.spawn({ Worker, on = name }) end
      local tasks = {}
      for i = 1, calls do
        local worker, seconds = workers[math.random(#workers)], math.random(0, 20) / 1000
        local task = mc.async(worker.work, worker, seconds, seconds)
        local wait = math.random(0, 100) / 1000
        tasks[i] = mc.async(function()
          mc.sleep(wait)
          task:cancel()
          local outcome = mc.outcome(task)
          if not counts[outcome] then counts.what = outcome end
          outcome = counts[outcome] and outcome or "other"
          counts[outcome] = counts[outcome] + 1
        end)
      end
      mc.all(table.unpack(tasks))
      for _, worker in ipairs(workers) do
        local started, ended = worker:counts()
        assert(started == ended, "a handler did not close")
        counts.told = counts.told + started
        mc.stop(worker)
      end
    end
    return counts
  end

  it("end exactly once each, in one of three ways, and leave nothing [K10] [D4]", function()
    local world = new { nodes = 4, delay = { 0, 10 }, seed = 7 }
    local handles = {}
    for i, name in ipairs(world:names()) do handles[i] = world:run(name, client, 100, 25) end
    local sum = { returned = 0, before = 0, during = 0 }
    for _, handle in ipairs(handles) do
      local counts = case.finish(world, handle)
      assert.equal(0, counts.other, counts.what)
      for outcome in pairs(sum) do sum[outcome] = sum[outcome] + counts[outcome] end
      -- What started is what returned or was cancelled while it ran; what was cancelled before never ran.
      assert.equal(counts.returned + counts.during, counts.told)
    end
    assert.equal(10000, sum.returned + sum.before + sum.during)
    for outcome, count in pairs(sum) do assert.is_true(count > 500, outcome .. " " .. count) end
    for _, name in ipairs(world:names()) do
      local stats = world:stats(name)
      for _, what in ipairs { "pending", "tasks", "timers", "late_replies", "actors" } do
        assert.equal(0, stats[what], what)
      end
    end
    if os.getenv and os.getenv "MOONCAST_VERBOSE" then
      print(("cancels: %d returned, %d before start, %d while running"):format(sum.returned, sum.before, sum.during))
    end
  end)
end)

describe("a cancelled call", function()
  it("two nodes away raises in its handler, closes what is to be closed and confirms [K7]", function()
    local _, outcome, took, state, started, ended = run({ nodes = 3, delay = 10 }, function()
      local mc = require "mooncast"
      local Worker = require("program").Worker
      local worker = mc.spawn({ Worker, on = "w3" })
      local task = mc.async(worker.work, worker, 1000)
      mc.sleep(0.5)
      local start = mc.now()
      assert(task:cancel())
      local outcome = mc.outcome(task)
      local took = mc.now() - start
      assert(not task:cancel())
      return outcome, took, task:status(), worker:counts()
    end)
    assert.same({ "during", "cancelled", 1, 1 }, { outcome, state, started, ended })
    assert.near(0.02, took, 0.005)
  end)

  it("that waits in a mailbox never runs [K9]", function()
    for _, place in ipairs(places) do
      local _, outcomes, took, started = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local worker = mc.spawn({ require("program").Worker, on = where })
        local busy = mc.async(worker.work, worker, 1)
        mc.sleep(0.1)
        local tasks, outcomes = {}, {}
        for i = 1, 3 do tasks[i] = mc.async(worker.work, worker, 0) end
        mc.sleep(0.1)
        local start = mc.now()
        tasks[1]:cancel()
        tasks[3]:cancel()
        outcomes[1], outcomes[3] = mc.outcome(tasks[1]), mc.outcome(tasks[3])
        local took = mc.now() - start
        outcomes[2] = tasks[2]:await()
        busy:await()
        return outcomes, took, (worker:counts())
      end, place)
      assert.same({ "before", "worked", "before" }, outcomes)
      assert.near(0, took, 0.005)
      assert.equal(2, started)
    end
  end)

  it("that was not sent yet never is [K9]", function()
    local _, outcome, started, status = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local worker = mc.spawn({ require("program").Worker, on = "w2" })
      local task = mc.async(worker.work, worker, 0)
      task:cancel()
      return mc.outcome(task), (worker:counts()), task:status()
    end)
    assert.same({ "before", 0, "cancelled" }, { outcome, started, status })
  end)

  it("lets its handler await while that cleans up, and waits for it [K7]", function()
    for _, place in ipairs(places) do
      local _, outcome, took, cleaned = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local worker = mc.spawn({ require("program").Worker, on = where })
        local task = mc.async(worker.cleans, worker, 0.7)
        mc.sleep(0.1)
        local start = mc.now()
        task:cancel()
        local outcome = mc.outcome(task)
        return outcome, mc.now() - start, select(4, worker:counts())
      end, place)
      assert.same({ "during", 1 }, { outcome, cleaned })
      assert.near(0.7, took, 0.005)
    end
  end)

  it("is told once, however often it is asked for", function()
    for _, place in ipairs(places) do
      local _, outcome, told, value = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local worker = mc.spawn({ require("program").Worker, on = where })
        local value
        local task = mc.async(function() value = worker:stubborn(0.8) end)
        mc.sleep(0.1)
        for _ = 1, 5 do
          task:cancel()
          mc.sleep(0.1)
        end
        local outcome = mc.outcome(task)
        return outcome, select(3, worker:counts()), value
      end, place)
      -- The handler returned within the second that it had: so did the call, and the task had no other await.
      assert.same({ "returned", 1, "stubborn" }, { outcome, told, value })
    end
  end)

  it("whose handler ignores it is given up after a second, and the late answer is counted [K12]", function()
    for _, place in ipairs(places) do
      local world, code, took, told, late, answer = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local worker = mc.spawn({ require("program").Worker, on = where })
        local before = mc.stats().late_replies
        local task = mc.async(worker.stubborn, worker, 3)
        mc.sleep(0.5)
        local start = mc.now()
        task:cancel()
        local _, e = pcall(task.await, task)
        local took = mc.now() - start
        local early = mc.stats().late_replies
        assert(early == before)
        local answer = worker:work(0) -- once the handler has ended, the actor goes on
        return e.code, took, select(3, worker:counts()), mc.stats().late_replies - before, answer
      end, place)
      assert.same({ "cancelled", 1, 1, "worked" }, { code, told, late, answer })
      assert.near(1, took, 0.005)
      assert.is_nil(world:log():find "error:")
    end
  end)

  it("is given up after a second, too, when no message gets through", function()
    local world = new { nodes = 2 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local worker = mc.spawn({ require("program").Worker, on = "w2" })
      local task = mc.async(worker.work, worker, 1000)
      mc.sleep(2)
      local start = mc.now()
      task:cancel()
      local _, e = pcall(task.await, task)
      return e.code, mc.now() - start
    end)
    world:at(1000, function() world:partition("w1", "w2") end)
    world:at(9000, function() world:heal() end)
    local code, took = case.finish(world, handle)
    assert.equal("cancelled", code)
    assert.near(1, took, 0.005)
    assert.equal(1, world:stats("w1").late_replies) -- the confirmation, once it came
  end)

  it("fails as ever when the node dies", function()
    local world = new { nodes = 2 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local worker = mc.spawn({ require("program").Worker, on = "w2" })
      local task = mc.async(worker.stubborn, worker, 100)
      mc.sleep(1)
      task:cancel()
      local _, e = pcall(task.await, task)
      return e.code
    end)
    world:at(1500, function() world:kill "w2" end)
    assert.equal("node_down", (case.finish(world, handle)))
  end)

  it("through four nodes unwinds from the far end, and nothing else is touched [K11]", function()
    local _, notes, outcome, sibling, before = run({ nodes = 4, delay = 5 }, function()
      local mc = require "mooncast"
      local Host = require("program").Host
      local hosts = {}
      for i = 1, 4 do hosts[i] = mc.spawn({ Host, on = "w" .. i }) end
      local a, b, c, d = table.unpack(hosts)
      local task = mc.async(a.relay, a, "A", a, b, c, d)
      local sibling = mc.async(b.echo, b, 3, "untouched")
      mc.sleep(1)
      local before = #a:all()
      task:cancel()
      local outcome = mc.outcome(task)
      return a:all(), outcome, sibling:await(), before
    end)
    assert.equal(0, before)
    assert.same({ "A'''", "A''", "A'", "A" }, notes) -- D, C, B, A
    assert.same({ "during", "untouched" }, { outcome, sibling })
  end)

  it("whose chain has a stubborn end is given up at its near end", function()
    local _, code, took = run({ nodes = 3 }, function()
      local mc = require "mooncast"
      local p = require "program"
      local Middle = mc.actor "Middle"
      function Middle:pass(worker) return worker:stubborn(5) end
      local worker, middle = mc.spawn({ p.Worker, on = "w3" }), mc.spawn({ Middle, on = "w2" })
      local task = mc.async(middle.pass, middle, worker)
      mc.sleep(0.5)
      local start = mc.now()
      task:cancel()
      local _, e = pcall(task.await, task)
      return e.code, mc.now() - start
    end)
    assert.equal("cancelled", code)
    assert.near(1, took, 0.005)
  end)
end)

describe("a cancelled task", function()
  it("leaves whatever it awaits", function()
    local _, results = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local p = require "program"
      local worker = mc.spawn({ p.Worker, on = "w2" })
      local slow = mc.spawn_task(mc.sleep, 50)
      local waits = {
        sleep = function() mc.sleep(1000) end,
        forever = function() mc.sleep(math.huge) end,
        task = function() slow:await() end,
        race = function() mc.race(mc.async(mc.sleep, 1000), mc.async(mc.sleep, 1000)) end,
        all = function() mc.all(mc.async(mc.sleep, 1000), mc.async(mc.sleep, 1000)) end,
        init = function() mc.spawn(p.Worker, 1000) end,
        init_there = function() mc.spawn({ p.Worker, on = "w2" }, 1000) end,
        call = function() worker:work(1000) end,
        coroutine = function() coroutine.wrap(function() mc.sleep(1000) end)() end,
      }
      local results = {}
      for name, wait in pairs(waits) do
        local closed = false
        local task = mc.async(function()
          local _ <close> = mc.closing(function()
            mc.sleep(0.01)
            closed = true
          end)
          wait()
        end)
        mc.sleep(0.1)
        local start = mc.now()
        task:cancel()
        local ok, e = pcall(task.await, task)
        results[name] = ("%s %s %s %.2f"):format(ok, not ok and e.code, closed, mc.now() - start)
      end
      assert(slow:status() == "running")
      slow:cancel()
      assert(mc.stats().actors == 0)
      return results
    end)
    local count = 0
    for name, result in pairs(results) do
      assert.equal("false cancelled true 0.01", result, name)
      count = count + 1
    end
    assert.equal(9, count)
  end)

  it("that waits to cast does not cast", function()
    local world, code, got = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local worker = mc.spawn({ require("program").Worker, on = "w2" })
      local busy = mc.async(worker.work, worker, 2)
      mc.sleep(0)
      local task = mc.async(function()
        for _ = 1, 10000 do mc.cast(worker, "work", 0) end
      end)
      mc.sleep(1)
      task:cancel()
      local _, e = pcall(task.await, task)
      busy:await()
      return e.code, (worker:counts())
    end)
    assert.equal("cancelled", code)
    assert.is_true(got > 1000 and got < 10000, got)
    assert.equal(0, world:stats("w2").dead_letters)
  end)

  it("that fills a mailbox makes room when it goes", function()
    local _, codes, started = run({ nodes = 1 }, function()
      local mc = require "mooncast"
      local worker = mc.spawn(require("program").Worker)
      local busy = mc.async(worker.work, worker, 10)
      mc.sleep(0)
      local calls, codes = {}, {}
      for i = 1, 4096 do calls[i] = mc.async(worker.work, worker, 0) end
      mc.sleep(1)
      local casts = mc.async(mc.cast, worker, "work", 0)
      mc.sleep(1)
      assert(casts:status() == "running")
      for _, call in ipairs(calls) do call:cancel() end
      for _, call in ipairs(calls) do
        local outcome = mc.outcome(call)
        codes[outcome] = (codes[outcome] or 0) + 1
      end
      casts:await()
      busy:await()
      return codes, (worker:counts())
    end)
    assert.same({ before = 4096 }, codes)
    assert.equal(2, started)
  end)

  it("of an actor that is being made leaves none, wherever its init was", function()
    for _, place in ipairs(places) do
      local world, code, resigned = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local Worker = require("program").Worker
        local hooks = {}
        mc.on("resign", function() hooks[#hooks + 1] = "resign" end)
        mc.on("ready", function() hooks[#hooks + 1] = "ready" end)
        local task = mc.async(mc.spawn, { Worker, on = where }, 1000)
        mc.sleep(1)
        task:cancel()
        local _, e = pcall(task.await, task)
        return e.code, table.concat(hooks, " ")
      end, place)
      assert.equal("cancelled", code)
      assert.equal(place == "w1" and "resign" or "", resigned)
      assert.equal(0, world:stats("w1").actors)
      assert.equal(0, world:stats("w2").actors)
    end
  end)

  it("hears of it once, and may work on", function()
    local _, told, value = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local worker = mc.spawn({ require("program").Worker, on = "w2" })
      local told = 0
      local task = mc.async(function()
        for _ = 1, 10 do
          if not pcall(mc.sleep, 1) then told = told + 1 end
        end
        return worker:work(0.5)
      end)
      mc.sleep(0.5)
      task:cancel()
      task:cancel()
      return told == 0, task:await(), told
    end)
    assert.is_true(told)
    assert.equal("worked", value)
  end)

  it("may set a deadline while it cleans up, which ends with its scope", function()
    local _, inside, after = run({ nodes = 1 }, function()
      local mc = require "mooncast"
      local inside, after
      local task = mc.async(function()
        local _ <close> = mc.closing(function()
          local ok, e = pcall(mc.deadline, 0.5, mc.sleep, 10)
          inside = not ok and e.code
          mc.sleep(5)
          after = mc.remaining() == nil
        end)
        mc.sleep(1000)
      end)
      mc.sleep(0)
      task:cancel()
      pcall(task.await, task)
      return inside, after
    end)
    assert.same({ "timeout", true }, { inside, after })
  end)
end)

describe("a spawn elsewhere that is given up", function()
  -- Spawns on every node, each given up at a random moment: before its request arrives, while its init runs,
  -- while the answer is under way. Some inits take time, some do not hear of it.
  local function client(rounds)
    local mc = require "mooncast"
    local Worker = require("program").Worker
    local Deaf = mc.actor "Deaf"
    function Deaf:init(seconds)
      local till = mc.now() + seconds
      while mc.now() < till do pcall(mc.sleep, till - mc.now()) end
    end
    local Plain = mc.actor "Plain" -- is made without a task
    local types = { Worker, Worker, Deaf, Plain }
    local counts, names = { made = 0, timeout = 0, cancelled = 0 }, mc.nodes()
    for _ = 1, rounds do
      local tasks = {}
      for i = 1, 20 do
        local target = { types[math.random(#types)], on = names[math.random(#names)] }
        local seconds = math.random(0, 3) / 100
        local limit = i % 2 == 0 and math.random(1, 80) / 1000 or 1000
        tasks[i] = mc.async(function() return mc.deadline(limit, mc.spawn, target, seconds) end)
      end
      for i = 1, #tasks, 2 do
        mc.sleep(math.random(0, 8) / 1000)
        tasks[i]:cancel()
      end
      for _, task in ipairs(tasks) do
        local ok, got = pcall(task.await, task)
        local outcome = ok and "made" or got.code
        counts[outcome] = counts[outcome] + 1
        if ok then assert(mc.stop(got)) end
      end
    end
    return counts
  end

  it("leaves no actor on any node", function()
    for seed = 1, 5 do
      local world = new { nodes = 3, delay = { 0, 20 }, seed = seed }
      local handles = {}
      for i, name in ipairs(world:names()) do handles[i] = world:run(name, client, 30) end
      local sum = { made = 0, timeout = 0, cancelled = 0 }
      for _, handle in ipairs(handles) do
        for outcome, count in pairs((case.finish(world, handle))) do sum[outcome] = sum[outcome] + count end
      end
      for outcome, count in pairs(sum) do assert.is_true(count > 100, outcome .. " " .. count) end
      for _, name in ipairs(world:names()) do assert.equal(0, world:stats(name).actors, name) end
      world:close()
    end
  end)

  it("is forgotten when its sender's node is gone, and an actor that was being made is stopped", function()
    local world = new { nodes = 2 }
    world:run("w1", function()
      local mc = require "mooncast"
      local Slow = mc.actor "Slow"
      function Slow:init()
        local till = mc.now() + 3
        while mc.now() < till do pcall(mc.sleep, till - mc.now()) end
      end
      mc.spawn({ require("program").Worker, on = "w2" })
      mc.spawn({ Slow, on = "w2" })
    end)
    world:at(1000, function() world:kill "w1" end)
    world:settle()
    assert.equal(1, world:stats("w2").actors) -- the Worker, which its sender had
    assert.is_nil(world:leftover())
  end)
end)

describe("mc.stop", function()
  it("waits for the handler in progress, and what came before it", function()
    for _, place in ipairs(places) do
      local world, order, took, gone = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local worker = mc.spawn({ require("program").Worker, on = where })
        local order = {}
        local function work(name)
          local answer = worker:work(1)
          order[#order + 1] = name .. " " .. answer
        end
        local first, second = mc.async(work, "first"), mc.async(work, "second")
        mc.sleep(0.1)
        local start = mc.now()
        local stopped = mc.stop(worker)
        order[#order + 1] = tostring(stopped)
        mc.all(first, second)
        local _, e = pcall(worker.work, worker)
        return order, mc.now() - start, e.code
      end, place)
      assert.same({ "first worked", "second worked", "true" }, order)
      assert.near(1.9, took, 0.01)
      assert.equal("dead_actor", gone)
      assert.equal(0, world:stats(place).actors)
    end
  end)

  it("happens all the same when who asked for it no longer waits", function()
    for _, place in ipairs(places) do
      local world, code, took, gone = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local worker = mc.spawn({ require("program").Worker, on = where })
        local busy = mc.async(worker.work, worker, 3)
        mc.sleep(0)
        local stop = mc.async(mc.stop, worker)
        mc.sleep(0.1)
        local start = mc.now()
        stop:cancel()
        local _, e = pcall(stop.await, stop)
        local took = mc.now() - start
        busy:await()
        mc.sleep(0)
        local _, gone = pcall(worker.work, worker)
        return e.code, took, gone.code
      end, place)
      assert.same({ "cancelled", "dead_actor" }, { code, gone })
      assert.near(1, took, 0.005)
      assert.equal(0, world:stats(place).actors)
    end
  end)
end)
