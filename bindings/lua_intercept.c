/*
** What stands around calls: when there is an interceptor (mc.intercept), a request that leaves an
** actor, and a handler that starts, go through a function of lua/intercept.lua, whose innermost step
** is the plain one. Who has none pays for a test of M->around.
**
**   out   around(kind, ref, method, ...)            in place of the call, in its very task
**   in    around(is_cast, method, fn, self, ...)    below the handler, first of its task
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

/* The system's own traffic goes by itself: nodes must find one another whatever a program does. */
static bool is_system(const mc_type *type) {
  return strcmp(type->name, "mc.node") == 0 || strcmp(type->name, "mc.host") == 0;
}

bool mc__lua_is_around_call(const mc_lua *M, const mc_lua_ref *ref) {
  return M->around && !is_system(ref->type);
}

static int around_k(lua_State *L, int status, lua_KContext below) {
  (void)status;
  return lua_gettop(L) - (int)below;
}

int mc__lua_call_around(lua_State *L, mc_lua *M, const char *kind, int method,
                        int first) {
  int nargs = lua_gettop(L) - first + 1;
  luaL_checkstack(L, 8, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->around_call);
  lua_pushstring(L, kind);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, method);
  lua_rotate(L, first, 4);
  lua_callk(L, nargs + 3, LUA_MULTRET, first - 1, around_k);
  return around_k(L, LUA_OK, first - 1);
}

int mc__lua_wrap_handler(mc_lua *M, mc_lua_task *t, lua_State *L, int method) {
  const mc_turn *turn = t->turn;
  if (!M->around || is_system(turn->actor->type) || lua_rawlen(L, method) == 0) return 0;
  lua_rawgeti(t->co, LUA_REGISTRYINDEX, M->around_handler);
  lua_pushboolean(t->co, turn->kind == MC_CAST);
  lua_pushvalue(L, method);
  lua_xmove(L, t->co, 1);
  lua_rotate(t->co, 1, 3);
  return 3;
}

/* core.around(call, handler): these two from now on; without them none. */
static int l_around(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  M->around = lua_toboolean(L, 1);
  if (!M->around) return 0;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_rawseti(L, LUA_REGISTRYINDEX, M->around_handler);
  lua_rawseti(L, LUA_REGISTRYINDEX, M->around_call);
  return 0;
}

void mc__lua_open_intercept(lua_State *L, mc_lua *M) {
  lua_pushboolean(L, 0);
  M->around_call = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushboolean(L, 0);
  M->around_handler = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushcfunction(L, l_around);
  lua_setfield(L, -2, "around");
}
