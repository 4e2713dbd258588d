--- Packs what an actor type is, code and data, for another node of the same trusted host.
--
-- A packed definition is a tree that the value codec can send. Functions, upvalues and tables are
-- numbered, so that what was one thing stays one thing and cycles survive:
--
--     { format = 1, root = value,
--       functions = { { code = bytecode, cells = { 1, 4 } }, ... },   cells: its upvalues, in order
--       cells     = { value, ... },                                   one per variable, however many share it
--       tables    = { { key, value, key, value, ... }, ... } }
--
-- A value is a boolean, a number or a string as it is, or an array that says what to put there:
--
--     {"nil"}  {"globals"}  {"function", n}  {"table", n}  {"leaf", ref}
--     {"type", name}  {"module", name}  {"module", name, field}
--
-- What has a name on both sides goes by that name (actor types, what `require` finds and the fields of
-- it, globals of Lua itself), Lua functions go as bytecode with their debug information, plain tables
-- are copied, and anything else is `unsendable`. An upvalue named `_ENV` becomes the receiver's globals.
-- Bytecode is not verified when it is loaded: never unpack what comes from another machine.
--
-- Neither packing nor unpacking recurses, so data of any depth passes.
--
-- @module definition
-- @usage
--   local plain = definition.pack(Counter, { actor_types = name_of_type, is_sendable_leaf = is_ref })
--   -- ... sent to another node ...
--   local methods = definition.unpack(plain, { actor_type = type_by_name, env = _G, require = require })

local version = require "mooncast.version"

local definition = {}

local FORMAT <const> = 1

local function set_of(names)
  local set = {}
  for name in names:gmatch("%S+") do set[name] = true end
  return set
end

-- On every node, and searched before any other module, so that `table.unpack` is not found as `pl.compat.unpack`.
local STOCK_MODULES <const> = {
  "string", "table", "math", "utf8", "os", "io", "coroutine", "debug", "package", "mooncast", "cjson",
}

-- These go by name even where a node has put a Lua function in their place.
local STOCK_GLOBALS <const> = set_of [[
  assert collectgarbage dofile error getmetatable ipairs load loadfile next pairs pcall print rawequal
  rawget rawlen rawset require select setmetatable tonumber tostring type warn xpcall ]]

local PLAIN_KINDS <const> = set_of "boolean number string"
local NAMEABLE_KINDS <const> = set_of "function table userdata"

local function refuse(message, ...)
  error({ code = "unsendable", message = message:format(...) }, 0)
end

local function is_c_function(value)
  return type(value) == "function" and debug.getinfo(value, "S").what == "C"
end

-- Places: where in the definition a value was found, as a list from the inside out. Only an error
-- makes a string of it.

local function key_label(key)
  if type(key) ~= "string" then
    return ("[%s]"):format(PLAIN_KINDS[type(key)] and tostring(key) or type(key))
  end
  return key:find("^[%a_][%w_]*$") and "." .. key or ("[%q]"):format(key)
end

local function upvalue_label(name, index)
  return name:find("^[%a_]") and "." .. name or ("[upvalue %d]"):format(index)
end

local function path_of(place)
  local labels = {}
  while place do
    labels[#labels + 1] = place.label
    place = place.parent
  end
  for i = 1, #labels // 2 do
    labels[i], labels[#labels + 1 - i] = labels[#labels + 1 - i], labels[i]
  end
  return table.concat(labels)
end

-- The names of what `require` finds.

local function module_names(loaded)
  local names, others, is_stock = {}, {}, { _G = true }
  for _, name in ipairs(STOCK_MODULES) do
    is_stock[name] = true
    if loaded[name] ~= nil then names[#names + 1] = name end
  end
  for name in next, loaded do
    if type(name) == "string" and not is_stock[name] then others[#others + 1] = name end
  end
  table.sort(others)
  return table.move(others, 1, #others, #names + 1, names)
end

-- Of several fields that hold the value the first in the alphabet names it, on every node.
local function index_fields(index, module_name, fields, accepts)
  for field, value in next, fields do
    if type(field) == "string" and NAMEABLE_KINDS[type(value)] and accepts(field, value) then
      local known = index[value]
      if not known or (known[2] == module_name and known[3] and field < known[3]) then
        index[value] = { "module", module_name, field }
      end
    end
  end
end

local function any_field() return true end

-- Other globals do not travel: a program made them, and only on the node where it ran.
local function is_stock_global(name, value)
  return is_c_function(value) or (STOCK_GLOBALS[name] and type(value) == "function")
end

-- An actor type that is a module is no source of names: its methods are what we are to send.
local function index_modules(loaded, env, actor_types)
  local index, names = {}, module_names(loaded)
  for _, name in ipairs(names) do
    local value = loaded[name]
    if NAMEABLE_KINDS[type(value)] and not index[value] then index[value] = { "module", name } end
  end
  for _, name in ipairs(names) do
    local value = loaded[name]
    if type(value) == "table" and not actor_types(value) then
      index_fields(index, name, value, any_field)
    end
  end
  index_fields(index, "_G", env, is_stock_global)
  return index
end

-- Packing.

local Packer = {}
Packer.__index = Packer

local function no_name() return nil end
local function no_leaf() return false end

local function new_packer(context)
  return setmetatable({
    env = context.env or package.loaded._G,
    loaded = context.loaded or package.loaded,
    actor_types = context.actor_types or no_name,
    is_leaf = context.is_sendable_leaf or no_leaf,
    functions = {}, cells = {}, tables = {}, -- the parts of the result
    numbers = {},                            -- of functions, tables and upvalue ids
    queue = {},                              -- what has its number but not its contents
  }, Packer)
end

function Packer:names()
  self.index = self.index or index_modules(self.loaded, self.env, self.actor_types)
  return self.index
end

function Packer:by_name(value)
  if rawequal(value, self.env) then return { "globals" } end
  local kind = type(value)
  if kind == "userdata" or (kind == "table" and debug.getmetatable(value)) then
    if self.is_leaf(value) then return { "leaf", value } end
  end
  local type_name = kind == "table" and self.actor_types(value)
  if type_name then return { "type", type_name } end
  return self:names()[value]
end

-- The number of a function or table in its list; its contents follow when the queue is drained.
function Packer:enlist(list, value, place, fill)
  local number = self.numbers[value]
  if not number then
    number = #list + 1
    self.numbers[value] = number
    list[number] = {}
    self.queue[#self.queue + 1] = { fill = fill, value = value, into = list[number], place = place }
  end
  return number
end

function Packer:by_content(value, place)
  local kind = type(value)
  if is_c_function(value) then
    kind = "C function"
  elseif kind == "function" then
    return { "function", self:enlist(self.functions, value, place, self.fill_function) }
  elseif kind == "table" then
    if not debug.getmetatable(value) or self.numbers[value] then
      return { "table", self:enlist(self.tables, value, place, self.fill_table) }
    end
    kind = "table with a metatable"
  end
  return refuse("cannot send a %s at %s", kind, path_of(place))
end

function Packer:encode(value, place)
  if value == nil then return { "nil" } end
  if PLAIN_KINDS[type(value)] then return value end
  return self:by_name(value) or self:by_content(value, place)
end

function Packer:cell(fn, index, place)
  local id = debug.upvalueid(fn, index)
  local number = self.numbers[id]
  if number then return number end
  local name, value = debug.getupvalue(fn, index)
  number = #self.cells + 1
  self.numbers[id] = number
  self.cells[number] = name == "_ENV" and { "globals" }
    or self:encode(value, { parent = place, label = upvalue_label(name, index) })
  return number
end

function Packer:fill_function(fn, into, place)
  into.code = string.dump(fn)
  into.cells = {}
  for index = 1, debug.getinfo(fn, "u").nups do
    into.cells[index] = self:cell(fn, index, place)
  end
end

function Packer:fill_table(data, into, place)
  for _, key in ipairs(version.sorted_keys(data)) do
    local here = { parent = place, label = key_label(key) }
    into[#into + 1] = self:encode(key, here)
    into[#into + 1] = self:encode(rawget(data, key), here)
  end
end

function Packer:finish(root)
  for _, item in ipairs(self.queue) do -- which grows meanwhile
    item.fill(self, item.value, item.into, item.place)
  end
  return { format = FORMAT, root = root, functions = self.functions, cells = self.cells, tables = self.tables }
end

--- Packs an actor type.
-- The metatable of the type is not sent.
-- @tparam table class the table of its methods and other fields
-- @tparam table context
--   `actor_types(value)`: the name of the actor type that the table is, or nil;
--   `is_sendable_leaf(value)`: may the codec send this userdata, or table with a metatable, as it is;
--   `name`: begins the paths in messages where the type has no name;
--   `env`, `loaded`: the globals and modules of this node, if not the usual ones
-- @treturn table a tree for the value codec
-- @raise `{code = "unsendable", message = "cannot send a userdata at Counter.inc.file"}`
-- @usage local plain = definition.pack(Counter, context)
function definition.pack(class, context)
  local packer = new_packer(context)
  local place = { label = packer.actor_types(class) or context.name or "definition" }
  local number = packer:enlist(packer.tables, class, place, packer.fill_table)
  return packer:finish({ "table", number })
end

--- Packs one function, for a task that travels.
-- @tparam function fn
-- @tparam table context as for @{pack}; `name` begins the paths in messages
-- @treturn table a tree for the value codec
-- @raise as @{pack}
-- @usage local plain = definition.pack_function(function() return work(n) end, context)
function definition.pack_function(fn, context)
  local packer = new_packer(context)
  return packer:finish(packer:encode(fn, { label = context.name or "function" }))
end

-- Unpacking.

local function malformed(message, ...)
  error({ code = "malformed", message = message:format(...) }, 0)
end

local function load_function(packed)
  local fn, message = load(packed.code, "=(definition)", "b")
  if not fn then malformed("cannot load a function: %s", message) end
  if debug.getinfo(fn, "u").nups ~= #packed.cells then malformed("a function has other upvalues than it says") end
  return fn
end

local Unpacker = {}
Unpacker.__index = Unpacker

local function new_unpacker(plain, context)
  local unpacker = setmetatable({ context = context, functions = {}, tables = {} }, Unpacker)
  for number, packed in ipairs(plain.functions) do unpacker.functions[number] = load_function(packed) end
  for number in ipairs(plain.tables) do unpacker.tables[number] = {} end
  return unpacker
end

local function field_of(owner, field, what)
  local value = type(owner) == "table" and owner[field]
  if not value then refuse("there is no %s on this node", what) end
  return value
end

local decoders = {}

decoders["nil"] = function() return nil end
decoders["globals"] = function(self) return self.context.env end
decoders["function"] = function(self, number) return self.functions[number] end
decoders["table"] = function(self, number) return self.tables[number] end
decoders["leaf"] = function(_, value) return value end

decoders["type"] = function(self, name)
  local class = self.context.actor_type(name)
  if class == nil then refuse("there is no actor type '%s' on this node", name) end
  return class
end

decoders["module"] = function(self, name, field)
  if name == "_G" then return field_of(self.context.env, field, "global '" .. field .. "'") end
  local found, module = pcall(self.context.require, name)
  if not found then refuse("module '%s' cannot be required on this node: %s", name, tostring(module)) end
  if field == nil then return module end
  return field_of(module, field, ("field '%s' in module '%s'"):format(field, name))
end

function Unpacker:decode(value)
  if type(value) ~= "table" then return value end
  local decode = decoders[value[1]] or malformed("there is no kind of value '%s'", tostring(value[1]))
  return decode(self, value[2], value[3])
end

function Unpacker:fill_tables(packed_tables)
  for number, packed in ipairs(packed_tables) do
    local data = self.tables[number]
    for i = 1, #packed, 2 do
      rawset(data, self:decode(packed[i]), self:decode(packed[i + 1]))
    end
  end
end

-- The first function that has a variable holds it, the others are joined to that one.
function Unpacker:bind(fn, cells, packed_cells, holders)
  for index, cell in ipairs(cells) do
    local holder = holders[cell]
    if holder then
      debug.upvaluejoin(fn, index, holder.fn, holder.index)
    else
      holders[cell] = { fn = fn, index = index }
      debug.setupvalue(fn, index, self:decode(packed_cells[cell]))
    end
  end
end

--- Unpacks what @{pack} or @{pack_function} made.
-- @tparam table plain
-- @tparam table context
--   `actor_type(name)`: the actor type of that name (a new one to be defined later, if need be), or nil;
--   `env`: the globals of this node; `require`: finds modules
-- @return the table of methods, or the function
-- @raise `{code = "unsendable", ...}` when a module, a field of it or an actor type is not to be had here,
--   `{code = "version_mismatch"}`, `{code = "malformed"}`
-- @usage local methods = definition.unpack(plain, { actor_type = find, env = _G, require = require })
function definition.unpack(plain, context)
  if plain.format ~= FORMAT then
    error({ code = "version_mismatch", message = "a definition of another format" }, 0)
  end
  local unpacker, holders = new_unpacker(plain, context), {}
  for number, packed in ipairs(plain.functions) do
    unpacker:bind(unpacker.functions[number], packed.cells, plain.cells, holders)
  end
  unpacker:fill_tables(plain.tables)
  return unpacker:decode(plain.root)
end

return definition
