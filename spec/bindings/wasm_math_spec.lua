-- Mathematics, which in wasm are the JavaScript engine's where C's would need tables: the same results as
-- with any other C library.

-- Each step of the last digit is about 2e-16.
local function near(expected, got, what)
  if expected ~= got then
    assert.is_true(math.abs(got - expected) <= 4e-16 * math.abs(expected), what .. ": " .. ("%.17g"):format(got))
  end
end

describe("math", function()
  it("raises to whole powers nearly as exactly as a number is read", function()
    for exponent = -307, 308 do
      local read = tonumber("1e" .. exponent)
      near(read, 10 ^ exponent, "10^" .. exponent)
      near(exponent % 2 == 0 and read or -read, (-10) ^ exponent, "(-10)^" .. exponent)
      if exponent >= 0 and exponent <= 22 then assert.are.equal(read, 10 ^ exponent) end
    end
    for exponent = -1074, 1023 do
      assert.are.equal(tonumber("0x1p" .. exponent), 2 ^ exponent)
    end
    assert.are.equal(0x1.0001p0 ^ 3, 0x1.0003000300010p0)
    assert.are.equal(9007199254740991, 9007199254740991 ^ 1)
    assert.are.equal(math.huge, 10 ^ 309)
    assert.are.equal(0, 10 ^ -324)
    assert.are.equal(-math.huge, (-10) ^ 401)
  end)

  it("raises to the powers of C and IEEE 754 where there is no other answer", function()
    local nan, huge = 0 / 0, math.huge
    assert.are.equal(1, 1 ^ nan)
    assert.are.equal(1, nan ^ 0)
    assert.are.equal(1, (-1) ^ huge)
    assert.are.equal(1, (-1) ^ -huge)
    assert.are.equal(huge, 0 ^ -1)
    assert.are.equal(-huge, 1 / ((-0.0) ^ 3))
    assert.are.equal(huge, (-huge) ^ 2)
    assert.are.equal(0, 2 ^ -huge)
    local root = (-8) ^ (1 / 3)
    assert.is_true(root ~= root)
  end)

  it("knows roots, logarithms and circles", function()
    near(1.4142135623730951, 2 ^ 0.5, "2^0.5")
    near(1.5157165665103982, 2 ^ 0.6, "2^0.6")
    near(2.718281828459045, math.exp(1), "exp")
    near(0.6931471805599453, math.log(2), "log")
    near(2.321928094887362, math.log(5, 2), "log2")
    near(0.6989700043360189, math.log(5, 10), "log10")
    near(1.4649735207179269, math.log(5, 3), "log to 3")
    for exponent = -1000, 1000 do assert.are.equal(exponent, math.log(2.0 ^ exponent, 2)) end
    for exponent = 0, 22 do assert.are.equal(exponent, math.log(10.0 ^ exponent, 10)) end
    near(0.8414709848078965, math.sin(1), "sin")
    near(0.5403023058681398, math.cos(1), "cos")
    near(1.5574077246549023, math.tan(1), "tan")
    near(1.5707963267948966, math.asin(1), "asin")
    near(1.0471975511965979, math.acos(0.5), "acos")
    near(0.7853981633974483, math.atan(1), "atan")
    near(-2.356194490192345, math.atan(-1, -1), "atan of two")
    assert.are.equal("-0.0", tostring(math.atan(-0.0, 1)))
  end)
end)
