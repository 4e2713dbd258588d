-- mc.buffer: bytes outside of the Lua heap, and how they move.
local mc = require "mooncast"
local core = require "mooncast.core"
local clean = require "spec.support.clean"
local memory = require "spec.support.process_memory"
local world = require "spec.support.world"
local raised = world.raised

local native = not package.loaded["mooncast.files"]

local Holder = mc.actor("buffer_spec.Holder", { signatures = { strict = "integer, any" } })
function Holder:echo(...) return ... end
function Holder:keep(b) self.b = b end
function Holder:bytes() return self.b:string() end
function Holder:byte(at, value)
  if value then self.b:set("u8", at, value) end
  return self.b:get("u8", at)
end
function Holder:give() return self.b end
function Holder:length(b) return #b end
function Holder:strict() end
function Holder:fail(b) error({ what = b }) end
function Holder:pause() mc.sleep(1000) end
function Holder:numbers(b, count)
  local sum = 0
  for i = 1, count do sum = sum + b:get("f64", 8 * i - 7) end
  return sum
end

describe("a buffer", function()
  it("has the bytes of a string, or zeros", function()
    local b = mc.buffer "a\0\xff"
    assert.equal(3, #b)
    assert.equal("a\0\xff", b:string())
    assert.equal("\0\0\0\0", mc.buffer(4):string())
    assert.equal("", mc.buffer(0):string())
    assert.equal("buffer of 3 bytes", tostring(b))
  end)

  it("holds numbers of every type", function()
    local b = mc.buffer(24)
    local cases = {
      u8 = { 0, 255 }, i8 = { -128, 127 }, u16 = { 0, 65535 }, i16 = { -32768, 32767 }, u32 = { 0, 0xffffffff },
      i32 = { -0x80000000, 0x7fffffff }, i64 = { math.mininteger, math.maxinteger }, f32 = { -0.5, 1.25 },
      f64 = { 0.1, -math.huge },
    }
    for type, pair in pairs(cases) do
      b:set(type, 3, pair[1], pair[2])
      assert.same(pair, { b:get(type, 3, 2) }, type)
      assert.equal(pair[1], (b:get(type, 3)))
    end
    b:set("u32", 1, 0x04030201)
    assert.equal("\1\2\3\4", b:string(1, 4))
    assert.equal(math.type(b:get("f32", 1)), "float")
  end)

  it("refuses what is outside of it, and numbers that do not fit", function()
    local b = mc.buffer(8)
    for _, case in ipairs {
      { "get", "u8", 0 }, { "get", "u8", 9 }, { "get", "i64", 2 }, { "get", "u8", math.maxinteger },
      { "get", "u8", math.mininteger }, { "get", "u16", 1, 5 }, { "get", "u8", 1, -1 },
      { "get", "u8", 1, math.maxinteger },
      { "set", "f64", 2, 1 }, { "set", "u8", 8, 1, 2 }, { "set", "u8", 1, 256 }, { "set", "u8", 1, -1 },
      { "set", "i8", 1, 128 }, { "set", "u8", 1, 1.5 }, { "set", "u8", 1, 7, "x" }, { "get", "u7", 1 }, { "fill", 256 },
      { "copy", 8, "ab" }, { "copy", 0, "a" }, { "copy", 10, "" }, { "copy", 1, {} },
    } do
      raised(b[case[1]], b, table.unpack(case, 2))
    end
    assert.equal(("\0"):rep(8), b:string())
    for _, size in ipairs { -1, 1.5, "x" == 1, math.mininteger, {} } do raised(mc.buffer, size) end
    local err = raised(mc.buffer, math.maxinteger >> 1)
    assert.truthy(tostring(err):find("memory", 1, true) or tostring(err):find("size", 1, true))
  end)

  it("gives parts as string.sub does", function()
    local text = "moonlight"
    local b = mc.buffer(text)
    for i = -11, 11 do
      for j = -11, 11 do
        assert.equal(text:sub(i, j), b:string(i, j))
        assert.equal(text:sub(i, j), b:sub(i, j):string())
      end
    end
    assert.equal("moonliaaa", b:fill(97, -3):string())
    assert.equal("momoonlia", b:copy(3, b, 1, 7):string())
    assert.equal("mxyoonlia", b:copy(2, "wxyz", 2, 3):string())
  end)

  it("ends with free, and with its scope", function()
    local b = mc.buffer(10)
    b:free()
    b:free()
    assert.matches("the buffer was freed", raised(b.get, b, "u8", 1))
    assert.matches("the buffer was freed", raised(function() return #b end))
    local kept
    do
      local c <close> = mc.buffer(10)
      kept = c
    end
    assert.matches("freed", raised(kept.string, kept))
    assert.equal("buffer that was freed", tostring(kept))
  end)

  it("is collected: thousands of them take no more memory than a few", function()
    for _ = 1, 3000 do mc.buffer(1 << 20) end
  end)
end)

for _, place in ipairs(world.places()) do
  describe("a buffer that is sent to an actor " .. place.name, function()
    clean(setup, teardown)
    local holder
    before_each(function() holder = mc.spawn { Holder, on = place.node } end)
    after_each(function() mc.stop(holder) end)

    it("moves: there it has the bytes, here it is dead", function()
      local b = mc.buffer "\0moon\xff"
      holder:keep(b)
      for _, use in ipairs { function() return #b end, function() return b:string() end, function() mc.share(b) end,
        function() b:set("u8", 1, 1) end, function() return b:sub() end } do
        assert.matches("the buffer was moved", raised(use))
      end
      assert.equal("buffer that was moved", tostring(b))
      assert.equal("\0moon\xff", holder:bytes())
      local err = raised(holder.keep, holder, b)
      assert.equal("unsendable", err.code)
      assert.matches("cannot send a buffer that was moved at arguments%[1%]", err.message)
      local back = holder:give()
      assert.equal("\0moon\xff", back:string())
      assert.matches("the buffer was moved", raised(holder.bytes, holder))
    end)

    it("goes inside of tables, beside others, empty, and back", function()
      local sent = { a = { mc.buffer "one", 7 }, b = mc.buffer "" }
      local got, other = holder:echo(sent, mc.buffer "two")
      assert.equal("one", got.a[1]:string())
      assert.equal(0, #got.b)
      assert.equal("two", other:string())
      assert.matches("moved", raised(sent.b.string, sent.b))
    end)

    it("stays where it was when nothing is sent", function()
      local b = mc.buffer "here"
      for _, arguments in ipairs { { b, print }, { { b, { print } } }, { b, b }, { { b }, { b } } } do
        assert.equal("unsendable", raised(holder.echo, holder, table.unpack(arguments)).code)
        assert.equal("here", b:string())
      end
      assert.equal("here", holder:echo(b):string())
      assert.equal("unsendable", raised(mc.cast, holder, "echo", mc.buffer "x", print).code)
    end)

    it("is moved by what was sent, whatever becomes of it", function()
      local b = mc.buffer "gone"
      assert.equal("bad_arguments", raised(holder.strict, holder, "no integer", b).code)
      assert.matches("moved", raised(b.string, b))
      local dead = mc.spawn { Holder, on = place.node }
      mc.stop(dead)
      b = mc.buffer "gone"
      assert.equal("dead_actor", raised(dead.keep, dead, b).code)
      assert.matches("moved", raised(b.string, b))
      b = mc.buffer "gone"
      mc.cast(dead, "keep", b)
      assert.matches("moved", raised(b.string, b))
    end)

    it("comes with errors and casts", function()
      local err = raised(holder.fail, holder, mc.buffer "why")
      assert.equal("why", err.what:string())
      mc.cast(holder, "keep", mc.buffer "cast")
      assert.equal("cast", holder:bytes())
    end)

    it("waits in a mailbox, and goes with the message that is cancelled there", function()
      local busy = mc.async(holder.pause, holder)
      mc.sleep(0)
      local b = mc.buffer "late"
      local waiting = mc.async(holder.keep, holder, b)
      while pcall(b.string, b) do mc.sleep(0) end
      assert.matches("moved", raised(b.string, b))
      waiting:cancel()
      pcall(waiting.await, waiting)
      busy:cancel()
      pcall(busy.await, busy)
      assert.matches("nil", raised(holder.bytes, holder))
    end)

    it("is of 64 MiB: intact, and the other side has all of it [C18]", function()
      local size = 64 << 20
      local b = mc.buffer(size)
      for at = 1, size - 8, 1 << 16 do b:set("i64", at, at * 0x9e3779b97f4a7c15) end
      holder:keep(b)
      b = holder:give()
      assert.equal(size, #b)
      for at = 1, size - 8, 1 << 16 do
        if b:get("i64", at) ~= at * 0x9e3779b97f4a7c15 then error("wrong at " .. at) end
      end
      b:free()
    end)

    it("holds numbers for the other side", function()
      local b = mc.buffer(8 * 1000)
      for i = 1, 1000 do b:set("f64", 8 * i - 7, i / 2) end
      assert.equal(1000 * 1001 / 4, holder:numbers(b, 1000))
    end)

    it("is shared where the memory is", function()
      local b = mc.share(mc.buffer(4))
      if native or place.node == mc.node() then
        holder:keep(b)
        assert.equal(7, holder:byte(2, 7))
        assert.equal(7, b:get("u8", 2))
        b:set("u8", 3, 9)
        assert.equal(9, holder:byte(3))
        holder:keep(nil)
      else
        local err = raised(holder.keep, holder, b)
        assert.equal("unsendable", err.code)
        assert.matches("shared buffer", err.message)
      end
      assert.equal("shared buffer of 4 bytes", tostring(b))
    end)
  end)
end

describe("buffers on the wire", function()
  it("are copied by what only encodes them", function()
    local b = mc.buffer "abc"
    assert.equal("\xd8\x40\x43abc", core.encode(b))
    assert.equal("abc", core.decode(core.encode { b })[1]:string())
    assert.equal("abc", b:string())
  end)

  it("are malformed when they are too long, no bytes, or a parcel from elsewhere", function()
    for _, bytes in ipairs { "\xd8\x40\x45abc", "\xd8\x40\x63abc", "\xd8\x40\x01", "\xd8\x40",
      "\xd8\x40\x5a\xff\xff\xff\xffa",
      "\xd8\x25\x50" .. ("p"):rep(16), "\xd8\x25\x43abc", "\xa1\xd8\x40\x41a\x01" } do
      assert.equal("malformed", raised(core.decode, bytes).code)
    end
  end)
end)

describe("a large buffer", function()
  clean(setup, teardown)

  it("goes to another thread and back without a copy, natively [C18] [I21]", function()
    local holder = mc.spawn { Holder, on = world.other() }
    local size = 128 << 20
    collectgarbage()
    local _, before = memory()
    if not before then return mc.stop(holder) end
    local b = mc.buffer(size)
    holder:keep(b)
    b = holder:give()
    assert.equal(size, #b)
    local most = memory()
    b:free()
    mc.stop(holder)
    assert.is_true((most - before) * 1024 < 1.2 * size)
  end)
end)
