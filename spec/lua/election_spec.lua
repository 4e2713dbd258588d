local mc = require "mooncast"
local Elector = require "spec.support.election"
local clean = require "spec.support.clean"
local eventually = require "spec.support.eventually"
local Wires = require "spec.support.wires"

-- The same module on links of the host (memory, rings or ports, as the suite runs) and on a transport
-- of the user's: only who made the links differs.
describe("a distributed algorithm", function()
  clean(setup, teardown)

  local function elect(electors)
    for i, elector in ipairs(electors) do elector:join(electors[i % #electors + 1]) end
    for _, elector in ipairs(electors) do mc.cast(elector, "start") end
  end

  it("runs over the nodes of a host [I20]", function()
    local electors = {}
    for i = 1, 7 do
      local nodes = mc.nodes()
      electors[i] = mc.spawn({ Elector, on = nodes[i % #nodes + 1] }, (i * 5) % 7)
    end
    elect(electors)
    for _, elector in ipairs(electors) do
      assert.equal(6, eventually(function() return elector:who() end, "a leader is known"))
      mc.stop(elector)
    end
  end)

  it("runs, unchanged, over a transport of the user's [I20]", function()
    local wires = Wires.open()
    local electors = {}
    for i = 1, 4 do
      electors[i] = mc.spawn({ Elector, on = wires.nodes[i % 2 + 1] }, i)
    end
    elect(electors)
    for _, elector in ipairs(electors) do
      assert.equal(4, eventually(function()
        wires:carry()
        return elector:who()
      end, "a leader is known"))
      mc.stop(elector)
    end
    wires:close()
  end)
end)
