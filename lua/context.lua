--- What mc.with says of calls besides their time: the trace and the keys that travel with them.

local _, core = ...

local context = {}

local scalars = { boolean = true, number = true, string = true }
local MAX_CONTEXT <const> = 4096 -- bytes: MC_MAX_CONTEXT

--- The context that stands, with these keys in it.
function context.merged(before, more)
  if type(more) ~= "table" then core.error("bad_arguments", "context is a table, not a " .. type(more)) end
  local all = {}
  for key, value in next, before or {} do
    if key ~= 0 then all[key] = value end
  end
  for key, value in next, more do
    if type(key) ~= "string" or not utf8.len(key) then
      core.error("bad_arguments", "the keys of a context are text, and one is " .. tostring(key))
    end
    if not scalars[type(value)] then
      core.error("bad_arguments", ("context.%s is a boolean, a number or a string, not a %s"):format(key, type(value)))
    end
    all[key] = value
  end
  if not next(all) then return false end
  local bytes = core.encode(all)
  if #bytes > MAX_CONTEXT then
    core.error("bad_arguments", ("a context of %d bytes: %d are the most"):format(#bytes, MAX_CONTEXT))
  end
  all[0] = bytes
  return all
end

local function new_trace()
  local trace
  repeat trace = ("I7"):unpack(core.random(7)) & (1 << 53) - 1 until trace ~= 0
  return trace
end

--- The id that a trace has which was given so, or a new one for true.
function context.trace(trace)
  if trace == true then return new_trace() end
  if math.type(trace) == "integer" and trace > 0 and trace < 1 << 53 then return trace end
  core.error("bad_arguments", "trace is true or an integer from 1 to 2^53 - 1, not " .. tostring(trace))
end

return context
