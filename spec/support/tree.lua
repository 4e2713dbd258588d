--- The files of this repository, for specs about the repository itself.

local lfs = require "lfs"

local tree = {}

local function walk(folder, pattern, found)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name ~= "." and name ~= ".." then
      if lfs.attributes(path, "mode") == "directory" then
        walk(path, pattern, found)
      elseif name:find(pattern) then
        found[#found + 1] = path
      end
    end
  end
  return found
end

--- The paths of the files below the folders whose names match the pattern, sorted.
function tree.files(folders, pattern)
  local found = {}
  for folder in folders:gmatch "%S+" do
    if lfs.attributes(folder, "mode") == "directory" then walk(folder, pattern, found) end
  end
  table.sort(found)
  return found
end

function tree.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

return tree
