/*
** Lua nodes in one process: node w1 on the caller's thread, each other one on a thread of its own or
** on w1's. Here is which nodes there are, and what embedders and Lua ask; native_node.c is one of them.
**
** Locks: system->lock guards the list of nodes and is taken before any inbox's. A sender holds one
** inbox's at a time.
** Order: what a node pushed before it ended stands in an inbox before the news of its end.
** A node's record is kept until the system is freed, so that a late sender finds it closed.
**
** Without memory: the news of a node's end is made with the news of its start, so that it can always be told.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native_node.h"

/* ---- the list ------------------------------------------------------------------------------ */

mc_native_node *mc__native_find(const mc_system *s, const char *name,
                                uint64_t incarnation) {
  mc_native_node *n = s->nodes;
  while (n && (n->incarnation != incarnation || strcmp(n->name, name) != 0)) n = n->next;
  return n;
}

void mc__native_delist(mc_system *s, mc_native_node *n) {
  mc_lock_enter(s->lock);
  mc_native_node **at = &s->nodes;
  while (*at && *at != n) at = &(*at)->next;
  if (*at) {
    *at = n->next;
    n->next = s->ended;
    s->ended = n;
    for (mc_native_node *o = s->nodes; o; o = o->next) {
      mc_event *down = n->downs;
      n->downs = down->next;
      down->next = NULL;
      mc__inbox_push(&o->inbox, down);
    }
  }
  mc_lock_leave(s->lock);
}

/* Appends the news of a node's start, and notes that of its end, which will follow. */
static bool prepare(mc_event ***last, mc_native_node *about) {
  mc_event *up = mc__event_new(MC_EVENT_UP, about, NULL, 0, 0);
  mc_event *down = mc__event_new(MC_EVENT_DOWN, about, NULL, 0, 0);
  if (!up || !down) return free(up), free(down), false;
  **last = up;
  *last = &up->next;
  down->next = about->downs;
  about->downs = down;
  return true;
}

static void unprepare(mc_event *news) {
  while (news) {
    mc_native_node *about = news->about;
    mc_event *next = news->next, *down = about->downs;
    about->downs = down->next;
    free(down);
    free(news);
    news = next;
  }
}

static void push_first(mc_native_node *to, mc_event **news) {
  mc_event *e = *news;
  *news = e->next;
  e->next = NULL;
  mc__inbox_push(&to->inbox, e);
}

/* Puts a node that runs into the list and makes it and the others known to each other. Who hears of it
** cannot send to it before all this is done: its inbox is found under the same lock. False, and nothing is
** changed, when there is no memory. */
static bool enlist(mc_system *s, mc_native_node *n) {
  mc_event *own = NULL, **own_last = &own, *others = NULL, **others_last = &others;
  mc_lock_enter(s->lock);
  mc_native_node **at = &s->nodes;
  bool ok = prepare(&own_last, n);
  for (; *at; at = &(*at)->next)
    ok = ok && prepare(&own_last, n) && prepare(&others_last, *at);
  if (ok) {
    for (mc_native_node *o = s->nodes; o; o = o->next) {
      push_first(n, &others);
      push_first(o, &own);
    }
    push_first(n, &own);
    *at = n;
  } else {
    unprepare(own);
    unprepare(others);
  }
  mc_lock_leave(s->lock);
  return ok;
}

/* ---- starting and ending ------------------------------------------------------------------- */

/* For a node that is not in the list. */
static void discard(mc_native_node *n) {
  if (n->M) mc__native_close(n, true);
  mc__native_free(n);
}

/* Joins the threads of nodes that have ended. */
static void reap(mc_system *s) {
  mc_lock_enter(s->lock);
  for (mc_native_node *n = s->ended; n; n = n->next) {
    mc_lock_enter(n->inbox.lock);
    bool over = n->thread && n->state == MC_NATIVE_ENDED;
    mc_lock_leave(n->inbox.lock);
    if (!over) continue;
    mc_thread_join(n->thread);
    n->thread = NULL;
  }
  mc_lock_leave(s->lock);
}

static mc_native_node *start_node(mc_system *s, const char *name, char *why,
                                  size_t why_size) {
  reap(s);
  mc_native_node *n = mc__native_new(s, name);
  if (!n) return snprintf(why, why_size, "cannot start node %s: no memory", name), NULL;
  bool runs = mc__native_launch(n);
  if (runs && enlist(s, n)) return n;
  if (runs) snprintf(n->why, sizeof n->why, "cannot start node %s: no memory", name);
  snprintf(why, why_size, "%s", n->why);
  if (n->thread) {
    mc__inbox_stop(&n->inbox);
    mc_thread_join(n->thread);
  }
  discard(n);
  return NULL;
}

/* Its thread ends it at its next turn; to the others it is gone at once. */
static void end_node(mc_system *s, mc_native_node *n) {
  bool threaded = n->thread;
  mc__native_delist(s, n);
  if (threaded) {
    mc__inbox_stop(&n->inbox);
    return;
  }
  mc__native_close(n, true);
  mc__native_shut(n, MC_NATIVE_ENDED);
}

/* ---- running ------------------------------------------------------------------------------- */

double mc_system_step(mc_system *s, double budget_ms) {
  mc_native_node *first = s->nodes;
  double wake = mc__native_turn(first, budget_ms);
  if (s->config.threads) return mc__inbox_has_events(&first->inbox) ? 0 : wake;
  for (mc_native_node *n = first->next; n; n = n->next) {
    double own = mc__native_turn(n, budget_ms);
    if (own < wake) wake = own;
  }
  for (mc_native_node *n = first; n; n = n->next)
    if (mc__inbox_has_events(&n->inbox)) return 0;
  return wake;
}

void mc_system_wait(mc_system *s, double ms) { mc__native_wait(s->nodes, ms); }

/* How code of w1 outside of tasks awaits. */
static bool pump(mc_lua *M) {
  enum { LOOK_AGAIN_MS = 100 };
  mc_system *s = ((mc_native_node *)M->host_ud)->system;
  double wake = mc_system_step(s, 4);
  if (M->root.settled || wake == 0) return true;
  /* In this order: while nobody else is awake nothing arrives. */
  if (isinf(wake) && atomic_load(&s->awake) == 0 &&
      !mc__inbox_has_events(&s->nodes->inbox))
    return false;
  fflush(stdout);
  mc_system_wait(s, wake < LOOK_AGAIN_MS ? wake : LOOK_AGAIN_MS);
  return true;
}

/* ---- what Lua asks of the host: core.native, on w1 ----------------------------------------- */

static mc_system *system_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static int secret_protected(lua_State *L) {
  lua_pushlstring(L, lua_touserdata(L, 1), MC_SECRET_SIZE);
  return 1;
}

/* native.start_node(name) -> incarnation, secret */
static int l_start_node(lua_State *L) {
  char why[512];
  mc_system *s = system_of(L);
  const char *name = luaL_checkstring(L, 1);
  mc_native_node *n = start_node(s, name, why, sizeof why);
  if (!n) return luaL_error(L, "%s", why);
  lua_pushinteger(L, (lua_Integer)n->incarnation);
  if (mc__lua_try_push(L, secret_protected, n->secret)) return 2;
  end_node(s, n);
  return lua_error(L);
}

/* native.stop_node(name) -> true if there was one; w1 itself cannot be ended */
static int l_stop_node(lua_State *L) {
  mc_system *s = system_of(L);
  const char *name = luaL_checkstring(L, 1);
  mc_lock_enter(s->lock);
  mc_native_node *n = s->nodes->next;
  while (n && strcmp(n->name, name) != 0) n = n->next;
  mc_lock_leave(s->lock);
  if (n) end_node(s, n);
  lua_pushboolean(L, n != NULL);
  return 1;
}

static void push_native(lua_State *L, mc_system *s) {
  static const luaL_Reg functions[] = {
      {"start_node", l_start_node}, {"stop_node", l_stop_node}, {NULL, NULL}};
  lua_newtable(L);
  lua_pushlightuserdata(L, s);
  luaL_setfuncs(L, functions, 1);
}

/* ---- the system ---------------------------------------------------------------------------- */

void mc_system_config_init(mc_system_config *config) {
  *config = (mc_system_config){.threads = true, .call_timeout_ms = 30000};
}

static char *copy_text(const char *s) {
  size_t size = strlen(s) + 1;
  char *copy = malloc(size);
  return copy ? memcpy(copy, s, size) : NULL;
}

/* light userdata mc_system: core.native, and the paths of w1 for the nodes to come */
static int setup_first(lua_State *L) {
  mc_system *s = lua_touserdata(L, 1);
  static const char *const fields[] = {"path", "cpath"};
  lua_getglobal(L, "package");
  for (int i = 0; i < 2; i++) {
    lua_getfield(L, -1, fields[i]);
    const char *text = lua_tostring(L, -1);
    s->paths[i] = text ? copy_text(text) : NULL;
    if (text && !s->paths[i]) return luaL_error(L, "no memory");
    lua_pop(L, 1);
  }
  mc__lua_push_core(L);
  push_native(L, s);
  lua_setfield(L, -2, "native");
  return 0;
}

/* Node w1, in the caller's state or one of its own. */
static bool start_first(mc_system *s, char *why, size_t why_size) {
  mc_native_node *n = mc__native_new(s, "w1");
  if (!n) return snprintf(why, why_size, "no memory"), false;
  lua_State *L = s->config.state;
  s->owns_state = !L;
  bool ok = mc__native_open(n, L);
  if (ok) {
    snprintf(n->why, sizeof n->why, "cannot start node w1: no memory");
    n->state = MC_NATIVE_RUNNING;
    n->M->pump = pump;
    ok = mc__lua_try(n->M->L, setup_first, s) && enlist(s, n);
  }
  if (ok) return true;
  snprintf(why, why_size, "%s", n->why);
  if (n->M) mc__native_close(n, s->owns_state);
  mc__native_free(n);
  return false;
}

mc_system *mc_system_new(const mc_system_config *config, char *why, size_t why_size) {
  mc_system *s = calloc(1, sizeof *s);
  if (s) s->lock = mc_lock_new();
  if (s && s->lock) s->parcels = mc__parcels_new();
  if (!s || !s->parcels) {
    if (s && s->lock) mc_lock_free(s->lock);
    free(s);
    return snprintf(why, why_size, "no memory"), NULL;
  }
  s->config = *config;
  s->cores = mc_platform_cores();
  atomic_init(&s->threads, 1);
  atomic_init(&s->awake, 0);
  int workers = config->workers > 0 ? config->workers : s->cores;
  bool ok = start_first(s, why, why_size);
  for (int i = 2; ok && i <= workers; i++) {
    char name[16];
    snprintf(name, sizeof name, "w%d", i);
    ok = start_node(s, name, why, why_size) != NULL;
  }
  if (ok) return mc_system_step(s, 0), s; /* w1 hears of the others */
  mc_system_free(s);
  return NULL;
}

void mc_system_free(mc_system *s) {
  mc_native_node *first = s->nodes;
  while (first && first->next) end_node(s, first->next);
  for (mc_native_node *n = s->ended; n; n = n->next)
    if (n->thread) mc_thread_join(n->thread);
  if (first) {
    mc__native_close(first, s->owns_state);
    mc__native_free(first);
  }
  for (mc_native_node *n = s->ended, *next; n; n = next) {
    next = n->next;
    mc__native_free(n);
  }
  free(s->paths[0]);
  free(s->paths[1]);
  mc__parcels_free(s->parcels);
  mc_lock_free(s->lock);
  free(s);
}

lua_State *mc_system_state(mc_system *s) { return s->nodes->M->L; }

static void push_library(lua_State *L, const char *function) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "mooncast.node");
  lua_getfield(L, -1, function);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

typedef struct program {
  const char *path, *name, *source;
  int argc;
  const char *const *argv;
} program;

/* light userdata program -> true, or false and why: node.lua's run_program */
static int run_protected(lua_State *L) {
  const program *p = lua_touserdata(L, 1);
  luaL_checkstack(L, p->argc + 8, NULL);
  push_library(L, "run_program");
  if (p->path)
    lua_pushstring(L, p->path);
  else
    lua_pushfstring(L, "=%s", p->name);
  lua_pushstring(L, p->source);
  for (int i = 0; i < p->argc; i++) lua_pushstring(L, p->argv[i]);
  lua_call(L, p->argc + 2, 2);
  if (lua_toboolean(L, -2)) return 0;
  lua_pushfstring(L, "%s", luaL_tolstring(L, -1, NULL));
  return lua_error(L);
}

static bool run(mc_system *s, program *p, char *why, size_t why_size) {
  lua_State *L = mc_system_state(s);
  int top = lua_gettop(L);
  bool ok = mc__lua_try_push(L, run_protected, p);
  const char *text = ok ? NULL : lua_tostring(L, -1);
  if (!ok) snprintf(why, why_size, "%s", text ? text : "no memory");
  lua_settop(L, top);
  return ok;
}

bool mc_system_run(mc_system *s, const char *path, int argc, const char *const *argv,
                   char *why, size_t why_size) {
  return run(s, &(program){.path = path, .argc = argc, .argv = argv}, why, why_size);
}

bool mc_system_run_string(mc_system *s, const char *source, const char *name, char *why,
                          size_t why_size) {
  return run(s, &(program){.name = name, .source = source}, why, why_size);
}

typedef struct exposure {
  const char *name;
  const luaL_Reg *methods;
  void *ud;
} exposure;

static int expose_protected(lua_State *L) {
  const exposure *e = lua_touserdata(L, 1);
  push_library(L, "expose");
  lua_pushstring(L, e->name);
  lua_newtable(L);
  lua_pushlightuserdata(L, e->ud);
  luaL_setfuncs(L, e->methods, 1);
  lua_call(L, 2, 0);
  return 0;
}

bool mc_system_expose(mc_system *s, const char *name, const luaL_Reg *methods, void *ud) {
  exposure e = {name, methods, ud};
  return mc__lua_try(mc_system_state(s), expose_protected, &e);
}
