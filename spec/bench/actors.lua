-- Spawning, what an actor weighs, and the ring of 503 actors: prints a line `figure value` for each.
-- All on one node, but for the remote spawns, which go to w2.
--
--     mooncast --workers 2 spec/bench/actors.lua 0.2

local mc = require "mooncast"
local measure = require "spec.bench.measure"

local ACTORS <const> = 100000
local CALLERS <const> = 100
local RING <const> = 503
local HOPS <const> = 100000

-- No state: no field, no init.
local Idle = mc.actor "Idle"
function Idle:nothing() end

-- What the process holds, Lua's memory and the core's; nil where nobody tells.
local function memory()
  collectgarbage()
  collectgarbage()
  local file <close> = io.open("/proc/self/status")
  local kilobytes = file and file:read("a"):match("VmRSS:%s*(%d+)")
  return kilobytes and kilobytes * 1024
end

-- With a reference to each that is kept.
local function spawn()
  local refs, target = {}, { Idle, on = mc.node() }
  for i = 1, ACTORS do refs[i] = false end -- its slots are not the actors'
  local before, start = memory(), mc.now()
  for i = 1, ACTORS do refs[i] = mc.spawn(target) end
  local took = mc.now() - start
  local after = memory()
  return ACTORS / took, before and (after - before) / ACTORS, refs
end

local function spawn_remote(n)
  local target = { Idle, on = "w2" }
  measure.many(CALLERS, function()
    for _ = 1, math.ceil(n / CALLERS) do mc.spawn(target) end
  end)
end

local finished -- a task that waits for the token

local Hop = mc.actor "Hop"
function Hop:init(next) self.next = next end
function Hop:link(next) self.next = next end
function Hop:hop(n)
  if n == 0 then finished:cancel() else mc.cast(self.next, "hop", n - 1) end
end

-- The classic: each sends the token to the next. One hop is one cast.
local function thread_ring()
  local target = { Hop, on = mc.node() }
  local first = mc.spawn(target)
  local last = first
  for _ = 2, RING do last = mc.spawn(target, last) end
  first:link(last)
  finished = mc.async(mc.sleep, 600)
  local start = mc.now()
  mc.cast(first, "hop", HOPS)
  pcall(finished.await, finished)
  return HOPS / (mc.now() - start)
end

-- The median of three rounds, warmed up by ten.
local function median_of_3(fn)
  for _ = 1, 10 do fn() end
  local list = { fn(), fn(), fn() }
  table.sort(list)
  return list[2]
end

mc.main(function(seconds)
  -- First, while the memory is as small as it gets.
  local spawns, bytes = spawn()
  measure.report("spawn", spawns)
  measure.report("actor_bytes", bytes)
  measure.report("spawn_remote", measure.rate(spawn_remote, tonumber(seconds)))
  measure.report("thread_ring", median_of_3(thread_ring))
end)
