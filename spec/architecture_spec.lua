-- Who may know whom: the arrows between the folders, read out of every #include, require and import.
local tree = require "spec.support.tree"

local function set_of(names)
  local set = {}
  for name in names:gmatch "%S+" do set[name] = true end
  return set
end

local STANDARD_C <const> = set_of [[assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdarg.h
  stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h time.h setjmp.h]]
-- What the core uses of the C library: no files, no clock, no memory of its own.
local CORE_C <const> = set_of "math.h stdbool.h stddef.h stdint.h string.h"
local LUA_C <const> = set_of "lua.h lauxlib.h lualib.h"

local function starts(text, prefix) return text:sub(1, #prefix) == prefix end

-- The files that the platform may show in.
local function is_platform(path)
  return path:find "^runtime/platform_[^/]*%.c$" or path:find "^bindings/wasm_[^/]*%.[ch]$"
end

--- C ----------------------------------------------------------------------------------------------

-- Why a file may not include that header, or nil.
local function refuse_include(path, header, exists)
  if header:find("spec/", 1, true) then return "nothing sees spec/" end
  if is_platform(path) then
    local private = starts(path, "bindings/") and exists("runtime/" .. header) and not exists("bindings/" .. header)
    return private and "only the core's public header is for others" or nil
  end
  if starts(path, "runtime/") then
    if CORE_C[header] or header == "mooncast.h" or exists("runtime/" .. header) then return nil end
    return "the core includes its own headers and a few of C's"
  end
  if STANDARD_C[header] or LUA_C[header] or header == "mooncast.h" then return nil end
  if exists("bindings/" .. header) or exists("bindings/include/" .. header) then return nil end
  if header == "platform.h" and starts(path, "bindings/native_") then return nil end
  return "bindings include the core's public header, their own, Lua's and C's"
end

local PLATFORM_WORDS <const> = { "_WIN32", "_WIN64", "__APPLE__", "__MACH__", "__linux__", "__unix__", "unix",
  "__EMSCRIPTEN__", "EMSCRIPTEN", "__wasm__", "__wasm32__", "__wasi__", "__ANDROID__", "__FreeBSD__", "_MSC_VER" }

local function check_c(path, text, exists)
  local problems = {}
  local function problem(line, why) problems[#problems + 1] = ("%s: %s: %s"):format(path, line, why) end
  for line in text:gmatch "[^\n]+" do
    local header = line:match '^%s*#%s*include%s*[<"]([^>"]+)[>"]'
    local why = header and refuse_include(path, header, exists)
    if why then problem(line, why) end
    local condition = line:match "^%s*#%s*if.*" or line:match "^%s*#%s*elif.*"
    for _, word in ipairs(PLATFORM_WORDS) do
      if condition and not is_platform(path) and condition:find("%f[%w_]" .. word .. "%f[^%w_]") then
        problem(line, "platforms differ in platform files only")
      end
    end
  end
  return problems
end

--- Lua --------------------------------------------------------------------------------------------

local function check_lua(path, text)
  local problems = {}
  for line in text:gmatch "[^\n]+" do
    local code = line:gsub("^%s*%-%-.*", "")
    for name in code:gmatch "%f[%w_]require%s*%(?%s*[\"']([^\"']+)[\"']" do
      local allowed = name == "mooncast" or starts(name, "mooncast.") or name == "cjson"
      if starts(path, "web/") then allowed = allowed or not starts(name, "spec") end
      if not allowed then problems[#problems + 1] = ("%s: %s"):format(path, name) end
    end
  end
  return problems
end

--- JavaScript -------------------------------------------------------------------------------------

-- Those that a page loads as well have nothing of Node.
local NODE_ONLY <const> = set_of [[worker-shell/cli.js worker-shell/repl.js worker-shell/platform-node.js
  worker-shell/worker-node.js]]

local function is_node_only(path) return NODE_ONLY[path] or path:find "%-node%.js$" or path:find "/serve[^/]*%.js$" end

-- A relative import's path from the repository's root.
local function resolved(path, wanted)
  local parts = {}
  for part in (path:gsub("[^/]*$", "") .. wanted):gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

local function refuse_import(path, wanted)
  if starts(wanted, "node:") then
    if starts(path, "web/") then return "a page has nothing of Node" end
    return not is_node_only(path) and "what pages load as well has nothing of Node" or nil
  end
  -- The page's editor, which is built into it.
  if path == "web/editor.js" and (starts(wanted, "@codemirror/") or starts(wanted, "@lezer/")) then return nil end
  if not starts(wanted, ".") then return "no package is needed to run" end
  local target = resolved(path, wanted)
  if starts(target, "worker-shell/") then return nil end
  if starts(path, "web/") and starts(target, "web/") then return nil end
  return "worker-shell imports itself alone, web itself and worker-shell"
end

local function imports(text)
  local found = {}
  text = text:gsub("/%*.-%*/", "")
  for line in text:gmatch "[^\n]+" do
    line = line:gsub("^%s*//.*", "")
    local wanted = line:match "^%s*import%s*[\"']([^\"']+)[\"']" or line:match "%f[%w]from%s+[\"']([^\"']+)[\"']"
      or line:match "%f[%w]import%s*%(%s*[\"']([^\"']+)[\"']" or line:match "%f[%w]require%s*%(%s*[\"']([^\"']+)[\"']"
    if wanted then found[#found + 1] = wanted end
  end
  return found
end

local function check_js(path, text)
  local problems = {}
  for _, wanted in ipairs(imports(text)) do
    local why = refuse_import(path, wanted)
    if why then problems[#problems + 1] = ("%s: %s: %s"):format(path, wanted, why) end
  end
  return problems
end

--- The rules over the tree ------------------------------------------------------------------------

local function check_all(folders, pattern, check, ...)
  local files, problems = tree.files(folders, pattern), {}
  assert(#files > 0, "no files in " .. folders)
  for _, path in ipairs(files) do
    for _, problem in ipairs(check(path, tree.read(path), ...)) do problems[#problems + 1] = problem end
  end
  assert.equal("", table.concat(problems, "\n"))
end

local function exists(path)
  local file = io.open(path, "rb")
  if not file then return false end
  file:close()
  return true
end

describe("the tree", function()
  it("includes in C what it may", function()
    check_all("runtime bindings", "%.[ch]$", check_c, exists)
  end)

  it("requires in Lua what it may", function()
    check_all("lua web", "%.lua$", check_lua)
  end)

  it("imports in JavaScript what it may", function()
    check_all("worker-shell web", "%.m?js$", check_js)
  end)

  it("has one public header of the core, and one of the bindings", function()
    assert.same({ "runtime/include/mooncast.h" }, tree.files("runtime/include", "."))
    assert.same({ "bindings/include/mooncast_lua.h" }, tree.files("bindings/include", "."))
  end)

  it("names what one file has for others mc_ or mc__", function()
    local wrong, count = {}, 0
    for _, path in ipairs(tree.files("runtime", "%.h$")) do
      for name in tree.read(path):gmatch "\n[%w_][%w_ ]-[ *]([%w_]+)%([^\n]*" do
        count = count + 1
        if not name:find "^mc_" then wrong[#wrong + 1] = path .. ": " .. name end
      end
    end
    assert.is_true(count > 50)
    assert.same({}, wrong)
  end)
end)

describe("the rules", function()
  local function here(path) return path == "runtime/node.h" or path == "bindings/lua_node.h" end

  local function count(check, path, line) return #check(path, "\n" .. line .. "\n", here) end

  it("refuse wrong includes", function()
    assert.equal(1, count(check_c, "runtime/node.c", "#include <lua.h>"))
    assert.equal(1, count(check_c, "runtime/node.c", '#include "lua_node.h"'))
    assert.equal(1, count(check_c, "runtime/node.c", "#include <time.h>"))
    assert.equal(1, count(check_c, "runtime/node.c", "#  include <emscripten.h>"))
    assert.equal(1, count(check_c, "bindings/lua_call.c", '#include "node.h"'))
    assert.equal(1, count(check_c, "bindings/wasm_node.c", '#include "node.h"'))
    assert.equal(1, count(check_c, "bindings/lua_call.c", "#include <emscripten.h>"))
    assert.equal(1, count(check_c, "bindings/lua_call.c", '#include "platform.h"'))
    assert.equal(1, count(check_c, "bindings/lua_call.c", '#include "../spec/support/check.h"'))
    assert.equal(1, count(check_c, "runtime/node.c", "#ifdef _WIN32"))
    assert.equal(1, count(check_c, "bindings/lua_call.c", "#elif defined(__EMSCRIPTEN__)"))
  end)

  it("let right includes be", function()
    assert.equal(0, count(check_c, "runtime/node.c", '#include "node.h"'))
    assert.equal(0, count(check_c, "runtime/node.c", "#include <string.h>"))
    assert.equal(0, count(check_c, "runtime/platform_posix.c", "#include <pthread.h>"))
    assert.equal(0, count(check_c, "bindings/lua_call.c", "#include <lua.h>"))
    assert.equal(0, count(check_c, "bindings/native_node.c", '#include "platform.h"'))
    assert.equal(0, count(check_c, "runtime/node.c", "#if unixlike"))
  end)

  it("refuse wrong requires", function()
    assert.equal(1, count(check_lua, "lua/node.lua", 'local x = require "spec.support.clean"'))
    assert.equal(1, count(check_lua, "lua/node.lua", "require('posix')"))
    assert.equal(0, count(check_lua, "lua/node.lua", '-- require "posix"'))
    assert.equal(0, count(check_lua, "lua/node.lua", 'local x = require "mooncast.node"'))
    assert.equal(1, count(check_lua, "web/examples/a.lua", 'require "spec.x"'))
    assert.equal(0, count(check_lua, "web/examples/a.lua", 'require "helper"'))
  end)

  it("refuse wrong imports", function()
    assert.equal(1, count(check_js, "worker-shell/ring.js", 'import x from "../spec/support/x.js";'))
    assert.equal(1, count(check_js, "worker-shell/ring.js", 'import "../web/page.js";'))
    assert.equal(1, count(check_js, "worker-shell/ring.js", 'const x = await import("left-pad");'))
    assert.equal(1, count(check_js, "worker-shell/ring.js", 'import fs from "node:fs";'))
    assert.equal(1, count(check_js, "worker-shell/ring.js", '} from "node:fs";'))
    assert.equal(1, count(check_js, "web/page.js", 'import x from "../build/x.js";'))
    assert.equal(1, count(check_js, "web/page.js", 'import fs from "node:fs";'))
    assert.equal(0, count(check_js, "web/page.js", 'import x from "../worker-shell/index.js";'))
    assert.equal(0, count(check_js, "worker-shell/cli.js", 'import fs from "node:fs";'))
    assert.equal(0, count(check_js, "worker-shell/ring.js", 'import { a } from "./soon.js";'))
  end)
end)
