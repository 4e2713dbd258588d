-- Components of different kinds that call one another: ones that cannot wait, ones that do.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

-- Computes in a C function for 100 ms and awaits nothing: nothing else runs on its node meanwhile.
local Sync = mc.actor "components_spec.Sync"
function Sync:init() self.served = {} end
function Sync:compute(i)
  assert(not self.busy)
  self.busy = true
  local text, pattern = ("a"):rep(12), ("a?"):rep(12) .. ("a"):rep(12)
  local till = mc.now() + 0.1
  repeat text:find(pattern) until mc.now() >= till
  self.busy = false
  self.served[#self.served + 1] = i
  return i
end
function Sync:all() return self.served end

local Caller = mc.actor "components_spec.Caller"
-- Ten tasks call while each goes on with work of its own; returns what happened, in order.
function Caller:call_all(sync, echo)
  local events, tasks = {}, {}
  for i = 1, 10 do
    tasks[2 * i - 1] = mc.async(function()
      assert(sync:compute(i) == i)
      events[#events + 1] = "answer"
      tasks[2 * i]:cancel()
    end)
    tasks[2 * i] = mc.async(function()
      while true do
        echo:echo(i)
        events[#events + 1] = i
      end
    end)
  end
  for i = 1, 10 do tasks[2 * i - 1]:await() end
  return events
end
function Caller:echo(v) return v end

describe("a component that cannot wait", function()
  it("serves callers of another node in turn, who go on with their work meanwhile [K18]", function()
    local nodes = mc.nodes()
    local sync, caller = mc.spawn { Sync, on = nodes[2] }, mc.spawn { Caller, on = nodes[3] }
    local echo = mc.spawn { Caller, on = nodes[1] }
    local events = caller:call_all(sync, echo)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, sync:all())
    -- What was done between an answer and the next, by each caller that still waited.
    local done, answers = {}, 0
    for _, event in ipairs(events) do
      if event == "answer" then
        answers = answers + 1
        for i = answers, 10 do assert.is_true((done[i] or 0) > 0, ("caller %d, answer %d"):format(i, answers)) end
        done = {}
      else
        done[event] = (done[event] or 0) + 1
      end
    end
    assert.equal(10, answers)
    for _, ref in ipairs { sync, caller, echo } do mc.stop(ref) end
  end)
end)

local Guest = mc.actor("components_spec.Guest", { reentrant = true })
local Host = mc.actor("components_spec.Host", { reentrant = true })

function Guest:foo(text, host)
  text = text .. " - entered guest"
  self.inside = true
  mc.sleep(0.01)
  text = host:bar(text)
  self.inside = false
  return text .. " - exited guest"
end
function Guest:is_inside() return self.inside end

function Host:bar(text)
  text = text .. " - entered host"
  self.inside = true
  repeat mc.sleep(0.01) until self.open
  self.inside = false
  return text .. " - exited host"
end
function Host:is_inside() return self.inside end
function Host:let_go() self.open = true end

for _, place in ipairs(world.places()) do
  describe("a guest that calls its host " .. place.name, function()
    it("goes there and back, both suspended on the way [L1]", function()
      local guest, host = mc.spawn { Guest, on = mc.node() }, mc.spawn { Host, on = place.node }
      local task = mc.async(guest.foo, guest, "hello, world!", host)
      -- Both are inside of their functions and answer others all the same.
      eventually(function() return host:is_inside() and guest:is_inside() end, "both are inside")
      assert.equal("running", task:status())
      host:let_go()
      assert.equal("hello, world! - entered guest - entered host - exited host - exited guest", task:await())
      assert.is_false(host:is_inside() or guest:is_inside())
      mc.stop(guest)
      mc.stop(host)
    end)
  end)
end
