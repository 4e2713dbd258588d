-- Every row of the checklist that is claimed has a test that names it.
local rows = require "spec.rows"
local tree = require "spec.support.tree"

local function is_spec(path)
  return path:find "_spec%.lua$" or path:find "%.test%.js$" or path:find "_test%.c$"
end

-- Whether a title in the text ends with the row, alone or among others.
local function proves(text, row)
  for line in text:gmatch "[^\n]+" do
    if line:find("[\"'`].*%[" .. row .. "%]") then return true end
  end
  return false
end

local function provers(row)
  local found = {}
  for _, path in ipairs(tree.files("spec", ".")) do
    if is_spec(path) and path ~= "spec/rows_spec.lua" and proves(tree.read(path), row) then
      found[#found + 1] = path:sub(6)
    end
  end
  return table.concat(found, " ")
end

describe("spec/rows.lua", function()
  it("claims rows of the checklist", function()
    local count = 0
    for row in pairs(rows) do
      assert.matches("^[A-M][1-9]%d?$", row)
      count = count + 1
    end
    assert.is_true(count >= 64)
  end)

  it("names a spec file for each row, in which a test names the row", function()
    local missing = {}
    for row, files in pairs(rows) do
      if not files:find "%S" then missing[#missing + 1] = row .. " has no test; there is one in: " .. provers(row) end
      for name in files:gmatch "%S+" do
        local path = "spec/" .. name
        if not is_spec(path) or not proves(tree.read(path), row) then
          missing[#missing + 1] = ("%s has no test in %s; there is one in: %s"):format(row, path, provers(row))
        end
      end
    end
    table.sort(missing)
    assert.equal("", table.concat(missing, "\n"))
  end)

  it("is not satisfied by another row, or by code", function()
    assert.is_true(proves('it("does it [B1]", function()', "B1"))
    assert.is_true(proves('  test("both [A1] [B1]", () => {', "B1"))
    assert.is_false(proves('it("does it [B10]", function()', "B1"))
    assert.is_false(proves("local x = t[B1]", "B1"))
    assert.is_false(proves("", "B1"))
  end)
end)
