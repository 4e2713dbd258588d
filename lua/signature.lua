--- Declared arguments and results of methods, as text: "string, integer? -> boolean, ...".
-- Types are boolean, integer, number, string, table, reference and any; a question mark behind one
-- says that it may be nil or missing; three dots stand for any number of anything. Without an arrow
-- the results are not declared. bindings/lua_signature.c has the letters.

local letters = {
  boolean = "b", integer = "i", number = "n", string = "s", table = "t", reference = "r", any = "a",
}

local function one(word, text)
  if word == "..." then return "." end
  local name, optional = word:match "^(%a+)(%??)$"
  if not letters[name] then error(("'%s' is no type in the signature '%s'"):format(word, text), 0) end
  return letters[name] .. optional
end

local function list(part, text)
  part = part:match "^%s*%(?(.-)%)?%s*$"
  local compiled = {}
  if part == "" then return "" end
  for word in (part .. ","):gmatch "%s*(.-)%s*," do
    if compiled[#compiled] == "." then error(("nothing can follow '...' in the signature '%s'"):format(text), 0) end
    compiled[#compiled + 1] = one(word, text)
  end
  return table.concat(compiled)
end

local signature = {}

--- Compiles one signature.
-- @usage signature.compile "string, integer? -> boolean"  --> "si?>b"
function signature.compile(text)
  local arguments, results = text:match "^(.-)%->(.*)$"
  if not arguments then return list(text, text) end
  return list(arguments, text) .. ">" .. list(results, text)
end

--- Compiles a table of them, method name -> text.
function signature.compile_all(signatures)
  local compiled = {}
  if type(signatures) ~= "table" then error("signatures is a table", 0) end
  for name, text in pairs(signatures) do
    if type(text) ~= "string" then error(("the signature of '%s' is no string"):format(tostring(name)), 0) end
    compiled[name] = signature.compile(text)
  end
  return compiled
end

--- The results that compiled letters declare, as text; nil when they declare none.
-- @usage signature.results "si?>b?."  --> "boolean?, ..."
function signature.results(compiled)
  local results = compiled:match ">(.*)$"
  local names = { ["."] = "..." }
  for name, letter in pairs(letters) do names[letter] = name end
  return results and (results:gsub("(.)(%??)", function(letter, optional)
    return ", " .. names[letter] .. optional
  end):sub(3))
end

return signature
