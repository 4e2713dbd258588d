/*
** Fairness: a task that computes for long waits for its turn like one that awaits, so that the other
** actors of its node go on and messages come in. Only our Lua asks (lua/patches/preempt.patch); under
** stock Lua a task keeps its node until it awaits.
**
** What it asks after is counted, not timed, so a program that is run again is preempted at the same
** places, as long as the clock says the same.
*/
#include <lua.h>

#include "lua_node.h"

#ifdef LUA_PREEMPTS

/* Where an await would be refused nothing waits. */
static int is_to_wait(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  mc_lua_task *t = M ? M->current : NULL;
  if (!t || t->blocked || M->encoding || !lua_isyieldable(L) ||
      !mc_node_turn_over(M->node))
    return 0;
  t->parked = L;
  t->awaits = MC_AWAIT_TURN;
  t->nvalues = 0;
  t->settled = true;
  mc_task_ready(M->node, &t->base);
  return 1;
}

static bool set_up(lua_State *L) {
  lua_setpreempt(L, is_to_wait);
  return true;
}

#else

static bool set_up(lua_State *L) {
  (void)L;
  return false;
}

#endif

/* Of the table on top, field preempts: whether this Lua does. */
void mc__lua_open_preempt(lua_State *L) {
  lua_pushboolean(L, set_up(L));
  lua_setfield(L, -2, "preempts");
}
