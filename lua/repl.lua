--- What a REPL needs from Lua: evaluating an entry, showing values, completing names.
--
-- An entry may await: nothing here makes a coroutine, and the message handler only takes a traceback.
-- So objects are turned into text after the stack has been unwound, where a `__tostring` may do what it likes.
--
-- @module repl
-- @usage
--   local status, text = repl.eval("1 + 1, {x = 1}", _G)   --> "ok", "2\t{x = 1}"
--   repl.eval("for i = 1, 3 do", _G)                       --> "more"

local repl = {}

-- Showing values.

local WIDTH <const> = 80         -- columns that a table's lines are to fit in
local MAX_DEPTH <const> = 5      -- of tables in tables
local MAX_FIELDS <const> = 100   -- shown of one table
local MAX_TOTAL <const> = 1000   -- fields shown of all tables of one value
local MAX_STRING <const> = 200   -- bytes shown of a string inside a table

local RESERVED <const> = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch("%a+") do
  RESERVED[word] = true
end

local function is_name(key)
  return type(key) == "string" and key:find("^[%a_][%w_]*$") ~= nil and not RESERVED[key]
end

local function metafield(value, name)
  local metatable = debug.getmetatable(value)
  return metatable and rawget(metatable, name)
end

local function to_text(value)
  local ok, text = pcall(tostring, value)
  if ok then return text end
  return ("<%s whose __tostring fails>"):format(type(value))
end

local ESCAPES <const> = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escape_byte(char)
  return ESCAPES[char] or ("\\x%02X"):format(char:byte())
end

-- At most `limit` bytes, and no character of UTF-8 cut in two.
local function cut(text, limit)
  if #text <= limit then return text end
  while limit > 0 and text:find("^[\x80-\xBF]", limit + 1) do limit = limit - 1 end
  return text:sub(1, limit)
end

local function quoted(text)
  local is_utf8 = utf8.len(text)
  local shown = is_utf8 and cut(text, MAX_STRING) or text:sub(1, MAX_STRING)
  local escaped = shown:gsub(is_utf8 and '[%c\\"]' or '[%c\\"\x80-\xFF]', escape_byte)
  if #shown == #text then return '"' .. escaped .. '"' end
  return ('"%s"... (%d bytes)'):format(escaped, #text)
end

local RANK <const> = { number = 1, string = 2, boolean = 3 }

local function key_before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 4, RANK[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a <= 2 then return a < b end
  return rank_a == 3 and not a and b
end

-- The keys behind the first `length`, which are shown without their numbers.
local function sorted_keys(data, length)
  local keys = {}
  for key in next, data do
    if not (math.type(key) == "integer" and key >= 1 and key <= length) then keys[#keys + 1] = key end
  end
  table.sort(keys, key_before)
  return keys
end

local function sequence_length(data)
  local length = 0
  while rawget(data, length + 1) ~= nil do length = length + 1 end
  return length
end

local function columns(text)
  return utf8.len(text) or #text
end

-- Items side by side as far as the width goes; what has a key, or lines of its own, gets its own line.
local function fill_lines(items, indent)
  local lines, line = {}, nil
  for _, item in ipairs(items) do
    local alone = item.keyed or item.text:find("\n", 1, true)
    if line and not alone and columns(line) + columns(item.text) + #indent + 3 <= WIDTH then
      line = line .. ", " .. item.text
    else
      if line then lines[#lines + 1] = line end
      line = item.text
    end
    if alone then
      lines[#lines + 1] = line
      line = nil
    end
  end
  if line then lines[#lines + 1] = line end
  return lines
end

local function layout(items, indent)
  local texts, is_short = {}, true
  for i, item in ipairs(items) do
    texts[i] = item.text
    is_short = is_short and not item.text:find("\n", 1, true)
  end
  local joined = "{" .. table.concat(texts, ", ") .. "}"
  if is_short and columns(joined) + #indent <= WIDTH then return joined end
  local inner = indent .. "  "
  return "{\n" .. inner .. table.concat(fill_lines(items, inner), ",\n" .. inner) .. "\n" .. indent .. "}"
end

local Printer = {}
Printer.__index = Printer

local function key_text(key)
  if is_name(key) then return key end
  return "[" .. (type(key) == "string" and quoted(key) or to_text(key)) .. "]"
end

function Printer:room(items)
  return #items < MAX_FIELDS and self.total < MAX_TOTAL
end

function Printer:add(items, key, value, indent)
  self.total = self.total + 1
  local prefix = key == nil and "" or key_text(key) .. " = "
  items[#items + 1] = { text = prefix .. self:value(value, indent .. "  "), keyed = key ~= nil }
end

function Printer:items(data, indent)
  local items, length = {}, sequence_length(data)
  local keys = sorted_keys(data, length)
  for i = 1, length do
    if not self:room(items) then break end
    self:add(items, nil, rawget(data, i), indent)
  end
  for _, key in ipairs(keys) do
    if not self:room(items) then break end
    self:add(items, key, rawget(data, key), indent)
  end
  local left = length + #keys - #items
  if left > 0 then items[#items + 1] = { text = ("... %d more"):format(left), keyed = true } end
  return items
end

function Printer:table(data, indent)
  if self.open[data] then return "<cycle>" end
  if next(data) == nil then return "{}" end
  if self.depth == MAX_DEPTH then return "{...}" end
  self.open[data], self.depth = true, self.depth + 1
  local text = layout(self:items(data, indent), indent)
  self.open[data], self.depth = nil, self.depth - 1
  return text
end

function Printer:value(value, indent)
  if type(value) == "string" then return quoted(value) end
  if type(value) ~= "table" or metafield(value, "__tostring") then return to_text(value) end
  local name = metafield(value, "__name")
  return (type(name) == "string" and name .. " " or "") .. self:table(value, indent)
end

local function show_one(value)
  if type(value) == "string" then return value end
  return setmetatable({ open = {}, depth = 0, total = 0 }, Printer):value(value, "")
end

--- Shows values as the REPL does: like `print`, but with what is in tables.
-- Keys are sorted, cycles marked, and no value takes more than some hundred lines.
-- @param ... any values
-- @treturn string their texts, joined by tabs
-- @usage print(repl.show("a", { "a", on = true }))   --> a   {"a", on = true}
function repl.show(...)
  local texts = table.pack(...)
  for i = 1, texts.n do texts[i] = show_one(texts[i]) end
  return table.concat(texts, "\t")
end

-- Evaluating entries.

local CHUNK_NAME <const> = "=stdin"
local OWN_FRAME <const> = "\t" .. debug.getinfo(1, "S").short_src .. ":"

local function is_incomplete(message)
  return message:find("<eof>$") ~= nil
end

-- As an expression first, then as a statement. Old lua's `=` allows the expression only.
local function compile(entry, env)
  local expression = entry:match("^%s*=(.*)$")
  if expression then return load("return " .. expression, CHUNK_NAME, "t", env) end
  local chunk = load("return " .. entry, CHUNK_NAME, "t", env)
  if chunk then return chunk end
  return load(entry, CHUNK_NAME, "t", env)
end

-- Down to our own frame: what is below it is the scheduler's.
local function trim(traceback)
  local kept = {}
  for line in traceback:gmatch("[^\n]+") do
    if line:sub(1, #OWN_FRAME) == OWN_FRAME then break end
    kept[#kept + 1] = line
  end
  if kept[#kept]:find("in function 'xpcall'", 1, true) then kept[#kept] = nil end
  return table.concat(kept, "\n")
end

local Raised = {} -- the metatable of what `capture` returns

local function capture(object)
  return setmetatable({ object = object, traceback = debug.traceback(nil, 2) }, Raised)
end

local function describe(object)
  if type(object) == "string" or type(object) == "number" or metafield(object, "__tostring") then
    return to_text(object)
  end
  local text = ("(error object is a %s value)"):format(type(object))
  return type(object) == "table" and text .. " " .. repl.show(object) or text
end

-- Without memory, or with the stack overflowing again in the handler, there is a bare message.
local function report(raised, remote)
  if debug.getmetatable(raised) ~= Raised then return describe(raised) end
  local elsewhere = remote and remote(raised.object)
  return describe(raised.object) .. "\n" .. (elsewhere and elsewhere .. "\n" or "") .. trim(raised.traceback)
end

--- Evaluates what was typed.
-- @tparam string entry all the lines of it so far
-- @tparam table env the globals
-- @tparam[opt] function remote gives an error's traceback on other nodes, or nil
-- @treturn string `"ok"`, `"more"` when the entry is not finished, or `"error"`
-- @treturn ?string the results as @{show} has them, `""` if there are none; or the error's message,
--   with a traceback unless it is one of syntax
-- @usage
--   repl.eval("x = 5", env)   --> "ok", ""
--   repl.eval("=x", env)      --> "ok", "5"
function repl.eval(entry, env, remote)
  local chunk, message = compile(entry, env)
  if not chunk then
    if is_incomplete(message) then return "more" end
    return "error", message
  end
  local results = table.pack(xpcall(chunk, capture))
  if not results[1] then return "error", report(results[2], remote) end
  return "ok", repl.show(table.unpack(results, 2, results.n))
end

-- Completing names.

local MAX_CHAIN <const> = 20 -- tables that a chain of `__index` is followed through

-- Goes through a value and the tables that it inherits from; calls nothing that could await or do anything.
local function each_ancestor(value)
  local left = MAX_CHAIN
  return function(_, last)
    if left == 0 then return nil end
    left = left - 1
    if left == MAX_CHAIN - 1 then return value end
    return metafield(last, "__index")
  end
end

local function lookup(value, key)
  for owner in each_ancestor(value) do
    local field = type(owner) == "table" and rawget(owner, key)
    if field then return field end
  end
end

local function resolve(path, env)
  local value = env
  for name in path:gmatch("[^.:]+") do
    value = lookup(value, name)
    if value == nil then return nil end
  end
  return value
end

local function is_callable(value)
  return type(value) == "function" or metafield(value, "__call") ~= nil
end

local function collect_fields(object, stem, accepts, found)
  for owner in each_ancestor(object) do
    if type(owner) == "table" then
      for key, value in next, owner do
        if is_name(key) and key:sub(1, #stem) == stem and accepts(value) then found[key] = true end
      end
    end
  end
end

local function collect_methods(names, stem, found)
  for _, name in ipairs(names or {}) do
    if name:sub(1, #stem) == stem then found[name] = true end
  end
end

local function sorted_list(found, head)
  local list = {}
  for name in next, found do list[#list + 1] = head .. name end
  table.sort(list)
  return list
end

-- `a.b:c` is head `a.b:`, stem `c`. A number, or a path after something else (`f().x`), is none of ours.
local function split(line)
  local token = line:match("[%w_.:]*$"):gsub("^.*%.%.", "")
  if token:find("^[%d.:]") then return nil end
  local head, stem = token:match("^(.-)([%w_]*)$")
  return token, head, stem
end

local function any_value() return true end

--- Completes the name at the end of what was typed: a global, a field (`obj.fie`) or a method (`obj:meth`).
-- @tparam string prefix the line up to the cursor
-- @tparam table env the globals
-- @tparam[opt] function methods of a value that is no table (a ref): a list of the names of its methods, or nil
-- @treturn table the completions, each from the beginning of the path, sorted
-- @treturn string the part of the prefix that they stand for
-- @usage repl.complete("print(string.for", _G)   --> {"string.format"}, "string.for"
function repl.complete(prefix, env, methods)
  local token, head, stem = split(prefix)
  if not token then return {}, "" end
  local object, found = resolve(head, env), {}
  if object == nil then return {}, token end
  collect_fields(object, stem, head:sub(-1) == ":" and is_callable or any_value, found)
  if methods and type(object) ~= "table" then collect_methods(methods(object), stem, found) end
  return sorted_list(found, head), token
end

return repl
