/*
** C of your own in every node of the wasm: make wasm EXTRA=bindings/examples/extra.c
**
** mooncast_open is called once in the state of each node, before the node runs anything; what it
** raises fails the start. Here it adds a module: require("checksum").adler32("abc").
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

static int open_checksum(lua_State *L) {
  static const luaL_Reg functions[] = {{"adler32", adler32}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

int mooncast_open(lua_State *L);

int mooncast_open(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_checksum);
  lua_setfield(L, -2, "checksum");
  return 0;
}
