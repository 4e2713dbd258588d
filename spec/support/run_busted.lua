--- Runs stock busted on spec files: `mooncast test spec/` in a worker, or under stock Lua
-- `lua5.4 spec/support/run_busted.lua spec/`. Arguments are busted's own.
--
-- What busted needs comes from where Debian or LuaRocks put it. In wasm no C modules can be loaded:
-- there support/wasm has stand-ins for the three that busted wants (lfs, system, term).
-- Prints `N passed, N failed` as its last line and exits with 1 when a test failed or none ran.

local here = debug.getinfo(1, "S").source:match("^@(.*)[/\\][^/\\]*$") or "."
local in_wasm = pcall(require, "mooncast.files")

local function prepend(path, entries)
  return table.concat(entries, ";") .. ";" .. path
end

if in_wasm then
  package.path = prepend(package.path, { here .. "/wasm/?.lua" })
    .. ";/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua"
else
  package.cpath = prepend(package.cpath, { here .. "/../../build/native/?.so" })
end
-- Helpers that specs share: require "spec.support.x" from the project's folder.
package.path = prepend(package.path, { "./?.lua" })
-- Loaded before the specs: busted unloads after each file what that file loaded.
-- A driver of simulated nodes is none itself.
if not package.preload["mooncast.sim"] then pcall(require, "mooncast") end

local found, runner = pcall(require, "busted.runner")
if not found then
  io.stderr:write("busted is not installed (Debian: lua-busted): ", tostring(runner), "\n")
  os.exit(1)
end

local report = here .. "/report.lua"
arg[0] = "busted"
runner { standalone = false, output = report }
-- With failures the runner has left by os.exit already. No test at all is a failure, too.
os.exit(package.loaded["mooncast.report"].total > 0 and 0 or 1, true)
