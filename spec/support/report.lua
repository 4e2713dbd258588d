--- A busted output handler: a line per failure as it happens, then the counts on the last line. With
-- -Xoutput names a line for each test that begins, too.
local pretty = require "pl.pretty"
local base = require "busted.outputHandlers.base"
local busted = require "busted"

local totals = { total = 0 }
package.loaded["mooncast.report"] = totals

local function describe(failure)
  local message = failure.message
  if type(message) == "table" and not (getmetatable(message) or {}).__tostring then
    message = pretty.write(message)
  end
  local trace = failure.element.trace or failure.trace or {}
  local where = trace.short_src and ("%s:%s: "):format(trace.short_src, trace.currentline) or ""
  local text = { "FAILED ", where, failure.name, "\n", tostring(message), "\n" }
  if failure.isError and failure.trace and failure.trace.traceback then
    text[#text + 1] = failure.trace.traceback .. "\n"
  end
  return table.concat(text)
end

return function(options)
  local handler = base()
  local shown = 0 -- of handler.failures

  -- Called after the base handler, which has just filed it.
  local function show(element)
    local failed = element.descriptor == "it" and #handler.failures > shown
    local list = failed and handler.failures or handler.errors
    shown = #handler.failures
    io.write(describe(list[#list]))
    io.flush()
    return nil, true
  end

  function handler.suite_end()
    local failed = handler.failuresCount + handler.errorsCount
    totals.total = handler.successesCount + failed
    for _, pending in ipairs(handler.pendings) do
      io.write("pending ", pending.name, "\n")
    end
    io.write(("%d passed, %d failed\n"):format(handler.successesCount, failed))
    io.flush()
    return nil, true
  end

  if options.arguments[1] == "names" then
    busted.subscribe({ "test", "start" }, function(element)
      io.write("begins ", handler.getFullName(element), "\n")
      io.flush()
      return nil, true
    end)
  end
  busted.subscribe({ "failure" }, show)
  busted.subscribe({ "error" }, show)
  busted.subscribe({ "suite", "end" }, handler.suite_end)
  return handler
end
