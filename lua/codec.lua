--- Codecs: what becomes of the arguments, results and errors of calls that leave this node. The default,
-- "cbor", is C straight from the stack and has nothing to do with this file. Another one makes bytes of
-- them; they travel as one value of the registered type mc.codec, [the codec's name, bytes], which the
-- other side gives to its codec of that name, by which it answers, too. A name that is not known there is
-- refused: nothing is ever loaded for it. bindings/lua_intercept.c says when a codec is used.

local _, core = ...
local json = require "mooncast.json"
local signature = require "mooncast.signature"

local codec = {}

local by_name, by_number = {}, {}
local wanted -- the name of the node's codec, until there is one of that name

local Packed = { __name = "mc.codec" }

core.register("mc.codec", Packed, function(packed) return { packed[1], packed[2] } end, function(sent)
  if type(sent) ~= "table" or type(sent[1]) ~= "string" or type(sent[2]) ~= "string" then
    error("a payload without its codec's name", 0)
  end
  return setmetatable({ sent[1], sent[2] }, Packed)
end)

codec.metatable = Packed

local function is_packed(n, value)
  return n == 1 and type(value) == "table" and debug.getmetatable(value) == Packed
end

local function pack(c, bytes)
  if type(bytes) ~= "string" then
    core.error("unsendable", ("codec %s gave no bytes but a %s"):format(c.name, type(bytes)))
  end
  return setmetatable({ c.name, bytes }, Packed)
end

--- Hooks ------------------------------------------------------------------------------------------

-- The names of registered types within the values, in the order in which they come.
local function each_registered(values, report)
  local met, told = {}, {}
  local function visit(value)
    if type(value) ~= "table" or met[value] then return end
    met[value] = true
    local name = core.registered(debug.getmetatable(value) or value)
    if name and not told[name] then
      told[name] = true
      report(name)
    end
    for key, item in next, value do
      visit(key)
      visit(item)
    end
  end
  for i = 1, values.n do visit(values[i]) end
end

-- What mc.actor was told of a type, if it is known here.
local function settings_of(type_name)
  local class = core.class(type_name)
  local info = class and require "mooncast.node".infos[class]
  return info and info.settings or {}
end

local function record(encoder, call, values)
  if encoder.generic then
    each_registered(values, function(name) encoder:generic(name) end)
  end
  for i = 1, values.n do encoder:argument(values[i], i) end
  local settings = settings_of(call.type)
  if encoder.error_type then
    for _, name in ipairs(settings.errors or {}) do encoder:error_type(name) end
  end
  if encoder.return_type then
    local letters = settings.signatures and settings.signatures[call.method]
    encoder:return_type(letters and signature.results(letters) or "any")
  end
  return encoder:done()
end

local function encode_arguments(c, call, values)
  if c.encoder then return pack(c, record(c.encoder(call), call, values)) end
  return pack(c, c.encode(values, call))
end

-- The values in the bytes. What goes wrong is told by fail(code, message).
local function decode(c, call, part, bytes, fail)
  call.part = part
  local ok, values = pcall(c.decode, bytes, call)
  if ok and type(values) == "table" then
    values.n = values.n or #values
    return values
  end
  if ok then fail("malformed", ("codec %s gave no list of values"):format(c.name)) end
  local ours = getmetatable(values) == core.Error
  fail(ours and values.code or "malformed", ours and values.message or tostring(values))
end

--- Calling ----------------------------------------------------------------------------------------

local function about(c, ref, kind, method)
  return {
    codec = c.name, part = "arguments", kind = kind, ref = ref, id = core.id(ref), type = core.type_name(ref),
    method = method,
  }
end

local function answered(c, call, ok, ...)
  local answer = ...
  if not ok and getmetatable(answer) == core.Error then error(answer, 0) end
  if not is_packed(select("#", ...), answer) or answer[1] ~= c.name then
    core.error("malformed", ("%s:%s: the answer is not in codec %s"):format(call.type, call.method, c.name))
  end
  local values = decode(c, call, ok and "results" or "error", answer[2], core.error)
  if ok then return table.unpack(values, 1, values.n) end
  core.keep_traceback(values[1])
  error(values[1], 0)
end

--- The codec for a call to this actor, or nil.
function codec.chosen(ref)
  if core.is_local(ref) then return nil end
  local number = core.codec()
  return by_number[number > 0 and number or core.default_codec()]
end

function codec.call(c, kind, ref, method, ...)
  local call = about(c, ref, kind, method)
  local packed = encode_arguments(c, call, table.pack(...))
  if kind == "cast" then return core.plain_cast(ref, method, packed) end
  return answered(c, call, pcall(core.plain_call, ref, method, packed))
end

--- Handling ---------------------------------------------------------------------------------------

function codec.is_packed(...) return is_packed(select("#", ...), (...)) end

local function reply(c, call, ...)
  core.check(call.method, "results", ...)
  local values = table.pack(...)
  call.part = "results"
  local encode = values.n == 0 and c.on_void or c.on_return
  local ok, packed = pcall(function() return pack(c, encode(values, call)) end)
  if not ok then core.refuse("unsendable", type(packed) == "table" and packed.message or tostring(packed)) end
  return packed
end

--- Runs go(name of the codec, arguments ...) for a message that came in a codec, and answers in it.
function codec.handle(kind, method, packed, go)
  local c = by_name[packed[1]]
  if not c then
    core.refuse("type_not_allowed", ("codec %s is not known on node %s"):format(packed[1], core.node()))
  end
  local call = about(c, core.self(), kind, method)
  local values = decode(c, call, "arguments", packed[2], core.refuse)
  core.check(method, "arguments", table.unpack(values, 1, values.n))
  core.pack_error(function(err)
    if getmetatable(err) == core.Error then return err end
    call.part = "error"
    local ok, thrown = pcall(function() return pack(c, c.on_throw(err, call)) end)
    return ok and thrown or pack(c, c.on_throw(tostring(err), call)) -- what cannot be sent is told by its text
  end)
  return reply(c, call, go(c.name, table.unpack(values, 1, values.n)))
end

--- Making -----------------------------------------------------------------------------------------

local function check(definition, field, wants)
  local value = definition[field]
  if value ~= nil and type(value) ~= wants then error(("mc.codec wants %s to be a %s"):format(field, wants), 4) end
  return value
end

local function compile(definition)
  local name = definition.name
  if type(name) ~= "string" or #name == 0 or #name > 255 or not utf8.len(name) then
    error("mc.codec wants a name, text of 1 to 255 bytes", 3)
  end
  local encode, results = check(definition, "encode", "function"), check(definition, "results", "table") or {}
  local c = {
    name = name,
    encoder = check(definition, "encoder", "function"),
    encode = encode,
    decode = check(definition, "decode", "function"),
    on_return = results.on_return or encode,
    on_void = results.on_void or results.on_return or encode,
    on_throw = results.on_throw or encode and function(err, call) return encode({ err, n = 1 }, call) end,
  }
  if not c.decode or not (encode or c.encoder) or not (c.on_return and c.on_throw) then
    error("mc.codec wants decode, and encode or else encoder and results with on_return and on_throw", 3)
  end
  return c
end

local function note(c)
  local before = by_name[c.name]
  c.number = before and before.number or #by_number + 1
  by_name[c.name], by_number[c.number] = c, c
  if c.name == wanted then
    core.use_codecs()
    core.default_codec(c.number)
  end
  return c
end

--- See mc.codec.
function codec.define(definition)
  if type(definition) == "string" then
    local c = by_name[definition]
    if c then return c end
    return nil, "there is no codec " .. definition
  end
  if type(definition) ~= "table" then error("mc.codec wants a table, or a codec's name", 2) end
  local name = definition.name
  if name == "cbor" or name == "json" then error("codec " .. name .. " is built in", 2) end
  return note(compile(definition))
end

--- The number of a codec, for core.codec.
function codec.number(name)
  local c = by_name[name]
  if not c then core.error("bad_arguments", "there is no codec " .. tostring(name) .. ": see mc.codec") end
  core.use_codecs()
  return c.number
end

note(compile { -- number 1: what calls do by themselves
  name = "cbor",
  encode = function(values) return core.encode_all(table.unpack(values, 1, values.n or #values)) end,
  decode = function(bytes) return table.pack(core.decode_all(bytes)) end,
})
note(compile { name = "json", encode = json.encode, decode = json.decode })

--- The codec that calls of this node use; one that is not there yet, from when it is.
function codec.use(name)
  wanted = name ~= "cbor" and name or nil
  if wanted and by_name[wanted] then note(by_name[wanted]) end
end

return codec
