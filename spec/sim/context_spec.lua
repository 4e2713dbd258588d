-- What a task that outlives its call takes along, on nodes whose clocks have nothing in common.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim

local function program()
  local mc = require "mooncast"
  local Service = mc.actor "Service"

  -- Answers at once, as far as its caller is concerned too late, and leaves a task behind.
  function Service:detach()
    mc.spawn_task(function()
      local left = mc.remaining()
      mc.sleep(0.3)
      self.done = { left or "none", mc.trace(), mc.context "user" }
      error "nobody heard"
    end)
    mc.sleep(0.2)
  end
  function Service:outcome()
    collectgarbage() -- an error that nobody awaited is told when its task is collected
    collectgarbage()
    return table.unpack(self.done)
  end

  return Service
end

local case = require "spec.support.sim_case"(program)

describe("a task that outlives its call", function()
  for _, place in ipairs { "w1", "w2" } do
    it("ends long after the deadline of that call, and its error names the trace, on " .. place .. " [K6]", function()
      local world, code, took, left, trace, user = case.run({ nodes = 2 }, function(where)
        local mc = require "mooncast"
        local service, start = mc.spawn { require "program", on = where }, mc.now()
        local options = { trace = 4711, context = { user = "ada" } }
        local _, e = pcall(mc.with, options, mc.deadline, 0.1, service.detach, service)
        local took = mc.now() - start
        mc.sleep(1)
        return e.code, took, service:outcome()
      end, place)
      assert.equal("timeout", code)
      assert.near(0.1, took, 0.005)
      assert.same({ "none", 4711, "ada" }, { left, trace, user })
      local line = place .. " error: a task made at %S+.-awaited, failed %(trace 4711%): [^\n]*nobody heard"
      local _, told = world:log():gsub(line, "")
      assert.equal(1, told)
    end)
  end
end)
