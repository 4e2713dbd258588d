-- References: resolving ids, what is refused, and references that travel.
local mc = require "mooncast"
local core = require "mooncast.core"
local world = require "spec.support.world"

local raised = world.raised

local Greeter = mc.actor "ref_spec.Greeter"

function Greeter:init(name) self.name = name or "nobody" end
function Greeter:hello() return "Hello, " .. self.name .. "!" end
function Greeter:where() return mc.node() end
function Greeter:on(callback) self.callback = callback end
-- Keeps its node from anything else for so long.
function Greeter:busy(seconds)
  local deadline = mc.now() + seconds
  while mc.now() < deadline do end
end

local Calc = mc.actor "ref_spec.Calc"

function Calc:add(a, b) return a + b end

local Friend = mc.actor "ref_spec.Friend"

function Friend:introduce(another)
  self.another = another
  return type(another), another:hello()
end
function Friend:kept() return self.another end
function Friend:keep_all(team) self.team = team end
function Friend:greet_all()
  local team = self.team
  return team.players[1]:hello(), team.players[2]:hello(), team.host:hello()
end
function Friend:whole_team() return self.team end
function Friend:is_local(ref) return mc.is_local(ref) end
function Friend:where() return mc.node() end

-- An id in its parts: node, incarnation, instance, secret.
local function parts(ref)
  return mc.id(ref):match("^(.+)%.(%x+)/(%x+)/(%x+)$")
end

local function id_of(node, incarnation, instance, secret)
  return ("%s.%s/%s/%s"):format(node, incarnation, instance, secret)
end

describe("a reference", function()
  require "spec.support.clean"(setup, teardown)

  local here, there -- a Greeter on this node, and on another one

  before_each(function()
    here = mc.spawn({ Greeter, on = mc.node() }, "here")
    there = mc.spawn({ Greeter, on = world.other() }, "there")
  end)
  after_each(function()
    mc.stop(here)
    mc.stop(there)
  end)

  it("to an id of this node is the local actor: its calls send nothing [B1]", function()
    local r = mc.resolve(Greeter, mc.id(here))
    assert.is_true(mc.is_local(r))
    assert.is_true(r == here)
    local sent = mc.stats().sent
    assert.equal("Hello, here!", r:hello())
    assert.equal(sent, mc.stats().sent)
  end)

  it("to an id of another node is a proxy, which is made without a message [B2]", function()
    local id, sent = mc.id(there), mc.stats().sent
    local r = mc.resolve(Greeter, id)
    assert.is_false(mc.is_local(r))
    assert.equal(sent, mc.stats().sent)
    assert.equal("Hello, there!", r:hello())
    assert.equal(sent + 1, mc.stats().sent)
  end)

  it("by the name of its type does as well [B2]", function()
    assert.is_true(mc.resolve("ref_spec.Greeter", mc.id(there)) == there)
    assert.is_true(mc.resolve("ref_spec.Greeter", mc.id(here)) == here)
    raised(mc.resolve, {}, mc.id(there))
    raised(mc.resolve, "", mc.id(there))
  end)

  it("is cheap to make [B2]", function()
    local id, count = mc.id(there), 20000
    local start = mc.now()
    for _ = 1, count do mc.resolve(Greeter, id) end
    local microseconds = (mc.now() - start) / count * 1e6
    assert.is_true(microseconds < 50, microseconds .. " us each") -- a few, on a machine that has nothing else to do
  end)

  it("is resolved at once, where nothing can be awaited, and while its node is busy [B3]", function()
    local node, incarnation, instance = parts(there)
    local sent = mc.stats().sent + 1
    mc.cast(there, "busy", 1)
    local start, resolved = mc.now(), {}
    table.sort({ 1, 2 }, function(a, b)
      assert.equal("cannot_await", raised(there.hello, there).code)
      resolved[1] = mc.resolve(Greeter, mc.id(there))
      resolved[2] = mc.resolve(Greeter, id_of(node, incarnation, instance, ("ab"):rep(16)))
      return a < b
    end)
    assert.is_true(mc.now() - start < 0.8)
    assert.equal(sent, mc.stats().sent)
    assert.equal("Hello, there!", resolved[1]:hello())
    assert.equal("dead_actor", raised(resolved[2].hello, resolved[2]).code)
  end)

  it("to a node that nobody knows is refused at once [B4]", function()
    local _, incarnation, instance, secret = parts(there)
    local e = raised(mc.resolve, Greeter, id_of("nope", incarnation, instance, secret))
    assert.equal(mc.Error, getmetatable(e))
    assert.same({ true, "unknown_node", "nope" }, { e.transport, e.code, e.node })
  end)

  it("to a node that has ended is refused at once [B4]", function()
    local name = mc.start_node()
    local id = mc.id(mc.spawn({ Greeter, on = name }))
    local other = mc.resolve(Greeter, id)
    mc.stop_node(name)
    local e = raised(other.hello, other) -- when this has failed, the end of the node is known here
    assert.is_true(e.code == "node_down" or e.code == "unknown_node", e.code)
    e = raised(mc.resolve, Greeter, id)
    assert.same({ "unknown_node", name }, { e.code, e.node })
  end)

  it("of another type is refused for an actor of this node [B5]", function()
    local e = raised(mc.resolve, Calc, mc.id(here))
    assert.same({ "type_mismatch", "ref_spec.Calc", "ref_spec.Greeter" }, { e.code, e.expected, e.found })
    assert.matches("ref_spec.Greeter", e.message, 1, true)
    assert.matches("ref_spec.Calc", e.message, 1, true)
  end)

  it("of another type is found out by the first call to another node [B5]", function()
    local r = mc.resolve(Calc, mc.id(there))
    local e = raised(r.add, r, 1, 2)
    assert.same({ "type_mismatch", "ref_spec.Calc", "ref_spec.Greeter" }, { e.code, e.expected, e.found })
    assert.equal("Hello, there!", there:hello())
  end)

  it("to an id that is none is refused, whatever is wrong with it [B6]", function()
    local node, incarnation, instance, secret = parts(there)
    local good = mc.id(there)
    local bad = {
      "", " ", "/", "//", "///", ".", "./", ".//", "w1", "w1/1", "w1/1/", node .. "/" .. instance .. "/" .. secret,
      "\0", good .. "\0", "\0" .. good, good:gsub("/", "\0"), good .. " ", good .. "\n", good .. "\t", good .. "/",
      good .. "0", good:sub(1, -2), good:upper() .. "G", good:gsub("/", "//"), good:gsub("/", "\\"),
      good:gsub("%.", ","),
      ("x"):rep(1 << 20), ("/"):rep(1 << 20), good .. ("0"):rep(1 << 20), ("w"):rep(256) .. good,
      id_of("", incarnation, instance, secret),
      id_of(node, "", instance, secret),
      id_of(node, incarnation, "", secret),
      id_of(node, incarnation, instance, ""),
      id_of(node, "-1", instance, secret),
      id_of(node, incarnation, "-1", secret),
      id_of(node, incarnation, instance, "-" .. secret:sub(2)),
      id_of(node, "+1", instance, secret),
      id_of(node, "0x1", instance, secret),
      id_of(node, "1,5", instance, secret),
      id_of(node, incarnation, "1e5", secret:sub(1, -2) .. "g"),
      id_of(node, "20000000000000", instance, secret), -- 2^53
      id_of(node, incarnation, "20000000000000", secret),
      id_of(node, "ffffffffffffffffffff", instance, secret),
      id_of(node, "0" .. incarnation, instance, secret), -- has one spelling only
      id_of(node, incarnation, "0" .. instance, secret),
      id_of(node, incarnation, instance, secret:sub(1, 31) .. "G"),
      id_of(node, incarnation, instance, ("A"):rep(32)),
      id_of("\xff\xfe", incarnation, instance, secret),
      id_of("w\xc0\xaf", incarnation, instance, secret),
      "v2:" .. good:gsub("%.", ":"),
      "<" .. good .. ">", good .. ";" .. good, "nil", "actor:" .. secret,
    }
    assert.is_true(#bad >= 50)
    for i, id in ipairs(bad) do
      local e = raised(mc.resolve, Greeter, id)
      assert.equal("bad_id", e.code, i .. ": " .. id:sub(1, 80))
    end
    for _, id in ipairs { 17, 1.5, true, {}, print, there } do
      assert.equal("bad_id", raised(mc.resolve, Greeter, id).code)
    end
    assert.equal("bad_id", raised(mc.resolve, Greeter, nil).code)
    assert.is_true(mc.resolve(Greeter, good) == there)
  end)

  it("to an actor that never was is made, and its first call says so at once [B8]", function()
    local node, incarnation, instance, secret = parts(there)
    for _, id in ipairs {
      id_of(node, incarnation, "fffff", secret), -- no such instance
      id_of(node, incarnation, instance, ("0"):rep(32)), -- no such secret
      id_of(node, incarnation, "1", secret), -- the node's own actor, guessed at
    } do
      local r = mc.resolve(Greeter, id)
      local start, received = mc.now(), mc.stats().received
      assert.equal("dead_actor", raised(r.hello, r).code)
      assert.is_true(mc.now() - start < 5) -- no timeout, which would be 30 s
      assert.is_true(mc.stats().received > received) -- an answer
    end
  end)

  it("to an actor of this node that has ended is refused, with no message to itself [B9]", function()
    local ref = mc.spawn({ Greeter, on = mc.node() })
    local id = mc.id(ref)
    mc.stop(ref)
    local before = mc.stats()
    assert.equal("dead_actor", raised(mc.resolve, Greeter, id).code)
    assert.equal("dead_actor", raised(ref.hello, ref).code)
    local after = mc.stats()
    assert.same({ before.sent, before.received }, { after.sent, after.received })
  end)

  it("to an actor of this node with a wrong secret is refused [B9]", function()
    local node, incarnation, instance = parts(here)
    local guess = id_of(node, incarnation, instance, ("0"):rep(32))
    assert.equal("dead_actor", raised(mc.resolve, Greeter, guess).code)
  end)

  it("can be an argument, and is a reference where it arrives [B10]", function()
    local nodes = mc.nodes()
    local worker, friend = mc.spawn({ Greeter, on = nodes[2] }, "worker"), mc.spawn({ Friend, on = nodes[3] })
    local kind, greeting = friend:introduce(worker)
    assert.equal("userdata", kind)
    assert.equal("Hello, worker!", greeting)
    mc.stop(worker)
    mc.stop(friend)
  end)

  it("can be anywhere in arguments, results and state [B11]", function()
    for _, name in ipairs(mc.nodes()) do
      local friend = mc.spawn({ Friend, on = name })
      local host = mc.spawn({ Greeter, on = name }, "host")
      local team = { players = { here, there }, host = host, by_ref = { [there] = { { { here } } } } }
      friend:keep_all(team)
      assert.same({ "Hello, here!", "Hello, there!", "Hello, host!" }, { friend:greet_all() })
      local back = friend:whole_team()
      assert.same({ "Hello, here!", "Hello, there!", "Hello, host!" },
        { back.players[1]:hello(), back.players[2]:hello(), back.host:hello() })
      assert.is_true(back.by_ref[there][1][1][1] == here)
      mc.stop(friend)
      mc.stop(host)
    end
  end)

  it("that comes home is the local actor again [B12]", function()
    local friend = mc.spawn({ Friend, on = world.other() })
    assert.is_false(friend:is_local(here))
    friend:introduce(here)
    local back = friend:kept()
    assert.is_true(mc.is_local(back))
    assert.is_true(rawequal(here, back))
    local sent = mc.stats().sent
    assert.equal("Hello, here!", back:hello())
    assert.equal(sent, mc.stats().sent)
    mc.stop(friend)
  end)

  it("to a third node works at the first try [B13]", function()
    -- Two nodes that were never in touch.
    local a, b = mc.start_node(), mc.start_node()
    local friend, stranger = mc.spawn({ Friend, on = a }), mc.spawn({ Greeter, on = b }, "stranger")
    local _, greeting = friend:introduce(stranger)
    assert.equal("Hello, stranger!", greeting)
    mc.stop(friend)
    mc.stop(stranger)
  end)

  it("is equal to another one when both mean the same actor, and a key by that [B14]", function()
    local friend = mc.spawn({ Friend, on = world.other() })
    friend:introduce(there)
    local routes = { there, friend:kept(), mc.resolve(Greeter, mc.id(there)), friend:kept() }
    local seen = {}
    for _, r in ipairs(routes) do
      assert.is_true(r == there)
      assert.equal(mc.id(there), mc.id(r))
      seen[r] = (seen[r] or 0) + 1
    end
    assert.same({ [there] = 4 }, seen)
    assert.is_false(there == here)
    mc.stop(friend)
  end)

  it("outlives its actor as the same key, also when others took its actor's place [B14]", function()
    local friend = mc.spawn({ Friend, on = world.other() })
    friend:introduce(here)
    mc.stop(here)
    local seen, others = { [here] = true, [friend:kept()] = true }, {}
    for i = 1, 20 do
      others[i] = mc.spawn({ Greeter, on = mc.node() }, tostring(i))
      seen[friend:kept()] = true
      assert.equal(here, next(seen))
      assert.is_nil(next(seen, here))
    end
    for i, other in ipairs(others) do
      assert.equal("Hello, " .. i .. "!", other:hello())
      assert.equal(other, mc.resolve(Greeter, mc.id(other)))
      mc.stop(other)
    end
    assert.equal("dead_actor", raised(here.hello, here).code)
    mc.stop(friend)
  end)

  it("is what to pass for a callback: a function is refused with that advice [B15]", function()
    for _, g in ipairs { here, there } do
      local before = mc.stats()
      local e = raised(g.on, g, function() end)
      assert.equal("unsendable", e.code)
      assert.matches("cannot send a function at arguments[1]", e.message, 1, true)
      assert.matches("pass a reference to an actor", e.message, 1, true)
      assert.same({ before.sent, before.pending }, { mc.stats().sent, mc.stats().pending })
    end
  end)

  it("has no names of ours: a method may have any name [A3]", function()
    local Names = mc.actor "ref_spec.Names"
    local names = { "id", "call", "cast", "stop", "resolve", "is_local", "await", "then", "hello world", "é" }
    for _, name in ipairs(names) do Names[name] = function() return name end end
    for _, place in ipairs(world.places()) do
      local ref = mc.spawn({ Names, on = place.node })
      for _, name in ipairs(names) do assert.equal(name, ref[name](ref)) end
      mc.stop(ref)
    end
    assert.equal("mooncast.ref", getmetatable(here))
    assert.is_true(core.is_ref(here))
  end)
end)
