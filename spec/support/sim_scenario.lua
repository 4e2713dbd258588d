--- A busy quarter of a minute of four nodes, all from one seed, as the log of its events. As a program it
-- writes such logs: sim_scenario.lua FOLDER SEED ... makes FOLDER/SEED-native.log or FOLDER/SEED-wasm.log.
--
-- Every node calls, casts and spawns at random, while nodes are killed and come back, and partitions come
-- and heal. Handlers do what could differ between platforms: pairs, sorts, random numbers, tracebacks.

package.path = "./?.lua;" .. package.path
local sim = require "spec.support.sim"

local function program()
  local mc = require "mooncast"
  local Peer = mc.actor("Peer", { reentrant = true })
  function Peer:init() self.notes = {} end
  function Peer:echo(...) return ... end
  function Peer:keys(map)
    local names = {}
    for key in pairs(map) do names[#names + 1] = key end
    return table.concat(names, " ")
  end
  -- Enough equal ones for the order among them to depend on the pivots.
  function Peer:sort(n)
    local list = {}
    for i = 1, n do list[i] = { key = math.random(3), i } end
    table.sort(list, function(a, b) return a.key < b.key end)
    local first = {}
    for i = 1, 12 do first[i] = list[i][1] end
    return table.concat(first, " ")
  end
  function Peer:slow(seconds) mc.sleep(seconds) return os.time() end
  function Peer:fail(what) error("cannot " .. what) end
  function Peer:note(n) self.notes[#self.notes + 1] = n end
  function Peer:count() return #self.notes end
  function Peer:pass(to, ...)
    if not to then return mc.node(), ... end
    return to:pass(...)
  end
  return Peer
end

-- Runs in each node.
local function client(rounds)
  local mc = require "mooncast"
  local Peer = require "program"
  local nodes = { "w1", "w2", "w3", "w4" }
  local known = {} -- node -> an actor there
  math.randomseed()

  local function peer()
    local where = nodes[math.random(#nodes)]
    known[where] = known[where] or mc.with({ timeout = 2 }, mc.spawn, { Peer, on = where })
    return known[where], where
  end

  local doing = {
    function(to) return to:echo(math.random(), nil, math.random(1 << 40), { "list", { n = 1.5 } }) end,
    function(to)
      local map = {}
      for _ = 1, 8 do map[("k%d"):format(math.random(1000))] = true end
      return to:keys(map)
    end,
    function(to) return to:sort(math.random(200, 600)) end,
    function(to) return mc.with({ timeout = 0.25 }, to.slow, to, math.random()) end,
    function(to) return to:fail "this" end,
    function(to)
      for i = 1, math.random(10) do mc.cast(to, "note", i) end
      return to:count()
    end,
    function(to) return to:pass(peer(), (peer())) end,
    function(to) return mc.all(mc.async(to.echo, to, 1), mc.async(to.slow, to, 0.01)) end,
  }

  local function line(ok, ...)
    local parts = table.pack(...)
    for i = 1, parts.n do
      local value = parts[i]
      if type(value) == "table" then value = value.code or #value end
      parts[i] = tostring(value)
    end
    return (ok and "" or "fails: ") .. table.concat(parts, " ")
  end

  for i = 1, rounds do
    mc.sleep(math.random() / 10)
    local what, where = math.random(#doing), "?"
    print(i, what, line(pcall(function()
      local to
      to, where = peer()
      return doing[what](to)
    end)))
    if math.random(10) == 1 then print(mc.traceback()) end
    if math.random(5) == 1 then known[where] = nil end
  end
end

local rounds <const> = 60

-- Something happens to the network every while or so.
local function disturb(world)
  local names = { "w1", "w2", "w3", "w4" }
  local what, name = world:random(1, 4), names[world:random(2, 4)]
  if what == 1 then
    world:partition("w1", name)
    world:at(world:now() + world:random(10, 3000), function() world:heal() end)
  elseif what == 2 then
    world:delay { 1, world:random(1, 200) }
  elseif world:is_alive(name) then
    world:kill(name)
    world:at(world:now() + world:random(0, 1000), function()
      world:start(name)
      world:run(name, client, rounds)
    end)
  end
end

local function scenario(seed)
  local world = sim.new {
    seed = seed, nodes = 4, delay = { 1, 20 }, program = program,
    cut = seed % 2 == 0, drop = seed % 3 == 0 and 0.006 or 0,
  }
  for _, name in ipairs(world:names()) do world:run(name, client, rounds) end
  for _ = 1, 8 do world:at(world:random(0, 6000), function() disturb(world) end) end
  world:settle()
  world:heal()
  world:settle()
  world:note("ends with %s", world:leftover() or "nothing left")
  local log = world:log()
  world:close()
  return log
end

if arg and arg[0] and arg[0]:find "sim_scenario%.lua$" then
  for i = 2, #arg do
    local path = ("%s/%s-%s.log"):format(arg[1], arg[i], sim.engine)
    local file = assert(io.open(path, "wb"))
    file:write(scenario(tonumber(arg[i])))
    file:close()
  end
end

return scenario
