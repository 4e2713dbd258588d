--- The node's own side: its siblings, its own actor, programs, and definitions that travel.
--
-- Every node has one actor of type mc.node, at instance 1, reentrant. Its secret is known to the
-- host and to the nodes of the same host, so that only those can start programs here, spawn here
-- by type, or fetch a definition. Spawning and code therefore need no kinds of envelope of their own.

local _, core = ... -- the binding: bindings/lua_*.c
local version = require "mooncast.version"

local node = {
  config = core.config,
  siblings = {}, -- by name: {name, incarnation, ref, load}
  order = {}, -- names, in the order in which the nodes started
  program = {}, -- {main = function, source, defined = list of infos, running}
  infos = setmetatable({}, { __mode = "k" }), -- class -> {name, site, from_file, everywhere, hash, version}
  by_name = {}, -- type name -> list of infos, oldest first
  made = {}, -- sender -> its spawns that it may not want any more: see "Spawning"
}
local infos = node.infos
local self_name = core.node()
local Node = core.define("mc.node", {}, { reentrant = true })

-- The classes of a name that came over, by hash.
local received = {}

--- Siblings -------------------------------------------------------------------------------------

local function forget(name)
  for i = #node.order, 1, -1 do
    if node.order[i] == name then table.remove(node.order, i) end
  end
  node.made[name] = nil
  node.siblings[name] = nil -- last: without memory it is told again
end

local policy
local host = node.config.host

local function permits(name)
  if not policy then return true end
  local ok, permitted = pcall(policy, self_name, name)
  if ok and type(permitted) == "boolean" then return permitted end
  core.log(0, ("the policy on calls from %s to %s failed, there will be none: %s"):format(self_name, name,
    ok and "it returned no boolean" or tostring(permitted)))
  return false
end

-- What the host forbids no policy of the program allows.
local function apply_policy(sibling)
  core.bar(sibling.ref, sibling.barred or not permits(sibling.name))
end

--- See mc.policy.
function node.policy(fn)
  if fn ~= nil and type(fn) ~= "function" then error("mc.policy wants a function or nil", 2) end
  policy = fn
  if host then apply_policy { name = core.node_name(host), ref = host, barred = node.config.options.host_barred } end
  for _, name in ipairs(table.move(node.order, 1, #node.order, 1, {})) do
    if name ~= self_name and node.siblings[name] then apply_policy(node.siblings[name]) end
  end
end

--- A trusted node is there; told by the host. barred: this one may not call actors of it.
function node.peer_up(name, incarnation, secret, barred)
  local known = node.siblings[name]
  if known and known.incarnation == incarnation and known.listed then return end
  if known and known.incarnation ~= incarnation then node.peer_down(name, known.incarnation) end
  forget(name)
  local sibling = {
    name = name,
    incarnation = incarnation,
    ref = core.address(name, incarnation, 1, secret, "mc.node"),
    load = 0,
    untold = {}, -- of the spawns that were asked of it
    barred = barred,
    listed = false, -- until all is done: without memory it is told again
  }
  if name ~= self_name then apply_policy(sibling) end
  sibling.asked = core.asked(sibling, sibling.ref)
  node.siblings[name] = sibling
  node.order[#node.order + 1] = name
  sibling.listed = true
end

--- A node is gone; told by the host.
function node.peer_down(name, incarnation)
  local sibling = node.siblings[name]
  if sibling and sibling.incarnation == incarnation then forget(name) end
  core.peer_down(name, incarnation)
end

-- Nodes that mc.start_node made have a dot in their names.
local function is_child(name) return name:find(".", 1, true) ~= nil end

--- The node for the next actor: the one with the fewest, in turn where they are equal.
function node.least_loaded()
  local order, best, least = node.order, self_name, math.huge
  node.turn = (node.turn or -1) + 1
  for i = 1, #order do
    local name = order[(node.turn + i - 1) % #order + 1]
    local load = name == self_name and core.load() - 1 or node.siblings[name].load
    if load < least and not is_child(name) then
      best, least = name, load
    end
  end
  return best
end

--- Life -------------------------------------------------------------------------------------------

local hooks = {}

--- See mc.on.
function node.on(event, fn)
  if type(fn) ~= "function" then error("mc.on wants a function", 2) end
  if not hooks[event] then
    local list = {}
    core.on(event, function(ref)
      for _, hook in ipairs(list) do hook(ref) end
    end)
    hooks[event] = list
  end
  table.insert(hooks[event], fn)
end

local spawning = 0

-- A node that mc.start_node made ends with its last actor. What that one answered goes first: the
-- request goes out at the end of the same step, over the host.
local function end_with_last()
  if spawning > 0 or core.load() > 1 then return end
  core.spawn_task(function()
    if spawning > 0 or core.load() > 1 then return end
    core.cast(node.host(), "stop_node", self_name)
  end)
end

local IS_CHILD <const> = is_child(self_name)
if IS_CHILD then node.on("resign", end_with_last) end

--- Definitions ------------------------------------------------------------------------------------

--- Notes where a type was defined. level is that of the caller of mc.actor.
function node.declare(class, name, level)
  local at = debug.getinfo(level + 1, "Sl")
  local info = {
    name = name,
    class = class,
    site = at.short_src .. ":" .. at.currentline,
    from_file = at.source:sub(1, 1) == "@" or at.what == "C", -- C is the same everywhere
  }
  node.infos[class] = info
  local program = node.program
  if program.source == at.source then table.insert(program.defined, info) end
  local list = node.by_name[name] or {}
  node.by_name[name] = list
  list[#list + 1] = info
  if #list > 8 then table.remove(list, 1) end
  return info
end

local function method_names(class)
  local names = {}
  for name, value in pairs(class) do
    if type(name) == "string" and type(value) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ",")
end

-- Two files that define one name with different methods are a mistake; a file that is run again, or
-- an entry at the REPL, is a new version.
local function check_sites(info)
  if info.received then return end
  for _, other in ipairs(node.by_name[info.name]) do
    if other ~= info and other.from_file and info.from_file and other.site ~= info.site
      and method_names(other.class) ~= method_names(info.class) then
      core.error("version_mismatch", ("actor type %s is defined twice with different methods, at %s and at %s")
        :format(info.name, other.site, info.site))
    end
  end
end

local function pack_context(name)
  return {
    name = name,
    actor_types = core.class_name,
    is_sendable_leaf = core.is_ref,
  }
end

local function pack(info)
  local ok, packed = pcall(require("mooncast.definition").pack, info.class, pack_context(info.name))
  if ok then return packed end
  if type(packed) == "table" and packed.code then core.error(packed.code, packed.message) end
  error(packed, 0)
end

-- The bytecode of the methods alone: equal on every node that ran the same file.
local function code_of(info)
  local code = {}
  for name, value in pairs(info.class) do
    if type(value) == "function" then
      local ok, bytes = pcall(string.dump, value)
      code[name] = ok and bytes or "C"
    end
  end
  return code
end

-- What tells two definitions of a name apart; renewed when methods were added or replaced.
local function hash_of(info)
  local hash = core.class_version(info.class)
  if hash then return hash end
  if not info.received then
    check_sites(info)
    info.packed = not (info.from_file or info.everywhere) and pack(info) or nil
    info.hash = version.hash(info.packed or code_of(info), { ref_id = core.id })
  end
  core.set_class_version(info.class, info.hash, info.received)
  return info.hash
end

-- The module that gave the type: its value, or a field of it.
local function module_of(class)
  for name, value in pairs(package.loaded) do
    if value == class then return name end
    if type(value) == "table" and name ~= "_G" then
      for _, field in next, value do
        if rawequal(field, class) then return name end
      end
    end
  end
end

-- Types that only their names are known of, by name, until their definitions come.
local forwards = {}

local function forward(name)
  forwards[name] = forwards[name] or core.define(name, {}, { travelled = true, forward = true })
  return forwards[name]
end

-- Makes a type of what a sibling sent, then fetches the types that it names and nobody knows here.
local function install(name, hash, packed, sibling)
  local class, missing = forward(name), {}
  local methods = require("mooncast.definition").unpack(packed.methods, {
    actor_type = function(wanted)
      local known = wanted == name and class or core.class(wanted) or forwards[wanted]
      if not known then missing[#missing + 1] = wanted end
      return known or forward(wanted)
    end,
    env = _G,
    require = require,
  })
  for key, value in pairs(methods) do class[key] = value end
  packed.settings.travelled = true
  core.define(name, class, packed.settings)
  forwards[name] = nil
  for _, wanted in ipairs(missing) do
    local ok, more = pcall(core.call, sibling.ref, "definition", wanted)
    -- What cannot come stays a name, enough for references.
    if ok and forwards[wanted] then pcall(install, wanted, more.hash, more, sibling) end
  end
  -- As it came, so that it can travel on.
  node.infos[class] = {
    name = name, class = class, hash = hash, received = true, site = "another node",
    packed = packed.methods, settings = packed.settings,
  }
  received[name] = received[name] or {}
  received[name][hash] = class
  return class
end

local fetching = {}

-- Fetches a definition once, however many spawns wait for it.
local function fetch(name, hash, from)
  local key = name .. "\0" .. hash
  local sibling = node.siblings[from]
  if not sibling then
    core.error("not_permitted", "definitions come from nodes of the same host only, not from " .. from)
  end
  fetching[key] = fetching[key] or core.spawn_task(function()
    return install(name, hash, core.call(sibling.ref, "definition", name, hash), sibling)
  end)
  local task <close> = setmetatable({}, { __close = function() fetching[key] = nil end })
  return fetching[key]:await(), task
end

local function same(class, hash)
  local info = class and node.infos[class]
  return info and hash_of(info) == hash
end

-- The class that a spawn from elsewhere means: our own, one that came before, a module's, or the
-- sender's. Only when it is neither of the first two is the sender asked where it has it from.
local function find_class(name, hash, from)
  local class = core.class(name)
  if same(class, hash) then return class end
  if received[name] and received[name][hash] then return received[name][hash] end
  local module, from_file
  if node.siblings[from] then module, from_file = core.call(node.siblings[from].ref, "origin", name, hash) end
  class = core.class(name)
  if not class and module and pcall(require, module) then
    class = core.class(name)
    if same(class, hash) then return class end
  end
  local info = class and node.infos[class]
  if info and info.from_file and from_file then
    core.error("version_mismatch", ("%s here (%s) differs from the one of node %s: both run versions of a file")
      :format(name, info.site, from))
  end
  return (fetch(name, hash, from))
end

--- Spawning ---------------------------------------------------------------------------------------

-- A spawn that is cancelled or timed out may have made its actor already: the answer, the only one that
-- knows the actor, then finds nobody. So each spawn has a token, a number of its sender's, and the sender
-- tells how it went: the token when the answer came, its negative when the actor is not wanted. Bad news
-- goes out at once, good news by the dozen: what a node remembers for another is bounded by that.

local function tell_settled(sibling)
  local tokens = core.settled(sibling.asked)
  table.move(sibling.untold, 1, #sibling.untold, #tokens + 1, tokens)
  sibling.untold = {}
  local ok, message = pcall(core.cast, sibling.ref, "settle", self_name, tokens)
  if ok then return end
  table.move(tokens, 1, #tokens, #sibling.untold + 1, sibling.untold)
  error(message, 0)
end

-- A spawn for another node while its actor is made. It stands in node.made[sender] until its sender has told;
-- when the actor is there its reference does.
local Making = {}
Making.__index = Making

local function make_for(sender, token)
  local of_sender = node.made[sender] or {}
  node.made[sender] = of_sender
  spawning = spawning + 1
  local making = setmetatable({ sender = sender, of_sender = of_sender, token = token, ref = false }, Making)
  of_sender[token] = making
  return making
end

local function stop_unwanted(ref) core.spawn_task(pcall, core.stop, ref) end

function Making:__close()
  local is_wanted = node.made[self.sender] == self.of_sender and self.of_sender[self.token] == self
  self.of_sender[self.token] = is_wanted and self.ref or nil
  if self.ref and not is_wanted then stop_unwanted(self.ref) end
  spawning = spawning - 1
  if IS_CHILD then end_with_last() end
end

--- A sender tells how its spawns went. What is still being made is stopped when it is there.
function Node:settle(sender, tokens)
  local of_sender = node.made[sender] or {}
  for i = 1, #tokens do
    local told = tokens[i]
    local token = told < 0 and -told or told
    local made = of_sender[token]
    of_sender[token] = nil
    if told < 0 and core.is_ref(made) then stop_unwanted(made) end
  end
end

-- The types that were spawned here before.
node.checked = setmetatable({}, { __mode = "k" })
local checked = node.checked

local function check_sites_once(class)
  if checked[class] then return end
  check_sites(infos[class])
  checked[class] = true
end

--- Makes an actor here that lives as long as something here refers to it. Returns the ref.
function node.new(class, ...)
  check_sites_once(class)
  return core.new(class, ...)
end

local spawn_there, spawn_known = core.spawn_there, core.spawn_known

--- Spawns on a node of the same host. Returns the ref.
function node.spawn(where, class, ...)
  if where == self_name then
    check_sites_once(class)
    return core.spawn(class, ...)
  end
  local sibling = node.siblings[where]
  if not sibling then core.error("unknown_node", "there is no node " .. tostring(where)) end
  sibling.load = sibling.load + 1
  local info = infos[class]
  local ref, failure, is_time = spawn_there(sibling.asked, info.name, hash_of(info), ...)
  if is_time then pcall(tell_settled, sibling) end
  if not ref then error(failure, 0) end
  return ref
end

function Node:spawn(name, hash, from, token, ...)
  local made = node.made[from]
  if made then
    local ref, load = spawn_known(name, hash, from, made, token)
    if ref then return ref, load end
  end
  local making <close> = make_for(from, token)
  making.ref = core.spawn(find_class(name, hash, from), ...)
  return making.ref, core.load() - 1
end

-- A node that was started later has not run the program: it asks those that have.
local function class_named(name)
  for _, other in ipairs { table.unpack(node.order) } do
    local class, sibling = core.class(name), node.siblings[other]
    if node.infos[class] then return class end
    if sibling and other ~= self_name then
      local ok, came = pcall(core.call, sibling.ref, "definition", name)
      if ok then install(name, came.hash, came, sibling) end
    end
  end
  return core.class(name)
end

--- Spawns by the name of a type that the program defined, for the host.
function Node:spawn_type(name, where, from, token, ...)
  local class = class_named(name)
  if not node.infos[class] then
    core.error("bad_arguments", ("node %s knows no actor type %s: the program must define it"):format(self_name, name))
  end
  local making <close> = make_for(from, token)
  making.ref = node.spawn(where or node.least_loaded(), class, ...)
  return making.ref
end

-- The version of a type that has that hash; without a hash, the newest.
local function version_of(name, hash)
  if not hash then return node.infos[core.class(name)] end
  if received[name] and received[name][hash] then return node.infos[received[name][hash]] end
  for _, info in ipairs(node.by_name[name] or {}) do
    if info.hash == hash then return info end
  end
end

local function known_version(name, hash)
  return version_of(name, hash)
    or core.error("version_mismatch", ("node %s no longer has that version of %s"):format(self_name, name))
end

--- The module that a type is found in, if any, and whether a file defined it.
function Node:origin(name, hash)
  local info = known_version(name, hash)
  return module_of(info.class), info.from_file
end

function Node:definition(name, hash)
  local info = known_version(name, hash)
  return {
    hash = hash_of(info), methods = info.packed or pack(info), settings = info.settings,
  }
end

--- Reloading --------------------------------------------------------------------------------------

local function reload_here(ref, class)
  local done = core.whenlocal(ref, function()
    core.become(class)
    return true
  end)
  return done or core.error("dead_actor", ("%s: no such actor on this node"):format(tostring(ref)))
end

--- See mc.reload.
function node.reload(ref)
  local name = core.type_name(ref)
  local class = core.class(name)
  local info = node.infos[class]
  if not info then
    core.error("bad_arguments", ("node %s has no definition of actor type %s"):format(self_name, name))
  end
  if core.is_local(ref) then return reload_here(ref, class) end
  local sibling = node.siblings[core.node_name(ref)]
  if not sibling then
    core.error("not_permitted", ("%s is on a node of another host: code does not go there"):format(tostring(ref)))
  end
  return (core.call(sibling.ref, "reload", ref, name, hash_of(info), self_name))
end

--- Gives an actor of this node the version of its type that the sender has.
function Node:reload(ref, ...) return reload_here(ref, find_class(...)) end

--- Programs ---------------------------------------------------------------------------------------

local function load_program(path, source)
  if not source then return loadfile(path) end
  return load(source, path:sub(1, 1) == "=" and path or "@" .. path)
end

--- Runs a program's file, or its source when that is given. "main" when it called mc.main.
function Node:run(path, source, ...)
  _G.arg = { [0] = path, ... }
  local chunk, message = load_program(path, source)
  if not chunk then error(message, 0) end
  local program = { running = true, source = debug.getinfo(chunk, "S").source, defined = {} }
  node.program = program
  chunk(...)
  local defined = program.defined
  program.source, program.defined = nil, nil
  if not program.main then return "done" end
  -- Every node runs it, so what it has defined is the same on all, as what a file defines; but a type that
  -- another node has got already stays the one that went there.
  for _, info in ipairs(defined) do info.everywhere = not info.hash end
  return "main"
end

--- Runs what mc.main was given.
function Node:main(...)
  node.program.main(...)
  io.stdout:flush()
end

--- Runs a program to its end, as the host of a command line does: for hosts in C. True, or false
-- and what went wrong, with its traceback.
function node.run_program(path, source, ...)
  local own = node.siblings[self_name].ref
  local before = core.timeout(math.huge)
  local ok, result = pcall(core.call, own, "run", path, source, ...)
  if ok and result == "main" then ok, result = pcall(node.run_main, own, path, source, ...) end
  core.timeout(before)
  if ok then return true end
  local trace = core.traceback() or ""
  return false, tostring(result) .. (trace ~= "" and "\n" .. trace or "")
end

--- Has every other node run the file and then runs main, if that is a reference to this node's own
-- actor.
function node.run_main(own, path, source, ...)
  local running = {}
  for name, sibling in pairs(node.siblings) do
    if name ~= self_name then
      running[#running + 1] = core.spawn_task(core.call, sibling.ref, "run", path, source, ...)
    end
  end
  for _, task in ipairs(running) do task:await() end
  if own then core.call(own, "main", ...) end
end

--- The actor that starts nodes: the host's or, in a native process, that of its first node.
function node.host()
  return node.config.host or node.siblings.w1.ref
end

local children, exposed = {}, {}

--- Native hosts: starts another node, named after the one that asks.
function Node:start_node(parent)
  if not core.native then core.error("not_permitted", "node w1 starts nodes") end
  children[parent] = (children[parent] or 0) + 1
  local name = parent .. "." .. children[parent]
  node.peer_up(name, core.native.start_node(name))
  return name
end

--- Native hosts: ends a node and those that it started.
function Node:stop_node(name)
  for _, other in ipairs(table.move(node.order, 1, #node.order, 1, {})) do
    local child = node.siblings[other]
    if other:sub(1, #name + 1) == name .. "." and core.native.stop_node(other) then
      node.peer_down(other, child.incarnation)
    end
  end
  local known = node.siblings[name]
  local stopped = core.native.stop_node(name)
  if stopped and known then node.peer_down(name, known.incarnation) end
  return stopped
end

--- Native hosts: the actor that was exposed under this name.
function Node:lookup(name) return exposed[name] end

--- Makes an actor with these methods and exposes it.
function node.expose(name, methods)
  if exposed[name] then error("something is exposed as " .. name .. " already", 0) end
  exposed[name] = core.spawn(core.define(name, methods))
end

--- One entry of the REPL.
function Node:eval(entry)
  core.keep_none() -- what an entry starts goes on behind the prompt
  local status, text = require("mooncast.repl").eval(entry, _G, core.traceback)
  io.stdout:flush() -- what it wrote stands before its results
  return status, text
end

--- Completions of a prefix at the REPL: a list and the part that they replace.
function Node:complete(prefix)
  return require("mooncast.repl").complete(prefix, _G, function(value)
    local class = core.is_ref(value) and core.class(core.type_name(value))
    return class and require("mooncast").methods(class)
  end)
end

function Node:peer_up(...) node.peer_up(...) end
function Node:peer_down(name, incarnation) node.peer_down(name, incarnation) end

-- The program's own handlers have names of ours.
local own_names = { ["mc.node:run"] = "the script", ["mc.node:main"] = "main" }

local function named(task)
  return (task:gsub("^mc%.node:%l+", own_names):gsub("^the task made at mooncast:%d+", "main"))
end

local function awaited(wait)
  if wait.awaits == "room" then return ("room in the mailbox to cast %s on %s"):format(wait.of, wait.on) end
  if wait.awaits == "call" then return wait.of .. " on " .. wait.on end
  if wait.awaits == "sleep" then return "a time that never comes" end
  if wait.awaits == "children" then return "its tasks to end" end
  return wait.of and named(wait.of) or "the end of another task"
end

local function waiters(wait)
  local by = {}
  for _, one in ipairs(wait.by) do
    if not (wait.actor == "mc.node" and one:find "^a call from") then by[#by + 1] = named(one) end
  end
  return #by > 0 and "; awaited by " .. table.concat(by, ", ") or ""
end

-- What waits on this node, as lines.
local function waiting()
  collectgarbage() -- who fails unheard may be why others wait
  local lines = {}
  for _, wait in ipairs(core.waits()) do
    local at = wait.at and wait.at .. ": " or ""
    lines[#lines + 1] = ("%s%s waits for %s, for %.1f s%s")
      :format(at, named(wait.task), awaited(wait), wait.since, waiters(wait))
  end
  return lines
end

function Node:waits() return table.concat(waiting(), "\n") end

--- Native hosts: why code outside of tasks can never go on. Called twice, from bindings/lua_task.c: while
-- it waits, without an argument, and when it has given up, with what that returned.
function core.never(own)
  if not own then return waiting() end
  local lines = { "the program can never end: every node is idle, no timer is set, and no message is on the way" }
  core.timeout(1)
  for _, name in ipairs(table.move(node.order, 1, #node.order, 1, {})) do
    local known, waits = name == self_name, nil
    if not known then known, waits = pcall(core.call, node.siblings[name].ref, "waits") end
    for line in (known and (waits or table.concat(own, "\n")) or ""):gmatch "[^\n]+" do
      lines[#lines + 1] = ("  %s: %s"):format(name, line)
    end
  end
  return table.concat(lines, "\n")
end

function Node:stats() return core.stats() end

core.on_travelled_error(version.explain)
core.first(Node, node.config.secret)
for _, peer in ipairs(node.config.options and node.config.options.nodes or {}) do
  node.peer_up(table.unpack(peer, 1, 4))
end
if host and node.config.options.host_barred then core.bar(host, true) end

--- Codecs: loaded when one is used, by this node or by a message that comes.

core.register("mc.codec", {}, error, function(sent)
  require "mooncast.intercept" -- registers its own
  local _, _, decode = core.registered "mc.codec"
  return decode(sent)
end)

-- What createSystem or the command line chose or, natively, the environment.
local function chosen_codec()
  if node.config.options then return node.config.options.codec end
  return os and os.getenv "MOONCAST_CODEC"
end

if (chosen_codec() or "cbor") ~= "cbor" then
  require("mooncast.intercept").codecs.use(chosen_codec())
end

--- The page: what only it has, where scripts written for one look for it. (A native process is not ours
-- to put names into.)

local function of_the_page(name)
  local function refuse()
    core.error("not_permitted", ("node %s has no %s: it is the page's alone. Have the page expose an actor that "
      .. "does this (system.expose), and call that"):format(self_name, name))
  end
  return setmetatable({}, { __index = refuse, __newindex = refuse, __call = refuse, __metatable = false })
end

if not core.native then
  for _, name in ipairs { "document", "window" } do
    if rawget(_G, name) == nil then rawset(_G, name, of_the_page(name)) end
  end
end

return node
