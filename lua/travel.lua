--- Definitions of actor types that come from another node or go to one, and what is made anew of them.
--
-- Loaded when the first does: see lua/node.lua.

local _, core = ...
local node = require "mooncast.node"

local self_name = core.node()
local Node = node.class

local function pack_context(name)
  return {
    name = name,
    actor_types = core.class_name,
    is_sendable_leaf = core.is_ref,
  }
end

function node.pack(info)
  local ok, packed = pcall(require("mooncast.definition").pack, info.class, pack_context(info.name))
  if ok then return packed end
  if type(packed) == "table" and packed.code then core.error(packed.code, packed.message) end
  error(packed, 0)
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
  node.received[name] = node.received[name] or {}
  node.received[name][hash] = class
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

--- The class that a message from elsewhere means, when this node has not got it yet.
function node.find_elsewhere(name, hash)
  local from = core.asker()
  local module, from_file, class
  if node.siblings[from] then module, from_file = core.call(node.siblings[from].ref, "origin", name, hash) end
  class = core.class(name)
  if not class and module and pcall(require, module) then
    class = core.class(name)
    if node.same(class, hash) then return class end
  end
  local info = class and node.infos[class]
  if info and info.from_file and from_file then
    core.error("version_mismatch", ("%s here (%s) differs from the one of node %s: both run versions of a file")
      :format(name, info.site, from))
  end
  return (fetch(name, hash, from))
end

--- A node that was started later has not run the program: it asks those that have.
function node.class_elsewhere(name)
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

-- The version of a type that has that hash; without a hash, the newest.
local function version_of(name, hash)
  if not hash then return node.infos[core.class(name)] end
  if node.received[name] and node.received[name][hash] then return node.infos[node.received[name][hash]] end
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
    hash = node.hash_of(info), methods = info.packed or node.pack(info), settings = info.settings,
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
  if not core.is_ref(ref) then error("mc.reload wants a reference", 2) end
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
  return (core.call(sibling.ref, "reload", ref, name, node.hash_of(info)))
end

--- Gives an actor of this node the version of its type that the sender has.
function Node:reload(ref, ...) return reload_here(ref, node.find_class(...)) end
