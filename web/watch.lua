-- What the picture of the nodes needs to know of each: its numbers, and its actors by type.
do
  local mc = require "mooncast"
  local types = {}
  local function type_of(ref) return tostring(ref):match "^(.*) " end
  mc.on("assign", function(ref)
    local name = type_of(ref)
    types[name] = (types[name] or 0) + 1
  end)
  mc.on("resign", function(ref)
    local name = type_of(ref)
    types[name] = types[name] > 1 and types[name] - 1 or nil
  end)
  local Watch = mc.actor "page.Watch"
  function Watch.look(_)
    local shown = mc.map()
    for name, n in pairs(types) do
      if name ~= "page.Watch" then shown[name] = n end
    end
    return mc.stats(), shown
  end
end
