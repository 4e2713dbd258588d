--- The node's own side: its siblings, its own actor, spawns and programs.
--
-- Every node has one actor of type mc.node, at instance 1, reentrant. Its secret is known to the
-- host and to the nodes of the same host, so that only those can start programs here, spawn here
-- by type, or fetch a definition. Spawning and code therefore need no kinds of envelope of their own.

local _, core = ... -- the binding: bindings/lua_*.c

local node = {
  config = core.config,
  siblings = {}, -- by name: {name, incarnation, ref, asked}
  asked = {}, -- by name, what core.spawn_there asks of the other nodes
  order = {}, -- names, in the order in which the nodes started
  program = {}, -- {main = function, source, defined = list of infos, running}
  class = core.define("mc.node", {}, { reentrant = true }),
  infos = setmetatable({}, { __mode = "k" }), -- class -> {name, site, from_file, everywhere, hash, version}
  by_name = {}, -- type name -> list of infos, oldest first
  received = {}, -- type name -> classes that came over, by hash
}
local infos = node.infos
local self_name = core.node()
local Node = node.class

-- What few programs need comes when it is first called: the module puts it into `to`.
local function later(to, module, names)
  for _, name in ipairs(names) do
    to[name] = function(...)
      require("mooncast." .. module)
      return to[name](...)
    end
  end
end

later(node, "travel", { "pack", "find_elsewhere", "class_elsewhere", "reload" })
later(Node, "travel", { "origin", "definition", "reload" })
later(node, "host", { "run_program", "run_main", "expose" })
later(Node, "host", { "start_node", "stop_node", "lookup", "eval", "complete" })
later(Node, "waits", { "waits" })
later(core, "waits", { "never" })

--- Siblings -------------------------------------------------------------------------------------

local function forget(name)
  for i = #node.order, 1, -1 do
    if node.order[i] == name then table.remove(node.order, i) end
  end
  node.asked[name] = nil
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
    barred = barred,
    listed = false, -- until all is done: without memory it is told again
  }
  node.siblings[name] = sibling
  if name ~= self_name then
    apply_policy(sibling)
    node.asked[name] = core.sibling(sibling.ref, node.hash_of_class)
  end
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
    local load = core.load(node.asked[name])
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
  if event ~= "assign" and event ~= "ready" and event ~= "resign" then
    error("mc.on wants assign, ready or resign", 2)
  end
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
  if spawning > 0 or core.load() > 0 then return end
  core.spawn_task(function()
    if spawning > 0 or core.load() > 0 then return end
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
function node.hash_of(info)
  local hash = core.class_version(info.class)
  if hash then return hash end
  if not info.received then
    check_sites(info)
    info.packed = not (info.from_file or info.everywhere) and node.pack(info) or nil
    info.hash = require("mooncast.version").hash(info.packed or code_of(info), { ref_id = core.id })
  end
  core.set_class_version(info.class, info.hash, info.received)
  return info.hash
end

function node.hash_of_class(class) return node.hash_of(infos[class]) end

local function same(class, hash)
  local info = class and node.infos[class]
  return info and node.hash_of(info) == hash
end
node.same = same

-- The class that a spawn from elsewhere means: our own, one that came before, a module's, or the
-- sender's. Only when it is neither of the first two is the sender asked where it has it from.
function node.find_class(name, hash)
  local class = core.class(name)
  if same(class, hash) then return class end
  local came = node.received[name]
  if came and came[hash] then return came[hash] end
  return node.find_elsewhere(name, hash)
end

--- Spawning ---------------------------------------------------------------------------------------

-- Closed when an actor that another node wants is there, or will not be.
local Making = setmetatable({}, {
  __close = function()
    spawning = spawning - 1
    if IS_CHILD then end_with_last() end
  end,
})

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

--- Spawns on a node of the same host. Returns the ref.
function node.spawn(where, class, ...)
  if where == self_name then
    check_sites_once(class)
    return core.spawn(class, ...)
  end
  local asked = node.asked[where] or core.error("unknown_node", "there is no node " .. tostring(where))
  return core.spawn_there(asked, class, ...)
end

--- What another node's core.spawn_there asks for, as far as the core (bindings/lua_spawn.c) has not done it.
function Node:spawn(name, hash, ...)
  spawning = spawning + 1
  local _ <close> = Making
  return (core.spawn(node.find_class(name, hash), ...))
end

--- Spawns by the name of a type that the program defined, for the host.
function Node:spawn_type(name, where, ...)
  local class = core.class(name)
  if not infos[class] then class = node.class_elsewhere(name) end
  if not node.infos[class] then
    core.error("bad_arguments", ("node %s knows no actor type %s: the program must define it"):format(self_name, name))
  end
  spawning = spawning + 1
  local _ <close> = Making
  return (node.spawn(where or node.least_loaded(), class, ...))
end

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

--- The actor that starts nodes: the host's or, in a native process, that of its first node.
function node.host()
  return node.config.host or node.siblings.w1.ref
end

function Node:peer_up(...) node.peer_up(...) end
function Node:peer_down(name, incarnation) node.peer_down(name, incarnation) end

function Node:stats() return core.stats() end

core.on_travelled_error(function(message) return require("mooncast.version").explain(message) end)
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
