--- busted's helper for the project's own specs (.busted): a file that leaves something behind fails.
--
-- After each file there are, on every node, no pending calls and no timers, and no more tasks, actors
-- and nodes than before it. What actors the file spawned and did not stop are stopped here first: one
-- that cannot be stopped is left behind. Fails the file with a line like
--   FAILED spec/lua/x_spec.lua: left behind: w2 has 3 actors more than before

-- Specs under spec/sim/ have nodes of their own, which they count themselves; their driver is none.
if package.preload["mooncast.sim"] then return end

local found, mc = pcall(require, "mooncast")
if not found then return end -- the specs will say so

local busted = require "busted"
local eventually = require "spec.support.eventually"
local nodes = require "spec.support.nodes"

local STOP_S = 5

-- On every node: knows the actors that are there now and were not when it came.
local Watcher = mc.actor("leaks.Watcher", { reentrant = true })

function Watcher:init()
  local made = {}
  self.made = made
  mc.on("assign", function(ref) made[mc.id(ref)] = tostring(ref):match "^(.*) " end)
  mc.on("resign", function(ref) made[mc.id(ref)] = nil end)
end

-- Those that it cannot stop stay in the node's count.
function Watcher:stop_all()
  collectgarbage() -- what mc.new made goes by itself
  local tasks = {}
  for id, name in pairs(self.made) do
    tasks[#tasks + 1] = mc.async(function()
      pcall(mc.deadline, STOP_S, function() mc.stop(mc.resolve(name, id)) end)
    end)
  end
  mc.all(table.unpack(tasks))
end

local watchers = {} -- by node
local before

local function start()
  for _, name in ipairs(mc.nodes()) do
    watchers[name] = watchers[name] or mc.spawn { Watcher, on = name }
  end
  before = nodes.stats()
  return nil, true
end

local function finish(file)
  for name, watcher in pairs(watchers) do
    if not pcall(watcher.stop_all, watcher) then watchers[name] = nil end -- the node is gone
  end
  local left
  local function none()
    left = nodes.leftover(before, nodes.stats(), true)
    return not left
  end
  if not pcall(eventually, none) then busted.publish({ "error", "file" }, file, nil, "left behind: " .. left) end
  return nil, true
end

busted.subscribe({ "file", "start" }, start)
busted.subscribe({ "file", "end" }, finish)
