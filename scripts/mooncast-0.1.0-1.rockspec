rockspec_format = "3.0"
package = "mooncast"
version = "0.1.0-1"
source = { url = "file://." } -- for luarocks make, in a checkout
description = {
  summary = "Distributed actors for Lua 5.4",
  detailed = "Declare an actor, spawn it on a thread or a worker, call it as if it were local.",
  license = "MIT",
}
dependencies = { "lua >= 5.4, < 5.5" }
build = {
  type = "make",
  build_target = "native",
  build_variables = { CC = "$(CC)", LUA_INCLUDE = "$(LUA_INCDIR)" },
  install_target = "install-module",
  install_variables = { LUA_CMOD = "$(LIBDIR)" },
}
