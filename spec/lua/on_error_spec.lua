local mc = require "mooncast"
local clean = require "spec.support.clean"
local world = require "spec.support.world"

local function define(name, policy)
  local Type = mc.actor(name, { on_error = policy })
  function Type:init() self.n = 0 end
  function Type:inc() self.n = self.n + 1 return self.n end
  function Type:fail() error({ code = 7 }) end
  function Type:fail_later() mc.sleep(0) error "later" end
  return Type
end

describe("an error that a handler raised", function()
  clean(setup, teardown)

  for _, place in ipairs(world.places()) do
    it("is answered and the actor lives, as by default, " .. place.name .. " [D7]", function()
      for _, policy in ipairs { "reply", false } do
        local ref = mc.spawn { define("OnErrorReply", policy or nil), on = place.node }
        assert.same({ code = 7 }, world.raised(ref.fail, ref))
        assert.equal(1, ref:inc())
        assert.is_true(mc.stop(ref))
      end
    end)

    it("is answered and ends the actor where its type says so, " .. place.name .. " [D7]", function()
      for _, method in ipairs { "fail", "fail_later" } do
        local ref = mc.spawn { define("OnErrorStop", "stop"), on = place.node }
        assert.equal(1, ref:inc())
        local behind
        local failing = mc.async(ref[method], ref)
        if method == "fail_later" then behind = mc.async(ref.inc, ref) end
        local e = world.raised(failing.await, failing)
        assert.is_true(type(e) == "table" and e.code == 7 or tostring(e):find "later" ~= nil)
        if behind then assert.equal("dead_actor", world.raised(behind.await, behind).code) end
        assert.equal("dead_actor", world.raised(ref.inc, ref).code)
        assert.is_false(mc.stop(ref))
      end
    end)
  end

  it("has no other policies", function()
    local fine, message = pcall(mc.actor, "OnErrorBad", { on_error = "explode" })
    assert.is_false(fine)
    assert.equal("mc.actor: on_error is reply or stop", message)
  end)
end)
