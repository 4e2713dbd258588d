/*
** Tasks: pooled coroutines that the node's step resumes; how they are made, run and end. How they await
** and are cancelled: lua_await.c.
**
** Code that runs outside the scheduler (a script under stock lua) has the root task: its awaits do
** not yield, they let the world run (M->pump) until they are settled.
**
** A task owns those that it makes: when it has returned, what still runs is cancelled, and only when
** all have ended does its answer go.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lua_node.h"

/* ---- making and keeping ---------------------------------------------------------------------- */

static int note_trace(lua_State *L);
static int guarded(lua_State *L);

/* What every task starts with, below its function. */
static void prepare(lua_State *co) {
  lua_settop(co, 0);
  lua_pushcfunction(co, guarded);
  lua_pushcfunction(co, note_trace);
}

static mc_lua_task *make_task(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, TASK_CLASS, 0);
  mc_lua_task *t = lua_newuserdatauv(L, sizeof *t, 0);
  memset(t, 0, sizeof *t);
  lua_rawseti(L, -2, TASK_SELF);
  t->co = lua_newthread(L);
  prepare(t->co);
  lua_rawseti(L, -2, TASK_CO);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_HANDLE);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_CONTEXT);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_CLASS);
  t->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return t;
}

void mc__lua_task_reserve(mc_lua *M, lua_State *L) {
  if (!M->free_tasks) M->free_tasks = make_task(L);
}

mc_lua_task *mc__lua_task_new(mc_lua *M, lua_State *L) {
  mc_lua_task *t = M->free_tasks;
  if (t)
    M->free_tasks = t->next;
  else
    t = make_task(L);
  memset(&t->owner, 0, sizeof *t - offsetof(mc_lua_task, owner));
  t->timeout_ms = -1;
  t->deadline_ms = INFINITY;
  t->fresh = true;
  t->live_before = NULL;
  t->live = M->live;
  if (M->live) M->live->live_before = t;
  M->live = t;
  M->tasks++;
  return t;
}

/* A coroutine that is used again has in its unused slots what ran on it before, which a collection
** for want of memory takes for alive. */
static bool tight(const mc_lua *M) {
#ifdef MC_HARD_TEST
  return true;
#endif
  return M->memory && M->memory->max && M->memory->used > M->memory->max / 2;
}

static void leave_live(mc_lua *M, mc_lua_task *t) {
  if (t->live) t->live->live_before = t->live_before;
  if (t->live_before)
    t->live_before->live = t->live;
  else
    M->live = t->live;
  if (t->loose) M->loose--;
}

void mc__lua_task_free(mc_lua *M, mc_lua_task *t) {
  if (t->hold_count) mc__lua_release_all(M, t);
  if (t->wait.id || t->wait.queue) mc_wait_forget(M->node, &t->wait);
  if (t->timer.place) mc_timer_clear(M->node, &t->timer);
  if (t->limit.place) mc_timer_clear(M->node, &t->limit);
  leave_live(M, t);
  if (t->keeps_object) mc__lua_set_handle(M->L, t, 0);
  if (t->keeps_class) mc__lua_leave_class(M->L, t);
  prepare(t->co);
  if (t->context) mc__lua_inherit(M->L, t, NULL);
  if (t->raised) {
    lua_pushnil(M->L);
    lua_rawsetp(M->L, LUA_REGISTRYINDEX, &t->trace);
  }
  if (t->packed) mc__lua_unpack(M->L, t);
  if (t->traced) {
    lua_rawgeti(M->L, LUA_REGISTRYINDEX, M->traces);
    lua_pushnil(M->L);
    lua_rawsetp(M->L, -2, t);
    lua_pop(M->L, 1);
  }
  M->tasks--;
  if (tight(M)) {
    luaL_unref(M->L, LUA_REGISTRYINDEX, t->co_ref);
    return;
  }
  t->next = M->free_tasks;
  M->free_tasks = t;
}

mc_lua_task *mc__lua_task_current(mc_lua *M) {
  return M->current ? M->current : &M->root;
}

/* ---- running --------------------------------------------------------------------------------- */

static int end_unstarted(lua_State *L);

/* The message handler of every task: where it raised, while the frames are there. */
static int note_trace(lua_State *L) {
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  luaL_traceback(L, L, NULL, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->trace);
  return 1;
}

static int guarded_k(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  t->raised = status != LUA_OK && status != LUA_YIELD;
  t->no_memory = status == LUA_ERRMEM;
  return t->raised ? 1 : lua_gettop(L) - 1;
}

/* Every task runs inside this: an error unwinds the coroutine while it is still one that can await, so
** that what is to be closed may take its time. Takes note_trace, the function and its arguments. */
static int guarded(lua_State *L) {
  return lua_pcallleave(L, lua_gettop(L) - 2, 1, 0, guarded_k);
}

int mc__lua_task_run(mc_lua *M, lua_State *from, mc_lua_task *t, int nargs,
                     int *nresults) {
  mc_lua_task *before = M->current;
  M->current = t;
  if (t->fresh) {
    t->fresh = false;
    t->given_ms = t->deadline_ms;
    nargs += MC_TASK_BASE;
  }
  int status = lua_resume(t->co, from, nargs, nresults);
  M->current = before;
  if (status == LUA_YIELD) return status;
  if (status == LUA_OK) return t->raised ? LUA_ERRRUN : LUA_OK;
  t->no_memory = true;
#if LUA_VERSION_RELEASE_NUM >= 50406
  lua_closethread(t->co,
                  from); /* what even the guard could not catch: no memory for it */
#else
  lua_resetthread(t->co);
#endif
  return LUA_ERRRUN;
}

/* A task that was cancelled before its first step ends as if it had raised. */
static void refuse_start(mc_lua *M, mc_lua_task *t) {
  t->told = t->unstarted = true;
  lua_settop(t->co, MC_TASK_BASE);
  lua_pushcfunction(t->co, end_unstarted); /* takes no memory: the stack has room */
  int nresults, status = mc__lua_task_run(M, M->L, t, 0, &nresults);
  mc__lua_end(M, t, status, nresults);
}

static int end_unstarted(lua_State *L) {
  return mc__lua_raise(L, MC_E_CANCELLED, "it was cancelled before it started");
}

int mc__lua_unpark(mc_lua_task *t) {
  t->parked = NULL;
  if (t->awaits == MC_AWAIT_TURN) {
    t->awaits = MC_AWAIT_NOTHING;
    t->settled = false;
  }
  return t->nvalues;
}

/* vtable: a task that is new or was settled */
void mc__lua_resume(void *ud, mc_task *task) {
  mc_lua *M = ud;
  if (task == &M->reaper) {
    mc__lua_reap(M);
    return;
  }
  mc_lua_task *t = (mc_lua_task *)(void *)task;
  int nresults, nargs = t->nargs;
  if (t->fresh && t->cancelled) {
    refuse_start(M, t);
    return;
  }
  if (t->parked) nargs = t->parked == t->co ? mc__lua_unpark(t) : 0;
  t->nargs = 0;
  int status = mc__lua_task_run(M, M->L, t, nargs, &nresults);
  if (status != LUA_YIELD) mc__lua_end(M, t, status, nresults);
}

/* Gives what a task returned or raised, on top of its coroutine, to one that awaits it. */
static void pass_on(mc_lua *M, mc_lua_task *t, bool raised, int n, mc_lua_task *to) {
  lua_State *co = t->co;
  int first = lua_gettop(co) - n + 1;
  if (!lua_checkstack(to->parked, n + 4) || !lua_checkstack(co, n + 4)) {
    mc__lua_wake_failed(M, to, MC_E_OUT_OF_MEMORY);
    return;
  }
  for (int i = 0; i < n; i++) lua_pushvalue(co, first + i);
  lua_xmove(co, to->parked, n);
  mc__lua_wake(M, to, n, raised);
}

typedef struct ending {
  mc_lua_task *t;
  const char *trace; /* of one that raised; may be NULL then, too */
  size_t len;
  int n;
  bool unheard; /* nobody was told what it raised */
} ending;

/* The user value of the task's handle becomes {results ...}, or when it raised {[-1] = where it was
** made, [0] = traceback, error}. */
static int keep_results(lua_State *L) {
  const ending *e = lua_touserdata(L, 1);
  lua_State *co = e->t->co;
  int first = lua_gettop(co) - e->n + 1;
  if (!lua_checkstack(co, 1)) return luaL_error(L, "no memory for the results");
  lua_rawgeti(L, LUA_REGISTRYINDEX, e->t->co_ref);
  lua_rawgeti(L, -1, TASK_HANDLE);
  lua_createtable(L, e->n + 1, 0);
  for (int i = 0; i < e->n; i++) {
    lua_pushvalue(co, first + i);
    lua_xmove(co, L, 1);
    lua_rawseti(L, -2, i + 1);
  }
  if (e->trace) {
    lua_pushlstring(L, e->trace, e->len);
    lua_rawseti(L, -2, 0);
  }
  if (e->unheard) {
    mc__lua_keep_handle(mc__lua_of(L), L, e->t->handle, -2);
    mc__lua_push_made(L, e->t->handle, lua_absindex(L, -2));
    lua_rawseti(L, -2, -1);
  }
  lua_setiuservalue(L, -2, 1);
  return 0;
}

void mc__lua_set_handle(lua_State *L, const mc_lua_task *t, int handle) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  if (handle)
    lua_pushvalue(L, handle);
  else
    lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_HANDLE); /* there already: takes no memory */
  lua_pop(L, 1);
}

static void wake_joint(mc_lua *M, mc_joint *j, mc_lua_task *t, bool raised, int n,
                       const ending *e) {
  mc_lua_task *to = j->task;
  if (to->awaits == MC_AWAIT_ANY || to->awaits == MC_AWAIT_EACH) {
    mc__lua_wake(M, to, 0, false);
    return;
  }
  mc__lua_try_keep_trace(M, M->L, to, t->co, e->trace, e->len);
  pass_on(M, t, raised, n, to);
}

/* What it raised is that it was cancelled, or too late. */
static bool ended_as_told(mc_lua *M, const mc_lua_task *t) {
  return t->told &&
         (mc__lua_is_own(M, t->co, "cancelled") || mc__lua_is_own(M, t->co, "timeout"));
}

/* The end of a task that mc.async made: its results go to the handle and to who awaits it. */
static void finish_async(mc_lua *M, mc_lua_task *t, bool raised, int n) {
  mc_lua_handle *h = t->handle;
  ending e = {.t = t, .n = n};
  if (raised) e.trace = lua_tolstring(M->L, -1, &e.len);
  h->task = NULL;
  h->nresults = n;
  h->failed = raised;
  h->trace_id = t->trace_id;
  h->cancelled = raised && t->told;
  while (h->joints) {
    mc_joint *j = h->joints;
    h->joints = j->next;
    j->handle = NULL;
    h->observed = true;
    wake_joint(M, j, t, raised, n, &e);
  }
  e.unheard = raised && !h->observed && !ended_as_told(M, t);
  const void *owner = t->owner ? (const void *)t->owner : t->loose;
  if (e.unheard) mc__lua_unheard(M, h, owner);
  if (!mc__lua_try(M->L, keep_results, &e)) h->code = MC_E_OUT_OF_MEMORY;
  if (e.unheard && t->loose && t->cancelled) mc__lua_tell_unheard(M, owner);
  mc__lua_set_handle(M->L, t, 0);
}

/* Out of its owner's children; the owner may have waited for just this. */
static void leave_owner(mc_lua *M, mc_lua_task *t) {
  mc_lua_task *owner = t->owner;
  if (!owner) return;
  if (t->sibling) t->sibling->sibling_before = t->sibling_before;
  if (t->sibling_before)
    t->sibling_before->sibling = t->sibling;
  else
    owner->children = t->sibling;
  t->owner = NULL;
  if (owner->ending && !owner->children)
    mc__lua_end(M, owner, owner->end_status, owner->end_n);
}

void mc__lua_end(mc_lua *M, mc_lua_task *t, int status, int nresults) {
  bool raised = status != LUA_OK;
  if (t->children) {
    t->ending = true;
    t->end_status = status;
    t->end_n = nresults;
    for (mc_lua_task *c = t->children, *next; c; c = next) {
      next = c->sibling;
      mc__lua_cancel(M, c);
    }
    return;
  }
  if (raised) {
    mc__lua_failed(M, M->L, t);
    nresults = 1;
  }
  if (M->unheard) mc__lua_tell_unheard(M, t);
  if (t->making)
    mc__lua_finish_init(M, t, raised);
  else if (t->turn)
    mc__lua_finish_turn(M, t, raised, nresults);
  else if (t->handle)
    finish_async(M, t, raised, nresults);
  if (raised) lua_pop(M->L, 1);
  leave_owner(M, t);
  mc__lua_task_free(M, t);
}

/* ---- the root task ---------------------------------------------------------------------------- */

/* The rest are ours: see lua_call.c. */
static void note_passable(lua_State *L, mc_lua *M) {
  static const char *const names[] = {"pcall", "xpcall", "error", "dofile", "pairs"};
  for (int i = 0; i < 5; i++) {
    lua_getglobal(L, names[i]);
    M->passable[i] = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
}

void mc__lua_open_task(lua_State *L, mc_lua *M) {
  M->root.is_root = true;
  M->root.timeout_ms = -1;
  M->root.deadline_ms = M->root.given_ms = INFINITY;
  lua_createtable(L, TASK_CONTEXT, 0);
  M->root.co = lua_newthread(L);
  lua_rawseti(L, -2, TASK_CO);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_CONTEXT);
  M->root.co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  note_passable(L, M);
}
