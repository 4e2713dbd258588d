/*
** Tasks: pooled coroutines that the node's step resumes; how they await, end and are cancelled.
**
** An await yields the innermost coroutine with nothing. Our coroutine.resume sees that the current
** task is parked, yields in turn, and so on to the task's own coroutine, where the scheduler stops.
** What was awaited settles onto the stack of the innermost; resumes then go back down the same way.
** A coroutine that is parked like this is "normal" to its owner: it waits for something that will
** go on by itself.
**
** Code that runs outside the scheduler (a script under stock lua) has the root task: its awaits do
** not yield, they let the world run (M->pump) until they are settled.
**
** A task owns those that it makes: when it has returned, what still runs is cancelled, and only when
** all have ended does its answer go. Cancellation is told once, by an await that raises: a call that
** is under way first asks its callee, and waits a moment for what that says.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lua_node.h"

enum { GRACE_MS = 1000 }; /* how long a callee may take to say that it was cancelled */

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
  lua_State *co = t->co;
  int co_ref = t->co_ref;
  memset(t, 0, sizeof *t);
  t->co = co;
  t->co_ref = co_ref;
  t->timeout_ms = -1;
  t->deadline_ms = INFINITY;
  t->fresh = true;
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
  mc_wait_forget(M->node, &t->wait);
  mc_timer_clear(M->node, &t->timer);
  mc_timer_clear(M->node, &t->limit);
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

/* ---- awaiting -------------------------------------------------------------------------------- */

void mc__lua_tell(mc_lua_task *t) {
  t->told = true;
  t->deadline_ms = INFINITY;
  if (t->turn) t->turn->deadline_ms = INFINITY;
}

/* A deadline that came with the work is one more way to be cancelled. One of the task's own leaves a
** moment for what cleans up inside it, and no more, whatever catches the error. */
void mc__lua_expire(mc_lua *M, mc_lua_task *t) {
  if (mc_node_now(M->node) < t->deadline_ms - 1) return; /* another, nearer limit */
  if (t->deadline_ms >= t->given_ms) {
    t->cancelled = t->expired = true;
    mc__lua_tell(t);
  } else if (!t->late) {
    t->late = true;
    t->deadline_ms += GRACE_MS;
  }
}

/* Under stock lua: no frame of a C function, except those that a yield could cross and the host's
** own at the bottom. */
bool mc__lua_root_can_await(lua_State *L, mc_lua *M) {
  lua_Debug ar, below;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sf", &ar);
    lua_CFunction f = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (*ar.what != 'C' || !lua_getstack(L, level + 1, &below)) continue;
    bool passes = false;
    for (int i = 0; i < MC_PASSABLE && !passes; i++) passes = f == M->passable[i];
    if (!passes) return false;
  }
  return true;
}

void mc__lua_check_await(lua_State *L, mc_lua *M, const char *what) {
  mc_lua_task *t = mc__lua_task_current(M);
  bool can = !t->blocked &&
             (M->current ? lua_isyieldable(L)
                         : M->pump && (M->explaining || mc__lua_root_can_await(L, M)));
  if (!can || M->encoding)
    mc__lua_raise(
        L, MC_E_CANNOT_AWAIT,
        "%s cannot be awaited here, inside a C function that calls back (table.sort, "
        "string.gsub, tostring, require, load and the like): collect first, then call "
        "from a loop",
        what);
  if (t->cancelled && !t->told) {
    mc__lua_tell(t);
    mc__lua_raise(L, MC_E_CANCELLED, "%s: the task was cancelled", what);
  }
  if (!isinf(t->deadline_ms) && mc_node_now(M->node) >= t->deadline_ms) {
    mc__lua_expire(M, t);
    mc__lua_raise(L, MC_E_TIMEOUT, "%s: the deadline has passed", what);
  }
}

double mc__lua_time_left(mc_lua *M, const mc_lua_task *t) {
  if (isinf(t->deadline_ms)) return t->timeout_ms;
  double left = t->deadline_ms - mc_node_now(M->node);
  if (left < 0) left = 0;
  return t->timeout_ms >= 0 && t->timeout_ms < left ? t->timeout_ms : left;
}

/* Takes the task out of all lists of those that wait for the end of others. */
static void unjoin(mc_lua_task *t) {
  for (int i = 0; i < t->njoints; i++) {
    mc_joint *j = &t->joints[i];
    mc_joint **at = j->handle ? &j->handle->joints : NULL;
    while (at && *at && *at != j) at = &(*at)->next;
    if (at && *at) *at = j->next;
    j->handle = NULL;
  }
  t->njoints = 0;
}

/* Takes the task out of whatever it awaits. */
static void let_go(mc_lua *M, mc_lua_task *t) {
  mc_wait_forget(M->node, &t->wait);
  mc_timer_clear(M->node, &t->timer);
  mc_timer_clear(M->node, &t->limit);
  unjoin(t);
  if (t->awaits != MC_AWAIT_INIT) return;
  for (mc_lua_task *m = M->live; m; m = m->live) {
    if (m->maker != t) continue;
    m->maker = NULL;
    mc__lua_cancel(M, m);
  }
}

static int never_protected(lua_State *L) {
  lua_settop(L, 1);
  mc__lua_push_core(L);
  lua_getfield(L, 2, "never");
  lua_insert(L, 1);
  lua_settop(L, 2);
  lua_call(L, 1, 1);
  return 1;
}

/* Pushes what core.never returns for the value on top, instead of that; false: it raised. */
static bool call_never(lua_State *L) {
  lua_pushcfunction(L, never_protected);
  lua_insert(L, -2);
  return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

/* Nothing can end this wait: raises why. What waits elsewhere is asked for once it is given up. */
static int never(lua_State *L, mc_lua *M, mc_lua_task *t) {
  double timeout_ms = t->timeout_ms, deadline_ms = t->deadline_ms;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushnil(L);
  bool told = !M->explaining && call_never(L);
  let_go(M, t);
  t->parked = M->root_at = NULL;
  t->awaits = MC_AWAIT_NOTHING;
  if (told) {
    M->explaining = true;
    t->deadline_ms = INFINITY;
    told = call_never(L) && lua_type(L, -1) == LUA_TSTRING;
    M->explaining = false;
    t->timeout_ms = timeout_ms;
    t->deadline_ms = deadline_ms;
  }
  return mc__lua_raise(L, MC_E_DEADLOCK, "%s",
                       told ? lua_tostring(L, -1)
                            : "nothing can ever end this wait: no node has anything left "
                              "to do and no timer runs");
}

/* The answer comes while the pump runs on top of this very stack: it settles onto a stack of the
** root's own and is moved over. */
static int await_root(lua_State *L, mc_lua *M, mc_lua_task *t, lua_KFunction k,
                      lua_KContext ctx) {
  bool at_once = t->settled;
  if (!at_once) t->parked = t->co;
  M->root_at = L;
  while (!t->settled) {
    if (!M->pump(M)) {
      return never(L, M, t);
    }
  }
  t->parked = NULL;
  M->root_at = NULL;
  if (!at_once && lua_checkstack(L, t->nvalues)) {
    lua_xmove(t->co, L, t->nvalues);
  } else if (!at_once) {
    lua_settop(t->co, 0);
    t->code = MC_E_OUT_OF_MEMORY;
    t->failed = false;
  }
  return k(L, LUA_YIELD, ctx);
}

/* What the task awaits comes too late, or not at all: it raises code instead. */
static void interrupt(mc_lua *M, mc_lua_task *t, mc_error code) {
  let_go(M, t);
  mc__lua_wake_failed(M, t, code);
}

static void limit_reached(mc_node *n, mc_timer *timer) {
  (void)n;
  mc_lua_task *t = (mc_lua_task *)(void *)((char *)timer - offsetof(mc_lua_task, limit));
  if (t->parked && !t->settled) interrupt(mc__lua_of(t->parked), t, MC_E_TIMEOUT);
}

int mc__lua_await(lua_State *L, mc_lua *M, mc_lua_await what, lua_KFunction k,
                  lua_KContext ctx) {
  mc_lua_task *t = mc__lua_task_current(M);
  t->parked = L;
  t->awaits = what;
  t->since_ms = mc_node_seen(M->node);
  if (!isinf(t->deadline_ms) && what != MC_AWAIT_CALL && !t->settled) {
    t->limit.fire = limit_reached;
    if (!mc_timer_set(M->node, &t->limit, t->deadline_ms))
      interrupt(M, t, MC_E_OUT_OF_MEMORY);
  }
  if (t->is_root) return await_root(L, M, t, k, ctx);
  return lua_yieldleave(L, 0, ctx, k);
}

static const char *explain_code(mc_error code) {
  switch (code) {
  case MC_E_TIMEOUT: return "the deadline passed";
  case MC_E_CANCELLED: return "the task was cancelled";
  default: return "no memory for what was awaited";
  }
}

int mc__lua_awaited(lua_State *L, mc_lua *M) {
  mc_lua_task *t = mc__lua_task_current(M);
  mc_error code = t->code;
  t->settled = false;
  t->code = MC_OK;
  t->awaits = MC_AWAIT_NOTHING;
  mc_timer_clear(M->node, &t->limit);
  mc_timer_clear(M->node, &t->timer);
  if (code == MC_E_CANCELLED) mc__lua_tell(t);
  if (code == MC_E_TIMEOUT) mc__lua_expire(M, t);
  if (code) return mc__lua_raise(L, code, "%s", explain_code(code));
  if (t->failed) {
    t->failed = false;
    return lua_error(L);
  }
  return t->nvalues;
}

void mc__lua_wake(mc_lua *M, mc_lua_task *t, int nvalues, bool failed) {
  unjoin(t);
  t->nvalues = nvalues;
  t->failed = failed;
  t->settled = true;
  if (!t->is_root) mc_task_ready(M->node, &t->base);
}

void mc__lua_wake_failed(mc_lua *M, mc_lua_task *t, mc_error code) {
  t->code = code;
  mc__lua_wake(M, t, 0, false);
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

/* ---- cancelling ------------------------------------------------------------------------------ */

static void grace_over(mc_node *n, mc_timer *timer) {
  (void)n;
  mc_lua_task *t = (mc_lua_task *)(void *)((char *)timer - offsetof(mc_lua_task, timer));
  if (t->parked && !t->settled) interrupt(mc__lua_of(t->parked), t, MC_E_CANCELLED);
}

/* From now on it is the grace that limits the wait. */
static void await_confirmation(mc_lua *M, mc_lua_task *t) {
  mc_timer_clear(M->node, &t->limit);
  t->timer.fire = grace_over;
  if (!mc_timer_set(M->node, &t->timer, mc_node_now(M->node) + GRACE_MS))
    interrupt(M, t, MC_E_CANCELLED);
}

/* The callee is asked; if it says nothing for a while, it is not waited for. */
static void cancel_call(mc_lua *M, mc_lua_task *t) {
  mc_wait_cancel(M->node, &t->wait);
  if (t->settled) return;
  mc_timer_clear(M->node, &t->wait.timer);
  await_confirmation(M, t);
}

static void cancel_init(mc_lua *M, mc_lua_task *t) {
  for (mc_lua_task *m = M->live; m; m = m->live)
    if (m->maker == t) mc__lua_cancel(M, m);
  await_confirmation(M, t);
}

void mc__lua_cancel(mc_lua *M, mc_lua_task *t) {
  if (t->cancelled || t->ending || t->is_root) return;
  t->cancelled = true;
  if (!t->parked || t->settled) return; /* its next await will tell it */
  if (t->awaits == MC_AWAIT_CALL)
    cancel_call(M, t);
  else if (t->awaits == MC_AWAIT_INIT)
    cancel_init(M, t);
  else
    interrupt(M, t, MC_E_CANCELLED);
}

/* vtable */
void mc__lua_cancel_turn(void *ud, mc_turn *turn) {
  if (turn->task) mc__lua_cancel(ud, turn->task);
}

/* The task that makes the actor which t awaits. */
static mc_lua_task *made_for(mc_lua *M, const mc_lua_task *t) {
  mc_lua_task *m = M->live;
  while (m && m->maker != t) m = m->live;
  return m;
}

typedef void visit_wait(void *arg, const mc_wait *wait);

static void visit_awaited(mc_lua *M, const mc_lua_task *t, int depth, visit_wait *visit,
                          void *arg) {
  enum { MOST = 32 }; /* tasks that await one another */
  if (!t || depth == MOST || !t->parked || t->settled || t->ending) return;
  if (t->cancelled && !t->told) return; /* that ends the wait */
  if (t->awaits == MC_AWAIT_CALL) visit(arg, &t->wait);
  if (t->awaits == MC_AWAIT_INIT) visit_awaited(M, made_for(M, t), depth + 1, visit, arg);
  if (t->awaits != MC_AWAIT_TASK && t->awaits != MC_AWAIT_EACH) return;
  for (int i = 0; i < t->njoints; i++)
    if (t->joints[i].handle)
      visit_awaited(M, t->joints[i].handle->task, depth + 1, visit, arg);
}

/* vtable: what the handler awaits, as long as only that can end it. */
void mc__lua_awaits(void *ud, const mc_turn *turn, visit_wait *visit, void *arg) {
  visit_awaited(ud, turn->task, 0, visit, arg);
}

void mc__lua_cancel_loose(mc_lua *M, const mc_actor *a) {
  if (M->unheard) mc__lua_tell_unheard(M, a);
  if (!M->loose) return;
  for (mc_lua_task *t = M->live; t; t = t->live)
    if (t->loose == a) {
      mc__lua_cancel(M, t);
      t->loose = NULL; /* another actor may get its place */
      M->loose--;
    }
}

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
