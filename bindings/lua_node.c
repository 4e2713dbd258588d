/*
** A Lua state and its node: opening, closing, and the protected calls in which bytes are delivered
** and tasks run. `mooncast.core`, the table that the library's Lua stands on, is made here; the
** library itself (lua/ *.lua) is embedded and found through package.preload.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "lua_node.h"

int luaopen_cjson(lua_State *L);

static const char NODE, CORE; /* registry keys: the mc_lua, the table mooncast.core */

mc_lua *mc__lua_of(lua_State *L) {
  mc_lua *M = *(mc_lua **)lua_getextraspace(L);
  if (M) return M;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &NODE); /* a coroutine older than the node */
  M = lua_touserdata(L, -1);
  lua_pop(L, 1);
  *(mc_lua **)lua_getextraspace(L) = M;
  return M;
}

void *mc__lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  mc__lua_memory *m = ud;
  size_t had = ptr ? osize : 0; /* without a block osize is a kind of object */
  if (nsize > had && m->max && m->used - had + nsize > m->max) return NULL;
  void *block = NULL;
  if (nsize) {
    block = realloc(ptr, nsize);
    if (!block) return NULL;
  } else {
    free(ptr);
  }
  m->used += nsize - had;
  return block;
}

void mc__lua_push_core(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &CORE); }

void mc__lua_log(mc_lua *M, int level, const char *text) {
  if (M && M->log) M->log(M, level, text, strlen(text));
}

/* ---- Lua's view of the node ------------------------------------------------------------------ */

static void set_number(lua_State *L, const char *name, uint64_t v) {
  lua_pushinteger(L, (lua_Integer)v);
  lua_setfield(L, -2, name);
}

/* core.stats() -> table of numbers */
static int l_stats(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_stats s;
  mc_node_stats(M->node, &s);
  lua_createtable(L, 0, 12);
  set_number(L, "actors", s.actors);
  set_number(L, "tasks", M->tasks);
  set_number(L, "pending", s.pending);
  set_number(L, "timers", s.timers);
  set_number(L, "late_replies", s.late_replies);
  set_number(L, "dead_letters", s.dead_letters);
  set_number(L, "malformed", s.malformed);
  set_number(L, "sent", s.sent);
  set_number(L, "received", s.received);
  set_number(L, "decoded_bytes", s.decoded_bytes);
  set_number(L, "mailbox", s.mailbox);
  return 1;
}

/* core.node() -> name, incarnation */
static int l_node(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  lua_pushstring(L, mc_peer_name(M->node, MC_SELF, NULL));
  lua_pushinteger(L, (lua_Integer)mc_peer_incarnation(M->node, MC_SELF));
  return 2;
}

/* core.peer_down(name, incarnation): told by the host */
static int l_peer_down(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  uint32_t peer = mc_peer_named(M->node, name, len, (uint64_t)luaL_checkinteger(L, 2));
  if (peer != UINT32_MAX) mc_node_peer_down(M->node, peer, MC_E_NODE_DOWN);
  return 0;
}

/* core.random(n) -> n bytes that nobody can guess */
static int l_random(lua_State *L) {
  luaL_Buffer b;
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= 65536, 1, "0 to 65536 bytes");
  char *to = luaL_buffinitsize(L, &b, (size_t)n);
  mc_node_random(mc__lua_of(L)->node, to, (size_t)n);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* core.log(level, text): level 0 error, 1 warning, 2 information, 3 debugging */
static int l_log(lua_State *L) {
  mc__lua_log(mc__lua_of(L), (int)luaL_checkinteger(L, 1), luaL_checkstring(L, 2));
  return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_core(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {
      {"stats", l_stats},   {"node", l_node}, {"peer_down", l_peer_down},
      {"random", l_random}, {"log", l_log},   {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushliteral(L, MC_VERSION);
  lua_setfield(L, -2, "version");
  mc__lua_open_value(L, M);
  mc__lua_open_error(L, M);
  mc__lua_open_ref(L, M);
  mc__lua_open_task(L, M);
  mc__lua_open_call(L, M);
  mc__lua_open_actor(L, M);
  mc__lua_open_transport(L);
  return 1;
}

static int load_core(lua_State *L) {
  mc__lua_push_core(L);
  return 1;
}

/* The loader of an embedded module; its entry stands in upvalue 1. The module gets its name and
** mooncast.core, which is not in package.loaded so that error messages name the public functions. */
static int load_embedded(lua_State *L) {
  const struct mc_embedded *m = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushfstring(L, "=%s", m->name);
  if (luaL_loadbufferx(L, m->source, m->len, lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, m->name);
  load_core(L);
  lua_call(L, 2, 1);
  return 1;
}

static void preload_all(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const struct mc_embedded *m = mc_embedded; m->name; m++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)m);
    lua_pushcclosure(L, load_embedded, 1);
    lua_setfield(L, -2, m->name);
  }
  lua_pushcfunction(L, load_core);
  lua_setfield(L, -2, "mooncast.core");
  lua_pushcfunction(L, luaopen_cjson);
  lua_setfield(L, -2, "cjson");
  lua_pop(L, 1);
}

/* Takes: light userdata mc_lua. */
static int open_protected(lua_State *L) {
  mc_lua *M = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, M);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &NODE);
  open_core(L, M);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CORE);
  preload_all(L);
  return 0;
}

/* The host as the core sees it: everything goes straight through, but what is sent. */
static void *core_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  mc_lua *M = ud;
  return M->host.alloc(M->host.ud, ptr, osize, nsize);
}

static double core_now(void *ud) {
  mc_lua *M = ud;
  return M->host.now_ms(M->host.ud);
}

static void core_random(void *ud, void *out, size_t len) {
  mc_lua *M = ud;
  M->host.random(M->host.ud, out, len);
}

static void core_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t inc) {
  mc_lua *M = ud;
  M->host.connect(M->host.ud, peer, name, len, inc);
}

static mc_host own_host(mc_lua *M) {
  return (mc_host){M, core_alloc, core_now, core_random, core_connect, mc__lua_send};
}

mc_lua *mc__lua_open(lua_State *L, const mc_host *host, const char *name, size_t name_len,
                     uint64_t incarnation, double call_timeout_ms) {
  mc_lua *M = host->alloc(host->ud, NULL, 0, sizeof *M);
  if (!M) return lua_pushliteral(L, "no memory for a node"), NULL;
  memset(M, 0, sizeof *M);
  M->L = L;
  M->host = *host;
  *(mc_lua **)lua_getextraspace(L) = M;
  mc_config config = {
      .host = own_host(M),
      .language = {M, mc__lua_start, mc__lua_settle, mc__lua_resume, mc__lua_resign},
      .name = name,
      .name_len = name_len,
      .incarnation = incarnation,
      .call_timeout_ms = call_timeout_ms};
  M->node = mc_node_new(&config);
  lua_pushcfunction(L, open_protected);
  lua_pushlightuserdata(L, M);
  if (M->node && lua_pcall(L, 1, 0, 0) == LUA_OK) return M;
  if (M->node)
    mc_node_free(M->node);
  else
    lua_pushliteral(L, "no memory for a node");
  host->alloc(host->ud, M, sizeof *M, 0);
  *(mc_lua **)lua_getextraspace(L) = NULL;
  return NULL;
}

void mc__lua_close(mc_lua *M) {
  void *ud;
  lua_Alloc alloc = lua_getallocf(M->L, &ud);
  mc_node_free(M->node);
  *(mc_lua **)lua_getextraspace(M->L) = NULL;
  lua_pushnil(M->L);
  lua_rawsetp(M->L, LUA_REGISTRYINDEX, &NODE);
  alloc(ud, M, sizeof *M, 0);
}

/* ---- running --------------------------------------------------------------------------------- */

typedef struct delivery {
  mc_lua *M;
  uint32_t peer;
  const uint8_t *bytes;
  size_t len;
  bool good;
  double budget_ms, wake_ms;
} delivery;

static int deliver_protected(lua_State *L) {
  delivery *d = lua_touserdata(L, 1);
  const uint8_t *bytes = d->bytes;
  size_t len = d->len;
  d->len = 0; /* when it runs again after a failure, only what is buffered goes on */
  d->good = mc_node_deliver(d->M->node, d->peer, bytes, len);
  return 0;
}

static int step_protected(lua_State *L) {
  delivery *d = lua_touserdata(L, 1);
  d->wake_ms = mc_node_step(d->M->node, d->budget_ms);
  return 0;
}

/* Lua had no memory for a message or an answer: whoever waits for it is told. */
static void recover(mc_lua *M) {
  mc_turn *turn = M->starting;
  M->starting = NULL;
  M->current = NULL;
  M->depth = 0;
  M->encoding = false;
  if (turn) {
    mc_reply_error(M->node, turn, MC_E_OUT_OF_MEMORY, "no memory to take the call");
    mc_turn_end(M->node, turn);
  }
  mc__lua_log(M, MC_LOG_ERROR, "out of memory: a message was lost");
}

static bool protected(mc_lua *M, lua_CFunction f, delivery *d) {
  lua_State *L = M->L;
  int top = lua_gettop(L);
  mc_lua_task *current = M->current;
  if (!lua_checkstack(L, 8)) return false;
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, d);
  int status = lua_pcall(L, 1, 0, 0);
  lua_settop(L, top);
  if (status == LUA_OK) return true;
  recover(M);
  M->current = current;
  return false;
}

bool mc__lua_deliver(mc_lua *M, uint32_t peer, const uint8_t *bytes, size_t len) {
  delivery d = {.M = M, .peer = peer, .bytes = bytes, .len = len, .good = true};
  if (!protected(M, deliver_protected, &d)) {
    /* what came behind the message that failed is gone with it: the link cannot go on */
    mc_node_peer_down(M->node, peer, MC_E_OUT_OF_MEMORY);
    return false;
  }
  return d.good;
}

double mc__lua_step(mc_lua *M, double budget_ms) {
  delivery d = {.M = M, .budget_ms = budget_ms};
  return protected(M, step_protected, &d) ? d.wake_ms : 0;
}
