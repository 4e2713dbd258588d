-- Values: what can be sent comes back as it was, what cannot is refused with its path.
local mc = require "mooncast"
local core = require "mooncast.core"
local values = require "spec.support.values"
local world = require "spec.support.world"

local raised, equal = world.raised, values.equal

local Echo = mc.actor "value_spec.Echo"

function Echo:init() self.calls = 0 end
function Echo:echo(...)
  self.calls = self.calls + 1
  return ...
end
function Echo:register(name) mc.type(name) end
function Echo:counted() return self.calls end
function Echo:give(name)
  local results = { ["function"] = print, cycle = {} }
  results.cycle.self = results.cycle
  return "fine", { results[name] }
end

local function around(value) return core.decode(core.encode(value)) end

local seed = tonumber(os.getenv "MOONCAST_SEED") or 20240607

describe("a value", function()
  require "spec.support.clean"(setup, teardown)

  local echoes

  setup(function()
    echoes = {}
    for i, place in ipairs(world.places()) do echoes[i] = mc.spawn({ Echo, on = place.node }) end
  end)
  teardown(function()
    for _, echo in ipairs(echoes) do mc.stop(echo) end
  end)

  it("of 100,000 random ones comes back from bytes as it was [F2]", function()
    print(("value_spec: seed %d (MOONCAST_SEED)"):format(seed))
    local random = values.random(seed)
    for i = 1, 100000 do
      local value = values.any(random)
      local back = around(value)
      if not equal(value, back) then error(("value %d of seed %d did not survive"):format(i, seed)) end
    end
  end)

  it("of 5,000 random ones comes back from an actor as it was [F2]", function()
    for which, echo in ipairs(echoes) do
      local random = values.random(seed + which)
      for i = 1, 500 do
        local sent, n = {}, 10
        for k = 1, n do sent[k] = values.any(random) end
        local back = table.pack(echo:echo(table.unpack(sent, 1, n)))
        assert.equal(n, back.n)
        for k = 1, n do
          assert(equal(sent[k], back[k]), ("value %d, call %d, seed %d"):format(k, i, seed + which))
        end
      end
    end
  end)

  it("that is told apart by its bits alone stays what it was [F2]", function()
    local cases = {
      (1 << 53) + 1, -(1 << 53) - 1, math.mininteger, math.maxinteger, math.mininteger + 0.0, 1, 1.0, 0, 0.0, -0.0,
      1 / 0, -1 / 0, 0 / 0, 5e-324, "\0\xff", "", "1", "\xed\xa0\x80", ("\xff"):rep(70000), true, false,
      { 1, nil, 3, n = 3 }, { nil, 2 }, { [0] = 0 }, { [-1] = 1 }, { [1 << 53] = 1, [(1 << 53) + 1] = 2 },
      { [math.mininteger] = "min", [math.maxinteger] = "max" },
      { [0.5] = 1, [1] = 2, ["1"] = 3, [true] = 4, [false] = 5 },
      {}, { {} }, { { {} }, {} }, { ["\0"] = "\0", ["\xff"] = "\xff" }, { 1, 2, 3, x = { y = { z = {} } } },
    }
    for i = 1, #cases do
      assert.is_true(equal(cases[i], around(cases[i])), "case " .. i)
      for _, echo in ipairs(echoes) do assert.is_true(equal(cases[i], (echo:echo(cases[i]))), "case " .. i) end
    end
  end)

  it("is compared by what this file calls equal, which tells them apart [F2]", function()
    for _, pair in ipairs {
      { 1, 1.0 }, { 0.0, -0.0 }, { 0 / 0, 0 }, { {}, { 1 } }, { { 1 }, {} }, { { 1 }, { 1.0 } }, { "1", 1 },
      { false, nil },
      { math.maxinteger, math.maxinteger + 0.0 }, { { x = {} }, { x = { 1 } } },
    } do
      assert.is_false(equal(pair[1], pair[2]))
    end
    assert.is_true(equal({ 0 / 0, -0.0 }, { 0 / 0, -0.0 }))
  end)

  it("is generated in every kind by what the random specs use [F2]", function()
    local random, kinds = values.random(seed), {}
    for _ = 1, 2000 do
      local value = values.any(random)
      kinds[math.type(value) or type(value)] = true
      if value ~= value then kinds.nan = true end
      if type(value) == "string" and not utf8.len(value) then kinds.bytes = true end
    end
    assert.same({ ["nil"] = true, boolean = true, integer = true, float = true, string = true, table = true, nan = true,
      bytes = true }, kinds)
  end)

  it("as an argument may be nil in front, inside and behind [F2]", function()
    for _, echo in ipairs(echoes) do
      assert.equal(0, select("#", echo:echo()))
      assert.equal(3, select("#", echo:echo(nil, nil, nil)))
      assert.same({ n = 4, nil, 2, nil, nil }, table.pack(echo:echo(nil, 2, nil, nil)))
    end
  end)

  it("that cannot be sent is refused with its path, before anything is sent [F1]", function()
    local co, file = coroutine.create(print), io.stdout
    local cases = {
      { print, "cannot send a function at arguments[1]" },
      { { a = { b = print } }, "cannot send a function at arguments[1].a.b" },
      { { on = { click = print } }, "cannot send a function at arguments[1].on.click" },
      { { { {}, { co } } }, "cannot send a thread at arguments[1][1][2][1]" },
      { { ["two words"] = file }, 'cannot send a userdata at arguments[1]["two words"]' },
      { { [true] = co }, "cannot send a thread at arguments[1][boolean]" },
      { { [print] = 1 }, "table key that is a function" },
      { { [{}] = 1 }, "table key that is a table" },
      { setmetatable({}, {}), "metatable that is not registered (see mc.type) at arguments[1]" },
      { { deep = setmetatable({}, { __index = {} }) }, "not registered (see mc.type) at arguments[1].deep" },
      { Echo, "at arguments[1]" },
    }
    for _, echo in ipairs(echoes) do
      local calls = echo:counted()
      for _, case in ipairs(cases) do
        local before = mc.stats()
        local e = raised(echo.echo, echo, case[1])
        assert.equal(mc.Error, getmetatable(e))
        assert.equal("unsendable", e.code)
        assert.matches(case[2], e.message, 1, true)
        local after = mc.stats()
        assert.same({ before.sent, before.pending, before.timers }, { after.sent, after.pending, after.timers })
      end
      assert.matches("arguments[3].x", raised(echo.echo, echo, 1, {}, { x = print }).message, 1, true)
      assert.equal(calls, echo:counted())
    end
  end)

  it("that cannot be sent is refused as a result, and the actor goes on [F1]", function()
    for _, echo in ipairs(echoes) do
      local e = raised(echo.give, echo, "function")
      assert.equal("unsendable", e.code)
      assert.matches("cannot send a function at results[2][1]", e.message, 1, true)
      assert.equal("still here", echo:echo("still here"))
    end
  end)

  it("that contains itself is refused with the path of the cycle, at once [F3]", function()
    local loop = { name = "loop" }
    loop.self = loop
    local long = { a = { b = { c = {} } } }
    long.a.b.c.back = long.a
    for _, echo in ipairs(echoes) do
      local start = mc.now()
      local e = raised(echo.echo, echo, loop)
      assert.equal("unsendable", e.code)
      assert.matches("cannot send a cycle at arguments[1].self", e.message, 1, true)
      assert.matches("a cycle at arguments[2].a.b.c.back", raised(echo.echo, echo, 1, long).message, 1, true)
      assert.matches("a cycle at results[2][1].self", raised(echo.give, echo, "cycle").message, 1, true)
      assert.is_true(mc.now() - start < 10)
    end
  end)

  it("that occurs twice is sent twice, which is no cycle [F3]", function()
    local shared = { 1 }
    for _, echo in ipairs(echoes) do
      local back = echo:echo { a = shared, b = shared, c = { shared, shared } }
      assert.same({ a = { 1 }, b = { 1 }, c = { { 1 }, { 1 } } }, back)
      assert.is_false(rawequal(back.a, back.b))
    end
  end)

  it("may be nested 100 deep and no deeper [F1]", function()
    local function nest(depth)
      local t = {}
      for _ = 2, depth do t = { t } end
      return t
    end
    assert.is_true(equal(nest(100), around(nest(100))))
    for _, echo in ipairs(echoes) do
      assert.is_true(equal(nest(100), (echo:echo(nest(100)))))
      local e = raised(echo.echo, echo, nest(101))
      assert.equal("unsendable", e.code)
      assert.matches("100 nested", e.message, 1, true)
    end
  end)
end)

describe("docs/types.md", function()
  require "spec.support.clean"(setup, teardown)

  local Point = mc.type "value_spec.Point"

  local function survives(value)
    return function(echo) assert.is_true(equal(value, (echo:echo(value)))) end
  end

  local function refused(value, text)
    return function(echo)
      local e = raised(echo.echo, echo, value)
      assert.equal("unsendable", e.code)
      assert.matches(text, e.message, 1, true)
    end
  end

  local shared = {}
  local cycle = {}
  cycle.self = cycle

  -- One check for each row, by its first column.
  local rows = {
    ["nil"] = function(echo)
      assert.same({ n = 3, nil, 1, nil }, table.pack(echo:echo(nil, 1, nil)))
    end,
    ["boolean"] = survives { true, false },
    ["integer"] = survives { 0, -1, (1 << 53) + 1, math.maxinteger, math.mininteger },
    ["float"] = survives { 1.0, -0.0, 1 / 0, 0 / 0, 5e-324 },
    ["string"] = survives { "", "text", "\0\xff", "日本" },
    ["mc.bytes(s)"] = function(echo) assert.equal("text", (echo:echo(mc.bytes "text"))) end,
    ["table with keys 1..n"] = survives { { 1, "two", { 3 } }, {} },
    ["any other table"] = survives { x = 1, [2] = 2, [0.5] = "half", [true] = false },
    ["mc.map(t)"] = function(echo)
      assert.same({ 1, 2 }, (echo:echo(mc.map { 1, 2 })))
      assert.equal("a0", core.encode(mc.map {}):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
      assert.equal("80", core.encode({}):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end,
    ["reference"] = function(echo) assert.is_true(rawequal(echo, (echo:echo { echo })[1])) end,
    ["mc.buffer(...)"] = function(echo)
      local buffer = mc.buffer "a\0b"
      assert.equal("a\0b", echo:echo({ buffer })[1]:string())
      assert.matches("moved", raised(buffer.string, buffer))
    end,
    ["mc.share(buffer)"] = function(echo)
      local buffer = mc.share(mc.buffer "abc")
      local near = mc.is_local(echo) or not package.loaded["mooncast.files"]
      if not near then return refused(buffer, "cannot send a shared buffer")(echo) end
      echo:echo(buffer):set("u8", 1, 98)
      assert.equal("bbc", buffer:string())
    end,
    ["table of an mc.type"] = function(echo)
      local back = echo:echo(setmetatable({ x = 1, y = 2.5 }, Point))
      assert.equal(Point, getmetatable(back))
      assert.same({ 1, 2.5 }, { back.x, back.y })
    end,
    ["mc.Error"] = function(echo)
      local e = raised(mc.resolve, "value_spec.Point", "no id")
      local back = echo:echo(e)
      assert.equal(mc.Error, getmetatable(back))
      assert.same({ "bad_id", e.message, false }, { back.code, back.message, back.transport })
    end,
    ["the same table twice"] = function(echo)
      local back = echo:echo { shared, shared }
      assert.is_false(rawequal(back[1], back[2]))
    end,
    ["table that contains itself"] = refused(cycle, "cannot send a cycle"),
    ["table with another metatable"] = refused(setmetatable({}, { __index = {} }), "not registered"),
    ["actor type"] = refused(Echo, "not registered"),
    ["function"] = refused(print, "pass a reference to an actor"),
    ["coroutine"] = refused(coroutine.create(print), "cannot send a thread"),
    ["task of mc.async"] = function(echo)
      local task = mc.async(function() end)
      refused(task, "cannot send a userdata")(echo)
      task:await()
    end,
    ["other userdata"] = refused(io.stdout, "cannot send a userdata"),
    ["more than 100 nested tables"] = function(echo)
      local t = {}
      for _ = 1, 100 do t = { t } end
      refused(t, "100 nested")(echo)
    end,
  }

  -- The first columns of the first table in the file.
  local function documented()
    local found, count = {}, 0
    for line in io.lines "docs/types.md" do
      if count > 0 and line == "" then break end
      local name = line:gsub("`", ""):match("^| ([^|]-) +|")
      if name and name ~= "value" then
        assert(not found[name], name .. " stands there twice")
        found[name] = true
        count = count + 1
      end
    end
    assert(count > 0, "no table was found")
    return found
  end

  it("has a test for each row, and a row for each test [F9]", function()
    local found = documented()
    for name in pairs(found) do assert(rows[name], "no test for: " .. name) end
    for name in pairs(rows) do assert(found[name], "not documented: " .. name) end
  end)

  for _, place in ipairs(world.places()) do
    it("is true for an actor " .. place.name .. " [F9]", function()
      local echo = mc.spawn({ Echo, on = place.node })
      if place.node ~= mc.node() then echo:register "value_spec.Point" end -- both sides do
      for name, check in pairs(rows) do
        local ok, message = pcall(check, echo)
        if not ok then error(name .. ": " .. tostring(message), 0) end
      end
      mc.stop(echo)
    end)
  end
end)
