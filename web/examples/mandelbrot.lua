-- The Mandelbrot set, drawn by an actor on every worker.
--
-- In the page a click looks closer, a click with Shift steps back. From
-- the command line, `mooncast web/examples/mandelbrot.lua`, it is letters.

local mc = require "mooncast"

local WIDTH <const>, HEIGHT <const> = 480, 360
local BAND <const> = 12 -- rows that a painter draws at a time
local LIMIT <const> = 220

-- How many steps until z leaves the circle, LIMIT if it stays.
local function steps(x, y)
  local zx, zy, x2, y2, n = 0.0, 0.0, 0.0, 0.0, 0
  while x2 + y2 <= 4.0 and n < LIMIT do
    zx, zy = x2 - y2 + x, 2.0 * zx * zy + y
    x2, y2, n = zx * zx, zy * zy, n + 1
  end
  return n
end

local palette = {}
for n = 0, LIMIT do
  local t = math.log(1 + n) / math.log(1 + LIMIT)
  local function wave(phase) return math.floor(127.5 - 127.5 * math.cos(6.2832 * (t * 1.15 + phase))) end
  palette[n] = string.char(wave(0.82) * 3 // 4, wave(0.92), wave(0.02), 255)
end
palette[LIMIT] = "\10\12\20\255"

local Painter = mc.actor "Painter"

-- `view` is what the picture shows: its middle, and the width of a pixel.
function Painter:paint(canvas, view, first)
  local rows, last = {}, math.min(first + BAND, HEIGHT) - 1
  for row = first, last do
    local pixels, y = {}, view.y + (row - HEIGHT / 2) * view.pixel
    local left = view.x - WIDTH / 2 * view.pixel
    for column = 0, WIDTH - 1 do pixels[column + 1] = palette[steps(left + column * view.pixel, y)] end
    rows[#rows + 1] = table.concat(pixels)
  end
  canvas:draw(0, first, WIDTH, last - first + 1, mc.bytes(table.concat(rows)))
end

local Explorer = mc.actor "Explorer"

function Explorer:init(canvas)
  self.canvas, self.painters = canvas, {}
  for i, node in ipairs(mc.nodes()) do self.painters[i] = mc.spawn { Painter, on = node } end
  self.view = { x = -0.6, y = 0.0, pixel = 3.2 / WIDTH }
end

-- Every painter takes the next band when it is done with its last; the middle comes first.
local function draw(self, view)
  local bands, began = {}, mc.now()
  for first = 0, HEIGHT - 1, BAND do bands[#bands + 1] = first end
  table.sort(bands, function(a, b) return math.abs(a - HEIGHT / 2) > math.abs(b - HEIGHT / 2) end)
  local tasks = {}
  for i, painter in ipairs(self.painters) do
    tasks[i] = mc.async(function()
      while #bands > 0 do painter:paint(self.canvas, view, table.remove(bands)) end
    end)
  end
  mc.all(table.unpack(tasks))
  print(("%d workers, %.2f s, a pixel is %.3g wide"):format(#self.painters, mc.now() - began, view.pixel))
end

function Explorer:show()
  if self.drawing then self.drawing:cancel() end
  local view = { x = self.view.x, y = self.view.y, pixel = self.view.pixel }
  self.drawing = mc.spawn_task(draw, self, view)
end

function Explorer:click(x, y, back)
  local view = self.view
  view.x, view.y = view.x + (x - WIDTH / 2) * view.pixel, view.y + (y - HEIGHT / 2) * view.pixel
  view.pixel = back and math.min(view.pixel * 3, 3.2 / WIDTH) or view.pixel / 3
  self:show()
end

-- The middle again, from further away.
function Explorer:press()
  self:click(WIDTH / 2, HEIGHT / 2, true)
end

local function print_letters()
  for row = -11, 11 do
    local line = {}
    for column = -52, 25 do
      local n = steps(column / 26, row / 9.5)
      line[#line + 1] = n == LIMIT and "@" or (" .:-=+*#%"):sub(math.min(n // 2, 8) + 1, math.min(n // 2, 8) + 1)
    end
    print(table.concat(line))
  end
end

mc.main(function()
  local canvas = mc.lookup "canvas"
  if not canvas then return print_letters() end
  canvas:open(WIDTH, HEIGHT, "Click to look closer")
  local explorer = mc.spawn({ Explorer, on = mc.node() }, canvas)
  explorer:show()
  canvas:buttons { "Step back" }
  canvas:listen(explorer)
  mc.serve_forever()
end)
