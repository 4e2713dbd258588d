/*
** Actors that live as long as something here refers to them: mc.new.
**
** The object of any other actor stands in the registry. That of one of these is held by its references
** alone, of which there is one (lua_ref.c), and holds that in turn, whether it has it in a field or not:
**
**   M->objects[actor] = object, weak     reference -> anchor -> object     M->lives[object] = reference
**                                                                          (an ephemeron)
**
** So handlers and tasks that use the object keep the actor, too; and an actor that nobody else knows is
** a cycle without a root, whatever it knows itself. When it is collected, its anchor's __gc puts the
** object into the registry and the actor into a list, which takes neither memory nor time; a task of the
** node then stops it, as mc.stop would.
**
** Between the moment in which the collector finds out and the __gc, the object is nowhere: then, and
** from then on, nobody gets a new reference, and what arrives is answered dead_actor.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <string.h>

#include "lua_node.h"

#define ANCHOR "mooncast.anchor"

enum { REAPED_AT_ONCE = 32, REAP_AGAIN_MS = 10 };

/* How far it is with an actor that nobody refers to: mc_actor.orphan. */
enum { WANTED, LISTED, STOPPED };

bool mc__lua_push_object(mc_lua *M, lua_State *L, const mc_actor *a) {
  if (lua_rawgeti(L, LUA_REGISTRYINDEX, a->object) == LUA_TTABLE || !a->held) return true;
  lua_pop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->objects);
  bool there = lua_rawgetp(L, -1, a) == LUA_TTABLE;
  lua_replace(L, -2);
  return there;
}

bool mc__lua_is_orphan(mc_lua *M, lua_State *L, const mc_actor *a) {
  bool orphan = a->orphan != WANTED || !mc__lua_push_object(M, L, a);
  if (a->orphan == WANTED) lua_pop(L, 1);
  return orphan;
}

void mc__lua_push_life(mc_lua *M, lua_State *L, mc_actor *a) {
  int object = lua_gettop(L);
  mc_address to;
  mc_actor_address(a, &to);
  mc_address *anchor = lua_newuserdatauv(L, sizeof *anchor, 1);
  memset(anchor, 0, sizeof *anchor);
  luaL_setmetatable(L, ANCHOR);
  lua_pushvalue(L, object);
  lua_setiuservalue(L, -2, 1);
  mc__lua_push_holding_ref(M, L, &to, a->type);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->lives);
  lua_pushvalue(L, object);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->objects);
  lua_pushvalue(L, object);
  lua_rawsetp(L, -2, a); /* the last thing that can fail */
  lua_pop(L, 1);
  a->held = true;
  *anchor = to;
  lua_replace(L, object);
  lua_settop(L, object);
}

void mc__lua_keep_object(mc_lua *M, lua_State *L, mc_lua_task *t, const mc_actor *a) {
  if (!a->held) return;
  if (lua_rawgeti(L, LUA_REGISTRYINDEX, a->object) != LUA_TTABLE) {
    mc__lua_push_object(M, L, a);
    mc__lua_set_handle(L, t, lua_gettop(L));
    t->keeps_object = true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void list(mc_lua *M, mc_actor *a) {
  a->orphan = LISTED;
  a->next_orphan = M->orphans;
  M->orphans = a;
}

/* Nothing here allocates, and nothing raises. */
static int l_anchor_gc(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  const mc_address *to = lua_touserdata(L, 1);
  mc_actor *a = M && M->node && to->instance ? mc_actor_at(M->node, to) : NULL;
  if (!a || a->orphan != WANTED) return 0;
  lua_getiuservalue(L, 1, 1);
  lua_rawseti(L, LUA_REGISTRYINDEX, a->object); /* where `false` stands */
  list(M, a);
  mc_task_ready(M->node, &M->reaper);
  return 0;
}

void mc__lua_reap_soon(mc_lua *M, mc_actor *a) {
  if (a->orphan != WANTED) return;
  list(M, a);
  mc_task_ready(M->node, &M->reaper);
}

static void reap_again(mc_node *n, mc_timer *timer) {
  mc_lua *M = (mc_lua *)(void *)((char *)timer - offsetof(mc_lua, reap_timer));
  mc_task_ready(n, &M->reaper);
}

void mc__lua_reap_later(mc_lua *M, mc_actor *a) {
  if (a->orphan != STOPPED) return;
  list(M, a);
  M->reap_timer.fire = reap_again;
  mc_timer_set(M->node, &M->reap_timer, mc_node_now(M->node) + REAP_AGAIN_MS);
}

static void stop_orphan(mc_lua *M, mc_actor *a) {
  mc_address to;
  mc_sending s;
  mc_actor_address(a, &to);
  a->orphan = STOPPED;
  mc_request q = {.kind = MC_STOP, .to = &to, .type = a->type, .timeout_ms = -1};
  if (mc_send_begin(M->node, &q, &s) == MC_ROUTE_BYTES) mc_send_commit(M->node, &q, &s);
  a = mc_actor_at(M->node, &to);
  bool lost = a && a->orphan == STOPPED && !a->stops && !a->stopping;
  if (lost) mc__lua_reap_later(M, a); /* there was no memory for it */
}

void mc__lua_reap(mc_lua *M) {
  for (int i = 0; i < REAPED_AT_ONCE && M->orphans; i++) {
    mc_actor *a = M->orphans;
    M->orphans = a->next_orphan;
    stop_orphan(M, a);
  }
  if (M->orphans && !M->reap_timer.place) mc_task_ready(M->node, &M->reaper);
}

void mc__lua_life_over(mc_lua *M, mc_actor *a) {
  if (a->orphan == LISTED) {
    mc_actor **at = &M->orphans;
    while (*at && *at != a) at = &(*at)->next_orphan;
    if (*at) *at = a->next_orphan;
  }
  bool lasting = lua_rawgeti(M->L, LUA_REGISTRYINDEX, a->object) == LUA_TTABLE;
  lua_pop(M->L, 1);
  if (lasting && a->orphan == WANTED) return;
  lua_rawgeti(M->L, LUA_REGISTRYINDEX, M->objects);
  lua_pushnil(M->L);
  lua_rawsetp(M->L, -2, a);
  lua_pop(M->L, 1);
}

int mc__lua_weak_table(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void mc__lua_open_life(lua_State *L, mc_lua *M) {
  M->objects = mc__lua_weak_table(L, "v");
  M->lives = mc__lua_weak_table(L, "k");
  M->asides = mc__lua_weak_table(L, "v");
  luaL_newmetatable(L, ANCHOR);
  lua_pushcfunction(L, l_anchor_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
