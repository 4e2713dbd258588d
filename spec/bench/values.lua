-- The round trip of a value through bytes: ours, and cjson's in the same Lua. `stock` runs cjson alone, for a
-- Lua without Mooncast.
--
--     mooncast spec/bench/values.lua 0.2
--     lua5.4 spec/bench/values.lua stock 0.2

local function round_trip(encode, decode, record)
  return function(n)
    for _ = 1, n do decode(encode(record)) end
  end
end

if ... == "stock" then
  -- What measure takes of Mooncast is the clock.
  package.preload.mooncast = function() return { now = require "socket".gettime } end
  local measure, cjson = require "spec.bench.measure", require "cjson"
  local _, seconds = ...
  measure.report("cjson", measure.rate(round_trip(cjson.encode, cjson.decode, measure.RECORD), tonumber(seconds)))
  return
end

local mc = require "mooncast"
local core = require "mooncast.core"
local cjson = require "cjson"
local measure = require "spec.bench.measure"

mc.main(function(seconds)
  seconds = tonumber(seconds)
  measure.report("value", measure.rate(round_trip(core.encode, core.decode, measure.RECORD), seconds))
  measure.report("cjson", measure.rate(round_trip(cjson.encode, cjson.decode, measure.RECORD), seconds))
end)
