/*
** A C program with Mooncast inside. It exposes an actor written in C, runs a Lua program that calls
** it and an actor of its own on another thread, and then calls an actor of that program from C,
** first by waiting and then from a loop of its own.
**
**   cc host.c $(pkg-config --cflags --libs mooncast) -o host && ./host host.lua
*/
#include <math.h>
#include <mooncast_lua.h>
#include <stdio.h>

/* The methods of the actor in C. The actor's table is argument 1, its state; one call runs at a
** time, so nothing here needs a lock. */
static int thermometer_record(lua_State *L) {
  double celsius = luaL_checknumber(L, 2);
  lua_getfield(L, 1, "count");
  lua_pushinteger(L, luaL_optinteger(L, -1, 0) + 1);
  lua_setfield(L, 1, "count");
  lua_getfield(L, 1, "sum");
  lua_pushnumber(L, luaL_optnumber(L, -1, 0) + celsius);
  lua_setfield(L, 1, "sum");
  return 0;
}

static int thermometer_mean(lua_State *L) {
  lua_getfield(L, 1, "count");
  lua_getfield(L, 1, "sum");
  if (lua_isnil(L, -1)) return luaL_error(L, "nothing was recorded yet");
  lua_pushnumber(L, lua_tonumber(L, -1) / lua_tonumber(L, -2));
  return 1;
}

static const luaL_Reg thermometer[] = {
    {"record", thermometer_record}, {"mean", thermometer_mean}, {NULL, NULL}};

static int fail(mc_system *system, const char *why) {
  fprintf(stderr, "host: %s\n", why);
  if (system) mc_system_free(system);
  return 1;
}

/* Calls an actor as Lua would: `station:report()`, where station is a global that host.lua set.
** Outside of a task the call waits, and the system runs meanwhile. */
static int call_and_wait(lua_State *L) {
  lua_getglobal(L, "station");
  lua_getfield(L, -1, "report");
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) return 0;
  printf("C got: %s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
  return 1;
}

/* The same without waiting: a task, and a loop that could as well serve windows or sockets. */
static int call_from_a_loop(mc_system *system) {
  lua_State *L = mc_system_state(system);
  if (luaL_dostring(
          L, "return require('mooncast').async(function() return station:report() end)"))
    return 0;
  for (;;) {
    double next_ms = mc_system_step(system, 4);
    lua_getfield(L, -1, "status");
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    int done = *lua_tostring(L, -1) != 'r'; /* "running" */
    lua_pop(L, 1);
    if (done) break;
    mc_system_wait(system, fmin(next_ms, 1000)); /* sleeps until a message comes */
  }
  lua_pop(L, 1);
  puts("and again from a loop of C's own");
  return 1;
}

int main(int argc, char **argv) {
  char why[1024];
  mc_system_config config;
  if (argc < 2) return fail(NULL, "usage: host program.lua [arguments]");
  mc_system_config_init(&config);
  config.workers = 3;
  mc_system *system = mc_system_new(&config, why, sizeof why);
  if (!system) return fail(NULL, why);
  if (!mc_system_expose(system, "thermometer", thermometer, NULL))
    return fail(system, "cannot expose the thermometer");
  if (!mc_system_run(system, argv[1], argc - 2, (const char *const *)argv + 2, why,
                     sizeof why))
    return fail(system, why);
  if (!call_and_wait(mc_system_state(system)))
    return fail(system, "the station does not answer");
  if (!call_from_a_loop(system)) return fail(system, "the task did not start");
  mc_system_free(system);
  return 0;
}
