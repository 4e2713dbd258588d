-- Calls that wait for one another: found, named, and never where there is no cycle. Functions given to a
-- world run in its nodes: they see those nodes' globals and nothing of this file.
local sim = require "spec.support.sim"
if not sim.available then return end -- these specs have suites of their own: make sim

local function program()
  local mc = require "mooncast"
  local function class(name, options)
    local Class = mc.actor(name, options)
    function Class:know(next) self.next = next end
    -- Down the ring, back to where it began: a chain.
    function Class:ping(depth) return depth == 0 and "end" or self.next:ping(depth - 1) end
    -- Everybody from a handler of its own.
    function Class:cross()
      mc.sleep(0.1)
      return self.next:cross_end()
    end
    function Class:cross_end() return "crossed" end
    function Class:child() -- the same from a task of the handler
      mc.sleep(0.1)
      local task = mc.async(function() return self.next:cross_end() end)
      return task:await()
    end
    function Class:both()
      mc.sleep(0.1)
      return mc.all(mc.async(mc.sleep, 3), mc.async(function() return self.next:cross_end() end)) or "crossed"
    end
    function Class:rescued() -- something else ends the wait
      mc.sleep(0.1)
      return mc.race(mc.async(function() return self.next:cross_end() end), mc.async(function()
        mc.sleep(1)
        return "rescued"
      end))
    end
    function Class:get() return "got" end
    function Class:ask() return self.next:get_from_me(mc.self()) end
    function Class:get_from_me(who) return who:get() end
    return Class
  end
  local all = { plain = {}, open = {} }
  for i, name in ipairs { "A", "B", "C", "D", "E" } do
    all.plain[i] = class(name)
    all.open[i] = class("Open" .. name, { reentrant = true })
  end
  all.Keeper = class("Keeper", { interleave = { "get" } })

  function all.ring(classes, size)
    local names, ring = mc.nodes(), {}
    for i = 1, size do ring[i] = mc.spawn { classes[i], on = names[(i - 1) % #names + 1] } end
    for i, actor in ipairs(ring) do actor:know(ring[i % size + 1]) end
    return ring
  end

  -- What each of them ends with, if all are called at once.
  function all.together(ring, method)
    local tasks, ends = {}, {}
    for i, actor in ipairs(ring) do tasks[i] = mc.async(function() return actor[method](actor) end) end
    for i, task in ipairs(tasks) do
      local ok, e = pcall(task.await, task)
      ends[i] = ok and e or type(e) == "table" and e.code .. " " .. e.message or tostring(e)
    end
    return ends
  end
  return all
end

local function run(options, fn, ...)
  options.program = program
  local world = sim.new(options)
  local handle = world:run("w1", fn, ...)
  assert.is_true(world:settle())
  assert.is_nil(world:leftover())
  local results = table.pack(world:result(handle))
  assert(results[1], type(results[2]) == "table" and results[2].message or results[2])
  world:close()
  return table.unpack(results, 2, results.n)
end

local function chain(size, nodes)
  return run({ nodes = nodes, delay = 5 }, function(n)
    local mc = require "mooncast"
    local all = require "program"
    local ring = all.ring(all.plain, n)
    local start = mc.now()
    local _, e = pcall(ring[1].ping, ring[1], n)
    local took, answer = mc.now() - start, all.ring(all.open, n)
    return e.code, e.message, took, answer[1]:ping(n)
  end, size)
end

-- The names of a ring of that many handlers, from any of them on.
local function names_all(message, size, method)
  local list = message:match "waits for itself: (.*)$"
  if not list then return false end
  local first, seen, count, last = nil, {}, 0, nil
  for name in (list .. " -> "):gmatch "(.-) %-> " do
    first = first or name
    seen[name] = true
    count = count + 1
    last = name
  end
  for i = 1, size do
    if not seen[("ABCDE"):sub(i, i) .. ":" .. method] then return false end
  end
  return count == size + 1 and first == last
end

describe("a chain of calls that comes back", function()
  for _, case in ipairs { { 2, 1 }, { 2, 2 }, { 3, 3 }, { 5, 3 } } do
    local size, nodes = case[1], case[2]
    it(("is a deadlock that names all: %d actors on %d nodes [K20]"):format(size, nodes), function()
      local code, message, took, answer = chain(size, nodes)
      assert.equal("deadlock", code)
      assert.is_true(names_all(message, size, "ping"), message)
      assert.is_true(took < 0.2, took)
      assert.equal("end", answer)
    end)
  end

  it("names A -> B -> A in this order", function()
    local _, message = chain(2, 2)
    assert.matches("^A:ping: it waits for itself: A:ping %-> B:ping %-> A:ping$", message)
  end)

  it("is let in where the method interleaves [A4]", function()
    local got, code = run({ nodes = 2 }, function()
      local mc = require "mooncast"
      local all = require "program"
      local a, b = mc.spawn { all.Keeper, on = "w1" }, mc.spawn { all.plain[2], on = "w2" }
      a:know(b)
      b:know(a)
      local got = a:ask()
      local _, e = pcall(a.ping, a, 2)
      return got, e.code
    end)
    assert.equal("got", got)
    assert.equal("deadlock", code)
  end)
end)

describe("handlers that wait for one another", function()
  for _, method in ipairs { "cross", "child", "both" } do
    for _, case in ipairs { { 2, 1 }, { 2, 2 }, { 5, 3 }, { 5, 1 } } do
      local size, nodes = case[1], case[2]
      it(("are found and named by %s: %d actors on %d nodes [K20]"):format(method, size, nodes), function()
        local ends, took, free = run({ nodes = nodes, delay = { 1, 5 } }, function(n, name)
          local mc = require "mooncast"
          local all = require "program"
          local start = mc.now()
          local ends = all.together(all.ring(all.plain, n), name)
          return ends, mc.now() - start, all.together(all.ring(all.open, n), name)
        end, size, method)
        local raised = 0
        for _, text in ipairs(ends) do
          if text ~= "crossed" then
            assert.matches("^deadlock ", text)
            assert.is_true(names_all(text, size, method), text)
            raised = raised + 1
          end
        end
        assert.is_true(raised > 0)
        assert.is_true(took < (method == "both" and 4 or 2), took)
        for i = 1, size do assert.equal("crossed", free[i]) end
      end)
    end
  end

  it("are left alone when a race ends the wait", function()
    local ends = run({ nodes = 2, delay = 5 }, function()
      local all = require "program"
      return all.together(all.ring(all.plain, 2), "rescued")
    end)
    for _, text in ipairs(ends) do assert.is_nil(text:find "deadlock", text) end
  end)

  it("are found under every delay and order", function()
    for seed = 1, 100 do
      local ends = run({ seed = seed, nodes = 3, delay = { 0, 120 } }, function()
        local all = require "program"
        return all.together(all.ring(all.plain, 5), "cross")
      end)
      local text = table.concat(ends, "; ")
      assert.is_nil(text:find "timeout", text)
    end
  end)
end)

describe("calls without a cycle", function()
  it("raise no deadlock in 10,000 random graphs [K20] [K3]", function()
    local world = sim.new { seed = 7, nodes = 3, delay = { 0, 40 }, program = program }
    local handle = world:run("w1", function()
      local mc = require "mooncast"
      local Node = mc.actor "Graph"
      function Node:know(all) self.all = all end
      function Node:go(plan)
        if plan.sleep then mc.sleep(plan.sleep) end
        local function ask(step) return self.all[step.to]:go(step) end
        local tasks = {}
        for _, step in ipairs(plan) do
          if plan.how == "tasks" then
            tasks[#tasks + 1] = mc.async(ask, step)
          elseif plan.how == "impatient" then
            local ok, e = pcall(mc.with, { timeout = 0.03 }, ask, step)
            if not ok and e.code == "deadlock" then error(e, 0) end
          else
            ask(step)
          end
        end
        for _, task in ipairs(tasks) do task:await() end
        return #plan
      end
      local names, all = mc.nodes(), {}
      for i = 1, 9 do all[i] = mc.spawn { Node, on = names[i % 3 + 1] } end
      for _, actor in ipairs(all) do actor:know(all) end

      -- Only actors with a higher number are called: nothing can come back.
      local function plan(from, depth)
        local step = { to = from }
        if math.random(4) == 1 then step.sleep = math.random(300) / 1000 end
        step.how = math.random(5) == 1 and "impatient" or math.random(3) == 1 and "tasks" or "calls"
        for _ = 1, depth > 0 and from < #all and math.random(0, 2) or 0 do
          step[#step + 1] = plan(math.random(from + 1, #all), depth - 1)
        end
        return step
      end

      local graphs, deadlocks, others = 0, 0, 0
      for _ = 1, 2500 do
        local tasks = {}
        for i = 1, 4 do
          local step = plan(math.random(3), 4)
          tasks[i] = mc.async(function() return all[step.to]:go(step) end)
        end
        for _, task in ipairs(tasks) do
          graphs = graphs + 1
          local ok, e = pcall(task.await, task)
          if not ok and e.code == "deadlock" then
            deadlocks = deadlocks + 1
          elseif not ok and e.code ~= "timeout" and e.code ~= "cancelled" then
            others = others + 1
          end
        end
      end
      return graphs, deadlocks, others
    end)
    assert.is_true(world:settle())
    assert.same({ true, 10000, 0, 0 }, { world:result(handle) })
    assert.is_nil(world:leftover())
    world:close()
  end)
end)

describe("calls that wait for one another", function()
  it("are 32 at most, on however many nodes: the next raises call_depth [K20]", function()
    local deepest, code = run({ nodes = 11 }, function()
      local mc = require "mooncast"
      local Link = mc.actor "Link"
      function Link:know(next) self.next = next end
      function Link:down(n) return self.next and self.next:down(n + 1) or n end
      local names, last, first = mc.nodes(), nil, nil
      for i = 1, 34 do
        local link = mc.spawn { Link, on = names[i % #names + 1] }
        link:know(last)
        if i == 33 then first = link end
        last = link
      end
      local deepest = first:down(1)
      local _, e = pcall(last.down, last, 1)
      return deepest, e.code
    end)
    assert.equal(33, deepest)
    assert.equal("call_depth", code)
  end)
end)
