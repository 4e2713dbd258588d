-- The user's own coroutines: awaits pass through them, and everything else stays as stock Lua has it.
local mc = require "mooncast"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local Echo = mc.actor("coroutine_spec.Echo", { reentrant = true })

function Echo:echo(...) return ... end
function Echo:later(...)
  mc.sleep(0)
  return ...
end
function Echo:fail(value)
  mc.sleep(0)
  error(value, 0)
end
function Echo:hold()
  self.held = true
  while self.held do mc.sleep(0) end
  return "released"
end
function Echo:release() self.held = false end
-- In a handler, which is a task everywhere.
function Echo:yield_from_handler() return pcall(coroutine.yield, 1) end
function Echo:is_yieldable() return coroutine.isyieldable() end
function Echo:in_coroutines(to, ...)
  local inner = coroutine.wrap(function(...) return to:later(...) end)
  return coroutine.wrap(function(...) return inner(...) end)(...)
end

for _, place in ipairs(world.places()) do
  describe("an await " .. place.name .. " inside coroutines", function()
    local echo

    before_each(function() echo = mc.spawn { Echo, on = place.node } end)
    after_each(function() mc.stop(echo) end)

    it("passes through wrap, with arguments and results [C3]", function()
      local wrapped = coroutine.wrap(function(...)
        local sum = select("#", ...)
        while true do
          local more = coroutine.yield(sum, echo:later(nil, sum, nil))
          sum = sum + more
        end
      end)
      assert.same(table.pack(3, nil, 3, nil), table.pack(wrapped("a", nil, nil)))
      assert.same(table.pack(5, nil, 5, nil), table.pack(wrapped(2)))
      assert.same(table.pack(9, nil, 9, nil), table.pack(wrapped(4)))
    end)

    it("passes through resume, which sees only what was yielded [C3]", function()
      local co = coroutine.create(function()
        echo:later(1)
        coroutine.yield "first"
        echo:later(2)
        return "last", nil
      end)
      assert.same(table.pack(true, "first"), table.pack(coroutine.resume(co)))
      assert.equal("suspended", coroutine.status(co))
      assert.same(table.pack(true, "last", nil), table.pack(coroutine.resume(co)))
      assert.equal("dead", coroutine.status(co))
      assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    end)

    it("passes through coroutines in one another [C3]", function()
      local function nested(depth)
        if depth == 0 then return echo:later "bottom" end
        local inner = coroutine.wrap(nested)
        local result = inner(depth - 1)
        return result, depth
      end
      assert.same({ "bottom", 20 }, { nested(20) })
    end)

    it("passes through generators in for loops [C3]", function()
      local seen = {}
      local function each(n)
        return coroutine.wrap(function()
          for i = 1, n do coroutine.yield(echo:later(i)) end
        end)
      end
      for i in each(5) do
        for j in each(2) do seen[#seen + 1] = i * 10 + echo:later(j) end
      end
      assert.same({ 11, 12, 21, 22, 31, 32, 41, 42, 51, 52 }, seen)
    end)

    it("raises inside the coroutine, where pcall catches it [C9]", function()
      local wrapped = coroutine.wrap(function()
        local ok, raised = pcall(echo.fail, echo, "caught inside")
        coroutine.yield(ok, raised)
        echo:fail { not_caught = true }
      end)
      assert.same({ false, "caught inside" }, { wrapped() })
      assert.same({ not_caught = true }, world.raised(wrapped))
      local co = coroutine.create(function() echo:fail "through resume" end)
      assert.same({ false, "through resume" }, { coroutine.resume(co) })
      assert.equal("dead", coroutine.status(co))
    end)

    it("reports normal while it is parked, and cannot be resumed or closed [C3]", function()
      local co = coroutine.create(function() return echo:hold() end)
      local task = mc.async(coroutine.resume, co)
      while mc.stats().pending == 0 do mc.sleep(0) end
      assert.equal("normal", coroutine.status(co))
      assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
      assert.matches("cannot close a normal coroutine", world.raised(coroutine.close, co))
      echo:release()
      assert.same({ true, "released" }, { task:await() })
      assert.equal("dead", coroutine.status(co))
    end)

    it("does not disturb close: __close runs, also with an await in it [C3]", function()
      local closed = {}
      local function guarded()
        local _ <close> = setmetatable({}, { __close = function() closed[#closed + 1] = "closed" end })
        echo:later(1)
        coroutine.yield "open"
      end
      local co = coroutine.create(guarded)
      assert.same({ true, "open" }, { coroutine.resume(co) })
      assert.is_true(coroutine.close(co))
      assert.same({ "closed" }, closed)
      assert.equal("dead", coroutine.status(co))
    end)

    it("works where Lua itself calls: metamethods, __close, iterators, pcall, xpcall [C3]", function()
      local object = setmetatable({}, {
        __index = function(_, key) return echo:later(key) end,
        __add = function(_, n) return echo:later(n + 1) end,
        __call = function(_, ...) return echo:later(...) end,
        __eq = function() return echo:later(true) end,
        __lt = function() return echo:later(true) end,
        __concat = function(_, text) return echo:later("[" .. text .. "]") end,
        __len = function() return echo:later(7) end,
        __pairs = function()
          return function(_, last) return echo:later((last or 0) < 3 and (last or 0) + 1 or nil) end
        end,
      })
      assert.equal("field", object.field)
      assert.equal(6, object + 5)
      assert.same({ 1, 2 }, { object(1, 2) })
      assert.is_true(object == setmetatable({}, getmetatable(object)))
      assert.is_true(object < object)
      assert.equal("[x]", object .. "x")
      assert.equal(7, #object)
      local keys = {}
      for key in pairs(object) do keys[#keys + 1] = key end
      assert.same({ 1, 2, 3 }, keys)
      local closed
      do
        local _ <close> = setmetatable({}, { __close = function() closed = echo:later "closed" end })
      end
      assert.equal("closed", closed)
      assert.same({ true, 1 }, { pcall(echo.later, echo, 1) })
      assert.same({ false, "seen: oops" }, { xpcall(echo.fail, function(e) return "seen: " .. e end, echo, "oops") })
    end)

    it("works in handlers as it does in tasks [C3]", function()
      local caller = mc.spawn { Echo, on = mc.node() }
      assert.same(table.pack(1, nil, 3), table.pack(caller:in_coroutines(echo, 1, nil, 3)))
      mc.stop(caller)
    end)
  end)
end

describe("yielding", function()
  it("from a task or handler itself is refused [C3]", function()
    local echo = mc.spawn { Echo, on = mc.node() }
    local ok, message = echo:yield_from_handler()
    assert.is_false(ok)
    assert.matches("attempt to yield from outside a coroutine", message)
    assert.is_false(echo:is_yieldable())
    assert.same({ false, message }, { mc.async(function() return pcall(coroutine.yield) end):await() })
    assert.is_true(coroutine.wrap(coroutine.isyieldable)())
    mc.stop(echo)
  end)
end)

describe("where one cannot await", function()
  local echo
  before_each(function() echo = mc.spawn { Echo, on = world.other() } end)
  after_each(function() mc.stop(echo) end)

  local object = setmetatable({}, {})
  local places = {
    ["table.sort"] = function(await)
      table.sort({ 3, 1, 2 }, function(a, b)
        await()
        return a < b
      end)
    end,
    ["string.gsub"] = function(await) return (("abc"):gsub("%a", function() await() end)) end,
    ["tostring"] = function(await)
      getmetatable(object).__tostring = function()
        await()
        return ""
      end
      return tostring(object)
    end,
    ["require"] = function(await)
      package.preload["coroutine_spec.module"] = function() await() end
      package.loaded["coroutine_spec.module"] = nil
      return require "coroutine_spec.module"
    end,
    ["load"] = function(await) assert(load(function() await() end)) end,
    ["ipairs"] = function(await)
      for _ in ipairs(setmetatable({}, { __index = function() await() end })) do end
    end,
    ["table.concat"] = function(await)
      return table.concat(setmetatable({}, { __index = function() await() end, __len = function() return 1 end }))
    end,
    ["table.insert"] = function(await)
      table.insert(setmetatable({}, { __newindex = function() await() end }), 1)
    end,
    ["table.unpack"] = function(await)
      return table.unpack(setmetatable({}, { __index = function() await() end }), 1, 1)
    end,
    ["a comparison in C"] = function(await)
      local less = setmetatable({}, { __lt = function() await() end })
      return table.sort { less, less }
    end,
    ["a finalizer"] = function(await)
      setmetatable({}, { __gc = function() await() end })
      collectgarbage()
    end,
  }
  local awaits = {
    ["a call"] = function() echo:echo(1) end,
    ["mc.call"] = function() mc.call(echo, "echo", 1) end,
    ["a sleep"] = function() mc.sleep(0) end,
    ["a spawn"] = function() mc.spawn({ Echo, on = world.other() }) end,
    ["a stop"] = function() mc.stop(echo) end,
    ["a task"] = function() mc.async(echo.echo, echo):await() end,
  }

  for place, run in pairs(places) do
    for what, await in pairs(awaits) do
      it(("%s is refused inside %s, and nothing was sent [C3]"):format(what, place), function()
        local sent, pending = mc.stats().sent, mc.stats().pending
        local raised
        -- The first refusal itself: what C makes of it differs.
        pcall(run, function()
          local ok, message = pcall(await)
          assert(not ok)
          raised = raised or message
          error(message, 0)
        end)
        assert.equal(mc.Error, getmetatable(raised))
        assert.equal("cannot_await", raised.code)
        assert.matches("table%.sort", raised.message)
        assert.equal(sent, mc.stats().sent)
        assert.equal(pending, mc.stats().pending)
        assert.equal("still there", echo:echo "still there")
      end)
    end
  end

  it("the error itself comes out of table.sort and string.gsub [C3]", function()
    assert.equal("cannot_await", world.raised(places["table.sort"], awaits["a call"]).code)
    assert.equal("cannot_await", world.raised(places["string.gsub"], awaits["a call"]).code)
  end)

  it("it is refused in error handlers and hooks of a task [C3]", function()
    local code = mc.async(function()
      return select(2, xpcall(error, function() return world.raised(echo.echo, echo).code end, "oops"))
    end):await()
    assert.equal("cannot_await", code)
    code = mc.async(function()
      local raised
      debug.sethook(function() raised = raised or world.raised(mc.sleep, 0) end, "l")
      local _ = raised
      debug.sethook()
      return raised.code
    end):await()
    assert.equal("cannot_await", code)
  end)

  it("a coroutine that is cancelled on an await leaves no call behind [C3]", function()
    local pending = mc.stats().pending
    local task = mc.async(function() coroutine.wrap(function() echo:hold() end)() end)
    while mc.stats().pending == pending do mc.sleep(0) end
    task:cancel()
    assert.equal("cancelled", world.raised(task.await, task).code)
    task = nil -- luacheck: ignore
    collectgarbage()
    assert.equal(pending, mc.stats().pending)
  end)

  it("a coroutine inside is no way around it [C3]", function()
    local raised = world.raised(table.sort, { 2, 1 }, function(a, b)
      coroutine.wrap(function() echo:echo(1) end)()
      return a < b
    end)
    assert.equal("cannot_await", raised.code)
  end)
end)
