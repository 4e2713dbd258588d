-- Codecs: what becomes of calls that leave the node, and what arrives in one.
local mc = require "mooncast"
local core = require "mooncast.core"
local codecs = require "spec.support.codecs"
local world = require "spec.support.world"

local Echo = mc.actor("codec_spec.Echo", { signatures = { add = "integer, integer -> integer", bad = "-> string" } })

function Echo:init() self.ran = 0 end
function Echo:know(module) require(module) end
function Echo:echo(...) self.ran = self.ran + 1 return ... end
function Echo:add(a, b) return a + b end
function Echo:bad() return 5 end
function Echo:nothing() self.ran = self.ran + 1 end
function Echo:fail(value) error(value, 0) end
function Echo:broken() return self.missing.field end
function Echo:slow() mc.sleep(60) end
function Echo:count() return self.ran end
function Echo:loaded(name) return package.loaded[name] ~= nil end
function Echo:seen()
  local seen = {}
  local remove = require "mooncast".intercept(function(message, next, ...)
    if message.direction == "in" then seen[#seen + 1] = message.codec or "plain" end
    return next(...)
  end)
  self.unsee = function() remove() return seen end
end
function Echo:unseen() return self.unsee() end

local Point = mc.type "codec_spec.Point"
local Line = mc.type "codec_spec.Line"

describe("a codec", function()
  require "spec.support.clean"(setup, teardown)
  local echo

  local function with(name, fn, ...) return mc.with({ codec = name }, fn, ...) end

  setup(function()
    echo = mc.spawn { Echo, on = world.other() }
    echo:know "spec.support.codecs"
  end)
  teardown(function() mc.stop(echo) end)

  for _, name in ipairs { "json", "reverse", "eager", "lazy", "signed", "noting" } do
    it(name .. " carries values, nils, errors and references like the built-in one [C12]", function()
      with(name, function()
        assert.same(table.pack(nil, 1, nil), table.pack(echo:echo(nil, 1, nil)))
        assert.same(table.pack(), table.pack(echo:echo()))
        assert.same({ "a", { 1, 2, { x = 1.5 } }, true }, { echo:echo("a", { 1, 2, { x = 1.5 } }, true) })
        assert.equal(echo, (echo:echo(echo)))
        assert.equal(0, select("#", echo:nothing()))
        assert.equal("\xff\0", (echo:echo "\xff\0"))
        assert.equal("as raised", world.raised(echo.fail, echo, "as raised"))
        assert.same({ code = 7 }, world.raised(echo.fail, echo, { code = 7 }))
        pcall(echo.broken, echo)
        assert.matches("codec_spec.lua:%d+: in", mc.traceback())
        assert.equal(5, echo:add(2, 3))
        assert.equal("bad_arguments", world.raised(echo.add, echo, 1, "b").code)
        assert.equal("bad_return", world.raised(echo.bad, echo).code)
        assert.equal("no_such_method", world.raised(mc.call, echo, "other").code)
        assert.equal("unsendable", world.raised(echo.echo, echo, { on = print }).code)
        assert.equal("timeout", world.raised(mc.deadline, 0.02, echo.slow, echo).code)
        local task = mc.async(echo.slow, echo)
        mc.sleep(0.001)
        task:cancel()
        assert.equal("cancelled", world.raised(task.await, task).code)
        local before = echo:count()
        mc.cast(echo, "nothing")
        assert.equal(before + 1, echo:count())
      end)
    end)
  end

  it("is told of generic types, arguments, the return type, and the end, in this order [C10]", function()
    codecs.hooks = {}
    with("noting", echo.echo, echo, 1, "a")
    assert.same({ "arg", "arg", "ret any", "done" }, codecs.hooks)
    codecs.hooks = {}
    with("noting", echo.add, echo, 1, 2)
    assert.same({ "arg", "arg", "ret integer", "done" }, codecs.hooks)
  end)

  it("is told of the registered types within the arguments, each once [C14]", function()
    local function point(x) return setmetatable({ x = x }, Point) end
    codecs.hooks = {}
    -- The other node does not know the types: that is another matter.
    pcall(with, "noting", echo.echo, echo, { points = { setmetatable({ point(1), point(2) }, Line) } }, point(3))
    assert.same({
      "generic codec_spec.Line", "generic codec_spec.Point", "arg", "arg", "ret any", "done",
    }, codecs.hooks)
  end)

  it("that refuses makes the call raise here, and nothing is sent [C14]", function()
    local ran = echo:count()
    for _, hook in ipairs { "generic", "arg", "ret", "done" } do
      local stats = mc.stats()
      codecs.refuse = hook
      local raised = world.raised(with, "noting", echo.echo, echo, setmetatable({}, Point))
      codecs.refuse = nil
      assert.equal(hook .. " is refused", raised)
      assert.equal(stats.pending, mc.stats().pending)
      assert.equal(stats.sent, mc.stats().sent)
    end
    assert.equal(ran, echo:count())
  end)

  it("that signs tells every change of a bit, and the handler does not run [C11]", function()
    with("signed", echo.echo, echo, "payload", { 1, 2 })
    local ran, at = echo:count(), 0
    local size
    repeat
      at = at + 1
      codecs.flip = { at, 1 << at % 8 }
      local raised = world.raised(with, "signed", echo.echo, echo, "payload", { 1, 2 })
      size = codecs.size
      codecs.flip = nil
      assert.equal("malformed", raised.code)
    until at == size
    assert.is_true(size > 16)
    assert.equal(ran, echo:count())
  end)

  it("that signs cannot be taken along to another method or actor [C11]", function()
    local other = mc.spawn { Echo, on = world.other() }
    local c = mc.codec "signed"
    local call = {
      codec = "signed", part = "arguments", id = mc.id(echo), method = "echo", ref = echo, kind = "call",
      type = core.type_name(echo),
    }
    local bytes = c.encode({ 1, n = 1 }, call)
    assert.same({ 1, n = 1 }, c.decode(bytes, call))
    call.method = "nothing"
    assert.equal("the signature is wrong", world.raised(c.decode, bytes, call))
    call.method, call.id = "echo", mc.id(other)
    assert.equal("the signature is wrong", world.raised(c.decode, bytes, call))
    mc.stop(other)
  end)

  it("that the other node does not know is refused there, and nothing is loaded for it [F8]", function()
    for _, name in ipairs { "nobody", "os", "_G", "spec.support.eventually", ("x"):rep(200) } do
      mc.codec { name = name, encode = mc.codec("cbor").encode, decode = mc.codec("cbor").decode }
      local ran = echo:count()
      local raised = world.raised(with, name, echo.echo, echo, 1)
      assert.equal("type_not_allowed", raised.code)
      assert.matches("codec " .. name .. " is not known on node", raised.message, 1, true)
      assert.equal(ran, echo:count())
    end
    assert.is_false(echo:loaded "nobody")
  end)

  it("refuses an unregistered type, wherever it stands, before the handler runs [F8]", function()
    local nested = { deep = { { setmetatable({ x = 1 }, Point) } } }
    for _, name in ipairs { "cbor", "json", "reverse", "signed" } do
      local ran = echo:count()
      local raised = world.raised(with, name, echo.echo, echo, 1, nested)
      assert.equal("type_not_allowed", raised.code)
      assert.matches("codec_spec.Point", raised.message, 1, true)
      assert.equal(ran, echo:count())
    end
  end)

  it("leaves calls inside the node alone, and what the system sends", function()
    local here = mc.spawn { Echo, on = mc.node() }
    codecs.hooks = {}
    with("noting", function()
      assert.equal(1, (here:echo(1)))
      mc.stop(mc.spawn { Echo, on = world.other() })
      mc.lookup "nobody"
    end)
    assert.same({}, codecs.hooks)
    mc.stop(here)
  end)

  it("holds for what is inside of mc.with, tasks too, and not behind it", function()
    echo:seen()
    with("json", function()
      echo:echo(1)
      mc.async(echo.echo, echo, 2):await()
      with("cbor", echo.echo, echo, 3)
    end)
    pcall(with, "json", error, "out")
    echo:echo(4)
    assert.same({ "json", "json", "plain", "plain", "plain" }, echo:unseen())
  end)

  it("keeps results' hooks apart: values, none, an error", function()
    local here = mc.codec "noting"
    local call = { codec = "noting", part = "results" }
    codecs.hooks = {}
    here.on_return({ 1, n = 1 }, call)
    here.on_void({ n = 0 }, call)
    here.on_throw("no", call)
    assert.same({ "on_return", "on_void", "on_throw" }, codecs.hooks)
  end)

  it("reads old bytes after its Lua side was renamed [F6]", function()
    local Old = mc.type "codec_spec.Stable"
    local old = { cbor = mc.codec("cbor").encode { setmetatable({ x = 17 }, Old) } }
    old.json = mc.codec("json").encode { setmetatable({ x = 17 }, Old) }
    local Renamed = mc.type "codec_spec.Stable"
    function Renamed:double() return 2 * self.x end
    for name, bytes in pairs(old) do
      local value = mc.codec(name).decode(bytes)[1]
      assert.equal(Renamed, getmetatable(value))
      assert.equal(34, value:double())
    end
  end)

  it("is checked when it is declared", function()
    assert.has_error(function() mc.codec {} end, "mc.codec wants a name, text of 1 to 255 bytes")
    assert.has_error(function() mc.codec { name = "json" } end, "codec json is built in")
    assert.has_error(function() mc.codec { name = "x", decode = print } end)
    assert.same({ nil, "there is no codec none" }, { mc.codec "none" })
    assert.equal("bad_arguments", world.raised(mc.with, { codec = "none" }, print).code)
  end)
end)

describe("the codec json", function()
  local json = mc.codec "json"

  local function text(...) return json.encode(table.pack(...)) end
  local function back(...) return json.decode(text(...)) end

  it("writes what people can read [F5]", function()
    assert.equal('[1,null,"a/b",[true,false],{"x":1.5}]', text(1, nil, "a/b", { true, false }, { x = 1.5 }))
    assert.equal('[[],{},{"$map":[[2,"b"]]}]', text({}, mc.map {}, { [2] = "b" }))
    assert.equal('[{"$type":"codec_spec.Point","value":{"x":1}}]', text(setmetatable({ x = 1 }, Point)))
  end)

  it("keeps what the table of docs/types.md says [F5]", function()
    local values = {
      1, -1, 1.5, 0.1, 1 / 3, 1e300, math.maxinteger, math.mininteger, (1 << 53) + 1, math.huge, -math.huge,
      "", "text", "\0\xff", "\u{1F319}", true, false, { 1, 2, { 3 } }, { x = { y = 1 } }, { [1] = 1, x = 2, [2.5] = 3 },
      { ["$ref"] = "no reference" }, { [true] = 1 },
    }
    for _, value in ipairs(values) do
      local came = back(value)[1]
      assert.same(value, came)
      assert.equal(math.type(value), math.type(came))
    end
    local nan = back(0 / 0)[1]
    assert.is_true(nan ~= nan)
    assert.equal("integer", math.type(back(2.0)[1])) -- the loss
    assert.equal(-math.huge, 1 / back(-0.0)[1])
    assert.same({ n = 3, nil, 2, nil }, back(nil, 2, nil))
  end)

  it("refuses what is no such text", function()
    for _, bytes in ipairs {
      "", "x", "{}", "1", "[1", "[1] 2", "[nan]", '[{"$ref":5}]', '[{"$ref":"a","type":"b"}]', '[{"$map":[[1]]}]',
      '[{"$map":[[1,1],[1,2]]}]', '[{"$bytes":"f"}]', '[{"$int":"1e3"}]', '[{"$int":"99999999999999999999"}]',
      '[{"$float":1}]', '[{"$other":1}]', '[{"$map":1}]', ("["):rep(150) .. ("]"):rep(150), ("["):rep(5000),
    } do
      local raised = world.raised(json.decode, bytes)
      assert.equal("malformed", raised.code, bytes)
    end
    for _, name in ipairs { "os", "_G", "nobody", "mc.codec", ("x"):rep(100000) } do
      local raised = world.raised(json.decode, ('[{"$type":"%s","value":[]}]'):format(name))
      assert.equal("type_not_allowed", raised.code)
    end
  end)
end)
