--- What hosts ask of a node: native ones, and prompts. Loaded when one first does: see lua/node.lua.

local _, core = ...
local node = require "mooncast.node"

local self_name = core.node()
local Node = node.class

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
