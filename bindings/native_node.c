#include "native_node.h"

#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a batch is taken in. Small pieces make both sides of a link work at the same time instead of in
** lockstep; where nobody waits for an answer they grow. What is larger is taken whole: pieces of one large
** envelope would have to be put together. */
enum { SMALL_PIECE = 1024, LARGE_PIECE = 64 * 1024 };
/* An event with room for that is used again; news has none. */
enum { SPARE = 4096 };

mc_native_node *mc__native_new(mc_system *s, const char *name) {
  mc_native_node *n = calloc(1, sizeof *n);
  if (!n) return NULL;
  if (!mc__inbox_init(&n->inbox, &s->awake)) return free(n), NULL;
  n->system = s;
  n->piece = SMALL_PIECE;
  snprintf(n->name, sizeof n->name, "%s", name);
  mc_platform_random(&n->incarnation, sizeof n->incarnation);
  n->incarnation &= MC_MAX_ID;
  mc_platform_random(n->secret, sizeof n->secret);
  return n;
}

void mc__native_free(mc_native_node *n) {
  for (mc_event *down = n->downs, *next; down; down = next) {
    next = down->next;
    free(down);
  }
  mc__inbox_fini(&n->inbox);
  free(n->spare);
  free(n->targets);
  free(n);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* light userdata event: node.lua's function peer_up or peer_down */
static int tell_protected(lua_State *L) {
  const mc_event *e = lua_touserdata(L, 1);
  const mc_native_node *about = e->about;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "mooncast.node");
  lua_getfield(L, -1, e->kind == MC_EVENT_UP ? "peer_up" : "peer_down");
  lua_pushstring(L, about->name);
  lua_pushinteger(L, (lua_Integer)about->incarnation);
  lua_pushlstring(L, (const char *)about->secret, MC_SECRET_SIZE);
  lua_call(L, 3, 0);
  return 0;
}

static void deliver(mc_native_node *n, uint32_t peer, const mc_event *e,
                    double budget_ms) {
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
static bool handle(mc_native_node *n, mc_event *e, double budget_ms) {
  const mc_native_node *about = e->about;
  if (e->kind == MC_EVENT_DOWN) mc__parcels_drop(n->system->parcels, about->incarnation);
  if (e->kind != MC_EVENT_DATA) return mc__lua_try(n->M->L, tell_protected, e);
  uint32_t peer =
      mc_peer_named(n->M->node, about->name, strlen(about->name), about->incarnation);
  if (peer == UINT32_MAX) return false;
  deliver(n, peer, e, budget_ms);
  return true;
}

static void keep_or_free(mc_native_node *n, mc_event *e) {
  if (n->spare || e->cap != SPARE)
    free(e);
  else
    n->spare = e;
}

double mc__native_turn(mc_native_node *n, double budget_ms) {
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

/* ---- what the core asks of its host -------------------------------------------------------- */

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

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t incarnation) {
  (void)ud, (void)peer, (void)name, (void)len, (void)incarnation;
}

#ifdef MC_HARD_TEST
enum { TARGETS_AHEAD = 1 };
#else
enum { TARGETS_AHEAD = 16 };
#endif

static bool targets_grow(mc_native_node *n, uint32_t count) {
  mc_native_node **targets = realloc(n->targets, count * sizeof *targets);
  if (!targets) return false;
  memset(targets + n->target_count, 0, (count - n->target_count) * sizeof *targets);
  n->targets = targets;
  n->target_count = count;
  return true;
}

/* The node that is this peer: looked up at the first send, kept because it may have ended later. */
static mc_native_node *target(mc_native_node *n, uint32_t peer) {
  if (!n->targets[peer]) {
    const mc_node *node = n->M->node;
    mc_lock_enter(n->system->lock);
    n->targets[peer] = mc__native_find(n->system, mc_peer_name(node, peer, NULL),
                                       mc_peer_incarnation(node, peer));
    mc_lock_leave(n->system->lock);
  }
  return n->targets[peer];
}

/* The node has ended: nobody claims what was on its way there. */
static void lost(mc_native_node *n, uint32_t peer, const mc_native_node *to) {
  mc__parcels_drop(n->system->parcels, to->incarnation);
  mc_node_peer_down(n->M->node, peer, MC_E_NODE_DOWN);
}

static mc_event *batch(mc_native_node *n, const uint8_t *bytes, size_t len) {
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
  mc_native_node *n = ud;
  mc_event *e = NULL;
  if (peer < n->target_count || targets_grow(n, peer + TARGETS_AHEAD))
    e = batch(n, bytes, len);
  if (!e) return n->stuck = true, 0;
  n->sends++;
  mc_native_node *to = target(n, peer);
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
  mc_native_node *n = M->host_ud;
  if (mc__lua_has_transport(M, peer)) return false;
  return (peer < n->target_count || targets_grow(n, peer + TARGETS_AHEAD)) &&
         target(n, peer);
}

static void log_line(mc_lua *M, int level, const char *text, size_t len) {
  static const char *const levels[] = {"error", "warning", "info", "debug"};
  mc_native_node *n = M->host_ud;
  const mc_system_config *config = &n->system->config;
  if (config->log)
    config->log(config->ud, n->name, (mc_log_level)level, text, len);
  else
    fprintf(stderr, "%s: %s: %.*s\n", n->name, levels[level & 3], (int)len, text);
}

/* Looking again before sleeping pays only where each node has a processor of its own. */
void mc__native_wait(mc_native_node *n, double ms) {
  mc_system *s = n->system;
  mc__inbox_wait(&n->inbox, ms, atomic_load(&s->threads) <= s->cores);
}

/* ---- opening ------------------------------------------------------------------------------- */

/* In protected mode: the library, told about its node. Takes: light userdata mc_native_node. */
static int open_library(lua_State *L) {
  mc_native_node *n = lua_touserdata(L, 1);
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

static bool open_in(mc_native_node *n, lua_State *L) {
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
  const mc_native_node *n = lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  for (int i = 0; i < 2; i++) {
    if (!n->system->paths[i]) continue;
    lua_pushstring(L, n->system->paths[i]);
    lua_setfield(L, -2, fields[i]);
  }
  return 0;
}

static bool open_new(mc_native_node *n) {
  n->memory.max = n->system->config.max_memory;
  lua_State *L = lua_newstate(mc__lua_alloc, &n->memory);
  snprintf(n->why, sizeof n->why, "cannot start node %s: no memory", n->name);
  if (!L) return false;
  lua_setwarnf(L, NULL, NULL);
  if (mc__lua_try(L, open_stock, n) && open_in(n, L)) return true;
  lua_close(L);
  return false;
}

bool mc__native_open(mc_native_node *n, lua_State *L) {
  return L ? open_in(n, L) : open_new(n);
}

/* ---- its thread ---------------------------------------------------------------------------- */

static void set_state(mc_native_node *n, mc_native_state state) {
  mc_lock_enter(n->inbox.lock);
  n->state = state;
  mc_lock_notify(n->inbox.lock);
  mc_lock_leave(n->inbox.lock);
}

void mc__native_shut(mc_native_node *n, mc_native_state state) {
  set_state(n, state);
  mc__inbox_close(&n->inbox);
}

void mc__native_close(mc_native_node *n, bool close_state) {
  lua_State *L = n->M->L;
  mc__lua_close(n->M);
  n->M = NULL;
  if (close_state) lua_close(L);
}

static void thread_starts(mc_system *s) {
  atomic_fetch_add(&s->threads, 1);
  atomic_fetch_add(&s->awake, 1);
}

static void thread_ends(mc_system *s) {
  atomic_fetch_sub(&s->threads, 1);
  atomic_fetch_sub(&s->awake, 1);
}

static void run_node(void *ud) {
  mc_native_node *n = ud;
  if (!open_new(n)) {
    thread_ends(n->system);
    mc__native_shut(n, MC_NATIVE_FAILED);
    return;
  }
  set_state(n, MC_NATIVE_RUNNING);
  while (!mc__inbox_stopped(&n->inbox)) mc__native_wait(n, mc__native_turn(n, 4));
  mc__native_delist(n->system, n);
  mc__native_close(n, true);
  thread_ends(n->system);
  mc__native_shut(n, MC_NATIVE_ENDED);
}

bool mc__native_launch(mc_native_node *n) {
  if (!n->system->config.threads) {
    n->state = open_new(n) ? MC_NATIVE_RUNNING : MC_NATIVE_FAILED;
    return n->state == MC_NATIVE_RUNNING;
  }
  thread_starts(n->system);
  n->thread = mc_thread_start(run_node, n);
  if (!n->thread) {
    thread_ends(n->system);
    snprintf(n->why, sizeof n->why, "cannot start node %s: no thread", n->name);
    return false;
  }
  mc_lock_enter(n->inbox.lock);
  while (n->state == MC_NATIVE_STARTING) mc_lock_wait(n->inbox.lock, INFINITY);
  bool ok = n->state == MC_NATIVE_RUNNING;
  mc_lock_leave(n->inbox.lock);
  return ok;
}
