-- Definitions between nodes: types from modules, types that were typed in and travel, and nodes that
-- run different versions of a file.
local mc = require "mooncast"
local world = require "spec.support.world"

local raised = world.raised

-- Runs Lua on its node, as a program's file of that name or, without "@", as an entry at a prompt.
local Runner = mc.actor("node_spec.Runner", { reentrant = true })

function Runner:run(source, chunkname, ...)
  local chunk = assert(load(source, chunkname))
  return chunk(...)
end

local function run(node, source, chunkname, ...)
  local runner <close> = setmetatable({ mc.spawn({ Runner, on = node }) }, { __close = function(r) mc.stop(r[1]) end })
  return runner[1]:run(source, chunkname, ...)
end

-- A type as it is typed at the prompt: not from a file, so no other node can have it.
local function typed(source, ...)
  return assert(load("local mc = require 'mooncast' " .. source, "=stdin"))(...)
end

local function others()
  local names = {}
  for _, name in ipairs(mc.nodes()) do
    if name ~= mc.node() then names[#names + 1] = name end
  end
  return names
end

describe("a type in a module", function()
  require "spec.support.clean"(setup, teardown)

  it("is required by every node that spawns it [A17]", function()
    local Greeter = require "spec.fixtures.greeter"
    for _, name in ipairs(mc.nodes()) do
      local g = mc.spawn({ Greeter, on = name }, "Hi")
      assert.equal("Hi, world!", g:hello("world"))
      assert.is_true(g:required_here())
      mc.stop(g)
    end
  end)
end)

describe("a type in a file that two nodes ran", function()
  require "spec.support.clean"(setup, teardown)

  local function source_of(name, greeting)
    return ([[
      local mc = require "mooncast"
      local G = mc.actor %q
      function G:hello() return %q end
      return mc.node() == "w1" and G or nil]]):format(name, greeting)
  end

  -- The type as this node's version of the file has it.
  local function here(name, greeting)
    local class = assert(load(source_of(name, greeting), "@greeter.lua"))()
    return class
  end

  it("is the same one when the files are the same [A17]", function()
    local Same = here("node_spec.Same", "hello")
    run(world.other(), source_of("node_spec.Same", "hello"), "@greeter.lua")
    local g = mc.spawn({ Same, on = world.other() })
    assert.equal("hello", g:hello())
    mc.stop(g)
  end)

  it("is refused when they are not, naming both sides [A17]", function()
    local Differs = here("node_spec.Differs", "new")
    run(world.other(), source_of("node_spec.Differs", "old"), "@greeter.lua")
    local before = world.stats(world.other()).actors
    local e = raised(mc.spawn, { Differs, on = world.other() })
    assert.equal("version_mismatch", e.code)
    assert.equal(mc.Error, getmetatable(e))
    assert.matches("node_spec.Differs", e.message, 1, true)
    assert.matches("greeter.lua", e.message, 1, true)
    assert.matches("w1", e.message, 1, true)
    assert.equal(before, world.stats(world.other()).actors)
    local g = mc.spawn({ Differs, on = mc.node() })
    assert.equal("new", g:hello())
    mc.stop(g)
  end)

  it("is fine again when both have run the same version [A17]", function()
    local Old = here("node_spec.Catches", "old")
    run(world.other(), source_of("node_spec.Catches", "new"), "@greeter.lua")
    assert.equal("version_mismatch", raised(mc.spawn, { Old, on = world.other() }).code)
    local New = here("node_spec.Catches", "new")
    local g = mc.spawn({ New, on = world.other() })
    assert.equal("new", g:hello())
    mc.stop(g)
  end)
end)

describe("a type that was typed in", function()
  require "spec.support.clean"(setup, teardown)

  local function on_every_node(class, fn, ...)
    for _, name in ipairs(mc.nodes()) do
      local ref = mc.spawn({ class, on = name }, ...)
      fn(ref, name)
      mc.stop(ref)
    end
  end

  it("spawns on every node [A1]", function()
    local Typed = typed [[
      local T = mc.actor "node_spec.Typed"
      function T:init(a) self.a = a end
      function T:get() return self.a, mc.node() end
      return T]]
    on_every_node(Typed, function(ref, name) assert.same({ 7, name }, { ref:get() }) end, 7)
  end)

  it("takes its upvalues along, and what methods share stays shared [A1]", function()
    local Shares = typed [[
      local count, unit, nothing = 10, { name = "pieces", list = { 1, 2, 3 } }, nil
      local S = mc.actor "node_spec.Shares"
      function S:add() count = count + 1 end
      function S:count() return count, unit.name, #unit.list, nothing end
      return S]]
    for _, name in ipairs(others()) do
      local ref = mc.spawn({ Shares, on = name })
      ref:add()
      ref:add()
      assert.same({ n = 4, 12, "pieces", 3, nil }, table.pack(ref:count()), name)
      mc.stop(ref)
    end
    local ref = mc.spawn({ Shares, on = mc.node() })
    assert.equal(10, (ref:count())) -- they got copies
    mc.stop(ref)
  end)

  it("takes helper functions along, recursive ones too [A1]", function()
    local Helped = typed [[
      local function even(n) if n == 0 then return true end return nil, n - 1 end
      local is_even, is_odd
      function is_even(n) return n == 0 or is_odd(n - 1) end
      function is_odd(n) return n ~= 0 and is_even(n - 1) end
      local function fact(n) return n <= 1 and 1 or n * fact(n - 1) end
      local H = mc.actor "node_spec.Helped"
      function H:ask(n) return fact(n), is_even(n), (even(0)) end
      return H]]
    on_every_node(Helped, function(ref) assert.same({ 120, false, true }, { ref:ask(5) }) end)
  end)

  it("finds modules by their names, the standard ones and others [A1]", function()
    local Uses = typed [[
      local words, str, cjson = require "spec.fixtures.words", string, require "cjson"
      local insert = table.insert
      local U = mc.actor "node_spec.Uses"
      function U:ask()
        local t = {}
        insert(t, words.double "ab")
        return t[1], str.rep("x", 3), rawequal(words, package.loaded["spec.fixtures.words"]), cjson.encode { 1 }
      end
      return U]]
    on_every_node(Uses, function(ref) assert.same({ "abab", "xxx", true, "[1]" }, { ref:ask() }) end)
  end)

  it("takes references along, and other types by name [A1]", function()
    local Inner = typed [[
      local I = mc.actor "node_spec.Inner"
      function I:hello() return "inner" end
      return I]]
    local inner = mc.spawn({ Inner, on = mc.node() })
    local Outer = typed([[
      local inner, Inner = ...
      local O = mc.actor "node_spec.Outer"
      function O:ask() return inner:hello(), tostring(Inner) end
      function O:spawn() return mc.spawn({ Inner, on = mc.node() }) end
      return O]], inner, Inner)
    on_every_node(Outer, function(ref)
      assert.same({ "inner", "actor type node_spec.Inner" }, { ref:ask() })
      local spawned = ref:spawn()
      assert.equal("inner", spawned:hello())
      mc.stop(spawned)
    end)
    mc.stop(inner)
  end)

  it("may name itself, and types that name it [A1]", function()
    local Ping = typed [[
      local Ping, Pong = mc.actor "node_spec.Ping", mc.actor "node_spec.Pong"
      function Ping:play(n) return n == 0 and "ping" or self:_next(Pong, n) end
      function Ping:_next(class, n)
        local nodes = mc.nodes()
        local ref = mc.spawn({ class, on = nodes[n % #nodes + 1] })
        local result = ref:play(n - 1)
        mc.stop(ref)
        return result
      end
      Pong._next = Ping._next
      function Pong:play(n) return n == 0 and "pong" or self:_next(Ping, n) end
      return Ping]]
    on_every_node(Ping, function(ref) assert.same({ "ping", "pong" }, { ref:play(6), ref:play(7) }) end)
  end)

  it("names a type that cannot travel: its references work all the same [A1]", function()
    local Stays = typed [[
      local file = assert(io.open "docs/types.md")
      local S = mc.actor "node_spec.Stays"
      function S:line() return file and "a line" end
      return S]]
    local stays = mc.spawn({ Stays, on = mc.node() })
    local Asks = typed([[
      local Stays, id = ...
      local A = mc.actor "node_spec.Asks"
      function A:ask() return mc.resolve(Stays, id):line() end
      function A:spawn() return mc.spawn({ Stays, on = mc.node() }) end
      return A]], Stays, mc.id(stays))
    local asks = mc.spawn({ Asks, on = world.other() })
    assert.equal("a line", asks:ask())
    assert.matches("not made by mc.actor", raised(asks.spawn, asks))
    mc.stop(asks)
    mc.stop(stays)
  end)

  it("uses the globals of the node where it is, and says so when one is missing [A1]", function()
    local globals = package.loaded._G
    globals.node_spec_helper = function() return "w1's" end
    local Global = typed [[
      local G = mc.actor "node_spec.Global"
      function G:ask() return node_spec_helper() end
      function G:stock() return tostring(1) end
      return G]]
    local ref = mc.spawn({ Global, on = mc.node() })
    assert.equal("w1's", ref:ask())
    mc.stop(ref)
    for _, name in ipairs(others()) do
      ref = mc.spawn({ Global, on = name })
      assert.equal("1", ref:stock())
      local message = raised(ref.ask, ref)
      assert.matches("global 'node_spec_helper'", message, 1, true)
      assert.matches("globals do not travel to other nodes", message, 1, true)
      mc.stop(ref)
    end
    globals.node_spec_helper = nil
  end)

  it("is refused with the path when an upvalue cannot travel [A1]", function()
    local Bad = typed [[
      local state = { log = { file = io.tmpfile and assert(io.open("docs/types.md")) } }
      local B = mc.actor "node_spec.Bad"
      function B:write() return state.log.file end
      return B]]
    local e = raised(mc.spawn, { Bad, on = world.other() })
    assert.equal("unsendable", e.code)
    assert.equal(mc.Error, getmetatable(e))
    -- io.stdout is a field of a module and goes by that name: a file of its own does not.
    assert.matches("node_spec.Bad.write.state.log.file", e.message, 1, true)
  end)

  it("keeps its tracebacks: the lines of what was typed [A1]", function()
    local Raises = typed "local R = mc.actor 'node_spec.Raises'\nfunction R:fail()\n  error 'here'\nend\nreturn R"
    on_every_node(Raises, function(ref) assert.equal("stdin:3: here", raised(ref.fail, ref)) end)
  end)

  it("typed again is a new version; actors of the old one go on as they were [A17]", function()
    local function version(n)
      return typed(([[
        local V = mc.actor "node_spec.Version"
        function V:get() return %d end
        return V]]):format(n))
    end
    local V1 = version(1)
    local first = mc.spawn({ V1, on = world.other() })
    local V2 = version(2)
    local second = mc.spawn({ V2, on = world.other() })
    assert.same({ 1, 2 }, { first:get(), second:get() })
    mc.stop(first)
    mc.stop(second)
  end)

  it("with a method more is a new version, too [A17]", function()
    local Grows = typed [[
      local G = mc.actor "node_spec.Grows"
      function G:one() return 1 end
      return G]]
    local first = mc.spawn({ Grows, on = world.other() })
    function Grows:two() return 2 end
    local second = mc.spawn({ Grows, on = world.other() })
    assert.same({ 1, 1, 2 }, { first:one(), second:one(), second:two() })
    assert.equal("no_such_method", raised(mc.call, first, "two").code)
    mc.stop(first)
    mc.stop(second)
  end)

  it("is fetched once, however many spawn it at a time [A1]", function()
    local Many = typed [[
      local loads = 0
      local M = mc.actor "node_spec.Many"
      function M:init() loads = loads + 1; self.number = loads end
      function M:get() return self.number end
      return M]]
    local tasks, numbers = {}, {}
    for i = 1, 20 do tasks[i] = mc.async(mc.spawn, { Many, on = world.other() }) end
    for i = 1, 20 do
      local ref = tasks[i]:await()
      numbers[i] = ref:get()
      mc.stop(ref)
    end
    table.sort(numbers)
    for i = 1, 20 do assert.equal(i, numbers[i]) end -- they share one variable: one definition
  end)

  it("travels on from the node that it came to [A1]", function()
    local names = others()
    local Far = typed [[
      local F = mc.actor "node_spec.Far"
      function F:where() return mc.node() end
      function F:spawn_on(name)
        local Next = mc.actor "node_spec.Next"
        local mark = "made on " .. mc.node()
        function Next:where() return mc.node(), mark end
        return mc.spawn { Next, on = name }
      end
      return F]]
    local far = mc.spawn({ Far, on = names[1] })
    local next_one = far:spawn_on(names[2])
    assert.same({ names[2], "made on " .. names[1] }, { next_one:where() })
    mc.stop(next_one)
    mc.stop(far)
  end)

  it("cannot be fetched by who is no node of this host [A17]", function()
    local secret = ("\0"):rep(16)
    local name, incarnation = world.other(), require("mooncast.node").siblings[world.other()].incarnation
    local guess = require("mooncast.core").address(name, incarnation, 1, secret, "mc.node")
    assert.equal("dead_actor", raised(mc.call, guess, "definition", "node_spec.Far", "0").code)
  end)
end)
