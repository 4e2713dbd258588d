--- Random Lua values, the same for the same seed on every machine, and equality that keeps integers
-- and floats, NaN and the sign of zero apart.

local values = {}

--- A generator of numbers from 0 to n - 1 (xorshift64*): math.random's is seeded by the machine.
function values.random(seed)
  local state = seed ~= 0 and seed or 1
  return function(n)
    state = state ~ (state >> 12)
    state = state ~ (state << 25)
    state = state ~ (state >> 27)
    return ((state * 0x2545F4914F6CDD1D) >> 11) % n
  end
end

local INTEGERS <const> = {
  0, 1, -1, 23, 24, -24, -25, 255, 256, -256, -257, 65535, 65536, 0xffffffff, 0x100000000, -0x100000001,
  (1 << 53) - 1, 1 << 53, (1 << 53) + 1, -(1 << 53), -(1 << 53) - 1,
  math.maxinteger, math.mininteger, math.mininteger + 1,
}
local FLOATS <const> = {
  0.0, -0.0, 1.0, -1.0, 0.1, 1e15, 2.0 ^ 53, 2.0 ^ 63, -2.0 ^ 63, 1e308, 5e-324, 2.2250738585072014e-308,
  1 / 0, -1 / 0, 0 / 0, -(0 / 0), math.pi,
}
local STRINGS <const> = {
  "", "a", "\0", "\0\xff", "héllo", "日本語", "\xed\xa0\x80", "\xc0\x80", "\xff\xfe\0", ("x"):rep(23), ("x"):rep(24),
  ("\xe2\x82\xac"):rep(100), ("\x80"):rep(300), "1", "nil", "\n\r\t",
}

local function pick(list, random) return list[random(#list) + 1] end

local function any_integer(random)
  if random(3) == 0 then return pick(INTEGERS, random) end
  local bits = random(64) + 1
  local n = (random(1 << 32) << 32 | random(1 << 32)) >> (64 - bits)
  return random(2) == 0 and n or -n
end

local function any_float(random)
  if random(2) == 0 then return pick(FLOATS, random) end
  if random(2) == 0 then return (random(2001) - 1000) / 8 end
  return (("<d"):unpack(("<I4I4"):pack(random(1 << 32), random(1 << 32))))
end

local function any_string(random)
  if random(2) == 0 then return pick(STRINGS, random) end
  local bytes = {}
  for i = 1, random(20) do bytes[i] = string.char(random(256)) end
  return table.concat(bytes)
end

-- A float with an integral value would become an integer as a key; NaN can be none.
local function any_key(random)
  local kind = random(8)
  if kind == 0 then return random(2) == 0 end
  if kind == 1 then return (random(2001) - 1000) + 0.5 end
  if kind <= 4 then return any_integer(random) end
  return any_string(random)
end

local any

local function any_table(random, depth)
  local t, size = {}, random(6)
  local shape = random(4)
  if shape <= 1 then -- a sequence, sometimes with holes
    for i = 1, size do t[i] = any(random, depth + 1) end
  end
  if shape >= 1 then
    for _ = 1, size do t[any_key(random)] = any(random, depth + 1) end
  end
  return t
end

--- Any value that can be sent.
function any(random, depth)
  local kind = random(depth < 5 and 12 or 9)
  if kind == 0 then return nil end
  if kind == 1 then return random(2) == 0 end
  if kind <= 4 then return any_integer(random) end
  if kind <= 6 then return any_float(random) end
  if kind <= 8 then return any_string(random) end
  return any_table(random, depth)
end

function values.any(random) return any(random, 0) end

local function floats_equal(a, b)
  if a ~= a then return b ~= b end
  return a == b and 1 / a == 1 / b -- -0.0 is not 0.0
end

local function tables_equal(a, b)
  for key, value in next, a do
    if not values.equal(value, rawget(b, key)) then return false end
  end
  for key in next, b do
    if rawget(a, key) == nil then return false end
  end
  return true
end

--- The same value: of the same kind, numbers of the same subtype, tables with the same contents.
function values.equal(a, b)
  if type(a) ~= type(b) or math.type(a) ~= math.type(b) then return false end
  if type(a) == "table" then return tables_equal(a, b) end
  if math.type(a) == "float" then return floats_equal(a, b) end
  return rawequal(a, b)
end

return values
