-- Does one operation so many times: under callgrind, what more times cost is what the operation costs.
--
--     lua5.4 spec/bench/counts.lua same_node_call 1000

local mc = require "mooncast"
local core = require "mooncast.core"
local measure = require "spec.bench.measure"
local RECORD <const> = measure.RECORD

local Echo = mc.actor "Echo"
function Echo:echo(value) return value end

local operations = {}

function operations.same_node_call(n)
  local ref = mc.spawn { Echo, on = mc.node() }
  for i = 1, n do ref:echo(i) end
end

function operations.same_node_cast(n)
  local ref = mc.spawn { Echo, on = mc.node() }
  for i = 1, n do mc.cast(ref, "echo", i) end
  ref:echo()
end

local finished -- a task that waits for the token

local Hop = mc.actor "Hop"
function Hop:link(other) self.other = other end
function Hop:hop(n)
  if n == 0 then finished:cancel() else mc.cast(self.other, "hop", n - 1) end
end

-- Casts to idle actors: two pass a token to each other.
function operations.same_node_hop(n)
  local target = { Hop, on = mc.node() }
  local one, other = mc.spawn(target), mc.spawn(target)
  one:link(other)
  other:link(one)
  finished = mc.async(mc.sleep, 600)
  mc.cast(one, "hop", n)
  pcall(finished.await, finished)
end

function operations.spawn(n)
  local target = { Echo, on = mc.node() }
  for _ = 1, n do mc.spawn(target) end
end

-- On another node, both sides: a hundred at a time.
function operations.spawn_there(n)
  local target = { Echo, on = "w2" }
  measure.many(100, function()
    for _ = 1, n // 100 do mc.spawn(target) end
  end)
end

function operations.encode(n)
  for _ = 1, n do core.encode(RECORD) end
end

function operations.decode(n)
  local bytes = core.encode(RECORD)
  for _ = 1, n do core.decode(bytes) end
end

mc.main(function(name, n)
  collectgarbage "stop" -- when it starts, and what it finds, would depend on the seed of Lua's hashes
  operations[name](tonumber(n))
end)
