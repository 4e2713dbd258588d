-- Tasks: mc.async, await, status, mc.all; and that every handler answers exactly once, whatever it does.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local Worker = mc.actor("task_spec.Worker", { reentrant = true })

function Worker:echo(...) return ... end
function Worker:later(...)
  mc.sleep(0)
  return ...
end
function Worker:fail(value)
  mc.sleep(0)
  error(value, 0)
end

describe("a task", function()
  local worker
  before_each(function() worker = mc.spawn { Worker, on = world.other() } end)
  after_each(function() mc.stop(worker) end)

  it("runs beside its maker, from the next await on [C3]", function()
    local seen = {}
    local task = mc.async(function(...)
      seen[#seen + 1] = table.pack(...)
      return worker:echo(...)
    end, 1, nil, nil)
    assert.same({}, seen)
    assert.equal("running", task:status())
    assert.same(table.pack(1, nil, nil), table.pack(task:await()))
    assert.same({ table.pack(1, nil, nil) }, seen)
    assert.equal("done", task:status())
  end)

  it("gives its results to everybody who awaits it, as often as they like [C3]", function()
    local task = mc.async(worker.later, worker, "a", nil)
    local others = {}
    for i = 1, 5 do others[i] = mc.async(function() return task:await() end) end
    for i = 1, 5 do assert.same(table.pack("a", nil), table.pack(others[i]:await())) end
    assert.same(table.pack("a", nil), table.pack(task:await()))
    assert.same(table.pack("a", nil), table.pack(task:await()))
  end)

  it("raises what it raised to everybody who awaits it [C9]", function()
    local task = mc.async(worker.fail, worker, { code = 1 })
    local others = {}
    for i = 1, 5 do others[i] = mc.async(function() return task:await() end) end
    for i = 1, 5 do assert.same({ code = 1 }, world.raised(others[i].await, others[i])) end
    assert.same({ code = 1 }, world.raised(task.await, task))
    assert.equal("failed", task:status())
  end)

  it("that nil was raised in has failed all the same [C9]", function()
    local task = mc.async(error, nil)
    assert.same(table.pack(false, nil), table.pack(pcall(task.await, task)))
    assert.equal("failed", task:status())
  end)

  it("cannot await itself [C9]", function()
    local task
    task = mc.async(function() return pcall(task.await, task) end)
    local ok, raised = task:await()
    assert.is_false(ok)
    assert.equal("deadlock", raised.code)
  end)

  it("keeps its own time limit [C9]", function()
    local task = mc.with({ timeout = 0.01 }, function()
      return mc.async(function() return pcall(worker.later, worker, mc.sleep(0)) end)
    end)
    assert.is_true(task:await())
    local slow = mc.with({ timeout = 0.01 }, function()
      local Slow = mc.actor "task_spec.Slow"
      function Slow:sleep() mc.sleep(0.1) end
      local ref = mc.spawn { Slow, on = mc.node() }
      return mc.async(ref.sleep, ref)
    end)
    local late = mc.stats().late_replies
    assert.equal("timeout", world.raised(slow.await, slow).code)
    while mc.stats().late_replies == late do mc.sleep(0.01) end
  end)

  it("leaves nothing behind [C9]", function()
    local before = mc.stats()
    for i = 1, 200 do
      local task = mc.async(i % 2 == 0 and worker.later or worker.fail, worker, i)
      pcall(task.await, task)
    end
    local after = mc.stats()
    for _, counter in ipairs { "tasks", "pending", "timers", "late_replies" } do
      assert.equal(before[counter], after[counter], counter)
    end
  end)
end)

describe("mc.all", function()
  local worker
  before_each(function() worker = mc.spawn { Worker, on = world.other() } end)
  after_each(function() mc.stop(worker) end)

  it("gives the first result of each task, in their order [C4]", function()
    assert.same(table.pack(1, nil, 3), table.pack(mc.all(
      mc.async(worker.later, worker, 1, "dropped"), mc.async(worker.later, worker), mc.async(worker.echo, worker, 3))))
    assert.equal(0, select("#", mc.all()))
  end)

  it("raises when one of them failed [C9]", function()
    local fine, bad = mc.async(worker.later, worker, 1), mc.async(worker.fail, worker, "bad")
    assert.equal("bad", world.raised(mc.all, fine, bad))
    assert.equal(1, fine:await())
  end)
end)

-- Handlers that end in every way there is.

local Fuzz = mc.actor "task_spec.Fuzz"

local actions = {}
function actions.give(_, i) return "value", i end
function actions.nothing() end
function actions.fail(_, i) error({ i = i }, 0) end
function actions.fail_text(_, i) error("text " .. i, 0) end
function actions.unsendable() return print end
function actions.sleep(_, i)
  mc.sleep(0)
  return "value", i
end
function actions.fail_later(_, i)
  mc.sleep(0)
  error({ i = i }, 0)
end
function actions.spawn(_, i)
  local other = mc.spawn { Fuzz, on = mc.node() }
  local value, same = other:act("give", i)
  mc.stop(other)
  return value, same
end
function actions.cast(_, i)
  local other = mc.spawn { Fuzz, on = mc.node() }
  mc.cast(other, "act", "give", i)
  mc.cast(other, "act", "end_itself", i)
  return "value", i
end
function actions.async(_, i)
  local task = mc.async(function()
    mc.sleep(0)
    return i
  end)
  return "value", task:await()
end
function actions.catch(_, i)
  local other = mc.spawn { Fuzz, on = mc.node() }
  local ok, raised = pcall(other.act, other, "fail", i)
  mc.stop(other)
  return ok == false and "value", raised.i
end
function actions.end_itself(_, i)
  mc.stop(mc.self())
  return "value", i
end
function actions.end_itself_and_fail(_, i)
  mc.stop(mc.self())
  error({ i = i }, 0)
end
function actions.coroutine(_, i)
  return coroutine.wrap(function()
    mc.sleep(0)
    return "value", i
  end)()
end

function Fuzz:act(name, i) return actions[name](self, i) end

-- What the caller must see of each.
local function expected(name, i, ok, a, b)
  if not ok and getmetatable(a) == mc.Error then
    -- Behind a stop in the mailbox, or after it.
    return a.code == (name == "unsendable" and "unsendable" or "dead_actor") or a.code == "dead_actor"
  end
  if name == "nothing" then return ok and a == nil end
  if name == "fail_text" then return not ok and a == "text " .. i end
  if name:find "fail" then return not ok and a.i == i end
  return ok and a == "value" and b == i
end

for _, place in ipairs(world.places()) do
  describe("ten thousand handlers " .. place.name, function()
    it("answer exactly once each, whatever they do [D4]", function()
      local names = {}
      for name in pairs(actions) do names[#names + 1] = name end
      table.sort(names)
      local before, before_there = mc.stats(), world.stats(place.node)
      local actors, answers, dead = {}, 0, 0
      for _ = 1, 100 do
        local tasks = {}
        for i = 1, 100 do
          local slot = math.random(8)
          local ref = actors[slot] or mc.spawn { Fuzz, on = place.node }
          actors[slot] = ref
          local name = names[math.random(#names)]
          tasks[i] = mc.async(function()
            local ok, a, b = pcall(ref.act, ref, name, i)
            assert(expected(name, i, ok, a, b), name .. " was answered by " .. tostring(a))
            if not ok and getmetatable(a) == mc.Error and a.code == "dead_actor" then
              dead = dead + 1
              actors[slot] = nil
            end
            answers = answers + 1
          end)
        end
        mc.all(table.unpack(tasks))
      end
      for slot = 1, 8 do
        if actors[slot] then mc.stop(actors[slot]) end
      end
      assert.equal(10000, answers)
      assert.is_true(dead > 0 and dead < 9000, dead)
      -- A second answer would be a late one; a missing one would still be pending.
      local after, after_there = mc.stats(), world.stats(place.node)
      assert.equal(before.late_replies, after.late_replies)
      assert.equal(before.pending, after.pending)
      assert.equal(before_there.late_replies, after_there.late_replies)
      -- Those that were cast to end themselves do so in their own time.
      eventually(function() return world.stats(place.node).actors == before_there.actors end)
    end)
  end)
end
