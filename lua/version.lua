--- What every node that spawns elsewhere asks of an actor type's definition: whether another node has the
-- same. To send one is definition.lua's.

local version = {}

local RANK <const> = { boolean = 1, number = 2, string = 3 }

-- Objects come last, in whatever order: there is none that two nodes could agree on.
local function key_before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 4, RANK[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 1 then return not a and b end
  return rank_a < 4 and a < b
end

--- The keys in an order that all nodes agree on.
function version.sorted_keys(data)
  local keys = {}
  for key in next, data do keys[#keys + 1] = key end
  table.sort(keys, key_before)
  return keys
end

-- Hashing: 64-bit FNV-1a over a text that has one form for one definition.

local FNV_OFFSET <const> = 0xcbf29ce484222325
local FNV_PRIME <const> = 0x100000001b3

local function fnv1a(hash, bytes)
  for i = 1, #bytes do
    hash = (hash ~ bytes:byte(i)) * FNV_PRIME
  end
  return hash
end

local function canonical_number(value)
  if math.type(value) == "integer" then return ("i%d;"):format(value) end
  if value ~= value then return "nan" end -- its sign and payload are the machine's
  return ("f%.17g;"):format(value)
end

local function canonical_text(letter, text) return ("%s%d:%s"):format(letter, #text, text) end

local function canonical_leaf(value, ref_id)
  local kind = type(value)
  if kind == "number" then return canonical_number(value) end
  if kind == "string" then return canonical_text("s", value) end
  if kind == "boolean" then return value and "t" or "b" end
  return canonical_text("r", tostring(ref_id(value)))
end

local function hash_value(hash, value, ref_id)
  if type(value) ~= "table" or debug.getmetatable(value) then
    return fnv1a(hash, canonical_leaf(value, ref_id))
  end
  local keys = version.sorted_keys(value)
  hash = fnv1a(hash, ("{%d;"):format(#keys))
  for _, key in ipairs(keys) do
    hash = fnv1a(hash, canonical_leaf(key, ref_id))
    hash = hash_value(hash, value[key], ref_id)
  end
  return hash
end

--- A hash of a packed definition that is the same on every node.
-- @tparam table plain what definition.pack made
-- @tparam[opt] table context `ref_id(ref)`: what stands for a ref, `tostring` if not given
-- @treturn integer
-- @usage if version.hash(plain) ~= known_hash then send(plain) end
function version.hash(plain, context)
  local ref_id = context and context.ref_id or tostring
  return hash_value(FNV_OFFSET, plain, ref_id)
end

-- Explaining.

local HINT <const> = "; globals do not travel to other nodes: make '%s' local to the definition, "
  .. "or put it in a module that is required"

--- Adds a hint to the message of an error that a definition which has travelled raised for want of a global.
-- @param message any error value
-- @return the message with the hint behind the words about the global, or what was given
-- @usage error(version.explain("a.lua:3: attempt to call a nil value (global 'helper')"), 0)
function version.explain(message)
  if type(message) ~= "string" or message:find("globals do not travel", 1, true) then return message end
  local _, stop, name = message:find("a nil value %(global '([^'\n]+)'%)")
  if not stop then return message end
  return message:sub(1, stop) .. HINT:format(name) .. message:sub(stop + 1)
end

return version
