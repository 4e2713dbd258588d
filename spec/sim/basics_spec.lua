-- The simulation itself, and what every node must do under it. Functions given to a world run in its nodes:
-- they see those nodes' globals and nothing of this file.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim
local scenario = require "spec.support.sim_scenario"

local function program()
  local mc = require "mooncast"
  local Peer = mc.actor("Peer", { reentrant = true })
  function Peer:init() self.notes = {} end
  function Peer:echo(...) return ... end
  function Peer:where() return mc.node() end
  function Peer:note(n) self.notes[#self.notes + 1] = n end
  function Peer:all() return self.notes end
  function Peer:slow(seconds) mc.sleep(seconds) return "slept" end
  function Peer:relay(to, seconds) return to:slow(seconds) end
  return Peer
end

local function new(options)
  options.program = options.program or program
  return sim.new(options)
end

-- Runs fn to its end in node w1 of a new world; returns what it returned, and the world.
local function run(options, fn, ...)
  local world = new(options)
  local handle = world:run("w1", fn, ...)
  assert.is_true(world:settle())
  assert.is_nil(world:leftover())
  local results = table.pack(world:result(handle))
  assert(results[1], type(results[2]) == "table" and results[2].message or results[2])
  return world, table.unpack(results, 2, results.n)
end

describe("simulated nodes", function()
  it("know each other and answer calls", function()
    local _, names, answer = run({ nodes = 4 }, function()
      local mc = require "mooncast"
      local Peer, names = require "program", {}
      for i, name in ipairs(mc.nodes()) do names[i] = mc.spawn({ Peer, on = name }):where() end
      return names, table.concat({ mc.spawn({ Peer, on = "w3" }):echo("a", "b") }, " ")
    end)
    assert.same({ "w1", "w2", "w3", "w4" }, names)
    assert.equal("a b", answer)
  end)

  it("take and return data, and what is none as text", function()
    local world = new { nodes = 1 }
    local ok = world:run("w1", function(...) return select("#", ...), ... end, nil, 1.5, { x = { true } }, "a\0b")
    local bad = world:run("w1", function() error({ code = 7 }) end)
    local text = world:run("w1", "local n = ... return n + 1", 1)
    local other = world:run("w1", function() return print end)
    world:settle()
    assert.same({ true, 4, nil, 1.5, { x = { true } }, "a\0b" }, { world:result(ok) })
    assert.same({ false, { code = 7 } }, { world:result(bad) })
    assert.same({ true, 2 }, { world:result(text) })
    assert.same({ true, "function" }, { world:result(other) })
    assert.error_matches(function() world:run("w1", function() return world end) end, "uses world")
  end)

  it("take as long as the network does", function()
    local world, took = run({ nodes = 2, delay = 10 }, function()
      local mc = require "mooncast"
      local peer = mc.spawn({ require "program", on = "w2" })
      local before = mc.now()
      for _ = 1, 5 do peer:echo() end
      return mc.now() - before
    end)
    assert.near(0.1, took, 0.001)
    assert.near(120, world:now(), 1) -- the spawn took a round trip, too
  end)

  it("handle casts in order, whatever the delays and cuts", function()
    for seed = 1, 20 do
      local _, notes = run({ seed = seed, nodes = 2, delay = { 0, 100 }, cut = true }, function()
        local mc = require "mooncast"
        local peer = mc.spawn({ require "program", on = "w2" })
        for i = 1, 50 do
          mc.cast(peer, "note", i)
          if i % 7 == 0 then mc.sleep(0.005) end
        end
        return peer:all()
      end)
      for i = 1, 50 do assert.equal(i, notes[i]) end
    end
  end)

  it("see messages of different pairs in any order", function()
    local orders = {}
    for seed = 1, 20 do
      local _, notes = run({ seed = seed, nodes = 3, delay = { 0, 100 } }, function()
        local mc = require "mooncast"
        local Peer = require "program"
        local Caster = mc.actor "Caster"
        function Caster:go(to, n) mc.cast(to, "note", n) end
        local to = mc.spawn({ Peer, on = "w1" })
        local a, b = mc.spawn({ Caster, on = "w2" }), mc.spawn({ Caster, on = "w3" })
        mc.cast(a, "go", to, 2)
        mc.cast(b, "go", to, 3)
        mc.sleep(1)
        return to:all()
      end)
      orders[table.concat(notes, " ")] = true
    end
    assert.same({ ["2 3"] = true, ["3 2"] = true }, orders)
  end)

  it("do not run while time stands still, and go on where they were", function()
    local world = new { nodes = 1 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      for i = 1, 3 do
        print(i)
        mc.sleep(1)
      end
    end)
    world:advance(1500)
    assert.equal(1500, world:now())
    assert.is_false(handle.done)
    assert.is_nil((world:result(handle)))
    local _, printed = world:log():gsub("prints", "")
    assert.equal(2, printed)
    assert.is_false(world:settle(100))
    assert.is_true(world:settle())
    assert.equal(3000, handle.at)
  end)
end)

describe("simulated time", function()
  it("jumps over what is idle: a timer of 24 hours", function()
    local world = new { nodes = 4 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local before = mc.now()
      mc.sleep(24 * 60 * 60)
      return mc.now() - before
    end)
    local real = os.clock()
    assert.is_true(world:settle())
    real = os.clock() - real
    assert.same({ true, 86400 }, { world:result(handle) })
    assert.equal(86400000, world:now())
    assert.is_true(real < 0.05, ("took %.3f s"):format(real))
  end)

  it("ends calls at a chosen timeout, and after 30 seconds", function()
    local _, chosen, code, default, code2 = run({ nodes = 2, delay = 5 }, function()
      local mc = require "mooncast"
      local peer = mc.spawn({ require "program", on = "w2" })
      local start = mc.now()
      local _, e = pcall(mc.with, { timeout = 0.25 }, peer.slow, peer, 60)
      local chosen = mc.now() - start
      start = mc.now()
      local _, e2 = pcall(peer.slow, peer, 60)
      return chosen, e.code, mc.now() - start, e2.code
    end)
    assert.equal(0.25, chosen)
    assert.equal("timeout", code)
    assert.equal(30, default)
    assert.equal("timeout", code2)
  end)

  it("goes on for who polls", function()
    local _, turns = run({ nodes = 1 }, function()
      local mc = require "mooncast"
      local till, turns = mc.now() + 0.01, 0
      while mc.now() < till do
        mc.sleep(0)
        turns = turns + 1
      end
      return turns
    end)
    assert.is_true(turns > 1)
  end)

  it("is all that programs see", function()
    local _, a, b, c = run({ nodes = 1 }, function()
      local mc = require "mooncast"
      local time, clock = os.time(), os.clock()
      mc.sleep(3600)
      return os.time() - time, os.clock() - clock, os.date("!%Y")
    end)
    assert.equal(3600, a)
    assert.equal(3600, b)
    assert.equal("2023", c)
  end)
end)

describe("a simulated network", function()
  local function call_slow(seconds, on)
    local mc = require "mooncast"
    local peer = mc.spawn({ require "program", on = on or "w2" })
    print "spawned"
    local ok, e = pcall(peer.slow, peer, seconds)
    return ok, ok and e or e.code, mc.now()
  end

  -- What such a call ended with: true, then ok and "slept" or false and a code.
  local function outcome(world, handle) return table.move({ world:result(handle) }, 1, 3, 1, {}) end

  it("fails the calls to a node that is killed, when the news come", function()
    local world = new { nodes = 2, delay = 10 }
    local handle = world:run("w1", call_slow, 5)
    world:advance(100)
    world:kill "w2"
    assert.is_true(world:settle())
    assert.equal(110, handle.at)
    assert.same({ true, false, "node_down" }, outcome(world, handle))
    assert.same({ "w1" }, world:names())
    assert.is_nil(world:leftover())
  end)

  it("delivers what the dead had sent before the news of its death", function()
    local world = new { nodes = 2, delay = { 1, 100 } }
    local to = world:run("w1", function()
      local mc = require "mooncast"
      local Sink = mc.actor "Sink"
      function Sink:got(n) print("got " .. n) end
      Sink = mc.spawn({ Sink, on = "w1" })
      return mc.id(Sink)
    end)
    world:settle()
    world:run("w2", function(id)
      local mc = require "mooncast"
      local sink = mc.resolve("Sink", id)
      for i = 1, 20 do
        mc.cast(sink, "got", i)
        mc.sleep(0.001)
      end
    end, select(2, world:result(to)))
    world:advance(18)
    world:kill "w2"
    world:settle()
    local log = world:log()
    local down = log:find("w1 hears that w2 is down", 1, true)
    assert.is_number(down)
    assert.is_true(log:find("got 19\n", 1, true) < down)
    assert.is_nil(log:find("got", down, true))
  end)

  it("lets a node come back as another one", function()
    local world = new { nodes = 2, delay = 10 }
    local first = world:run("w1", call_slow, 1)
    world:advance(100)
    world:kill "w2"
    world:start "w2"
    world:settle()
    local second = world:run("w1", call_slow, 1)
    world:settle()
    assert.same({ true, false, "node_down" }, outcome(world, first))
    assert.same({ true, true, "slept" }, outcome(world, second))
  end)

  it("keeps what a partition stops: calls time out, answers come late", function()
    local world = new { nodes = 3, delay = 10 }
    local cut = world:run("w1", call_slow, 5)
    local free = world:run("w1", call_slow, 5, "w3")
    world:advance(100)
    world:partition("w1", { "w2" })
    world:advance(60000)
    assert.same({ true, false, "timeout" }, outcome(world, cut))
    assert.same({ true, true, "slept" }, outcome(world, free))
    assert.near(30020, cut.at, 1)
    assert.equal(0, world:stats("w1").late_replies)
    world:heal()
    world:settle()
    assert.equal(1, world:stats("w1").late_replies)
    assert.is_nil(world:leftover())
    local again = world:run("w1", call_slow, 0)
    world:settle()
    assert.same({ true, true, "slept" }, outcome(world, again))
  end)

  it("breaks links: each end sees the other one down", function()
    local world = new { nodes = 3, delay = 10 }
    local handle = world:run("w1", call_slow, 5)
    world:advance(100)
    world:break_link("w1", "w2")
    world:settle()
    assert.same({ true, false, "node_down" }, outcome(world, handle))
    assert.equal(110, handle.at)
    local other = world:run("w3", call_slow, 0)
    world:settle()
    assert.same({ true, true, "slept" }, outcome(world, other))
  end)

  it("drops at random", function()
    local ends = {}
    for seed = 1, 20 do
      local world = new { seed = seed, nodes = 2, drop = 0.1 }
      local handle = world:run("w1", function()
        local mc = require "mooncast"
        local peer = mc.spawn({ require "program", on = "w2" })
        for _ = 1, 5 do peer:echo() end
      end)
      world:settle()
      assert.is_true(handle.done)
      local ok, e = world:result(handle)
      ends[ok and "ok" or e.code] = true
      assert.is_nil(world:leftover())
    end
    assert.same({ ok = true, node_down = true }, ends)
  end)

  it("refuses what is for a node that was gone before the caller came", function()
    local world = new { nodes = 2, delay = 10 }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local Peer = require "program"
      local gone = mc.spawn({ Peer, on = "w2" })
      mc.sleep(1)
      local peer = mc.spawn({ Peer, on = "w3" })
      local ok, e = pcall(peer.relay, peer, gone, 0)
      return ok, e.code
    end)
    world:advance(500)
    world:kill "w2"
    world:start "w3"
    world:settle()
    assert.same({ true, false, "unknown_node" }, outcome(world, handle))
    assert.is_nil(world:leftover())
  end)
end)

describe("a seed", function()
  it("decides everything: the same one gives the same log, another one another", function()
    local logs = {}
    for seed = 1, 4 do
      logs[seed] = scenario(seed)
      assert.equal(logs[seed], scenario(seed))
      local _, batches = logs[seed]:gsub("bytes", "")
      assert.is_true(batches > 300, batches)
      assert.matches("ends with nothing left\n$", logs[seed])
      for other = 1, seed - 1 do assert.not_equal(logs[other], logs[seed]) end
    end
  end)

  it("decides the random numbers of a program, and the order of its tables", function()
    local function draw()
      local keys, map = {}, {}
      for i = 1, 20 do map["key" .. i] = true end
      for key in pairs(map) do keys[#keys + 1] = key end
      local first = math.random(1 << 40)
      math.randomseed()
      return first, math.random(1 << 40), table.concat(keys, " ")
    end
    local _, a, b, c = run({ seed = 5, nodes = 1 }, draw)
    local _, a2, b2, c2 = run({ seed = 5, nodes = 1 }, draw)
    local _, a3, b3, c3 = run({ seed = 6, nodes = 1 }, draw)
    assert.same({ a, b, c }, { a2, b2, c2 })
    assert.is_true(a ~= a3 and b ~= b3 and c ~= c3)
  end)
end)

describe("1,000 random runs", function()
  local function client(calls)
    local mc = require "mooncast"
    local Peer = require "program"
    for _ = 1, calls do
      pcall(function()
        local timeout = math.random() / 5
        mc.with({ timeout = timeout }, function()
          local a = mc.spawn({ Peer, on = "w" .. math.random(3) })
          local b = mc.spawn({ Peer, on = "w" .. math.random(3) })
          a:relay(b, math.random() / 4)
          mc.cast(a, "note", 1)
          mc.stop(a)
        end)
      end)
    end
    return "done"
  end

  -- Ten worlds of twenty runs for each kind of trouble.
  local function runs(trouble)
    for seed = 1, 10 do
      local world = new { seed = seed, nodes = 3, delay = { 0, 50 }, cut = seed % 2 == 0 }
      for _ = 1, 20 do
        local handles = {}
        for i, name in ipairs(world:names()) do handles[i] = world:run(name, client, 2) end
        trouble(world)
        assert.is_true(world:settle())
        world:heal()
        assert.is_true(world:settle())
        for _, handle in ipairs(handles) do
          assert.is_true(handle.done or handle.lost)
        end
        assert.is_nil(world:leftover())
      end
      world:close()
    end
  end

  local function soon(world) return world:now() + world:random(0, 300) end

  it("without trouble leave nothing", function() runs(function() end) end)

  it("with partitions leave nothing", function()
    runs(function(world)
      world:at(soon(world), function() world:partition("w1", "w" .. world:random(2, 3)) end)
      world:at(soon(world) + 300, function() world:heal() end)
    end)
  end)

  it("with partitions that last leave nothing", function()
    runs(function(world) world:at(soon(world), function() world:partition("w2", { "w1", "w3" }) end) end)
  end)

  it("with nodes that die leave nothing", function()
    runs(function(world)
      local name = "w" .. world:random(1, 3)
      world:at(soon(world), function() world:kill(name) end)
      world:at(soon(world) + 300, function() world:start(name) end)
    end)
  end)

  it("with nodes that die behind a partition leave nothing", function()
    runs(function(world)
      local name = "w" .. world:random(2, 3)
      world:at(soon(world), function()
        world:partition("w1", name)
        world:kill(name)
        world:start(name)
      end)
    end)
  end)
end)
