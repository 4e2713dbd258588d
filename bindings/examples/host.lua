-- The program that host.c runs: it calls an actor written in C, from here and from another thread.
local mc = require "mooncast"

local Station = mc.actor "Station"

function Station:init(name) self.name = name end

function Station:measure(values)
  local thermometer = mc.lookup "thermometer"
  for _, celsius in ipairs(values) do thermometer:record(celsius) end
  return mc.node()
end

function Station:report() return self.name .. " on " .. mc.node() end

mc.main(function(...)
  station = mc.spawn({ Station, on = mc.nodes()[2] }, ... or "the station") -- a global, for host.c
  print("measured on " .. station:measure { 19.5, 20.5, 21.5 })
  print("mean: " .. mc.lookup("thermometer"):mean())
end)
