-- Full mailboxes: who is refused, who waits, and that nothing is lost.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local Gate = mc.actor("mailbox_spec.Gate", { reentrant = true })
function Gate:pass()
  self.reached = true
  while not self.open do mc.sleep(0.001) end
end
function Gate:is_reached() return self.reached end
function Gate:unlock() self.open = true end

local methods = {}
function methods:init() self.seen = {} end
function methods:hold(gate) gate:pass() end
function methods:note(i) self.seen[#self.seen + 1] = i end
function methods:size(text) return #text end
function methods:all() return self.seen end

local function declare(name, options)
  local class = mc.actor("mailbox_spec." .. name, options)
  for method, fn in pairs(methods) do class[method] = fn end
  return class
end

local Usual, One, Two = declare "Usual", declare("One", { mailbox = 1 }), declare("Two", { mailbox = 2 })

local MIB <const> = 1 << 20

for _, place in ipairs(world.places()) do
  describe("the mailbox of an actor " .. place.name, function()
    local actor, gate, holding

    -- An actor whose handler runs until the gate is opened.
    local function hold(class)
      actor, gate = mc.spawn { class, on = place.node }, mc.spawn { Gate, on = mc.node() }
      holding = mc.async(actor.hold, actor, gate)
      eventually(function() return gate:is_reached() end, "it holds")
    end

    local function release()
      gate:unlock()
      holding:await()
    end

    after_each(function()
      mc.stop(actor)
      mc.stop(gate)
    end)

    it("takes as many calls as its type says, and refuses more", function()
      hold(Two)
      local tasks = {}
      for i = 1, 4 do tasks[i] = mc.async(actor.size, actor, ("x"):rep(i)) end
      for i = 3, 4 do assert.equal("overloaded", world.raised(tasks[i].await, tasks[i]).code) end
      assert.equal("running", tasks[1]:status())
      release()
      assert.same({ 1, 2 }, { mc.all(tasks[1], tasks[2]) })
      assert.equal(5, actor:size "again")
    end)

    it("is full when its messages take 64 MiB, however few they are", function()
      hold(Usual)
      local large = ("x"):rep(33 * MIB)
      local tasks = {}
      for i = 1, 3 do tasks[i] = mc.async(actor.size, actor, large) end
      assert.equal("overloaded", world.raised(tasks[3].await, tasks[3]).code)
      release()
      assert.same({ 33 * MIB, 33 * MIB }, { mc.all(tasks[1], tasks[2]) })
    end)

    it("takes one message of more than that", function()
      hold(One)
      local task = mc.async(actor.size, actor, ("x"):rep(65 * MIB))
      mc.sleep(0)
      release()
      assert.equal(65 * MIB, task:await())
    end)

    it("takes a call behind as many casts as it takes", function()
      hold(Usual)
      local sent = mc.async(function()
        for i = 1, 5000 do mc.cast(actor, "note", i) end
      end)
      mc.sleep(0)
      assert.equal("running", sent:status())
      local call = mc.async(actor.size, actor, "four")
      mc.sleep(0)
      release()
      assert.equal(4, call:await())
      sent:await()
    end)

    it("loses no cast, however many there are", function()
      hold(One)
      local before = world.stats(place.node).dead_letters
      local sent = mc.async(function()
        for i = 1, 3000 do mc.cast(actor, "note", i) end
      end)
      mc.sleep(0)
      assert.equal("running", sent:status())
      release()
      sent:await()
      -- Casts of another node are there already, more than a call may wait behind.
      local seen = eventually(function()
        local ok, list = pcall(actor.all, actor)
        return ok and list
      end, "there is room for a call")
      assert.equal(3000, #seen)
      for i = 1, 3000 do assert.equal(i, seen[i]) end
      assert.equal(before, world.stats(place.node).dead_letters)
    end)
  end)
end

describe("the option mailbox", function()
  it("is a number of messages", function()
    for _, wrong in ipairs { 0, -1, 1.5, "2", true, math.maxinteger } do
      local message = world.raised(mc.actor, "mailbox_spec.Wrong", { mailbox = wrong })
      assert.matches("mailbox is how many messages may wait for an actor, from 1 on", message, 1, true)
    end
  end)
end)
