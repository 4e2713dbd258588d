-- lua/definition.lua and lua/version.lua: what travels, what keeps its identity, what is refused and how it says so.

package.path = "./lua/?.lua;" .. package.path
local definition = require "definition"
local version = require "mooncast.version"

local globals = package.loaded._G

local type_names = {} -- actor type -> name, as a node would know them

local function actor_type(name)
  local class = setmetatable({}, { __name = "actor type" })
  type_names[class] = name
  return class
end

local function sender(changes)
  local context = {
    actor_types = function(value) return type_names[value] end,
    is_sendable_leaf = function(value) return value == io.stderr end, -- stands for a ref
  }
  for key, value in pairs(changes or {}) do context[key] = value end
  return context
end

local function receiver(changes)
  local context = { actor_type = function() return nil end, env = globals, require = require }
  for key, value in pairs(changes or {}) do context[key] = value end
  return context
end

-- What a codec does to it: a copy in which no table is shared. Refuses what a codec would.
local function through_wire(value)
  if type(value) ~= "table" then
    assert(type(value) ~= "function" and type(value) ~= "thread", "the codec cannot send this")
    return value
  end
  assert(getmetatable(value) == nil)
  local copy, count = {}, 0
  for key, field in pairs(value) do
    copy[key] = through_wire(field)
    count = count + 1
  end
  assert(#value == 0 or #value == count, "neither array nor map")
  return copy
end

local function travel(class, to, from)
  return definition.unpack(through_wire(definition.pack(class, sender(from))), receiver(to))
end

local function travel_function(fn, to, from)
  return definition.unpack(through_wire(definition.pack_function(fn, sender(from))), receiver(to))
end

local function failure(fn, ...)
  local ok, raised = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_table(raised, "raised: " .. tostring(raised))
  return raised
end

local function refusal(class)
  local raised = failure(definition.pack, class, sender())
  assert.equal("unsendable", raised.code)
  return raised.message
end

describe("a packed definition", function()
  it("runs the methods it was made of", function()
    local Counter = actor_type "Counter"
    function Counter:init(n) self.n = n or 0 end
    function Counter:inc(by) self.n = self.n + (by or 1); return self.n end

    local methods = travel(Counter)
    local self = {}
    methods.init(self, 10)
    assert.equal(15, methods.inc(self, 5))
    assert.is_nil(getmetatable(methods))
    assert.not_equal(Counter.inc, methods.inc)
  end)

  it("keeps fields that are data, and keys of every kind", function()
    local Counter = actor_type "Counter"
    Counter.limit, Counter.ratio, Counter.bytes, Counter.off = 5, 1.0, "\0\xff", false
    Counter[1], Counter[2.5], Counter[true] = "one", "float", "yes"

    local methods = travel(Counter)
    assert.equal("integer", math.type(methods.limit))
    assert.equal("float", math.type(methods.ratio))
    assert.equal("\0\xff", methods.bytes)
    assert.is_false(methods.off)
    assert.same({ "one", "float", "yes" }, { methods[1], methods[2.5], methods[true] })
  end)

  it("sets all upvalues, in their order, nil and false too", function()
    local a, b, c, d, e = 1, nil, false, "four", 5.5
    local Type = actor_type "Type"
    function Type.all() return a, b, c, d, e end
    function Type.backwards() return e, d, c, b, a end

    local methods = travel(Type)
    assert.same(table.pack(1, nil, false, "four", 5.5), table.pack(methods.all()))
    assert.same(table.pack(5.5, "four", false, nil, 1), table.pack(methods.backwards()))
  end)

  it("keeps extreme numbers", function()
    local least, greatest, infinite, nan, negative = math.mininteger, math.maxinteger, -math.huge, 0 / 0, -0.0
    local fn = travel_function(function() return least, greatest, infinite, nan, negative end)
    local a, b, c, d, e = fn()
    assert.same({ math.mininteger, math.maxinteger, -math.huge }, { a, b, c })
    assert.is_true(d ~= d)
    assert.equal("-inf", tostring(1 / e))
  end)

  it("keeps varargs and their count", function()
    local fn = travel_function(function(...) return select("#", ...), ... end)
    assert.same(table.pack(3, nil, 2, nil), table.pack(fn(nil, 2, nil)))
  end)

  it("travels on from where it came", function()
    local count = 1
    local Type = actor_type "Type"
    function Type.next() count = count + 1; return count end
    local once = travel(Type)
    assert.equal(2, once.next())
    assert.equal(3, travel(once).next())
    assert.equal(3, once.next())
  end)
end)

describe("upvalues", function()
  it("that functions share stay shared, and can be changed by both", function()
    local count = 10
    local Type = actor_type "Type"
    function Type.add(n) count = count + n end
    function Type.get() return count end

    local methods = travel(Type)
    methods.add(5)
    assert.equal(15, methods.get())
    assert.equal(10, count)
  end)

  it("that functions do not share stay apart", function()
    local function make(n) return function() n = n + 1; return n end end
    local Type = actor_type "Type"
    Type.a, Type.b = make(0), make(0)

    local methods = travel(Type)
    assert.equal(2, (methods.a() + methods.a()) - 1)
    assert.equal(1, methods.b())
  end)

  it("are shared with functions inside data", function()
    local level = 1
    local handlers = { raise = function() level = level + 1 end }
    local Type = actor_type "Type"
    function Type.raise() handlers.raise(); return level end

    assert.equal(2, travel(Type).raise())
    assert.equal(1, level)
  end)

  it("may be the function itself", function()
    local function factorial(n) return n <= 1 and 1 or n * factorial(n - 1) end
    assert.equal(120, travel_function(factorial)(5))
  end)

  it("may be functions that call each other", function()
    local is_odd
    local function is_even(n) return n == 0 or is_odd(n - 1) end
    function is_odd(n) return n ~= 0 and is_even(n - 1) end

    local fn = travel_function(is_even)
    assert.is_true(fn(10))
    assert.is_false(fn(7))
  end)

  it("named _ENV become the receiver's globals", function()
    local fn = load "answer = (answer or 0) + 1; return answer, _ENV"
    local env = { answer = 41 }
    local answer, seen = travel_function(fn, { env = env })()
    assert.equal(42, answer)
    assert.equal(env, seen)
    assert.equal(42, env.answer)
  end)

  it("that hold the globals become the receiver's", function()
    local everything = globals
    local env = { mark = true }
    assert.equal(env, travel_function(function() return everything end, { env = env })())
    assert.equal(env, travel({ all = { everything } }, { env = env }).all[1])
  end)

  it("of a function without debug information are set too", function()
    local fn = load(string.dump(load "return answer", true), "=stripped", "b", globals)
    assert.equal(42, travel_function(fn, { env = { answer = 42 } })())
  end)

  it("can be as many as Lua has", function()
    local lines, names = {}, {}
    for i = 1, 60 do
      lines[i] = ("local v%d = %d"):format(i, i)
      names[i] = "v" .. i
    end
    local source = table.concat(lines, "\n") .. "\nreturn function() return " .. table.concat(names, " + ") .. " end"
    assert.equal(1830, travel_function(load(source)())())
  end)
end)

describe("data", function()
  it("is copied, and what was one table is one table", function()
    local shared = { n = 1 }
    local Type = actor_type "Type"
    Type.a, Type.b = { inner = shared }, shared
    function Type.change() shared.n = 2 end

    local methods = travel(Type)
    methods.change()
    assert.equal(2, methods.b.n)
    assert.equal(methods.b, methods.a.inner)
    assert.equal(1, shared.n)
  end)

  it("may have cycles", function()
    local node = { name = "a" }
    node.self, node.list = node, { node }
    local copy = travel({ node = node }).node
    assert.equal(copy, copy.self)
    assert.equal(copy, copy.list[1])
    assert.not_equal(node, copy)
  end)

  it("may be nested deeper than the C stack goes", function()
    local deep = {}
    for _ = 1, 20000 do deep = { next = deep } end
    local depth, at = 0, travel({ deep = deep }).deep
    while at.next do depth, at = depth + 1, at.next end
    assert.equal(20000, depth)
  end)

  it("may have tables and functions as keys", function()
    local key = { "key" }
    local function fn() return "fn" end
    local copy = travel({ data = { [key] = 1, [fn] = 2 }, key = key, fn = fn })
    assert.equal(1, copy.data[copy.key])
    assert.equal(2, copy.data[copy.fn])
  end)

  it("keeps holes", function()
    local copy = travel({ holes = { 1, nil, 3, n = 3 } }).holes
    assert.same({ 1, nil, 3, n = 3 }, copy)
  end)

  it("may refer to the type itself when that has no name", function()
    local Type = setmetatable({}, { __call = function() end })
    function Type.me() return Type end
    local methods = travel(Type)
    assert.equal(methods, methods.me())
  end)
end)

describe("names", function()
  it("stand for modules", function()
    local text = string
    local fn = travel_function(function() return text end)
    assert.equal(string, fn())
  end)

  it("stand for functions of modules, C or Lua", function()
    package.loaded.shapes = { area = function() return "here" end }
    local format, insert, area = string.format, table.insert, package.loaded.shapes.area
    local there = { area = function() return "there" end }
    local fn = travel_function(function() return format, insert, area end, {
      require = function(name) return name == "shapes" and there or require(name) end,
    })
    package.loaded.shapes = nil
    local a, b, c = fn()
    assert.equal(string.format, a)
    assert.equal(table.insert, b)
    assert.equal("there", c())
  end)

  it("prefer the standard library", function()
    package.loaded.aaa = { unpack = table.unpack }
    local unpack = table.unpack
    local plain = definition.pack_function(function() return unpack end, sender())
    package.loaded.aaa = nil
    assert.same({ "module", "table", "unpack" }, plain.cells[1])
  end)

  it("stand for userdata and tables of modules", function()
    local limits = setmetatable({}, { __index = {} })
    package.loaded.settings = { limits = limits }
    local out = io.stdout
    local fn = travel_function(function() return limits, out end)
    local a, b = fn()
    package.loaded.settings = nil
    assert.equal(limits, a)
    assert.equal(io.stdout, b)
  end)

  it("stand for what is global in stock Lua, in the receiver's globals", function()
    local out = print
    local function mine() end
    assert.equal(mine, travel_function(function() return out end, { env = { print = mine } })())
  end)

  it("do not stand for other globals: those are sent", function()
    globals.my_helper = function() return 7 end
    local help = globals.my_helper
    local fn = travel_function(function() return help() end, { env = {} })
    globals.my_helper = nil
    assert.equal(7, fn())
  end)

  it("stand for actor types, this one and others", function()
    local Counter, Other = actor_type "Counter", actor_type "Other"
    function Counter.types() return Counter, Other end
    local known = { Counter = {}, Other = {} }
    local methods = travel(Counter, { actor_type = function(name) return known[name] end })
    local a, b = methods.types()
    assert.equal(known.Counter, a)
    assert.equal(known.Other, b)
  end)

  it("of a module that is the actor type itself do not stand for its methods", function()
    local Greeter = actor_type "Greeter"
    function Greeter.hello() return "hello" end
    package.loaded.greeter = Greeter
    local methods = travel(Greeter, { require = function() error "not to be required" end })
    package.loaded.greeter = nil
    assert.equal("hello", methods.hello())
  end)

  it("are not needed for refs", function()
    local ref = io.stderr
    local context = sender { loaded = {} }
    local plain = definition.pack({ ref = ref }, context)
    assert.equal(ref, definition.unpack(plain, receiver()).ref)
  end)

  it("are not needed for values of registered types", function()
    local point = setmetatable({ x = 1 }, { __name = "point" })
    local context = sender { is_sendable_leaf = function(value) return value == point end }
    assert.equal(point, definition.unpack(definition.pack({ at = point }, context), receiver()).at)
  end)
end)

describe("what cannot be sent", function()
  local userdata = assert(io.open("lua/definition.lua")) -- a file: nobody's leaf, in no module

  teardown(function() userdata:close() end)

  it("is named with its path: a userdata", function()
    local cache = { file = userdata }
    local Counter = actor_type "Counter"
    function Counter.inc() return cache end
    assert.equal("cannot send a userdata at Counter.inc.cache.file", refusal(Counter))
  end)

  it("a C function that is in no module", function()
    local step = string.gmatch("a", "a")
    local Counter = actor_type "Counter"
    function Counter.inc() return step end
    assert.equal("cannot send a C function at Counter.inc.step", refusal(Counter))
  end)

  it("a thread", function()
    local Counter = actor_type "Counter"
    Counter.list = { 1, { ["a key"] = coroutine.create(print) } }
    assert.equal('cannot send a thread at Counter.list[2]["a key"]', refusal(Counter))
  end)

  it("a table with a metatable, even a hidden one", function()
    local Counter = actor_type "Counter"
    Counter.point = setmetatable({}, { __metatable = false })
    assert.equal("cannot send a table with a metatable at Counter.point", refusal(Counter))
  end)

  it("a key, and what functions inside data refer to", function()
    local Counter = actor_type "Counter"
    Counter.by_thread = { [coroutine.create(print)] = true }
    assert.equal("cannot send a thread at Counter.by_thread[thread]", refusal(Counter))

    local Other, file = actor_type "Other", userdata
    local function close() return file end
    Other.on = { [true] = { close } }
    assert.equal("cannot send a userdata at Other.on[true][1].file", refusal(Other))
  end)

  it("in a function that travels alone", function()
    local file = userdata
    local function task() return file end
    local raised = failure(definition.pack_function, task, sender { name = "task" })
    assert.equal("cannot send a userdata at task.file", raised.message)
  end)
end)

describe("a receiver", function()
  it("says which module it lacks", function()
    package.loaded.shapes = { area = function() end }
    local area = package.loaded.shapes.area
    local plain = definition.pack_function(function() return area end, sender())
    package.loaded.shapes = nil
    local raised = failure(definition.unpack, plain, receiver { require = function() error("no such file", 0) end })
    assert.equal("unsendable", raised.code)
    assert.equal("module 'shapes' cannot be required on this node: no such file", raised.message)
  end)

  it("says which field or global it lacks", function()
    local format, out = string.format, print
    local plain = definition.pack_function(function() return format end, sender())
    local raised = failure(definition.unpack, plain, receiver { require = function() return {} end })
    assert.equal("there is no field 'format' in module 'string' on this node", raised.message)

    plain = definition.pack_function(function() return out end, sender())
    raised = failure(definition.unpack, plain, receiver { env = {} })
    assert.equal("there is no global 'print' on this node", raised.message)
  end)

  it("says which actor type it lacks", function()
    local Other = actor_type "Other"
    local plain = definition.pack_function(function() return Other end, sender())
    local raised = failure(definition.unpack, plain, receiver())
    assert.same({ code = "unsendable", message = "there is no actor type 'Other' on this node" }, raised)
  end)

  it("refuses another format, source text and broken code", function()
    assert.equal("version_mismatch", failure(definition.unpack, { format = 2 }, receiver()).code)
    local plain = definition.pack_function(function() end, sender())
    plain.functions[1].code = "return 1"
    assert.equal("malformed", failure(definition.unpack, plain, receiver()).code)
    plain.functions[1].code = string.dump(function() return plain end)
    assert.equal("malformed", failure(definition.unpack, plain, receiver()).code)
    plain.root = { "no such kind" }
    plain.functions = {}
    assert.equal("malformed", failure(definition.unpack, plain, receiver()).code)
  end)

  it("keeps file and line in errors and tracebacks", function()
    local source = "local function inner() error 'deep' end\nreturn function()\n  inner()\n  return 1\nend"
    local fn = travel_function(load(source, "@app/counter.lua")())
    local _, message = xpcall(fn, debug.traceback)
    assert.matches("^app/counter.lua:1: deep", message)
    assert.matches("app/counter.lua:1: in upvalue 'inner'", message, 1, true)
    assert.matches("app/counter.lua:3: in function <app/counter.lua:2>", message, 1, true)
  end)
end)

describe("a hash", function()
  local function make(step, label)
    local Type = actor_type "Type"
    local function twice(n) return n * step end
    function Type.run(_, n) return twice(n) end
    function Type.other() return label, twice end
    Type.data = { 1, 2.5, "x", on = true, [false] = "no" }
    return Type
  end

  local function hash(class) return version.hash(definition.pack(class, sender())) end

  it("is the same for the same definition, here and there", function()
    local plain = definition.pack(make(2, "a"), sender())
    assert.equal("integer", math.type(version.hash(plain)))
    assert.equal(version.hash(plain), hash(make(2, "a")))
    assert.equal(version.hash(plain), version.hash(through_wire(plain)))
    local copy = definition.unpack(plain, receiver())
    type_names[copy] = "Type"
    assert.equal(version.hash(plain), hash(copy))
  end)

  it("does not depend on the order in which fields were set", function()
    local forwards, backwards = {}, {}
    for i = 1, 50 do forwards["field" .. i], backwards["field" .. 51 - i] = i, 51 - i end
    assert.equal(hash(forwards), hash(backwards))
  end)

  it("is another when anything differs", function()
    local seen = {}
    local function add(value)
      local hash_of_it = version.hash({ value })
      assert.is_nil(seen[hash_of_it])
      seen[hash_of_it] = true
    end
    local values = { 1, 1.0, "1", true, false, "", -0.0, 0.0, 0, 0 / 0, {}, { 1 }, { "1" }, { {} }, { x = 1 } }
    for _, value in ipairs(values) do add(value) end
    assert.not_equal(hash(make(2, "a")), hash(make(3, "a")))
    assert.not_equal(hash(make(2, "a")), hash(make(2, "b")))
  end)

  it("takes refs by what the context says of them", function()
    local context = { ref_id = function() return "w1/7" end }
    local other = { ref_id = function() return "w1/8" end }
    assert.equal(version.hash({ io.stderr }, context), version.hash({ io.stdout }, context))
    assert.not_equal(version.hash({ io.stderr }, context), version.hash({ io.stderr }, other))
    assert.not_equal(version.hash({ "w1/7" }, context), version.hash({ io.stderr }, context))
  end)

  it("is FNV-1a", function()
    -- one node computes it with the same code as any other; this holds it across versions of the code
    assert.equal(0xaf63e94c860202a3, version.hash(true))
  end)
end)

describe("a version", function()
  local core = require "mooncast.core"

  local function new_type(name) return core.define("definition_spec." .. name, {}, {}) end

  it("is that of a type until methods are set, added or removed", function()
    local Type = new_type "Type"
    function Type.a() end
    Type.nan = 0 / 0
    local function renewed(to)
      local before = core.class_version(Type)
      core.set_class_version(Type, to)
      return before == nil and core.class_version(Type) == to
    end
    assert.is_true(renewed(1))
    assert.equal(1, core.class_version(Type))
    function Type.b() end
    assert.is_true(renewed(2))
    function Type.a() return 1 end
    assert.is_true(renewed(3))
    Type.a = nil
    assert.is_true(renewed(4))
    Type.c, Type.b = Type.b, nil
    assert.is_true(renewed(5))
    assert.equal(5, core.class_version(Type))
    assert.is_nil(core.class_version(new_type "Other"))
  end)

  it("may hold whatever happens to the methods", function()
    local Type = new_type "Type"
    core.set_class_version(Type, 1, true)
    function Type.a() end
    assert.equal(1, core.class_version(Type))
  end)

  it("does not keep types alive", function()
    local alive = setmetatable({}, { __mode = "k" })
    do
      local Type = new_type "Type"
      function Type.me() return Type end
      core.set_class_version(Type, 1)
      alive[Type] = true
    end
    new_type "Type" -- the newest definition is kept
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(alive))
  end)
end)

describe("explain", function()
  local function explained(source)
    local fn = travel_function(load(source, "=app"), { env = {} })
    local _, message = pcall(fn)
    return version.explain(message)
  end

  it("adds a hint wherever a global is missing", function()
    local hint = "; globals do not travel to other nodes: make 'helper' local to the definition, "
      .. "or put it in a module that is required"
    local cases = {
      ["helper()"] = "attempt to call a nil value (global 'helper')",
      ["return helper.x"] = "attempt to index a nil value (global 'helper')",
      ["helper.x = 1"] = "attempt to index a nil value (global 'helper')",
      ["return helper + 1"] = "attempt to perform arithmetic on a nil value (global 'helper')",
      ["return helper .. ''"] = "attempt to concatenate a nil value (global 'helper')",
      ["return #helper"] = "attempt to get length of a nil value (global 'helper')",
      ["return helper | 1"] = "attempt to perform bitwise operation on a nil value (global 'helper')",
    }
    for source, message in pairs(cases) do
      assert.equal("app:1: " .. message .. hint, explained(source))
    end
  end)

  it("keeps a traceback behind the hint, and adds one hint only", function()
    local text = "a:1: attempt to call a nil value (global 'f')\nstack traceback:\n\ta:1: in ?"
    local once = version.explain(text)
    assert.matches("required\nstack traceback:\n\ta:1: in ?", once, 1, true)
    assert.equal(once, version.explain(once))
  end)

  it("leaves everything else as it is", function()
    local object = {}
    for _, message in ipairs { "boom", "attempt to call a nil value (field 'x')", object, 5, false } do
      assert.equal(message, version.explain(message))
    end
    assert.is_nil(version.explain(nil))
  end)
end)
