-- Errors that are raised and caught: a string, and a table.
local function fail(what) error(what) end

return function()
  local caught, object = 0, { code = 42 }
  for i = 1, 500 do
    local ok, message = pcall(fail, i % 2 == 0 and object or "no")
    if not ok and (message == object or message:find("no", 1, true)) then caught = caught + 1 end
  end
  return caught == 500
end
