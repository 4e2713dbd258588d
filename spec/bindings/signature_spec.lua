local mc = require "mooncast"
local signature = require "mooncast.signature"
local clean = require "spec.support.clean"

local Calc = mc.actor("SignedCalc", {
  signatures = {
    add = "integer, integer -> integer",
    scale = "number, number? -> number",
    name = "string -> string",
    wrong = "-> string",
    many = "string, ...",
    tell = "table, reference?, boolean?",
    any = "any",
  },
})
local runs = 0

function Calc:add(a, b) runs = runs + 1 return a + b end
function Calc:runs() return runs end
function Calc:scale(x, by) return x * (by or 2) end
function Calc:name(s) return s end
function Calc:wrong() return 5 end
function Calc:many(...) return select("#", ...) end
function Calc:tell(t, ref, flag) return #t, ref, flag end
function Calc:any(x) return x == nil end
function Calc:undeclared(...) return ... end

describe("signatures", function()
  clean(setup, teardown)

  for _, where in ipairs { "here", "elsewhere" } do
    describe(where, function()
      local calc

      setup(function() calc = mc.spawn { Calc, on = where == "here" and mc.node() or mc.nodes()[2] } end)
      teardown(function() mc.stop(calc) end)

      local function refused(code, pattern, method, ...)
        local ok, e = pcall(calc[method], calc, ...)
        assert.is_false(ok)
        assert.equal(code, e.code)
        assert.matches(pattern, e.message)
      end

      it("let right arguments through", function()
        assert.equal(5, calc:add(2, 3))
        assert.equal(3.0, calc:scale(1.5))
        assert.equal(6, calc:scale(2, 3))
        assert.equal(3, calc:many("a", 1, nil))
        assert.same({ 2, calc, true }, { calc:tell({ 1, 2 }, calc, true) })
        assert.is_true(calc:any())
        assert.equal(4, (calc:undeclared(4, {})))
      end)

      it("refuse too few, too many and wrong ones, before the handler runs [D3] [I17]", function()
        local before = calc:runs()
        refused("bad_arguments", "argument 2 is missing, declared integer", "add", 1)
        refused("bad_arguments", "3 arguments, at most 2 are declared", "add", 1, 2, 3)
        refused("bad_arguments", "argument 2 is string, declared integer", "add", 1, "a")
        refused("bad_arguments", "argument 1 is float, declared integer", "add", 1.5, 2)
        refused("bad_arguments", "argument 1 is nil, declared string", "name", nil)
        refused("bad_arguments", "argument 2 is string, declared reference", "tell", {}, "x")
        assert.equal(before, calc:runs())
      end)

      it("refuse a result that is not as declared [C13]", function()
        refused("bad_return", "result 1 is integer, declared string", "wrong")
        assert.equal(5, calc:add(2, 3))
      end)
    end)
  end

  it("let an actor with an added optional argument serve old callers, and refuse it elsewhere [F10]", function()
    local V2 = mc.actor("SignedV2", { signatures = { greet = "string, string?" } })
    function V2:greet(name, greeting) return (greeting or "Hello") .. ", " .. name end
    local V1 = mc.actor("SignedV1", { signatures = { greet = "string" } })
    function V1:greet(name) return "Hello, " .. name end
    local v1, v2 = mc.spawn { V1, on = mc.node() }, mc.spawn { V2, on = mc.node() }
    assert.equal("Hello, Ann", v2:greet "Ann")
    assert.equal("Hi, Ann", v2:greet("Ann", "Hi"))
    local ok, e = pcall(v1.greet, v1, "Ann", "Hi")
    assert.is_false(ok)
    assert.equal("bad_arguments", e.code)
    mc.stop(v1)
    mc.stop(v2)
  end)

  it("are text that is checked when the type is declared", function()
    assert.equal("si?.", signature.compile "string, integer?, ...")
    assert.equal(">b", signature.compile "-> boolean")
    assert.equal("r>", signature.compile "(reference) -> ()")
    assert.has_error(function() signature.compile "strin" end, "'strin' is no type in the signature 'strin'")
    assert.has_error(function() signature.compile "..., string" end,
      "nothing can follow '...' in the signature '..., string'")
    assert.has_error(function() mc.actor("SignedBad", { signatures = { f = "what" } }) end)
  end)
end)
