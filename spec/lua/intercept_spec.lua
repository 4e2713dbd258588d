-- Interceptors: functions around every outgoing call and cast, and around every handler.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

local Counter = mc.actor "intercept_spec.Counter"

function Counter:init() self.n = 0 end
function Counter:inc(by) self.n = self.n + (by or 1) return self.n end
function Counter:later(by) mc.sleep(0.001) return self:inc(by) end
function Counter:count() return self.n end
function Counter:spread(...) return ... end
function Counter:fail(value) error(value, 0) end
function Counter:broken() return self.nothing.field end
function Counter:slow() mc.sleep(60) end
function Counter:relay(to, ...) return mc.call(to, ...) end
function Counter:left() return mc.remaining() end

-- Interceptors of the node that it lives on.
local Guard = mc.actor "intercept_spec.Guard"

function Guard:watch(method)
  self.seen = {}
  self.remove = require "mooncast".intercept(function(message, next, ...)
    if message.direction == "in" and message.method == method then
      self.seen[#self.seen + 1] = ("%s %s %s"):format(message.kind, message.type, tostring(mc.is_local(message.ref)))
    end
    return next(...)
  end)
end
function Guard:unwatch() self.remove() return self.seen end

describe("an interceptor", function()
  require "spec.support.clean"(setup, teardown)
  local removes

  local function intercept(fn) removes[#removes + 1] = mc.intercept(fn) end

  before_each(function() removes = {} end)
  after_each(function()
    for _, remove in ipairs(removes) do remove() end
  end)

  for _, place in ipairs(world.places()) do
    describe("of calls to an actor " .. place.name, function()
      local counter
      before_each(function() counter = mc.spawn { Counter, on = place.node } end)
      after_each(function() mc.stop(counter) end)

      it("is told of every call and cast, and of handlers of its own node", function()
        local seen = {}
        intercept(function(message, next, ...)
          if message.ref == counter then
            seen[#seen + 1] = table.concat({ message.direction, message.kind, message.type, message.method, ... }, " ")
          end
          return next(...)
        end)
        counter:inc(2)
        mc.call(counter, "later", 3)
        mc.cast(counter, "inc", 4)
        assert.equal(9, counter:count())
        table.sort(seen)
        local all = {
          "out call intercept_spec.Counter count", "out call intercept_spec.Counter inc 2",
          "out call intercept_spec.Counter later 3", "out cast intercept_spec.Counter inc 4",
        }
        local here = {
          "in call intercept_spec.Counter count", "in call intercept_spec.Counter inc 2",
          "in call intercept_spec.Counter later 3", "in cast intercept_spec.Counter inc 4",
        }
        if mc.is_local(counter) then table.move(all, 1, 4, 5, here) else here = all end
        assert.same(here, seen)
      end)

      it("changes arguments and results, nils included", function()
        intercept(function(message, next, ...)
          if message.direction == "in" then return next(...) end
          if message.method ~= "spread" then return next(...) end
          return "before", next(nil, ..., nil)
        end)
        assert.same(table.pack("before", nil, 1, nil), table.pack(counter:spread(1)))
        assert.equal(1, counter:inc())
      end)

      it("is inside those that were added before", function()
        local order = {}
        for i = 1, 3 do
          intercept(function(message, next, ...)
            if message.direction == "out" then order[#order + 1] = i end
            return next(...)
          end)
        end
        counter:inc()
        assert.same({ 1, 2, 3 }, order)
      end)

      it("raises what is raised inside, and may raise by itself", function()
        intercept(function(message, next, ...)
          if message.direction == "out" and message.method == "inc" then error({ refused = message.method }, 0) end
          return next(...)
        end)
        assert.same({ refused = "inc" }, world.raised(counter.inc, counter))
        assert.equal(0, counter:count())
        assert.equal("as raised", world.raised(counter.fail, counter, "as raised"))
        assert.same({ code = 7 }, world.raised(counter.fail, counter, { code = 7 }))
        assert.equal("no_such_method", world.raised(mc.call, counter, "nothing").code)
        assert.equal("unsendable", world.raised(counter.spread, counter, print).code)
      end)

      it("may go on twice, and may wait in between", function()
        intercept(function(message, next, ...)
          if message.direction == "in" or message.method ~= "inc" then return next(...) end
          next(...)
          mc.sleep(0.001)
          return next(...)
        end)
        assert.equal(4, counter:inc(2))
        local a, b = mc.async(counter.inc, counter, 1), mc.async(counter.inc, counter, 1)
        mc.all(a, b)
        assert.equal(8, counter:count())
      end)

      it("ends with the call's deadline and with its cancellation", function()
        intercept(function(_, next, ...) return next(...) end)
        local raised = world.raised(mc.with, { timeout = 0.02 }, counter.slow, counter)
        assert.equal("timeout", raised.code)
        assert.equal("timeout", world.raised(mc.deadline, 0.02, counter.slow, counter).code)
        assert.is_true(mc.deadline(5, counter.left, counter) <= 5)
        local task = mc.async(counter.slow, counter)
        mc.sleep(0.001)
        task:cancel()
        assert.equal("cancelled", world.raised(task.await, task).code)
        assert.equal("cancelled", task:status())
      end)

      it("leaves tracebacks whole", function()
        local relay = mc.spawn { Counter, on = place.node }
        intercept(function(_, next, ...) return next(...) end)
        pcall(relay.relay, relay, counter, "broken")
        local trace = mc.traceback()
        local _, frames = trace:gsub("intercept_spec%.lua:%d+: in ", "")
        assert.is_true(frames >= 2, trace)
        mc.stop(relay)
      end)
    end)
  end

  it("stays on its node: other nodes have their own", function()
    local guard = mc.spawn { Guard, on = world.other() }
    local there = mc.spawn { Counter, on = world.other() }
    local seen = 0
    intercept(function(message, next, ...)
      if message.direction == "in" then seen = seen + 1 end
      return next(...)
    end)
    guard:watch "inc"
    there:inc()
    mc.cast(there, "inc")
    there:count()
    assert.same({ "call intercept_spec.Counter true", "cast intercept_spec.Counter true" }, guard:unwatch())
    there:inc()
    assert.equal(0, seen)
    mc.stop(there)
    mc.stop(guard)
  end)

  it("hears nothing of the system's own calls, and nothing once removed", function()
    local types = {}
    local remove = mc.intercept(function(message, next, ...)
      types[message.type] = true
      return next(...)
    end)
    mc.stop(mc.spawn { Counter, on = world.other() })
    mc.lookup "nobody"
    assert.same({}, types)
    local counter = mc.spawn(Counter)
    counter:inc()
    assert.same({ ["intercept_spec.Counter"] = true }, types)
    types = {}
    remove()
    remove()
    counter:inc()
    assert.same({}, types)
    mc.stop(counter)
  end)

  it("that raises around a handler answers the caller in its place", function()
    local counter = mc.spawn { Counter, on = mc.node() }
    intercept(function(message, next, ...)
      if message.direction == "in" and message.method == "inc" then error("closed on Sundays", 0) end
      return next(...)
    end)
    assert.equal("closed on Sundays", world.raised(counter.inc, counter))
    assert.equal(0, counter:count())
    mc.stop(counter)
  end)

  it("sees a cast through to its handler", function()
    local counter = mc.spawn { Counter, on = mc.node() }
    intercept(function(message, next, by)
      if message.kind == "cast" and message.direction == "in" then by = by * 100 end
      return next(by)
    end)
    mc.cast(counter, "inc", 3)
    eventually(function() return counter:count() == 300 end)
    mc.stop(counter)
  end)

  it("is a function", function()
    assert.has_error(function() mc.intercept "log" end, "mc.intercept wants a function")
  end)
end)
