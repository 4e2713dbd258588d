/*
** Mooncast in a C program: Lua nodes with their actors, on the program's own loop or on threads.
**
**   mc_system_config config;
**   mc_system_config_init(&config);
**   mc_system *system = mc_system_new(&config, why, sizeof why);
**   mc_system_expose(system, "clock", clock_methods, NULL);    an actor written in C
**   mc_system_run(system, "app.lua", 0, NULL, why, sizeof why);
**   mc_system_free(system);
**
** Node w1 is the calling thread's: only that thread may call the functions below, and touch the
** state that mc_system_state returns. The other nodes run on threads of their own or, with
** threads = false, whenever w1 runs.
*/
#ifndef MOONCAST_LUA_H
#define MOONCAST_LUA_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct mc_system mc_system;

typedef enum mc_log_level {
  MC_LOG_ERROR,
  MC_LOG_WARN,
  MC_LOG_INFO,
  MC_LOG_DEBUG
} mc_log_level;

typedef struct mc_system_config {
  int workers;            /* Lua nodes, w1 to wN; 0: one per processor */
  bool threads;           /* w2 and on have threads of their own (the default) */
  double call_timeout_ms; /* how long a call waits for which nobody chose a time */
  size_t
      max_memory; /* bytes that Lua may use in each node; 0: no limit. Not for `state` */
  lua_State *state; /* a state of the caller's that becomes w1; NULL: a new one */
  /* Called in the state of every node before it runs anything, on the node's own thread. May add
  ** libraries; an error that it raises fails the start. NULL: nothing. */
  lua_CFunction open;
  /* Lines for the log, from any thread; text is borrowed. NULL: standard error. */
  void (*log)(void *ud, const char *node, mc_log_level level, const char *text,
              size_t len);
  void *ud; /* for log */
} mc_system_config;

void mc_system_config_init(mc_system_config *config);

/* Starts the nodes. NULL, and a sentence in why, when one cannot start; nothing is left then. */
mc_system *mc_system_new(const mc_system_config *config, char *why, size_t why_size);

/* Ends every node and frees all but a state that was the caller's. */
void mc_system_free(mc_system *s);

/* The Lua state of w1. A call of an actor from it blocks and lets the system run meanwhile. */
lua_State *mc_system_state(mc_system *s);

/* Runs a program as the command line does: w1 runs the file, and if it calls mc.main the other nodes
** run it too and main runs to its end. True, or false and why (with a traceback). */
bool mc_system_run(mc_system *s, const char *path, int argc, const char *const *argv,
                   char *why, size_t why_size);

/* The same for a piece of Lua that w1 alone runs; name is for messages. */
bool mc_system_run_string(mc_system *s, const char *source, const char *name, char *why,
                          size_t why_size);

/* Makes an actor on w1 whose methods are C functions: each gets the actor's table (its fields are
** its state), then the arguments, and returns its results or raises. They may await as Lua may,
** with lua_callk. Upvalue 1 of each is ud. Lua finds it by mc.lookup(name) on every node. False: no
** memory, or the name is taken. The list ends with {NULL, NULL}; it is borrowed for the call. */
bool mc_system_expose(mc_system *s, const char *name, const luaL_Reg *methods, void *ud);

/* For a loop of the program's own: takes what arrived, runs for about budget_ms. Returns in how many
** milliseconds to come back: 0 at once, INFINITY when only a message can bring more to do. */
double mc_system_step(mc_system *s, double budget_ms);

/* Sleeps until something arrives for w1, at most ms. */
void mc_system_wait(mc_system *s, double ms);

#endif
