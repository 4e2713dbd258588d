local mc = require "mooncast"
local clean = require "spec.support.clean"

-- The code is defined on the other node alone.
local Loader = mc.actor "ProtocolLoader"

function Loader:load()
  local Greeter = mc.actor "ProtocolGreeter"
  function Greeter:hello(name) return "Hello, " .. name end
  function Greeter:bye() return "Bye" end
  return mc.id(mc.spawn { Greeter, on = mc.node() })
end

describe("mc.protocol", function()
  clean(setup, teardown)

  it("lets one call without the code, and only what it names [A18]", function()
    local loader = mc.spawn { Loader, on = mc.nodes()[2] }
    local id = loader:load()
    local Greeter = mc.protocol("ProtocolGreeter", { "hello" })
    local greeter = mc.resolve(Greeter, id)
    assert.equal("Hello, Ann", greeter:hello "Ann")
    local sent = mc.stats().sent
    local ok, e = pcall(function() return greeter:bye() end)
    assert.is_false(ok)
    assert.equal("no_such_method", e.code)
    assert.equal(sent, mc.stats().sent)
    mc.stop(greeter)
    mc.stop(loader)
  end)
end)
