--- Leader election in a ring (Chang and Roberts), written once against references: nothing in it
-- knows what carries the messages.
local mc = require "mooncast"

local Elector = mc.actor "Elector"

function Elector:init(rank) self.rank = rank end
function Elector:join(nxt) self.next = nxt end
function Elector:start() mc.cast(self.next, "candidate", self.rank) end

function Elector:candidate(rank)
  if rank > self.rank then
    mc.cast(self.next, "candidate", rank)
  elseif rank == self.rank then
    self:elected(rank)
  end
end

function Elector:elected(rank)
  if self.leader then return end
  self.leader = rank
  mc.cast(self.next, "elected", rank)
end

function Elector:who() return self.leader end

return Elector
