-- io and os behave as Lua's manual says: natively, and in wasm over worker-shell/files.js.
local in_wasm = pcall(require, "mooncast.files")

describe("io", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    os.remove(path)
  end)

  local function content()
    local file = assert(io.open(path, "rb"))
    finally(function() file:close() end)
    return file:read("a")
  end

  local function fill(text)
    local file = assert(io.open(path, "wb"))
    assert.equal(file, file:write(text))
    assert.is_true(file:close())
  end

  it("says why a file cannot be opened", function()
    local file, message, code = io.open("/nonexistent/file")
    assert.is_nil(file)
    assert.equal("/nonexistent/file: No such file or directory", message)
    assert.equal("integer", math.type(code))
    assert.has_error(function() io.open(path, "wrong") end, "bad argument #2 to 'open' (invalid mode)")
    local _, raised = pcall(io.lines, "/nonexistent")
    assert.truthy(raised:find("No such file or directory", 1, true))
  end)

  it("keeps every byte", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes):rep(1000)
    fill(all)
    assert.is_true(all == content())
  end)

  it("reads lines, numbers, counts and all", function()
    fill("first\n 12 0x1p4 \n\nrest of\nit")
    local file = assert(io.open(path))
    assert.equal("first", file:read())
    local integer, float = file:read("n", "n")
    assert.equal(12, integer)
    assert.equal(16.0, float)
    assert.equal(" \n", file:read("L"))
    assert.equal("", file:read("l"))
    assert.equal("rest", file:read(4))
    assert.equal(" of\nit", file:read("a"))
    assert.equal("", file:read("a"))
    assert.is_nil(file:read("l"))
    file:close()
  end)

  it("iterates over lines and closes the file behind the last", function()
    fill("a\nb\n\nc")
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = line end
    assert.same({ "a", "b", "", "c" }, lines)
  end)

  it("seeks", function()
    fill("0123456789")
    local file = assert(io.open(path, "r+"))
    assert.equal(0, file:seek())
    assert.equal(10, file:seek("end"))
    assert.equal(4, file:seek("set", 4))
    assert.equal("45", file:read(2))
    assert.equal(8, file:seek("cur", 2))
    file:write("ab")
    file:close()
    assert.equal("01234567ab", content())
  end)

  it("appends", function()
    fill("one\n")
    local file = assert(io.open(path, "a+"))
    file:write("two\n")
    file:seek("set")
    assert.equal("one\ntwo\n", file:read("a"))
    file:write("three\n")
    file:close()
    assert.equal("one\ntwo\nthree\n", content())
  end)

  it("truncates for w and not for r+", function()
    fill("long content")
    assert(io.open(path, "r+")):close()
    assert.equal("long content", content())
    assert(io.open(path, "w")):close()
    assert.equal("", content())
  end)

  it("buffers as told", function()
    local file = assert(io.open(path, "w"))
    assert.is_true(file:setvbuf("full", 1024))
    file:write("held back")
    assert.equal("", content())
    file:flush()
    assert.equal("held back", content())
    assert.is_true(file:setvbuf("no"))
    file:write(", at once")
    assert.equal("held back, at once", content())
    file:close()
  end)

  it("has temporary files without a name", function()
    local file = assert(io.tmpfile())
    file:write("x")
    file:seek("set")
    assert.equal("x", file:read("a"))
    file:close()
  end)

  it("closes forgotten files when they are collected", function()
    for _ = 1, 2000 do io.open(path) end -- more than a process may have open
    collectgarbage()
    assert.equal("", content())
  end)

  it("loads programs, precompiled ones too", function()
    fill("#!/usr/bin/env mooncast\nreturn 1, ...")
    assert.same({ 1, 2 }, { assert(loadfile(path))(2) })
    fill(string.dump(function() return "compiled" end))
    assert.equal("compiled", dofile(path))
    local _, message = loadfile("/nonexistent.lua")
    assert.truthy(message:find("No such file or directory", 1, true))
  end)

  if in_wasm then
    local ENOSYS <const> = 52 -- WASI's number for what the system has not

    it("cannot start other programs, and says so", function()
      local file, message, code = io.popen("ls")
      assert.is_nil(file)
      assert.matches("^ls: %u", message)
      assert.equal(ENOSYS, code)
      assert.is_false(os.execute())
      local done, _, why = os.execute("ls")
      assert.is_nil(done)
      assert.equal(ENOSYS, why)
    end)
  end
end)

describe("os", function()
  it("removes and renames", function()
    local a, b = os.tmpname(), os.tmpname()
    assert(io.open(a, "w")):write("a"):close()
    assert.is_true(os.rename(a, b))
    assert.same({ nil, a .. ": No such file or directory" }, { (select(1, os.remove(a))), (select(2, os.remove(a))) })
    assert.is_true(os.remove(b))
    assert.is_nil(io.open(b))
  end)

  it("makes new names", function()
    local a, b = os.tmpname(), os.tmpname()
    assert.not_equal(a, b)
    os.remove(a)
    os.remove(b)
  end)

  it("knows the environment", function()
    assert.equal("string", type(os.getenv("PATH")))
    assert.is_nil(os.getenv("MOONCAST_IS_NOT_SET"))
  end)

  it("tells the time", function()
    assert.is_true(os.time() > 1700000000)
    assert.equal("1970-01-01 00:00:00", os.date("!%Y-%m-%d %H:%M:%S", 0))
    assert.equal("2001-09-09", os.date("!%Y-%m-%d", 1000000000))
    local clock = os.clock()
    for _ = 1, 1e6 do clock = clock + 0 end
    assert.is_true(os.clock() >= clock)
  end)

  it("takes local time apart and puts it together", function()
    for month = 1, 12 do
      local time = os.time { year = 2024, month = month, day = 15, hour = 13, min = 14, sec = 15 }
      local date = os.date("*t", time)
      assert.same({ 2024, month, 15, 13, 14, 15 },
        { date.year, date.month, date.day, date.hour, date.min, date.sec })
      assert.equal(time, os.time(date))
    end
    -- Fields out of their range are brought into it.
    assert.equal("2024-03-01", os.date("%Y-%m-%d", os.time { year = 2024, month = 2, day = 30, hour = 12 }))
  end)
end)

if in_wasm then
  describe("math.random", function()
    it("starts elsewhere in each state", function()
      -- With a seed of time and address only, as stock Lua has it, all nodes would agree.
      math.randomseed()
      local a = math.random(0)
      math.randomseed()
      assert.not_equal(a, math.random(0))
    end)
  end)
end
