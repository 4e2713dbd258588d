-- Deadlines, cancellation and structured tasks in real time and on real links. When what happens is a
-- matter of exact times, spec/sim has it.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local tree = require "spec.support.tree"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local function closing(fn) return setmetatable({}, { __close = fn }) end

local Worker = mc.actor("async_spec.Worker", { reentrant = true })

function Worker:init() self.started, self.ended, self.cleaned = 0, 0, 0 end
function Worker:work(...)
  self.started = self.started + 1
  local _ <close> = closing(function() self.ended = self.ended + 1 end)
  for _, seconds in ipairs { ... } do mc.sleep(seconds) end
  return "worked"
end
function Worker:cleans(seconds)
  local _ <close> = closing(function()
    mc.sleep(seconds)
    self.cleaned = self.cleaned + 1
  end)
  mc.sleep(100)
end
function Worker:stubborn(seconds)
  local till = mc.now() + seconds
  while mc.now() < till do pcall(mc.sleep, till - mc.now()) end
end
function Worker:busy(seconds)
  local till = mc.now() + seconds
  while mc.now() < till do self.ended = self.ended end -- no await
end
function Worker:counts() return self.started, self.ended, self.cleaned end
function Worker:remaining(next)
  local left = mc.remaining()
  if next then return left, next:remaining() end
  return left
end
function Worker:relay(notes, name, next, ...)
  local _ <close> = closing(function() notes:note(name) end)
  if next then return next:relay(notes, name .. "'", ...) end
  notes:note "there"
  mc.sleep(100)
end
function Worker:leaves(notes)
  mc.async(function()
    local _ <close> = closing(function() notes:note "child closed" end)
    mc.sleep(100)
  end)
  mc.sleep(0.01)
  return "returned"
end
function Worker:detaches(notes)
  mc.spawn_task(function()
    mc.sleep(0.02)
    notes:note "detached"
  end)
  return "returned"
end
function Worker:echo(...)
  mc.sleep(0)
  return ...
end

local Notes = mc.actor "async_spec.Notes"
function Notes:init() self.list = {} end
function Notes:note(text) self.list[#self.list + 1] = text end
function Notes:all() return table.concat(self.list, " ") end

local One = mc.actor "async_spec.One" -- one call at a time
function One:init() self.ran = 0 end
function One:work(seconds)
  self.ran = self.ran + 1
  mc.sleep(seconds)
end
function One:count() return self.ran end

local function timed(fn, ...)
  local start = mc.now()
  local ok, e = pcall(fn, ...)
  return mc.now() - start, not ok and (e.code or e) or e
end

-- Cancels a call that goes on for three seconds: its caller hears so after one, and not its answer.
local function given_up(worker, method)
  local before = mc.stats().late_replies
  local task = mc.async(worker[method], worker, 3)
  mc.sleep(0.05)
  task:cancel()
  local took, code = timed(task.await, task)
  assert.equal("cancelled", code)
  assert.is_true(took > 0.9 and took < 2.8, took)
  eventually(function() return mc.stats().late_replies == before + 1 end)
end

for _, place in ipairs(world.places()) do
  describe("time and cancellation " .. place.name, function()
    local worker, notes
    before_each(function()
      worker, notes = mc.spawn { Worker, on = place.node }, mc.spawn { Notes, on = mc.node() }
    end)
    after_each(function()
      mc.stop(worker)
      mc.stop(notes)
    end)

    it("share a deadline: the third call raises when it passes [G1]", function()
      local took, code = timed(mc.deadline, 0.5, function()
        for _ = 1, 3 do worker:work(0.2) end
      end)
      assert.equal("timeout", code)
      assert.is_true(took >= 0.499 and took < 5, took)
      -- On a machine that stands still for a moment the second is already too late.
      eventually(function()
        local started, ended = worker:counts()
        return started == ended and started > 0 and started <= 3
      end)
      assert.is_nil(mc.remaining())
      assert.equal("worked", worker:work(0))
    end)

    it("hand on what is left, ever less [G4] [G6]", function()
      local last = mc.spawn { Worker, on = world.other() }
      local left, first, second = mc.deadline(5, function() return mc.remaining(), worker:remaining(last) end)
      -- On the wire are whole milliseconds, rounded up. A browser's clock may stand still meanwhile:
      -- then only the rounding of floats is left, which may go up.
      local most = 0.001 + 1e-6
      assert.is_true(left <= 5 + 1e-6 and first <= left + most and second <= first + most and second > 4, second)
      assert.is_nil((worker:remaining()))
      mc.stop(last)
    end)

    it("keep the nearer of two deadlines, and the rest of the other [G5] [G13]", function()
      mc.deadline(3, function()
        local took, code = timed(mc.deadline, 0.05, worker.work, worker, 10)
        assert.equal("timeout", code)
        assert.is_true(took < 5, took)
        took, code = timed(mc.with, { timeout = 0.05 }, worker.work, worker, 10)
        assert.equal("timeout", code)
        assert.is_true(took < 5, took)
        assert.is_true(mc.remaining() > 1)
        assert.equal("worked", worker:work(0.01))
      end)
      local took = timed(mc.deadline, 0.05, mc.deadline, 10, worker.work, worker, 10)
      assert.is_true(took < 5, took)
    end)

    it("end a scope that is closed", function()
      local took, code = timed(function()
        local _ <close> = mc.deadline(0.05)
        worker:work(10)
      end)
      assert.equal("timeout", code)
      assert.is_true(took < 5, took)
      assert.is_nil(mc.remaining())
    end)

    it("end the children of a deadline [G3]", function()
      local tasks = {}
      local took = timed(mc.deadline, 0.1, function()
        for i = 1, 5 do tasks[i] = mc.async(worker.work, worker, 10) end
        mc.all(table.unpack(tasks))
      end)
      assert.is_true(took < 5, took)
      for i = 1, 5 do
        pcall(tasks[i].await, tasks[i])
        assert.equal("cancelled", tasks[i]:status())
      end
      eventually(function()
        local _, ended = worker:counts()
        return ended == 5
      end)
    end)

    it("never start what waited too long, nor what was taken back [G6] [K9]", function()
      local one = mc.spawn { One, on = place.node }
      local busy = mc.async(one.work, one, 1)
      mc.sleep(0.05)
      local late = mc.async(timed, mc.deadline, 0.05, one.work, one, 0)
      local taken = mc.async(one.work, one, 0)
      mc.sleep(0.05)
      assert.is_true(taken:cancel())
      local e = world.raised(taken.await, taken)
      assert.equal("cancelled", e.code)
      assert.matches("before it started", e.message)
      local _, code = late:await()
      assert.equal("timeout", code)
      assert.equal("running", busy:status())
      busy:await()
      assert.equal(1, one:count())
      mc.stop(one)
    end)

    it("cancel a handler at its await, let it clean up, and confirm [K7]", function()
      local task = mc.async(worker.cleans, worker, 0.05)
      mc.sleep(0.05)
      assert.equal("running", task:status())
      task:cancel()
      local e = world.raised(task.await, task)
      assert.equal("cancelled", e.code)
      assert.matches("while it ran", e.message)
      assert.equal(1, select(3, worker:counts()))
      assert.equal("cancelled", task:status())
    end)

    it("give up a handler that ignores it, after a second [K12]", function()
      given_up(worker, "stubborn")
    end)

    it("unwind a chain from its far end [K11]", function()
      local b, c = mc.spawn { Worker, on = world.other() }, mc.spawn { Worker, on = place.node }
      local task = mc.async(worker.relay, worker, notes, "A", b, c)
      local sibling = mc.async(b.work, b, 0.2)
      eventually(function() return notes:all() == "there" end)
      task:cancel()
      assert.equal("cancelled", world.raised(task.await, task).code)
      assert.equal("there A'' A' A", notes:all())
      assert.equal("worked", sibling:await())
      mc.stop(b)
      mc.stop(c)
    end)

    it("end what a handler left before its answer, but not what outlives it [K4]", function()
      assert.equal("returned", worker:leaves(notes))
      assert.equal("child closed", notes:all())
      assert.equal("returned", worker:detaches(notes))
      assert.equal("child closed", notes:all())
      eventually(function() return notes:all() == "child closed detached" end)
    end)

    it("settle each of 600 calls once that are cancelled at any time [K10]", function()
      local counts = { returned = 0, before = 0, during = 0 }
      local one = mc.spawn { One, on = place.node }
      for _ = 1, 10 do
        local tasks = {}
        for i = 1, 60 do
          local task = i % 10 > 0 and mc.async(worker.work, worker, math.random(0, 4) / 1000)
            or mc.async(one.work, one, 0.002)
          local wait = math.random(0, 8) / 1000
          tasks[i] = mc.async(function()
            if i % 4 > 0 then mc.sleep(wait) end
            task:cancel()
            local ok, e = pcall(task.await, task)
            local outcome = ok and "returned" or e.message:find "before it started" and "before"
              or e.message:find "while it ran" and "during" or e.message
            counts[outcome] = (counts[outcome] or 0) + 1
          end)
        end
        mc.all(table.unpack(tasks))
      end
      mc.stop(one)
      assert.equal(600, counts.returned + counts.before + counts.during)
      for outcome, count in pairs(counts) do assert.is_true(count > 0, outcome) end
      local started, ended = worker:counts()
      assert.equal(started, ended)
    end)

    it("take the first, or the first that did not fail, and cancel the others [K1]", function()
      local function fail() error("failed", 0) end
      local slow = mc.async(worker.work, worker, 10)
      assert.equal("worked", mc.race(slow, mc.async(worker.work, worker, 0.01)))
      assert.equal("cancelled", world.raised(slow.await, slow).code)
      assert.equal("failed", world.raised(mc.race, mc.async(fail), mc.async(worker.work, worker, 10)))
      assert.equal("worked", mc.any(mc.async(fail), mc.async(worker.work, worker, 0.01), mc.async(mc.sleep, 10)))
      assert.equal("failed", world.raised(mc.any, mc.async(fail), mc.async(fail)))
      local order = {}
      for i in mc.each(mc.async(worker.work, worker, 0.1), mc.async(worker.work, worker, 0)) do
        order[#order + 1] = i
      end
      assert.same({ 2, 1 }, order)
    end)
  end)
end

describe("a handler that never awaits", function()
  it("is given up by who cancels it on another node [K12]", function()
    if pcall(require, "mooncast.files") then -- natively all nodes share this thread
      local worker = mc.spawn { Worker, on = world.other() }
      given_up(worker, "busy")
      mc.stop(worker)
    end
  end)
end)

describe("actors on one node", function()
  it("are served while one of them awaits [K3]", function()
    local a, b = mc.spawn { One, on = world.other() }, mc.spawn { One, on = world.other() }
    local waits = mc.async(a.work, a, 1)
    mc.sleep(0.02)
    for _ = 1, 100 do b:work(0) end
    assert.equal("running", waits:status())
    waits:cancel()
    pcall(waits.await, waits)
    mc.stop(a)
    mc.stop(b)
  end)
end)

describe("an await", function()
  local worker
  setup(function() worker = mc.spawn { Worker, on = world.other() } end)
  teardown(function() mc.stop(worker) end)

  -- Awaits by a call, a sleep and a task, and gives back its arguments.
  local function awaits(...)
    mc.sleep(0)
    return mc.async(worker.echo, worker, worker:echo(...)):await()
  end

  -- luacheck: ignore 143
  local ways = {
    ["100 Lua frames deep"] = function()
      local function dig(depth, ...)
        if depth == 0 then return awaits(...) end
        local r = table.pack(dig(depth - 1, ...))
        return table.unpack(r, 1, r.n)
      end
      return dig(100, 1, nil, 3)
    end,
    ["100 pcalls deep"] = function()
      local function dig(depth, ...)
        if depth == 0 then return awaits(...) end
        return select(2, pcall(dig, depth - 1, ...))
      end
      return dig(100, 1, nil, 3)
    end,
    ["in xpcall, and in what is caught by it"] = function()
      local ok, e = xpcall(function() error(table.pack(awaits(1, nil, 3))) end, function(e) return e end)
      assert(not ok)
      return table.unpack(e, 1, e.n)
    end,
    ["in metamethods"] = function()
      local seen = 0
      local function meta(value)
        return function()
          seen = seen + select("#", awaits(1, 2))
          return value
        end
      end
      local t = setmetatable({}, {
        __index = meta(1), __newindex = meta(), __call = meta(1), __len = meta(1), __concat = meta "1",
        __add = meta(1), __unm = meta(1), __idiv = meta(1), __band = meta(1), __eq = meta(true),
        __lt = meta(true), __le = meta(true), __close = meta(),
      })
      do
        local _ <close> = t
        t.field = t.field + t() + #t + (t + 1) + -t + (t // 1) + (t & 1)
        assert(t .. "" == "1" and t == setmetatable({}, getmetatable(t)) and t < t and t <= t)
      end
      assert(seen == 2 * 13, seen)
      return 1, nil, 3
    end,
    ["in iterators"] = function()
      local r = {}
      for i in function(_, i)
        i = awaits((i or 0) + 1)
        return i <= 3 and i or nil
      end do r[#r + 1] = i end
      for k, v in pairs(setmetatable({}, { __pairs = function(t)
        awaits()
        return next, { four = 4 }, t.none
      end })) do r[k] = v end
      assert(#r == 3 and r.four == 4)
      return r[1], nil, r[3]
    end,
    ["in coroutines of coroutines, which still yield values"] = function()
      local gen = coroutine.wrap(function()
        local inner = coroutine.wrap(function()
          for i = 1, 3 do coroutine.yield((awaits(i))) end
        end)
        for _ = 1, 3 do coroutine.yield((awaits(inner()))) end
      end)
      local a, b, c = gen(), gen(), gen()
      assert(b == 2)
      return a, nil, c
    end,
  }
  for way, fn in pairs(ways) do
    it("may stand " .. way .. " [K21]", function()
      local before = mc.stats()
      assert.same(table.pack(1, nil, 3), table.pack(fn()))
      assert.same(table.pack(1, nil, 3), table.pack(mc.async(fn):await()))
      assert.equal(before.pending, mc.stats().pending)
    end)
  end
end)

describe("the example programs", function()
  it("have no loop that asks whether something is ready: the runtime has it [K2]", function()
    local count = 0
    for _, path in ipairs(tree.files("web/examples", ".")) do
      if path:find "%.lua$" then
        count = count + 1
        local text = tree.read(path)
        for _, word in ipairs { "status%(", "coroutine%.resume", "sleep%(0%)", "poll", "step%(" } do
          assert.is_nil(text:find(word), path .. ": " .. word)
        end
      end
    end
    assert.is_true(count > 0)
  end)
end)
