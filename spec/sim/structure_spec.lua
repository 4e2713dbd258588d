-- Tasks end with what made them; errors that nobody awaits are told; waiting for several at once.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim

local function program()
  local mc = require "mooncast"
  local Parent = mc.actor("Parent", { reentrant = true })
  local Plain = mc.actor "Plain"

  function mc.closing(fn) return setmetatable({}, { __close = fn }) end

  function Parent:init() self.log = {} end
  function Parent:note(text) self.log[#self.log + 1] = text end
  function Parent:all() return self.log end
  -- A task that takes its time, and then more to close.
  function Parent:child(name, seconds, cleaning)
    return mc.async(function()
      local _ <close> = mc.closing(function()
        if cleaning then mc.sleep(cleaning) end
        self:note(name .. " closed")
      end)
      mc.sleep(seconds)
      self:note(name .. " done")
    end)
  end
  function Parent:leaves(how)
    self:child("a", 100)
    self:child("b", 100, 0.5)
    self:child("c", 0.1)
    mc.async(function() -- with a child of its own
      self:child("e", 100, 0.2)
      mc.sleep(100)
    end)
    mc.sleep(0.2)
    self:child("d", 100) -- does not even start
    self:note "over"
    if how == "raises" then error("raised", 0) end
    return "returned"
  end
  function Parent:detaches(seconds, problem)
    mc.spawn_task(function()
      mc.sleep(seconds)
      self:note("detached, " .. tostring(mc.remaining()))
      if problem then error(problem) end
    end)
    return "answered"
  end
  function Parent:detaches_inside()
    mc.async(function()
      mc.spawn_task(function()
        local _ <close> = mc.closing(function() self:note "detached closed" end)
        mc.sleep(100)
      end)
    end):await()
  end
  function Parent:give(seconds, ...)
    mc.sleep(seconds)
    return ...
  end

  function Plain:init() self.n, self.inside, self.most = 0, 0, 0 end
  function Plain:add(pause)
    self.inside = self.inside + 1
    self.most = math.max(self.most, self.inside)
    local v = self.n
    if pause then mc.sleep(pause) end
    self.n = v + 1
    self.inside = self.inside - 1
  end
  function Plain:get() return self.n, self.most end
  function Plain:wait(seconds) mc.sleep(seconds) end

  -- Does things at random, in tasks, on other nodes, with deadlines; some of it is cancelled.
  local Random = mc.actor("Random", { reentrant = true })
  local chance, open = math.random, 0
  local acts = {}
  local function act(refs, depth)
    open = open + 1
    local _ <close> = mc.closing(function()
      if chance(4) == 1 then pcall(mc.sleep, chance() / 50) end
      open = open - 1
    end)
    return acts[depth > 0 and chance(#acts) or 1](refs, depth - 1)
  end
  acts[1] = function() mc.sleep(chance() / 20) end
  acts[2] = function(refs, depth) refs[chance(#refs)]:act(refs, depth) end
  acts[3] = function(refs, depth) mc.async(act, refs, depth) end
  acts[4] = function(refs, depth) pcall(mc.deadline, chance() / 10, act, refs, depth) end
  acts[5] = function(refs, depth) mc.race(mc.async(act, refs, depth), mc.async(act, refs, depth)) end
  acts[6] = function(refs, depth) mc.all(mc.async(act, refs, depth), mc.async(act, refs, depth)) end
  acts[7] = function(refs, depth) mc.any(mc.async(act, refs, depth), mc.async(act, refs, depth)) end
  acts[8] = function(refs, depth)
    local task = mc.async(act, refs, depth)
    mc.sleep(chance() / 50)
    task:cancel()
    if chance(2) == 1 then pcall(task.await, task) end
  end
  acts[9] = function(refs, depth)
    local other = mc.spawn({ Random, on = "w" .. chance(3) }, refs, chance(3) == 1 and depth)
    local _ <close> = mc.closing(function()
      if not pcall(mc.stop, other) then pcall(mc.stop, other) end -- the first may tell of the end
    end)
    if chance(2) == 1 then pcall(other.act, other, refs, depth) end
  end
  acts[10] = function(refs, depth) mc.spawn_task(act, refs, depth) end
  acts[11] = function(refs, depth) coroutine.wrap(act)(refs, depth) end
  acts[12] = function(refs, depth) mc.cast(refs[chance(#refs)], "act", refs, depth) end
  acts[13] = function() error({ "raised" }) end
  acts[14] = function(refs, depth)
    for _, task in mc.each(mc.async(act, refs, depth), mc.async(act, refs, depth)) do pcall(task.await, task) end
  end
  function Random:init(refs, depth)
    self.refs = refs
    if depth then act(refs, depth) end
  end
  function Random:act(refs, depth) return act(refs, depth) end
  function Random:open() return self and open end

  return { Parent = Parent, Plain = Plain, Random = Random, act = act }
end

local case = require "spec.support.sim_case"(program)
local run = case.run

local places = { "w1", "w2" }

local function sorted(list)
  table.sort(list)
  return list
end

describe("what a handler started and left", function()
  for _, how in ipairs { "returns", "raises" } do
    for _, place in ipairs(places) do
      it(("is cancelled before its answer goes, when it %s on %s"):format(how, place), function()
        local _, ok, answer, took, log = run({ nodes = 2 }, function(where, ending)
          local mc = require "mooncast"
          local parent = mc.spawn({ require("program").Parent, on = where })
          local start = mc.now()
          local ok, answer = pcall(parent.leaves, parent, ending)
          local log, took = parent:all(), mc.now() - start
          mc.sleep(200)
          assert(#parent:all() == #log, "something went on")
          return ok, answer, took, log
        end, place, how)
        assert.same({ how == "returns", how == "returns" and "returned" or "raised" }, { ok, answer })
        assert.near(0.7, took, 0.01) -- the longest cleaning
        assert.same({ "c done", "c closed", "over" }, { log[1], log[2], log[3] })
        assert.same({ "a closed", "b closed", "e closed" }, sorted { table.unpack(log, 4) })
      end)
    end
  end

  it("is cancelled when its task ends, and when that is cancelled", function()
    local _, order = run({ nodes = 1 }, function()
      local mc = require "mooncast"
      local order = {}
      local function nest(depth)
        local _ <close> = mc.closing(function()
          mc.sleep(0.01)
          order[#order + 1] = depth
        end)
        if depth < 5 then mc.async(nest, depth + 1) end
        if depth == 5 then mc.async(mc.sleep, 100) end
        mc.sleep(depth == 1 and 1 or 100)
      end
      mc.async(nest, 1):await()
      order[#order + 1] = "|"
      local task = mc.async(nest, 2)
      mc.sleep(1)
      task:cancel()
      pcall(task.await, task)
      return order
    end)
    assert.equal("1 2 3 4 5 | 2 3 4 5", table.concat(order, " "))
  end)
end)

describe("mc.spawn_task", function()
  it("outlives the call: its answer goes first, and no deadline follows [K4] [K6]", function()
    for _, place in ipairs(places) do
      local _, answer, took, early, late = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local parent = mc.spawn({ require("program").Parent, on = where })
        local start = mc.now()
        local answer = mc.deadline(0.1, parent.detaches, parent, 0.5)
        local took, early = mc.now() - start, #parent:all()
        mc.sleep(0.6)
        return answer, took, early, table.concat(parent:all(), " ")
      end, place)
      assert.same({ "answered", 0 }, { answer, early })
      assert.is_true(took < 0.05, took)
      assert.equal("detached, nil", late)
    end
  end)

  it("ends with its actor, wherever in it it was made", function()
    for _, method in ipairs { "detaches", "detaches_inside" } do
      local world, log = run({ nodes = 2 }, function(name)
        local mc = require "mooncast"
        local Parent = require("program").Parent
        local parent, keeper = mc.spawn({ Parent, on = "w2" }), {}
        parent[name](parent, 100)
        mc.stop(parent)
        mc.sleep(0.1)
        return keeper
      end, method)
      assert.same({}, log)
      assert.is_true(world:now() < 1000, world:now()) -- nothing slept on
    end
  end)

  it("that fails is told, with its traceback [K6]", function()
    local world = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local parent = mc.spawn({ require("program").Parent, on = "w2" })
      parent:detaches(0.1, "lost and found")
      mc.sleep(1)
    end)
    case.finish(world, world:run("w2", "collectgarbage() collectgarbage()"))
    local log = world:log()
    assert.matches("w2 error: a task made at %S+:%d+, which nobody awaited, failed: .-lost and found", log)
    assert.matches("lost and found\n%s+stack traceback:\n.-in function", log)
  end)
end)

describe("an error in a task", function()
  -- What w1 logs when a task of fn's making is collected.
  local function logged(fn)
    local world = run({ nodes = 1 }, fn)
    case.finish(world, world:run("w1", "collectgarbage() collectgarbage()"))
    return world:log():match "error: (.*)"
  end

  it("that nobody awaited is told, with its traceback", function()
    local text = logged(function()
      local mc = require "mooncast"
      local function culprit() error "unheard" end
      mc.async(function() culprit() end)
      mc.sleep(1)
    end)
    assert.matches("a task made at %S+:239, which nobody awaited, failed: .*unheard", text)
    assert.matches("in upvalue 'culprit'", text)
  end)

  it("that somebody awaited, caught or cancelled is not", function()
    assert.is_nil(logged(function()
      local mc = require "mooncast"
      local function fail() error "heard" end
      local task = mc.async(fail)
      pcall(task.await, task)
      pcall(mc.all, mc.async(fail), mc.async(fail), mc.async(fail))
      pcall(mc.race, mc.async(fail), mc.async(fail))
      pcall(mc.any, mc.async(fail), mc.async(fail))
      for _, each in mc.each(mc.async(fail), mc.async(fail)) do pcall(each.await, each) end
      local cancelled = mc.async(mc.sleep, 10)
      mc.sleep(0.1)
      cancelled:cancel()
      mc.async(mc.sleep, 10) -- left behind
    end))
  end)
end)

describe("waiting for several tasks", function()
  -- Runs fn(mc, task) in w1, task(seconds, values ...) being a task that ends after that, raises its value when
  -- that is a table, and notes whether it was cancelled.
  local function several(fn)
    local code = string.dump(fn)
    local _, r = run({ nodes = 2 }, function(bytes)
      local mc = require "mooncast"
      local parent = mc.spawn({ require("program").Parent, on = "w2" })
      local r = { cancelled = {}, start = mc.now() }
      local function task(seconds, value, ...)
        local rest = table.pack(...)
        return mc.async(function()
          local ended = false
          local _ <close> = mc.closing(function()
            if not ended then r.cancelled[#r.cancelled + 1] = seconds end
          end)
          if seconds % 1 == 0 then parent:give(seconds) else mc.sleep(seconds) end
          ended = true
          if type(value) == "table" then error(value, 0) end
          return value, table.unpack(rest, 1, rest.n)
        end)
      end
      r.result = table.pack(pcall(load(bytes), mc, task))
      r.took = mc.now() - r.start
      mc.sleep(0.01)
      table.sort(r.cancelled)
      r.cancelled = table.concat(r.cancelled, " ")
      return r
    end, code)
    return r
  end

  it("mc.race takes the first to end, and cancels the others [K1]", function()
    local r = several(function(mc, task) return mc.race(task(3), task(0.5, "won", nil, 2), task(1)) end)
    assert.same(table.pack(true, "won", nil, 2), r.result)
    assert.near(0.5, r.took, 0.001)
    assert.equal("1 3", r.cancelled)
    r = several(function(mc, task) return mc.race(task(3), task(1, { code = 5 })) end)
    assert.same({ false, { code = 5 }, n = 2 }, r.result)
    assert.equal("3", r.cancelled)
    r = several(function(mc, task)
      local done = task(0, "was done")
      done:await()
      return mc.race(task(1), done)
    end)
    assert.same({ true, "was done", n = 2 }, r.result)
    assert.is_false(several(function(mc) return mc.race() end).result[1])
  end)

  it("mc.any takes the first that does not fail [K1]", function()
    local r = several(function(mc, task)
      return mc.any(task(0.5, { code = 1 }), task(3), task(1, "second"), task(0.25, { code = 2 }))
    end)
    assert.same({ true, "second", n = 2 }, r.result)
    assert.near(1, r.took, 0.001)
    assert.equal("3", r.cancelled)
    r = several(function(mc, task)
      return mc.any(task(1, { code = 1 }), task(2, { code = 2 }), task(0.5, { code = 3 }))
    end)
    assert.same({ false, { code = 2 }, n = 2 }, r.result)
    assert.near(2, r.took, 0.001)
    assert.equal("", r.cancelled)
  end)

  it("mc.each goes through them as they end, once each", function()
    local r = several(function(mc, task)
      local order, tasks = {}, { task(3), task(0.5), task(1, { code = 1 }), task(2) }
      for i, each in mc.each(table.unpack(tasks)) do
        assert(each == tasks[i])
        order[#order + 1] = i .. " " .. each:status()
      end
      for _ in mc.each() do error "there is none" end
      return table.concat(order, ", ")
    end)
    assert.equal("2 done, 3 failed, 4 done, 1 done", r.result[2])
    assert.near(3, r.took, 0.001)
  end)

  it("mc.each that is left early cancels nothing", function()
    local r = several(function(mc, task)
      local a, b = task(1, "a"), task(2, "b")
      for i in mc.each(a, b) do
        if i == 1 then break end
      end
      return b:await()
    end)
    assert.same({ true, "b", n = 2 }, r.result)
  end)

  it("mc.all takes all, or the first error at once, and cancels the others", function()
    local r = several(function(mc, task) return mc.all(task(2, 1, "dropped"), task(0.5), task(1, 3)) end)
    assert.same(table.pack(true, 1, nil, 3), r.result)
    assert.near(2, r.took, 0.001)
    r = several(function(mc, task) return mc.all(task(3), task(1, { code = 1 }), task(2, { code = 2 })) end)
    assert.same({ false, { code = 1 }, n = 2 }, r.result)
    assert.near(1, r.took, 0.001)
    assert.equal("2 3", r.cancelled)
  end)

  it("waits for a timer, a call and a task alike, and leaves nothing of the losers [K1]", function()
    local _, winners, stats = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local parent = mc.spawn({ require("program").Parent, on = "w2" })
      local winners = {}
      for fastest = 1, 3 do
        local function seconds(i) return i == fastest and 0.05 or 10 end
        local inner = mc.async(mc.sleep, seconds(3))
        winners[fastest] = mc.race(
          mc.async(function()
            mc.sleep(seconds(1))
            return "timer"
          end),
          mc.async(parent.give, parent, seconds(2), "call"),
          mc.async(function()
            inner:await()
            return "task"
          end))
        inner:cancel()
      end
      mc.sleep(0.01)
      return winners, mc.stats()
    end)
    assert.same({ "timer", "call", "task" }, winners)
    assert.same({ 0, 0 }, { stats.pending, stats.timers })
  end)
end)

describe("1,000 random trees of tasks, calls and deadlines on three nodes", function()
  it("close all that they open, end all that they start, and leave nothing", function()
    local function client(count)
      local mc = require "mooncast"
      local p = require "program"
      local refs = {}
      for i = 1, 3 do refs[i] = mc.spawn({ p.Random, on = "w" .. i }) end
      local tasks = {}
      for i = 1, count do tasks[i] = mc.async(p.act, refs, 6) end
      for i, task in ipairs(tasks) do
        if i % 3 == 0 then task:cancel() end
        pcall(task.await, task)
      end
      mc.sleep(100)
      local open = 0
      for i = 1, 3 do open = open + refs[i]:open() end
      for i = 1, 3 do mc.stop(refs[i]) end
      return open
    end
    for seed = 1, 50 do
      local world, open = case.run({ seed = seed, nodes = 3, delay = { 0, 10 } }, client, 20)
      assert.equal(0, open, "seed " .. seed)
      -- An actor is nobody's when its reference came too late for who spawned it.
      local actors, late = 0, 0
      for _, name in ipairs(world:names()) do
        local stats = world:stats(name)
        actors, late = actors + stats.actors, late + stats.late_replies
      end
      assert.is_true(actors <= late, ("seed %d: %d actors, %d late"):format(seed, actors, late))
      world:close()
    end
  end)
end)

describe("actors", function()
  it("handle one message at a time, awaits included [A4]", function()
    for _, place in ipairs(places) do
      local _, n, paused, most = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local Plain = require("program").Plain
        local a, b = mc.spawn({ Plain, on = where }), mc.spawn({ Plain, on = where })
        local tasks = {}
        for i = 1, 500 do tasks[2 * i - 1], tasks[2 * i] = mc.async(a.add, a), mc.async(b.add, b, 0) end
        mc.all(table.unpack(tasks))
        return a:get(), b:get()
      end, place)
      assert.same({ 500, 500, 1 }, { n, paused, most })
    end
  end)

  it("do not wait for one another's awaits [K3] [K2]", function()
    local _, took = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local Plain = require("program").Plain
      local a, b = mc.spawn({ Plain, on = "w2" }), mc.spawn({ Plain, on = "w2" })
      local waits = mc.async(a.wait, a, 1)
      mc.sleep(0.01)
      local start = mc.now()
      for _ = 1, 100 do b:add() end
      local took = mc.now() - start
      assert(waits:status() == "running")
      return took
    end)
    assert.is_true(took < 0.5, took)
  end)
end)
