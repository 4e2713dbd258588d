-- Casts: one way, and in order with whatever else their sender sends to the same actor.
local mc = require "mooncast"
local world = require "spec.support.world"

require "spec.support.clean"(setup, teardown)

local COUNT <const> = 10000

local Log = mc.actor "cast_spec.Log"

function Log:init() self.last, self.jumps = 0, 0 end
function Log:add(i)
  if i ~= self.last + 1 then self.jumps = self.jumps + 1 end
  self.last = i
end
-- Awaits in between, so that what comes behind has to wait in the mailbox.
function Log:add_slowly(i)
  self:add(i)
  if i % 100 == 0 then mc.sleep(0) end
end
function Log:state() return self.last, self.jumps end
function Log:fail() error "nobody hears this" end
function Log:keep(...) self.kept = table.pack(...) end
function Log:kept_values() return table.unpack(self.kept, 1, self.kept.n) end

local Unreadable = mc.type("cast_spec.Unreadable", { decode = function() error "not this one" end })

local Sender = mc.actor "cast_spec.Sender"

function Sender:send(to, count, name)
  for i = 1, count do mc.cast(to, name or "add", i) end
end
function Sender:send_with_calls(to, count)
  for i = 1, count do
    if i % 7 == 0 then to:add(i) else mc.cast(to, "add", i) end
  end
end
-- Behind what this actor has cast: there is no order between what two senders send.
function Sender:state_of(to) return to:state() end
function Sender:pass_on(to, count, further) return mc.call(to, "send", further, count) end

for _, place in ipairs(world.places()) do
  describe("casts to an actor " .. place.name, function()
    local log

    before_each(function() log = mc.spawn { Log, on = place.node } end)
    after_each(function() mc.stop(log) end)

    it("arrive once each, in order, and a call comes behind them [C16]", function()
      for i = 1, COUNT do mc.cast(log, "add", i) end
      assert.same({ COUNT, 0 }, { log:state() })
    end)

    it("bring to an idle actor what a call would: many values, holes, tables, references", function()
      local values = { 1, nil, "text", nil, 2.5, log, { 3, of = { "tables" } }, false, 9, 10, 11, nil, n = 12 }
      mc.cast(log, "keep", table.unpack(values, 1, values.n))
      assert.same(values, table.pack(log:kept_values()))
      mc.cast(log, "keep")
      assert.equal(0, select("#", log:kept_values()))
      values[7].of[1] = "another"
      mc.cast(log, "keep", values[7])
      values[7].of[1] = "a third"
      assert.equal("another", log:kept_values().of[1])
    end)

    it("that cannot be read are dropped where the actor is, and the next one comes", function()
      mc.cast(log, "add", setmetatable({}, Unreadable))
      mc.cast(log, "add", 1)
      assert.same({ 1, 0 }, { log:state() })
    end)

    it("keep their order when the actor is slower than its sender [C16]", function()
      for i = 1, COUNT do mc.cast(log, "add_slowly", i) end
      assert.same({ COUNT, 0 }, { log:state() })
    end)

    it("keep their order with calls in between [C16]", function()
      for i = 1, COUNT do
        if i % 7 == 0 then log:add(i) else mc.cast(log, "add", i) end
      end
      assert.same({ COUNT, 0 }, { log:state() })
    end)

    it("keep their order with calls of other tasks that are not awaited in between [C16]", function()
      local tasks = {}
      for i = 1, COUNT do
        if i % 1000 == 0 then
          tasks[#tasks + 1] = mc.async(log.state, log)
          mc.sleep(0)
        end
        mc.cast(log, "add", i)
      end
      for _, task in ipairs(tasks) do assert.equal(0, select(2, task:await())) end
      assert.same({ COUNT, 0 }, { log:state() })
    end)

    it("keep their order from another node, straight and with calls in between [C16]", function()
      local sender = mc.spawn { Sender, on = world.other() }
      sender:send(log, COUNT)
      assert.same({ COUNT, 0 }, { sender:state_of(log) })
      mc.stop(log)
      log = mc.spawn { Log, on = place.node }
      sender:send_with_calls(log, COUNT)
      assert.same({ COUNT, 0 }, { sender:state_of(log) })
      mc.stop(sender)
    end)

    it("keep their order from a sender that was told through a third node [C16]", function()
      local nodes = mc.nodes()
      local sender = mc.spawn { Sender, on = nodes[#nodes] }
      local middle = mc.spawn { Sender, on = world.other() }
      middle:pass_on(sender, COUNT, log)
      assert.same({ COUNT, 0 }, { sender:state_of(log) })
      mc.stop(middle)
      mc.stop(sender)
    end)

    it("return nothing, and wait for no handler [C16]", function()
      assert.equal(0, select("#", mc.cast(log, "add", 1)))
      assert.equal(0, select("#", mc.cast(log, "no_such_method")))
      assert.same({ 1, 0 }, { log:state() })
    end)

    it("that raise leave actor and caller as they were [D4]", function()
      local late = mc.stats().late_replies
      for i = 1, 2 do
        mc.cast(log, "add", i)
        mc.cast(log, "fail")
      end
      assert.same({ 2, 0 }, { log:state() })
      assert.equal(late, mc.stats().late_replies)
    end)

    it("to an actor that ended are dead letters, and no error [D5]", function()
      mc.stop(log)
      local before = world.stats(place.node).dead_letters
      for i = 1, 10 do mc.cast(log, "add", i) end
      -- An answer on the same way: what was sent before it has arrived.
      world.raised(log.state, log)
      assert.equal(before + 10, world.stats(place.node).dead_letters)
    end)
  end)
end
