-- A chat between tabs: run this here, open the page in a second tab, and run
-- it there. Each tab is a system of its own. mc.transport links them over
-- bytes that the page moves; then people in one tab are actors that the
-- other calls.

local mc = require "mooncast"

local ADJECTIVES <const> = { "Quiet", "Bright", "Early", "Wandering", "Silver", "Patient" }
local ANIMALS <const> = { "Fox", "Owl", "Hare", "Otter", "Moth", "Heron" }

-- A link's `send` must not wait. So bytes for another tab wait here, and a
-- task takes them to the page, in their order.
local function sender(talk, tab)
  local waiting, busy = {}, false
  local function drain()
    while #waiting > 0 do
      local bytes = table.concat(waiting)
      waiting = {}
      talk:send(tab, mc.bytes(bytes))
    end
    busy = false
  end
  return function(bytes)
    waiting[#waiting + 1] = bytes
    if busy then return end
    busy = true
    mc.spawn_task(drain)
  end
end

local Person = mc.actor("Person", { reentrant = true })

function Person:init(talk, name)
  self.talk, self.name, self.links, self.others = talk, name, {}, {}
end

function Person:introduce() return self.name end

-- What another person calls.
function Person:hear(name, text) self.talk:say(name, text) end

-- What the page calls: somebody came, bytes came, somebody went, somebody
-- here said something.

function Person:peer(tab, id)
  if self.links[tab] then return end
  local talk = self.talk
  self.links[tab] = mc.transport {
    send = sender(talk, tab),
    up = function()
      mc.spawn_task(function()
        local other = mc.resolve(Person, id)
        self.others[tab] = { ref = other, name = other:introduce() }
        talk:say(nil, self.others[tab].name .. " is here")
      end)
    end,
    down = function()
      local other = self.others[tab]
      self.links[tab], self.others[tab] = nil, nil
      if other then mc.spawn_task(talk.say, talk, nil, other.name .. " left") end
    end,
  }
end

function Person:received(tab, bytes)
  local link = self.links[tab]
  if link then link:receive(bytes) end
end

function Person:gone(tab)
  local link = self.links[tab]
  if link then link:close "the tab was closed" end
end

function Person:said(text)
  self.talk:say(self.name, text, true)
  for _, other in pairs(self.others) do mc.cast(other.ref, "hear", self.name, text) end
end

mc.main(function()
  local talk = mc.lookup "talk"
  if not talk then
    print "the chat needs the page: make web"
    return
  end
  local name = ADJECTIVES[math.random(#ADJECTIVES)] .. " " .. ANIMALS[math.random(#ANIMALS)]
  local person = mc.spawn({ Person, on = mc.node() }, talk, name)
  talk:open("lobby", person, mc.id(person))
  talk:say(nil, "You are " .. name)
  mc.serve_forever()
end)
