-- A thousand bare pairs of resume and yield.
return function()
  local co = coroutine.wrap(function()
    while true do coroutine.yield(true) end
  end)
  for _ = 1, 1000 do co() end
  return co()
end
