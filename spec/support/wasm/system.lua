--- lua-system's functions that busted uses: the clocks and sleep.
local system = {}

system.gettime = os.time

-- Processor time: the nearest that Lua alone has to a clock finer than a second.
system.monotime = os.clock

function system.sleep(seconds)
  require("mooncast").sleep(seconds)
end

return system
