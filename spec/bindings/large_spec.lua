-- Arguments of tens of megabytes: intact, and without more copies than the way needs.
local mc = require "mooncast"
local clean = require "spec.support.clean"
local memory = require "spec.support.process_memory"
local world = require "spec.support.world"

local Echo = mc.actor "large_spec.Echo"

function Echo:echo(s) return s end
function Echo:len(s) return #s end

describe("a string of 64 MiB", function()
  clean(setup, teardown)
  local size = 64 * 1024 * 1024
  local echo

  setup(function() echo = mc.spawn { Echo, on = world.other() } end)
  teardown(function() mc.stop(echo) end)

  it("comes back intact, natively at the cost of three more at most [C18]", function()
    local piece = ""
    for byte = 0, 255 do piece = piece .. string.char(byte) end
    local sent = piece:rep(size // #piece)
    collectgarbage()
    local _, before = memory()
    assert.is_true(echo:echo(sent) == sent)
    local most = memory()
    if most then
      local extra = (most - before) * 1024 / size
      assert.is_true(extra < 3.5, ("%.2f times its size"):format(extra))
    end
  end)

  it("arrives beside others", function()
    local sent = ("x"):rep(size // 4)
    local large = mc.async(echo.len, echo, sent)
    assert.equal(3, echo:len "abc")
    assert.equal(#sent, large:await())
  end)
end)
