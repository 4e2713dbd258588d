-- Deadlines over whole operations, on nodes whose clocks have nothing in common.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim

local function program()
  local mc = require "mooncast"
  local Service = mc.actor "Service"

  function Service:init(wait)
    self.started, self.closed = 0, 0
    if wait then mc.sleep(wait) end
  end
  function Service:slow(seconds)
    self.started = self.started + 1
    local _ <close> = setmetatable({}, { __close = function() self.closed = self.closed + 1 end })
    mc.sleep(seconds)
    return "done"
  end
  function Service:counts() return self.started, self.closed end
  function Service:remaining() return mc.remaining() end
  function Service:keep_remaining() self.kept = mc.remaining() or "none" end
  function Service:kept_remaining() return self.kept end
  -- What is left of the deadline here and on every node behind, each of which takes 100 ms.
  function Service:hop(next, ...)
    mc.sleep(0.1)
    local left = mc.remaining()
    if not next then return left end
    return left, next:hop(...)
  end
  function Service:hurry(other, seconds)
    local before = mc.remaining()
    local ok, e = pcall(mc.deadline, seconds, other.slow, other, 10)
    return ok, e.code, before - mc.remaining()
  end
  function Service:stubborn(seconds)
    local till = mc.now() + seconds
    while mc.now() < till do pcall(mc.sleep, till - mc.now()) end
    return "late"
  end
  function Service:cleans(seconds)
    local _ <close> = setmetatable({}, { __close = function()
      mc.sleep(seconds)
      self.closed = self.closed + 1
    end })
    mc.sleep(100)
  end
  -- A library that knows of no deadline.
  function Service.patient(other)
    local n = 0
    while n < 10 do
      other:slow(0.3)
      n = n + 1
    end
    return n
  end
  -- fn(...) and when it was over: what it raised, or what it returned.
  function mc.timed(fn, ...)
    local start = mc.now()
    local ok, e = pcall(fn, ...)
    return mc.now() - start, not ok and (e.code or tostring(e)) or e
  end
  return Service
end

local case = require "spec.support.sim_case"(program)
local run, new = case.run, case.new

describe("a deadline", function()
  it("covers several calls: the third raises when it passes [G1]", function()
    local _, took, code, started, closed = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local took, code = mc.timed(mc.deadline, 1, function()
        for _ = 1, 3 do service:slow(0.4) end
      end)
      return took, code, service:counts()
    end)
    assert.equal("timeout", code)
    assert.near(1, took, 0.005)
    assert.same({ 3, 3 }, { started, closed }) -- the third was cancelled over there, too
  end)

  it("reaches a library that knows of none [G2]", function()
    local _, took, code, free = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local Service = require "program"
      local service = mc.spawn({ Service, on = "w2" })
      local took, code = mc.timed(mc.deadline, 1, Service.patient, service)
      return took, code, Service.patient(service)
    end)
    assert.same({ "timeout", 10 }, { code, free })
    assert.near(1, took, 0.005)
  end)

  it("is that of the tasks made in it, all of which it cancels [G3]", function()
    local _, took, code, ended, states = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local tasks, ended = {}, {}
      local start = mc.now()
      local took, code = mc.timed(mc.deadline, 0.5, function()
        for i = 1, 5 do
          tasks[i] = mc.async(function()
            local _ <close> = setmetatable({}, { __close = function() ended[i] = mc.now() - start end })
            if i % 2 == 0 then mc.sleep(2) else service:slow(2) end
          end)
        end
        mc.all(table.unpack(tasks))
      end)
      mc.sleep(0.05)
      local states = {}
      for i, task in ipairs(tasks) do states[i] = task:status() end
      return took, code, ended, table.concat(states, " ")
    end)
    assert.equal("timeout", code)
    assert.near(0.5, took, 0.01)
    assert.equal("cancelled cancelled cancelled cancelled cancelled", states)
    assert.equal(5, #ended)
    for i = 1, 5 do assert.near(0.5, ended[i], 0.01) end
  end)

  it("travels as what is left of it, whatever the clocks say [G4] [G10]", function()
    local world, left, clocks = run({ nodes = 4, delay = 10 }, function()
      local mc = require "mooncast"
      local Service = require "program"
      local refs, clocks = {}, { mc.now() }
      for i = 2, 4 do refs[i] = mc.spawn({ Service, on = "w" .. i }) end
      local left = mc.deadline(1, function()
        local before = mc.remaining()
        return { before, refs[2]:hop(refs[3], refs[4]) }
      end)
      return left, clocks
    end)
    -- Nobody knows how long a message was under way: the caller's own clock decides.
    for i, expected in ipairs { 1, 0.9, 0.8, 0.7 } do assert.near(expected, left[i], 0.003) end
    -- How much those clocks differ: minutes, at least between two of them.
    for i = 2, 4 do
      local _, now = case.finish(world, world:run("w" .. i, function() return 1, require("mooncast").now() end))
      clocks[i] = now
    end
    table.sort(clocks)
    assert.is_true(clocks[4] - clocks[1] > 60, clocks[4] - clocks[1])
  end)

  it("inside another is the nearer of the two, and the outer one keeps its rest [G5]", function()
    local _, inner_far, inner_near, rest, after = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local inner_far = mc.timed(mc.deadline, 1, mc.deadline, 5, service.slow, service, 10)
      local inner_near, rest, after
      mc.deadline(5, function()
        inner_near = mc.timed(mc.deadline, 0.2, service.slow, service, 10)
        rest = mc.remaining()
        after = service:slow(4)
      end)
      return inner_far, inner_near, rest, after
    end)
    assert.near(1, inner_far, 0.005)
    assert.near(0.2, inner_near, 0.005)
    assert.near(4.8, rest, 0.01)
    assert.equal("done", after)
  end)

  it("is seen by handlers, and what is queued beyond it never starts [G6]", function()
    for _, place in ipairs { "w1", "w2" } do
      local _, at, codes, started, seen, none = run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local service = mc.spawn({ require "program", on = where })
        local busy = mc.async(service.slow, service, 1)
        mc.sleep(0)
        local tasks, at, codes = {}, {}, {}
        for i = 1, 5 do
          tasks[i] = mc.async(function() at[i], codes[i] = mc.timed(mc.deadline, 0.2, service.slow, service, 0) end)
        end
        mc.all(busy, table.unpack(tasks))
        local seen = mc.deadline(2, service.remaining, service)
        return at, codes, (service:counts()), seen, service:remaining()
      end, place)
      for i = 1, 5 do
        assert.near(0.2, at[i], 0.005)
        assert.equal("timeout", codes[i])
      end
      assert.equal(1, started)
      assert.near(2, seen, 0.01)
      assert.is_nil(none)
    end
  end)

  it("ends what is queued elsewhere, though no word of its caller gets there [G6]", function()
    local world = new { nodes = 2 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local busy = mc.async(service.slow, service, 1)
      mc.sleep(0)
      local took, code = mc.timed(mc.deadline, 0.2, service.slow, service, 0)
      busy:await()
      return took, code, (service:counts())
    end)
    world:at(world:now() + 100, function() world:partition("w1", "w2") end)
    world:at(world:now() + 3000, function() world:heal() end)
    local took, code, started = case.finish(world, handle)
    assert.near(0.2, took, 0.005)
    assert.equal("timeout", code)
    assert.equal(1, started)
  end)

  it("that nobody chose is 30 seconds, for the caller alone [G7]", function()
    local _, took, code, seen, closed = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local seen = service:remaining()
      local took, code = mc.timed(service.slow, service, 1000)
      local _, closed = service:counts()
      return took, code, seen, closed
    end)
    assert.near(30, took, 0.01)
    assert.equal("timeout", code)
    assert.is_nil(seen)
    assert.equal(1, closed) -- who asked is gone: so is the work
  end)

  it("passed is the end for the caller; what comes later is counted and dropped [G8]", function()
    local world, took, code, before, after, answer = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local before = mc.stats().late_replies
      local took, code = mc.timed(mc.deadline, 0.2, service.stubborn, service, 0.5)
      mc.sleep(0.4)
      return took, code, before, mc.stats().late_replies, service:slow(0)
    end)
    assert.near(0.2, took, 0.005)
    assert.equal("timeout", code)
    assert.equal(before + 1, after)
    assert.equal("done", answer)
    assert.is_nil(world:log():find "error:")
  end)

  it("of a node that dies is not waited for [G12]", function()
    local world = new { nodes = 2, delay = 10 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      return mc.timed(mc.deadline, 25, service.slow, service, 20)
    end)
    world:advance(500)
    world:kill "w2"
    local took, code = case.finish(world, handle)
    assert.equal("node_down", code)
    assert.is_true(took < 1, took)
  end)

  it("and the time of one call are both kept [G13]", function()
    local _, call, scope = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local call, scope
      mc.deadline(5, function()
        call = mc.timed(mc.with, { timeout = 0.1 }, service.slow, service, 10)
        scope = mc.timed(mc.with, { timeout = 10 }, service.slow, service, 10)
      end)
      return call, scope
    end)
    assert.near(0.1, call, 0.005)
    assert.near(4.9, scope, 0.01)
  end)

  it("may be a value that is closed", function()
    local _, took, left, after = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local left
      local took = mc.timed(function()
        local _ <close> = mc.deadline(0.5)
        left = mc.remaining()
        service:slow(10)
      end)
      return took, left, mc.remaining() == nil and service:slow(1)
    end)
    assert.near(0.5, took, 0.005)
    assert.near(0.5, left, 0.001)
    assert.equal("done", after)
  end)

  it("that a handler sets and catches leaves it what it was given", function()
    local _, ok, code, spent = run({ nodes = 3 }, function()
      local mc = require "mooncast"
      local Service = require "program"
      local a, b = mc.spawn({ Service, on = "w2" }), mc.spawn({ Service, on = "w3" })
      return mc.deadline(5, a.hurry, a, b, 0.2)
    end)
    assert.same({ false, "timeout" }, { ok, code })
    assert.near(0.2, spent, 0.005)
  end)

  it("is nothing to casts, nor to tasks that outlive the call", function()
    local _, kept, task_left, finished = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local task_left, finished
      pcall(mc.deadline, 0.1, function()
        mc.cast(service, "keep_remaining")
        mc.spawn_task(function()
          task_left = mc.remaining()
          mc.sleep(0.3)
          finished = true
        end)
        mc.sleep(10)
      end)
      mc.sleep(1)
      return service:kept_remaining(), task_left, finished
    end)
    assert.equal("none", kept)
    assert.is_nil(task_left)
    assert.is_true(finished)
  end)

  it("of zero or less lets nothing be awaited, and gives nonsense no meaning", function()
    local _, zero, free, negative, nan = run({ nodes = 1 }, function()
      local mc = require "mooncast"
      local service = mc.spawn(require "program")
      local _, zero = mc.timed(mc.deadline, 0, service.remaining, service)
      return zero, mc.deadline(0, function() return "free" end), (pcall(mc.deadline, -1, print)),
        (pcall(mc.deadline, 0 / 0, print))
    end)
    assert.same({ "timeout", "free", false, false }, { zero, free, negative, nan })
  end)

  it("that passed lets the callee clean up, for as long as that takes", function()
    local _, took, closed = run({ nodes = 2, delay = 5 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local took = mc.timed(mc.deadline, 0.2, service.cleans, service, 3)
      local _, closed = service:counts() -- waits behind the handler that cleans up
      return took, closed
    end)
    assert.near(0.2, took, 0.005)
    assert.equal(1, closed)
  end)

  it("that passed gives the code that set it one second more to clean up, once", function()
    local _, done, took, swallowed, code = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local done
      local took = mc.timed(mc.deadline, 0.5, function()
        local _ <close> = setmetatable({}, { __close = function() done = service:slow(0.8) end })
        service:slow(10)
      end)
      -- What is caught again and again ends all the same.
      local last
      local swallowed = mc.timed(mc.deadline, 0.5, function()
        for _ = 1, 100 do
          local _, e = pcall(service.slow, service, 10)
          last = e.code
        end
      end)
      return done, took, swallowed, last
    end)
    assert.equal("done", done)
    assert.near(1.3, took, 0.01)
    assert.near(1.5, swallowed, 0.01)
    assert.equal("timeout", code)
  end)

  it("that passed with the one around it is told once, so that what is around cleans up, too", function()
    local _, order, took = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local service = mc.spawn({ require "program", on = "w2" })
      local order = {}
      local function cleaner(name)
        return setmetatable({}, { __close = function() order[#order + 1] = name .. " " .. service:slow(0.1) end })
      end
      local took = mc.timed(mc.deadline, 0.5, function()
        local _ <close> = cleaner "outer"
        mc.deadline(5, function()
          local _ <close> = cleaner "inner"
          service:slow(10)
        end)
      end)
      return order, took
    end)
    assert.same({ "inner done", "outer done" }, order)
    assert.near(0.7, took, 0.01)
  end)

  it("leaves no actor whose init it ended", function()
    for _, place in ipairs { "w1", "w2" } do
      for _, inside in ipairs { "direct", "task" } do
        local _, took, code, actors = run({ nodes = 2 }, function(where, how)
          local mc = require "mooncast"
          local Service = require "program"
          local spawn = function() return mc.spawn({ Service, on = where }, 10) end
          if how == "task" then
            local plain = spawn
            spawn = function() return mc.async(plain):await() end
          end
          local took, code = mc.timed(mc.deadline, 0.3, spawn)
          mc.sleep(0.1)
          return took, code, mc.stats().actors
        end, place, inside)
        assert.equal("timeout", code)
        assert.near(0.3, took, 0.005)
        assert.equal(0, actors)
      end
    end
  end)
end)

describe("a simulated clock", function()
  it("lets a timer of 24 hours pass at once [G9]", function()
    local world = new { nodes = 2 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local before = mc.now()
      mc.sleep(24 * 3600)
      return mc.now() - before
    end)
    local real = os.clock()
    local slept = case.finish(world, handle)
    real = os.clock() - real
    assert.equal(86400, slept)
    assert.is_true(real < 0.05, real)
  end)
end)
