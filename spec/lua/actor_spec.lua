-- Declaring actors, what is theirs alone, and their lives from init to their end.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"
local world = require "spec.support.world"

local raised = world.raised

local Greeter = mc.actor "actor_spec.Greeter"

function Greeter:init(greeting) self.greeting = greeting or "Hello" end
function Greeter:hello(name) return self.greeting .. ", " .. name .. "!" end
function Greeter:where() return mc.node() end
function Greeter:change(t)
  t.changed = true
  t.inner.changed = true
  return t
end
function Greeter:me() return mc.self() end

local Guarded = mc.actor "actor_spec.Guarded"

Guarded.data = 42
function Guarded:init() self.shells = 0 end
function Guarded:work() return self.shells end
function Guarded:_shell() self.shells = self.shells + 1 end
function Guarded:stopped() self.shells = self.shells + 1 end
function Guarded:terminated() self.shells = self.shells + 1 end

local Counter = mc.actor "actor_spec.Counter"

function Counter:init(n) self.n = n or 0 end
function Counter:add(by) self.n = self.n + by end
function Counter:add_awaiting(by)
  local v = self.n
  mc.sleep(0)
  self.n = v + by
end
function Counter:get() return self.n end

-- The same methods, with other handlers let in at awaits.
local Interleaved = mc.actor("actor_spec.Interleaved", { reentrant = true })

for _, name in ipairs { "init", "add", "add_awaiting", "get" } do Interleaved[name] = Counter[name] end

local function concurrently(times, fn)
  local tasks = {}
  for i = 1, times do tasks[i] = mc.async(fn, i) end
  for i = 1, times do tasks[i]:await() end
end

for _, place in ipairs(world.places()) do
  describe("an actor " .. place.name, function()
    require "spec.support.clean"(setup, teardown)

    local spawned = {}

    local function spawn(class, ...)
      local ref = mc.spawn({ class, on = place.node }, ...)
      spawned[#spawned + 1] = ref
      return ref
    end

    after_each(function()
      for i = 1, #spawned do mc.stop(spawned[i]) end
      spawned = {}
    end)

    it("has the methods of its type and runs where it was put [A1]", function()
      local g = spawn(Greeter)
      assert.equal("Hello, world!", g:hello("world"))
      assert.equal(place.node, g:where())
    end)

    it("answers nothing but its methods, whatever name is asked for [A2]", function()
      local guarded = spawn(Guarded)
      for _, name in ipairs { "_shell", "__index", "__gc", "__name", "init", "stopped", "terminated", "data", "shells",
        "nope", "work\0" } do
        local e = raised(mc.call, guarded, name)
        assert.equal("no_such_method", e.code, name)
        assert.equal(mc.Error, getmetatable(e))
      end
      raised(mc.call, guarded, "") -- is no name at all
      assert.equal(0, guarded:work())
    end)

    it("has no method either that its reference would refuse [A2]", function()
      local guarded = spawn(Guarded)
      for _, name in ipairs { "_shell", "init", "stopped", "nope" } do
        local e = raised(function() return guarded[name](guarded) end)
        assert.equal("no_such_method", e.code, name)
      end
    end)

    it("keeps its fields from its references [A3]", function()
      local c = spawn(Counter, 7)
      local e = raised(function() return c.n end)
      assert.matches("not accessible through a reference", e.message, 1, true)
      local text = raised(function() c.n = 8 end)
      assert.matches("not accessible through a reference", text, 1, true)
      assert.equal(7, c:get())
    end)

    it("gets copies of its arguments and gives copies of its results [A3]", function()
      local t = { inner = {} }
      local back = spawn(Greeter):change(t)
      assert.same({ inner = {} }, t)
      assert.same({ inner = { changed = true }, changed = true }, back)
      assert.are_not.equal(t, back)
    end)

    it("handles one message at a time [A4]", function()
      local c = spawn(Counter)
      concurrently(1000, function() c:add(1) end)
      assert.equal(1000, c:get())
    end)

    it("lets no other message in while its handler awaits [A4]", function()
      local c = spawn(Counter)
      concurrently(300, function() c:add_awaiting(1) end)
      assert.equal(300, c:get())
    end)

    it("lets others in at awaits, and only there, when its type is reentrant [A4]", function()
      local c = spawn(Interleaved)
      concurrently(1000, function() c:add(1) end)
      assert.equal(1000, c:get())
      concurrently(300, function() c:add_awaiting(1) end)
      assert.is_true(c:get() < 1300) -- additions were lost, as they are for anybody who awaits in between
      c:add(1)
    end)

    it("has an address that the system chose [A5]", function()
      local g = spawn(Greeter, { id = "x" })
      local id = mc.id(g)
      assert.matches("^" .. place.node .. "%.%x+/%x+/" .. ("%x"):rep(32) .. "$", id)
      raised(function() g.id = "y" end)
      assert.equal(id, mc.id(g))
    end)

    it("is one and the same by whatever way its reference came [A6]", function()
      local g = spawn(Greeter)
      local again = g:me()
      local resolved = mc.resolve(Greeter, mc.id(g))
      assert.is_true(g == again and g == resolved)
      assert.equal(mc.id(g), mc.id(again))
      local by_id, by_ref = { [mc.id(g)] = "found" }, { [g] = "found" }
      assert.equal("found", by_id[mc.id(again)])
      assert.equal("found", by_ref[again])
      assert.is_false(g == spawn(Greeter))
    end)

    it("is printed with its type, node and instance and without its secret [A6]", function()
      local g = spawn(Greeter)
      local instance, secret = mc.id(g):match("/(%x+)/(%x+)$")
      assert.equal(("actor_spec.Greeter %s/%s"):format(place.node, instance), tostring(g))
      assert.is_nil(tostring(g):find(secret, 1, true))
    end)

    it("shares its node with others, each with its own state [A14]", function()
      local hello, salut, ciao = spawn(Greeter, "Hello"), spawn(Greeter, "Salut"), spawn(Greeter, "Ciao")
      for i = 1, 3 do
        assert.equal("Hello, " .. i .. "!", hello:hello(i))
        assert.equal("Salut, " .. i .. "!", salut:hello(i))
        assert.equal("Ciao, " .. i .. "!", ciao:hello(i))
      end
    end)
  end)
end

describe("spawning", function()
  require "spec.support.clean"(setup, teardown)

  local Spawner = mc.actor "actor_spec.Spawner"

  -- Makes so many actors here, one after the other in groups, and returns their ids.
  function Spawner:many(count)
    local Blank, ids = mc.actor "actor_spec.Blank", {}
    for i = 1, count do
      local ref = mc.spawn({ Blank, on = mc.node() })
      ids[i] = mc.id(ref)
      if i % 3 ~= 0 then mc.stop(ref) end -- numbers of the dead are not used again
    end
    return ids
  end

  it("100,000 times gives 100,000 ids [A5]", function()
    local seen, count = {}, 0
    local nodes = mc.nodes()
    local share = 100000 // #nodes
    for i, name in ipairs(nodes) do
      local spawner = mc.spawn({ Spawner, on = name })
      local wanted = i < #nodes and share or 100000 - share * (#nodes - 1)
      for _, id in ipairs(spawner:many(wanted)) do
        assert(not seen[id], "an id came twice")
        seen[id] = true
        count = count + 1
      end
      mc.stop(spawner)
    end
    assert.equal(100000, count)
  end)

  it("goes round the nodes that have the fewest actors [A14]", function()
    local refs, per_node = {}, {}
    local count = 10 * #mc.nodes()
    for i = 1, count do
      refs[i] = mc.spawn(Greeter)
      local name = refs[i]:where()
      per_node[name] = (per_node[name] or 0) + 1
    end
    for _, ref in ipairs(refs) do mc.stop(ref) end
    for _, name in ipairs(mc.nodes()) do assert.is_true((per_node[name] or 0) > 0, name) end
  end)

  it("refuses what is no type and no node [A1]", function()
    assert.matches("actor type", raised(mc.spawn, {}))
    assert.matches("actor type", raised(mc.spawn, "Greeter"))
    assert.equal("unknown_node", raised(mc.spawn, { Greeter, on = "nowhere" }).code)
    assert.matches("name", raised(mc.actor, nil))
    raised(mc.actor, "")
    raised(mc.actor, ("x"):rep(256))
  end)

  it("a type that two places define differently names both [A1]", function()
    local First = mc.actor "actor_spec.Twice"
    function First:one() end
    local Second = mc.actor "actor_spec.Twice"
    function Second:two() end
    for _, where in ipairs { mc.node(), world.other() } do
      local e = raised(mc.spawn, { Second, on = where })
      assert.equal("version_mismatch", e.code)
      local sites = {}
      for line in e.message:gmatch("actor_spec%.lua:(%d+)") do sites[#sites + 1] = tonumber(line) end
      assert.equal(2, #sites, e.message)
      assert.equal(sites[1] + 2, sites[2])
    end
  end)

  it("a type that is defined again with the same methods is fine [A1]", function()
    for _ = 1, 2 do
      local Again = mc.actor "actor_spec.Again"
      function Again:one() return 1 end
      local ref = mc.spawn(Again)
      assert.equal(1, ref:one())
      mc.stop(ref)
    end
  end)
end)

describe("the life of an actor", function()
  require "spec.support.clean"(setup, teardown)

  -- mc.on has no way back: one hook for each event, that listens while a spec runs.
  local log

  local function listen(event)
    mc.on(event, function(ref)
      if log then log[#log + 1] = { event, tostring(ref), mc.id(ref) } end
    end)
  end

  setup(function()
    for _, event in ipairs { "assign", "ready", "resign" } do listen(event) end
  end)
  before_each(function() log = {} end)
  after_each(function() log = nil end)

  local function events_of(entries, id)
    local names = {}
    for _, entry in ipairs(entries) do
      if not id or entry[3] == id then names[#names + 1] = entry[1] end
    end
    return table.concat(names, " ")
  end

  local Failing = mc.actor "actor_spec.Failing"

  function Failing:init(post)
    if post then post:put(mc.self()) end
    error("no db", 0)
  end
  function Failing:hello() return "hello" end

  local Post = mc.actor("actor_spec.Post", { reentrant = true })

  function Post:put(ref) self.ref = ref end
  function Post:get() return self.ref end

  it("is told as assign, ready, resign, each once [A7]", function()
    local ref = mc.spawn({ Greeter, on = mc.node() })
    local id = mc.id(ref)
    assert.equal("assign ready", events_of(log))
    ref:hello("x")
    mc.stop(ref)
    assert.is_false(mc.stop(ref))
    assert.equal("assign ready resign", events_of(log))
    assert.equal("assign ready resign", events_of(log, id))
  end)

  it("is told when its init awaits, too [A7]", function()
    local Slow = mc.actor "actor_spec.SlowStart"
    local go
    function Slow:init()
      while not go do mc.sleep(0.001) end
    end
    local spawning = mc.async(mc.spawn, { Slow, on = mc.node() })
    eventually(function() return events_of(log) == "assign" end, "assigned before init is done")
    go = true
    mc.stop(spawning:await())
    assert.equal("assign ready resign", events_of(log))
  end)

  it("ends with resign when its node ends [A7]", function()
    local Recorder = mc.actor "actor_spec.Recorder"
    function Recorder:record(path)
      for _, event in ipairs { "assign", "ready", "resign" } do
        mc.on(event, function(ref)
          local file <close> = assert(io.open(path, "a"))
          file:write(event, " ", tostring(ref):match("^%S+"), "\n")
        end)
      end
    end
    local path = os.tmpname()
    local name = mc.start_node()
    local recorder = mc.spawn({ Recorder, on = name })
    recorder:record(path)
    mc.spawn({ Greeter, on = name })
    assert.is_true(mc.stop_node(name))
    local text = eventually(function()
      local file <close> = assert(io.open(path))
      local all = file:read("a")
      return select(2, all:gsub("\n", "")) == 4 and all
    end, "four lines were written")
    os.remove(path)
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.same({ "assign actor_spec.Greeter", "ready actor_spec.Greeter" }, { lines[1], lines[2] })
    table.sort(lines)
    assert.same({ "resign actor_spec.Greeter", "resign actor_spec.Recorder" }, { lines[3], lines[4] })
  end)

  it("is not disturbed by a hook that raises or awaits [A7]", function()
    local bad, said = true, nil
    mc.on("ready", function(ref)
      if not bad then return end
      said = select(2, pcall(function() return ref:hello("hook") end))
    end)
    local ref = mc.spawn({ Greeter, on = mc.node() })
    bad = false
    assert.equal("cannot_await", said.code)
    assert.equal("Hello, world!", ref:hello("world"))
    mc.stop(ref)
  end)

  it("never was when init raises: the caller gets the error, the address is dead [A8]", function()
    local post = mc.spawn({ Post, on = mc.node() })
    log = {}
    assert.equal("no db", raised(mc.spawn, { Failing, on = mc.node() }, post))
    assert.equal("assign resign", events_of(log))
    assert.equal("dead_actor", raised(function() post:get():hello() end).code)
    mc.stop(post)
  end)

  it("never was on another node either [A8]", function()
    local post = mc.spawn({ Post, on = world.other() })
    assert.equal("no db", raised(mc.spawn, { Failing, on = world.other() }, post))
    assert.equal("dead_actor", raised(function() post:get():hello() end).code)
    mc.stop(post)
  end)

  it("leaves nothing behind when init fails 10,000 times [A8]", function()
    log = nil
    local function fail(count)
      for _ = 1, count do assert(not pcall(mc.spawn, { Failing, on = mc.node() })) end
      collectgarbage()
      collectgarbage()
      return collectgarbage("count")
    end
    local actors = mc.stats().actors
    local before = fail(1000)
    local after = fail(10000)
    assert.is_true(after < before * 1.05, ("%.0f kB became %.0f"):format(before, after))
    assert.equal(actors, mc.stats().actors)
  end)

  it("has the handlers that started counted", function()
    local greeter = mc.spawn { Greeter, on = mc.node() }
    local before = mc.stats().turns
    for _ = 1, 10 do greeter:hello "you" end
    assert.equal(10, mc.stats().turns - before)
  end)

  it("waits, for whoever knows its address early, until init is done [A9]", function()
    local function late(name, options)
      local Late = mc.actor(name, options)
      function Late:init(post)
        post:put(mc.self())
        mc.sleep(0.1)
        self.value = "complete"
      end
      function Late:get() return self.value end
      return Late
    end
    local types = { late "actor_spec.Late", late("actor_spec.LateReentrant", { reentrant = true }) }
    for _, place in ipairs(world.places()) do
      for _, Late in ipairs(types) do
        local post = mc.spawn({ Post, on = place.node })
        local spawning = mc.async(mc.spawn, { Late, on = place.node }, post)
        local early = eventually(function() return post:get() end, "its address is known")
        assert.equal("running", spawning:status())
        assert.equal("complete", early:get())
        assert.is_true(early == spawning:await())
        mc.stop(early)
        mc.stop(post)
      end
    end
  end)

  it("waits in vain when init then fails: dead_actor [A9]", function()
    local Doomed = mc.actor "actor_spec.Doomed"
    function Doomed:init(post)
      post:put(mc.self())
      mc.sleep(0.05)
      error("doomed", 0)
    end
    function Doomed:get() return self end
    for _, place in ipairs(world.places()) do
      local post = mc.spawn({ Post, on = place.node })
      local spawning = mc.async(mc.spawn, { Doomed, on = place.node }, post)
      local early = eventually(function() return post:get() end, "its address is known")
      assert.equal("dead_actor", raised(early.get, early).code)
      assert.equal("doomed", raised(spawning.await, spawning))
      mc.stop(post)
    end
  end)
end)

describe("one actor per worker", function()
  require "spec.support.clean"(setup, teardown)

  local function is_there(name)
    for _, other in ipairs(mc.nodes()) do
      if other == name then return true end
    end
  end

  local function gone(name)
    eventually(function() return not is_there(name) end, name .. " is gone")
  end

  it("is one line, and stopping the actor stops the worker [A15]", function()
    local count = #mc.nodes()
    local g = mc.spawn({ Greeter, on = mc.start_node() })
    assert.equal("Hello, x!", g:hello("x"))
    local name = g:where()
    assert.equal(count + 1, #mc.nodes())
    assert.is_true(is_there(name))
    assert.is_true(mc.stop(g))
    gone(name)
    assert.equal(count, #mc.nodes())
    local code = raised(g.hello, g, "x").code
    assert.is_true(code == "dead_actor" or code == "node_down", code)
  end)

  it("stays for as long as the worker has another one [A15]", function()
    local name = mc.start_node()
    local first, second = mc.spawn({ Greeter, on = name }), mc.spawn({ Greeter, on = name })
    mc.stop(first)
    assert.equal(name, second:where())
    mc.stop(second)
    gone(name)
  end)

  it("goes with its worker when its init fails [A15]", function()
    local Failing = mc.actor "actor_spec.FailsAlone"
    function Failing:init() error("no db", 0) end
    local name = mc.start_node()
    assert.equal("no db", raised(mc.spawn, { Failing, on = name }))
    gone(name)
  end)

  it("is not disturbed by actors that are spawned anywhere [A15]", function()
    local name = mc.start_node()
    local g = mc.spawn({ Greeter, on = name })
    local others = {}
    for i = 1, 20 do
      others[i] = mc.spawn(Greeter)
      assert.are_not.equal(name, others[i]:where())
    end
    for i = 1, 20 do mc.stop(others[i]) end
    mc.stop(g)
    gone(name)
  end)

  it("takes the worker's own workers along [A15]", function()
    local Parent = mc.actor "actor_spec.Parent"
    function Parent:child() return mc.start_node() end
    local parent = mc.spawn({ Parent, on = mc.start_node() })
    local name = parent:child()
    eventually(function() return is_there(name) end, "the grandchild is known")
    mc.stop(parent)
    gone(name)
  end)

  it("a node's own actor can be called the moment the node is there [H9]", function()
    local Root = mc.actor "actor_spec.Root"
    function Root:init() self.name, self.id = mc.node(), mc.id(mc.self()) end
    function Root:told() return self.name, self.id end
    for _ = 1, 5 do
      local name = mc.start_node()
      local own = require("mooncast.node").siblings[name].ref
      assert.equal(1, mc.call(own, "stats").actors) -- the first message there
      local root = mc.spawn({ Root, on = name })
      assert.same({ name, mc.id(root) }, { root:told() })
      mc.stop(root)
      gone(name)
    end
  end)
end)
