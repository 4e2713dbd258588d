/*
** Tasks as Lua sees them: mc.async and what it returns, waiting for one or several, sleeping, and how
** long things may take.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lua_node.h"

#define HANDLE "mooncast.task"

/* ---- making ---------------------------------------------------------------------------------- */

/* The task that ends this one with itself, or else the actor that does. */
static void set_owner(mc_lua *M, mc_lua_task *t, mc_lua_task *self, bool outlives) {
  if (!outlives && !self->is_root && !self->keeps_none) {
    t->owner = self;
    t->sibling = self->children;
    if (self->children) self->children->sibling_before = t;
    self->children = t;
  } else {
    while (self->owner) self = self->owner;
    t->loose = self->turn ? self->turn->actor : self->loose;
    if (t->loose) M->loose++;
  }
}

static int make(lua_State *L, bool outlives) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_task *self = mc__lua_task_current(M);
  int nargs = lua_gettop(L) - 1;
  if (lua_type(L, 1) != LUA_TFUNCTION && luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    return luaL_typeerror(L, 1, "function");
  lua_settop(L, nargs + 1);
  luaL_checkstack(L, 8, NULL);
  mc_lua_handle *h = lua_newuserdatauv(L, sizeof *h, 1);
  memset(h, 0, sizeof *h);
  luaL_setmetatable(L, HANDLE);
  mc__lua_note_maker(L, h, nargs + 2);
  mc_lua_task *t = mc__lua_task_new(M, L);
  if (!lua_checkstack(t->co, nargs + 4)) {
    mc__lua_task_free(M, t);
    return mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a task");
  }
  t->handle = h;
  t->timeout_ms = self->timeout_ms;
  t->codec = self->codec;
  if (!outlives) t->deadline_ms = self->deadline_ms;
  h->task = t;
  set_owner(M, t, self, outlives);
  mc__lua_set_handle(L, t, nargs + 2);
  mc__lua_inherit(L, t, self);
  lua_insert(L, 1);
  lua_xmove(L, t->co, nargs + 1);
  t->nargs = nargs;
  mc_task_ready(M->node, &t->base);
  return 1;
}

/* core.async(fn, ...) -> task: runs beside the caller, from the next step on, and ends with it. */
static int l_async(lua_State *L) { return make(L, false); }

/* core.spawn_task(fn, ...) -> task: outlives the handler that made it, and ends with its actor. */
static int l_spawn_task(lua_State *L) { return make(L, true); }

/* core.keep_none(): tasks that the running one makes from now on outlive it. */
static int l_keep_none(lua_State *L) {
  mc__lua_task_current(mc__lua_of(L))->keeps_none = true;
  return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int push_results(lua_State *L, mc_lua_handle *h) {
  mc_lua *M = mc__lua_of(L);
  mc__lua_heard(M, h);
  if (h->code) return mc__lua_raise(L, h->code, "no memory for the results of the task");
  lua_getiuservalue(L, 1, 1);
  int at = lua_gettop(L);
  luaL_checkstack(L, h->nresults + 4, NULL);
  for (int i = 1; i <= h->nresults; i++) lua_rawgeti(L, at, i);
  if (!h->failed) return h->nresults;
  if (lua_rawgeti(L, at, 0) == LUA_TSTRING) {
    size_t len;
    const char *trace = lua_tolstring(L, -1, &len);
    mc__lua_keep_trace(M, L, mc__lua_task_current(M), -2, trace, len);
  }
  lua_pop(L, 1);
  return lua_error(L);
}

static int await_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return mc__lua_awaited(L, mc__lua_of(L));
}

static void join(mc_joint *j, mc_lua_task *self, mc_lua_handle *h) {
  mc_joint **at = &h->joints;
  while (*at) at = &(*at)->next;
  *j = (mc_joint){.task = self, .handle = h};
  *at = j;
}

/* task:await() -> what it returned; raises what it raised. */
static int l_await(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_handle *h = luaL_checkudata(L, 1, HANDLE);
  lua_settop(L, 1);
  if (!h->task) return push_results(L, h);
  mc__lua_check_await(L, M, "a task");
  mc_lua_task *self = mc__lua_task_current(M);
  mc__lua_check_cycle(L, M, h->task);
  join(&self->one, self, h);
  self->joints = &self->one;
  self->njoints = 1;
  return mc__lua_await(L, M, MC_AWAIT_TASK, await_k, 0);
}

/* The index of the first argument that is a task that has ended, or 0. */
static int first_done(lua_State *L, int n) {
  for (int i = 1; i <= n; i++) {
    mc_lua_handle *h = luaL_checkudata(L, i, HANDLE);
    if (!h->task) return mc__lua_heard(mc__lua_of(L), h), i;
  }
  return 0;
}

static int any_k(lua_State *L, int status, lua_KContext n) {
  (void)status;
  mc__lua_awaited(L, mc__lua_of(L));
  lua_pushinteger(L, first_done(L, (int)n));
  return 1;
}

static int await_first(lua_State *L, mc_lua_await what) {
  mc_lua *M = mc__lua_of(L);
  int n = lua_gettop(L), done = first_done(L, n);
  luaL_argcheck(L, n > 0, 1, "at least one task");
  if (done) return lua_pushinteger(L, done), 1;
  mc__lua_check_await(L, M, "tasks");
  mc_lua_task *self = mc__lua_task_current(M);
  mc_joint *joints = lua_newuserdatauv(L, (size_t)n * sizeof *joints, 0);
  for (int i = 1; i <= n; i++) join(&joints[i - 1], self, lua_touserdata(L, i));
  self->joints = joints;
  self->njoints = n;
  return mc__lua_await(L, M, what, any_k, n);
}

/* core.first_of(task, ...) -> the index of the first one that has ended, once there is one. */
static int l_first(lua_State *L) { return await_first(L, MC_AWAIT_ANY); }

/* core.next_of(task, ...): the same for one who goes on only when all have ended. */
static int l_next(lua_State *L) { return await_first(L, MC_AWAIT_EACH); }

/* task:cancel() -> true, or false when it had ended. It never starts, or its next await, or the one
** it is in, raises `cancelled`. */
static int l_cancel(lua_State *L) {
  mc_lua_handle *h = luaL_checkudata(L, 1, HANDLE);
  mc__lua_heard(mc__lua_of(L), h);
  lua_pushboolean(L, h->task != NULL);
  if (h->task) mc__lua_cancel(mc__lua_of(L), h->task);
  return 1;
}

/* task:status() -> "running", "done", "failed" or "cancelled" */
static int l_status(lua_State *L) {
  mc_lua_handle *h = luaL_checkudata(L, 1, HANDLE);
  lua_pushstring(L, h->task                ? "running"
                    : h->cancelled         ? "cancelled"
                    : h->failed || h->code ? "failed"
                                           : "done");
  return 1;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void slept(mc_node *n, mc_timer *timer) {
  (void)n;
  mc_lua_task *t = (mc_lua_task *)(void *)((char *)timer - offsetof(mc_lua_task, timer));
  mc__lua_wake(mc__lua_of(t->parked), t, 0, false);
}

/* core.sleep(seconds): lets others run for at least so long. */
static int l_sleep(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0, 1, "seconds from 0 on");
  mc__lua_check_await(L, M, "a sleep");
  mc_lua_task *t = mc__lua_task_current(M);
  t->timer.fire = slept;
  if (!isinf(seconds) &&
      !mc_timer_set(M->node, &t->timer, mc_node_now(M->node) + seconds * 1000))
    return mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a timer");
  return mc__lua_await(L, M, MC_AWAIT_SLEEP, await_k, 0);
}

/* core.now() -> seconds on the node's monotonic clock */
static int l_now(lua_State *L) {
  lua_pushnumber(L, mc_node_now(mc__lua_of(L)->node) / 1000);
  return 1;
}

static void push_seconds(lua_State *L, double ms, bool set) {
  if (set)
    lua_pushnumber(L, ms / 1000);
  else
    lua_pushnil(L);
}

/* core.timeout([seconds | nil]) -> the one before: what calls of this task wait at most. Without an
** argument it stays. */
static int l_timeout(lua_State *L) {
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  double before = t->timeout_ms;
  double seconds = luaL_optnumber(L, 1, -1);
  luaL_argcheck(L, lua_isnoneornil(L, 1) || seconds >= 0, 1, "seconds from 0 on");
  if (lua_gettop(L) > 0) t->timeout_ms = seconds < 0 ? -1 : seconds * 1000;
  push_seconds(L, before, before >= 0);
  return 1;
}

/* core.deadline(seconds) -> what was before, for core.deadline_back, or nothing when that was nearer:
** all that this task does from now on ends within so many seconds. */
static int l_deadline(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_task *t = mc__lua_task_current(M);
  double seconds = luaL_checknumber(L, 1), before = t->deadline_ms;
  luaL_argcheck(L, seconds >= 0, 1, "seconds from 0 on");
  double at = mc_node_now(M->node) + seconds * 1000;
  if (at >= before) return 0;
  lua_pushnumber(L, before);
  lua_pushboolean(L, t->told);
  lua_pushboolean(L, t->late);
  t->deadline_ms = at;
  t->late = false;
  return 3;
}

/* core.deadline_back(moment, told, late): the deadline is again what it was, unless the task was told
** meanwhile to end. When both have passed, the error that is on its way out tells of both. */
static int l_deadline_back(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_task *t = mc__lua_task_current(M);
  bool passed = t->late;
  if (lua_isnoneornil(L, 1)) return 0;
  t->deadline_ms = t->told && !lua_toboolean(L, 2) ? INFINITY : luaL_checknumber(L, 1);
  t->late = lua_toboolean(L, 3);
  if (passed && mc_node_now(M->node) >= t->deadline_ms) mc__lua_expire(M, t);
  return 0;
}

/* core.remaining() -> seconds until the deadline, nil without one */
static int l_remaining(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  double left = mc__lua_task_current(M)->deadline_ms - mc_node_now(M->node);
  push_seconds(L, left > 0 ? left : 0, !isinf(left));
  return 1;
}

void mc__lua_open_async(lua_State *L) {
  static const luaL_Reg functions[] = {{"async", l_async},
                                       {"spawn_task", l_spawn_task},
                                       {"keep_none", l_keep_none},
                                       {"first_of", l_first},
                                       {"next_of", l_next},
                                       {"sleep", l_sleep},
                                       {"now", l_now},
                                       {"timeout", l_timeout},
                                       {"deadline", l_deadline},
                                       {"deadline_back", l_deadline_back},
                                       {"remaining", l_remaining},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"await", l_await}, {"cancel", l_cancel}, {"status", l_status}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  luaL_newmetatable(L, HANDLE);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, mc__lua_handle_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
