-- What programs do with text: format, find, gsub, concatenation, upper case.
return function()
  local lines = {}
  for i = 1, 200 do
    lines[i] = ("%d: %s=%s"):format(i, "key" .. i, ("value"):rep(i % 5 + 1))
  end
  local text = table.concat(lines, "\n")
  local total = 0
  for number, key, value in text:gmatch "(%d+): (%w+)=(%w+)" do
    total = total + #number + #key:upper() + #value
  end
  local changed, times = text:gsub("value", "other")
  return times == 600 and #changed == #text and total > 0
end
