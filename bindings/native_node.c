/*
** The native module: `require "mooncast"` under stock lua5.4. The state that requires it is node w1;
** the other nodes are Lua states of their own in the same thread, and links are queues of batches in
** memory. Whoever awaits outside a task lets all of them run (pump) until the answer is there.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lua_node.h"

typedef struct batch {
  struct batch *next;
  struct world_node *from;
  size_t len;
  uint8_t bytes[];
} batch;

typedef struct world_node {
  struct world_node *next;
  struct world *world;
  mc_lua *M;
  char name[MC_MAX_NAME + 1];
  uint64_t incarnation;
  uint8_t secret[MC_SECRET_SIZE];
  batch *first, **last; /* what arrived */
} world_node;

typedef struct world {
  world_node *nodes; /* w1 first */
  int counter;
} world;

/* ---- what the core asks of its host ---------------------------------------------------------- */

static void *host_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud, (void)osize;
  if (nsize) return realloc(ptr, nsize);
  free(ptr);
  return NULL;
}

static double host_now(void *ud) {
  (void)ud;
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void host_random(void *ud, void *out, size_t len) {
  (void)ud;
  for (size_t done = 0; done < len;) {
    ssize_t got = getrandom((char *)out + done, len - done, 0);
    if (got > 0) done += (size_t)got;
  }
}

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len, uint64_t inc) {
  (void)ud, (void)peer, (void)name, (void)len, (void)inc;
}

static world_node *find(world *w, const char *name, uint64_t incarnation) {
  for (world_node *n = w->nodes; n; n = n->next)
    if (n->incarnation == incarnation && strcmp(n->name, name) == 0) return n;
  return NULL;
}

static size_t host_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  world_node *self = ud;
  const char *name = mc_peer_name(self->M->node, peer, NULL);
  world_node *to = find(self->world, name, mc_peer_incarnation(self->M->node, peer));
  if (!to) {
    mc_node_peer_down(self->M->node, peer, MC_E_NODE_DOWN);
    return len;
  }
  batch *b = malloc(sizeof *b + len);
  if (!b) return 0;
  *b = (batch){.from = self, .len = len};
  memcpy(b->bytes, bytes, len);
  *to->last = b;
  to->last = &b->next;
  return len;
}

static void host_log(mc_lua *M, int level, const char *text, size_t len) {
  static const char *const levels[] = {"error", "warning", "info", "debug"};
  fprintf(stderr, "mooncast: %s: %s: %.*s\n", mc_peer_name(M->node, MC_SELF, NULL),
          levels[level & 3], (int)len, text);
}

/* ---- letting the world run ------------------------------------------------------------------- */

static void take_batches(world_node *n) {
  batch *b = n->first;
  n->first = NULL;
  n->last = &n->first;
  while (b) {
    batch *next = b->next;
    if (b->from) {
      uint32_t peer = mc_peer_named(n->M->node, b->from->name, strlen(b->from->name),
                                    b->from->incarnation);
      mc__lua_deliver(n->M, peer, b->bytes, b->len);
    }
    free(b);
    b = next;
  }
}

static void sleep_ms(double ms) {
  struct timespec ts = {(time_t)(ms / 1e3), (long)(fmod(ms, 1e3) * 1e6)};
  fflush(stdout);
  nanosleep(&ts, NULL);
}

static bool pump(mc_lua *M) {
  world *w = ((world_node *)M->pump_ud)->world;
  double wake = INFINITY;
  for (world_node *n = w->nodes; n; n = n->next) {
    take_batches(n);
    double next = mc__lua_step(n->M, 4);
    if (next < wake) wake = next;
  }
  for (world_node *n = w->nodes; n; n = n->next)
    if (n->first || M->root.settled) return true;
  if (isinf(wake)) return false;
  if (wake > 0) sleep_ms(wake < 1000 ? wake : 1000);
  return true;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void push_secret(lua_State *L, const world_node *n) {
  lua_pushlstring(L, (const char *)n->secret, MC_SECRET_SIZE);
}

/* Tells one node of another: mooncast's own function peer_up(name, incarnation, secret). */
static void introduce(lua_State *L, const world_node *to, const world_node *other) {
  lua_State *T = to->M->L;
  lua_getfield(T, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(T, -1, "mooncast.node");
  lua_getfield(T, -1, "peer_up");
  lua_pushstring(T, other->name);
  lua_pushinteger(T, (lua_Integer)other->incarnation);
  push_secret(T, other);
  if (lua_pcall(T, 3, 0, 0) != LUA_OK) {
    lua_pushstring(L, lua_tostring(T, -1));
    lua_settop(T, 0);
    lua_error(L);
  }
  lua_pop(T, 2);
}

/* core.config: what the library's Lua is told at its start. */
static int open_library(lua_State *L) {
  const world_node *n = lua_touserdata(L, 1);
  mc__lua_push_core(L);
  lua_createtable(L, 0, 3);
  push_secret(L, n);
  lua_setfield(L, -2, "secret");
  lua_pushliteral(L, "memory");
  lua_setfield(L, -2, "link");
  lua_setfield(L, -2, "config");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "mooncast.node");
  lua_call(L, 1, 1);
  return 0;
}

static world_node *node_new(lua_State *L, world *w, lua_State *state, const char *name) {
  world_node *n = calloc(1, sizeof *n);
  if (!n) luaL_error(L, "no memory for a node");
  snprintf(n->name, sizeof n->name, "%s", name);
  n->world = w;
  n->last = &n->first;
  host_random(NULL, &n->incarnation, sizeof n->incarnation);
  n->incarnation &= MC_MAX_ID;
  host_random(NULL, n->secret, sizeof n->secret);
  mc_host host = {n, host_alloc, host_now, host_random, host_connect, host_send};
  n->M = mc__lua_open(state, &host, n->name, strlen(n->name), n->incarnation, 30000);
  if (!n->M) {
    free(n);
    luaL_error(L, "cannot start node %s: %s", name, lua_tostring(state, -1));
    return NULL;
  }
  n->M->log = host_log;
  n->M->host_ud = n->M->pump_ud = n;
  world_node **at = &w->nodes;
  while (*at) at = &(*at)->next;
  *at = n;
  lua_pushcfunction(state, open_library);
  lua_pushlightuserdata(state, n);
  if (lua_pcall(state, 1, 0, 0) != LUA_OK) {
    lua_pushstring(L, lua_tostring(state, -1));
    lua_error(L);
  }
  return n;
}

static void copy_string(lua_State *from, lua_State *to, const char *field) {
  lua_getglobal(from, "package");
  lua_getfield(from, -1, field);
  lua_getglobal(to, "package");
  lua_pushstring(to, lua_tostring(from, -1));
  lua_setfield(to, -2, field);
  lua_pop(to, 1);
  lua_pop(from, 2);
}

/* native.start_node(name) -> incarnation: another Lua state, known to all */
static int l_start_node(lua_State *L) {
  world *w = lua_touserdata(L, lua_upvalueindex(1));
  const char *name = luaL_checkstring(L, 1);
  lua_State *main_state = w->nodes->M->L, *state = luaL_newstate();
  if (!state) return luaL_error(L, "no memory for a node");
  luaL_openlibs(state);
  copy_string(main_state, state, "path");
  copy_string(main_state, state, "cpath");
  world_node *n = node_new(L, w, state, name);
  for (world_node *o = w->nodes; o; o = o->next) {
    introduce(L, n, o);
    if (o != n) introduce(L, o, n);
  }
  lua_pushinteger(L, (lua_Integer)n->incarnation);
  return 1;
}

static void node_free(world_node *n, bool close_state) {
  lua_State *L = n->M->L;
  mc__lua_close(n->M);
  if (close_state) lua_close(L);
  while (n->first) {
    batch *b = n->first;
    n->first = b->next;
    free(b);
  }
  free(n);
}

/* native.stop_node(name): ends it like a crash; true if there was one. w1 cannot be ended. */
static int l_stop_node(lua_State *L) {
  world *w = lua_touserdata(L, lua_upvalueindex(1));
  const char *name = luaL_checkstring(L, 1);
  world_node **at = &w->nodes;
  mc_lua *self = mc__lua_of(L);
  while (*at && strcmp((*at)->name, name) != 0) at = &(*at)->next;
  world_node *n = *at;
  if (!n || n == w->nodes || n->M == self) return lua_pushboolean(L, 0), 1;
  *at = n->next;
  for (world_node *o = w->nodes; o; o = o->next) {
    take_batches(o);
    lua_State *T = o->M->L;
    lua_getfield(T, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(T, -1, "mooncast.node");
    lua_getfield(T, -1, "peer_down");
    lua_pushstring(T, n->name);
    lua_pushinteger(T, (lua_Integer)n->incarnation);
    lua_call(T, 2, 0);
    lua_pop(T, 2);
  }
  node_free(n, true);
  return lua_pushboolean(L, 1), 1;
}

/* The world ends with the state that required the module. */
static int l_world_gc(lua_State *L) {
  world *w = lua_touserdata(L, 1);
  world_node *first = w->nodes;
  if (!first) return 0;
  while (first->next) {
    world_node *n = first->next;
    first->next = n->next;
    node_free(n, true);
  }
  w->nodes = NULL;
  node_free(first, false);
  return 0;
}

/* native.now_wall() and the like come from stock os; only what the host's actor does stands here. */
static void push_native(lua_State *L, world *w) {
  static const luaL_Reg functions[] = {
      {"start_node", l_start_node}, {"stop_node", l_stop_node}, {NULL, NULL}};
  lua_newtable(L);
  lua_pushlightuserdata(L, w);
  luaL_setfuncs(L, functions, 1);
}

int luaopen_mooncast(lua_State *L) {
  world *w = lua_newuserdatauv(L, sizeof *w, 0);
  memset(w, 0, sizeof *w);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_world_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, "mooncast.world");
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main_state = lua_tothread(L, -1);
  world_node *n = node_new(L, w, main_state, "w1");
  n->M->pump = pump;
  mc__lua_push_core(L);
  push_native(L, w);
  lua_setfield(L, -2, "native");
  introduce(L, n, n);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, "mooncast");
  lua_call(L, 0, 1);
  return 1;
}
