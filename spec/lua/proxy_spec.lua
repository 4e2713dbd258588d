-- A proxy that forwards every method of a type, built at run time from what mc.methods lists.
local mc = require "mooncast"
local world = require "spec.support.world"

--- The generic proxy: logs every call, and tries again what a handler raised. What the system raises,
-- a deadline that passed for one, would only come again.
local function proxy_of(Type, tries)
  local Proxy = mc.actor("Proxy of " .. tostring(Type))
  function Proxy:init(to) self.to, self.lines = to, {} end
  for _, name in ipairs(mc.methods(Type)) do
    Proxy[name] = function(self, ...)
      self.lines[#self.lines + 1] = name
      local results
      for _ = 1, tries do
        results = table.pack(pcall(mc.call, self.to, name, ...))
        if results[1] or getmetatable(results[2]) == mc.Error then break end
      end
      if not results[1] then error(results[2], 0) end
      return table.unpack(results, 2, results.n)
    end
  end
  function Proxy:log() return table.concat(self.lines, " ") end
  return Proxy
end

local Store = mc.actor "proxy_spec.Store"

function Store:init() self.n, self.items = 0, {} end
function Store:hello(name) return "Hello, " .. name .. "!" end
function Store:holes() return nil, 2, nil end
function Store:arity(...) return select("#", ...) end
function Store:put(key, value) self.items[key] = value end
function Store:get(key) return self.items[key] end
function Store:fail(value) error(value, 0) end
function Store:me() return mc.self() end
function Store:same(ref) return ref == mc.self() end
function Store:slow() mc.sleep(60) end
function Store:third_time()
  self.n = self.n + 1
  if self.n % 3 ~= 0 then error("not yet", 0) end
  return self.n
end
function Store:_private() end

for _, place in ipairs(world.places()) do
  describe("a proxy " .. place.name, function()
    require "spec.support.clean"(setup, teardown)
    local store, proxy

    before_each(function()
      store = mc.spawn { Store, on = world.other() }
      proxy = mc.spawn({ proxy_of(Store, 3), on = place.node }, store)
    end)
    after_each(function()
      mc.stop(proxy)
      mc.stop(store)
    end)

    it("answers as the actor behind it: values, nils, side effects, errors, order [B17]", function()
      assert.equal("Hello, world!", proxy:hello "world")
      assert.same(table.pack(nil, 2, nil), table.pack(proxy:holes()))
      assert.equal(5, proxy:arity(nil, 1, nil, 2, nil))
      assert.equal(0, select("#", proxy:put("a", { 1, { 2 } })))
      assert.same({ 1, { 2 } }, proxy:get "a")
      assert.same({ 1, { 2 } }, store:get "a")
      assert.equal("as raised", world.raised(proxy.fail, proxy, "as raised"))
      assert.same({ code = 7 }, world.raised(proxy.fail, proxy, { code = 7 }))
      for i = 1, 20 do mc.cast(proxy, "put", "last", i) end
      assert.equal(20, proxy:get "last")
      local tasks = {}
      for i = 1, 20 do tasks[i] = mc.async(proxy.hello, proxy, tostring(i)) end
      for i = 1, 20 do assert.equal("Hello, " .. i .. "!", tasks[i]:await()) end
      assert.matches("^hello holes arity put get fail", proxy:log())
    end)

    it("hands on references, and tries again what fails [B17]", function()
      assert.equal(store, proxy:me())
      assert.is_true(proxy:same(store))
      assert.is_false(proxy:same(proxy))
      assert.equal(3, proxy:third_time())
      assert.equal("timeout", world.raised(mc.deadline, 0.05, proxy.slow, proxy).code)
    end)

    it("raises for an unknown method what the actor raises [B17]", function()
      for _, name in ipairs { "nothing", "_private", "init", "stopped" } do
        local direct, through = world.raised(mc.call, store, name), world.raised(mc.call, proxy, name)
        assert.equal("no_such_method", direct.code)
        assert.equal(direct.code, through.code)
        assert.is_true(through.transport)
      end
      assert.equal("no_such_method", world.raised(function() return proxy.nothing end).code)
    end)
  end)
end
