-- Which nodes may call actors of which.
local mc = require "mooncast"
local nodes = require "spec.support.nodes"
local world = require "spec.support.world"

local Child = mc.actor("policy_spec.Child", { reentrant = true })
function Child:obey(how)
  mc.policy(how and function(from, to)
    if how == "raises" and to:find "%." then error("no rule for " .. to, 0) end
    if how == "gives nil" and to:find "%." then return nil end
    return not (from:find "%." and to:find "%.")
  end)
end
function Child:hello(name) return "Hello, " .. name .. "!" end
function Child:count(n) self.last, self.sum = n, (self.sum or 0) + n end
function Child:counted() return self.sum or 0 end
function Child:pass(...) return mc.call(...) end
function Child:code_of(kind, ...)
  local raised = world.raised(mc[kind], ...)
  return getmetatable(raised) == mc.Error and raised.code, raised.transport, raised.message
end
function Child:sent() return mc.stats().sent end

require "spec.support.clean"(setup, teardown)

describe("a policy that children may not call siblings", function()
  local names, parent, a, b

  before_each(function()
    names = { mc.start_node(), mc.start_node() }
    parent = mc.spawn { Child, on = mc.node() }
    a, b = mc.spawn { Child, on = names[1] }, mc.spawn { Child, on = names[2] }
  end)
  after_each(function()
    mc.stop(parent)
    for _, name in ipairs(names) do mc.stop_node(name) end
  end)

  it("raises where a sibling is called, cast to or stopped; parents and children call one another [E6] [I8]", function()
    assert.equal("Hello, b!", a:pass(b, "hello", "b"))
    for _, child in ipairs { a, b } do child:obey "forbids" end
    local before = a:sent()
    local code, transport, message = a:code_of("call", b, "hello", "b")
    assert.same({ "not_permitted", true }, { code, transport })
    local why = "policy_spec.Child:hello: the policy lets nobody here call actors of node "
    assert.equal(why .. names[2], message)
    assert.equal("not_permitted", a:code_of("cast", b, "count", 1))
    assert.equal("not_permitted", a:code_of("stop", b))
    -- Its answers to these questions, and nothing else, have left that node.
    assert.is_true(a:sent() - before <= 4)
    assert.equal(0, b:counted())
    assert.equal("Hello, parent!", a:pass(parent, "hello", "parent"))
    assert.equal("Hello, child!", parent:pass(a, "hello", "child"))
    -- Through the parent, who may.
    assert.equal("Hello, b!", a:pass(parent, "pass", b, "hello", "b"))
  end)

  it("holds in its own direction alone: answers are no calls", function()
    a:obey "forbids"
    assert.equal("not_permitted", a:code_of("call", b, "hello", "b"))
    assert.equal("Hello, a!", b:pass(a, "hello", "a"))
  end)

  it("can be taken back", function()
    a:obey "forbids"
    assert.equal("not_permitted", a:code_of("call", b, "hello", "b"))
    a:obey(nil)
    assert.equal("Hello, b!", a:pass(b, "hello", "b"))
  end)

  it("holds for nodes that start later, and says nothing of spawns", function()
    a:obey "forbids"
    names[3] = mc.start_node()
    local c = mc.spawn { Child, on = names[3] }
    assert.equal("not_permitted", a:code_of("call", c, "hello", "c"))
    assert.equal("Hello, c!", parent:pass(c, "hello", "c"))
  end)

  for _, how in ipairs { "raises", "gives nil" } do
    it(("that %s permits nothing: the call raises, and nothing waits [E6]"):format(how), function()
      a:obey(how)
      assert.equal("not_permitted", a:code_of("call", b, "hello", "b"))
      assert.equal("not_permitted", a:code_of("cast", b, "count", 1))
      assert.equal(0, nodes.stats_of(names[1]).pending)
      assert.equal("Hello, parent!", a:pass(parent, "hello", "parent"))
    end)
  end
end)

describe("mc.policy", function()
  it("is asked of every other node by its name, never of its own", function()
    local asked = {}
    mc.policy(function(from, to)
      assert.equal(mc.node(), from)
      asked[to] = true
      return true
    end)
    mc.policy(nil)
    assert.is_nil(asked[mc.node()])
    for _, name in ipairs(mc.nodes()) do assert.equal(name ~= mc.node() or nil, asked[name]) end
  end)

  it("wants a function", function()
    assert.has_error(function() mc.policy(true) end, "mc.policy wants a function or nil")
  end)
end)
