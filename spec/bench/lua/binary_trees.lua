-- Many small tables that die young: allocation and collection.
local function make(depth)
  if depth == 0 then return {} end
  return { make(depth - 1), make(depth - 1) }
end

local function count(tree)
  if not tree[1] then return 1 end
  return 1 + count(tree[1]) + count(tree[2])
end

return function()
  local long = make(10)
  for _ = 1, 8 do
    if count(make(8)) ~= 511 then return false end
  end
  return count(long) == 2047
end
