--- What is on every node, and what of it is left later.

local mc = require "mooncast"
local node = require "mooncast.node"

local nodes = {}

--- The counters of a node, this one or another.
function nodes.stats_of(name)
  if name == mc.node() then return mc.stats() end
  return mc.call(node.siblings[name].ref, "stats")
end

--- The counters of all nodes, by name.
function nodes.stats()
  local all = {}
  for _, name in ipairs(mc.nodes()) do
    local alive, stats = pcall(nodes.stats_of, name) -- a node may just be ending
    if alive then all[name] = stats end
  end
  return all
end

--- What is left, as a sentence, or nil; actors count only when asked for.
function nodes.leftover(before, after, with_actors)
  local left = {}
  local function add(...) left[#left + 1] = string.format(...) end
  for name, now in pairs(after) do
    local was = before[name] or now
    if was == now then add("node %s is still there", name) end
    for _, what in ipairs { "pending", "timers" } do
      if now[what] > 0 then add("%s has %d %s", name, now[what], what) end
    end
    for _, what in ipairs { "tasks", with_actors and "actors" or nil } do
      local more = now[what] - was[what]
      if more > 0 then add("%s has %d %s more than before", name, more, what) end
    end
  end
  for name in pairs(before) do
    if not after[name] then add("node %s is gone", name) end
  end
  table.sort(left)
  return left[1] and table.concat(left, ", ")
end

return nodes
