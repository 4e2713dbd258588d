-- Numbers as text: the same natively and in wasm, where bindings/wasm_printf.c writes them.
describe("a number as text", function()
  local function is(expected, format, ...) assert.equal(expected, string.format(format, ...)) end

  it("has the digits that are asked for, halves rounded to even", function()
    is("0 2 2 4 -2", "%.0f %.0f %.0f %.0f %.0f", 0.5, 1.5, 2.5, 3.5, -2.5)
    is("0.12 0.38 1.00", "%.2f %.2f %.2f", 0.125, 0.375, 0.999)
    is("1e+01 8e+00 1.0e+01", "%.0e %.0e %.1e", 9.5, 8.5, 9.96)
    is("1e-05 0.0001 100000 1e+06", "%g %g %g %g", 1e-5, 1e-4, 1e5, 1e6)
    is("99999.5 1e+05 100000.5", "%.6g %.5g %.7g", 99999.5, 99999.5, 100000.5)
    is("0.1000000000000000055511151231257827", "%.34f", 0.1)
    is("4.94065645841246544176568792868e-324", "%.29e", 0x1p-1074)
    is("1797693134862315708145274237317043567980705675258449965989174768031572607800285387605895586327668781715"
      .. "4045895351438246423432132688946418276846754670353751698604991057655128207624549009038932894407586850845"
      .. "5133942304583236903222948165808559332123348274797826204144723168738177180919299881250404026184124858368",
      "%.0f", 0x1.fffffffffffffp1023)
    is("0.000000 0 0.000e+00 -0", "%f %g %.3e %g", 0.0, 0.0, 0.0, -0.0)
    is("1e+300 1e-300 12345678.9", "%.14g %.14g %.14g", 1e300, 1e-300, 12345678.9)
  end)

  it("fills its width", function()
    is("   3.14|3.14   |0003.14| +3.14", "%7.2f|%-7.2f|%07.2f|%+6.2f", 3.14159, 3.14159, 3.14159, 3.14159)
    is("   42|42   |00042|+42| 42|  042", "%5d|%-5d|%05d|%+d|% d|%5.3d", 42, 42, 42, 42, 42, 42)
    is("ff FF 0xff 0XFF 17 017 0 0", "%x %X %#x %#X %o %#o %#x %#o", 255, 255, 255, 255, 15, 15, 0, 0)
    is("|  |x |  x|ab|", "|%2s|%-2s|%3s|%.2s|", "", "x", "x", "abc")
    is("A |  B", "%-2c|%3c", 65, 66)
    is("inf -INF   inf", "%f %G %5.1f", math.huge, -math.huge, math.huge)
    is("1. 1.00000 0x1.p+0 1.e+00", "%#.0f %#g %#a %#.0e", 1.0, 1.0, 1.0, 1.0)
  end)

  it("is an integer of 64 bits", function()
    is("-9223372036854775808 9223372036854775807", "%d %d", math.mininteger, math.maxinteger)
    is("ffffffffffffffff 1777777777777777777777", "%x %o", -1, -1)
    is("", "%.0d", 0)
  end)

  it("may be hexadecimal", function()
    is("0x1.8p+1 -0X1.8P-3 0x0p+0 0x1p+0", "%a %A %a %.0a", 3.0, -0.1875, 0.0, 1.0)
    is("0x1.999999999999ap-4 0x1.9ap-4 0x1.999999999999a00p-4", "%a %.2a %.15a", 0.1, 0.1, 0.1)
    is("0x1.2p+0 0x1.4p+0", "%.1a %.1a", 0x1.18p+0, 0x1.38p+0)
    is("    0x1p+1|0x00001p+1|0x1p+1    ", "%10a|%010a|%-10a", 2.0, 2.0, 2.0)
    is("0x1.8p+0", "%q", 1.5)
  end)

  it("reads as the same number again", function()
    for _ = 1, 5000 do
      local number = string.unpack("<d", string.pack("<i8", math.random(0)))
      if number == number and math.abs(number) >= 0x1p-1022 then
        for _, format in ipairs { "%.17g", "%.16e", "%a", "%q" } do
          assert.equal(number, tonumber(format:format(number)), format)
        end
      end
    end
  end)

  it("goes to files, too", function()
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w+"))
    file:write(12, " ", -1.5, " ", 1e100, "\n")
    file:seek "set"
    assert.equal("12 -1.5 1e+100\n", file:read "a")
    os.remove(name)
  end)
end)
