--- What stands around calls: interceptors, around every request that leaves an actor of this node and
-- around every handler that runs here, and inside of those the codec of what leaves the node.
-- bindings/lua_intercept.c comes by when there is one.

local _, core = ...
local codec = require "mooncast.codec"

local intercept = { codec = codec.define, codecs = codec }

-- In the order in which they were added. Never changed, only replaced: what is under way keeps its own.
local chain = {}

-- Calls interceptor i of those; the last `next` is the innermost step.
local function go(fns, i, message, innermost, ...)
  local fn = fns[i]
  if not fn then return innermost(...) end
  return fn(message, function(...) return go(fns, i + 1, message, innermost, ...) end, ...)
end

local plain = { call = core.plain_call, cast = core.plain_cast }

local function send(kind, ref, method, ...)
  local c = codec.chosen(ref)
  if c then return codec.call(c, kind, ref, method, ...) end
  return plain[kind](ref, method, ...)
end

local function around_call(kind, ref, method, ...)
  if #chain == 0 then return send(kind, ref, method, ...) end
  local chosen = codec.chosen(ref)
  local message = {
    direction = "out", kind = kind, ref = ref, type = core.type_name(ref), method = method,
    codec = chosen and chosen.name,
  }
  return go(chain, 1, message, function(...) return send(kind, ref, method, ...) end, ...)
end

local function handle(name, kind, method, fn, self, ...)
  if #chain == 0 then return fn(self, ...) end
  local ref = core.self()
  local message = {
    direction = "in", kind = kind, ref = ref, type = core.type_name(ref), method = method, codec = name,
  }
  return go(chain, 1, message, function(...) return fn(self, ...) end, ...)
end

local function around_handler(is_cast, method, fn, self, ...)
  local kind = is_cast and "cast" or "call"
  if not codec.is_packed(...) then return handle(nil, kind, method, fn, self, ...) end
  return codec.handle(kind, method, ..., function(name, ...) return handle(name, kind, method, fn, self, ...) end)
end

core.around(around_call, around_handler, codec.metatable)

local function use(fns)
  chain = fns
  core.intercept(#fns > 0)
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
