-- mc.reload: an actor that gets another version of its type.
local mc = require "mooncast"
local world = require "spec.support.world"

local function code(fn, ...)
  local ok, e = pcall(fn, ...)
  return not ok and e.code
end

-- A version of a type of that name; what differs between versions is its number and the options. It is of no
-- file, so that it travels: of a file's types every node is to run the same version.
local version = load([[
  local mc = require "mooncast"
  local name, number, options = ...
  local Type = mc.actor(name, options)
  function Type:set(value) self.value = value end
  function Type:get() return number, self.value end
  function Type:work(gate)
    if gate then gate:pass() end
    return number
  end
  function Type:odd() return number == 1 and "text" or 1 end
  return Type
]], "=version")

local Gate = mc.actor("Gate", { reentrant = true })
function Gate:pass()
  self.inside = (self.inside or 0) + 1
  while not self.open do mc.sleep(0.001) end
end
function Gate:count() return self.inside or 0 end
function Gate:let() self.open = true end

local function await_inside(gate, count)
  while gate:count() < count do mc.sleep(0.001) end
end

for _, place in ipairs { "this node", "another node" } do
  describe("mc.reload of an actor on " .. place, function()
    local where = place == "this node" and mc.node() or world.other()
    local prefix = place == "this node" and "Here" or "There"

    it("gives it the newest methods, and its fields stay", function()
      local actor = mc.spawn({ version(prefix .. "Fields", 1), on = where })
      actor:set("kept")
      version(prefix .. "Fields", 2)
      assert.same({ 1, "kept" }, { actor:get() })
      assert.is_true(mc.reload(actor))
      assert.same({ 2, "kept" }, { actor:get() })
      version(prefix .. "Fields", 3)
      assert.is_true(mc.reload(actor))
      assert.same({ 3, "kept" }, { actor:get() })
      mc.stop(actor)
      assert.equal("dead_actor", code(mc.reload, actor))
    end)

    it("waits for the handler that runs, which ends with the old code", function()
      local gate = mc.spawn(Gate)
      local actor = mc.spawn({ version(prefix .. "Busy", 1), on = where })
      local old = mc.async(actor.work, actor, gate)
      await_inside(gate, 1)
      version(prefix .. "Busy", 2)
      local reload = mc.async(mc.reload, actor)
      local new = mc.async(actor.work, actor)
      gate:let()
      assert.equal(1, old:await())
      assert.is_true(reload:await())
      mc.all(new)
      assert.equal(2, actor:work())
      mc.stop(actor)
      mc.stop(gate)
    end)

    it("lets handlers of a reentrant one go on, with the signatures they began with", function()
      local gate = mc.spawn(Gate)
      local name = prefix .. "Signed"
      local actor = mc.spawn({ version(name, 1, {
        reentrant = true, signatures = { work = "reference? -> integer", odd = "-> string" },
      }), on = where })
      local old = {}
      for i = 1, 3 do old[i] = mc.async(actor.work, actor, gate) end
      await_inside(gate, 3)
      for number = 2, 4 do
        version(name, number, {
          reentrant = true, signatures = { work = "reference? -> string", odd = "-> integer" },
        })
        assert.is_true(mc.reload(actor))
        collectgarbage()
      end
      assert.equal(1, actor:odd())
      assert.equal("bad_return", code(actor.work, actor))
      gate:let()
      for i = 1, 3 do assert.equal(1, old[i]:await()) end
      mc.stop(actor)
      mc.stop(gate)
    end)
  end)
end

describe("mc.reload", function()
  it("refuses what it cannot reload", function()
    local Own = mc.actor "OwnReload"
    function Own:again() mc.reload(mc.self()) end
    local own = mc.spawn({ Own, on = mc.node() })
    assert.equal("deadlock", code(own.again, own))
    mc.stop(own)
    assert.has_error(function() mc.reload {} end)
    mc.protocol("NobodyKnows", { "get" })
    local gate = mc.spawn({ Gate, on = mc.nodes()[#mc.nodes()] })
    assert.equal("bad_arguments", code(mc.reload, mc.resolve("NobodyKnows", mc.id(gate))))
    mc.stop(gate)
  end)
end)
