-- Deadlines on clocks that the program moves: for one node alone.
local mc = require "mooncast"
local Wires = require "spec.support.wires"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

local raised = world.raised
local Service = mc.actor("clock_spec.Service", { reentrant = true })

function Service:init() self.entered, self.left = 0, 0 end
function Service:hold()
  self.entered = self.entered + 1
  local _ <close> = setmetatable({}, { __close = function() self.left = self.left + 1 end })
  mc.sleep(1000)
end
function Service:counts() return self.entered, self.left end
function Service:remaining() return mc.remaining() end
function Service:echo(...) return ... end
function Service:fail(what) error(what, 0) end
function Service:self_within()
  return mc.deadline({ [mc.clock("clock_spec").name] = 1 }, mc.self) == mc.self()
end

-- One item of CBOR as headers of envelopes have it, and where the next one stands.
local function item(bytes, at)
  local head = bytes:byte(at)
  local major, value = head >> 5, head & 31
  at = at + 1
  if major == 7 then return head == 0xf6 and "null", at end
  if value >= 24 then
    local size = 1 << (value - 24)
    value, at = string.unpack(">I" .. size, bytes, at)
  end
  if major == 2 or major == 3 then return bytes:sub(at, at + value - 1), at + value end
  return value, at
end

-- What the calls in a stream of frames say of the time that remains: "null" or milliseconds, by method.
local function remaining_by_method(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local frame, behind = string.unpack(">s4", bytes, at + 1)
    local fields, place = {}, 2 -- behind the head of the array
    at = behind
    for i = 1, 7 do
      if place > #frame then break end
      fields[i], place = item(frame, place)
    end
    if fields[1] == 1 then found[fields[6]] = fields[7] end
  end
  return found
end

describe("a deadline on a clock of the program's own", function()
  require "spec.support.clean"(setup, teardown)
  local frames, service

  before_each(function()
    frames = mc.clock "frames"
    service = mc.spawn { Service, on = world.other() }
  end)
  after_each(function()
    assert.is_nil(next(frames.limits))
    mc.stop(service)
  end)

  local function entered(count)
    eventually(function() return service:counts() == count end, "it runs")
  end
  local function left(count)
    eventually(function() return select(2, service:counts()) == count end, "it was cancelled")
  end

  it("is over when the clock has gone so far, and not before [G11]", function()
    local started = frames:now()
    local task = mc.async(mc.deadline, { frames = 5 }, service.hold, service)
    entered(1)
    for _ = 1, 4 do
      frames:advance(1)
      service:echo() -- there and back: what was to be told has been
      assert.equal("running", task:status())
    end
    frames:advance(1)
    local e = raised(task.await, task)
    assert.equal(mc.Error, getmetatable(e))
    assert.equal("timeout", e.code)
    assert.equal("the deadline of 5 on the clock 'frames' has passed", e.message)
    assert.equal(started + 5, frames:now())
    left(1)
  end)

  it("stays on this node: nothing of it is sent [G11]", function()
    assert.is_nil(mc.deadline({ frames = 5 }, service.remaining, service))
    local wires = Wires.open()
    local far = mc.spawn { Service, on = wires.nodes[2] }
    assert.equal(1, wires.a:call_within({ frames = 5 }, "clock_spec.Service", mc.id(far), "echo", 1))
    assert.is_nil(wires.a:call_within({ frames = 5 }, "clock_spec.Service", mc.id(far), "remaining"))
    assert.is_true(wires.a:call_within(50, "clock_spec.Service", mc.id(far), "counts") == 0)
    local found = remaining_by_method(wires:traffic(2))
    assert.equal("null", found.echo)
    assert.equal("null", found.remaining)
    assert.is_true(found.counts > 40000) -- as one in seconds is
    mc.stop(far)
    wires:close()
  end)

  it("ignores what comes too late [G11]", function()
    local go = false
    local task = mc.async(mc.deadline, { frames = 1 }, function()
      pcall(service.hold, service)
      eventually(function() return go end)
      return "late"
    end)
    entered(1)
    frames:advance(1)
    go = true
    assert.equal("timeout", raised(task.await, task).code)
    left(1)
  end)

  it("returns what the function returns, and raises what it raises", function()
    local results = table.pack(mc.deadline({ frames = 1 }, service.echo, service, nil, 1, nil, nil))
    assert.same({ n = 4, nil, 1, nil, nil }, results)
    assert.equal("boom", raised(mc.deadline, { frames = 1 }, service.fail, service, "boom"))
    assert.matches("clock_spec", mc.traceback(), 1, true)
    local value = { reason = "x" }
    assert.equal(value, raised(mc.deadline, { frames = 1 }, error, value))
    assert.equal("cancelled", raised(mc.deadline, { frames = 9 }, function()
      local task = mc.async(mc.sleep, 1000)
      task:cancel()
      task:await()
    end).code)
  end)

  it("is part of the handler that set it", function()
    assert.is_true(service:self_within())
  end)

  it("gives way to a nearer one, of whatever kind", function()
    local rounds = mc.clock "rounds"
    local function nested(outer, inner)
      local seen
      local task = mc.async(mc.deadline, outer, function()
        local ok, e = pcall(mc.deadline, inner, service.hold, service)
        seen = not ok and e
        error(e, 0)
      end)
      return task, function() return seen end
    end
    local count = 0
    local function check(outer, inner, advance, by)
      local task, seen = nested(outer, inner)
      count = count + 1
      entered(count)
      if advance then advance() end
      local e = raised(task.await, task)
      assert.equal("timeout", e.code)
      assert.matches(by, e.message, 1, true)
      left(count)
      return seen()
    end
    local function frame() frames:advance(1) end
    assert.equal("timeout", check({ frames = 9 }, { frames = 1 }, frame, "1 on the clock 'frames'").code)
    assert.equal("cancelled", check({ frames = 1 }, { frames = 9 }, frame, "1 on the clock 'frames'").code)
    assert.equal("timeout", check({ rounds = 1 }, { frames = 1 }, frame, "1 on the clock 'frames'").code)
    check({ frames = 1, rounds = 2 }, { frames = 2 }, frame, "1 on the clock 'frames'")
    check({ frames = 3, rounds = 2 }, { frames = 3 }, function() rounds:advance(2) end, "2 on the clock 'rounds'")
    check({ frames = 1 }, 1000, frame, "1 on the clock 'frames'")
    check(1000, { frames = 1 }, frame, "1 on the clock 'frames'")
    -- Long enough for a busy machine to get there.
    check({ frames = 1 }, 0.5, nil, "hold")
    check(0.5, { frames = 1 }, nil, "")
  end)

  it("passes to the tasks that the function makes, and ends with its caller", function()
    local task = mc.async(mc.deadline, { frames = 1 }, function()
      mc.all(mc.async(service.hold, service), mc.async(service.hold, service))
    end)
    entered(2)
    frames:advance(1)
    assert.equal("timeout", raised(task.await, task).code)
    left(2)
    task = mc.async(mc.deadline, { frames = 1 }, service.hold, service)
    entered(3)
    task:cancel()
    assert.equal("cancelled", raised(task.await, task).code)
    left(3)
  end)

  it("never starts what has no time", function()
    local ran = false
    local e = raised(mc.deadline, { frames = 0 }, function() ran = true end)
    assert.equal("timeout", e.code)
    assert.is_false(ran)
  end)

  it("says what is wrong with one that cannot be", function()
    assert.equal(frames, mc.clock "frames")
    assert.has_error(function() mc.clock() end, "mc.clock wants a name")
    assert.has_error(function() frames:advance(-1) end, "a clock advances by a number from 0 on")
    assert.has_error(function() frames:advance(0 / 0) end, "a clock advances by a number from 0 on")
    assert.matches("there is no clock 'nope': mc.clock makes one", raised(mc.deadline, { nope = 5 }, print), 1, true)
    local message = raised(mc.deadline, { frames = "x" }, print)
    assert.matches("a deadline on the clock 'frames' is a number from 0 on", message, 1, true)
    assert.matches("mc.deadline wants seconds, or how far on which clock", raised(mc.deadline, {}, print), 1, true)
    assert.matches("it has no form to be closed", raised(mc.deadline, { frames = 1 }), 1, true)
  end)
end)
