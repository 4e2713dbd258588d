-- Calls between actors: answers, arity, order, and that awaiting one leaves the node to others.
local mc = require "mooncast"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local Greeter = mc.actor "call_spec.Greeter"

function Greeter:init(greeting) self.greeting = greeting or "Hello" end
function Greeter:hello(name) return self.greeting .. ", " .. name .. "!" end
function Greeter:holes() return nil, 2, nil end
function Greeter:count(...) return select("#", ...) end
function Greeter:note(text) self.noted = text end
function Greeter:noted_text() return self.noted end
function Greeter:fail(value) error(value, 0) end
function Greeter:fail_after_note(text)
  self.noted = text
  error("failed after " .. text, 0)
end

local Gate = mc.actor("call_spec.Gate", { reentrant = true })

function Gate:init() self.arrived = 0 end
-- Returns once so many callers are inside: never, if callers had to wait for one another.
function Gate:pass(count)
  self.arrived = self.arrived + 1
  while self.arrived < count do mc.sleep(0) end
  return self.arrived
end

local Visitor = mc.actor "call_spec.Visitor"

function Visitor:visit(gate, count) return gate:pass(count) end

local Reverse = mc.actor("call_spec.Reverse", { reentrant = true })

function Reverse:init(last) self.next = last end
-- The last caller is answered first.
function Reverse:answer(i)
  while self.next ~= i do mc.sleep(0) end
  self.next = i - 1
  return i
end

local Slow = mc.actor("call_spec.Slow", { reentrant = true })

-- Hears of no deadline and of no cancellation: it does not await.
function Slow:compute(seconds, ...)
  local start = mc.now()
  while mc.now() - start < seconds do end
  return ...
end
function Slow:later(seconds, value)
  mc.sleep(seconds)
  return value
end

local Forward = mc.actor "call_spec.Forward"

function Forward:init(to) self.to = to end
function Forward:hello(name) return self.to:hello(name) end
function Forward:pass(...) return mc.call(self.to, ...) end

for _, place in ipairs(world.places()) do
  describe("a call to an actor " .. place.name, function()
    local greeter

    before_each(function() greeter = mc.spawn({ Greeter, on = place.node }, "Hello") end)
    after_each(function() mc.stop(greeter) end)

    it("brings one value back [C1]", function()
      assert.equal("Hello, world!", greeter:hello "world")
      assert.equal("Hello, again!", mc.call(greeter, "hello", "again"))
    end)

    it("keeps the number of results and arguments, nils included [C2]", function()
      assert.same(table.pack(nil, 2, nil), table.pack(greeter:holes()))
      assert.equal(2, greeter:count(nil, nil))
      assert.equal(0, greeter:count())
      assert.equal(5, greeter:count(nil, 1, nil, 2, nil))
    end)

    it("without results ends after its side effect, or with its error [C6]", function()
      assert.equal(0, select("#", greeter:note "seen"))
      assert.equal("seen", greeter:noted_text())
      assert.equal("failed after trying", world.raised(greeter.fail_after_note, greeter, "trying"))
      assert.equal("trying", greeter:noted_text())
    end)

    it("goes through another actor with the same answers [C8]", function()
      local forward = mc.spawn({ Forward, on = place.node }, greeter)
      assert.equal("Hello, you!", forward:hello "you")
      assert.same(table.pack(nil, 2, nil), table.pack(forward:pass "holes"))
      assert.equal("as raised", world.raised(forward.pass, forward, "fail", "as raised"))
      mc.stop(forward)
    end)

    it("raises at the call site, and the caller goes on [C9]", function()
      for i = 1, 20 do
        assert.equal("no " .. i, world.raised(greeter.fail, greeter, "no " .. i))
        assert.equal("Hello, " .. i .. "!", greeter:hello(i))
      end
    end)

    it("is paired with its own answer, also when answers come in reverse [C4]", function()
      local reverse, order, tasks = mc.spawn({ Reverse, on = place.node }, 100), {}, {}
      for i = 1, 100 do
        tasks[i] = mc.async(function()
          local answer = reverse:answer(i)
          order[#order + 1] = answer
          return answer
        end)
      end
      for i = 1, 100 do assert.equal(i, tasks[i]:await()) end
      for i = 1, 100 do assert.equal(101 - i, order[i]) end
      mc.stop(reverse)
    end)

    it("is paired with its own answer when delays are random [C4]", function()
      local slow, tasks = mc.spawn { Slow, on = place.node }, {}
      for i = 1, 100 do tasks[i] = mc.async(slow.later, slow, math.random() / 50, { i }) end
      for i = 100, 1, -1 do assert.same({ i }, tasks[i]:await()) end
      mc.stop(slow)
    end)
  end)
end

describe("awaiting a call", function()
  it("lets other tasks run: two calls that need one another both end [C3]", function()
    local gate = mc.spawn(Gate)
    local here = mc.spawn { Visitor, on = mc.node() }
    local there = mc.spawn { Visitor, on = world.other() }
    local ticks, done = 0, false
    local ticker = mc.async(function()
      while not done do
        ticks = ticks + 1
        mc.sleep(0)
      end
    end)
    local first, second = mc.async(here.visit, here, gate, 3), mc.async(there.visit, there, gate, 3)
    while ticks < 10 do mc.sleep(0) end
    assert.equal("running", first:status())
    assert.equal("running", second:status())
    assert.equal(3, gate:pass(3))
    assert.same({ 3, 3 }, { mc.all(first, second) })
    done = true
    ticker:await()
  end)

  it("takes the time of the longest of several, not of all [C3]", function()
    local a, b = mc.spawn { Slow, on = mc.node() }, mc.spawn { Slow, on = world.other() }
    local start = mc.now()
    assert.same({ "a", "b", "c" }, {
      mc.all(mc.async(a.later, a, 1, "a"), mc.async(b.later, b, 1, "b"), mc.async(a.later, a, 1, "c")),
    })
    local took = mc.now() - start
    assert.is_true(took >= 1, took)
    assert.is_true(took < 1.9, took)
  end)
end)

describe("a call that is answered at once on its own node", function()
  local Meter = mc.actor "call_spec.Meter"

  function Meter:pending() return mc.stats().pending end
  function Meter:pending_after_wait()
    mc.sleep(0)
    return mc.stats().pending
  end

  local meter
  before_each(function() meter = mc.spawn { Meter, on = mc.node() } end)
  after_each(function() mc.stop(meter) end)

  it("makes no pending entry, unlike one that awaits [C7]", function()
    local before = mc.stats().pending
    for _ = 1, 100 do assert.equal(before, meter:pending()) end
    assert.equal(before + 1, meter:pending_after_wait())
    assert.equal(before, mc.stats().pending)
  end)

  it("does not yield: a task that is ready does not get its turn [C7]", function()
    local ran = false
    local task = mc.async(function() ran = true end)
    for _ = 1, 1000 do meter:pending() end
    assert.is_false(ran)
    meter:pending_after_wait()
    assert.is_true(ran)
    task:await()
  end)

  it("sends nothing [C7]", function()
    local before = mc.stats().sent
    for _ = 1, 100 do meter:pending() end
    assert.equal(before, mc.stats().sent)
  end)

  it("does not yield either where coroutines of the user are in between [C7]", function()
    local ran = false
    local task = mc.async(function() ran = true end)
    local yielded = {}
    for i in coroutine.wrap(function()
      for i = 1, 3 do
        meter:pending()
        coroutine.yield(i)
      end
    end) do
      yielded[#yielded + 1] = i
    end
    assert.same({ 1, 2, 3 }, yielded)
    assert.is_false(ran)
    task:await()
  end)
end)

describe("a call to a node that ends", function()
  it("raises node_down, in every task that awaits it, and later calls too [C9]", function()
    local name = mc.start_node()
    local slow, tasks = mc.spawn { Slow, on = name }, {}
    for i = 1, 20 do tasks[i] = mc.async(slow.later, slow, 1000, i) end
    mc.sleep(0)
    local start = mc.now()
    assert.is_true(mc.stop_node(name))
    for i = 1, 20 do
      local raised = world.raised(tasks[i].await, tasks[i])
      assert.equal("node_down", raised.code)
      assert.equal(name, raised.node)
      assert.is_true(raised.transport)
    end
    assert.is_true(mc.now() - start < 5)
    assert.equal("node_down", world.raised(slow.later, slow, 0, 1).code)
  end)

  it("leaves calls to other nodes alone [C9]", function()
    local name = mc.start_node()
    local doomed, other = mc.spawn { Slow, on = name }, mc.spawn { Slow, on = world.other() }
    local lost, kept = mc.async(doomed.later, doomed, 1000), mc.async(other.later, other, 0.05, "kept")
    mc.sleep(0)
    mc.stop_node(name)
    assert.equal("node_down", world.raised(lost.await, lost).code)
    assert.equal("kept", kept:await())
    mc.stop(other)
  end)
end)

describe("a call with a time limit", function()
  it("raises timeout, and its late answer is counted and dropped [C9]", function()
    local slow = mc.spawn { Slow, on = world.other() }
    local late = mc.stats().late_replies
    local raised = world.raised(mc.with, { timeout = 0.02 }, slow.compute, slow, 0.1, "late")
    assert.equal("timeout", raised.code)
    while mc.stats().late_replies == late do mc.sleep(0.01) end
    assert.equal("in time", slow:later(0, "in time"))
    mc.stop(slow)
  end)
end)
