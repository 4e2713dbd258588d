-- Conway's game of life on a torus, cut into strips, one on every worker. A
-- strip computes its rows and answers with the outer two, which its
-- neighbours need for their next step.
--
-- In the page a click sets a glider free. `mooncast web/examples/life.lua`
-- shows 40 steps as letters.

local mc = require "mooncast"

local Strip = mc.actor "Strip"

local ALIVE <const>, DEAD <const>, FADING <const> = "\246\215\123\255", "\16\20\34\255", "\58\54\92\255"

function Strip:init(canvas, width, first, rows)
  self.canvas, self.width, self.first, self.rows = canvas, width, first, {}
  for y = 1, rows do
    local row = {}
    for x = 1, width do row[x] = math.random() < 0.22 and 1 or 0 end
    self.rows[y] = row
  end
end

local function next_row(above, row, below, width)
  local result = {}
  local left = above[width] + row[width] + below[width] -- three cells each: left, middle, right
  local middle = above[1] + row[1] + below[1]
  for x = 1, width do
    local beside = x < width and x + 1 or 1
    local right = above[beside] + row[beside] + below[beside]
    local around = left + middle + right -- the cell itself included
    result[x] = (around == 3 or (around == 4 and row[x] == 1)) and 1 or 0
    left, middle = middle, right
  end
  return result
end

local function draw(self, before)
  local pixels = {}
  for y, row in ipairs(self.rows) do
    local old = before[y]
    for x = 1, self.width do
      pixels[#pixels + 1] = row[x] == 1 and ALIVE or old[x] == 1 and FADING or DEAD
    end
  end
  self.canvas:draw(0, self.first, self.width, #self.rows, mc.bytes(table.concat(pixels)))
end

function Strip:edges() return self.rows[1], self.rows[#self.rows] end

-- One step, given the rows next to the strip; returns its own outer rows.
function Strip:age(above, below)
  local before, after = self.rows, {}
  for y, row in ipairs(before) do
    after[y] = next_row(before[y - 1] or above, row, before[y + 1] or below, self.width)
  end
  self.rows = after
  if self.canvas then draw(self, before) end
  return self:edges()
end

function Strip:set(x, y) self.rows[y][x] = 1 end

function Strip:letters()
  local lines = {}
  for y, row in ipairs(self.rows) do lines[y] = table.concat(row):gsub(".", { ["0"] = " ", ["1"] = "o" }) end
  return table.concat(lines, "\n")
end

local World = mc.actor("World", { reentrant = true })

function World:init(canvas, width, height)
  self.width, self.height, self.strips, self.firsts = width, height, {}, {}
  local nodes, first = mc.nodes(), 0
  for i, node in ipairs(nodes) do
    local last = height * i // #nodes
    self.strips[i] = mc.spawn({ Strip, on = node }, canvas, width, first, last - first)
    self.firsts[i], first = first, last
  end
end

local function outer_rows(strip) return { strip:edges() } end

-- All strips step at the same time.
function World:age()
  local strips, edges, tasks = self.strips, self.edges or {}, {}
  for i, strip in ipairs(strips) do edges[i] = edges[i] or outer_rows(strip) end
  for i, strip in ipairs(strips) do
    local above, below = edges[(i - 2) % #strips + 1][2], edges[i % #strips + 1][1]
    tasks[i] = mc.async(function() return { strip:age(above, below) } end)
  end
  self.edges = { mc.all(table.unpack(tasks)) }
end

local GLIDER <const> = { { 1, 0 }, { 2, 1 }, { 0, 2 }, { 1, 2 }, { 2, 2 } }

function World:click(x, y)
  for _, cell in ipairs(GLIDER) do
    local column, row, i = (x + cell[1]) % self.width, (y + cell[2]) % self.height, #self.firsts
    while self.firsts[i] > row do i = i - 1 end
    self.strips[i]:set(column + 1, row - self.firsts[i] + 1)
  end
  self.edges = nil
end

function World:letters()
  for _, strip in ipairs(self.strips) do print(strip:letters()) end
end

local STEP_SECONDS <const> = 1 / 15

mc.main(function()
  local canvas = mc.lookup "canvas"
  if not canvas then
    local world = mc.spawn({ World, on = mc.node() }, nil, 78, 24)
    for _ = 1, 40 do world:age() end
    return world:letters()
  end
  local width, height = 200, 150
  canvas:open(width, height, "Click to set a glider free")
  local world = mc.spawn({ World, on = mc.node() }, canvas, width, height)
  canvas:listen(world)
  local steps, since = 0, mc.now()
  while true do
    local began = mc.now()
    world:age()
    steps = steps + 1
    if steps % 150 == 0 then
      print(("%d steps, %.0f per second"):format(steps, 150 / (mc.now() - since)))
      since = mc.now()
    end
    mc.sleep(math.max(0, STEP_SECONDS - (mc.now() - began)))
  end
end)
