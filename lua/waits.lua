--- What waits on this node for what, as text. Loaded when somebody first asks: see lua/node.lua.

local _, core = ...
local node = require "mooncast.node"

local self_name = core.node()
local Node = node.class

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

--- Native hosts: why code outside of tasks can never go on. Called twice, from bindings/lua_await.c: while
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
