-- Filling, reading and walking tables: arrays, then keys that are strings.
return function()
  local list, names, sum = {}, {}, 0
  for i = 1, 5000 do list[i] = i end
  for i = 1, #list do sum = sum + list[i] end
  for i = 1, 1000 do names["name" .. i] = i end
  for _, value in pairs(names) do sum = sum + value end
  for i = 1, 1000 do table.insert(list, i) end
  for _ = 1, 1000 do table.remove(list) end
  return sum == 12502500 + 500500 and #list == 5000
end
