-- Hostile bytes as values: what Lua makes of them, natively and in wasm.
local mc = require "mooncast"
local core = require "mooncast.core"

local function refused(bytes)
  local ok, why = pcall(core.decode, bytes)
  assert.is_false(ok)
  return why.code .. ": " .. why.message
end

-- A head in its shortest form.
local function head(major, n)
  local first = major << 5
  if n < 24 then return string.char(first | n) end
  if n < 256 then return string.pack(">BB", first | 24, n) end
  if n < 65536 then return string.pack(">BI2", first | 25, n) end
  if n < 1 << 32 then return string.pack(">BI4", first | 26, n) end
  return string.pack(">BI8", first | 27, n)
end

local function map_of(keys)
  local parts = { head(5, #keys) }
  for i = 1, #keys do parts[#parts + 1] = keys[i] .. "\1" end
  return table.concat(parts)
end

local function list(n, make)
  local made = {}
  for i = 1, n do made[i] = make(i) end
  return made
end

local function memory()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end

describe("bytes that nobody vouches for", function()
  require "spec.support.clean"(setup, teardown)

  it("claim 2^31 elements in 6 bytes: malformed, and no memory is taken [F4]", function()
    local claims = {
      "\x9a\x80\0\0\0\0", "\xba\x80\0\0\0\0", "\x7a\x80\0\0\0\0", "\x5a\x80\0\0\0\0", "\x81\x9a\xff\xff\xff\xff",
    }
    for i = 1, #claims do
      collectgarbage()
      local before = collectgarbage "count"
      assert.matches("^malformed: .*bytes", refused(claims[i]))
      assert.is_true(collectgarbage "count" - before < 64)
    end
  end)

  it("promise more in all than there are bytes: malformed before memory is taken [F4]", function()
    -- 90 arrays in one another, each of which alone could be filled by what follows
    local size = 100000
    local nested = ("\x99\xc3\x50"):rep(90) .. ("\0"):rep(size)
    local before = memory()
    collectgarbage "stop"
    local why = refused(nested)
    local taken = collectgarbage "count" * 1024 - before
    collectgarbage "restart"
    assert.equal("malformed: more items than bytes", why)
    assert.is_true(taken < 64 * size, taken .. " bytes")
  end)

  it("open 2 MB of containers: malformed by the name of the limit [F4]", function()
    local before = memory()
    for _, opening in ipairs { "\x81", "\xa1\1", "\xd8\x1b\x82\x68mc.Error" } do
      assert.equal("malformed: more than 100 nested containers", refused(opening:rep((2 << 20) // #opening)))
    end
    assert.is_true(memory() - before < 1 << 20)
  end)

  it("nest 100 deep, and not 101 [F4]", function()
    local value, depth = core.decode(("\x81"):rep(99) .. "\x80"), 0
    while value do value, depth = value[1], depth + 1 end
    assert.equal(100, depth)
    assert.equal("malformed: more than 100 nested containers", refused(("\x81"):rep(100) .. "\x80"))
  end)

  it("have keys that collide: refused after work that the bytes bound [F4]", function()
    local collide = {
      list(65535, function(i) return head(0, (i + 1) * 65535) end),
      -- doubles that differ only where Lua's hash does not look
      list(65535, function(i) return string.pack(">BI8", 0xfb, 0x3fe8000000000000 | i) end),
    }
    for i = 1, #collide do
      local bytes = map_of(collide[i])
      local start = os.clock()
      assert.equal("malformed: too many keys that collide", refused(bytes))
      assert.is_true(os.clock() - start < 5)
    end
  end)

  it("have as many keys that do not: all are there [F4]", function()
    local fine = {
      list(65535, function(i) return head(0, i) end),
      list(65535, function(i) return head(1, i * 1000) end),
      list(65535, function(i) return head(0, i << 16) end),
      list(65535, function(i) return string.pack(">Bd", 0xfb, i + 0.5) end),
      list(65535, function(i) return string.pack(">Bd", 0xfb, i / 65536 + 1e-9) end),
      list(30000, function(i) return head(3, 8) .. ("%08d"):format(i) end),
    }
    for i = 1, #fine do
      local count = 0
      for _ in pairs(core.decode(map_of(fine[i]))) do count = count + 1 end
      assert.equal(#fine[i], count, "case " .. i)
    end
  end)

  it("name types that are not registered: type_not_allowed, and nothing is looked up [F7]", function()
    local looked, real = {}, { require = require, load = load }
    local function watch(owner, name, what)
      owner[name] = function(...)
        looked[#looked + 1] = what .. " " .. tostring((...))
        return real[name](...)
      end
    end
    local watching = { __index = function(_, name) looked[#looked + 1] = "a global " .. tostring(name) end }
    local tables, before = { _G, package.loaded, package.preload }, {}
    for i = 1, #tables do before[i] = getmetatable(tables[i]) or false end
    for i = 1, #tables do setmetatable(tables[i], watching) end
    watch(_G, "require", "require")
    watch(_G, "load", "load")
    local answers = {}
    for _, name in ipairs { "os", "_G", "io", "no.such.module", "package", "mooncast", ("x"):rep(255) } do
      local ok, why = pcall(core.decode, "\xd8\x1b\x82" .. head(3, #name) .. name .. "\x80")
      answers[#answers + 1] = tostring(ok) .. " " .. tostring(why.code)
    end
    local ref = core.decode "\xd8\x27\x85\x61n\1\1\x50secretsecretsecr\x62os"
    _G.require, _G.load = real.require, real.load
    for i = 1, #tables do setmetatable(tables[i], before[i] or nil) end
    assert.equal("", table.concat(looked, "; "))
    for i = 1, #answers do assert.equal("false type_not_allowed", answers[i]) end
    assert.matches("^os", tostring(ref))
  end)

  it("name types with a megabyte, or with nothing: malformed [F7]", function()
    for _, name in ipairs { ("x"):rep(1 << 20), ("x"):rep(256), "" } do
      assert.matches("^malformed: ", refused("\xd8\x1b\x82" .. head(3, #name) .. name .. "\x80"))
    end
  end)

  it("cannot make an mc.Error that no system made [F4]", function()
    local error_of = function(fields) return "\xd8\x1b\x82\x68mc.Error" .. fields end
    for _, fields in ipairs { "\x80", "\xa1\x64code\x67timeout", "\xa2\x64code\x64nope\x67message\x60", "\1" } do
      assert.matches("^malformed: decode failed: ", refused(error_of(fields)))
    end
    local real = core.decode(error_of "\xa2\x64code\x67timeout\x67message\x64late")
    assert.equal(mc.Error, getmetatable(real))
    assert.is_false(real.transport)
  end)
end)
