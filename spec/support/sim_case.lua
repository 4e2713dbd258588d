--- What specs under the simulation share: worlds whose nodes all run one program.
--   local case = require "spec.support.sim_case"(program)
--   local world, result = case.run({ nodes = 2 }, function() return require "program" ~= nil end)

local sim = require "spec.support.sim"

return function(program)
  local case = {}

  --- A world of the program. Without a delay of its own, messages take no time.
  function case.new(options)
    options.program, options.delay = program, options.delay or 0
    return sim.new(options)
  end

  --- Lets a world come to its end and checks that nothing is left in it. Returns what the task of the
  -- handle returned; raises what it raised.
  function case.finish(world, handle)
    world:settle()
    local left = world:leftover()
    if left then error(left, 2) end
    local r = table.pack(world:result(handle))
    if not r[1] then error(type(r[2]) == "table" and (r[2].message or "a table was raised") or r[2], 0) end
    return table.unpack(r, 2, r.n)
  end

  --- Runs fn(...) to its end in node w1 of a new world; returns the world and what fn returned.
  function case.run(options, fn, ...)
    local world = case.new(options)
    return world, case.finish(world, world:run("w1", fn, ...))
  end

  return case
end
