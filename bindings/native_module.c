/*
** `require "mooncast"` under stock lua5.4 and busted: the state that requires it becomes node w1 of
** a system whose other nodes run on threads. MOONCAST_WORKERS says how many nodes; the default is
** one per processor. The system ends with the state.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "mooncast_lua.h"

static int close_system(lua_State *L) {
  mc_system **s = lua_touserdata(L, 1);
  if (*s) mc_system_free(*s);
  *s = NULL;
  return 0;
}

static int workers_wanted(lua_State *L) {
  const char *text = getenv("MOONCAST_WORKERS");
  if (!text) return 0;
  char *end;
  long n = strtol(text, &end, 10);
  if (*end || n < 1 || n > 256)
    return luaL_error(L, "MOONCAST_WORKERS is '%s', not a number of nodes from 1 to 256",
                      text);
  return (int)n;
}

int luaopen_mooncast(lua_State *L);

int luaopen_mooncast(lua_State *L) {
  char why[512];
  mc_system_config config;
  mc_system_config_init(&config);
  config.workers = workers_wanted(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  config.state = lua_tothread(L, -1);
  mc_system **s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_system);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, "mooncast.system");
  mc_system *system = mc_system_new(&config, why, sizeof why);
  if (!system) return luaL_error(L, "%s", why);
  lua_getfield(L, LUA_REGISTRYINDEX, "mooncast.system");
  *(mc_system **)lua_touserdata(L, -1) = system;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, "mooncast");
  lua_pushliteral(L, "mooncast");
  lua_call(L, 1, 1);
  return 1;
}
