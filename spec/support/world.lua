--- What specs about actors share: where to put them, and what was raised.
--
-- A spec's file runs on w1 alone: its actor types reach the other nodes because definitions travel.
-- There are at least three nodes wherever specs run.

local mc = require "mooncast"
local nodes = require "spec.support.nodes"

local world = {}

assert(#mc.nodes() >= 3, "specs want three nodes: --workers 3, natively MOONCAST_WORKERS=3")

--- The name of a node that is not this one.
function world.other()
  for _, name in ipairs(mc.nodes()) do
    if name ~= mc.node() then return name end
  end
end

--- The two placements that must not differ.
function world.places()
  return { { name = "on this node", node = mc.node() }, { name = "on another node", node = world.other() } }
end

--- Calls fn(...) and returns what it raised; fails when it returned.
function world.raised(fn, ...)
  local ok, raised = pcall(fn, ...)
  if ok then error("it returned instead of raising", 2) end
  return raised
end

--- The counters of a node, this one or another.
world.stats = nodes.stats_of

return world
