local eventually = require "spec.support.eventually"
local mc = require "mooncast"
local clean = require "spec.support.clean"
local world = require "spec.support.world"

local Seer = mc.actor "ContextSeer"

local function seen() return mc.trace(), mc.context() end

function Seer:init(other) self.other, self.trace, self.context = other, seen() end
function Seer:made_with() return self.trace, self.context end
function Seer:seen() return seen() end
function Seer:key(name) return mc.context(name) end
-- The same from the far end of a way through other actors.
function Seer:through(next, ...)
  if not next then return seen() end
  return next:through(...)
end
function Seer:slowly()
  mc.sleep(0)
  return self.other:seen()
end
function Seer:keep() self.kept = table.pack(seen()) end
function Seer:pass_on(ref) mc.cast(ref, "keep") end
function Seer:get_kept() return self.kept end
function Seer:spawn(where) return mc.spawn { Seer, on = where } end
function Seer:child() return mc.async(seen):await() end
function Seer:loose() return mc.spawn_task(seen):await() end
function Seer:widen() -- what is set inside a handler does not reach its caller
  return mc.with({ context = { more = 1 } }, function() return self.other:seen() end)
end

local function with(fn, ...) return mc.with({ trace = 77, context = { user = "ada", level = 3 } }, fn, ...) end

local WITH <const> = { user = "ada", level = 3 }

describe("what travels with a call", function()
  clean(setup, teardown)

  it("is nothing unless somebody says so", function()
    assert.is_nil(mc.trace())
    assert.is_nil(mc.context "user")
    assert.same({}, mc.context())
  end)

  it("stands inside mc.with, and is back what it was after it, also when it raises [C15]", function()
    with(function()
      assert.equal(77, mc.trace())
      assert.same(WITH, mc.context())
      assert.equal(8, mc.with({ trace = 8, context = { user = false } }, function()
        assert.equal(false, mc.context "user")
        assert.equal(3, mc.context "level")
        return mc.trace()
      end))
      pcall(mc.with, { trace = 9, context = { deeper = 1 } }, error, "gone")
      assert.equal(77, mc.trace())
      assert.same(WITH, mc.context())
    end)
    assert.is_nil(mc.trace())
    assert.same({}, mc.context())
  end)

  it("keeps what mc.with does not name, and its timeout", function()
    with(function()
      mc.with({ timeout = 5 }, function()
        assert.equal(77, mc.trace())
        assert.same(WITH, mc.context())
      end)
      mc.with({}, function() assert.equal("ada", mc.context "user") end)
    end)
  end)

  it("has a new trace of 53 bits for true", function()
    local known = {}
    for _ = 1, 20 do
      local trace = mc.with({ trace = true }, mc.trace)
      assert.is_true(math.type(trace) == "integer" and trace > 0 and trace < 1 << 53)
      assert.is_nil(known[trace])
      known[trace] = true
    end
  end)

  it("is a copy for who looks at all of it", function()
    with(function()
      mc.context().user = "eve"
      assert.equal("ada", mc.context "user")
      assert.is_nil(mc.context(0))
      assert.is_nil(mc.context "bytes")
    end)
  end)

  it("is refused where it is not plain or too large, and nothing changes", function()
    local function refused(options, why)
      local e = world.raised(mc.with, options, function() error "it ran" end)
      assert.equal("bad_arguments", e.code)
      assert.matches(why, e.message)
      assert.is_nil(mc.trace())
      assert.same({}, mc.context())
    end
    for _, trace in ipairs { 0, -1, 1 << 53, 1.5, "7", false } do
      refused({ trace = trace }, "^trace is true or an integer")
    end
    refused({ trace = 1, context = { a = {} } }, "context.a is a boolean, a number or a string, not a table")
    refused({ context = { "a" } }, "the keys of a context are text, and one is 1")
    refused({ context = { ["\xff"] = 1 } }, "the keys of a context are text")
    refused({ context = "a" }, "context is a table, not a string")
    refused({ context = { a = ("x"):rep(4096) } }, "a context of 4%d%d%d bytes: 4096 are the most")
    local most = ("x"):rep(4096 - 6)
    assert.equal(most, mc.with({ context = { a = most } }, mc.context, "a"))
    with(function()
      local e = world.raised(mc.with, { context = { a = most } }, mc.context)
      assert.matches("a context of 41", e.message)
    end)
  end)

  it("is that of tasks made inside it, whatever runs beside them [G14]", function()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = mc.with({ trace = i, context = { i = i } }, mc.async, function()
        mc.sleep(0)
        return mc.trace(), mc.context "i"
      end)
    end
    local loose = with(mc.spawn_task, seen)
    assert.is_nil(mc.trace())
    for i = 1, 3 do assert.same({ i, i }, { tasks[i]:await() }) end
    assert.same({ 77, WITH }, { loose:await() })
  end)

  for _, place in ipairs(world.places()) do
    local there = place.node
    it("is read by the handler, " .. place.name .. " [C15] [G14]", function()
      local seer = mc.spawn { Seer, on = there }
      assert.same({ 77, WITH }, { with(seer.seen, seer) })
      assert.equal("ada", with(seer.key, seer, "user"))
      assert.same({ nil, {} }, { seer:seen() })
      assert.same({ 5, {} }, { mc.with({ trace = 5 }, seer.seen, seer) })
      assert.same({ nil, { a = false } }, { mc.with({ context = { a = false } }, seer.seen, seer) })
      assert.equal(false, mc.with({ context = { a = false } }, seer.key, seer, "a"))
    end)

    it("arrives as it was sent, of every kind, " .. place.name .. " [C15]", function()
      local seer = mc.spawn { Seer, on = there }
      local values = {
        i = math.mininteger, f = 0.1, whole = 2.0, yes = true, no = false, text = "ä", bytes = "\xff\0", [""] = 1,
      }
      local _, came = mc.with({ context = values }, seer.seen, seer)
      assert.same(values, came)
      assert.equal("float", math.type(came.whole))
    end)

    it("goes on with what a handler does: calls, tasks, spawns, " .. place.name .. " [C15] [G14]", function()
      local last = mc.spawn { Seer, on = mc.node() }
      local first = mc.spawn({ Seer, on = there }, last)
      local third, fourth = mc.spawn { Seer, on = there }, mc.spawn { Seer, on = mc.nodes()[3] }
      assert.same({ 77, WITH }, { with(first.through, first, last, fourth, third) })
      assert.same({ 77, WITH }, { with(first.slowly, first) })
      assert.same({ 77, WITH }, { with(first.child, first) })
      assert.same({ 77, WITH }, { with(first.loose, first) })
      for _, node in ipairs(mc.nodes()) do
        local made = with(first.spawn, first, node)
        assert.same({ 77, WITH }, { made:made_with() })
        assert.same({ nil, {} }, { made:seen() })
      end
      local _, inner = with(first.widen, first)
      assert.same({ user = "ada", level = 3, more = 1 }, inner)
      assert.same({ nil, {} }, { first:slowly() })
    end)

    it("goes with casts, and with casts of casts, " .. place.name .. " [C15]", function()
      local last = mc.spawn { Seer, on = mc.node() }
      local first = mc.spawn { Seer, on = there }
      with(mc.cast, first, "keep")
      with(mc.cast, first, "pass_on", last)
      eventually(function() return last:get_kept() end, "the cast of the cast came")
      for _, ref in ipairs { first, last } do assert.same({ 77, WITH, n = 2 }, ref:get_kept()) end
    end)

    it("is kept by a call that waits for its turn, " .. place.name, function()
      local seer = mc.spawn { Seer, on = there }
      local holding = mc.spawn({ Seer, on = there }, seer)
      local waiting = {}
      for i = 1, 5 do waiting[i] = mc.with({ trace = i, context = { i = i } }, mc.async, holding.slowly, holding) end
      for i = 1, 5 do assert.same({ i, { i = i } }, { waiting[i]:await() }) end
    end)
  end

end)
