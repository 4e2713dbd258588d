/*
** Lua nodes in one process: node w1 on the caller's thread, each other one on a thread of its own or
** on w1's. A link is the target's inbox, a queue of events behind a lock: batches of bytes, and that
** nodes came and went. Every send copies the batch once.
**
** Locks: system->lock guards the list of nodes and is taken before any inbox's. A sender holds one
** inbox's at a time. To see whether anything can ever happen again w1 holds them all.
** Order: what a node pushed before it ended stands in an inbox before the news of its end.
** A node's record is kept until the system is freed, so that a late sender finds it closed.
**
** Without memory: what a node cannot send or take in now it tries again soon (`stuck`), in order; the
** news of a node's end is made with the news of its start, so that it can always be told.
*/
#include "native_system.h"

#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native_inbox.h"

/* What a batch is taken in. Small pieces make both sides of a link work at the same time instead of in
** lockstep; where nobody waits for an answer they grow. What is larger is taken whole: pieces of one large
** envelope would have to be put together. */
enum { SMALL_PIECE = 1024, LARGE_PIECE = 64 * 1024 };
/* An event with room for that is used again; news has none. */
enum { SPARE = 4096 };

typedef enum node_state { STARTING, RUNNING, FAILED, ENDED } node_state;

typedef struct native_node {
  struct native_node *next;
  mc_system *system;
  mc_lua *M;
  mc_thread *thread;
  mc__lua_memory memory;
  struct native_node **targets; /* by peer; only its own thread looks */
  uint32_t target_count;
  bool stuck;      /* there was no memory to go on: again soon */
  mc_event *downs; /* news of its end, one for each node that heard of its start */
  mc_event *spare; /* the last one that was read, for what is sent next */
  size_t piece;
  uint64_t sends;
  uint64_t incarnation;
  uint8_t secret[MC_SECRET_SIZE];
  char name[MC_MAX_NAME + 1];
  char why[512]; /* of a start that failed */
  mc_inbox inbox;
  node_state state; /* the inbox's lock guards it */
} native_node;

struct mc_system {
  mc_system_config config;
  mc_lock *lock;
  native_node *nodes; /* alive, w1 first */
  native_node *ended;
  mc_parcels *parcels; /* buffers on their way */
  atomic_int threads;  /* that run nodes, w1's counted */
  int cores;
  char *paths[2]; /* package.path and package.cpath of w1 */
  bool owns_state;
};

/* ---- reading --------------------------------------------------------------------------------- */

/* light userdata event: node.lua's function peer_up or peer_down */
static int tell_protected(lua_State *L) {
  const mc_event *e = lua_touserdata(L, 1);
  const native_node *about = e->about;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "mooncast.node");
  lua_getfield(L, -1, e->kind == MC_EVENT_UP ? "peer_up" : "peer_down");
  lua_pushstring(L, about->name);
  lua_pushinteger(L, (lua_Integer)about->incarnation);
  lua_pushlstring(L, (const char *)about->secret, MC_SECRET_SIZE);
  lua_call(L, 3, 0);
  return 0;
}

static void deliver(native_node *n, uint32_t peer, const mc_event *e, double budget_ms) {
  for (size_t at = 0, size; at < e->len; at += size) {
    size = e->len - at;
    if (size > n->piece && size <= LARGE_PIECE) size = n->piece;
    mc__lua_deliver(n->M, peer, e->bytes + at, size);
    if (at + size == e->len) return;
    uint64_t before = n->sends;
    mc__lua_step(n->M, budget_ms);
    if (n->sends != before)
      n->piece = SMALL_PIECE;
    else if (n->piece < LARGE_PIECE)
      n->piece *= 2;
  }
}

/* False: there was no memory. */
static bool handle(native_node *n, mc_event *e, double budget_ms) {
  const native_node *about = e->about;
  if (e->kind == MC_EVENT_DOWN) mc__parcels_drop(n->system->parcels, about->incarnation);
  if (e->kind != MC_EVENT_DATA) return mc__lua_try(n->M->L, tell_protected, e);
  uint32_t peer =
      mc_peer_named(n->M->node, about->name, strlen(about->name), about->incarnation);
  if (peer == UINT32_MAX) return false;
  deliver(n, peer, e, budget_ms);
  return true;
}

static void keep_or_free(native_node *n, mc_event *e) {
  if (n->spare || e->cap != SPARE)
    free(e);
  else
    n->spare = e;
}

/* What arrived, then what is ready; returns when it next wants to run. */
static double turn(native_node *n, double budget_ms) {
  enum { AGAIN_MS = 1 };
  mc_event *list = mc__inbox_take(&n->inbox);
  n->stuck = false;
  while (list && handle(n, list, budget_ms)) {
    mc_event *next = list->next;
    keep_or_free(n, list);
    list = next;
  }
  if (list) mc__inbox_put_back(&n->inbox, list);
  double wake = mc__lua_step(n->M, budget_ms);
  n->stuck = n->stuck || list;
  return n->stuck && wake > AGAIN_MS ? AGAIN_MS : wake;
}

/* ---- what the core asks of its host ---------------------------------------------------------- */

static void *host_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud, (void)osize;
  if (nsize) return realloc(ptr, nsize);
  free(ptr);
  return NULL;
}

static double host_now(void *ud) {
  (void)ud;
  return mc_platform_now_ms();
}

static void host_random(void *ud, void *out, size_t len) {
  (void)ud;
  mc_platform_random(out, len);
}

static native_node *find(mc_system *s, const char *name, uint64_t incarnation) {
  native_node *n = s->nodes;
  while (n && (n->incarnation != incarnation || strcmp(n->name, name) != 0)) n = n->next;
  return n;
}

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t incarnation) {
  (void)ud, (void)peer, (void)name, (void)len, (void)incarnation;
}

#ifdef MC_HARD_TEST
enum { TARGETS_AHEAD = 1 };
#else
enum { TARGETS_AHEAD = 16 };
#endif

static bool targets_grow(native_node *n, uint32_t count) {
  native_node **targets = realloc(n->targets, count * sizeof *targets);
  if (!targets) return false;
  memset(targets + n->target_count, 0, (count - n->target_count) * sizeof *targets);
  n->targets = targets;
  n->target_count = count;
  return true;
}

/* The node that is this peer: looked up at the first send, kept because it may have ended later. */
static native_node *target(native_node *n, uint32_t peer) {
  if (!n->targets[peer]) {
    const mc_node *node = n->M->node;
    mc_lock_enter(n->system->lock);
    n->targets[peer] =
        find(n->system, mc_peer_name(node, peer, NULL), mc_peer_incarnation(node, peer));
    mc_lock_leave(n->system->lock);
  }
  return n->targets[peer];
}

/* The node has ended: nobody claims what was on its way there. */
static void lost(native_node *n, uint32_t peer, const native_node *to) {
  mc__parcels_drop(n->system->parcels, to->incarnation);
  mc_node_peer_down(n->M->node, peer, MC_E_NODE_DOWN);
}

static mc_event *batch(native_node *n, const uint8_t *bytes, size_t len) {
  mc_event *e = n->spare;
  if (!e || e->cap < len) {
    size_t cap = len < SPARE ? SPARE : len;
    return mc__event_new(MC_EVENT_DATA, n, bytes, len, cap);
  }
  n->spare = NULL;
  mc__event_fill(e, MC_EVENT_DATA, n, bytes, len);
  return e;
}

static size_t host_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  native_node *n = ud;
  mc_event *e = NULL;
  if (peer < n->target_count || targets_grow(n, peer + TARGETS_AHEAD))
    e = batch(n, bytes, len);
  if (!e) return n->stuck = true, 0;
  n->sends++;
  native_node *to = target(n, peer);
  if (!to)
    mc_node_peer_down(n->M->node, peer, MC_E_UNKNOWN_NODE);
  else if (mc__inbox_push(&to->inbox, e))
    return len;
  else
    lost(n, peer, to);
  if (!to) free(e);
  return len;
}

/* Whether what is sent to this peer stays in the process. */
static bool is_near(mc_lua *M, uint32_t peer) {
  native_node *n = M->host_ud;
  if (mc__lua_has_transport(M, peer)) return false;
  return (peer < n->target_count || targets_grow(n, peer + TARGETS_AHEAD)) &&
         target(n, peer);
}

static void log_line(mc_lua *M, int level, const char *text, size_t len) {
  static const char *const levels[] = {"error", "warning", "info", "debug"};
  native_node *n = M->host_ud;
  const mc_system_config *config = &n->system->config;
  if (config->log)
    config->log(config->ud, n->name, (mc_log_level)level, text, len);
  else
    fprintf(stderr, "%s: %s: %.*s\n", n->name, levels[level & 3], (int)len, text);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Looking again before sleeping pays only where each node has a processor of its own. */
static void wait_inbox(native_node *n, double ms) {
  mc_system *s = n->system;
  mc__inbox_wait(&n->inbox, ms, atomic_load(&s->threads) <= s->cores);
}

/* No node has anything to do, to read or to wait for. Called for w1, which has not either. */
static bool all_still(mc_system *s) {
  bool still = true;
  mc_lock_enter(s->lock);
  for (native_node *n = s->nodes; n; n = n->next) mc_lock_enter(n->inbox.lock);
  for (native_node *n = s->nodes; n; n = n->next)
    still = still && !n->inbox.first && (n->inbox.asleep || !n->thread) &&
            n->state == RUNNING;
  for (native_node *n = s->nodes; n; n = n->next) mc_lock_leave(n->inbox.lock);
  mc_lock_leave(s->lock);
  return still;
}

double mc_system_step(mc_system *s, double budget_ms) {
  double wake = INFINITY;
  for (native_node *n = s->nodes, *next; n; n = next) {
    double own = n->thread ? INFINITY : turn(n, budget_ms);
    if (own < wake) wake = own;
    mc_lock_enter(s->lock); /* others may end nodes */
    next = n->next;
    mc_lock_leave(s->lock);
  }
  for (native_node *n = s->nodes; n && !s->config.threads; n = n->next)
    if (mc__inbox_has_events(&n->inbox)) return 0;
  return mc__inbox_has_events(&s->nodes->inbox) ? 0 : wake;
}

void mc_system_wait(mc_system *s, double ms) { wait_inbox(s->nodes, ms); }

/* How code of w1 outside of tasks awaits. */
static bool pump(mc_lua *M) {
  enum { LOOK_AGAIN_MS = 100 };
  mc_system *s = ((native_node *)M->host_ud)->system;
  double wake = mc_system_step(s, 4);
  if (M->root.settled || wake == 0) return true;
  if (isinf(wake) && all_still(s)) return false;
  fflush(stdout);
  mc_system_wait(s, wake < LOOK_AGAIN_MS ? wake : LOOK_AGAIN_MS);
  return true;
}

/* ---- starting -------------------------------------------------------------------------------- */

/* In protected mode: the library, told about its node. Takes: light userdata native_node. */
static int open_library(lua_State *L) {
  native_node *n = lua_touserdata(L, 1);
  mc__lua_push_core(L);
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, (const char *)n->secret, MC_SECRET_SIZE);
  lua_setfield(L, -2, "secret");
  lua_pushliteral(L, "memory");
  lua_setfield(L, -2, "link");
  lua_setfield(L, -2, "config");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "mooncast.node");
  lua_call(L, 1, 1);
  if (n->system->config.open) {
    lua_pushcfunction(L, n->system->config.open);
    lua_call(L, 0, 0);
  }
  return 0;
}

static bool open_node(native_node *n, lua_State *L) {
  mc_host host = {n, host_alloc, host_now, host_random, host_connect, host_send};
  const mc_system_config *config = &n->system->config;
  int top = lua_gettop(L);
  n->M = mc__lua_open(L, &host, n->name, strlen(n->name), n->incarnation,
                      config->call_timeout_ms);
  bool ok = n->M != NULL;
  if (ok) {
    n->M->log = log_line;
    n->M->host_ud = n;
    n->M->is_near = is_near;
    n->M->parcels = n->system->parcels;
    n->M->memory = L == config->state ? NULL : &n->memory;
    ok = mc__lua_try_push(L, open_library, n);
  }
  if (!ok) {
    mc__lua_push_text(L, L);
    const char *text = lua_tostring(L, -1);
    snprintf(n->why, sizeof n->why, "cannot start node %s: %s", n->name,
             text && *text && strcmp(text, "nil") != 0 ? text : "no memory");
    if (n->M) mc__lua_close(n->M);
    n->M = NULL;
  }
  lua_settop(L, top);
  return ok;
}

/* Stock libraries, and the paths of w1, where the program finds its modules. */
static int open_stock(lua_State *L) {
  static const char *const fields[] = {"path", "cpath"};
  const native_node *n = lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  for (int i = 0; i < 2; i++) {
    if (!n->system->paths[i]) continue;
    lua_pushstring(L, n->system->paths[i]);
    lua_setfield(L, -2, fields[i]);
  }
  return 0;
}

static bool open_new(native_node *n) {
  n->memory.max = n->system->config.max_memory;
  lua_State *L = lua_newstate(mc__lua_alloc, &n->memory);
  snprintf(n->why, sizeof n->why, "cannot start node %s: no memory", n->name);
  if (!L) return false;
  lua_setwarnf(L, NULL, NULL);
  if (mc__lua_try(L, open_stock, n) && open_node(n, L)) return true;
  lua_close(L);
  return false;
}

/* Takes a node out of the list; the others hear of it after all that it sent. */
static void delist(mc_system *s, native_node *n) {
  mc_lock_enter(s->lock);
  native_node **at = &s->nodes;
  while (*at && *at != n) at = &(*at)->next;
  if (*at) {
    *at = n->next;
    n->next = s->ended;
    s->ended = n;
    for (native_node *o = s->nodes; o; o = o->next) {
      mc_event *down = n->downs;
      n->downs = down->next;
      down->next = NULL;
      mc__inbox_push(&o->inbox, down);
    }
  }
  mc_lock_leave(s->lock);
}

static void set_state(native_node *n, node_state state) {
  mc_lock_enter(n->inbox.lock);
  n->state = state;
  mc_lock_notify(n->inbox.lock);
  mc_lock_leave(n->inbox.lock);
}

/* No more events, and those that are there are dropped. */
static void shut(native_node *n, node_state state) {
  set_state(n, state);
  mc__inbox_close(&n->inbox);
}

static void close_node(native_node *n, bool close_state) {
  lua_State *L = n->M->L;
  mc__lua_close(n->M);
  n->M = NULL;
  if (close_state) lua_close(L);
}

static void run_node(void *ud) {
  native_node *n = ud;
  if (!open_new(n)) {
    atomic_fetch_sub(&n->system->threads, 1);
    shut(n, FAILED);
    return;
  }
  set_state(n, RUNNING);
  while (!mc__inbox_stopped(&n->inbox)) wait_inbox(n, turn(n, 4));
  delist(n->system, n);
  close_node(n, true);
  atomic_fetch_sub(&n->system->threads, 1);
  shut(n, ENDED);
}

static native_node *node_new(mc_system *s, const char *name) {
  native_node *n = calloc(1, sizeof *n);
  if (!n) return NULL;
  if (!mc__inbox_init(&n->inbox)) return free(n), NULL;
  n->system = s;
  n->piece = SMALL_PIECE;
  snprintf(n->name, sizeof n->name, "%s", name);
  mc_platform_random(&n->incarnation, sizeof n->incarnation);
  n->incarnation &= MC_MAX_ID;
  mc_platform_random(n->secret, sizeof n->secret);
  return n;
}

static void node_free(native_node *n) {
  for (mc_event *down = n->downs, *next; down; down = next) {
    next = down->next;
    free(down);
  }
  mc__inbox_fini(&n->inbox);
  free(n->spare);
  free(n->targets);
  free(n);
}

/* Opens the node's state, here or on a thread of its own, and waits until that is done. */
static bool launch(native_node *n) {
  if (!n->system->config.threads) {
    n->state = open_new(n) ? RUNNING : FAILED;
    return n->state == RUNNING;
  }
  atomic_fetch_add(&n->system->threads, 1);
  n->thread = mc_thread_start(run_node, n);
  if (!n->thread) {
    atomic_fetch_sub(&n->system->threads, 1);
    snprintf(n->why, sizeof n->why, "cannot start node %s: no thread", n->name);
    return false;
  }
  mc_lock_enter(n->inbox.lock);
  while (n->state == STARTING) mc_lock_wait(n->inbox.lock, INFINITY);
  bool ok = n->state == RUNNING;
  mc_lock_leave(n->inbox.lock);
  return ok;
}

/* Appends the news of a node's start, and notes that of its end, which will follow. */
static bool prepare(mc_event ***last, native_node *about) {
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
    native_node *about = news->about;
    mc_event *next = news->next, *down = about->downs;
    about->downs = down->next;
    free(down);
    free(news);
    news = next;
  }
}

static void push_first(native_node *to, mc_event **news) {
  mc_event *e = *news;
  *news = e->next;
  e->next = NULL;
  mc__inbox_push(&to->inbox, e);
}

/* Puts a node that runs into the list and makes it and the others known to each other. False, and
** nothing is changed, when there is no memory. */
static bool enlist(mc_system *s, native_node *n) {
  mc_event *own = NULL, **own_last = &own, *others = NULL, **others_last = &others;
  mc_lock_enter(s->lock);
  native_node **at = &s->nodes;
  bool ok = prepare(&own_last, n);
  for (; *at; at = &(*at)->next)
    ok = ok && prepare(&own_last, n) && prepare(&others_last, *at);
  if (ok) {
    for (native_node *o = s->nodes; o; o = o->next) {
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

/* For a node that is not in the list. */
static void discard(native_node *n) {
  if (n->M) close_node(n, true);
  node_free(n);
}

/* Joins the threads of nodes that have ended. */
static void reap(mc_system *s) {
  mc_lock_enter(s->lock);
  for (native_node *n = s->ended; n; n = n->next) {
    mc_lock_enter(n->inbox.lock);
    bool over = n->thread && n->state == ENDED;
    mc_lock_leave(n->inbox.lock);
    if (!over) continue;
    mc_thread_join(n->thread);
    n->thread = NULL;
  }
  mc_lock_leave(s->lock);
}

static native_node *start_node(mc_system *s, const char *name, char *why,
                               size_t why_size) {
  reap(s);
  native_node *n = node_new(s, name);
  if (!n) return snprintf(why, why_size, "cannot start node %s: no memory", name), NULL;
  bool runs = launch(n);
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

/* ---- what Lua asks of the host: core.native, on w1 ------------------------------------------- */

static mc_system *system_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* Its thread ends it at its next turn; to the others it is gone at once. */
static void end_node(mc_system *s, native_node *n) {
  bool threaded = n->thread;
  delist(s, n);
  if (threaded) {
    mc__inbox_stop(&n->inbox);
    return;
  }
  close_node(n, true);
  shut(n, ENDED);
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
  native_node *n = start_node(s, name, why, sizeof why);
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
  native_node *n = s->nodes->next;
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

/* ---- the system ------------------------------------------------------------------------------ */

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
  native_node *n = node_new(s, "w1");
  if (!n) return snprintf(why, why_size, "no memory"), false;
  lua_State *L = s->config.state;
  s->owns_state = !L;
  bool ok = L ? open_node(n, L) : open_new(n);
  if (ok) {
    snprintf(n->why, sizeof n->why, "cannot start node w1: no memory");
    n->state = RUNNING;
    n->M->pump = pump;
    ok = mc__lua_try(n->M->L, setup_first, s) && enlist(s, n);
  }
  if (ok) return true;
  snprintf(why, why_size, "%s", n->why);
  if (n->M) close_node(n, s->owns_state);
  node_free(n);
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
  native_node *first = s->nodes;
  while (first && first->next) end_node(s, first->next);
  for (native_node *n = s->ended; n; n = n->next)
    if (n->thread) mc_thread_join(n->thread);
  if (first) {
    close_node(first, s->owns_state);
    node_free(first);
  }
  for (native_node *n = s->ended, *next; n; n = next) {
    next = n->next;
    node_free(n);
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
