-- Protected calls that go well.
local function half(n) return n / 2 end

return function()
  local sum = 0
  for i = 1, 5000 do
    local ok, result = pcall(half, i)
    if ok then sum = sum + result end
  end
  return sum == 6251250
end
