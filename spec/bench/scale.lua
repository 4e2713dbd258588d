-- What a thing costs among few and among many of its kind: prints lines `figure value`, per second, and for
-- the start of nodes in milliseconds.
--
--     mooncast --workers 2 spec/bench/scale.lua actors|sleepers|pending|nodes 0.1

local mc = require "mooncast"
local measure = require "spec.bench.measure"

local FEW <const>, MANY <const> = 1000, 100000
local NODES <const> = 64
local ACTORS_ASKED <const> = 50 -- a mailbox takes so many

local Idle = mc.actor "Idle"
function Idle:echo(value) return value end

local Holder = mc.actor("Holder", { reentrant = true })
function Holder:hold() mc.sleep(600) end
function Holder:echo(value) return value end

local function per_second(n, fn)
  local start = mc.now()
  fn()
  return n / (mc.now() - start)
end

local kinds = {}

-- Spawning up to so many actors, collections included, and calling them in an order that no cache foresees.
function kinds.actors(seconds)
  local refs, target = {}, { Idle, on = mc.node() }
  local function grow(count)
    for i = #refs + 1, count do refs[i] = mc.spawn(target) end
  end
  grow(FEW)
  for _, count in ipairs { 2 * FEW, MANY } do
    local more = count - #refs
    measure.report("spawn_up_to_" .. count, per_second(more, function() grow(count) end))
    local at = 1
    measure.report("call_among_" .. count, measure.rate(function(n)
      for i = 1, n do
        refs[at]:echo(i)
        at = (at + 7919) % count + 1
      end
    end, seconds))
  end
end

-- Sleepers, so tasks and timers: starting up to so many, collections included.
function kinds.sleepers()
  local tasks = {}
  local function grow(count)
    for i = #tasks + 1, count do tasks[i] = mc.async(mc.sleep, 600 + i % 97) end
    mc.sleep(0)
  end
  grow(FEW)
  for _, count in ipairs { 2 * FEW, MANY } do
    local more = count - #tasks
    measure.report("sleeper_up_to_" .. count, per_second(more, function() grow(count) end))
  end
end

-- Calls to another node while so many others wait for their answers.
function kinds.pending(seconds)
  local holders, tasks = {}, {}
  for i = 1, ACTORS_ASKED do holders[i] = mc.spawn { Holder, on = "w2" } end
  for _, count in ipairs { FEW, MANY } do
    for i = #tasks + 1, count do
      local holder = holders[i % ACTORS_ASKED + 1]
      tasks[i] = mc.async(holder.hold, holder)
    end
    for i = 1, ACTORS_ASKED do holders[i]:echo(1) end
    local first = mc.spawn { Idle, on = "w2" }
    measure.report("round_trip_among_" .. count .. "_pending", measure.rate(function(n)
      for i = 1, n do first:echo(i) end
    end, seconds))
  end
end

-- A call to a second node, and starting another, when there are 2 or 3 and when there are 64.
function kinds.nodes(seconds)
  local there = mc.spawn { Idle, on = "w2" }
  local function round_trip()
    return measure.rate(function(n)
      for i = 1, n do there:echo(i) end
    end, seconds)
  end
  measure.report("round_trip_among_2_nodes", round_trip())
  for count = 3, NODES do
    local start = mc.now()
    mc.start_node()
    local took = (mc.now() - start) * 1000
    if count == 3 or count == NODES then
      measure.report(("start_of_node_%d"):format(count), took)
      measure.report(("round_trip_among_%d_nodes"):format(count), round_trip())
    end
  end
end

mc.main(function(kind, seconds)
  kinds[kind](tonumber(seconds))
  os.exit(0, false) -- what still waits is not waited for
end)
