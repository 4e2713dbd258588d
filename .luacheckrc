std = "lua54"
max_line_length = 120
-- A method that does not need its actor is still a method.
self = false
exclude_files = { "build", "**/node_modules" }

files["spec"] = { std = "+busted" }
-- One step of a scenario a line.
files["spec/fixtures/memory.lua"] = { max_line_length = false }
-- Its arguments are busted's.
files["spec/support/run_busted.lua"] = { globals = { "arg" } }
