--- Checks that a block of specs leaves nothing behind on any node: no pending call, no timer, no task
-- and no node that was not there before. In a describe block:
--   require "spec.support.clean"(setup, teardown)

local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

local function snapshot()
  local all = {}
  for _, name in ipairs(mc.nodes()) do
    local alive, stats = pcall(world.stats, name) -- a node may just be ending
    if alive then all[name] = stats end
  end
  return all
end

-- What is left, as a sentence, or nil.
local function leftover(before, after)
  for name, now in pairs(after) do
    local was = before[name]
    if not was then return "node " .. name .. " is still there" end
    for _, what in ipairs { "pending", "timers" } do
      if now[what] > 0 then return ("%s has %d %s"):format(name, now[what], what) end
    end
    if now.tasks > was.tasks then return ("%s has %d tasks, it had %d"):format(name, now.tasks, was.tasks) end
  end
  for name in pairs(before) do
    if not after[name] then return "node " .. name .. " is gone" end
  end
end

return function(setup, teardown)
  local before
  setup(function() before = snapshot() end)
  teardown(function()
    local left
    local ok = pcall(eventually, function()
      left = leftover(before, snapshot())
      return not left
    end)
    if not ok then error("left behind: " .. left, 0) end
  end)
end
