-- How long actors live: those of mc.new as long as something refers to them, those of mc.spawn until they
-- are stopped, whoever refers to them.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

local raised = world.raised

local Note = mc.actor "life_spec.Note"

function Note:init(text, seconds)
  self.text, self.me = text, mc.self() -- a cycle: it knows itself
  if text == "bad" then error("a bad note", 0) end
  if seconds then mc.sleep(seconds) end
end
function Note:get() return self.text end
function Note:itself() return self.me == mc.self() and self.me end
function Note:slow(task)
  local text = self.text
  self = nil -- luacheck: ignore
  task:release()
  return text, mc.self() ~= nil
end
function Note:say(gate)
  local text = self.text
  self = nil -- luacheck: ignore
  gate:wait()
  gate:heard(text)
  gate:heard(mc.self() ~= nil)
end
function Note:remind(seconds, times)
  for _ = 1, times do mc.spawn_task(mc.sleep, seconds) end
end
function Note:tick(gate)
  mc.spawn_task(function()
    gate:wait()
    self.text = "ticked"
    gate:heard(self.text)
  end)
end
function Note:make(text) return mc.new(Note, text) end
function Note:stopped() if self.log then self.log:heard("stopped " .. self.text) end end
function Note:tell(log) self.log = log end

-- Lets its callers wait until it is opened.
local Gate = mc.actor("life_spec.Gate", { reentrant = true })

function Gate:init() self.words = {} end
function Gate:wait() while not self.open do mc.sleep(0) end end
function Gate:release() self.open = true end
function Gate:heard(word) self.words[#self.words + 1] = word end
function Gate:all() return self.words end

-- Knows an actor of another node.
local Holder = mc.actor "life_spec.Holder"

function Holder:hold(ref) self.ref = ref end
function Holder:use() return self.ref:get() end

-- What the collector found is stopped by the node's next step.
local function collect()
  collectgarbage()
  collectgarbage()
  mc.sleep(0)
end

local function actors() return mc.stats().actors end

local function gone(class, id)
  return eventually(function()
    collect()
    local ok, err = pcall(mc.resolve, class, id)
    return not ok and err.code
  end, "the actor was collected")
end

describe("an actor of mc.new", function()
  require "spec.support.clean"(setup, teardown)

  local resigned, before = {}, nil
  setup(function()
    mc.on("resign", function(ref)
      local name = tostring(ref)
      if name:find "Note" then resigned[name] = (resigned[name] or 0) + 1 end
    end)
  end)
  before_each(function() before = actors() end)
  after_each(function()
    eventually(function()
      collect()
      return actors() == before
    end, "all actors are gone")
  end)

  -- Nothing of these stays behind on the stack of the caller.
  local function make(...)
    local ref = mc.new(Note, ...)
    assert.is_true(mc.is_local(ref))
    assert.equal(ref, ref:itself())
    return mc.id(ref), tostring(ref)
  end

  it("resigns when the last reference is gone, though it knows itself [A10]", function()
    local id, name = make "one"
    assert.equal("dead_actor", gone(Note, id))
    eventually(function() return resigned[name] end, "it resigned")
    assert.equal(1, resigned[name])
    assert.equal(before, actors())
  end)

  it("lives while something here refers to it [A10]", function()
    local ref = mc.new(Note, "kept")
    local id = mc.id(ref)
    local list = { ref }
    ref = nil -- luacheck: ignore
    for _ = 1, 3 do collect() end
    assert.equal("kept", mc.resolve(Note, id):get())
    assert.equal("kept", list[1]:get())
    list[1] = nil
    assert.equal("dead_actor", gone(Note, id))
  end)

  it("lives while one of its handlers runs, even one that forgets it", function()
    local gate = mc.spawn(Gate)
    local function start()
      local note = mc.new(Note, "busy")
      local wait = mc.async(function(...)
        gate:wait()
        return ...
      end)
      return mc.async(note.slow, note, gate), wait, mc.id(note)
    end
    local task, wait, id = start()
    for _ = 1, 3 do collect() end
    assert.same({ "busy", true }, { task:await() })
    wait:await()
    task, wait = nil, nil -- luacheck: ignore
    assert.equal("dead_actor", gone(Note, id))
    mc.stop(gate)
  end)

  it("lives while a handler runs that was cast to it", function()
    local gate = mc.spawn(Gate)
    local function start()
      local note = mc.new(Note, "cast")
      mc.cast(note, "say", gate)
      return mc.id(note)
    end
    local id = start()
    for _ = 1, 3 do collect() end
    gate:release()
    assert.equal("dead_actor", gone(Note, id))
    assert.same({ "cast", true }, gate:all())
    mc.stop(gate)
  end)

  it("lives while a task of its own uses it, and no longer", function()
    local gate = mc.spawn(Gate)
    local function start()
      local note = mc.new(Note, "ticks")
      note:tick(gate)
      return mc.id(note)
    end
    local id = start()
    for _ = 1, 3 do collect() end
    assert.equal("ticks", mc.resolve(Note, id):get())
    gate:release()
    eventually(function() return #gate:all() > 0 end)
    assert.equal("ticked", gate:all()[1])
    assert.equal("dead_actor", gone(Note, id))
    mc.stop(gate)
  end)

  it("runs `stopped` at its end", function()
    local gate = mc.spawn(Gate)
    local function start() mc.new(Note, "bye"):tell(gate) end
    start()
    eventually(function()
      collect()
      return #gate:all() > 0
    end)
    assert.same({ "stopped bye" }, gate:all())
    mc.stop(gate)
  end)

  it("can be stopped before", function()
    local note = mc.new(Note, "short")
    assert.is_true(mc.stop(note))
    assert.is_false(mc.stop(note))
    assert.equal("dead_actor", raised(note.get, note).code)
    assert.equal(before, actors())
  end)

  it("awaits its init, and never was when that raises", function()
    assert.equal("slow", mc.new(Note, "slow", 0.001):get())
    assert.equal("a bad note", raised(mc.new, Note, "bad"))
    assert.matches("actor type", raised(mc.new, {}))
    assert.matches("actor type", raised(mc.new, { Note }))
  end)

  it("is kept by who called the handler that made it", function()
    local maker = mc.spawn({ Note, on = mc.node() }, "maker")
    local made = maker:make "made"
    collect()
    assert.equal("made", made:get())
    mc.stop(maker)
  end)

  it("is not kept by a reference on another node [A13]", function()
    local holder = mc.spawn({ Holder, on = world.other() })
    local function start()
      local note = mc.new(Note, "mine")
      holder:hold(note)
      assert.equal("mine", holder:use())
      return mc.id(note)
    end
    local id = start()
    assert.equal("dead_actor", gone(Note, id))
    eventually(function() return actors() == before end)
    assert.equal("dead_actor", raised(holder.use, holder).code)
    mc.stop(holder)
  end)

  it("is cheap: 100,000 that are dropped leave memory and counters as they were", function()
    local function round(count)
      for i = 1, count do
        mc.new(Gate)
        if i % 1000 == 0 then mc.sleep(0) end
      end
      eventually(function()
        collect()
        return actors() == before
      end, "all are gone", 60)
      collect()
      return collectgarbage "count"
    end
    round(10000)
    local first = round(10000)
    for _ = 1, 8 do round(10000) end
    local last = round(10000)
    assert.is_true(last < first + 2000, ("%.0f KiB, then %.0f KiB"):format(first, last))
  end)
end)

describe("an actor of mc.spawn", function()
  require "spec.support.clean"(setup, teardown)

  for _, place in ipairs(world.places()) do
    it(place.name .. " lives without references until it is stopped [A11]", function()
      local id = mc.id(mc.spawn({ Note, on = place.node }, "strong"))
      for _ = 1, 3 do collectgarbage() end
      local note = mc.resolve(Note, id)
      assert.equal("strong", note:get())
      assert.is_true(mc.stop(note))
      assert.equal("dead_actor", raised(note.get, note).code)
    end)
  end
end)

describe("an actor that is stopped", function()
  require "spec.support.clean"(setup, teardown)

  for _, place in ipairs(world.places()) do
    it(place.name .. " takes its timers and tasks with it [A12]", function()
      local was = world.stats(place.node)
      local note = mc.spawn({ Note, on = place.node }, "timers")
      note:remind(1000, 3)
      eventually(function() return world.stats(place.node).timers >= was.timers + 3 end, "three timers run")
      assert.equal(was.tasks + 3, world.stats(place.node).tasks)
      mc.stop(note)
      eventually(function()
        local now = world.stats(place.node)
        return now.timers == was.timers and now.tasks == was.tasks and now.actors == was.actors
      end, "timers and tasks are as before")
    end)
  end
end)
