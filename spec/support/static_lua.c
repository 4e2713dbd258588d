/* For stock Lua's own main program, in which it takes the place of luaL_openlibs: mooncast is linked
** in, and `require` finds it. */
#include <lauxlib.h>
#include <lualib.h>

int luaopen_mooncast(lua_State *L);
void open_libraries(lua_State *L);

void open_libraries(lua_State *L) {
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_mooncast);
  lua_setfield(L, -2, "mooncast");
  lua_pop(L, 1);
}
