-- What public functions say of wrong arguments, and that they say it of the line that gave them.
local mc = require "mooncast"

local Plain = mc.actor "arguments_spec.Plain"

local function here() return debug.getinfo(2, "l").currentline end

-- One line each, for the errors name it: a call, what is wrong with it, the line.
local wrong = {
  { function() local x = mc.actor(5) return x end, "mc.actor wants a name, text of 1 to 255 bytes", here() },
  { function() local x = mc.actor "" return x end, "mc.actor wants a name, text of 1 to 255 bytes", here() },
  { function() local x = mc.actor(("x"):rep(256)) return x end, "mc.actor wants a name, text of 1 to 255", here() },
  { function() local x = mc.actor("A", 5) return x end, "mc.actor wants a table of options", here() },
  { function() local x = mc.actor("A", { get = print }) return x end,
    "mc.actor has no option get: methods are functions of the table that it returns", here() - 1 },
  { function() local x = mc.actor("A", { interleave = "get" }) return x end, "interleave is a list of", here() },
  { function() local x = mc.actor("A", { signatures = 5 }) return x end, "signatures is a table", here() },
  { function() local x = mc.actor("A", { signatures = { a = 5 } }) return x end, "'a' is no string", here() },
  { function() local x = mc.actor("A", { signatures = { a = "foo" } }) return x end, "'foo' is no type", here() },
  { function() local x = mc.actor("A", { errors = "string" }) return x end, "errors is a list of", here() },
  { function() local x = mc.actor("A", { mailbox = 0 }) return x end, "mailbox is how many messages", here() },
  { function() local x = mc.actor("A", { on_error = "die" }) return x end, "on_error is reply or stop", here() },
  { function() local x = mc.protocol("A", "get") return x end, "mc.protocol wants a list of the names", here() },
  { function() local x = mc.protocol(nil, {}) return x end, "mc.protocol wants a name", here() },
  { function() local x = mc.methods "A" return x end, "mc.methods wants an actor type", here() },
  { function() local x = mc.type(5) return x end, "mc.type wants a name", here() },
  { function() local x = mc.type("A", { encod = print }) return x end, "mc.type has no option encod", here() },
  { function() local x = mc.type("A", { encode = 5 }) return x end, "mc.type wants a function for encode", here() },
  { function() local x = mc.namespace("a", 5) return x end, "mc.namespace wants a function, or", here() },
  { function() local x = mc.spawn "A" return x end, "mc.spawn wants an actor type, or {Type, on = node}", here() },
  { function() local x = mc.spawn { Plain, "w1" } return x end, "mc.spawn has no option 2", here() },
  { function() local x = mc.spawn { Plain, onn = "w1" } return x end, "mc.spawn has no option onn", here() },
  { function() local x = mc.new(5) return x end, "mc.new wants an actor type", here() },
  { function() local x = mc.stop(5) return x end, "mc.stop wants a reference", here() },
  { function() local x = mc.reload(5) return x end, "mc.reload wants a reference", here() },
  { function() local x = mc.resolve(5, "x") return x end, "mc.resolve wants an actor type or its name", here() },
  { function() local x = mc.on("born", print) return x end, "mc.on wants assign, ready or resign", here() },
  { function() local x = mc.on("ready", 5) return x end, "mc.on wants a function", here() },
  { function() local x = mc.policy(5) return x end, "mc.policy wants a function or nil", here() },
  { function() local x = mc.with(5, print) return x end, "mc.with wants a table of options", here() },
  { function() local x = mc.with({ timout = 5 }, print) return x end, "mc.with has no option timout", here() },
  { function() local x = mc.with({ timeout = -1 }, print) return x end, "timeout is seconds, a number from 0", here() },
  { function() local x = mc.with({}, 5) return x end, "mc.with wants a function", here() },
  { function() local x = mc.deadline "1" return x end, "mc.deadline wants seconds, a number from 0 on", here() },
  { function() local x = mc.deadline(-1, print) return x end, "mc.deadline wants seconds", here() },
  { function() local x = mc.deadline(1, 5) return x end, "mc.deadline wants a function", here() },
  { function() local x = mc.deadline {} return x end, "mc.deadline wants seconds, or how far on which clock", here() },
  { function() local x = mc.deadline({ none = 1 }, print) return x end, "there is no clock 'none'", here() },
  { function() local x = mc.all { mc.async(print) } return x end, "mc.all wants tasks", here() },
  { function() local x = mc.race(5) return x end, "mc.race wants tasks", here() },
  { function() local x = mc.race() return x end, "mc.race wants tasks", here() },
  { function() local x = mc.any { 5 } return x end, "mc.any wants tasks", here() },
  { function() local x = mc.each "x" return x end, "mc.each wants tasks", here() },
  { function() local x = mc.sleep "soon" return x end, "number expected, got string", here() },
  { function() local x = mc.clock(5) return x end, "mc.clock wants a name", here() },
  { function() local x = mc.intercept(5) return x end, "mc.intercept wants a function", here() },
  { function() local x = mc.codec(5) return x end, "mc.codec wants a table", here() },
  { function() local x = mc.transport { sent = print } return x end, "mc.transport wants a table with a", here() },
  { function() local x = mc.stop_node(5) return x end, "mc.stop_node wants the name of a node", here() },
  { function() local x = mc.log "loud" return x end, "mc.log wants the level error, warn, info or debug", here() },
  { function() local x = mc.main(5) return x end, "mc.main wants a function", here() },
}

describe("a wrong argument", function()
  for _, each in ipairs(wrong) do
    local fn, message, line = table.unpack(each)
    it("is told of: " .. message, function()
      local ok, err = pcall(fn)
      assert.is_false(ok)
      assert.matches("arguments_spec.lua:" .. line .. ": ", err, 1, true)
      assert.matches(message, err, 1, true)
    end)
  end
end)
