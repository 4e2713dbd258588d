--- What `require "mooncast"` returns. Absence is `nil, message`; failure raises; times are seconds.
-- The hot paths are C (bindings/lua_*.c); here stands what reads better in Lua.

local _, core = ... -- the binding: bindings/lua_*.c
local node = require "mooncast.node"

-- A function of a module that few programs use: loaded when it is called.
local function of(module, name)
  return function(...) return require(module)[name](...) end
end

local mc = {
  version = core.version,
  --- The metatable of errors that the system raises: fields code, message, node, transport.
  Error = core.Error,
}

local self_name = core.node()

--- Declaring --------------------------------------------------------------------------------------

-- Raises where a public function was called: `level` is 3 for what that function checks itself.
local function want(fits, what, level)
  if not fits then error("mc." .. what, level or 3) end
end

-- {"a", "b"} -> {a = true, b = true}
local function listed(names, what)
  want(type(names) == "table", what, 4)
  local set = {}
  for _, name in ipairs(names) do
    want(type(name) == "string", what, 4)
    set[name] = true
  end
  return set
end

local function check_options(options, known, what, hint)
  want(type(options) == "table", what .. " wants a table of options", 4)
  for key in next, options do
    want(known[key], what .. " has no option " .. tostring(key) .. (hint or ""), 4)
  end
end

-- The whole name of a type that is being declared.
local function declared(name, what)
  if node.full_name then name = node.full_name(name) end
  want(type(name) == "string" and #name > 0 and #name < 256, what .. " wants a name, text of 1 to 255 bytes", 4)
  return name
end

local actor_options = listed { "reentrant", "interleave", "mailbox", "signatures", "errors", "on_error" }
local with_options = listed { "timeout", "codec", "trace", "context" }
local type_options = listed { "encode", "decode" }
local spawn_options = { true, on = true }

--- Declares an actor type. Its methods are the functions of the table returned; `init` makes an
-- actor, `stopped` runs at its end, and those and names with a leading underscore cannot be called
-- from outside.
-- @tparam string name 1 to 255 bytes of text, the type's name on every node
-- @tparam[opt] table options reentrant = true lets other messages in while a handler awaits;
-- interleave = {"get"} only those that call these methods;
-- signatures = {method = "string, integer? -> boolean"} is checked when a call arrives, before its
-- handler runs (bad_arguments), and when it has returned (bad_return): see lua/signature.lua;
-- mailbox = how many messages may wait for one actor (4096): a call that finds it full raises overloaded,
-- a cast of the same node waits; those of other nodes are bounded by their credit;
-- errors = {"Validation", "string"} names the types of errors that callers get to see: those of mc.type, or
-- Lua's; in place of others they get an mc.Error with code redacted and an id, and the node's log has all;
-- on_error = "stop" ends the actor when a handler raised, after the caller was told; the default,
-- "reply", lets it live
-- @treturn table the type
-- @usage local Counter = mc.actor "Counter"
function mc.actor(name, options)
  name = declared(name, "actor")
  options = options or {}
  check_options(options, actor_options, "actor", ": methods are functions of the table that it returns")
  local on_error = options.on_error or "reply"
  want(on_error == "reply" or on_error == "stop", "actor: on_error is reply or stop")
  local signatures = options.signatures
  if signatures then
    local ok, result = pcall(require("mooncast.signature").compile_all, signatures)
    want(ok, ok or "actor: " .. result)
    signatures = result
  end
  local settings = {
    reentrant = options.reentrant and true,
    interleave = options.interleave,
    mailbox = options.mailbox,
    signatures = signatures,
    fragile = on_error == "stop",
    errors = options.errors and listed(options.errors, "actor: errors is a list of the names of types"),
  }
  if options.interleave then listed(options.interleave, "actor: interleave is a list of the names of methods") end
  local mailbox = options.mailbox or 1
  want(math.type(mailbox) == "integer" and mailbox > 0 and mailbox <= 0x7fffffff,
    "actor: mailbox is how many messages may wait for an actor, from 1 on")
  local class = core.define(name, {}, settings)
  node.declare(class, name, 2).settings = settings
  return class
end

local Protocol = {}

--- What callers need to know of an actor type whose code they do not have: the names of its methods.
-- Calling another name raises no_such_method before anything is sent.
-- @treturn table a protocol, for mc.resolve
-- @usage local Greeter = mc.protocol("Greeter", { "hello" })
function mc.protocol(name, methods)
  name = declared(name, "protocol")
  local names = listed(methods, "protocol wants a list of the names of methods")
  core.protocol(name, names)
  return setmetatable({ name = name }, Protocol)
end

--- The names of a type's methods that can be called from outside, sorted.
function mc.methods(class)
  want(core.class_name(class), "methods wants an actor type")
  local names = {}
  for name, value in pairs(class) do
    local public = type(name) == "string" and type(value) == "function" and not name:find "^_"
    if public and name ~= "init" and name ~= "stopped" and name ~= "terminated" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function copy_raw(value)
  local copy = {}
  for k, v in next, value do copy[k] = v end
  return copy
end

--- Registers a type of values, so that tables with this metatable can be sent. Both sides register
-- it under the same name.
-- @tparam string name on the wire
-- @tparam[opt] table codec encode(value) gives what is sent (default: its raw fields), decode(sent)
-- gives the value (default: sets the metatable)
-- @treturn table the metatable, with __index to itself
-- @usage local Point = mc.type "Point"; local p = setmetatable({ x = 1 }, Point)
function mc.type(name, codec)
  name = declared(name, "type")
  codec = codec or {}
  check_options(codec, type_options, "type")
  for key, fn in next, codec do want(type(fn) == "function", "type wants a function for " .. key) end
  local meta = { __name = name }
  meta.__index = meta
  core.register(name, meta, codec.encode or copy_raw, codec.decode or function(sent)
    return setmetatable(sent, meta)
  end)
  return meta
end

--- Runs fn(...) so that the names it gives to mc.actor, mc.protocol and mc.type begin with "name.": two copies
-- of a library then live side by side. Returns what fn returns.
-- @tparam string name every node must use the same
-- @param fn a function; or the name of a module, of which a new copy is loaded, whatever `require` has
-- @usage local left, right = mc.namespace("left", "shop"), mc.namespace("right", "shop")
mc.namespace = of("mooncast.namespace", "run")

--- Marks a table to be sent as a map, also when it is empty or its keys are 1..n.
mc.map = core.map
--- A string that arrives in JavaScript as bytes, though it may be valid text.
mc.bytes = core.bytes

--- Bytes outside of the Lua heap: so many zeros, or those of a string. `#b`, b:get(type, position, count),
-- b:set(type, position, ...), b:string(i, j), b:sub(i, j), b:fill(byte, i, j), b:copy(position, from, i, j) and
-- b:free(); positions count bytes from 1. Sent, also inside of tables, it moves: then it cannot be used here any
-- more, and the one that arrives has the bytes.
-- @usage local samples = mc.buffer(4 * 44100); samples:set("f32", 1, 0.5, 0.25)
mc.buffer = core.buffer
--- Makes a buffer one that is not moved: whoever gets it sees the same bytes. Only nodes that share their
-- memory can: those of one process natively; in wasm the actors of one node.
mc.share = core.share

--- Living -----------------------------------------------------------------------------------------

local type, infos, checked, asked = type, node.infos, node.checked, node.asked
local spawn_here, spawn_there = core.spawn, core.spawn_there

local function refuse_target(target)
  local class = type(target) == "table" and (core.class_name(target) and target or target[1])
  if core.class_name(class) then error("this actor type was not made by mc.actor", 3) end
  want(false, "spawn wants an actor type, or {Type, on = node}", 4)
end

--- Makes an actor that lives until mc.stop or the end of its node.
-- @param target an actor type: on the node with the fewest actors; or {Type, on = node}
-- @param ... for its init, copied
-- @treturn ref its reference
-- Raises what init raised, and node_down, unknown_node, unsendable, version_mismatch.
function mc.spawn(target, ...)
  local class = type(target) == "table" and target[1]
  if checked[class] and target.on == self_name then return spawn_here(class, ...) end
  if infos[class] then
    local there = asked[target.on]
    if there then return spawn_there(there, class, ...) end
    if target.on == nil then check_options(target, spawn_options, "spawn") end
    return node.spawn(target.on or node.least_loaded(), class, ...)
  end
  if infos[target] then return node.spawn(node.least_loaded(), target, ...) end
  refuse_target(target)
end

--- Makes an actor on this node that lives as long as something on this node refers to it: a variable, a
-- field, a handler or task of its own that runs. Then it is stopped, as by mc.stop. A reference that
-- another node has, or that is on its way in a message, keeps nothing alive.
-- @tparam table class an actor type
-- @param ... for its init, copied
-- @treturn ref its reference
-- @usage local cursor = mc.new(Cursor, query)
function mc.new(class, ...)
  want(core.class_name(class), "new wants an actor type")
  if not node.infos[class] then error("this actor type was not made by mc.actor", 2) end
  return node.new(class, ...)
end

--- Ends an actor once it has handled what came before; its `stopped` runs. True, or false when it
-- had ended already. An actor may stop itself: it ends after the handler that runs.
function mc.stop(ref)
  want(core.is_ref(ref), "stop wants a reference")
  local ok, result = pcall(core.stop, ref)
  if ok then return result end
  if getmetatable(result) == core.Error and result.code == "dead_actor" then return false end
  error(result, 0)
end

--- Gives an actor the newest definition that this node has of its type, as a turn of that actor: the handlers
-- that run end with the code they began with, later ones are of the new version. Its fields stay. The actor may
-- be on any node of this host. Returns true.
-- Raises dead_actor, version_mismatch, and not_permitted for an actor of another machine.
-- @usage mc.reload(counter)
mc.reload = node.reload

--- The actor whose handler this is, or is behind this task; or nil outside of handlers.
function mc.self()
  local ref = core.self()
  return ref and core.type_name(ref) ~= "mc.node" and ref or nil
end

mc.is_local = core.is_local

--- Runs fn(self) as a turn of an actor of this node, self being the actor itself: it waits like a call until
-- the actor is free, may await, and its results and errors come back like a call's, copied. For an actor of
-- another node returns nil, and fn is not called.
-- @usage local size = mc.whenlocal(cache, function(self) return #self.entries end)
mc.whenlocal = core.whenlocal

--- Backpressure: in a handler or task of an actor, lets no more calls and casts to it start; they wait in its
-- mailbox, in order, until hold:release() or the end of the handler or task. What runs goes on. A stop of the
-- actor lifts all holds.
-- @usage local hold <close> = mc.hold()
mc.hold = core.hold

--- Calls fn(ref) at a moment in the life of every actor of this node, from now on: "assign" when it has
-- its address, "ready" when its init has returned, "resign" when it is gone, whether it was stopped,
-- its init failed or the node ends. In this order, each once. fn cannot await: mc.async(...) can.
mc.on = node.on

--- Which nodes may call actors of which: fn(from, to) gets two names, the first is this node's, and returns
-- true or false. It is asked now for every other node, and later for each that starts; "host" is JavaScript's.
-- Where it returns false calls, casts and stops raise `not_permitted`, before anything is sent; where it raises,
-- too, and the log says why. Answers and spawns are not asked about. Without fn all is permitted again.
-- What createSystem({ policy }) forbids stays forbidden.
-- @usage mc.policy(function(from, to) return not (from:find "%." and to:find "%.") end)
mc.policy = node.policy

--- Referring --------------------------------------------------------------------------------------

--- The address of an actor, "node/instance/secret": who has it can call the actor.
mc.id = core.id

--- The reference for an id: the local actor, or a remote reference. Contacts nobody, never waits.
-- @param class an actor type, a protocol, or the type's name
-- Raises bad_id, unknown_node and, for an actor of this node, dead_actor and type_mismatch.
function mc.resolve(class, id)
  local name = type(class) == "string" and class or core.class_name(class)
  if getmetatable(class) == Protocol then name = class.name end
  want(name, "resolve wants an actor type or its name")
  return core.resolve(name, id)
end

--- Calling ----------------------------------------------------------------------------------------

--- The same as ref:name(...), for names that are no identifiers or known only at run time.
mc.call = core.call
--- Sends without waiting for an answer; what the handler raises is logged where it runs. Waits while
-- the actor's mailbox is full.
mc.cast = core.cast

local function closing(fn, ...)
  local arguments = table.pack(...)
  return setmetatable({}, { __close = function() fn(table.unpack(arguments, 1, arguments.n)) end })
end

--- Calls fn(...) with options for all that it does: its calls and casts, the tasks and actors that it
-- makes, and what those do on any node. Inside another mc.with what is not given stays.
-- @tparam table options timeout: seconds that each call of this task waits at most;
-- trace: an id, from 1 to 2^53 - 1, or true for a new one: see mc.trace;
-- codec: the name of the one that calls and casts from here to other nodes use, see mc.codec;
-- context: keys with booleans, numbers or strings, 4 KiB in all: see mc.context
-- @usage mc.with({ trace = true, context = { user = "ada" } }, function() return shop:order(item) end)
function mc.with(options, fn, ...)
  check_options(options, with_options, "with")
  want(type(fn) == "function", "with wants a function")
  local timeout <const> = options.timeout
  want(timeout == nil or type(timeout) == "number" and timeout >= 0, "with: timeout is seconds, a number from 0 on")
  local trace, context = core.trace(), core.context()
  local _ <close> = closing(core.carry, trace, context)
  local _ <close> = closing(core.timeout, core.timeout())
  local _ <close> = closing(core.codec, core.codec())
  if timeout then core.timeout(timeout) end
  if options.codec ~= nil then core.codec(require("mooncast.intercept").codecs.number(options.codec)) end
  if options.trace ~= nil then trace = require("mooncast.context").trace(options.trace) end
  if options.context ~= nil then context = require("mooncast.context").merged(context, options.context) end
  core.carry(trace, context)
  return fn(...)
end

--- The trace that this runs for, as mc.with set it here or where this was called from; or nil.
mc.trace = core.trace

--- What mc.with was given for this key, here or where this was called from; or nil. Without a key, a
-- copy of all.
function mc.context(key)
  local context = core.context()
  if key == 0 then return nil end -- where its bytes stand
  if key ~= nil then return (context or {})[key] end
  local all = {}
  for name, value in next, context or {} do
    if name ~= 0 then all[name] = value end
  end
  return all
end

--- Time -------------------------------------------------------------------------------------------

--- Gives a whole operation so many seconds: everything in fn(...), on every node, shares them. What
-- is under way then raises `timeout`, and whoever works on it elsewhere is cancelled. An outer deadline
-- that is nearer wins. Without fn, a value for `local _ <close> = mc.deadline(2)`.
-- @param seconds a number; or, on clocks of this node (mc.clock), how far each may go: {frames = 5}.
-- Those are for this node alone: nothing of them is sent, and there is no form to be closed.
-- @usage local reply = mc.deadline(0.5, function() return shop:order(item) end)
function mc.deadline(seconds, fn, ...)
  want(fn == nil or type(fn) == "function", "deadline wants a function")
  if type(seconds) == "table" then return require("mooncast.clock").deadline(seconds, fn, ...) end
  want(type(seconds) == "number" and seconds >= 0, "deadline wants seconds, a number from 0 on")
  local before = { false, false, false } -- places: from the change of the deadline on nothing may fail
  local scope <const> = setmetatable({}, { __close = function()
    core.deadline_back(before[1], before[2], before[3])
  end })
  before[1], before[2], before[3] = core.deadline(seconds)
  if not fn then return scope end
  local _ <close> = scope
  return fn(...)
end

--- Seconds until the deadline of what runs here, or nil when there is none.
mc.remaining = core.remaining

--- A clock of this node that you move: clock:advance(n) and clock:now(). It stands at 0 when it is new.
-- @usage local frames = mc.clock "frames"
mc.clock = of("mooncast.clock", "clock")

--- Lets others run for at least so many seconds.
mc.sleep = core.sleep
--- Seconds on a clock that never goes back.
mc.now = core.now

--- Tasks ------------------------------------------------------------------------------------------

--- Runs fn(...) beside the caller. The task has :await(), :cancel() and :status(). It belongs to the
-- handler, task or program that made it: what still runs when that has returned is cancelled first.
mc.async = core.async
--- The same for a task that outlives the call which made it, and its deadline; it ends with its actor.
mc.spawn_task = core.spawn_task
--- Where the last error that was caught in this task came from, through every node.
mc.traceback = core.traceback
--- What every task of this node waits for: a list of {awaits, of, on, task, actor, by, since, at,
-- cancelled}: by is who waits for that task or handler.
mc.waits = core.waits

local function each(next_of, ...)
  local tasks, left = table.pack(...), {}
  for i = 1, tasks.n do left[i] = i end
  return function()
    if #left == 0 then return nil end
    local waiting = {}
    for i, index in ipairs(left) do waiting[i] = tasks[index] end
    local index = table.remove(left, next_of(table.unpack(waiting)))
    return index, tasks[index]
  end
end

local function check_tasks(what, ...)
  for i = 1, select("#", ...) do
    local meta = getmetatable((select(i, ...)))
    want(type(meta) == "table" and meta.__name == "mooncast.task", what .. " wants tasks", 4)
  end
end

--- Goes through tasks as they end.
-- @usage for i, task in mc.each(a, b, c) do print(i, task:await()) end
function mc.each(...)
  check_tasks("each", ...)
  return each(core.first_of, ...)
end

local function cancel_all(...)
  for i = 1, select("#", ...) do (select(i, ...)):cancel() end
end

--- Awaits all tasks and returns the first result of each, in their order. The first that fails
-- cancels the others and raises.
function mc.all(...)
  check_tasks("all", ...)
  local _ <close> = closing(cancel_all, ...)
  local n, results = select("#", ...), {}
  for i, task in each(core.next_of, ...) do results[i] = task:await() end
  return table.unpack(results, 1, n)
end

--- The results, or the error, of the task that ends first; the others are cancelled.
function mc.race(...)
  check_tasks("race", ...)
  want(..., "race wants tasks")
  local _ <close> = closing(cancel_all, ...)
  return (select(core.first_of(...), ...)):await()
end

--- The results of the first task that does not fail; the others are cancelled. When all fail, raises
-- what the last one raised.
function mc.any(...)
  check_tasks("any", ...)
  local _ <close> = closing(cancel_all, ...)
  local left = select("#", ...)
  for _, task in mc.each(...) do
    left = left - 1
    if task:status() == "done" or left == 0 then return task:await() end
  end
end

--- Extending --------------------------------------------------------------------------------------

--- Calls fn(message, next, ...) around every call and cast that actors and programs of this node make, and
-- around every handler that runs here, from now on. The first that was added is outermost. message has
-- direction ("out", or "in" for a handler), kind ("call" or "cast"), ref, type and method; `...` are the
-- arguments. next(...) goes on with the arguments that it gets and returns what it gave, or raises.
-- @treturn function that removes it
-- @usage mc.intercept(function(message, next, ...) print(message.method) return next(...) end)
mc.intercept = of("mooncast.intercept", "add")

--- Registers a codec for what leaves the node: see docs/lua.md and lua/codec.lua. With a name, the codec
-- of that name, or nil and why.
-- @tparam table definition name; encode(values, call) -> bytes and decode(bytes, call) -> values; instead
-- of encode, encoder(call) -> object with argument(value, i), done() -> bytes and optionally generic(name),
-- error_type(name), return_type(text); results: on_return(values, call), on_void, on_throw(err, call)
-- @treturn table name, encode, decode
mc.codec = of("mooncast.intercept", "codec")

--- Links this node to another over bytes that the user moves: see lua/transport.lua.
mc.transport = of("mooncast.transport", "new")

--- Nodes ------------------------------------------------------------------------------------------

function mc.node() return self_name end
--- The names of the nodes of this host, in the order in which they started.
function mc.nodes() return table.move(node.order, 1, #node.order, 1, {}) end

--- Starts another node; returns its name. It takes the actors that are spawned on it by name, and
-- ends with the last of them, or with the node that started it.
-- @usage local counter = mc.spawn({ Counter, on = mc.start_node() })
function mc.start_node()
  return (core.call(node.host(), "start_node", self_name))
end

--- Ends a node and all of its actors. True if there was one.
function mc.stop_node(name)
  want(type(name) == "string", "stop_node wants the name of a node")
  return core.call(node.host(), "stop_node", name)
end

--- The reference of an actor that the host exposed under this name, written in JavaScript or C; or
-- nil and why.
function mc.lookup(name)
  local ref = core.call(node.host(), "lookup", name)
  if ref then return ref end
  return nil, "nothing is exposed as " .. tostring(name)
end

function mc.info()
  local options = node.config.options or {}
  local link = options.link or node.config.link
  return { node = self_name, version = core.version, link = link, shared_memory = link == "ring" }
end

--- Numbers: actors, tasks, pending calls, timers, late replies, dead letters and so on.
function mc.stats()
  local stats = core.stats()
  stats.actors = stats.actors - 1 -- without the node's own
  return stats
end

local levels = { error = 0, warn = 1, info = 2, debug = 3 }

--- Writes to the log, level "error", "warn", "info" or "debug".
function mc.log(level, ...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  want(levels[level], "log wants the level error, warn, info or debug")
  core.log(levels[level], table.concat(parts, "\t"))
end

--- Programs ---------------------------------------------------------------------------------------

--- Sleeps until the program is ended from outside: for a main that has nothing left to do.
function mc.serve_forever()
  while true do core.sleep(3600) end
end

-- Under stock lua there is no command line of ours: mc.main has the other nodes run the file and runs
-- main to its end.
local function run_native(fn, source)
  local before = core.timeout(math.huge)
  if source:sub(1, 1) == "@" then node.run_main(nil, source:sub(2), nil, table.unpack(arg or {})) end
  core.timeout(before)
  core.async(fn, table.unpack(arg or {})):await()
end

--- The program: runs once, on the first node, after every other node has run the file too. The last
-- statement of the file.
function mc.main(fn)
  want(type(fn) == "function", "main wants a function")
  node.program.main = fn
  if core.native and self_name == "w1" and not node.program.running then
    run_native(fn, debug.getinfo(2, "S").source)
  end
end

return mc
