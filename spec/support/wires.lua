--- A transport as a user would write it: two nodes that never spoke are linked through actors that
-- carry their bytes, over a relay on this node. Nothing moves until :carry() is called.
local mc = require "mooncast"
local eventually = require "spec.support.eventually"

local Wire = mc.actor("Wire", { reentrant = true }) -- one at each end, where the link is
local Relay = mc.actor("Relay", { reentrant = true }) -- between them, on a node that both know

function Relay:join(a, b) self.ends, self.passed = { a, b }, { {}, {} } end
function Relay:pass(to, bytes)
  table.insert(self.passed[to], bytes)
  mc.cast(self.ends[to], "arrived", bytes)
end
function Relay:traffic(to) return table.concat(self.passed[to]) end
function Relay:carry(which) return self.ends[which]:carry() end

function Wire:init(cut) self.cut = cut or 1000000 end

-- What the node sends goes to end number `to` of the relay, in pieces of at most `cut` bytes.
function Wire:connect(relay, to)
  local queue = {}
  self.out, self.relay, self.to = queue, relay, to
  self.link = mc.transport {
    send = function(bytes) queue[#queue + 1] = bytes end,
    up = function(node) self.up = node end,
    down = function(_, why) self.down = why end,
  }
end

function Wire:carry()
  local bytes = table.concat(self.out)
  for i = #self.out, 1, -1 do self.out[i] = nil end
  for at = 1, #bytes, self.cut do mc.cast(self.relay, "pass", self.to, bytes:sub(at, at + self.cut - 1)) end
  return #bytes
end

function Wire:arrived(bytes) self.link:receive(bytes) end
function Wire:inject(bytes) return pcall(self.link.receive, self.link, bytes) end
function Wire:close() self.link:close() end
function Wire:state() return self.up, self.down end

-- Calls an actor of the other end by its id while the wires carry.
function Wire:call(type_name, id, method, ...)
  local task = mc.async(mc.call, mc.resolve(type_name, id), method, ...)
  while task:status() == "running" do
    self:carry()
    self.relay:carry(self.to)
    mc.sleep(0)
  end
  return task:await()
end

-- The same under a deadline of this node, on a clock by its name or in seconds.
function Wire:call_within(limit, ...)
  for name in pairs(type(limit) == "table" and limit or {}) do mc.clock(name) end
  return mc.deadline(limit, self.call, self, ...)
end

local Wires = {}
Wires.__index = Wires

--- Two new nodes, linked: fields nodes (their names), a and b (the wires at their ends).
function Wires.open(cut)
  local self = setmetatable({ nodes = { mc.start_node(), mc.start_node() } }, Wires)
  self.a, self.b = mc.spawn({ Wire, on = self.nodes[1] }, cut), mc.spawn({ Wire, on = self.nodes[2] }, cut)
  self.relay = mc.spawn { Relay, on = mc.node() }
  self.relay:join(self.a, self.b)
  self.a:connect(self.relay, 2)
  self.b:connect(self.relay, 1)
  self:carry()
  eventually(function() return self.a:state() and self.b:state() end, "both know each other")
  return self
end

function Wires:carry()
  self.a:carry()
  self.b:carry()
end

--- All bytes that went to end number `to` so far.
function Wires:traffic(to) return self.relay:traffic(to) end

--- Each end is the last actor of its node, which ends with it: over ports that may overtake the answer.
function Wires:close()
  for _, ref in ipairs { self.a, self.b, self.relay } do
    local ok, e = pcall(mc.stop, ref)
    assert(ok or e.code == "node_down", e)
  end
end

return Wires
