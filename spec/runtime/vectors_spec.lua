-- The golden vectors, as Lua reads and writes them: spec/vectors, which C and JavaScript test against, too.
local cjson = require "cjson"
local core = require "mooncast.core"
local mc = require "mooncast"

local function load_vectors(name)
  local file = assert(io.open("spec/vectors/" .. name .. ".json", "rb"))
  local text = file:read "a"
  file:close()
  return cjson.decode(text)
end

local function from_hex(hex)
  return (hex:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function to_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local names = { mc = mc, math = math }

function names.ref(node, incarnation, instance, secret, type_name)
  return core.address(node, incarnation, instance, from_hex(secret), type_name)
end

function names.nested(depth)
  local value = {}
  for _ = 2, depth do value = { value } end
  return value
end

-- As it arrives: made by another system.
function names.system_error(code, message)
  local _, err = pcall(core.error, code, message)
  err.transport = false
  return err
end

local function expected(vector) return load("return " .. vector.lua, vector.name, "t", names)() end

-- Equal in kind, too: 1 is not 1.0, 0.0 is not -0.0, NaN is NaN.
local function same(a, b)
  if type(a) == "number" and type(b) == "number" then
    return math.type(a) == math.type(b) and ("%q"):format(a) == ("%q"):format(b)
  end
  if getmetatable(a) == getmetatable(mc.buffer(0)) and getmetatable(a) == getmetatable(b) then
    return a:string() == b:string()
  end
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  if getmetatable(a) ~= getmetatable(b) and getmetatable(b) ~= getmetatable(mc.map {}) then return false end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

describe("golden vectors of values", function()
  local vectors = load_vectors "values"

  for _, vector in ipairs(vectors.valid) do
    it("are read: " .. vector.name .. " [C5] [F2]", function()
      local value = core.decode(from_hex(vector.hex))
      assert.is_true(same(value, expected(vector)), "it is " .. tostring(value))
    end)

    it("are written: " .. vector.name .. " [C5] [F2]", function()
      local bytes = core.encode(expected(vector))
      if not vector.unordered then assert.equal(vector.hex, to_hex(bytes)) end
      assert.equal(#vector.hex / 2, #bytes)
      assert.is_true(same(core.decode(bytes), expected(vector)))
    end)
  end

  for _, vector in ipairs(vectors.malformed) do
    it("are refused: " .. vector.name .. " [F4]", function()
      local ok, err = pcall(core.decode, from_hex(vector.hex))
      assert.is_false(ok)
      assert.equal(vector.code or "malformed", err.code)
    end)
  end

  it("are there", function()
    assert.is_true(#vectors.valid > 50)
    assert.is_true(#vectors.malformed > 50)
  end)

  it("are malformed or a value that survives, for every prefix and flipped bit [F4]", function()
    local tried = 0
    local function try(bytes, name)
      tried = tried + 1
      local ok, value = pcall(core.decode, bytes)
      if ok then
        assert.is_true(same(core.decode(core.encode(value)), value), name)
      else
        assert.is_true(value.code == "malformed" or value.code == "type_not_allowed", tostring(value))
      end
    end
    for _, vector in ipairs(vectors.valid) do
      local bytes = from_hex(vector.hex)
      if #bytes <= 64 then
        for i = 0, #bytes - 1 do try(bytes:sub(1, i), vector.name) end
        for i = 1, #bytes do
          for bit = 0, 7 do
            local byte = string.char(bytes:byte(i) ~ (1 << bit))
            try(bytes:sub(1, i - 1) .. byte .. bytes:sub(i + 1), vector.name)
          end
        end
      end
    end
    assert.is_true(tried > 2000)
  end)
end)
