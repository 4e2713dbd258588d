-- What this process takes: natively, on Linux, and not under a sanitizer, which reserves terabytes and keeps
-- what was freed. Elsewhere nothing.
-- @treturn[opt] integer the most that it has used since this was last asked, in kilobytes
-- @treturn integer what it uses now
return function()
  local file = not package.loaded["mooncast.files"] and io.open "/proc/self/status"
  if not file then return end
  local text = file:read "a"
  file:close()
  if tonumber(text:match "VmSize:%s*(%d+)") > 1e9 then return end
  local reset <close> = assert(io.open("/proc/self/clear_refs", "w"))
  reset:write "5"
  return tonumber(text:match "VmHWM:%s*(%d+)"), tonumber(text:match "VmRSS:%s*(%d+)")
end
