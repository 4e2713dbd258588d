/*
** mc.hold: an actor lets nothing new start for a while. The core counts the holds that are open on an
** actor; here each belongs to the task that asked for it, and ends with that at the latest.
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

#define HOLD "mooncast.hold"

struct mc_lua_hold {
  mc_lua_task *task; /* NULL when it was released */
  mc_lua_hold *next; /* of the same task */
};

static void forget(mc_lua_hold *h) {
  mc_lua_hold **at = &h->task->holds;
  while (*at != h) at = &(*at)->next;
  *at = h->next;
  h->task = NULL;
}

/* The actor that a task works for, or NULL. */
static mc_actor *actor_of(const mc_lua_task *t) {
  while (t->owner) t = t->owner;
  return t->turn ? t->turn->actor : t->loose;
}

/* core.hold() -> hold. From now on calls and casts to the actor of the running task wait. */
static int l_hold(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_task *t = mc__lua_task_current(M);
  mc_actor *a = actor_of(t);
  if (!a || a->instance == 1)
    return luaL_error(L, "mc.hold is for the handlers and tasks of an actor");
  mc_lua_hold *h = lua_newuserdatauv(L, sizeof *h, 0);
  memset(h, 0, sizeof *h);
  luaL_setmetatable(L, HOLD);
  if (!mc_actor_hold(a)) return 1; /* it is being stopped: released already */
  h->task = t;
  h->next = t->holds;
  t->holds = h;
  t->held = a;
  t->hold_count++;
  M->holds++;
  return 1;
}

/* hold:release(): also by closing it, and at the end of its task. Again: nothing. */
static int l_release(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_hold *h = luaL_checkudata(L, 1, HOLD);
  mc_lua_task *t = h->task;
  if (!t) return 0;
  forget(h);
  t->hold_count--;
  M->holds--;
  mc_actor_release(M->node, t->held);
  return 0;
}

/* Who dropped it without releasing it holds on up to the end of the task. */
static int l_gc(lua_State *L) {
  mc_lua_hold *h = luaL_checkudata(L, 1, HOLD);
  if (h->task && mc__lua_peek(L)) forget(h);
  return 0;
}

static unsigned drop(mc_lua *M, mc_lua_task *t) {
  unsigned count = t->hold_count;
  while (t->holds) forget(t->holds);
  M->holds -= count;
  t->hold_count = 0;
  return count;
}

void mc__lua_release_all(mc_lua *M, mc_lua_task *t) {
  mc_actor *a = t->held;
  for (unsigned count = drop(M, t); count && t->held; count--)
    mc_actor_release(M->node, a);
}

void mc__lua_holds_over(mc_lua *M, const mc_actor *a) {
  for (mc_lua_task *t = M->holds ? M->live : NULL; t; t = t->live) {
    if (t->held != a) continue;
    drop(M, t);
    t->held = NULL;
  }
}

void mc__lua_open_hold(lua_State *L) {
  static const luaL_Reg meta[] = {{"__close", l_release}, {"__gc", l_gc}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"release", l_release}, {NULL, NULL}};
  lua_pushcfunction(L, l_hold);
  lua_setfield(L, -2, "hold");
  luaL_newmetatable(L, HOLD);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
