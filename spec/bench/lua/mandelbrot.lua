-- Floating point in nested loops.
local SIZE, LIMIT = 32, 50

local function steps(cr, ci)
  local zr, zi = 0.0, 0.0
  for i = 1, LIMIT do
    local r, j = zr * zr, zi * zi
    if r + j > 4.0 then return i end
    zr, zi = r - j + cr, 2.0 * zr * zi + ci
  end
  return 0
end

return function()
  local inside = 0
  for y = 0, SIZE - 1 do
    for x = 0, SIZE - 1 do
      if steps(2.5 * x / SIZE - 2.0, 2.5 * y / SIZE - 1.25) == 0 then inside = inside + 1 end
    end
  end
  return inside > 200 and inside < 400
end
