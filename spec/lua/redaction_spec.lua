local mc = require "mooncast"
local clean = require "spec.support.clean"
local world = require "spec.support.world"

local function define(name, errors)
  mc.type "Validation"
  mc.type "Secret"
  local Type = mc.actor(name, { errors = errors })
  function Type:init(what) if what then self:raise(what) end end
  function Type:raise(what)
    -- Registered here, too: types of values do not travel.
    local Validation, Secret = mc.type "Validation", mc.type "Secret"
    if what == "Validation" then error(setmetatable({ field = "age" }, Validation)) end
    if what == "Secret" then error(setmetatable({ key = "hunter2" }, Secret)) end
    if what == "table" then error { key = "hunter2" } end
    if what == "string" then error("cannot open /etc/hunter2") end
    if what == "late" then mc.sleep(0) error("cannot open /etc/hunter2") end
    if what == "nothing" then error() end
  end
  function Type:ok() return "fine" end
  return Type
end

local function is_redacted(e, kind)
  assert.equal(mc.Error, getmetatable(e))
  assert.equal("redacted", e.code)
  assert.is_false(e.transport)
  assert.matches("^%x+$", e.id)
  assert.equal(16, #e.id)
  assert.matches("an error of type " .. kind .. ",", e.message, 1, true)
  assert.is_truthy(e.message:find(e.id, 1, true))
  assert.is_nil(tostring(e):find "hunter2")
  assert.equal("", mc.traceback(e) or "")
end

describe("errors that a type does not list", function()
  clean(setup, teardown)

  for _, place in ipairs(world.places()) do
    it("reach the caller as their type and an id, " .. place.name .. " [E3]", function()
      local Type = define("Redacting", { "Validation" })
      local ref, ids = mc.spawn { Type, on = place.node }, {}
      local kinds = { Secret = "Secret", table = "table", string = "string", late = "string", nothing = "nil" }
      for what, kind in pairs(kinds) do
        local e = world.raised(ref.raise, ref, what)
        is_redacted(e, kind)
        assert.is_nil(ids[e.id])
        ids[e.id] = true
      end
      assert.equal("fine", ref:ok())
      mc.stop(ref)
    end)

    it("are whole when they are listed, " .. place.name .. " [E3]", function()
      local Type = define("RedactingSome", { "Validation", "string" })
      local ref = mc.spawn { Type, on = place.node }
      local e = world.raised(ref.raise, ref, "Validation")
      assert.equal("age", e.field)
      assert.equal("Validation", getmetatable(e).__name)
      assert.matches("cannot open", world.raised(ref.raise, ref, "string"))
      assert.matches("traceback", mc.traceback())
      is_redacted(world.raised(ref.raise, ref, "table"), "table")
      mc.stop(ref)
    end)

    it("are all of them when the list is empty, and none without one, " .. place.name .. " [E3]", function()
      local none = mc.spawn { define("RedactingAll", {}), on = place.node }
      local all = mc.spawn { define("RedactingNone"), on = place.node }
      for _, what in ipairs { "Validation", "string", "table" } do
        is_redacted(world.raised(none.raise, none, what), what)
      end
      assert.same({ key = "hunter2" }, world.raised(all.raise, all, "table"))
      mc.stop(none)
      mc.stop(all)
    end)

    it("are redacted when its init raised, " .. place.name .. " [E3]", function()
      local Type = define("RedactingInit", { "table" })
      for _, what in ipairs { "string", "late" } do
        is_redacted(world.raised(mc.spawn, { Type, on = place.node }, what), "string")
      end
      assert.same({ key = "hunter2" }, world.raised(mc.spawn, { Type, on = place.node }, "table"))
    end)

    it("are the system's where it speaks itself: no such method, timeout, " .. place.name, function()
      local Type = define("RedactingSystem", {})
      function Type:slow() mc.sleep(10) end
      function Type:bad() return print end
      local ref = mc.spawn { Type, on = place.node }
      assert.equal("no_such_method", world.raised(mc.call, ref, "none").code)
      assert.equal("unsendable", world.raised(ref.bad, ref).code)
      assert.equal("timeout", world.raised(mc.deadline, 0.02, ref.slow, ref).code)
      mc.stop(ref)
    end)
  end

  it("is a list of names", function()
    for _, errors in ipairs { "string", { 1 } } do
      local e = world.raised(mc.actor, "RedactingBad", { errors = errors })
      assert.matches("errors is a list of the names of types", e)
    end
  end)
end)
