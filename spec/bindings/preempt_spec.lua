-- A handler that computes for long does not keep the other actors of its node waiting. Natively, on stock
-- Lua, it does.

local mc = require "mooncast"

local preempts = require "mooncast.core".preempts

local Busy = mc.actor "Busy"

local Flag = mc.actor "Flag"
local started, stopped = {}, {}
function Flag:stop(name) stopped[name] = true end

-- Each computes until `stop` was handled, another way.
local ways = {}
function ways.loop(self) while not stopped[self.way] do end end
function ways.repeats(self) repeat local x = 1 until stopped[self.way] and x end
function ways.numeric(self)
  for _ = 1, math.huge do
    if stopped[self.way] then return end
  end
end
function ways.generic(self)
  for _ in function() return true end do
    if stopped[self.way] then return end
  end
end
ways["calls itself"] = function(self)
  local function deep(n) return n > 0 and deep(n - 1) + 1 or 0 end
  while not stopped[self.way] do deep(50) end
end
ways["tail calls"] = function(self)
  local function again() if not stopped[self.way] then return again() end end
  again()
end
function ways.jumps(self)
  ::top::
  if not stopped[self.way] then goto top end
end
ways["calls with as many as there are"] = function(self)
  local function all(...) return ... end
  while not stopped[self.way] do all(all(1, 2, 3), all(4)) end
end
ways["inside pcall"] = function(self) pcall(ways.loop, self) end
ways["inside a coroutine"] = function(self)
  local co = coroutine.wrap(function(...)
    ways.loop(...)
    coroutine.yield("yielded")
  end)
  assert(co(self) == "yielded")
end

function Busy:init(way) self.way = way end
function Busy:compute(way)
  local before, after <const> = { 1, "two", self }, way
  started[way] = true
  ways[way](self)
  assert(before[1] == 1 and before[2] == "two" and before[3] == self and after == way)
  return "done", way
end

function Flag:has_started(name) return started[name] == true end

if not preempts then return end

describe("a handler that computes", function()
  for way in pairs(ways) do
    it("lets another actor of its node go on: " .. way, function()
      local flag = mc.spawn { Flag, on = mc.node() }
      local busy = mc.spawn({ Busy, on = mc.node() }, way)
      local computing = mc.async(busy.compute, busy, way)
      while not started[way] do mc.sleep(0) end
      flag:stop(way)
      assert.same({ "done", way }, { computing:await() })
    end)
  end

  it("lets its node hear what comes from others", function()
    local flag = mc.spawn { Flag, on = "w2" }
    local busy = mc.spawn({ Busy, on = "w2" }, "loop")
    local computing = mc.async(busy.compute, busy, "loop")
    repeat until flag:has_started("loop")
    flag:stop("loop")
    assert.same({ "done", "loop" }, { computing:await() })
  end)

  it("goes on where it was, with what it had, however often", function()
    local task = mc.async(function()
      local words, n = {}, 0
      for i = 1, 200000 do
        local word = ("%d"):format(i)
        words[i % 100 + 1] = word
        n = n + #word
      end
      return n, words[1], words[100]
    end)
    local turns = 0
    local other = mc.async(function()
      while true do
        mc.sleep(0)
        turns = turns + 1
      end
    end)
    assert.same({ 1088895, "200000", "199999" }, { task:await() })
    assert.is_true(turns > 1)
    other:cancel()
  end)

  it("that was cancelled is told at its next await, not where it computes", function()
    local computes, go, computed
    local task = mc.async(function()
      computes = true
      while not go do end
      computed = true
      mc.sleep(0)
    end)
    while not computes do mc.sleep(0) end
    task:cancel()
    go = true
    local ok, e = pcall(task.await, task)
    assert.same({ false, "cancelled", true }, { ok, e.code, computed })
  end)

  it("is no wait", function()
    local go
    local before = #mc.waits()
    local task = mc.async(function() while not go do end end)
    mc.sleep(0)
    assert.equal(before, #mc.waits())
    go = true
    task:await()
  end)
end)
