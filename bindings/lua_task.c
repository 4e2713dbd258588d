/*
** Tasks: pooled coroutines that the node's step resumes, and the coroutine library through which
** awaits pass.
**
** An await yields the innermost coroutine with nothing. Our coroutine.resume sees that the current
** task is parked, yields in turn, and so on to the task's own coroutine, where the scheduler stops.
** What was awaited settles onto the stack of the innermost; resumes then go back down the same way.
** A coroutine that is parked like this is "normal" to its owner: it waits for something that will
** go on by itself.
**
** Code that runs outside the scheduler (a script under stock lua) has the root task: its awaits do
** not yield, they let the world run (M->pump) until they are settled.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "lua_node.h"

enum { MAX_FREE_TASKS = 4096 };

/* ---- making and keeping ---------------------------------------------------------------------- */

/* What anchors a task: its userdata, its coroutine, the handle while it runs. */
enum { TASK_SELF = 1, TASK_CO, TASK_HANDLE };

static mc_lua_task *make_task(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, TASK_HANDLE, 0);
  mc_lua_task *t = lua_newuserdatauv(L, sizeof *t, 0);
  memset(t, 0, sizeof *t);
  lua_rawseti(L, -2, TASK_SELF);
  t->co = lua_newthread(L);
  lua_rawseti(L, -2, TASK_CO);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_HANDLE);
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
  M->tasks++;
  return t;
}

void mc__lua_task_free(mc_lua *M, mc_lua_task *t) {
  mc_wait_forget(M->node, &t->wait);
  mc_timer_clear(M->node, &t->timer);
  lua_settop(t->co, 0);
  lua_rawgeti(M->L, LUA_REGISTRYINDEX, M->traces);
  lua_pushnil(M->L);
  lua_rawsetp(M->L, -2, t);
  lua_pop(M->L, 1);
  M->tasks--;
  t->next = M->free_tasks;
  M->free_tasks = t;
}

mc_lua_task *mc__lua_task_current(mc_lua *M) {
  return M->current ? M->current : &M->root;
}

/* ---- awaiting -------------------------------------------------------------------------------- */

/* Under stock lua: no frame of a C function, except those that a yield could cross and the host's
** own at the bottom. */
static bool root_can_await(lua_State *L, mc_lua *M) {
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
  bool can = !mc__lua_task_current(M)->blocked &&
             (M->current ? lua_isyieldable(L) : M->pump && root_can_await(L, M));
  if (can && !M->encoding) return;
  mc__lua_raise(
      L, MC_E_CANNOT_AWAIT,
      "%s cannot be awaited here, inside a C function that calls back (table.sort, "
      "string.gsub, tostring, require, load and the like): collect first, then call "
      "from a loop",
      what);
}

/* Takes the root out of the tasks that wait for another one. */
static void leave(mc_lua_task *t) {
  mc_lua_task **at = t->joined ? &t->joined->joiners : NULL;
  while (at && *at && *at != t) at = &(*at)->next;
  if (at && *at) *at = t->next;
}

/* The answer comes while the pump runs on top of this very stack: it settles onto a stack of the
** root's own and is moved over. */
static int await_root(lua_State *L, mc_lua *M, mc_lua_task *t, lua_KFunction k,
                      lua_KContext ctx) {
  bool at_once = t->settled;
  if (!at_once) t->parked = t->co;
  while (!t->settled) {
    if (!M->pump(M)) {
      mc_wait_forget(M->node, &t->wait);
      mc_timer_clear(M->node, &t->timer);
      leave(t);
      t->parked = NULL;
      return mc__lua_raise(L, MC_E_DEADLOCK,
                           "nothing can ever end this wait: no node has anything "
                           "left to do and no timer runs");
    }
  }
  t->parked = NULL;
  if (!at_once && lua_checkstack(L, t->nvalues)) {
    lua_xmove(t->co, L, t->nvalues);
  } else if (!at_once) {
    lua_settop(t->co, 0);
    t->code = MC_E_OUT_OF_MEMORY;
    t->failed = false;
  }
  return k(L, LUA_YIELD, ctx);
}

int mc__lua_await(lua_State *L, mc_lua *M, lua_KFunction k, lua_KContext ctx) {
  mc_lua_task *t = mc__lua_task_current(M);
  t->parked = L;
  if (t->is_root) return await_root(L, M, t, k, ctx);
  return lua_yieldk(L, 0, ctx, k);
}

int mc__lua_awaited(lua_State *L, mc_lua *M) {
  mc_lua_task *t = mc__lua_task_current(M);
  mc_error code = t->code;
  t->settled = false;
  t->code = MC_OK;
  if (code) return mc__lua_raise(L, code, "no memory for what was awaited");
  if (t->failed) {
    t->failed = false;
    return lua_error(L);
  }
  return t->nvalues;
}

void mc__lua_wake(mc_lua *M, mc_lua_task *t, int nvalues, bool failed) {
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

static void finish(mc_lua *M, mc_lua_task *t, int status, int nresults);

int mc__lua_task_run(mc_lua *M, lua_State *from, mc_lua_task *t, int nargs,
                     int *nresults) {
  mc_lua_task *before = M->current;
  M->current = t;
  int status = lua_resume(t->co, from, nargs, nresults);
  M->current = before;
  return status;
}

/* vtable: a task that is new or was settled */
void mc__lua_resume(void *ud, mc_task *task) {
  mc_lua *M = ud;
  mc_lua_task *t = (mc_lua_task *)(void *)task;
  int nresults, nargs = t->nargs;
  if (t->parked) {
    nargs = t->parked == t->co ? t->nvalues : 0;
    if (t->parked == t->co) t->parked = NULL;
  }
  t->nargs = 0;
  int status = mc__lua_task_run(M, M->L, t, nargs, &nresults);
  if (status != LUA_YIELD) finish(M, t, status, nresults);
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
} ending;

/* The user value of the task's handle becomes {[0] = traceback, results ...}. */
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
  lua_setiuservalue(L, -2, 1);
  return 0;
}

static void set_handle(lua_State *L, const mc_lua_task *t, int handle) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  if (handle)
    lua_pushvalue(L, handle);
  else
    lua_pushboolean(L, 0);
  lua_rawseti(L, -2, TASK_HANDLE); /* there already: takes no memory */
  lua_pop(L, 1);
}

/* The end of a task that mc.async made: its results go to the handle and to who awaits it. */
static void finish_async(mc_lua *M, mc_lua_task *t, bool raised, int n) {
  mc_lua_handle *h = t->handle;
  ending e = {.t = t, .n = n};
  if (raised) e.trace = lua_tolstring(M->L, -1, &e.len);
  h->task = NULL;
  h->nresults = n;
  h->failed = raised;
  for (mc_lua_task *j = t->joiners, *next; j; j = next) {
    next = j->next;
    h->observed = true;
    mc__lua_try_keep_trace(M, M->L, j, t->co, e.trace, e.len);
    pass_on(M, t, raised, n, j);
  }
  if (!mc__lua_try(M->L, keep_results, &e)) h->code = MC_E_OUT_OF_MEMORY;
  set_handle(M->L, t, 0);
}

static void finish(mc_lua *M, mc_lua_task *t, int status, int nresults) {
  bool raised = status != LUA_OK;
  if (raised) {
    mc__lua_failed(M, M->L, t);
    nresults = 1;
  }
  if (t->making)
    mc__lua_finish_init(M, t, raised);
  else if (t->turn)
    mc__lua_finish_turn(M, t, raised, nresults);
  else if (t->handle)
    finish_async(M, t, raised, nresults);
  if (raised) lua_pop(M->L, 1);
  mc__lua_task_free(M, t);
}

/* ---- mc.async -------------------------------------------------------------------------------- */

#define HANDLE "mooncast.task"

/* core.async(fn, ...) -> task: runs beside the caller, from the next step on. */
static int l_async(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  int nargs = lua_gettop(L) - 1;
  if (lua_type(L, 1) != LUA_TFUNCTION && luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    return luaL_typeerror(L, 1, "function");
  lua_settop(L, nargs + 1);
  luaL_checkstack(L, 8, NULL);
  mc_lua_handle *h = lua_newuserdatauv(L, sizeof *h, 1);
  memset(h, 0, sizeof *h);
  luaL_setmetatable(L, HANDLE);
  mc_lua_task *t = mc__lua_task_new(M, L);
  if (!lua_checkstack(t->co, nargs + 4)) {
    mc__lua_task_free(M, t);
    return mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a task");
  }
  t->handle = h;
  t->timeout_ms = mc__lua_task_current(M)->timeout_ms;
  h->task = t;
  set_handle(L, t, nargs + 2);
  lua_insert(L, 1);
  lua_xmove(L, t->co, nargs + 1);
  t->nargs = nargs;
  mc_task_ready(M->node, &t->base);
  return 1;
}

static int push_results(lua_State *L, mc_lua_handle *h) {
  mc_lua *M = mc__lua_of(L);
  h->observed = true;
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

/* task:await() -> what it returned; raises what it raised. */
static int l_await(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_handle *h = luaL_checkudata(L, 1, HANDLE);
  lua_settop(L, 1);
  if (!h->task) return push_results(L, h);
  mc__lua_check_await(L, M, "a task");
  mc_lua_task *self = mc__lua_task_current(M);
  if (h->task == self) return mc__lua_raise(L, MC_E_DEADLOCK, "a task awaits itself");
  mc_lua_task **at = &h->task->joiners;
  while (*at) at = &(*at)->next;
  *at = self;
  self->next = NULL;
  self->joined = h->task;
  h->observed = true;
  return mc__lua_await(L, M, await_k, 0);
}

/* task:status() -> "running", "done" or "failed" */
static int l_status(lua_State *L) {
  mc_lua_handle *h = luaL_checkudata(L, 1, HANDLE);
  lua_pushstring(L, h->task ? "running" : h->failed || h->code ? "failed" : "done");
  return 1;
}

/* An error that nobody awaited is told when its task is collected. */
static int l_handle_gc(lua_State *L) {
  mc_lua_handle *h = luaL_checkudata(L, 1, HANDLE);
  if (h->task || !h->failed || h->observed || h->code) return 0;
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, 2, 1);
  lua_rawgeti(L, 2, 0);
  lua_pushfstring(L, "a task that nobody awaited failed: %s\n%s",
                  luaL_tolstring(L, 3, NULL), luaL_optstring(L, 4, ""));
  mc__lua_log(mc__lua_of(L), MC_LOG_ERROR, lua_tostring(L, -1));
  return 0;
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
  return mc__lua_await(L, M, await_k, 0);
}

/* core.now() -> seconds on the node's monotonic clock */
static int l_now(lua_State *L) {
  lua_pushnumber(L, mc_node_now(mc__lua_of(L)->node) / 1000);
  return 1;
}

/* core.timeout(seconds | nil) -> the one before: what calls of this task wait at most. */
static int l_timeout(lua_State *L) {
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  double before = t->timeout_ms;
  double seconds = luaL_optnumber(L, 1, -1);
  luaL_argcheck(L, lua_isnoneornil(L, 1) || seconds >= 0, 1, "seconds from 0 on");
  t->timeout_ms = seconds < 0 ? -1 : seconds * 1000;
  if (before < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, before / 1000);
  return 1;
}

/* ---- coroutine.*, through which awaits pass -------------------------------------------------- */

static int resume_k(lua_State *L, int status, lua_KContext wrap);

/* Resumes the coroutine at index 1 of L with nargs values of its own stack. wrap: raise its errors. */
static int resume_from(lua_State *L, mc_lua *M, int nargs, bool wrap) {
  lua_State *co = lua_tothread(L, 1);
  mc_lua_task *t = M ? M->current : NULL; /* no node: it is closed */
  bool blocks = t ? !lua_isyieldable(L) : M && M->pump && !root_can_await(L, M);
  mc_lua_task *caller = blocks ? mc__lua_task_current(M) : NULL;
  int nresults;
  if (blocks) caller->blocked++;
  int status = lua_resume(co, L, nargs, &nresults);
  if (blocks) caller->blocked--;
  if (status == LUA_YIELD && t && t->parked) {
    mc__lua_set_parked(co, true);
    return lua_yieldk(L, 0, wrap, resume_k);
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    if (wrap) {
#if LUA_VERSION_RELEASE_NUM >= 50406
      if (lua_closethread(co, L) != LUA_OK || true) lua_xmove(co, L, 1);
#else
      lua_xmove(co, L, 1);
      if (lua_resetthread(co) != LUA_OK) lua_xmove(co, L, 1);
#endif
      if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
      }
      return lua_error(L);
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
  }
  if (!wrap) lua_pushboolean(L, 1);
  if (!lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    return luaL_error(L, "too many results to resume");
  }
  lua_xmove(co, L, nresults);
  return nresults + !wrap;
}

static int resume_k(lua_State *L, int status, lua_KContext wrap) {
  (void)status;
  mc_lua *M = mc__lua_of(L);
  lua_State *co = lua_tothread(L, 1);
  mc_lua_task *t = M->current;
  int nargs = 0;
  mc__lua_set_parked(co, false);
  if (t->parked == co) {
    nargs = t->nvalues;
    t->parked = NULL;
  }
  return resume_from(L, M, nargs, wrap != 0);
}

static lua_State *check_co(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (!co) luaL_typeerror(L, 1, "coroutine");
  return co;
}

/* "suspended", "normal", "running", "dead" as stock has it; parked is normal. */
static const char *status_of(lua_State *L, int index) {
  lua_State *co = lua_tothread(L, index);
  lua_Debug ar;
  if (co == L) return "running";
  if (mc__lua_is_parked(co)) return "normal";
  switch (lua_status(co)) {
  case LUA_YIELD: return "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default: return "dead";
  }
}

/* The same for both: moves the arguments over and resumes, or says why not. */
static int start_resume(lua_State *L, bool wrap) {
  mc_lua *M = mc__lua_peek(L);
  lua_State *co = lua_tothread(L, 1);
  int nargs = lua_gettop(L) - 1;
  const char *status = status_of(L, 1);
  const char *why = strcmp(status, "suspended") != 0 ? status : NULL;
  if (why || !lua_checkstack(co, nargs)) {
    lua_pushfstring(L,
                    why ? "cannot resume %s coroutine" : "too many arguments to resume",
                    why && *why == 'r'   ? "non-suspended"
                    : why && *why == 'n' ? "non-suspended"
                                         : why);
    if (wrap) {
      luaL_where(L, 1);
      lua_insert(L, -2);
      lua_concat(L, 2);
      return lua_error(L);
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_xmove(L, co, nargs);
  return resume_from(L, M, nargs, wrap);
}

static int l_co_resume(lua_State *L) {
  check_co(L);
  return start_resume(L, false);
}

static int l_co_wrapped(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return start_resume(L, true);
}

static int l_co_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int l_co_wrap(lua_State *L) {
  l_co_create(L);
  lua_pushcclosure(L, l_co_wrapped, 1);
  return 1;
}

static int l_co_yield(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  if (M && M->current && M->current->co == L)
    return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}

static int l_co_status(lua_State *L) {
  check_co(L);
  lua_pushstring(L, status_of(L, 1));
  return 1;
}

static int l_co_isyieldable(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, lua_isyieldable(co) && !(M && M->current && M->current->co == co));
  return 1;
}

/* Stock close, for what is not parked. Upvalue 1: stock's. */
static int l_co_close(lua_State *L) {
  check_co(L);
  if (mc__lua_is_parked(lua_tothread(L, 1)))
    return luaL_error(L, "cannot close a normal coroutine");
  int top = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, top, LUA_MULTRET);
  return lua_gettop(L);
}

static void note_passable(lua_State *L, mc_lua *M) {
  static const char *const names[MC_PASSABLE] = {"pcall", "xpcall", "error", "dofile"};
  for (int i = 0; i < MC_PASSABLE; i++) {
    lua_getglobal(L, names[i]);
    M->passable[i] = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
}

static void replace_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {{"create", l_co_create},
                                       {"wrap", l_co_wrap},
                                       {"resume", l_co_resume},
                                       {"yield", l_co_yield},
                                       {"status", l_co_status},
                                       {"isyieldable", l_co_isyieldable},
                                       {NULL, NULL}};
  lua_getglobal(L, "coroutine");
  luaL_setfuncs(L, functions, 0);
  lua_getfield(L, -1, "close");
  lua_pushcclosure(L, l_co_close, 1);
  lua_setfield(L, -2, "close");
  lua_pop(L, 1);
}

void mc__lua_open_task(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {{"async", l_async},
                                       {"sleep", l_sleep},
                                       {"now", l_now},
                                       {"timeout", l_timeout},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"await", l_await}, {"status", l_status}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  luaL_newmetatable(L, HANDLE);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_handle_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  M->root.is_root = true;
  M->root.timeout_ms = -1;
  M->root.co = lua_newthread(L);
  M->root.co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  note_passable(L, M);
  replace_coroutine(L);
}
