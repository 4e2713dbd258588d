/*
** How tasks await, and are cancelled.
**
** An await yields the innermost coroutine with nothing. Our coroutine.resume sees that the current
** task is parked, yields in turn, and so on to the task's own coroutine, where the scheduler stops.
** What was awaited settles onto the stack of the innermost; resumes then go back down the same way.
** A coroutine that is parked like this is "normal" to its owner: it waits for something that will
** go on by itself.
**
** Cancellation is told once, by an await that raises: a call that is under way first asks its callee,
** and waits a moment for what that says.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>

#include "lua_node.h"

enum { GRACE_MS = 1000 }; /* how long a callee may take to say that it was cancelled */

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
