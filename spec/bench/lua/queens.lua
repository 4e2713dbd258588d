-- Eight queens: small arrays, loops, backtracking.
local SIZE = 8

local function safe(rows, row, column)
  for i = 1, row - 1 do
    local other = rows[i]
    if other == column or other - i == column - row or other + i == column + row then return false end
  end
  return true
end

local function place(rows, row)
  if row > SIZE then return 1 end
  local found = 0
  for column = 1, SIZE do
    if safe(rows, row, column) then
      rows[row] = column
      found = found + place(rows, row + 1)
    end
  end
  return found
end

return function() return place({}, 1) == 92 end
