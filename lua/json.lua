--- The codec "json": values as people and other programs can read them. docs/types.md says what it keeps.
--
-- What JSON has no word for is an object with one marked key:
--   {"$ref": id, "type": name}  {"$type": name, "value": v}  {"$map": [[key, value], ...]}
--   {"$bytes": hex}  {"$int": "9007199254740993"}  {"$float": "nan" | "inf" | "-inf"}

local _, core = ...

local json = {}

local MAX_DEPTH = 100
local MAX_SAFE = 1 << 53

local cjson -- an instance of our own, made at first use: programs may configure theirs

local function library()
  if not cjson then
    cjson = require "cjson".new()
    cjson.decode_invalid_numbers(false)
    cjson.decode_max_depth(2 * MAX_DEPTH + 10)
  end
  return cjson
end

--- Writing ----------------------------------------------------------------------------------------

local map_meta, bytes_meta = debug.getmetatable(core.map {}), debug.getmetatable(core.bytes "")

local write

local function fail(state, what)
  local function step(key)
    if type(key) == "string" and key:find "^[%a_][%w_]*$" then return "." .. key end
    if type(key) == "string" then return ("[%q]"):format(key) end
    return ("[%s]"):format(math.type(key) == "integer" and key or type(key))
  end
  local call = state.call
  local path = call and call.part or "values"
  local label = path == "arguments" and ("%s:%s: "):format(call.type, call.method) or ""
  for i = 1, #state.path do path = path .. step(state.path[i]) end
  local hint = what == "a function" and ": functions do not travel, pass a reference to an actor" or ""
  core.error("unsendable", ("%scannot send %s at %s%s"):format(label, what, path, hint))
end

local function write_bytes(text)
  return '{"$bytes":"' .. text:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. '"}'
end

local function write_string(text)
  if not utf8.len(text) then return write_bytes(text) end
  if not text:find("/", 1, true) then return library().encode(text) end
  return (library().encode(text):gsub("\\(.)", function(c)
    if c == "/" then return c end
  end))
end

local function write_number(v)
  if math.type(v) == "integer" then
    if v > -MAX_SAFE and v < MAX_SAFE then return ("%d"):format(v) end
    return ('{"$int":"%d"}'):format(v)
  end
  if v ~= v then return '{"$float":"nan"}' end
  if v == math.huge or v == -math.huge then return v > 0 and '{"$float":"inf"}' or '{"$float":"-inf"}' end
  local text = ("%.14g"):format(v)
  for digits = 15, 17 do
    if tonumber(text) ~= v then text = ("%." .. digits .. "g"):format(v) end
  end
  return text:find "[.e]" and text or text .. ".0"
end

local function write_item(state, key, value)
  state.path[#state.path + 1] = key
  local text = write(state, value)
  state.path[#state.path] = nil
  return text
end

local function write_array(state, list, n)
  local parts = {}
  for i = 1, n do parts[i] = write_item(state, i, list[i]) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function is_sequence(t)
  local n, count = rawlen(t), 0
  for key in next, t do
    if math.type(key) ~= "integer" or key < 1 or key > n then return false end
    count = count + 1
  end
  return count == n
end

-- Keys that can be those of an object; sorted, so that equal tables give equal text.
local function plain_keys(t)
  local keys = {}
  for key in next, t do
    if type(key) ~= "string" or key:sub(1, 1) == "$" or not utf8.len(key) then return nil end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function write_map(state, t)
  local keys, parts = plain_keys(t), {}
  if keys then
    for i, key in ipairs(keys) do parts[i] = write_string(key) .. ":" .. write_item(state, key, rawget(t, key)) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  for key, value in next, t do
    local kind = type(key)
    if kind ~= "boolean" and kind ~= "number" and kind ~= "string" and not core.is_ref(key) then
      fail(state, "a table key that is a " .. kind)
    end
    parts[#parts + 1] = "[" .. write(state, key) .. "," .. write_item(state, key, value) .. "]"
  end
  return '{"$map":[' .. table.concat(parts, ",") .. "]}"
end

local function write_registered(state, t, meta)
  local name, encode = core.registered(meta)
  if not name then fail(state, "a table with a metatable that is not registered (see mc.type)") end
  return ('{"$type":%s,"value":%s}'):format(write_string(name), write(state, encode(t)))
end

local function write_plain(state, t, meta)
  if meta == nil and is_sequence(t) then return write_array(state, t, rawlen(t)) end
  if meta == nil or meta == map_meta then return write_map(state, t) end
  if meta == bytes_meta then return write_bytes(t[1]) end
  return write_registered(state, t, meta)
end

local function write_table(state, t)
  if state.open[t] then fail(state, "a cycle") end
  if state.depth == MAX_DEPTH then fail(state, "more than 100 nested tables") end
  state.open[t], state.depth = true, state.depth + 1
  local text = write_plain(state, t, debug.getmetatable(t))
  state.open[t], state.depth = nil, state.depth - 1
  return text
end

function write(state, value)
  local kind = type(value)
  if kind == "nil" then return "null" end
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then return write_number(value) end
  if kind == "string" then return write_string(value) end
  if kind == "table" then return write_table(state, value) end
  if core.is_ref(value) then
    return ('{"$ref":%s,"type":%s}'):format(write_string(core.id(value)), write_string(core.type_name(value)))
  end
  if kind == "function" then fail(state, "a function") end
  fail(state, "a " .. kind)
end

--- The text of a list of values with its length n.
function json.encode(values, call)
  return write_array({ path = {}, open = {}, depth = 0, call = call }, values, values.n or #values)
end

--- Reading ----------------------------------------------------------------------------------------

local read

local function malformed(what) core.error("malformed", "JSON: " .. what) end

local function read_text(value, what)
  if type(value) ~= "string" then malformed(what .. " that is no text") end
  return value
end

local function read_ref(object)
  local id, name = read_text(object["$ref"], "an id"), read_text(object.type, "a type")
  local at, incarnation, instance, secret = id:match "^(.+)%.(%x+)/(%x+)/(%x+)$"
  if not at or #secret ~= 32 or #incarnation > 14 or #instance > 14 then malformed "an id that is none" end
  local ok, ref = pcall(core.address, at, tonumber(incarnation, 16), tonumber(instance, 16),
    (secret:gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end)), name)
  return ok and ref or malformed "a reference that is none"
end

local function read_map(object, depth)
  local t = {}
  if type(object["$map"]) ~= "table" then malformed "a map that is none" end
  for _, pair in ipairs(object["$map"]) do
    if type(pair) ~= "table" then malformed "a map that is none" end
    local key, value = read(pair[1], depth), read(pair[2], depth)
    if key == nil or key ~= key or type(key) == "table" or t[key] ~= nil or value == nil then
      malformed "a key that cannot be one"
    end
    t[key] = value
  end
  return t
end

local function read_registered(object, depth)
  local name = read_text(object["$type"], "a type")
  local _, _, decode = core.registered(name)
  if not decode or name == "mc.codec" then
    core.error("type_not_allowed", ("type %s is not registered on this node"):format(name))
  end
  return decode(read(object.value, depth))
end

local floats = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local marked = {
  ["$ref"] = read_ref,
  ["$map"] = read_map,
  ["$type"] = read_registered,
  ["$bytes"] = function(object)
    local hex = read_text(object["$bytes"], "bytes")
    if #hex % 2 == 1 or hex:find "%X" then malformed "bytes that are none" end
    return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
  end,
  ["$int"] = function(object)
    local text = read_text(object["$int"], "an integer")
    local value = text:find "^%-?%d+$" and math.tointeger(tonumber(text))
    if not value or ("%d"):format(value) ~= text then malformed "an integer that is none" end
    return value
  end,
  ["$float"] = function(object) return floats[object["$float"]] or malformed "a float that is none" end,
}

local function read_table(t, depth)
  if depth > MAX_DEPTH then malformed "more than 100 nested containers" end
  for key in next, t do
    if type(key) == "string" and key:sub(1, 1) == "$" then
      if not marked[key] then malformed("an unknown mark " .. key) end
      return marked[key](t, depth + 1)
    end
  end
  local copy = {}
  for key, value in next, t do copy[key] = read(value, depth + 1) end
  return copy
end

-- cjson has floats only.
local function read_number(value)
  if value == 0 and 1 / value < 0 then return value end
  if value > -MAX_SAFE and value < MAX_SAFE then return math.tointeger(value) or value end
  return value
end

function read(value, depth)
  local kind = type(value)
  if kind == "number" then return read_number(value) end
  if kind == "table" then return read_table(value, depth) end
  if kind == "userdata" then return nil end
  return value
end

--- The list of values, with n, that a text has; raises malformed and type_not_allowed.
function json.decode(text)
  local ok, list = pcall(library().decode, text)
  if not ok then malformed(tostring(list)) end
  if type(list) ~= "table" or not text:find "^%s*%[" then malformed "it is no list" end
  local values = { n = #list }
  for i = 1, values.n do values[i] = read(list[i], 1) end
  return values
end

return json
