--- A library of actors that specs load more than once, or in more than one system.
local mc = require "mooncast"

local Price = mc.type "Price"
local Till = mc.actor "Till"
local Shop = mc.actor "Shop"
local Door = mc.protocol("Shop", { "sell" })

function Till:init() self.sum = 0 end
function Till:add(amount)
  self.sum = self.sum + amount
  return self.sum
end

function Shop:init(owner) self.owner, self.till = owner, mc.spawn(Till) end
function Shop:sell(amount)
  mc.sleep(0.001)
  return self.owner, self.till:add(amount)
end
function Shop:ask(other, amount) return other:sell(amount) end
function Shop:hang() mc.sleep(1000) end
function Shop:close() return mc.stop(self.till) end

return {
  Shop = Shop, Till = Till, Door = Door,
  price = function(amount) return setmetatable({ amount = amount }, Price) end,
  is_price = function(value) return getmetatable(value) == Price end,
}
