-- One run of the measurements that a program can make from inside: prints a line `name value` for each.
-- Runs on two nodes, natively and in wasm. run.mjs calls it, several times in turn with others.
--
--     mooncast --workers 2 spec/bench/measure.lua [seconds for each measurement]

local mc = require "mooncast"
local core = require "mooncast.core"

local CALLERS <const> = 100
local ACTORS <const> = 100000

local Echo = mc.actor "Echo"
function Echo:echo(value) return value end
function Echo:take() self.taken = (self.taken or 0) + 1 end
function Echo:taken_so_far() return self.taken end

local Small = mc.actor "Small"
function Small:init(n) self.n = n end

-- How often per second: batch(n) does it n times. Once to warm up, then with more until it takes long enough.
local function rate(batch, seconds)
  local n = 100
  while true do
    local start = mc.now()
    batch(n)
    local took = mc.now() - start
    if took >= seconds then return n / took end
    n = math.ceil(n * math.min(10, 1.2 * seconds / math.max(took, seconds / 100)))
  end
end

local function call_one_at_a_time(ref)
  return function(n)
    for i = 1, n do ref:echo(i) end
  end
end

local function call_from_many(ref)
  return function(n)
    local tasks = {}
    for i = 1, CALLERS do
      tasks[i] = mc.async(function()
        for j = 1, math.ceil(n / CALLERS) do ref:echo(j) end
      end)
    end
    mc.all(table.unpack(tasks))
  end
end

-- The call behind them is answered when all were handled.
local function cast(ref)
  return function(n)
    for _ = 1, n do mc.cast(ref, "take") end
    ref:taken_so_far()
  end
end

local function switch(n)
  local co = coroutine.wrap(function()
    while true do coroutine.yield() end
  end)
  for _ = 1, n do co() end
end

-- Fifteen fields, three levels.
local RECORD <const> = {
  id = 123456789, name = "Ada Lovelace", email = "ada@example.org", active = true, score = 98.6, visits = 42,
  tags = { "first", "program", "engine" },
  address = { street = "St James's Square", number = 12, city = "London", position = { lat = 51.507, lon = -0.135 } },
}

local function codec(n)
  for _ = 1, n do core.decode(core.encode(RECORD)) end
end

-- What the process holds, Lua's memory and the core's; nil where nobody tells.
local function memory()
  collectgarbage()
  collectgarbage()
  local file <close> = io.open("/proc/self/status")
  local kilobytes = file and file:read("a"):match("VmRSS:%s*(%d+)")
  return kilobytes and kilobytes * 1024
end

local function spawn()
  local refs, target = {}, { Small, on = mc.node() }
  for i = 1, ACTORS do refs[i] = false end -- its slots are not the actors'
  local before, start = memory(), mc.now()
  for i = 1, ACTORS do refs[i] = mc.spawn(target, i) end
  local took = mc.now() - start
  local after = memory()
  return ACTORS / took, before and (after - before) / ACTORS, refs
end

mc.main(function(seconds)
  seconds = tonumber(seconds) or 0.2
  local function report(name, value)
    if value then print(("%s %.6g"):format(name, value)) end
  end
  -- First, while the memory is as small as it gets.
  local spawns, bytes = spawn()
  report("spawn", spawns)
  report("actor_bytes", bytes)
  local here, there = mc.spawn { Echo, on = mc.node() }, mc.spawn { Echo, on = "w2" }
  report("coroutine_switch", rate(switch, seconds))
  report("same_node_call", rate(call_one_at_a_time(here), seconds))
  report("round_trip", rate(call_one_at_a_time(there), seconds))
  report("calls_from_100", rate(call_from_many(there), seconds))
  report("cast", rate(cast(there), seconds))
  report("codec", rate(codec, seconds))
end)
