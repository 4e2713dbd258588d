-- What an actor does with its own turns: functions that run as one, and holding back those that would start.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

local raised = world.raised

local Door = mc.actor("hold_spec.Door", { reentrant = true })

function Door:init() self.log = {} end
function Door:enter(name) self.log[#self.log + 1] = name return name end
function Door:all() return self.log end
function Door:pause(seconds, watcher)
  local hold <close> = mc.hold()
  watcher:enter("held")
  mc.sleep(seconds)
  self.log[#self.log + 1] = "paused"
  hold:release()
  mc.sleep(seconds)
  self.log[#self.log + 1] = "ended"
end
function Door:forget(how)
  self.hold = mc.hold()
  mc.hold()
  if how == "raise" then error("no", 0) end
  if how == "cancel" then mc.sleep(1000) end
end
function Door:behind(seconds)
  mc.spawn_task(function()
    mc.hold()
    mc.sleep(seconds)
    self.log[#self.log + 1] = "task"
  end)
  mc.sleep(0)
end
function Door:stopped() self.log[#self.log + 1] = "stopped" end

describe("mc.hold", function()
  require "spec.support.clean"(setup, teardown)

  for _, place in ipairs(world.places()) do
    local door
    before_each(function() door = mc.spawn({ Door, on = place.node }) end)
    after_each(function() mc.stop(door) end)

    it(place.name .. " makes calls wait, which then start in order [K19]", function()
      local watcher = mc.spawn({ Door, on = mc.node() })
      local pause = mc.async(door.pause, door, 0.05, watcher)
      eventually(function() return #watcher:all() == 1 end, "the actor is held")
      mc.stop(watcher)
      local tasks = {}
      for i = 1, 5 do tasks[i] = mc.async(door.enter, door, i) end
      local never = mc.async(door.enter, door, "never")
      mc.sleep(0)
      never:cancel()
      assert.equal("cancelled", raised(never.await, never).code)
      mc.all(pause, table.unpack(tasks))
      assert.same({ "paused", 1, 2, 3, 4, 5, "ended" }, door:all())
    end)

    it(place.name .. " ends with its handler, however that ends [K19]", function()
      for _, how in ipairs { "return", "raise", "cancel" } do
        local task = mc.async(door.forget, door, how)
        mc.sleep(0.01)
        if how == "cancel" then task:cancel() end
        pcall(task.await, task)
        assert.equal(how, door:enter(how))
      end
    end)

    it(place.name .. " of a task makes casts wait and ends with the task [K19]", function()
      door:behind(0.02)
      mc.cast(door, "enter", "cast")
      eventually(function() return #door:all() == 2 end)
      assert.same({ "task", "cast" }, door:all())
    end)

    it(place.name .. " is lifted by a stop [K19]", function()
      door:behind(1000)
      local call = mc.async(door.enter, door, "before")
      mc.sleep(0)
      assert.is_true(mc.stop(door))
      assert.equal("before", call:await())
    end)
  end

  it("is for actors", function()
    assert.matches("handlers and tasks of an actor", raised(mc.hold))
  end)
end)

local Box = mc.actor "hold_spec.Box"

function Box:init(value) self.value = value end
function Box:get() return self.value end
function Box:add(by)
  local value = self.value
  mc.sleep(0)
  self.value = value + by
end
function Box:inside() return mc.whenlocal(mc.self(), function() return 1 end) end

describe("mc.whenlocal", function()
  require "spec.support.clean"(setup, teardown)

  it("gives the actor itself, in a turn of its own [B16]", function()
    local box = mc.spawn({ Box, on = mc.node() }, 1)
    local seen, me
    local three, none, four = mc.whenlocal(box, function(self)
      seen, me = self, mc.self()
      self.value = self.value + 1
      return 3, nil, 4
    end)
    assert.same({ 3, nil, 4 }, { three, none, four })
    assert.equal("table", type(seen))
    assert.equal(box, me)
    assert.equal(2, box:get())
    mc.stop(box)
  end)

  it("waits for its turn, and may await [B16]", function()
    local box = mc.spawn({ Box, on = mc.node() }, 0)
    local function add(self)
      local value = self.value
      mc.sleep(0)
      self.value = value + 1
      return self.value
    end
    local tasks = {}
    for i = 1, 10 do tasks[i] = mc.async(i % 2 == 0 and mc.whenlocal or box.add, box, i % 2 == 0 and add or 1) end
    mc.all(table.unpack(tasks))
    assert.equal(10, box:get())
    mc.stop(box)
  end)

  it("never calls for an actor of another node [B16]", function()
    local box = mc.spawn({ Box, on = world.other() }, 1)
    local called = false
    local results = table.pack(mc.whenlocal(box, function() called = true end))
    assert.same({ n = 1 }, results)
    assert.is_false(called)
    mc.stop(box)
  end)

  it("raises what the function raised, dead_actor and deadlock [B16]", function()
    local box = mc.spawn({ Box, on = mc.node() }, 1)
    assert.equal("mine", raised(mc.whenlocal, box, function() error("mine", 0) end))
    assert.same({ 7 }, raised(mc.whenlocal, box, function()
      mc.sleep(0)
      error { 7 }
    end))
    assert.equal("unsendable", raised(mc.whenlocal, box, function(self) return self.get end).code)
    local err = raised(box.inside, box)
    assert.equal("deadlock", err.code)
    raised(mc.whenlocal, box, 5)
    raised(mc.whenlocal, 5, print)
    mc.stop(box)
    assert.equal("dead_actor", raised(mc.whenlocal, box, print).code)
  end)

  it("that is cancelled while it waits never runs [B16]", function()
    local box, ran = mc.spawn({ Box, on = mc.node() }, 1), false
    local slow = mc.async(mc.whenlocal, box, function() mc.sleep(0.02) end)
    mc.sleep(0)
    local task = mc.async(mc.whenlocal, box, function() ran = true end)
    mc.sleep(0)
    task:cancel()
    assert.equal("cancelled", raised(task.await, task).code)
    slow:await()
    assert.equal(1, box:get())
    assert.is_false(ran)
    mc.stop(box)
  end)
end)
