--- Waits until a condition holds, for what other nodes do in their own time. Returns what it gave.
--   eventually(function() return #mc.nodes() == 3 end, "the node is gone")

local mc = require "mooncast"

return function(condition, what, seconds)
  local deadline = mc.now() + (seconds or 30)
  while true do
    local value = condition()
    if value then return value end
    if mc.now() > deadline then error("never: " .. (what or "the condition held"), 2) end
    mc.sleep(0.002)
  end
end
