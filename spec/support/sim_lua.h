/* Read before each of Lua's own files in the simulation's interpreter (make sim): the same Lua as in the
** wasm, which bindings/wasm_lua.h sets up. */
#ifndef MC_SIM_LUA_H
#define MC_SIM_LUA_H

#define LUA_USE_LINUX /* busted's modules are shared libraries */
#define LUAI_MAXCCALLS 200

unsigned int mc_lua_seed(void);
#define luai_makeseed(L) mc_lua_seed()
#define l_randomizePivot() mc_lua_seed()

#ifdef SIM_MAIN /* lua.c */
struct lua_State;
int mooncast_open(struct lua_State *L);
#define luaL_openlibs(L) (luaL_openlibs(L), mooncast_open(L))
#endif

#endif
