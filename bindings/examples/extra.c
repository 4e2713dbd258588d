/*
** C of your own in every node of the wasm: make wasm EXTRA=bindings/examples/extra.c
**
** mooncast_open is called once in the state of each node, before the node runs anything; what it
** raises fails the start. Here it adds a module: require("checksum").adler32("abc"). The module has an
** actor type, too, whose methods are C functions: mc.spawn { require("checksum").Sum, on = "w2" }.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

static int adler32(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < len; i++) {
    a = (a + (unsigned char)s[i]) % 65521;
    b = (b + a) % 65521;
  }
  lua_pushinteger(L, (lua_Integer)(b << 16 | a));
  return 1;
}

/* sum:add(text) -> the sum of all texts' checksums so far; argument 1 is the actor's table. */
static int sum_add(lua_State *L) {
  lua_pushcfunction(L, adler32);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  lua_getfield(L, 1, "sum");
  lua_pushinteger(L, luaL_optinteger(L, -1, 0) + lua_tointeger(L, -2));
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, "sum");
  return 1;
}

static int open_checksum(lua_State *L) {
  static const luaL_Reg functions[] = {{"adler32", adler32}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"add", sum_add}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "mooncast");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "actor");
  lua_pushliteral(L, "Sum");
  lua_call(L, 1, 1);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -3, "Sum");
  lua_pop(L, 1);
  return 1;
}

int mooncast_open(lua_State *L);

int mooncast_open(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_checksum);
  lua_setfield(L, -2, "checksum");
  return 0;
}
