-- table.sort with a comparison of ours, and without.
return function()
  local list, seed = {}, 42
  for i = 1, 2000 do
    seed = (seed * 137 + 71) % 65537
    list[i] = seed
  end
  table.sort(list)
  table.sort(list, function(a, b) return a > b end)
  for i = 2, #list do
    if list[i - 1] < list[i] then return false end
  end
  return true
end
