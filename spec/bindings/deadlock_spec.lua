-- Calls that wait for one another are told so, with the names of all, and nobody else is.
local mc = require "mooncast"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local function declare(name, options)
  local class = mc.actor("deadlock_spec." .. name, options)
  function class:know(next) self.next = next end
  function class:ping(depth) return depth == 0 and "end" or self.next:ping(depth - 1) end
  function class:cross()
    mc.sleep(0.02)
    return self.next:cross_end()
  end
  function class:cross_end() return "crossed" end
  return class
end

local A, B = declare "A", declare "B"
local OpenA, OpenB = declare("OpenA", { reentrant = true }), declare("OpenB", { reentrant = true })

local Shelf = mc.actor("deadlock_spec.Shelf", { interleave = { "get", "later" } })
function Shelf:init() self.value = 0 end
function Shelf:get() return self.value end
function Shelf:later() -- a handler that may interleave and awaits, too
  mc.sleep(0)
  return self.value
end
function Shelf:put(value, seconds)
  local before = self.value
  self.value = "half"
  mc.sleep(seconds or 0.02)
  self.value = value
  return before
end
function Shelf:call_back(other) return other:read(mc.self()) end

local Reader = mc.actor "deadlock_spec.Reader"
function Reader:read(shelf) return shelf:get() end

local function pair(first, second, place)
  local a, b = mc.spawn { first, on = mc.node() }, mc.spawn { second, on = place }
  a:know(b)
  b:know(a)
  finally(function()
    mc.stop(a)
    mc.stop(b)
  end)
  return a, b
end

local function both(a, b, method)
  local tasks = { mc.async(a[method], a), mc.async(b[method], b) }
  local texts = {}
  for i, task in ipairs(tasks) do
    local ok, e = pcall(task.await, task)
    texts[i] = ok and e or tostring(e)
  end
  return texts
end

for _, place in ipairs(world.places()) do
  describe("calls that wait for one another, " .. place.name, function()
    it("raise deadlock in a chain and name it [K20]", function()
      local a = pair(A, B, place.node)
      local e = world.raised(a.ping, a, 2)
      assert.equal("deadlock", e.code)
      assert.matches("spec%.A:ping %-> deadlock_spec%.B:ping %-> deadlock_spec%.A:ping$", e.message)
      assert.equal("crossed", a:cross_end())
    end)

    it("raise deadlock when they cross [K20]", function()
      local a, b = pair(A, B, place.node)
      local before = mc.now()
      local texts = both(a, b, "cross")
      local text = texts[1] == "crossed" and texts[2] or texts[1]
      assert.matches("^deadlock: ", text)
      assert.matches("deadlock_spec%.A:cross %-> deadlock_spec%.B:cross", text .. " -> deadlock_spec.B:cross")
      assert.is_true(mc.now() - before < 10)
      assert.equal("crossed", a:cross_end())
    end)

    it("answer when their types are reentrant [A4]", function()
      local a, b = pair(OpenA, OpenB, place.node)
      assert.equal("end", a:ping(5))
      assert.same({ "crossed", "crossed" }, both(a, b, "cross"))
    end)
  end)

  describe("methods that interleave, " .. place.name, function()
    local shelf
    before_each(function() shelf = mc.spawn { Shelf, on = place.node } end)
    after_each(function() mc.stop(shelf) end)

    it("start while a handler awaits, and only they [A4]", function()
      local first, second = mc.async(shelf.put, shelf, 1), mc.async(shelf.put, shelf, 2)
      mc.sleep(0)
      local got = { shelf:get(), shelf:later() }
      assert.equal(0, first:await())
      assert.equal(1, second:await())
      assert.same({ "half", "half" }, got)
      assert.equal(2, shelf:get())
    end)

    it("stay in order among themselves, and behind a stop", function()
      local dying = mc.spawn { Shelf, on = place.node }
      local put = mc.async(dying.put, dying, 1)
      local stop = mc.async(mc.stop, dying)
      mc.sleep(0)
      assert.equal("dead_actor", world.raised(dying.get, dying).code)
      assert.equal(0, put:await())
      stop:await()
    end)

    it("let a chain come back", function()
      local reader = mc.spawn { Reader, on = world.other() }
      assert.equal(0, shelf:call_back(reader))
      mc.stop(reader)
    end)
  end)
end

describe("a type whose methods interleave", function()
  it("lists their names", function()
    assert.error_matches(function() mc.actor("deadlock_spec.Bad", { interleave = { 1 } }) end, "names of methods")
  end)
end)
