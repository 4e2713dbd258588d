-- Two copies of one library of actors.
local mc = require "mooncast"
local world = require "spec.support.world"

local raised = world.raised

local function load_file() return dofile "spec/support/shop.lua" end

describe("two copies of a library of actors in one worker", function()
  require "spec.support.clean"(setup, teardown)

  for how, from in pairs { ["by file"] = load_file, ["by module"] = "spec.support.shop" } do
    for _, place in ipairs(world.places()) do
      it(("work side by side, loaded %s, %s [K23]"):format(how, place.name), function()
        local a, b = mc.namespace("ns_a", from), mc.namespace("ns_b", from)
        assert.are_not.equal(a.Shop, b.Shop)
        local ann = mc.spawn({ a.Shop, on = place.node }, "Ann")
        local bob = mc.spawn({ b.Shop, on = place.node }, "Bob")
        assert.matches("^ns_a.Shop ", tostring(ann))
        assert.matches("^ns_b.Shop ", tostring(bob))
        assert.same({ "Ann", 5 }, { ann:sell(5) })
        assert.same({ "Bob", 7 }, { bob:sell(7) })
        assert.same({ "Bob", 8 }, { ann:ask(bob, 1) })
        assert.same({ "Ann", 6 }, { mc.resolve(a.Door, mc.id(ann)):sell(1) })
        -- One is not taken for the other.
        assert.equal("type_mismatch", raised(function()
          local wrong = mc.resolve(b.Shop, mc.id(ann))
          wrong:sell(1)
        end).code)
        for _, shop in ipairs { ann, bob } do
          shop:close()
          mc.stop(shop)
        end
      end)
    end
  end

  it("have registered types of their own", function()
    local a, b = mc.namespace("ns_c", load_file), mc.namespace("ns_d", load_file)
    local Echo = mc.actor "namespace_spec.Echo"
    function Echo:echo(...) return ... end
    local echo = mc.spawn { Echo, on = mc.node() }
    local here, there = echo:echo(a.price(5), b.price(6))
    assert.is_true(a.is_price(here) and b.is_price(there))
    assert.is_false(b.is_price(here) or a.is_price(there))
    mc.stop(echo)
  end)

  it("leave alone what require has, and what is declared by others meanwhile", function()
    local before = package.loaded["spec.support.shop"]
    local other
    local task = mc.async(function()
      mc.sleep(0)
      other = mc.actor "namespace_spec.Other"
    end)
    mc.namespace("ns_e", function()
      mc.namespace("inner", "spec.support.shop")
      task:await()
      assert.equal("actor type ns_e.Own", tostring(mc.actor "Own"))
      return mc.namespace("inner", function() assert.equal("actor type ns_e.inner.Own", tostring(mc.actor "Own")) end)
    end)
    assert.equal("actor type namespace_spec.Other", tostring(other))
    local value = {}
    assert.equal(value, raised(mc.namespace, "ns_f", error, value))
    assert.equal("actor type namespace_spec.Outside", tostring(mc.actor "namespace_spec.Outside"))
    assert.equal(before, package.loaded["spec.support.shop"])
    assert.same({ n = 3, 1, nil, nil }, table.pack(mc.namespace("ns_g", function(...) return ... end, 1, nil, nil)))
  end)

  it("are refused a name that is none, and a module that is not there", function()
    assert.matches("mc.namespace wants a name", raised(mc.namespace, nil, print), 1, true)
    assert.matches("module 'no.such.module' not found:", raised(mc.namespace, "ns_h", "no.such.module"), 1, true)
  end)
end)
