--- Codecs of the specs, to be defined on every node that takes part: require it there.
local mc = require "mooncast"

local codecs = { hooks = {}, flip = nil }

local cbor = mc.codec "cbor"

--- Ten lines: the built-in format, turned around.
mc.codec {
  name = "reverse",
  encode = function(values, call) return cbor.encode(values, call):reverse() end,
  decode = function(bytes, call) return cbor.decode(bytes:reverse(), call) end,
}

-- Writes each argument as it comes.
mc.codec {
  name = "eager",
  encoder = function()
    local parts, n = {}, 0
    local encoder = {}
    function encoder:argument(value)
      n = n + 1
      parts[n] = string.pack("s4", cbor.encode { value, n = 1 })
    end
    function encoder:done() return string.pack("I4", n) .. table.concat(parts) end
    return encoder
  end,
  results = {
    on_return = function(values) return cbor.encode(values) end,
    on_throw = function(err) return cbor.encode { err, n = 1 } end,
  },
  decode = function(bytes, call)
    if call.part ~= "arguments" then return cbor.decode(bytes) end
    local n, at = string.unpack("I4", bytes)
    local values = { n = n }
    for i = 1, n do
      local part, after = string.unpack("s4", bytes, at)
      values[i], at = cbor.decode(part)[1], after
    end
    return values
  end,
}

-- Keeps the arguments and writes all of them at the end.
mc.codec {
  name = "lazy",
  encoder = function()
    local encoder, values = {}, { n = 0 }
    function encoder:argument(value, i) values[i], values.n = value, i end
    function encoder:done() return cbor.encode(values) end
    return encoder
  end,
  results = {
    on_return = function(values) return cbor.encode(values) end,
    on_throw = function(err) return cbor.encode { err, n = 1 } end,
  },
  decode = cbor.decode,
}

-- Notes its hooks in codecs.hooks; a hook named codecs.refuse raises.
mc.codec {
  name = "noting",
  encoder = function()
    local encoder, values = {}, { n = 0 }
    local function note(...)
      codecs.hooks[#codecs.hooks + 1] = table.concat({ ... }, " ")
      if codecs.refuse == ... then error(codecs.refuse .. " is refused", 0) end
    end
    function encoder:generic(name) note("generic", name) end
    function encoder:argument(value, i) note "arg" values[i], values.n = value, i end
    function encoder:error_type(name) note("err", name) end
    function encoder:return_type(text) note("ret", text) end
    function encoder:done() note "done" return cbor.encode(values) end
    return encoder
  end,
  results = {
    on_return = function(values) codecs.hooks[#codecs.hooks + 1] = "on_return" return cbor.encode(values) end,
    on_void = function() codecs.hooks[#codecs.hooks + 1] = "on_void" return cbor.encode { n = 0 } end,
    on_throw = function(err) codecs.hooks[#codecs.hooks + 1] = "on_throw" return cbor.encode { err, n = 1 } end,
  },
  decode = cbor.decode,
}

-- A keyed checksum for the tests: FNV-1a with 64 bits, twice. A real one is an HMAC; the place is the same.
local function checksum(key, text)
  local function fnv(bytes)
    local hash = 0xcbf29ce484222325
    for i = 1, #bytes do hash = (hash ~ bytes:byte(i)) * 0x100000001b3 end
    return string.pack("i8", hash)
  end
  return fnv(key .. fnv(text .. key) .. text)
end

local function signature(bytes, call)
  return checksum("secret of the specs", string.pack("s4s4s4s4s4", call.codec, call.part, call.id, call.method, bytes))
end

mc.codec {
  name = "signed",
  encode = function(values, call)
    local bytes = cbor.encode(values)
    local signed = signature(bytes, call) .. bytes
    codecs.size = #signed
    if not codecs.flip then return signed end
    local at, bit = table.unpack(codecs.flip)
    return signed:sub(1, at - 1) .. string.char(signed:byte(at) ~ bit) .. signed:sub(at + 1)
  end,
  decode = function(signed, call)
    local bytes = signed:sub(9)
    if signature(bytes, call) ~= signed:sub(1, 8) then error("the signature is wrong", 0) end
    return cbor.decode(bytes)
  end,
}

return codecs
