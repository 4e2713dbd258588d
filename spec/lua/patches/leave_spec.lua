-- Coroutines, protected calls and what crosses them, as stock Lua has it: natively these run on stock Lua, in
-- wasm (and in build/sim/lua) on ours, with lua/patches/leave.patch.

-- What a coroutine yields, one resume after the other, and what it returns or raises in the end.
local function run(body, ...)
  local co, log = coroutine.create(body), {}
  local values = table.pack(coroutine.resume(co, ...))
  while coroutine.status(co) == "suspended" do
    log[#log + 1] = table.concat({ "yield", table.unpack(values, 2, values.n) }, " ")
    values = table.pack(coroutine.resume(co, #log))
  end
  for i = 1, values.n do values[i] = tostring(values[i]) end
  log[#log + 1] = table.concat(values, " ")
  return table.concat(log, ", ")
end

local function closing(f) return setmetatable({}, { __close = f }) end

-- Not looked up in busted's environment, which hooks would see.
local yield <const>, pcall <const>, xpcall <const> = coroutine.yield, pcall, xpcall
local error <const>, type <const> = error, type

describe("a yield", function()
  it("in a call, in a tail call, of a function with varargs, through __call", function()
    local function tail(...) return yield(...) end
    local object = setmetatable({}, { __call = function(_, x) return yield(x) end })
    local direct = setmetatable({}, { __call = yield })
    assert.equal("yield 1, yield 2 3, yield 4, yield true, true 1 2 3 4", run(function()
      local a = yield(1)
      local b = tail(2, 3)
      local c = object(4)
      local _ = direct and rawequal(direct, direct)
      return a, b, c, yield("true")
    end))
  end)

  it("gives as many results as are wanted", function()
    local co = coroutine.wrap(function()
      local a, b = yield()
      local list = { yield() }
      yield()
      local c = (yield())
      return a, b, #list, c, select("#", yield())
    end)
    co()
    co(1)
    co(1, 2, 3)
    co("ignored")
    co(7, 8)
    assert.same({ 1, nil, 3, 7, 0 }, { co() })
  end)

  it("as an iterator, in one in Lua, in one with state", function()
    assert.equal("yield nil, yield 1, yield got 2, yield got 3, true 4", run(function()
      local got
      for i in function(_, i) return yield(tostring(i)) end do
        got = i
        if i == 2 then break end
      end
      for a in yield, "got", got do
        if a == 4 then return a end
      end
    end))
    local function numbers(n)
      return coroutine.wrap(function()
        for i = 1, n do yield(i) end
      end)
    end
    local sum = 0
    for i in numbers(10) do
      for j in numbers(i) do sum = sum + j end
    end
    assert.equal(220, sum)
  end)

  it("in metamethods", function()
    local meta = {}
    for _, event in ipairs { "add", "concat", "eq", "lt", "le", "index", "call", "unm", "len" } do
      meta["__" .. event] = function() return yield(event) end
    end
    meta.__newindex = function() yield("newindex") end
    local a, b = setmetatable({}, meta), setmetatable({}, meta)
    assert.equal("yield add, yield concat, yield eq, yield lt, yield le, yield index, yield call, yield unm, "
      .. "yield len, yield newindex, true 1 2 true true true 6 7 8 9", run(function()
      local sum, text, equal, less, most = a + b, a .. b, a == b, a < b, a <= b
      local field, call, minus, length = a.x, a(), -a, #a
      a.y = 1
      return sum, text, equal, less, most, field, call, minus, length
    end))
  end)

  it("cannot cross C functions that call back", function()
    local message = "attempt to yield across a C%-call boundary"
    assert.match(message, run(function() return select(2, pcall(table.sort, { 1, 2, 3 }, yield)) end))
    assert.match(message, run(function() table.sort({ 1, 2, 3 }, function() return yield() end) end))
    assert.match(message, run(function() return (string.gsub("a", ".", yield)) end))
    assert.equal("true false true", run(function()
      local inside
      string.gsub("a", ".", function() inside = coroutine.isyieldable() end)
      return inside, coroutine.isyieldable()
    end))
  end)
end)

describe("a protected call in a coroutine", function()
  it("is yielded across, again and again", function()
    assert.equal("yield 1, yield 2, yield 3, true true 1 2 end", run(function()
      return pcall(function()
        local a, b = yield(1), yield(2)
        yield(3)
        return a, b, "end"
      end)
    end))
    assert.equal("yield 1 2, true true true true 1", run(pcall, pcall, pcall, yield, 1, 2))
  end)

  it("catches what is raised before, between and after", function()
    for at = 0, 2 do
      assert.equal(("yield 0, "):rep(at) .. "true false raised " .. at, run(function()
        return pcall(function()
          for i = 0, 2 do
            if i == at then error("raised " .. i, 0) end
            yield(0)
          end
        end)
      end))
    end
    assert.equal("true false nil", run(pcall, error))
    assert.match("^true false attempt to call a nil value$", run(pcall, nil))
    assert.match("^true false attempt to call a table value$", run(pcall, {}))
    assert.match("^yield 1, true true false .*: inner$", run(function()
      return pcall(function()
        yield(1)
        return pcall(function() error("inner") end)
      end)
    end))
  end)

  it("has a handler that sees the frames", function()
    local function fails() error("oops", 0) end
    local traced = run(function()
      return xpcall(function()
        yield(1)
        fails()
      end, debug.traceback)
    end)
    assert.match("^yield 1, true false oops\nstack traceback:", traced)
    assert.match("leave_spec", traced)
    assert.match("%[C%]: in function 'xpcall'", traced)
    -- A handler that raises, which ends in the error for that.
    assert.match("^yield 1, true false ", run(function()
      return xpcall(function() yield(1) error() end, function() error("again") end)
    end))
    -- The handler is this call's alone.
    assert.equal("yield 1, true true false plain", run(function()
      return xpcall(function()
        return pcall(function() yield(1) error("plain", 0) end)
      end, function() return "not this one" end)
    end))
  end)

  it("nests no deeper than calls from C do", function()
    local depth = 0
    local function nest()
      depth = depth + 1
      return pcall(nest)
    end
    local co = coroutine.create(function() return nest() end)
    local values = table.pack(coroutine.resume(co))
    assert.is_true(depth > 150 and depth < 200, depth)
    assert.match("stack overflow", values[values.n])
    -- And is none the worse for it.
    local before = depth
    depth = 0
    coroutine.wrap(function()
      nest()
      depth = 0
      nest()
    end)()
    assert.equal(before, depth)
  end)

  it("nests again after a yield", function()
    local function nest(n)
      if n == 0 then return yield("bottom") end
      return select(2, pcall(nest, n - 1))
    end
    assert.equal("yield bottom, yield bottom, true 1 2", run(function()
      return nest(150), nest(150)
    end))
  end)

  it("in a loop of a million keeps count", function()
    assert.equal("yield 0, true 100000", run(function()
      local n = 0
      for i = 1, 100000 do
        local ok = pcall(i % 2 == 0 and error or type, i)
        if ok == (i % 2 == 1) then n = n + 1 end
        if i == 50000 then yield(0) end
      end
      return n
    end))
  end)
end)

describe("what is to be closed", function()
  it("may yield, when all is well and when an error unwinds", function()
    local function body(fails)
      return function()
        local a <close> = closing(function(_, e) yield("a", tostring(e)) end)
        local b <close> = closing(function(_, e) yield("b", tostring(e)) end)
        yield("body")
        if fails then error("wrong", 0) end
        return a and b and "done"
      end
    end
    assert.equal("yield body, yield b nil, yield a nil, true true done", run(pcall, body(false)))
    assert.equal("yield body, yield b wrong, yield a wrong, true false wrong", run(pcall, body(true)))
  end)

  it("may raise, and the last error counts", function()
    assert.equal("yield 1, yield one, yield two, true false two", run(function()
      return pcall(function()
        local a <close> = closing(function(_, e) yield(e) error("two", 0) end)
        local b <close> = closing(function(_, e) yield(e) error("two", 0) end)
        local c <close> = closing(function() error("one", 0) end)
        yield(1)
        return a, b, c
      end)
    end))
  end)

  it("is closed with its coroutine, wherever that waits", function()
    local log = {}
    local co = coroutine.create(function()
      local a <close> = closing(function(_, e) log[#log + 1] = "a " .. tostring(e) end)
      pcall(function()
        local b <close> = closing(function(_, e)
          log[#log + 1] = "b " .. tostring(e)
          error("b fails", 0)
        end)
        for _ in yield, b do log[#log + 1] = "never" end
      end)
      return a
    end)
    assert.is_true(coroutine.resume(co))
    local ok, message = coroutine.close(co)
    assert.is_false(ok)
    assert.match("b fails", message)
    assert.equal("dead", coroutine.status(co))
    assert.same({ "b nil", "a b fails" }, log)
    assert.is_true(coroutine.close(co))
  end)
end)

describe("the debug library", function()
  local function events(body, mask)
    local co, log = coroutine.create(body), {}
    debug.sethook(co, function(event) log[#log + 1] = event end, mask)
    repeat until not coroutine.resume(co)
    return table.concat(log, " ")
  end

  it("sees the same calls and returns", function()
    assert.equal("call call return call call return return return", events(function()
      yield()
      pcall(type, 1)
    end, "cr"))
    assert.equal("call call call call return return return return", events(function() pcall(pcall, yield) end, "cr"))
    assert.equal("call call return return", events(function() return yield() end, "cr"))
    local lines = "call line call return line line line call call line call return return return line return"
    assert.equal(lines, events(function()
      yield()
      pcall(function()
        yield() end)
    end, "crl"))
  end)

  it("counts instructions across yields", function()
    local function count(n)
      local counted = 0
      local co = coroutine.create(function()
        for _ = 1, n do pcall(yield) end
      end)
      debug.sethook(co, function() counted = counted + 1 end, "", 1)
      repeat until not coroutine.resume(co)
      return counted
    end
    assert.equal(100 * (count(3) - count(2)), count(103) - count(3))
    assert.is_true(count(3) > count(2))
  end)

  it("tells where a coroutine waits", function()
    local function waits(x)
      local y = x + 1
      yield()
      return y
    end
    local co = coroutine.create(function() pcall(waits, 1) end)
    coroutine.resume(co)
    local trace = debug.traceback(co)
    assert.match("^stack traceback:\n\t%[C%]: in function 'coroutine.yield'\n\t.*leave_spec.-\n"
      .. "\t%[C%]: in function 'pcall'\n", trace)
    local name, value = debug.getlocal(co, 1, 2)
    assert.same({ "y", 2 }, { name, value })
    assert.equal("yield", debug.getinfo(co, 0, "n").name)
    assert.equal("C", debug.getinfo(co, 2, "S").what)
    debug.setlocal(co, 1, 2, 5)
    assert.is_true(coroutine.resume(co))
    assert.equal("dead", coroutine.status(co))
  end)
end)

-- Random programs of all that: each writes down what happens to it; the sum is stock Lua's. Every other one
-- closes coroutines, but has no xpcall: one closed inside that calls its handler, which is gone (so does stock).
describe("programs made at random", function()
  local function program(seed)
    local log = {}
    local fuel, closes = 60, seed % 2 == 0
    local function note(what) log[#log + 1] = what end
    local function random(n)
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return (seed >> 8) % n
    end
    local act
    local function text(v)
      return type(v) == "table" and "table " .. tostring(v[1]) or tostring(v):gsub("^.-:%d+: ", "")
    end
    local function closer(yields)
      return closing(function(_, e)
        note("close " .. text(e))
        if yields then note("closed " .. text(yield("in close"))) end
        if random(5) == 0 then error("from close", 0) end
      end)
    end
    local acts = {
      function() return yield(random(9)) end,
      function() note(text(yield(1, 2))) end,
      function(d) return pcall(act, d) end,
      function(d) note("pcall " .. text(select(2, pcall(act, d)))) return act(d) end,
      function(d)
        if closes then return select(2, pcall(act, d)) end
        return select(2, xpcall(act, function(e) note("handler " .. text(e)) return e end, d))
      end,
      function() error({ random(9) }) end,
      function() error("text " .. random(9), 0) end,
      function(d) return act(d) end,
      function(d)
        local function step(_, i) return i < 3 and act(d) and i + 1 or nil end
        for i in step, nil, 0 do note("for " .. i) end
      end,
      function()
        for v in yield, random(3) do
          note("got " .. text(v))
          if random(2) == 0 then break end
        end
      end,
      function(d) local c <close> = closer(random(2) == 0) return c and act(d) end,
      function(d) local c <close> = closer(random(2) == 0) act(d) return c and nil end,
      function(d) return setmetatable({}, { __index = function() return act(d) end }).x end,
      function(d) return setmetatable({}, { __call = function(_, ...) return act(...) end })(d) end,
      function(d) return pcall(table.sort, { 3, 1, 2 }, function(a, b) act(d) return a < b end) end,
      function(d)
        local inner = coroutine.wrap(function() return act(d), act(d) end)
        local a = inner(random(9))
        note("inner " .. text(a))
        return inner(random(9))
      end,
      function(d)
        local inner = coroutine.create(function() return pcall(act, d) end)
        note("resume " .. text(select(2, coroutine.resume(inner))))
        if closes then note("close " .. text(select(2, coroutine.close(inner)))) end
      end,
      function(d) return pcall(pcall, pcall, act, d) end,
      function() return pcall(yield, random(9)) end,
      function() return coroutine.isyieldable() end,
    }
    function act(d)
      fuel = fuel - 1
      d = (d or 0) + 1
      if fuel < 0 or d > 12 then return "end" end
      return acts[random(#acts) + 1](d)
    end
    local co = coroutine.create(function() return act(), act(), act() end)
    for i = 1, 100 do
      if coroutine.status(co) ~= "suspended" then break end
      local values = table.pack(coroutine.resume(co, i))
      for j = 1, values.n do values[j] = text(values[j]) end
      note("=> " .. table.concat(values, " "))
      if closes and random(30) == 0 then note("stop " .. text(select(2, coroutine.close(co)))) end
    end
    return table.concat(log, "\n")
  end

  it("do as on stock Lua", function()
    local sum, yields, errors = 0, 0, 0
    for seed = 1, 3000 do
      local log = program(seed)
      for i = 1, #log do sum = (sum * 31 + log:byte(i)) & 0xffffffffffff end
      for _ in log:gmatch("=> true") do yields = yields + 1 end
      for _ in log:gmatch("handler") do errors = errors + 1 end
    end
    assert.equal("247e992e9eea 6285 198", ("%x %d %d"):format(sum, yields, errors))
  end)
end)
