-- A prelude by Bach (BWV 846, its first half) on a piano of actors.
-- Every string is one, on whatever worker has the fewest: it computes
-- its own vibration. The pianist strikes them, adds up what they give
-- and writes that ahead of what is heard; an AudioWorklet plays it. The
-- ear, on another worker, draws the notes that it finds in the samples.
--
-- `mooncast web/examples/piano.lua prelude.wav` writes a file instead.

local mc = require "mooncast"

local PARTS <const> = 5 -- blocks to a note: each is some 40 ms long
local NOTES_A_SECOND <const> = 4.8
local FADE <const> = 12 -- notes that the last one may take to fade away
local LOW <const>, HIGH <const> = 41, 84 -- the keys that are drawn

-- Each line is a bar: five notes, played 1 2 3 4 5 3 4 5, twice.
local BARS <const> = [[
C4 E4 G4 C5 E5
C4 D4 A4 D5 F5
B3 D4 G4 D5 F5
C4 E4 G4 C5 E5
C4 E4 A4 E5 A5
C4 D4 F#4 A4 D5
B3 D4 G4 D5 G5
B3 C4 E4 G4 C5
A3 C4 E4 G4 C5
D3 A3 D4 F#4 C5
G3 B3 D4 G4 B4
G3 A#3 E4 G4 C#5
F3 A3 D4 A4 D5
F3 G#3 D4 F4 B4
E3 G3 C4 G4 C5
E3 F3 A3 C4 F4
D3 F3 A3 C4 F4
G2 D3 G3 B3 F4
C3 E3 G3 C4 E4
]]
local PATTERN <const> = { 1, 2, 3, 4, 5, 3, 4, 5, 1, 2, 3, 4, 5, 3, 4, 5 }
local SCALE <const> = { C = 0, D = 2, E = 4, F = 5, G = 7, A = 9, B = 11 }

-- The keys to be struck, one after the other; 69 is the A of 440 Hz.
local function score()
  local keys = {}
  for bar in BARS:gmatch "[^\n]+" do
    local chord = {}
    for name, sharp, octave in bar:gmatch "(%u)(#?)(%d)" do
      chord[#chord + 1] = 12 * (octave + 1) + SCALE[name] + #sharp
    end
    for _, i in ipairs(PATTERN) do keys[#keys + 1] = chord[i] end
  end
  keys[#keys + 1] = 48
  return keys
end

local function frequency(key) return 440 * 2 ^ ((key - 69) / 12) end

local String = mc.actor "String"

-- A loop of samples, one period long, that loses its high tones as it goes
-- around (Karplus and Strong); the filter behind it makes the period right
-- to a fraction of a sample.
function String:init(pitch, rate)
  local period = rate / pitch
  local length = math.floor(period + 0.4) -- the loop's average takes away half a sample
  local rest = period + 0.5 - length
  self.bend, self.loss = (1 - rest) / (1 + rest), 0.001 ^ (1 / (pitch * 2.2))
  self.line, self.at, self.last_in, self.last_out = {}, 1, 0.0, 0.0
  for i = 1, length do self.line[i] = 0.0 end
end

-- The same noise for each blow: chance would give a note much of its tone once and little another time.
local function strike(line, strength)
  math.randomseed(#line, 7)
  local soft, softer, sum, push = 0.0, 0.0, 0.0, {}
  for i = 1, #line do
    soft = soft + 0.4 * (math.random() * 2 - 1 - soft)
    softer = softer + 0.4 * (soft - softer)
    push[i], sum = softer, sum + softer
  end
  for i = 1, #line do line[i] = line[i] + (push[i] - sum / #line) * strength end
end

-- The next samples, after a blow if there is one; nothing once it is silent.
function String:sound(frames, strength)
  local line, at, length = self.line, self.at, #self.line
  if strength then strike(line, strength) end
  local bend, loss, last_in, last_out = self.bend, self.loss / 2, self.last_in, self.last_out
  local samples, peak = {}, 0.0
  for i = 1, frames do
    local behind = at < length and at + 1 or 1
    local new = (line[at] + line[behind]) * loss
    last_out = bend * (new - last_out) + last_in
    last_in, line[at], samples[i] = new, last_out, last_out
    if last_out > peak then peak = last_out end
    at = behind
  end
  self.at, self.last_in, self.last_out = at, last_in, last_out
  if peak < 0.0005 then return nil end
  local block = mc.buffer(4 * frames)
  block:set("f32", 1, table.unpack(samples))
  return block
end

local Pianist = mc.actor("Pianist", { reentrant = true })

function Pianist:init(samples, ear, player)
  self.samples, self.ear, self.player = samples, ear, player
  self.strings, self.ringing, self.hand = {}, {}, {} -- by key; what rings; what was struck by hand
  self.rate = samples:stats().rate
  self.frames = math.floor(self.rate / NOTES_A_SECOND / PARTS)
end

local function string_for(self, key)
  self.strings[key] = self.strings[key] or mc.spawn(String, frequency(key), self.rate)
  return self.strings[key]
end

-- One block: what all strings that sound give, together.
local function mix(self, struck)
  local ringing, tasks, sum = {}, {}, {}
  for key, string in pairs(self.ringing) do
    ringing[#ringing + 1] = key
    tasks[#tasks + 1] = mc.async(string.sound, string, self.frames, struck[key])
  end
  local blocks = table.pack(mc.all(table.unpack(tasks)))
  for i = 1, self.frames do sum[i] = 0.0 end
  for i, key in ipairs(ringing) do
    local samples = blocks[i] and { blocks[i]:get("f32", 1, self.frames) }
    if not samples then self.ringing[key] = nil end
    for at = 1, samples and self.frames or 0 do sum[at] = sum[at] + samples[at] end
  end
  return sum
end

-- Of four samples one is enough to tell the notes apart.
local function thinned(samples)
  local heard = {}
  for at = 1, #samples - 3, 4 do
    heard[#heard + 1] = (samples[at] + samples[at + 1] + samples[at + 2] + samples[at + 3]) / 4
  end
  return heard
end

-- Plays the keys, what is struck by hand, and until that has faded away.
local function play(self, keys)
  local me, i, left = self.playing, 0, FADE * PARTS
  for _, key in ipairs(keys) do string_for(self, key) end
  while left > 0 do
    local key = i % PARTS == 0 and keys[i // PARTS + 1] or nil
    if key then self.hand[key] = 0.9 end
    local struck = self.hand
    self.hand, i, left = {}, i + 1, next(struck) and FADE * PARTS or left - 1
    for hit in pairs(struck) do self.ringing[hit] = string_for(self, hit) end
    local sum, block = mix(self, struck), mc.buffer(4 * self.frames)
    block:set("f32", 1, table.unpack(sum))
    if self.playing ~= me then return end
    local ahead = self.samples:write(block)
    if self.ear then mc.cast(self.ear, "hear", thinned(sum), ahead / self.rate, struck) end
  end
  self.samples:finish()
  if self.playing == me then self.playing = nil end
end

local function begin(self, keys)
  self.playing, self.ringing = {}, {}
  mc.spawn_task(function()
    -- A page may be silent for long, until somebody clicks.
    mc.with({ timeout = math.huge }, play, self, keys)
    local stats = self.samples:stats()
    print(("%.0f s played so far, %d underruns"):format(stats.played / stats.rate, stats.underruns))
  end)
end

function Pianist:play()
  if not self.playing then begin(self, score()) end
end

function Pianist:stop()
  self.playing = nil
  self.samples:clear()
end

-- Somebody strikes a key in the picture.
function Pianist:click(x)
  self.hand[LOW + x // 4] = 0.9
  if not self.playing then begin(self, {}) end
end

-- What the buttons below the picture call.
function Pianist:press(button)
  if button == "Play" then self:play() end
  if button == "Stop" then self:stop() end
  if button == "Softer" then self.player:volume(self.player:volume() / 1.5) end
  if button == "Louder" then self.player:volume(math.min(2, self.player:volume() * 1.5)) end
end

local WINDOW <const> = 1024
local BAR_ROWS <const>, KEY_ROWS <const> = 76, 20
local DARK <const>, WHITE <const>, BLACK <const> = "\16\20\34\255", "\226\228\238\255", "\40\44\62\255"

local Ear = mc.actor("Ear", { reentrant = true })

function Ear:init(canvas, rate)
  self.canvas, self.rate, self.window, self.levels, self.glow = canvas, rate / 4, {}, {}, {}
  for i = 1, WINDOW do self.window[i] = 0.0 end
  for key = LOW, HIGH do self.levels[key], self.glow[key] = 0.0, 0.0 end
end

-- The strengths of the frequencies in the samples: a fast Fourier transform.
local function spectrum(samples)
  local n, re, im, back = #samples, {}, {}, 0
  for i = 0, n - 1 do
    re[back], im[back] = samples[i + 1] * (0.5 - 0.5 * math.cos(2 * math.pi * i / n)), 0.0
    local bit = n >> 1
    while bit > 0 and back & bit ~= 0 do back, bit = back ~ bit, bit >> 1 end
    back = back | bit
  end
  local half = 1
  while half < n do
    local turn_re, turn_im, w_re, w_im = math.cos(math.pi / half), -math.sin(math.pi / half), 1.0, 0.0
    for first = 0, half - 1 do
      for a = first, n - 1, 2 * half do
        local b = a + half
        local x, y = re[b] * w_re - im[b] * w_im, re[b] * w_im + im[b] * w_re
        re[a], im[a], re[b], im[b] = re[a] + x, im[a] + y, re[a] - x, im[a] - y
      end
      w_re, w_im = w_re * turn_re - w_im * turn_im, w_re * turn_im + w_im * turn_re
    end
    half = 2 * half
  end
  local strengths = {}
  for i = 0, n // 2 - 1 do strengths[i] = math.sqrt(re[i] ^ 2 + im[i] ^ 2) * 4 / n end
  return strengths
end

local function listen(self)
  local strengths, bin = spectrum(self.window), self.rate / WINDOW
  for key = LOW, HIGH do
    local pitch, most = frequency(key), 0.0
    for i = math.floor(pitch * 0.972 / bin + 0.5), math.floor(pitch * 1.029 / bin + 0.5) do
      most = math.max(most, strengths[i])
    end
    local level = math.max(0, 1 + math.log(3 * most + 1e-9, 10) / 2.4)
    self.levels[key] = math.max(math.min(level, 1), self.levels[key] * 0.82)
    self.glow[key] = self.glow[key] * 0.86
  end
end

local IS_BLACK <const> = { [1] = true, [3] = true, [6] = true, [8] = true, [10] = true }

local function colour(key)
  local function wave(phase) return math.floor(160 + 80 * math.cos(2 * math.pi * (key % 12 / 12 + phase))) end
  return string.char(wave(0), wave(0.33), wave(0.67), 255)
end

local function draw(self)
  local rows = {}
  for y = BAR_ROWS, 1, -1 do
    for key = LOW, HIGH do
      rows[#rows + 1] = (self.levels[key] * BAR_ROWS >= y and colour(key) or DARK):rep(3) .. DARK
    end
  end
  for y = 1, KEY_ROWS do
    for key = LOW, HIGH do
      local plain = IS_BLACK[key % 12] and y < 13 and BLACK or WHITE
      rows[#rows + 1] = (self.glow[key] > 0.25 and colour(key) or plain):rep(3) .. DARK
    end
  end
  local width = 4 * (HIGH - LOW + 1)
  self.canvas:draw(0, 0, width, BAR_ROWS + KEY_ROWS, mc.bytes(table.concat(rows)))
end

-- Samples that will be heard so many seconds from now, and the keys that
-- were struck for them.
function Ear:hear(samples, seconds, struck)
  table.move(self.window, #samples + 1, WINDOW, 1)
  table.move(samples, 1, #samples, WINDOW - #samples + 1, self.window)
  listen(self)
  for key in pairs(struck) do self.glow[key] = 1.0 end
  local shown = { canvas = self.canvas, levels = table.move(self.levels, LOW, HIGH, LOW, {}) }
  shown.glow = table.move(self.glow, LOW, HIGH, LOW, {})
  mc.spawn_task(function()
    mc.sleep(seconds)
    draw(shown)
  end)
end

-- Where there is no page: takes samples as "audio.samples" does.
local Wave = mc.actor "Wave"
function Wave:init(path) self.file, self.bytes = assert(io.open(path, "wb")), {} end
function Wave.stats() return { rate = 48000 } end
function Wave:write(block)
  for _, sample in ipairs { block:get("f32", 1, #block // 4) } do
    self.bytes[#self.bytes + 1] = string.pack("<i2", math.floor(32767 * math.max(-1, math.min(1, sample))))
  end
  return 0
end
function Wave:finish()
  local data = table.concat(self.bytes)
  local layout = "<c4I4c4c4I4I2I2I4I4I2I2"
  local header = layout:pack("RIFF", 36 + #data, "WAVE", "fmt ", 16, 1, 1, 48000, 96000, 2, 16)
  self.file:write(header, string.pack("<c4s4", "data", data))
  self.file:close()
end

local function write_file(path)
  if not path then
    print "the piano needs the page (make web) or a file: mooncast piano.lua prelude.wav"
    return
  end
  local pianist = mc.spawn({ Pianist, on = mc.node() }, mc.spawn(Wave, path))
  mc.with({ timeout = math.huge }, mc.whenlocal, pianist, function(self) play(self, score()) end)
end

mc.main(function(path)
  local canvas, sound = mc.lookup "canvas", mc.lookup "sound"
  if not (canvas and sound) then return write_file(path) end
  canvas:open(4 * (HIGH - LOW + 1), BAR_ROWS + KEY_ROWS, "Bach: Prelude in C. Click a key to strike it")
  sound:open()
  local samples, nodes = mc.lookup "audio.samples", mc.nodes()
  local ear = mc.spawn({ Ear, on = nodes[#nodes] }, canvas, samples:stats().rate)
  local pianist = mc.spawn({ Pianist, on = mc.node() }, samples, ear, mc.lookup "audio")
  canvas:buttons { "Play", "Stop", "Softer", "Louder" }
  canvas:listen(pianist)
  pianist:play()
  mc.serve_forever()
end)
