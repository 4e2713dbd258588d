--- Interceptors: functions around every request that leaves an actor of this node, and around every
-- handler that runs here. bindings/lua_intercept.c comes by when there is one.

local _, core = ...

local intercept = {}

-- In the order in which they were added. Never changed, only replaced: what is under way keeps its own.
local chain = {}

-- Calls interceptor i of those; the last `next` is the innermost step.
local function go(fns, i, message, innermost, ...)
  local fn = fns[i]
  if not fn then return innermost(...) end
  return fn(message, function(...) return go(fns, i + 1, message, innermost, ...) end, ...)
end

local plain = { call = core.plain_call, cast = core.plain_cast }

local function around_call(kind, ref, method, ...)
  local message = {
    direction = "out", kind = kind, ref = ref, type = core.type_name(ref), method = method,
  }
  return go(chain, 1, message, function(...) return plain[kind](ref, method, ...) end, ...)
end

local function around_handler(is_cast, method, fn, self, ...)
  local ref = core.self()
  local message = {
    direction = "in", kind = is_cast and "cast" or "call", ref = ref, type = core.type_name(ref), method = method,
  }
  return go(chain, 1, message, function(...) return fn(self, ...) end, ...)
end

local function use(fns)
  chain = fns
  if #fns > 0 then core.around(around_call, around_handler) else core.around() end
end

--- See mc.intercept.
function intercept.add(fn)
  if type(fn) ~= "function" then error("mc.intercept wants a function", 2) end
  local entry = function(...) return fn(...) end -- of its own, so that one function can be added twice
  local longer = table.move(chain, 1, #chain, 1, {})
  longer[#longer + 1] = entry
  use(longer)
  return function()
    local others = {}
    for _, other in ipairs(chain) do
      if other ~= entry then others[#others + 1] = other end
    end
    use(others)
  end
end

return intercept
