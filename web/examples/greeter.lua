local mc = require "mooncast"
local Greeter = mc.actor "Greeter"
function Greeter:init(greeting) self.greeting = greeting end
function Greeter:hello(name) return self.greeting .. ", " .. name .. "!" end
mc.main(function()
  local g = mc.spawn(Greeter, "Hello")
  print(g:hello("world"))
end)
