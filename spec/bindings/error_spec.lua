-- Errors: what a handler raised arrives as raised; what the system raises can be told apart, and not forged.
local mc = require "mooncast"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local Raiser = mc.actor "error_spec.Raiser"

function Raiser:init(value) if value ~= nil then error(value, 0) end end
function Raiser:raise(...) error(..., 0) end
function Raiser:placed(text) error(text) end
function Raiser:raise_nothing() error(nil) end
function Raiser:raise_file() error(io.stdout) end
function Raiser:raise_function() error { on = { click = print } } end
function Raiser:raise_object()
  error(setmetatable({ secret = print }, { __tostring = function() return "an object of mine" end }))
end
-- Their lines are in the traceback: no tail call here.
function Raiser:deep() self:deeper() end
function Raiser:deeper() error "from the deep" end
function Raiser:result_function() return 1, { on = print } end
function Raiser:result_cycle()
  local cycle = {}
  cycle[1] = cycle
  return cycle
end
function Raiser:forge() error({ transport = true, code = "timeout", message = "no answer", node = "w1" }) end
function Raiser:forge_with_metatable()
  error(setmetatable({ transport = true, code = "timeout", message = "forged" }, mc.Error))
end
function Raiser:one_of(i, bad)
  if i == bad then error({ bad = i }) end
  return i
end
function Raiser:echo(...) return ... end

local Relay = mc.actor "error_spec.Relay"

function Relay:init(to) self.to = to end
function Relay:pass(...) return mc.call(self.to, ...) end
function Relay:catch(...)
  local ok, raised = pcall(mc.call, self.to, ...)
  return ok, raised, mc.traceback()
end

local function line_of(fn) return debug.getinfo(fn, "S").linedefined end

for _, place in ipairs(world.places()) do
  describe("what a handler raises " .. place.name, function()
    local raiser

    before_each(function() raiser = mc.spawn { Raiser, on = place.node } end)
    after_each(function() mc.stop(raiser) end)

    it("arrives as raised: text, numbers, booleans, tables [E2]", function()
      for _, value in ipairs { "text", "", 42, 1.5, false, true, "\0\xff" } do
        local raised = world.raised(raiser.raise, raiser, value)
        assert.equal(value, raised)
        assert.equal(math.type(value), math.type(raised))
      end
      local object = { code = 42, list = { 1, { "two" } } }
      assert.same(object, world.raised(raiser.raise, raiser, object))
      assert.same({}, world.raised(raiser.raise, raiser, {}))
    end)

    it("has its place when error gave it one [E2]", function()
      local raised = world.raised(raiser.placed, raiser, "not here")
      assert.matches("error_spec%.lua:" .. line_of(Raiser.placed) .. ": not here$", raised)
    end)

    it("is an error also when it is nil [E2]", function()
      local results = table.pack(pcall(raiser.raise_nothing, raiser))
      assert.is_false(results[1])
      assert.is_nil(results[2])
      assert.equal("still there", raiser:echo "still there")
    end)

    it("becomes its text when it cannot be sent [E2]", function()
      assert.matches("^file %(", world.raised(raiser.raise_file, raiser))
      assert.equal("an object of mine", world.raised(raiser.raise_object, raiser))
      assert.matches("^table: ", world.raised(raiser.raise_function, raiser))
      assert.equal("still there", raiser:echo "still there")
    end)

    it("may be a reference, which is callable where it arrives [E2]", function()
      local raised = world.raised(raiser.raise, raiser, { who = raiser })
      assert.equal(raiser, raised.who)
      assert.equal("hello", raised.who:echo "hello")
    end)

    it("comes out of init, too, and leaves no actor [E2]", function()
      local before = world.stats(place.node).actors
      assert.same({ no = "db" }, world.raised(mc.spawn, { Raiser, on = place.node }, { no = "db" }))
      assert.equal("no db", world.raised(mc.spawn, { Raiser, on = place.node }, "no db"))
      assert.equal(before, world.stats(place.node).actors)
    end)

    it("cannot look like an error of the system [E1]", function()
      local raised = world.raised(raiser.forge, raiser)
      assert.is_nil(getmetatable(raised))
      assert.same({ transport = true, code = "timeout", message = "no answer", node = "w1" }, raised)
      raised = world.raised(raiser.forge_with_metatable, raiser)
      assert.is_false(type(raised) == "table" and raised.transport)
    end)

    it("has a remote traceback with chunk and line, for mc.traceback [E7]", function()
      assert.matches("from the deep", world.raised(raiser.deep, raiser))
      local trace = mc.traceback()
      assert.matches("error_spec%.lua:" .. line_of(Raiser.deeper) .. ": in ", trace)
      assert.matches("error_spec%.lua:" .. line_of(Raiser.deep) .. ": in ", trace)
    end)

    it("has a traceback that goes on through the nodes in between [E7]", function()
      local relay = mc.spawn({ Relay, on = mc.node() }, raiser)
      assert.matches("from the deep", world.raised(relay.pass, relay, "deep"))
      local trace = mc.traceback()
      local inner = trace:find("error_spec%.lua:" .. line_of(Raiser.deeper) .. ": in ")
      local outer = trace:find("error_spec%.lua:" .. line_of(Relay.pass) .. ": in ")
      assert.is_truthy(inner, trace)
      assert.is_truthy(outer, trace)
      assert.is_true(inner < outer, trace)
      local ok, raised, seen_there = relay:catch "deep"
      assert.is_false(ok)
      assert.matches("from the deep", raised)
      assert.matches("error_spec%.lua:" .. line_of(Raiser.deeper) .. ": in ", seen_there)
      mc.stop(relay)
    end)

    it("has the traceback for who awaits the task that called [E7]", function()
      local task = mc.async(raiser.deep, raiser)
      assert.matches("from the deep", world.raised(task.await, task))
      assert.matches("error_spec%.lua:" .. line_of(Raiser.deeper) .. ": in ", mc.traceback())
    end)

    it("fails that one of a hundred calls alone [E8]", function()
      local tasks = {}
      for i = 1, 100 do tasks[i] = mc.async(raiser.one_of, raiser, i, 37) end
      local returned = 0
      for i = 1, 100 do
        local ok, result = pcall(tasks[i].await, tasks[i])
        if ok then
          assert.equal(i, result)
          returned = returned + 1
        else
          assert.equal(37, i)
          assert.same({ bad = 37 }, result)
        end
      end
      assert.equal(99, returned)
    end)
  end)

  describe("what the system raises about an actor " .. place.name, function()
    local raiser, relay

    before_each(function()
      raiser = mc.spawn { Raiser, on = place.node }
      relay = mc.spawn({ Relay, on = place.node }, raiser)
    end)
    after_each(function()
      mc.stop(relay)
      mc.stop(raiser)
    end)

    it("is an mc.Error with code, message, node and transport == true [E1]", function()
      mc.stop(raiser)
      local raised = world.raised(raiser.echo, raiser)
      assert.equal(mc.Error, getmetatable(raised))
      assert.equal("dead_actor", raised.code)
      assert.equal(place.node, raised.node)
      assert.is_true(raised.transport)
      assert.matches("error_spec%.Raiser:echo", raised.message)
      assert.equal("dead_actor: " .. raised.message, tostring(raised))
    end)

    it("has transport == false once a handler let it pass [E1]", function()
      mc.stop(raiser)
      local raised = world.raised(relay.pass, relay, "echo")
      assert.equal(mc.Error, getmetatable(raised))
      assert.equal("dead_actor", raised.code)
      assert.is_false(raised.transport)
    end)

    it("has transport == false when it comes as a value [E1]", function()
      mc.stop(raiser)
      local ok, raised = relay:catch "echo"
      assert.is_false(ok)
      assert.equal("dead_actor", raised.code)
      assert.is_false(raised.transport)
    end)

    it("names methods that are not there, or not for callers, and the actor goes on [D5]", function()
      for _, name in ipairs { "nothing", "_private", "init", "stopped", "terminated", "__index", "__gc" } do
        local raised = world.raised(mc.call, raiser, name)
        assert.equal("no_such_method", raised.code, name)
        assert.is_true(raised.transport)
      end
      assert.equal("still there", raiser:echo "still there")
    end)

    it("is unsendable when results cannot be sent, with their path, and the actor goes on [D6]", function()
      local raised = world.raised(raiser.result_function, raiser)
      assert.equal("unsendable", raised.code)
      assert.is_true(raised.transport)
      assert.matches("results%[2%]%.on", raised.message)
      assert.equal("unsendable", world.raised(raiser.result_cycle, raiser).code)
      assert.equal("still there", raiser:echo "still there")
      assert.equal("unsendable", world.raised(relay.pass, relay, "result_function").code)
    end)

    it("is unsendable when arguments cannot be sent: that call only, and nothing is left of it [J23]", function()
      local before = mc.stats()
      for _ = 1, 100 do
        local raised = world.raised(raiser.echo, raiser, 1, { a = { b = print } })
        assert.equal("unsendable", raised.code)
        assert.matches("arguments%[2%]%.a%.b", raised.message)
        assert.equal("unsendable", world.raised(mc.cast, raiser, "echo", print).code)
      end
      local after = mc.stats()
      assert.equal(before.pending, after.pending)
      assert.equal(before.timers, after.timers)
      assert.equal(before.sent, after.sent)
      assert.equal("still there", raiser:echo "still there")
    end)
  end)
end

describe("the end of a node", function()
  it("is raised with its name by every call that awaited it [E4]", function()
    local Sleeper = mc.actor("error_spec.Sleeper", { reentrant = true })
    function Sleeper:sleep(seconds) mc.sleep(seconds) end
    local name = mc.start_node()
    local sleeper, tasks = mc.spawn { Sleeper, on = name }, {}
    for i = 1, 10 do tasks[i] = mc.async(sleeper.sleep, sleeper, 1000) end
    mc.sleep(0)
    mc.stop_node(name)
    for i = 1, 10 do
      local raised = world.raised(tasks[i].await, tasks[i])
      assert.equal("node_down", raised.code)
      assert.equal(name, raised.node)
      assert.is_true(raised.transport)
    end
  end)

  it("is raised through a node in between, which still names the one that ended [E4]", function()
    local Sleeper = mc.actor "error_spec.Sleeper2"
    function Sleeper:sleep(seconds) mc.sleep(seconds) end
    local name = mc.start_node()
    local sleeper = mc.spawn { Sleeper, on = name }
    local relay = mc.spawn({ Relay, on = world.other() }, sleeper)
    local task = mc.async(relay.pass, relay, "sleep", 1000)
    while world.stats(world.other()).pending == 0 do mc.sleep(0) end
    mc.stop_node(name)
    local raised = world.raised(task.await, task)
    assert.equal("node_down", raised.code)
    assert.equal(name, raised.node)
    assert.is_false(raised.transport)
    mc.stop(relay)
  end)
end)

describe("mc.traceback", function()
  it("is nil in a task that caught nothing [E7]", function()
    assert.is_nil(mc.async(function() return mc.traceback() end):await())
  end)
end)
