--- LuaFileSystem's functions that busted and Penlight use, where no C module can be loaded.
local files = require "mooncast.files"

local lfs = { _VERSION = "LuaFileSystem 1.8.0 (Mooncast's stand-in)" }

function lfs.attributes(path, wanted)
  local attributes, message, code = files.attributes(path)
  if not attributes then
    return nil, message, code
  end
  attributes.access, attributes.change = attributes.modification, attributes.modification
  if type(wanted) == "string" then
    return attributes[wanted]
  end
  return attributes
end

-- Links are followed: nothing here asks whether there is one.
lfs.symlinkattributes = lfs.attributes

function lfs.dir(path)
  local names = assert(files.list(path))
  table.insert(names, 1, "..")
  table.insert(names, 1, ".")
  local at = 0
  return function()
    at = at + 1
    return names[at]
  end
end

lfs.currentdir = files.cwd

-- All workers share one current folder, so none of them can change it.
function lfs.chdir(path)
  if path == "." or path == "./" or path == files.cwd() then
    return true
  end
  return nil, "cannot change the current folder in a worker"
end

function lfs.mkdir()
  return nil, "cannot make a folder in a worker"
end
lfs.rmdir = os.remove

return lfs
