/*
** Explanations: what every task of the node waits for and who waits for it, cycles of tasks that await
** one another, and errors that nobody heard.
**
** A task's handle notes who made it: the function in its user value and the line. What the function's
** file is called is asked only when somebody wants to know.
**
** The error of a task is unheard until somebody awaits the task or cancels it. It is told once: when the
** owner of the task has ended, when nothing refers to the handle any more, or when the node closes.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

/* ---- who made a task ------------------------------------------------------------------------- */

/* In the user value of the handle of a task that raised: behind it stand the results. */
enum { RESULT_TRACE = 0, RESULT_MADE = -1 };

void mc__lua_note_maker(lua_State *L, mc_lua_handle *h, int handle) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "l", &ar);
    if (ar.currentline <= 0) continue;
    h->line = ar.currentline;
    lua_getinfo(L, "f", &ar);
    lua_setiuservalue(L, handle, 1);
    return;
  }
}

/* Pushes file:line of the maker that stands on top instead of it, or "?". */
static void to_place(lua_State *L, int line) {
  lua_Debug ar;
  if (lua_type(L, -1) != LUA_TFUNCTION) {
    lua_pop(L, 1);
    lua_pushliteral(L, "?");
    return;
  }
  lua_getinfo(L, ">S", &ar);
  lua_pushfstring(L, "%s:%d", ar.short_src, line);
}

void mc__lua_push_made(lua_State *L, const mc_lua_handle *h, int handle) {
  lua_getiuservalue(L, handle, 1);
  to_place(L, h->line);
}

/* ---- errors that nobody heard ---------------------------------------------------------------- */

/* Not in the handle itself, which can go without having been finalized when there is no memory. */
struct mc_unheard {
  mc_unheard *next, **at;
  const void *owner;
};

static const char UNTOLD[] =
    "a task that nobody awaited failed, and what it raised cannot be told";

void mc__lua_unheard(mc_lua *M, mc_lua_handle *h, const void *owner) {
  mc_unheard *u = M->host.alloc(M->host.ud, NULL, 0, sizeof *u);
  if (!u) {
    mc__lua_log(M, MC_LOG_ERROR, UNTOLD);
    return;
  }
  *u = (mc_unheard){.next = M->unheard, .at = &M->unheard, .owner = owner};
  if (u->next) u->next->at = &u->next;
  M->unheard = u;
  h->unheard = u;
}

static void forget(mc_lua *M, mc_unheard *u) {
  *u->at = u->next;
  if (u->next) u->next->at = u->at;
  M->host.alloc(M->host.ud, u, sizeof *u, 0);
}

void mc__lua_heard(mc_lua *M, mc_lua_handle *h) {
  h->observed = true;
  if (h->unheard) forget(M, h->unheard);
  h->unheard = NULL;
}

/* handle */
static int tell_protected(lua_State *L) {
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return luaL_error(L, "no memory for it");
  lua_rawgeti(L, 2, RESULT_MADE);
  lua_rawgeti(L, 2, 1);
  lua_rawgeti(L, 2, RESULT_TRACE);
  const mc_lua_handle *h = lua_touserdata(L, 1);
  lua_pushfstring(L, "a task made at %s, which nobody awaited, failed%s: %s\n%s",
                  luaL_optstring(L, 3, "?"), mc__lua_push_traced(L, h->trace_id),
                  luaL_tolstring(L, 4, NULL), luaL_optstring(L, 5, ""));
  mc__lua_log(mc__lua_of(L), MC_LOG_ERROR, lua_tostring(L, -1));
  return 0;
}

/* light userdata mc_unheard: tells, unless its handle is being collected, which tells, too. */
static int find_protected(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->handles);
  if (lua_rawgetp(L, -1, lua_touserdata(L, 1)) == LUA_TNIL) return 0;
  mc__lua_heard(M, lua_touserdata(L, -1));
  lua_pushcfunction(L, tell_protected);
  lua_insert(L, -2);
  lua_call(L, 1, 0);
  return 0;
}

void mc__lua_tell_unheard(mc_lua *M, const void *owner) {
  for (mc_unheard *u = M->unheard, *next; u; u = next) {
    next = u->next;
    if (owner && u->owner != owner) continue;
    u->owner = NULL;
    if (!mc__lua_try(M->L, find_protected, u)) mc__lua_log(M, MC_LOG_ERROR, UNTOLD);
  }
}

void mc__lua_close_unheard(mc_lua *M) {
  mc__lua_tell_unheard(M, NULL);
  while (M->unheard) forget(M, M->unheard);
}

void mc__lua_keep_handle(mc_lua *M, lua_State *L, const mc_lua_handle *h, int handle) {
  if (!h->unheard) return;
  handle = lua_absindex(L, handle);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->handles);
  lua_pushvalue(L, handle);
  lua_rawsetp(L, -2, h->unheard);
  lua_pop(L, 1);
}

int mc__lua_handle_gc(lua_State *L) {
  mc_lua_handle *h = lua_touserdata(L, 1);
  mc_lua *M = mc__lua_peek(L);
  if (!h || !h->unheard || !M) return 0;
  mc__lua_heard(M, h);
  lua_pushcfunction(L, tell_protected);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) mc__lua_log(M, MC_LOG_ERROR, UNTOLD);
  return 0;
}

/* ---- what waits ------------------------------------------------------------------------------ */

static void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

/* Pushes the line of the user's where the task is, or nil. */
static void push_place(lua_State *L, mc_lua *M, const mc_lua_task *t) {
  lua_State *co = t->is_root ? M->root_at : t->parked;
  lua_Debug ar;
  for (int level = 0; co && lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline <= 0 || strncmp(ar.short_src, "mooncast", 8) == 0) continue;
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    return;
  }
  lua_pushnil(L);
}

/* Pushes what to call a task. */
static void push_name(lua_State *L, const mc_lua_task *t) {
  if (t->turn) {
    const char *type = t->turn->actor->type->name;
    if (t->turn->kind == MC_INIT || t->turn->kind == MC_STOP) {
      lua_pushfstring(L, "%s:%s", type, t->turn->kind == MC_INIT ? "init" : "stopped");
      return;
    }
    lua_pushfstring(L, "%s:", type);
    lua_pushlstring(L, t->turn->name, t->turn->name_len);
    lua_concat(L, 2);
  } else if (t->handle) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
    lua_rawgeti(L, -1, TASK_HANDLE);
    mc__lua_push_made(L, t->handle, lua_gettop(L));
    lua_pushfstring(L, "the task made at %s", lua_tostring(L, -1));
    lua_replace(L, -4);
    lua_pop(L, 2);
  } else {
    lua_pushstring(L, t->is_root ? "the script" : "a task");
  }
}

/* Adds one who waits to the list on top: what it is, and where. */
static void add_waiter(lua_State *L, mc_lua *M, const mc_lua_task *t) {
  luaL_checkstack(L, 8, NULL);
  push_name(L, t);
  push_place(L, M, t);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else {
    lua_pushfstring(L, "%s at %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Pushes the list of those who wait for the end of a task. */
static void push_waiters(lua_State *L, mc_lua *M, const mc_lua_task *t) {
  lua_newtable(L);
  mc_wait *w = t->turn ? mc_turn_waiter(M->node, t->turn) : NULL;
  if (w) {
    add_waiter(L, M, (mc_lua_task *)(void *)((char *)w - offsetof(mc_lua_task, wait)));
  } else if (t->turn && t->turn->call && t->turn->origin != MC_SELF) {
    lua_pushfstring(L, "a call from %s", mc_peer_name(M->node, t->turn->origin, NULL));
    lua_rawseti(L, -2, 1);
  }
  if (t->maker) add_waiter(L, M, t->maker);
  for (mc_joint *j = t->handle ? t->handle->joints : NULL; j; j = j->next)
    add_waiter(L, M, j->task);
  if (t->owner && t->owner->ending) add_waiter(L, M, t->owner);
}

/* The task that makes the actor which t awaits. */
static mc_lua_task *made_for(mc_lua *M, const mc_lua_task *t) {
  mc_lua_task *m = M->live;
  while (m && m->maker != t) m = m->live;
  return m;
}

/* The task of the handler on this node that the call of t awaits, when it runs. */
static mc_lua_task *called_by(mc_lua *M, const mc_lua_task *t) {
  mc_address to = {.instance = t->wait.instance, .peer = MC_SELF};
  if (t->wait.peer != MC_SELF || !t->wait.id) return NULL;
  memcpy(to.secret, t->wait.secret, MC_SECRET_SIZE);
  mc_actor *a = mc_actor_at(M->node, &to);
  for (mc_turn *turn = a ? a->turns : NULL; turn; turn = turn->next)
    if (turn->origin == MC_SELF && turn->call == t->wait.id && turn->kind != MC_CAST)
      return turn->task;
  return NULL;
}

/* Field `of` of the entry on top: which handler, or tasks, or nothing. */
static void set_awaited(lua_State *L, mc_lua *M, const mc_lua_task *t) {
  enum { MOST = 8 };
  if ((t->awaits == MC_AWAIT_CALL || t->awaits == MC_AWAIT_ROOM) && t->call_type) {
    lua_pushfstring(L, "%s:%s", t->call_type->name, t->call_method);
    lua_setfield(L, -2, "of");
    set_text(L, "on", mc_peer_name(M->node, t->call_peer, NULL));
    return;
  }
  int entry = lua_gettop(L), n = 0;
  mc_lua_task *made = t->awaits == MC_AWAIT_INIT ? made_for(M, t) : NULL;
  luaL_checkstack(L, 2 * MOST + 8, NULL);
  if (made) push_name(L, made), n = 1;
  for (int i = 0; i < t->njoints && n < 2 * MOST; i++) {
    mc_lua_handle *h = t->joints[i].handle;
    if (!h || !h->task) continue;
    if (n) lua_pushliteral(L, ", "), n++;
    push_name(L, h->task), n++;
  }
  if (!n) return;
  lua_concat(L, n);
  lua_setfield(L, entry, "of");
}

static void push_wait(lua_State *L, mc_lua *M, const mc_lua_task *t) {
  static const char *const kinds[] = {"nothing", "call",  "room", "sleep",
                                      "task",    "tasks", "init", "tasks"};
  lua_createtable(L, 0, 9);
  set_text(L, "awaits", t->ending ? "children" : kinds[t->awaits]);
  if (t->turn) set_text(L, "actor", t->turn->actor->type->name);
  set_awaited(L, M, t);
  lua_pushnumber(L, (mc_node_now(M->node) - t->since_ms) / 1000);
  lua_setfield(L, -2, "since");
  lua_pushboolean(L, t->cancelled);
  lua_setfield(L, -2, "cancelled");
  push_place(L, M, t);
  lua_setfield(L, -2, "at");
  push_name(L, t);
  lua_setfield(L, -2, "task");
  push_waiters(L, M, t);
  lua_setfield(L, -2, "by");
}

/* core.waits() -> a list of what the tasks of this node wait for */
static int l_waits(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  lua_newtable(L);
  int n = 0;
  for (mc_lua_task *t = M->live; t; t = t->live) {
    if ((!t->parked || t->awaits == MC_AWAIT_TURN) && !t->ending) continue;
    push_wait(L, M, t);
    lua_rawseti(L, -2, ++n);
  }
  if (!M->root_at) return 1;
  push_wait(L, M, &M->root);
  lua_rawseti(L, -2, ++n);
  return 1;
}

/* ---- cycles of tasks ------------------------------------------------------------------------- */

typedef struct walk {
  mc_lua *M;
  const mc_lua_task *to;
  int depth;
  const mc_lua_task *path[32];
} walk;

/* Whether a task can end only when w->to has. The path there is then in w. */
static bool leads(walk *w, mc_lua_task *t) {
  enum { MOST = sizeof w->path / sizeof *w->path };
  if (!t || w->depth == MOST) return false;
  w->path[w->depth++] = t;
  if (t == w->to) return true;
  bool waits = t->parked && !t->settled && !t->ending && !(t->cancelled && !t->told);
  if (waits && t->walked != w->M->walks) {
    t->walked = w->M->walks;
    if (t->awaits == MC_AWAIT_CALL && leads(w, called_by(w->M, t))) return true;
    if (t->awaits == MC_AWAIT_INIT && leads(w, made_for(w->M, t))) return true;
    bool all = t->awaits == MC_AWAIT_TASK || t->awaits == MC_AWAIT_EACH;
    for (int i = 0; all && i < t->njoints; i++)
      if (t->joints[i].handle && leads(w, t->joints[i].handle->task)) return true;
  }
  w->depth--;
  return false;
}

void mc__lua_check_cycle(lua_State *L, mc_lua *M, mc_lua_task *t) {
  walk w = {.M = M, .to = mc__lua_task_current(M)};
  M->walks++;
  if (!leads(&w, t)) return;
  luaL_Buffer b;
  lua_settop(L, 0);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  luaL_buffinit(L, &b);
  push_name(L, w.to);
  luaL_addvalue(&b);
  for (int i = 0; i < w.depth; i++) {
    luaL_addstring(&b, " -> ");
    push_name(L, w.path[i]);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  mc__lua_raise(L, MC_E_DEADLOCK, "it waits for itself: %s", lua_tostring(L, -1));
}

void mc__lua_open_explain(lua_State *L, mc_lua *M) {
  lua_pushcfunction(L, l_waits);
  lua_setfield(L, -2, "waits");
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  M->handles = luaL_ref(L, LUA_REGISTRYINDEX);
}
