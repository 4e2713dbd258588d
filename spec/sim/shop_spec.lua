-- The same file of actors in the simulated system: spec/lua/shop_spec.lua has it in the real one.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim

local file <close> = assert(io.open("spec/support/shop.lua", "rb"))
local case = require "spec.support.sim_case"(file:read "a")

describe("the shop of spec/support/shop.lua, in the simulated system", function()
  it("sells, by way of nodes and clocks that do not exist [A19]", function()
    local world, text = case.run({ nodes = 2 }, function()
      local mc, lib = require "mooncast", require "program"
      local shop = mc.spawn({ lib.Shop, on = "w2" }, "Ann")
      local start = mc.now()
      local owner, sum = shop:sell(5)
      local ok, e = pcall(mc.deadline, 600, shop.hang, shop)
      local waited = math.floor(mc.now() - start + 0.5)
      shop:close()
      mc.stop(shop)
      return ("%s %d %s %s %d"):format(owner, sum, ok, e.code, waited)
    end)
    assert.equal("Ann 5 false timeout 600", text)
    world:close()
  end)
end)
