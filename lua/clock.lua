--- Clocks that the user moves: frames, samples, rounds of a game. How long such a moment is nobody can
-- say on another node, so a deadline on one of them stays on this node: nothing of it is sent, and what
-- runs elsewhere hears of it only by being cancelled.

local _, core = ...

local Clock = {}
Clock.__index = Clock

local clocks = {} -- by name

--- The clock of that name on this node, made if new; at first it stands at 0.
-- @usage local frames = mc.clock "frames"; frames:advance()
local function clock(name)
  if type(name) ~= "string" or name == "" then error("mc.clock wants a name", 2) end
  if not clocks[name] then clocks[name] = setmetatable({ name = name, moment = 0, limits = {}, last = 0 }, Clock) end
  return clocks[name]
end

--- Where it stands.
function Clock:now() return self.moment end

local function earlier(a, b) return a.id < b.id end

local function is_length(value) return type(value) == "number" and (value == 0 or value > 0) end -- NaN is none

--- Moves it on, by 1 or by so much. What had until then ends: its caller raises `timeout`.
function Clock:advance(by)
  if by == nil then by = 1 end
  if not is_length(by) then error("a clock advances by a number from 0 on", 2) end
  self.moment = self.moment + by
  local due = {}
  for _, limit in pairs(self.limits) do
    if self.moment >= limit.at then due[#due + 1] = limit end
  end
  table.sort(due, earlier)
  for _, limit in ipairs(due) do limit.expire() end
end

local function check(limits)
  if next(limits) == nil then error("mc.deadline wants seconds, or how far on which clock, as {frames = 5}", 3) end
  for name, length in pairs(limits) do
    if not clocks[name] then error(("there is no clock '%s': mc.clock makes one"):format(tostring(name)), 3) end
    if not is_length(length) then
      error(("a deadline on the clock '%s' is a number from 0 on"):format(name), 3)
    end
  end
end

-- Calls expire(name, length) once each of these clocks has gone so far from now. Returns a function that
-- forgets that.
local function watch(limits, expire)
  local watched = {}
  for name, length in pairs(limits) do
    local on = clocks[name]
    on.last = on.last + 1
    local id = on.last
    watched[on] = id
    on.limits[id] = { id = id, at = on.moment + length, expire = function() expire(name, length) end }
    if length == 0 then expire(name, length) end
  end
  return function()
    for on, id in pairs(watched) do on.limits[id] = nil end
  end
end

local function is_cancelled(task, raised)
  return task:status() == "cancelled" and getmetatable(raised) == core.Error and raised.code == "cancelled"
end

--- mc.deadline on clocks: fn runs in a task, which is cancelled when the first of them gets there.
local function deadline(limits, fn, ...)
  check(limits)
  if fn == nil then error("a deadline on a clock wants a function: it has no form to be closed", 2) end
  local task, forget, passed
  -- Nothing of it is left when this returns, however it does.
  local _ <close> = setmetatable({}, { __close = function()
    if forget then forget() end
    if task and task:cancel() then pcall(task.await, task) end
  end })
  task = core.async(fn, ...)
  forget = watch(limits, function(name, length)
    passed = passed or ("the deadline of %s on the clock '%s' has passed"):format(length, name)
    task:cancel()
  end)
  local results = table.pack(pcall(task.await, task))
  local ok, raised = results[1], results[2]
  if passed and (ok or is_cancelled(task, raised)) then core.error("timeout", passed) end
  if not ok then error(raised, 0) end
  return table.unpack(results, 2, results.n)
end

return { clock = clock, deadline = deadline }
