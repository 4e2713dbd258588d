--- Nodes in one process under a simulated clock and network: the same seed gives the same run, natively
-- and in wasm. Needs mooncast.sim (spec/support/sim.c): `make sim`; elsewhere sim.available is false.
--
--   local sim = require "spec.support.sim"
--   local world = sim.new { seed = 1, nodes = 4, delay = { 1, 20 }, program = function() ... end }
--   local greeting = world:run("w1", function(...) return ... end, "hello")
--   world:settle()
--   print(world:result(greeting))   --> true, "hello"
--
-- The driver is plain code, no task: nothing in it awaits. Times are milliseconds; inside, whole ticks, of
-- which 1024 are a millisecond, so that sums are exact. A step of a node takes no time, but a node that has
-- more to do goes on a tick later.
--
-- The network: what a node sends to another at one moment travels as one batch, later by the delay of
-- that pair. Batches of one pair arrive in the order in which they were sent; between pairs, delays
-- that differ reorder. A partition keeps batches until it heals. A link that breaks is down for good,
-- as if for each of the two nodes the other one had died. The end of a node comes after all that it had sent.

local core = package.preload["mooncast.sim"] and require "mooncast.sim"

local sim = { available = core ~= nil }

--- Where this runs: logs are the same in both.
sim.engine = pcall(require, "mooncast.files") and "wasm" or "native"

local TICKS <const> = 1024 -- in a millisecond
local PRINT <const>, DONE <const> = 1, 2 -- what nodes tell
local MOST_EVENTS <const> = 5000000
local LEVELS <const> = { [0] = "error", "warning", "info", "debug" }

--- Chance -----------------------------------------------------------------------------------------

-- splitmix64: a function that returns 64 random bits.
local function generator(state)
  return function()
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
    z = (z ~ z >> 27) * 0x94d049bb133111eb
    return z ~ z >> 31
  end
end

local function between(random, low, high) return low + (random() >> 1) % (high - low + 1) end

--- What runs in each node -------------------------------------------------------------------------

-- Travels as bytes. Whatever would tell the real time, or differ by chance, is replaced.
local function prelude(tell)
  -- luacheck: ignore 121 122
  local mc = require "mooncast"
  local node = require "mooncast.node"
  local raw = require "mooncast.core"
  local time, date, seed = os.time, os.date, math.randomseed
  local start = 1700000000 -- the day on which every simulation begins

  function print(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    tell(1, table.concat(parts, "\t"))
  end
  function os.clock() return mc.now() end
  function os.time(when) return when and time(when) or start + mc.now() // 1 | 0 end
  function os.date(format, when) return date(format or "!%c", when or os.time()) end
  function math.randomseed(...)
    if select("#", ...) > 0 then return seed(...) end
    return seed((string.unpack("<i8", raw.random(8))))
  end

  local results = {}
  local hooks = { peer_up = node.peer_up, peer_down = node.peer_down, stats = mc.stats }

  function hooks.load(program)
    package.path = "./?.lua"
    package.loaded.program = program and load(program, "=program")() or true
  end

  function hooks.run(id, code, ...)
    local fn = assert(load(code, "=run"))
    mc.async(function(...)
      local r = table.pack(pcall(fn, ...))
      if not r[1] then r.traceback = mc.traceback() end
      results[id] = r
      tell(2, tostring(id))
    end, ...)
  end

  function hooks.take(id)
    local r = results[id]
    results[id] = nil
    return r
  end

  return hooks
end

-- A function as bytes that another state can load. It sees that state's globals, and no local of ours.
local function portable(fn)
  if type(fn) == "string" then return fn end
  for i = 1, 255 do
    local name = debug.getupvalue(fn, i)
    if not name then break end
    if name ~= "_ENV" then error(("the function uses %s, which is not there in the node"):format(name), 3) end
  end
  return string.dump(fn)
end

--- Events, earliest first -------------------------------------------------------------------------

local function before(a, b) return a.at < b.at or a.at == b.at and a.order < b.order end

local function push(heap, event)
  local place = #heap + 1
  while place > 1 and before(event, heap[place // 2]) do
    heap[place] = heap[place // 2]
    place = place // 2
  end
  heap[place] = event
end

local function pop(heap)
  local first, last = heap[1], table.remove(heap)
  if first == last then return first end
  local place, count = 1, #heap
  while true do
    local child = place * 2
    if child < count and before(heap[child + 1], heap[child]) then child = child + 1 end
    if child > count or not before(heap[child], last) then break end
    heap[place] = heap[child]
    place = child
  end
  heap[place] = last
  return first
end

--- Worlds -----------------------------------------------------------------------------------------

local World = {}
World.__index = World

local function ticks(ms) return ms * TICKS // 1 | 0 end

-- What a node's own clock says now.
local function time_at(world, node) return (world.clock + node.offset) / TICKS end

function World:note(text, ...)
  local line = ("%14.3f %s"):format(self:now(), text:format(...))
  self.lines[#self.lines + 1] = line:gsub("\n", "\n" .. (" "):rep(15))
end

function World:schedule(at, event)
  self.order = self.order + 1
  event.at, event.order = at, self.order
  push(self.events, event)
end

--- Does something at a later moment, between the steps of nodes.
function World:at(ms, fn) self:schedule(math.max(self.clock, ticks(ms)), { run = fn }) end

--- What two nodes have between them; one link for each direction.
function World:link(from, to)
  local key = from .. ">" .. to
  if not self.links[key] then self.links[key] = { from = from, to = to, first = 1, last = 0, missed = 0 } end
  return self.links[key]
end

local function pair(a, b) return a < b and a .. "|" .. b or b .. "|" .. a end

-- A packet is on its way: it stands in the link's queue, and something happens when it may arrive.
function World:travel(from, to, packet)
  local link = self:link(from, to)
  link.last = link.last + 1
  link[link.last] = packet
  self:arrive_later(link)
end

function World:arrive_later(link)
  local delay = self.delays[pair(link.from, link.to)] or self.usual_delay
  self:schedule(self.clock + between(self.chance, delay[1], delay[2]), { link = link })
end

local function alive(world, name, incarnation)
  local node = world.nodes[name]
  return node and (not incarnation or node.incarnation == incarnation) and node or nil
end

function World:send(from, name, incarnation, bytes)
  if from.broken[incarnation] then return end
  if self.drop > 0 and between(self.chance, 0, 999999) < self.drop * 1000000 and alive(self, name, incarnation) then
    return self:break_link(from.name, name)
  end
  local at = 1
  while at <= #bytes do
    local size = self.cut and between(self.chance, 1, #bytes) or #bytes
    self:travel(from.name, name, { from = from, incarnation = incarnation, bytes = bytes:sub(at, at + size - 1) })
    at = at + size
  end
end

-- FNV-1a: enough to see in a log that the bytes are the same.
local function checksum(bytes)
  local h = 0x811c9dc5
  for i = 1, #bytes do h = (h ~ bytes:byte(i)) * 0x01000193 & 0xffffffff end
  return h
end

local function deliver(world, packet, to_name)
  local from, to = packet.from, alive(world, to_name, packet.incarnation)
  if packet.news then
    world:note("%s hears that %s is %s", to_name, from.name, packet.news)
    world:call(to, "peer_" .. packet.news, from.name, from.incarnation, from.secret)
  elseif not to then
    world:note("%s > %s %d bytes lost", from.name, to_name, #packet.bytes)
    if from ~= alive(world, from.name) then return end
    from.state:refuse(time_at(world, from), to_name, packet.incarnation)
    world:step(from)
  else
    world:note("%s > %s %d bytes %08x", from.name, to_name, #packet.bytes, checksum(packet.bytes))
    if not to.state:deliver(time_at(world, to), from.name, from.incarnation, packet.bytes) then
      world:note("%s finds the link from %s malformed", to_name, from.name)
    end
    world:step(to)
  end
end

-- The oldest packet of a link arrives; which one that is does not depend on the delays.
function World:arrive(link)
  if self.partitions[pair(link.from, link.to)] then
    link.missed = link.missed + 1
    return
  end
  local packet = link[link.first]
  link[link.first] = nil
  link.first = link.first + 1
  local heard = not packet.news or alive(self, link.to, packet.incarnation)
  if heard then deliver(self, packet, link.to) end
end

--- Calls one of the prelude's functions in a node, then lets it run.
function World:call(node, hook, ...)
  local results = table.pack(node.state:call(time_at(self, node), hook, ...))
  self:step(node)
  return table.unpack(results, 1, results.n)
end

local function finished(world, node, id)
  local handle = world.handles[id]
  world.handles[id] = nil
  handle.results = node.state:call(time_at(world, node), "take", id)
  handle.done = true
  handle.at = world:now()
end

local function output(world, node, kind, a, b, c)
  if kind == "send" then
    world:send(node, a, b, c)
  elseif kind == "log" then
    world:note("%s %s: %s", node.name, LEVELS[a], b)
  elseif a == PRINT then
    world:note("%s prints %s", node.name, b)
  elseif a == DONE then
    finished(world, node, tonumber(b))
  end
end

function World:step(node)
  local wake, outputs = node.state:step(time_at(self, node))
  for _, o in ipairs(outputs or {}) do output(self, node, table.unpack(o, 1, 4)) end
  local at = wake and self.clock + math.max(1, math.ceil(wake * TICKS))
  if at ~= node.wake_at then
    node.wake_at = at
    if at then self:schedule(at, { node = node, quiet = wake == 0 }) end
  end
end

-- A wake that was put off since is nothing; time does not pass for it.
local function is_due(event)
  local node = event.node
  return not node or node.wake_at == event.at and not node.gone
end

function World:happen(event)
  self.clock = event.at
  if event.link then
    self:arrive(event.link)
  elseif event.node then
    event.node.wake_at = nil
    if not event.quiet then self:note("%s wakes", event.node.name) end
    self:step(event.node)
  else
    event.run()
  end
end

-- True when nothing is left to happen, false when what comes next is later than that.
local function run_until(world, till)
  for _ = 1, MOST_EVENTS do
    local event = world.events[1]
    if not event then return true end
    local due = is_due(event)
    if due and event.at > till then return false end
    pop(world.events)
    if due then world:happen(event) end
  end
  error(("no end of events at %.3f ms"):format(world:now()), 3)
end

--- Lets everything happen that happens in the next so many milliseconds.
function World:advance(ms)
  local till = self.clock + ticks(ms)
  run_until(self, till)
  self.clock = till
end

--- Lets everything happen until nothing is left, or so many milliseconds have passed: then false.
function World:settle(limit_ms)
  local till = limit_ms and self.clock + ticks(limit_ms) or math.maxinteger
  local settled = run_until(self, till)
  if not settled then self.clock = till end
  return settled
end

--- Milliseconds since the world began. A node's own clock began at another moment.
function World:now() return self.clock / TICKS end

--- A random whole number for the spec itself.
function World:random(low, high) return between(self.dice, low, high) end

--- Starts a task in a node, at once: fn(...) there. fn is a function that uses no locals from around it,
-- or a program's text; arguments and results are data. `require "program"` gives what the world's program returned.
-- @treturn table a handle: done, at (when, in milliseconds), lost (its node was killed); see world:result
function World:run(name, fn, ...)
  local node = alive(self, name) or error("there is no node " .. name, 2)
  self.last_id = self.last_id + 1
  local handle = { id = self.last_id, node = name, done = false }
  self.handles[handle.id] = handle
  self:call(node, "run", handle.id, portable(fn), ...)
  return handle
end

--- true and what a task returned, or false, what it raised and a traceback. nil when it has not ended.
function World:result(handle)
  local r = handle.results
  if not r then return nil, handle.lost and "its node was killed" or "it has not ended" end
  if r[1] then return table.unpack(r, 1, r.n) end
  return false, r[2], r.traceback
end

--- A node's counters: mc.stats() there.
function World:stats(name)
  local node = alive(self, name) or error("there is no node " .. name, 2)
  return (node.state:call(time_at(self, node), "stats"))
end

--- What is left in any node that is alive, as a sentence; nil when nothing is.
function World:leftover()
  for _, name in ipairs(self:names()) do
    local stats = self:stats(name)
    for _, what in ipairs { "pending", "tasks", "timers", "mailbox" } do
      if stats[what] ~= 0 then return ("%s has %d %s"):format(name, stats[what], what) end
    end
  end
end

function World:is_alive(name) return self.nodes[name] ~= nil end

--- The names of the nodes that are alive, in the order in which they started.
function World:names()
  local nodes, names = {}, {}
  for _, node in pairs(self.nodes) do nodes[#nodes + 1] = node end
  table.sort(nodes, function(a, b) return a.number < b.number end)
  for i, node in ipairs(nodes) do names[i] = node.name end
  return names
end

--- Starts a node, a new one or one that was killed.
function World:start(name)
  if self.nodes[name] then error(name .. " is there already", 2) end
  local random = self.chance
  self.started = self.started + 1
  local node = {
    name = name,
    number = self.started,
    incarnation = between(random, 1, (1 << 53) - 1),
    secret = string.pack("<i8i8", random(), random()),
    offset = between(random, 0, 1000000000), -- its clock's
    broken = {}, -- incarnations that its link to is broken
  }
  local peers = self:names()
  node.state = core.open(time_at(self, node), name, node.incarnation, node.secret, random(), string.dump(prelude))
  self.nodes[name] = node
  self:note("%s starts", name)
  peers[#peers + 1] = name
  for _, peer in ipairs(peers) do
    local other = self.nodes[peer]
    self:call(node, "peer_up", peer, other.incarnation, other.secret)
    if other ~= node then self:travel(name, peer, { from = node, incarnation = other.incarnation, news = "up" }) end
  end
  self:call(node, "load", self.program)
end

--- Ends a node at once: what it had not sent is lost, its tasks with it.
function World:kill(name)
  local node = alive(self, name) or error("there is no node " .. name, 2)
  node.gone = true
  node.state:close()
  self.nodes[name] = nil
  self:note("%s is killed", name)
  for id, handle in pairs(self.handles) do
    if handle.node == name then
      handle.lost = true
      self.handles[id] = nil
    end
  end
  for _, peer in ipairs(self:names()) do
    self:travel(name, peer, { from = node, incarnation = self.nodes[peer].incarnation, news = "down" })
  end
end

--- For each of two nodes the other one is down from now on, though both live.
function World:break_link(a, b)
  local nodes = { alive(self, a), alive(self, b) }
  self:note("%s - %s breaks", a, b)
  for i, node in ipairs(nodes) do
    local other = nodes[3 - i]
    if not node.broken[other.incarnation] then
      node.broken[other.incarnation] = true
      self:travel(node.name, other.name, { from = node, incarnation = other.incarnation, news = "down" })
    end
  end
end

local function list(names) return type(names) == "table" and names or { names } end

--- Nothing gets from a to b or back until world:heal. a and b are names, or lists of names.
function World:partition(a, b)
  for _, x in ipairs(list(a)) do
    for _, y in ipairs(list(b)) do
      self.partitions[pair(x, y)] = true
      self:note("%s | %s", x, y)
    end
  end
end

--- Ends every partition; what was kept arrives, late.
function World:heal()
  self.partitions = {}
  self:note("heals")
  local keys = {}
  for key in pairs(self.links) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local link = self.links[key]
    for _ = 1, link.missed do self:arrive_later(link) end
    link.missed = 0
  end
end

local function range(delay)
  local low, high = delay, delay
  if type(delay) == "table" then low, high = delay[1], delay[2] end
  return { ticks(low), ticks(high) }
end

--- From now on batches take so long, {least, most} or a number; between a and b, when they are given.
function World:delay(delay, a, b)
  if a then
    self.delays[pair(a, b)] = range(delay)
  else
    self.usual_delay = range(delay)
  end
end

--- Every event so far, a line each: its moment in milliseconds and what happened.
function World:log() return table.concat(self.lines, "\n") .. "\n" end

--- Ends all nodes.
function World:close()
  for _, name in ipairs(self:names()) do
    self.nodes[name].state:close()
    self.nodes[name] = nil
  end
end

--- Makes a world and starts its nodes, w1 and so on; each runs the program.
-- @tparam table options seed (1); nodes, how many (3); delay, {least, most} or a number (1 ms);
-- drop, the probability with which a batch breaks its link (0); cut, true: batches arrive in pieces;
-- program, a function that every node runs when it starts
function sim.new(options)
  local seed = options.seed or 1
  local world = setmetatable({
    clock = 0, order = 0, started = 0, last_id = 0,
    chance = generator(seed), dice = generator(~seed),
    events = {}, links = {}, nodes = {}, handles = {}, delays = {}, partitions = {}, lines = {},
    drop = options.drop or 0,
    cut = options.cut,
    program = options.program and portable(options.program),
    usual_delay = { 0, 0 },
  }, World)
  for i = 1, options.nodes or 3 do world:start("w" .. i) end
  world:settle()
  world:delay(options.delay or 1)
  return world
end

return sim
