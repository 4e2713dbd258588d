--- Links over bytes that the user moves: any stream that keeps their order and loses none.
--
-- Each side makes a link with a function that sends, and hands over what arrives. The two nodes then
-- know each other: ids resolve, references work, calls go through. No code travels over such a link,
-- and nothing but references that were handed over can be called.

local _, core = ...

local Link = {}
Link.__index = Link

--- Makes a link.
-- @tparam table options send(bytes): called with what is to go to the other side, as strings of any
-- length, at the end of this node's turn; must not wait. Optional: up(node), called with the name of
-- the other node once it has said hello, and down(node, why), called once when the link has ended.
-- @treturn link with :receive(bytes) and :close([why])
-- @usage local link = mc.transport { send = function(bytes) socket:write(bytes) end }
local function new(options)
  if type(options) ~= "table" or type(options.send) ~= "function" then
    error("mc.transport wants a table with a function send", 2)
  end
  local link = setmetatable({ options = options, early = "" }, Link)
  options.send(core.hello())
  return link
end

-- The bytes until the other side has said who it is.
local function greet(link, bytes)
  link.early = link.early .. bytes
  link.peer, link.node = core.attach(link.early, link.options.send)
  if not link.peer then return end
  bytes, link.early = link.early, ""
  if link.options.up then link.options.up(link.node) end
  return bytes
end

--- Takes bytes that arrived, cut anywhere. Raises malformed, version_mismatch, or not_permitted for a
-- node that is linked already; the link has ended then.
function Link:receive(bytes)
  if self.ended then core.error("closed", "the link has ended") end
  if not self.peer then
    local ok, result = pcall(greet, self, bytes)
    if not ok then
      self:close(tostring(result))
      error(result, 0)
    end
    if not result then return end
    bytes = result
  end
  if not core.receive(self.peer, bytes) then
    self:close "malformed"
    core.error("malformed", "node " .. self.node .. " sent what is no envelope; its link has ended")
  end
end

--- Ends the link, or notes that it has ended: calls that wait for the other node raise node_down.
function Link:close(why)
  if self.ended then return end
  self.ended = true
  if self.peer then core.detach(self.peer) end
  if self.options.down then self.options.down(self.node, why or "closed") end
end

return { new = new }
