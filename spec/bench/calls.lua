-- Calls and casts: prints a line `figure value` for each. On two nodes; natively and in wasm.
--
--     mooncast --workers 2 spec/bench/calls.lua 0.2

local mc = require "mooncast"
local measure = require "spec.bench.measure"

local CALLERS <const> = 100

local Echo = mc.actor "Echo"
function Echo:echo(value) return value end
function Echo:take() self.taken = (self.taken or 0) + 1 end
function Echo:taken_so_far() return self.taken end

local function one_at_a_time(ref)
  return function(n)
    for i = 1, n do ref:echo(i) end
  end
end

local function from_many(ref)
  return function(n)
    measure.many(CALLERS, function()
      for j = 1, math.ceil(n / CALLERS) do ref:echo(j) end
    end)
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

-- The first yield in a pcall that is made anew each time.
local function switch_in_pcall(n)
  local function body() coroutine.yield() end
  local co = coroutine.wrap(function()
    while true do pcall(body) end
  end)
  for _ = 1, n do co() end
end

local function await(n)
  for _ = 1, n do mc.sleep(0) end
end

local function await_in_pcall(n)
  local function body() mc.sleep(0) end
  for _ = 1, n do pcall(body) end
end

mc.main(function(seconds)
  seconds = tonumber(seconds)
  local here, there = mc.spawn { Echo, on = mc.node() }, mc.spawn { Echo, on = "w2" }
  local function report(name, batch) measure.report(name, measure.rate(batch, seconds)) end
  report("coroutine_switch", switch)
  report("coroutine_switch_in_pcall", switch_in_pcall)
  report("await", await)
  report("await_in_pcall", await_in_pcall)
  report("same_node_call", one_at_a_time(here))
  report("same_node_cast", cast(here))
  report("round_trip", one_at_a_time(there))
  report("calls_from_100", from_many(there))
  report("cast", cast(there))
end)
