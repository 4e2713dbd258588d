-- A generator: values that pass through yield and resume.
return function()
  local sum = 0
  local numbers = coroutine.wrap(function()
    for i = 1, 5000 do coroutine.yield(i) end
    return nil
  end)
  for n in numbers do sum = sum + n end
  return sum == 12502500
end
