-- Objects: methods, an inherited one, fields.
local Account = {}
Account.__index = Account
function Account.new(balance) return setmetatable({ balance = balance }, Account) end
function Account:deposit(amount) self.balance = self.balance + amount end
function Account:get() return self.balance end

local Special = setmetatable({}, { __index = Account })
Special.__index = Special
function Special.new(balance) return setmetatable({ balance = balance, fee = 1 }, Special) end
function Special:withdraw(amount) self.balance = self.balance - amount - self.fee end

return function()
  local plain, special = Account.new(0), Special.new(100000)
  for i = 1, 10000 do
    plain:deposit(i)
    special:deposit(2)
    special:withdraw(1)
  end
  return plain:get() == 50005000 and special:get() == 100000
end
