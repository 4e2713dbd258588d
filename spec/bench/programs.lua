-- Runs the programs in lua/ in whatever Lua this is: reports how often per second each does its work.
-- They know nothing of where they run; this file takes what it needs as arguments.
--
--     lua5.4 spec/bench/programs.lua stock 0.2 [name...]
--     mooncast spec/bench/programs.lua 0.2 [name...]
--     wasmoon and fengari: programs.mjs

local NAMES = { "fib", "queens", "strings", "tables", "sort", "binary_trees", "methods", "pcall", "error", "coroutine",
  "mandelbrot", "switch", "switch_in_pcall" }

-- How often per second, after a first time.
local function rate(work, now, seconds)
  local n = 1
  while true do
    local start = now()
    for _ = 1, n do
      if not work() then error "a program did not come to its result" end
    end
    local took = now() - start
    if took >= seconds then return n / took end
    n = math.ceil(n * math.min(10, 1.2 * seconds / math.max(took, seconds / 100)))
  end
end

-- source(name) is the text of a program, now() the time in seconds; behind them names, all unless given.
local function run(source, now, seconds, report, ...)
  for _, name in ipairs(... and { ... } or NAMES) do
    local program = assert(load(source(name), "=" .. name))()
    report("program_" .. name, rate(program, now, seconds))
  end
end

local function read(name)
  local file = assert(io.open("spec/bench/lua/" .. name .. ".lua"))
  local text = file:read("*a")
  file:close()
  return text
end

local function report(name, value) print(("%s %.6g"):format(name, value)) end

local first, second = ...
if type(first) == "function" then return run(...) end
if first == "stock" then
  run(read, require "socket".gettime, tonumber(second), report, select(3, ...))
else
  local mc = require "mooncast"
  mc.main(function(seconds, ...) run(read, mc.now, tonumber(seconds), report, ...) end)
end
