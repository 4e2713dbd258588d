-- Numbers in text: the same natively and in wasm, where bindings/wasm_strtod.c reads them.
describe("a number in text", function()
  local function same(expected, text)
    assert.equal(string.pack(">d", expected), string.pack(">d", tonumber(text)), text)
  end

  it("is read exactly when it is short", function()
    same(0.1, "0.1")
    same(-1.5, " -1.5 ")
    same(0.5, ".5")
    same(5.0, "5.")
    same(1 / 3, "0.3333333333333333")
    same(-0.0, "-0.0")
    same(0.0, "0e99999")
    same(1e22, "1e22")
    same(1e-7, "+1E-7")
    same(123456.789, "123456.789")
    same(100.0, "1e+2")
    same(1e15, "0000000000000000000000000001e15")
    same(1.0, "1.0000000000000000000000000000000")
  end)

  it("is rounded correctly when it is long", function()
    same(2.0 ^ 53, "9007199254740993.0")
    same(2.0 ^ 53 + 2, "9007199254740993.00000000000000000000000000001")
    same(0x1.fffffffffffffp1023, "1.7976931348623157e308")
    same(0x1p-1074, "5e-324")
    same(0x1p-1074, "2.4703282292062328e-324")
    same(0.0, "2.4703282292062327e-324")
    same(0x0.fffffffffffffp-1022, "2.2250738585072011e-308")
    same(0x1p-1022, "2.2250738585072012e-308")
    same(1e23, "1e23")
    same(math.pi, "3.14159265358979323846264338327950288419716939937510")
    same(1e300, "1" .. ("0"):rep(300) .. ".0")
    same(1e-300, "0." .. ("0"):rep(299) .. "1")
    same(math.huge, "1e400")
    same(-math.huge, "-1e99999999999999")
    same(0.0, "1e-400")
  end)

  it("may be hexadecimal", function()
    same(3.0, "0x1.8p1")
    same(0.0625, "0x.1")
    same(2.625, "0XA.8P-2")
    same(-0x1p-1074, "-0x1p-1074")
    same(0x1p64 * 1.0, "0x10000000000000000.0")
    same(0x1.0000000000001p0, "0x1.00000000000008000000000001p0")
    same(1.0, "0x1.00000000000008p0")
    same(math.huge, "0x1p1024")
  end)

  it("is refused when it is none", function()
    local wrong = { "", ".", "e5", "1e", "1e+", "0x", "0x.", "0xp1", "1..2", "1.2.3", "inf", "nan", "- 1", "1f" }
    for _, text in ipairs(wrong) do
      assert.is_nil(tonumber(text), text)
    end
  end)

  it("comes back from 17 digits, whichever it is", function()
    for _ = 1, 20000 do
      local x = string.unpack("d", string.pack("j", math.random(0)))
      if x == x and x ~= math.huge and x ~= -math.huge then
        same(x, ("%.17g"):format(x))
        same(x, ("%a"):format(x))
        same(tonumber(("%.15g"):format(x)), ("%.14e"):format(x))
      end
    end
  end)

  it("is what load and read find, too", function()
    assert.equal(0.1 + 0.2, load("return 0.30000000000000004")())
    assert.equal(1e23, load("return 1e23")())
    local file = assert(io.tmpfile())
    file:write("1e23 0x1p4 -.5e-1")
    file:seek("set")
    assert.same({ 1e23, 16.0, -0.05 }, { file:read("n", "n", "n") })
    file:close()
  end)
end)
