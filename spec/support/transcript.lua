-- One program that uses every kind of value and every kind of error, and prints what it sees.
--
-- What it prints names no node, address or time: it must be the same, byte for byte, whatever the number
-- of workers and whatever links them. Its actors are spread over the nodes in turn, so that with one
-- worker all calls stay inside it, and with more nearly none do.

local mc = require "mooncast"

-- Actors. Each of these runs on any node.

local Echo = mc.actor "Echo"

function Echo:echo(...) return ... end
function Echo:count(...) return select("#", ...) end
function Echo:kinds(...)
  local kinds = table.pack(...)
  for i = 1, kinds.n do kinds[i] = math.type(kinds[i]) or type(kinds[i]) end
  return table.concat(kinds, " ")
end
function Echo:text_of_number(n) return ("%q"):format(n) end
function Echo:bytes_of(text) return text:byte(1, -1) end
function Echo:nothing() end
function Echo:_secret() return "secret" end

local Raiser = mc.actor "Raiser"

function Raiser:plain() error("just text", 0) end
function Raiser:placed() error "with a place" end
function Raiser:object() error({ code = 7, list = { 1, "two" } }) end
function Raiser:nothing() error(nil) end
function Raiser:number() error(42) end
function Raiser:boolean() error(false) end
function Raiser:mistake() local t = {}; return t.field.field end
function Raiser:function_result() return 1, { on = { click = function() end } } end

local Middle = mc.actor "Middle"

function Middle:init(inner) self.inner = inner end
function Middle:pass(method, ...) return mc.call(self.inner, method, ...) end
function Middle:catch(method, ...)
  local ok, raised = pcall(mc.call, self.inner, method, ...)
  return ok, raised
end

local Journal = mc.actor "Journal"

function Journal:init() self.entries = {} end
function Journal:add(...)
  for _, entry in ipairs { ... } do self.entries[#self.entries + 1] = entry end
end
function Journal:total() return #self.entries end
function Journal:all() return self.entries end

local Keeper = mc.actor "Keeper"

function Keeper:init(name) self.name, self.kept = name, {} end
function Keeper:keep(key, ref) self.kept[key] = ref end
function Keeper:give(key) return self.kept[key] end
function Keeper:hello(from) return ("%s greets %s"):format(self.name, from) end
function Keeper:greet(key) return self.kept[key]:hello(self.name) end
function Keeper:pass_on(key, to) return to:keep(key, self.kept[key]) end
function Keeper:holds(key, ref) return self.kept[key] == ref end

local Adder = mc.actor "Adder"

function Adder:init(n) self.n = n or 0 end
function Adder:add(by) self.n = self.n + (by or 1); return self.n end

-- Printing values: keys in order, integers and floats apart, bytes escaped.

local names_of_refs = {} -- { ref, name } pairs: refs are compared by what they refer to

local function name_of(ref)
  for _, pair in ipairs(names_of_refs) do
    if pair[1] == ref then return pair[2] end
  end
end

local function quoted(text)
  return '"' .. text:gsub('[%c\\"\x80-\xff]', function(c) return ("\\x%02x"):format(c:byte()) end) .. '"'
end

-- C libraries differ in `%a`, and so in `%q`.
local function show_number(n)
  if math.type(n) == "integer" then return ("%d"):format(n) end
  if n ~= n then return "nan" end
  local text = ("%.17g"):format(n)
  return text:find("^-?%d+$") and text .. ".0" or text
end

local show

local function show_table(data)
  local fields = {}
  for key, value in next, data do
    fields[#fields + 1] = ("[%s] = %s"):format(show(key), show(value))
  end
  table.sort(fields)
  return "{" .. table.concat(fields, ", ") .. "}"
end

function show(value)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "number" then return show_number(value) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  local name = name_of(value)
  if name then return "ref of " .. name end
  if kind == "table" then return show_table(value) end
  return "a " .. kind
end

local function show_all(...)
  local texts = table.pack(...)
  for i = 1, texts.n do texts[i] = show(texts[i]) end
  return ("(%d) %s"):format(texts.n, table.concat(texts, ", "))
end

local function line(label, ...)
  print(label .. ": " .. show_all(...))
end

-- What the system raises has a metatable and a code; its words may name nodes, so they are not printed.
local function is_system_error(raised)
  return type(raised) ~= "string" and getmetatable(raised) ~= nil
end

local function show_raised(raised)
  if is_system_error(raised) then return "mc.Error " .. tostring(raised.code) end
  if type(raised) ~= "string" then return show(raised) end
  return quoted((raised:gsub("^.-([%w_]+%.lua):(%d+): ", "%1:N: ")))
end

-- But what cannot be sent is named by its path, which is the same everywhere.
local function show_refused(raised)
  if not is_system_error(raised) then return "not by the system: " .. show_raised(raised) end
  return ("mc.Error %s, %s"):format(raised.code, raised.message)
end

local function attempt(label, show_error, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return line(label .. " returned", table.unpack(results, 2, results.n)) end
  print(label .. " raised: " .. show_error(results[2]))
end

local function heading(text)
  print("\n" .. text)
end

-- Spawning on one node after the other.

local spawned = 0

local function spawn(name, Type, ...)
  local nodes = mc.nodes()
  spawned = spawned + 1
  local ref = mc.spawn({ Type, on = nodes[spawned % #nodes + 1] }, ...)
  names_of_refs[#names_of_refs + 1] = { ref, name }
  return ref
end

-- The chapters.

local function values(echo)
  heading "values"
  line("nil and booleans", echo:echo(nil, true, false))
  line("integers", echo:echo(0, -1, 23, 24, 255, 256, 65536, -4294967297))
  line("extreme integers", echo:echo(math.maxinteger, math.mininteger, (1 << 53) + 1, -(1 << 53) - 1))
  line("floats", echo:echo(1.0, 0.1, -1e300, 5e-324, 2.0 ^ 53, 1e15))
  line("odd floats", echo:echo(0 / 0, math.huge, -math.huge, -0.0, 0.0))
  line("kinds of number", echo:kinds(1, 1.0, 2 ^ 53, 1 << 53, -0.0, "1"))
  line("numbers as seen there", echo:text_of_number(0.1), echo:text_of_number(math.mininteger))
  line("text", echo:echo("", "plain", "Übergröße", "日本", "\0", "a\nb", ("x"):rep(70)))
  line("binary strings", echo:echo("\0\xff", "\xc3\x28", "\xed\xa0\x80", "\xf4\x90\x80\x80"))
  line("bytes as seen there", echo:bytes_of("\0\x7f\x80\xff"))
  local all = {}
  for byte = 0, 255 do all[#all + 1] = string.char(byte) end
  line("all bytes come back", echo:echo(table.concat(all)) == table.concat(all))
end

local function tables(echo)
  heading "tables"
  line("empty, as array and as map", echo:echo({}, mc.map {}))
  line("arrays", echo:echo({ 1, 2, 3 }, { "a", false, 1.5 }, mc.map { "as", "map" }))
  line("maps", echo:echo({ x = 1, y = { z = "deep" } }, { [true] = 1, [false] = 2 }))
  local keys = { [1] = "i", [-7] = "n", [1.5] = "f", ["1"] = "s", [true] = "b", ["\xff"] = "x" }
  line("keys of every kind", echo:echo(keys))
  line("holes", echo:echo({ 1, nil, 3, n = 3 }, { nil, nil, 3 }))
  line("nested", echo:echo({ { { { {} } } }, list = { { id = 1 }, { id = 2 } } }))
  local shared = { 1 }
  local copy = echo:echo({ shared, shared })
  line("one table twice", copy, rawequal(copy[1], copy[2]))
  local original = { n = 1 }
  local same = echo:echo(original)
  same.n = 2
  line("arguments are copied", original.n, rawequal(original, same))
  local many = {}
  for i = 1, 5000 do many[i] = i end
  local back = echo:echo(many)
  line("a long array", #back, back[1], back[5000])
  local text = ("0123456789abcdef"):rep(20000)
  line("a long string", echo:echo(text) == text)
end

local function arity(echo)
  heading "arguments and results"
  line("none", echo:echo())
  line("no result", echo:nothing(1, 2))
  line("nils in front, inside and behind", echo:echo(nil, nil, 1, nil, 2, nil, nil))
  line("only nils", echo:echo(nil, nil))
  line("counted there", echo:count(), echo:count(nil), echo:count(nil, nil, 3, nil))
  local numbers = {}
  for i = 1, 100 do numbers[i] = i end
  line("a hundred", select("#", echo:echo(table.unpack(numbers))), (select(100, echo:echo(table.unpack(numbers)))))
  line("by mc.call", mc.call(echo, "echo", "a", nil))
end

local function raised_errors(raiser)
  heading "errors"
  for _, method in ipairs { "plain", "placed", "object", "nothing", "number", "boolean", "mistake" } do
    attempt(method, show_raised, mc.call, raiser, method)
  end
end

local function nested_errors(middle)
  heading "errors of nested calls"
  for _, method in ipairs { "plain", "placed", "object", "nothing", "mistake", "no_such_thing" } do
    attempt(method, show_raised, middle.pass, middle, method)
  end
  attempt("caught there", show_raised, middle.catch, middle, "object")
  attempt("caught there", show_raised, middle.catch, middle, "plain")
end

local function system_errors(echo)
  heading "errors of the system"
  attempt("no such method", show_raised, mc.call, echo, "no_such_method")
  attempt("no name", show_raised, mc.call, echo, "")
  attempt("a private method", show_raised, mc.call, echo, "_secret")
  attempt("init", show_raised, mc.call, echo, "init")
  attempt("a metamethod", show_raised, mc.call, echo, "__index")
  local short_lived = spawn("short_lived", Echo)
  line("alive", short_lived:echo("yes"))
  mc.stop(short_lived)
  attempt("dead", show_raised, mc.call, short_lived, "echo", "no")
  attempt("dead, again", show_raised, mc.call, short_lived, "echo", "no")
  line("the others live on", echo:echo("yes"))
end

local function unsendable(echo, raiser)
  heading "what cannot be sent"
  local cycle = {}
  cycle.list = { cycle }
  attempt("function", show_refused, mc.call, echo, "echo", { on = { click = print } })
  attempt("second argument", show_refused, mc.call, echo, "echo", 1, coroutine.create(print))
  attempt("in an array", show_refused, mc.call, echo, "echo", { 1, { "a", io.stdout } })
  attempt("metatable", show_refused, mc.call, echo, "echo", { point = setmetatable({}, {}) })
  attempt("cycle", show_raised, mc.call, echo, "echo", cycle)
  attempt("in a cast", show_refused, mc.cast, echo, "echo", print)
  attempt("a result", show_raised, mc.call, raiser, "function_result")
  line("both live on", echo:echo("yes"), (pcall(raiser.plain, raiser)))
end

local function casts(journal)
  heading "casts"
  for i = 1, 200 do mc.cast(journal, "add", i) end
  mc.cast(journal, "add", "two", "values")
  line("a call comes behind them", journal:total())
  local entries, in_order = journal:all(), true
  for i = 1, 200 do in_order = in_order and entries[i] == i end
  line("in order", in_order, entries[201], entries[202])
  mc.cast(journal, "no_such_method")
  mc.cast(journal, "add", "after an error")
  line("still there", journal:total(), journal:all()[203])
end

local function refs(ann, bob, cid)
  heading "refs"
  ann:keep("bob", bob)
  bob:keep("cid", cid)
  line("along the chain", ann:greet("bob"), bob:greet("cid"))
  bob:pass_on("cid", ann)
  line("passed on", ann:greet("cid"), ann:give("cid"), ann:give("nobody"))
  line("the same", ann:give("cid") == cid, ann:give("cid") == bob, ann:holds("cid", cid), ann:holds("bob", cid))
  line("in tables", ann:give("bob"), bob:holds("cid", ann:give("cid")))
  cid:keep("friends", { ann, { best = bob } })
  local friends = cid:give("friends")
  line("nested", friends, friends[2].best:hello("main"))
  cid:keep("self", cid)
  line("of itself", cid:give("self"))
  line("by id", mc.resolve(Keeper, mc.id(ann)) == ann, mc.resolve(Keeper, mc.id(bob)):hello("main"))
end

local function refs_as_keys(echo, ann, bob)
  local ages = echo:echo({ [ann] = 30, [bob] = 40 })
  local sum, ours = 0, 0
  for ref, age in pairs(ages) do
    sum = sum + age
    if name_of(ref) then ours = ours + 1 end
  end
  line("as keys", sum, ours)
end

local function tasks(adder, echo)
  heading "tasks"
  line("all", mc.all(mc.async(adder.add, adder, 1), mc.async(adder.add, adder, 2), mc.async(echo.echo, echo, "x")))
  line("awaited", mc.async(function(...) return echo:echo(...) end, 1, nil, 3):await())
  local task = mc.async(function() echo:echo(1); error({ from = "task" }) end)
  attempt("a task that fails", show_raised, task.await, task)
  local many = {}
  for i = 1, 50 do many[i] = mc.async(echo.echo, echo, i) end
  local sum = 0
  for _, each in ipairs(many) do sum = sum + each:await() end
  line("fifty at a time", sum, adder:add(0))
end

mc.main(function(...)
  line("arguments of main", ...)
  local echo, raiser = spawn("echo", Echo), spawn("raiser", Raiser)
  local middle = spawn("middle", Middle, raiser)
  local ann, bob, cid = spawn("ann", Keeper, "ann"), spawn("bob", Keeper, "bob"), spawn("cid", Keeper, "cid")
  values(echo)
  tables(echo)
  arity(echo)
  raised_errors(raiser)
  nested_errors(middle)
  system_errors(echo)
  unsendable(echo, raiser)
  casts(spawn("journal", Journal))
  refs(ann, bob, cid)
  refs_as_keys(echo, ann, bob)
  tasks(spawn("adder", Adder, 10), echo)
  print("\nend")
end)
