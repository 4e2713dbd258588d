-- Counts lines, words and bytes as `wc` does, on all workers, and finds the ten most frequent words.
-- A word is what stands between ASCII white space, also when none of its letters is ASCII.
--
--     mooncast --workers 4 web/examples/wordcount.lua book.txt letters.txt
--
-- Every worker has one Counter. Files are cut into ranges of a mebibyte, so that one large file keeps
-- all workers busy too, and a Counter gets its next range when it has done the last one. A word belongs
-- to the range in which it begins: who reads a range skips the rest of a word that began before it, and
-- reads on to the end of its own last word.

local mc = require "mooncast"

local RANGE_BYTES <const> = 1 << 20
local BLOCK_BYTES <const> = 1 << 16
local FREQUENT <const> = 10

local function open(path)
  local file, message = io.open(path, "rb")
  return file or error(message, 0)
end

local function read_to_end_of_word(file)
  local parts = {}
  repeat
    local block = file:read(BLOCK_BYTES) or ""
    local rest = block:match("^%S*")
    parts[#parts + 1] = rest
  until #rest < BLOCK_BYTES
  return table.concat(parts)
end

-- The bytes of a range, and the text of the words that begin in it.
local function read_range(path, first, last)
  local file <close> = open(path)
  file:seek("set", math.max(first - 1, 0))
  local before = first > 0 and file:read(1) or " "
  local bytes = file:read(last - first) or ""
  local text = before:find("%S") and bytes:gsub("^%S+", "") or bytes
  if text:find("%S$") then text = text .. read_to_end_of_word(file) end
  return bytes, text
end

local Counter = mc.actor "Counter"

function Counter:init()
  self.frequencies = {}
end

function Counter:count(path, first, last)
  local bytes, text = read_range(path, first, last)
  local words, frequencies = 0, self.frequencies
  for word in text:gmatch("%S+") do
    words = words + 1
    frequencies[word] = (frequencies[word] or 0) + 1
  end
  local _, lines = bytes:gsub("\n", "\n")
  return { lines = lines, words = words, bytes = #bytes }
end

function Counter:words()
  return self.frequencies
end

local function size_of(path)
  local file <close> = open(path)
  local _, message = file:read(0) -- opening a directory may succeed, reading it does not
  if message then error(("%s: %s"):format(path, message), 0) end
  return file:seek("end")
end

local function cut_into_ranges(paths)
  local ranges = {}
  for index, path in ipairs(paths) do
    local size = size_of(path)
    for first = 0, size - 1, RANGE_BYTES do
      local last = math.min(first + RANGE_BYTES, size)
      ranges[#ranges + 1] = { index = index, path = path, first = first, last = last }
    end
  end
  return ranges
end

local function spawn_counters()
  local counters = {}
  for i, node in ipairs(mc.nodes()) do
    counters[i] = mc.spawn({ Counter, on = node })
  end
  return counters
end

local function add(total, part)
  for name, n in pairs(part) do total[name] = (total[name] or 0) + n end
end

-- Runs once per Counter, all at a time; they take from the same list.
local function feed(counter, ranges, totals)
  while #ranges > 0 do
    local range = table.remove(ranges)
    add(totals[range.index], counter:count(range.path, range.first, range.last))
  end
end

local function await_all(counters, fn, ...)
  local tasks = {}
  for i, counter in ipairs(counters) do tasks[i] = mc.async(fn, counter, ...) end
  return mc.all(table.unpack(tasks))
end

local function count_files(counters, ranges, files)
  local totals = {}
  for i = 1, files do totals[i] = { lines = 0, words = 0, bytes = 0 } end
  await_all(counters, feed, ranges, totals)
  return totals
end

local function sum_of(totals)
  local sum = { lines = 0, words = 0, bytes = 0 }
  for _, total in ipairs(totals) do add(sum, total) end
  return sum
end

local function print_counts(paths, totals)
  local sum = sum_of(totals)
  local width = #tostring(sum.bytes)
  local row = ("%%%dd %%%dd %%%dd %%s"):format(width, width, width)
  local function print_row(counts, name)
    print(row:format(counts.lines, counts.words, counts.bytes, name))
  end
  for i, path in ipairs(paths) do print_row(totals[i], path) end
  if #paths > 1 then print_row(sum, "total") end
end

local function merge_frequencies(counters)
  local merged = {}
  local function ask(counter) return counter:words() end
  for _, frequencies in ipairs { await_all(counters, ask) } do add(merged, frequencies) end
  return merged
end

local function print_frequent(frequencies)
  local words = {}
  for word in pairs(frequencies) do words[#words + 1] = word end
  table.sort(words, function(a, b)
    local n, m = frequencies[a], frequencies[b]
    return n > m or (n == m and a < b)
  end)
  print("\nmost frequent words")
  for i = 1, math.min(FREQUENT, #words) do
    print(("%7d %s"):format(frequencies[words[i]], words[i]))
  end
end

local function fail(message)
  io.stderr:write("wordcount: ", message, "\n")
  os.exit(1)
end

mc.main(function(...)
  local paths = { ... }
  if #paths == 0 then fail "usage: mooncast wordcount.lua FILE..." end
  local started = mc.now()
  local readable, ranges = pcall(cut_into_ranges, paths)
  if not readable then fail(ranges) end
  local counters = spawn_counters()
  print_counts(paths, count_files(counters, ranges, #paths))
  print_frequent(merge_frequencies(counters))
  print(("\nworkers: %d, seconds: %.3f"):format(#counters, mc.now() - started))
end)
