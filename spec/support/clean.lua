--- Checks that a block of specs leaves nothing behind on any node: no pending call, no timer, no task
-- and no node that was not there before. In a describe block:
--   require "spec.support.clean"(setup, teardown)

local eventually = require "spec.support.eventually"
local nodes = require "spec.support.nodes"

return function(setup, teardown)
  local before
  setup(function() before = nodes.stats() end)
  teardown(function()
    local left
    local ok = pcall(eventually, function()
      left = nodes.leftover(before, nodes.stats())
      return not left
    end)
    if not ok then error("left behind: " .. left, 0) end
  end)
end
