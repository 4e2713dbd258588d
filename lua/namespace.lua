--- Names of one's own for what a library declares, so that two copies of it live side by side.
--
-- What belongs to a namespace is known by the coroutine that declares: another task that runs while the
-- library awaits declares under its own names.

local node = require "mooncast.node"
local inside = setmetatable({}, { __mode = "k" }) -- coroutine -> "outer.inner."

--- The name that a declaration has where it stands: what declares looks for this once somebody uses namespaces.
function node.full_name(name)
  local prefix = inside[coroutine.running()]
  return prefix and type(name) == "string" and prefix .. name or name
end

-- A module's loader, without the copy that require keeps.
local function load_copy(name)
  local tried = {}
  for _, searcher in ipairs(package.searchers) do
    local loader, extra = searcher(name)
    if type(loader) == "function" then return loader(name, extra) end
    if type(loader) == "string" then tried[#tried + 1] = loader end
  end
  error(("module '%s' not found:\n\t%s"):format(name, table.concat(tried, "\n\t")), 0)
end

local function run(name, what, ...)
  if type(name) ~= "string" or name == "" then error("mc.namespace wants a name", 2) end
  if type(what) == "string" then return run(name, load_copy, what) end
  if type(what) ~= "function" then error("mc.namespace wants a function, or the name of a module", 2) end
  local here = coroutine.running()
  local before = inside[here]
  local _ <close> = setmetatable({}, { __close = function() inside[here] = before end })
  inside[here] = (before or "") .. name .. "."
  return what(...)
end

return { run = run }
