-- The same file of actors in the system of workers: spec/sim/shop_spec.lua has it in the simulated one.
local mc = require "mooncast"
local lib = require "spec.support.shop"
local world = require "spec.support.world"

describe("the shop of spec/support/shop.lua, in the system of workers", function()
  require "spec.support.clean"(setup, teardown)

  it("sells, by way of real nodes and clocks [A19]", function()
    local shop = mc.spawn({ lib.Shop, on = world.other() }, "Ann")
    assert.same({ "Ann", 5 }, { shop:sell(5) })
    local start = mc.now()
    assert.equal("timeout", world.raised(mc.deadline, 0.05, shop.hang, shop).code)
    assert.is_true(mc.now() - start < 60)
    shop:close()
    mc.stop(shop)
  end)
end)
