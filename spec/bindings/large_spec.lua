-- Arguments of tens of megabytes: intact, and without more copies than the way needs.
local mc = require "mooncast"
local clean = require "spec.support.clean"
local world = require "spec.support.world"

local Echo = mc.actor "large_spec.Echo"

function Echo:echo(s) return s end
function Echo:len(s) return #s end

-- Kilobytes that this process has used at most so far, and uses now; Linux, natively, and not under a
-- sanitizer, which reserves terabytes and keeps what was freed.
local function memory()
  local file = io.open "/proc/self/status"
  if not file then return end
  local text = file:read "a"
  file:close()
  if tonumber(text:match "VmSize:%s*(%d+)") > 1e9 then return end
  return tonumber(text:match "VmHWM:%s*(%d+)"), tonumber(text:match "VmRSS:%s*(%d+)")
end

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
    local native = not package.loaded["mooncast.files"]
    if native and most then
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
