--- What a component must do in whatever language it is written: K24. The callee has these methods:
--   echo(...) -> ...          add(a, b) -> a + b          same(ref) -> ref
--   note(value), notes() -> all that was noted, with spaces between
--   fail(value) raises it     relay(ref, method, ...) -> what the ref answers     _hidden()
-- `other` is a Lua actor on another node: echo(...), fail(value), sleep(seconds).

local mc = require "mooncast"

local function check(what, expected, got)
  if expected ~= got then error(("%s: %s, expected %s"):format(what, tostring(got), tostring(expected)), 2) end
end

local function code(fn, ...)
  local ok, raised = pcall(fn, ...)
  return not ok and getmetatable(raised) == mc.Error and raised.code
end

local function raised(fn, ...)
  local ok, value = pcall(fn, ...)
  check("it raises", false, ok)
  return value
end

local function values(c)
  local sent = { 1, -1.5, math.maxinteger, "text", "\0\xff", true, { list = { 1, { "deep" } } } }
  local got = c:echo(sent)
  for i = 1, 6 do
    check("value " .. i, sent[i], got[i])
    check("kind of value " .. i, math.type(sent[i]), math.type(got[i]))
  end
  check("a nested value", "deep", got[7].list[2][1])
  check("no values", 0, select("#", c:echo()))
  check("values with nils", 3, select("#", c:echo(nil, 1, nil)))
  check("a sum", 5, c:add(2, 3))
end

local function state(c)
  for i = 1, 100 do mc.cast(c, "note", i) end
  local expected = {}
  for i = 1, 100 do expected[i] = i end
  check("what was noted", table.concat(expected, " "), c:notes())
end

local function errors(c)
  check("text that was raised", "just text", raised(c.fail, c, "just text"))
  check("a table that was raised", 7, raised(c.fail, c, { code = 7 }).code)
  for _, name in ipairs { "nothing", "_hidden", "init", "__index" } do
    check(name, "no_such_method", code(mc.call, c, name))
  end
  check("a function", "unsendable", code(c.echo, c, print))
end

local function awaits(c, other)
  local a, b = c:relay(other, "echo", 1, "two")
  check("a relayed answer", "1 two", a .. " " .. b)
  check("a relayed error", "deep", raised(c.relay, c, other, "fail", "deep"))
  local order = {}
  local function later(name, ...)
    local task = mc.async(mc.call, c, ...)
    return mc.async(function() task:await() order[#order + 1] = name end)
  end
  mc.all(later("first", "relay", other, "sleep", 0.05), later("second", "add", 1, 1))
  check("one at a time", "first second", table.concat(order, " "))
  check("a call of itself", "deadlock", code(c.relay, c, c, "add", 1, 1))
  check("a deadline", "timeout", code(mc.with, { timeout = 0.05 }, c.relay, c, other, "sleep", 60))
  check("a handler after one that was cancelled", 2, c:add(1, 1))
end

local function references(c, other)
  check("a reference", other, c:same(other))
  check("its own", c, c:same(c))
end

--- Checks everything, then stops the component.
return function(c, other)
  values(c)
  state(c)
  errors(c)
  awaits(c, other)
  references(c, other)
  mc.stop(c)
  check("one that was stopped", "dead_actor", code(c.add, c, 1, 1))
  return "complete"
end
