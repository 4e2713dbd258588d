-- What the measurements in Lua share.

local mc = require "mooncast"

local measure = {}

--- How often per second: batch(n) does it n times. Once to warm up, then with more until it takes long enough.
function measure.rate(batch, seconds)
  local n = 100
  while true do
    local start = mc.now()
    batch(n)
    local took = mc.now() - start
    if took >= seconds then return n / took end
    n = math.ceil(n * math.min(10, 1.2 * seconds / math.max(took, seconds / 100)))
  end
end

--- Runs fn(i) in so many tasks at a time and waits for them.
function measure.many(callers, fn)
  local tasks = {}
  for i = 1, callers do tasks[i] = mc.async(fn, i) end
  mc.all(table.unpack(tasks))
end

function measure.report(name, value)
  if value then print(("%s %.6g"):format(name, value)) end
end

--- Fifteen fields, three levels.
measure.RECORD = {
  id = 123456789, name = "Ada Lovelace", email = "ada@example.org", active = true, score = 98.6, visits = 42,
  tags = { "first", "program", "engine" },
  address = { street = "St James's Square", number = 12, city = "London", position = { lat = 51.507, lon = -0.135 } },
}

return measure
