-- lua/repl.lua: entries, how values are shown, names completed.

package.path = "./lua/?.lua;" .. package.path
local repl = require "repl"

local globals = package.loaded._G

local function new_env()
  return setmetatable({}, { __index = globals })
end

local function eval(entry, env)
  return repl.eval(entry, env or new_env())
end

local function result(entry, env)
  local status, text = eval(entry, env)
  assert.equal("ok", status, text)
  return text
end

local function failure(entry, env)
  local status, text = eval(entry, env)
  assert.equal("error", status)
  return text
end

describe("an entry", function()
  it("is an expression first", function()
    assert.equal("2", result "1 + 1")
    assert.equal("1\tnil\ta\tnil", result "1, nil, 'a', nil")
    assert.equal("nil", result "nothing_here")
    assert.equal("", result "")
    assert.equal("", result "-- a comment")
    assert.equal("", result "(function() end)()")
  end)

  it("is a statement otherwise", function()
    local env = new_env()
    assert.equal("", result("x = 5", env))
    assert.equal("5", result("x", env))
    assert.equal("10", result("local y = x; return y * 2", env))
    assert.equal("3", result("for i = 1, 3 do last = i end return last", env))
    assert.is_nil(globals.x)
  end)

  it("may begin with =", function()
    assert.equal("7", result "=3 + 4")
    assert.equal("1\t2", result " = 1, 2")
    assert.matches("^stdin:1: ", failure "=x = 1")
  end)

  it("may go on in the next line", function()
    for _, entry in ipairs {
      "for i = 1, 3 do", "function f()", "x = {", "print(", "f(1,", "=1 +", "x = [[text", "--[[ comment", "if x then",
      "return function()", "x =", "repeat",
    } do
      local status, text = eval(entry)
      assert.equal("more", status, entry)
      assert.is_nil(text)
    end
    assert.equal("4", result "(function()\nreturn 4\nend)()")
    assert.equal("line\nline", result "[[line\nline]]")
  end)

  it("that is wrong says so at once, without a traceback", function()
    assert.equal("stdin:1: unexpected symbol near ')'", failure ")")
    assert.equal("stdin:2: syntax error near '5'", failure "x = 1\ny 5")
    assert.matches("^stdin:1: break outside ", failure "break")
    assert.matches("^stdin:1: ", failure "x = 'unfinished\n'")
  end)

  it("is never a binary chunk", function()
    assert.equal("error", (eval(string.dump(function() end))))
  end)

  it("may await: yields pass through", function()
    local co = coroutine.create(repl.eval)
    local env = new_env()
    assert.same({ true, "question" }, { coroutine.resume(co, "coroutine.yield('question') + 1", env) })
    assert.same({ true, "ok", "42" }, { coroutine.resume(co, 41) })
    co = coroutine.create(repl.eval)
    coroutine.resume(co, "error(coroutine.yield(), 0)", env)
    local _, status, text = coroutine.resume(co, "late")
    assert.equal("error", status)
    assert.matches("^late\nstack traceback:", text)
  end)
end)

describe("an error", function()
  it("has the message and a traceback that ends where the entry does", function()
    local text = failure "local function inner() error 'boom' end\nlocal function outer() inner() return 1 end\nouter()"
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal("stdin:1: boom", lines[1])
    assert.equal("stack traceback:", lines[2])
    assert.equal("\t[C]: in function 'error'", lines[3])
    assert.equal("\tstdin:1: in upvalue 'inner'", lines[4])
    assert.equal("\tstdin:2: in local 'outer'", lines[5])
    assert.matches("^\tstdin:3: in ", lines[6])
    assert.equal(6, #lines)
  end)

  it("keeps an xpcall of the entry's own", function()
    local text = failure "xpcall(function() error 'inner' end, function() end)\nerror 'outer'"
    assert.matches("^stdin:2: outer\n", text)
    assert.not_matches("xpcall", text)
    text = failure "local _, t = xpcall(function() error 'x' end, debug.traceback) error(t, 0)"
    assert.matches("in function 'xpcall'", text)
  end)

  it("may be any value", function()
    assert.matches("^%(error object is a nil value%)\nstack", failure "error(nil)")
    assert.matches("^%(error object is a boolean value%)", failure "error(false)")
    assert.matches("^5\n", failure "error(5)")
    assert.matches('^%(error object is a table value%) {code = "x"}\n', failure "error{code = 'x'}")
    assert.matches("^I am E\n", failure "error(setmetatable({}, {__tostring = function() return 'I am E' end}))")
    assert.matches("^<table whose __tostring fails>\n", failure "error(setmetatable({}, {__tostring = error}))")
  end)

  it("may be a stack overflow", function()
    assert.matches("stack overflow", failure "local function f() return 1 + f() end return f()")
  end)

  it("may come from a C function", function()
    assert.matches("bad argument #1 to 'insert'", failure "table.insert()")
    assert.matches("attempt to call a nil value %(global 'nope'%)", failure "nope()")
  end)
end)

describe("show", function()
  local function shown(...) return repl.show(...) end

  it("is like print for simple values", function()
    assert.equal("", shown())
    assert.equal("nil", shown(nil))
    assert.equal("1\t1.0\ttext\ttrue\tnil", shown(1, 1.0, "text", true, nil))
    assert.equal("two\nlines", shown("two\nlines"))
    assert.equal(tostring(print), shown(print))
  end)

  it("shows tables with their keys in order", function()
    assert.equal("{}", shown {})
    assert.equal("{1, 2, 3}", shown { 1, 2, 3 })
    assert.equal('{"a", false, x = 1, y = {2}}', shown { "a", false, y = { 2 }, x = 1 })
    assert.equal('{[-1] = 0, [2.5] = 0, ["a b"] = 0, b = 0, ["end"] = 0, [false] = 0, [true] = 0}',
      shown { [true] = 0, [false] = 0, ["a b"] = 0, b = 0, ["end"] = 0, [2.5] = 0, [-1] = 0 })
    assert.equal("{1, [3] = 3}", shown { 1, nil, 3 })
  end)

  it("quotes strings inside tables", function()
    assert.equal([[{"a\n\t\"\\\x00\x7F"}]], shown { "a\n\t\"\\\0\x7F" })
    assert.equal('{"Übergröße"}', shown { "Übergröße" })
    assert.equal([[{"\xC3(\xFF"}]], shown { "\xC3(\xFF" })
    assert.equal('{\n  "' .. ("x"):rep(200) .. '"... (1000 bytes)\n}', shown { ("x"):rep(1000) })
    assert.equal('{\n  "x' .. ("ü"):rep(99) .. '"... (401 bytes)\n}', shown { "x" .. ("ü"):rep(200) })
  end)

  it("marks cycles, not what merely occurs twice", function()
    local node = { 1 }
    node.self = node
    assert.equal("{1, self = <cycle>}", shown(node))
    local leaf = { 5 }
    assert.equal("{{5}, {5}}", shown { leaf, leaf })
  end)

  it("ends at a depth", function()
    assert.equal("{{{{{{...}}}}}}", shown { { { { { { { 1 } } } } } } })
    assert.equal("{{{{{{}}}}}}", shown { { { { { {} } } } } })
  end)

  it("breaks what is too wide", function()
    local long = ("w"):rep(30)
    assert.equal('{\n  a = "' .. long .. '",\n  b = "' .. long .. '",\n  c = "' .. long .. '"\n}',
      shown { a = long, b = long, c = long })
    assert.equal('{\n  list = {\n    "' .. long .. '", "' .. long .. '",\n    "' .. long .. '"\n  }\n}',
      shown { list = { long, long, long } })
    local numbers = {}
    for i = 1, 90 do numbers[i] = i end
    for line in shown(numbers):gmatch("[^\n]+") do assert.is_true(#line <= 80, line) end
  end)

  it("does not show more than can be read", function()
    local many = {}
    for i = 1, 1000 do many[i] = i end
    assert.matches("100,\n  ... 900 more\n}$", shown(many))
    local huge = {}
    for i = 1, 100 do
      huge[i] = {}
      for j = 1, 100 do huge[i][j] = { j } end
    end
    assert.is_true(#shown(huge) < 20000)
    assert.matches("^{.*more", shown(huge))
  end)

  it("uses __tostring and __name, and survives them", function()
    assert.equal("point", shown(setmetatable({}, { __tostring = function() return "point" end })))
    assert.equal("{point}", shown { setmetatable({}, { __tostring = function() return "point" end }) })
    assert.equal("Point {x = 1}", shown(setmetatable({ x = 1 }, { __name = "Point" })))
    assert.equal("<table whose __tostring fails>", shown(setmetatable({}, { __tostring = function() return {} end })))
  end)

  it("reads tables raw", function()
    local strange = setmetatable({ 1 }, { __index = error, __len = error, __pairs = error, __eq = error })
    assert.equal("{1}", shown(strange))
  end)
end)

describe("complete", function()
  local env

  before_each(function()
    local base = { inherited = function() end }
    local object = { field = 1, find = function() end, ["not a name"] = 1, ["end"] = 1 }
    setmetatable(object, { __index = base })
    env = setmetatable({ object = object, other = { inner = object }, text = "abc" }, { __index = globals })
  end)

  local function completions(prefix)
    return (repl.complete(prefix, env))
  end

  it("finds globals", function()
    assert.same({ "object", "os", "other" }, completions "o")
    assert.same({ "tonumber", "tostring" }, completions "print(to")
    assert.same({}, completions "no_such_name")
  end)

  it("finds fields, inherited ones too", function()
    assert.same({ "object.field", "object.find", "object.inherited" }, completions "object.")
    assert.same({ "other.inner.field", "other.inner.find" }, completions "x = other.inner.fi")
    assert.same({ "string.format" }, completions "string.form")
  end)

  it("finds methods", function()
    assert.same({ "object:find", "object:inherited" }, completions "object:")
    assert.same({ "text:rep", "text:reverse" }, completions "text:re")
  end)

  it("says what the completions stand for", function()
    local list, token = repl.complete("print(object.fie", env)
    assert.same({ "object.field" }, list)
    assert.equal("object.fie", token)
    list, token = repl.complete("'a'..obj", env)
    assert.same({ "object" }, list)
    assert.equal("obj", token)
  end)

  it("finds nothing where there is nothing", function()
    for _, prefix in ipairs { "nothing.at.", "f().x", "12.5", "object.field.x", "text.x:y", ":", "." } do
      assert.same({}, completions(prefix), prefix)
    end
  end)

  it("calls nothing", function()
    env.trap = setmetatable({ ok = 1 }, { __index = error, __pairs = error })
    assert.same({ "trap.ok" }, completions "trap.")
    assert.same({}, completions "trap.missing.")
  end)

  it("ends on a chain that goes round", function()
    env.loop = {}
    setmetatable(env.loop, { __index = env.loop })
    assert.same({}, completions "loop.x")
  end)

  it("asks for the methods of what is no table", function()
    env.ref = io.stdout
    local function methods() return { "inc", "increase", "get" } end
    assert.same({ "ref:inc", "ref:increase" }, (repl.complete("ref:in", env, methods)))
  end)
end)
