/*
** A Lua state and its node: opening, closing, and the protected calls in which bytes are delivered
** and tasks run. `mooncast.core`, the table that the library's Lua stands on, is made here; the
** library itself (lua/ *.lua) is embedded and found through package.preload.
**
** Memory can run out at any moment, and Lua says so by a jump. So that none leaves the core, or a task
** that does not run, with its work half done:
**   - what the core calls (start, settle, resume, resign) does what can raise inside mc__lua_try and
**     has a way on that needs no memory: the answer is out_of_memory;
**   - values are made on the state that runs (or, when the core called, on the main one) and then moved
**     to where they belong: the stack of a coroutine that waits only takes what cannot fail;
**   - a function that scripts call takes its last step that can raise before the first that the core
**     would remember, or goes through mc__lua_try as well.
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

/* The extra space of a state: the address of its mc_lua, and in the lowest bit whether it is parked. */
static uintptr_t *extra(lua_State *L) { return lua_getextraspace(L); }

static void set_node(lua_State *L, mc_lua *M) { *extra(L) = (uintptr_t)M; }

mc_lua *mc__lua_peek(lua_State *L) {
  mc_lua *M = (mc_lua *)(*extra(L) & ~(uintptr_t)1);
  if (M) return M;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &NODE); /* a coroutine older than the node */
  M = lua_touserdata(L, -1);
  lua_pop(L, 1);
  set_node(L, M);
  return M;
}

mc_lua *mc__lua_of(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  if (!M) luaL_error(L, "the node is closed");
  return M;
}

bool mc__lua_is_parked(lua_State *co) { return *extra(co) & 1; }

void mc__lua_set_parked(lua_State *co, bool parked) {
  *extra(co) = (*extra(co) & ~(uintptr_t)1) | parked;
}

static int try_call(lua_State *L, lua_CFunction f, void *arg, int nresults) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return LUA_ERRMEM;
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, arg);
  return lua_pcall(L, 1, nresults, 0);
}

bool mc__lua_try(lua_State *L, lua_CFunction f, void *arg) {
  int top = lua_gettop(L);
  int status = try_call(L, f, arg, 0);
  lua_settop(L, top);
  return status == LUA_OK;
}

int mc__lua_try_values(lua_State *L, lua_CFunction f, void *arg) {
  int top = lua_gettop(L);
  if (try_call(L, f, arg, LUA_MULTRET) == LUA_OK) return lua_gettop(L) - top;
  lua_settop(L, top);
  return -1;
}

bool mc__lua_try_push(lua_State *L, lua_CFunction f, void *arg) {
  int top = lua_gettop(L);
  int status = try_call(L, f, arg, 1);
  lua_settop(L, top + 1); /* nil when there was not even stack */
  return status == LUA_OK;
}

/* Weak: bindings/wasm_alloc.c has another. */
__attribute__((weak)) void *mc__lua_resize(void *block, size_t osize, size_t nsize) {
  (void)osize;
  if (nsize) return realloc(block, nsize);
  free(block);
  return NULL;
}

void *mc__lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  mc__lua_memory *m = ud;
  size_t had = ptr ? osize : 0; /* without a block osize is a kind of object */
  if (nsize > had && m->max && m->used - had + nsize > m->max) return NULL;
  void *block = mc__lua_resize(ptr, had, nsize);
  if (!block && nsize > had) return NULL;
  if (!block && nsize) block = ptr; /* Lua relies on that shrinking cannot fail */
  m->used += nsize - had;
  return block;
}

void mc__lua_push_core(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &CORE); }

void mc__lua_log(mc_lua *M, int level, const char *text) {
  if (M && M->log) M->log(M, level, text, strlen(text));
}

typedef struct log_entry {
  mc_lua *M;
  const char *what;
  int level;
} log_entry;

/* value, light userdata log_entry */
static int log_protected(lua_State *L) {
  const log_entry *e = lua_touserdata(L, 2);
  lua_pushfstring(L, "%s: %s", e->what, luaL_tolstring(L, 1, NULL));
  mc__lua_log(e->M, e->level, lua_tostring(L, -1));
  return 0;
}

void mc__lua_log_value(mc_lua *M, int level, lua_State *L, const char *what) {
  int top = lua_gettop(L);
  log_entry e = {M, what, level};
  bool told = lua_checkstack(L, LUA_MINSTACK);
  if (told) {
    lua_pushcfunction(L, log_protected);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &e);
    told = lua_pcall(L, 2, 0, 0) == LUA_OK;
  }
  if (!told) mc__lua_log(M, level, what);
  lua_settop(L, top - 1);
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
  set_number(L, "turns", s.turns);
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

/* core.bar(ref, barred): whether actors of the ref's node cannot be called from here */
static int l_bar(lua_State *L) {
  mc_peer_bar(mc__lua_of(L)->node, mc__lua_check_ref(L, 1)->to.peer, lua_toboolean(L, 2));
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
      {"random", l_random}, {"log", l_log},   {"bar", l_bar},
      {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushliteral(L, MC_VERSION);
  lua_setfield(L, -2, "version");
  mc__lua_open_value(L, M);
  mc__lua_open_error(L, M);
  mc__lua_open_ref(L, M);
  mc__lua_open_life(L, M);
  mc__lua_open_hold(L);
  mc__lua_open_buffer(L);
  mc__lua_open_task(L, M);
  mc__lua_open_async(L);
  mc__lua_open_context(L);
  mc__lua_open_explain(L, M);
  mc__lua_open_coroutine(L);
  mc__lua_open_preempt(L);
  mc__lua_open_call(L, M);
  mc__lua_open_class(L);
  mc__lua_open_actor(L, M);
  mc__lua_open_spawn(L);
  mc__lua_open_transport(L);
  mc__lua_open_intercept(L, M);
  return 1;
}

static int load_core(lua_State *L) {
  mc__lua_push_core(L);
  return 1;
}

/* The loader of an embedded module; its entry stands in upvalue 1. The module gets its name and
** mooncast.core, which is not in package.loaded so that error messages name the public functions. */
__attribute__((noinline)) static int load_embedded(lua_State *L) {
  const struct mc_embedded *m = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushfstring(L, "=%s", m->name);
  if (luaL_loadbufferx(L, m->source, m->len, lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, m->name);
  load_core(L);
  lua_call(L, 2, 1);
  return 1;
}

/* Of a module in the wasm's second part, as this function is: what calls it has loaded the source. */
static int load_rest(lua_State *L) { return load_embedded(L); }

static void preload_all(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const struct mc_embedded *m = mc_embedded; m->name; m++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)m);
    lua_pushcclosure(L, m->rest ? load_rest : load_embedded, 1);
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
  if (!M) return lua_pushnil(L), NULL;
  memset(M, 0, sizeof *M);
  M->L = L;
  M->host = *host;
  mc_buf_init(&M->out, &M->host);
  set_node(L, M);
  mc_config config = {.host = own_host(M),
                      .language = {M, mc__lua_start, mc__lua_settle, mc__lua_resume,
                                   mc__lua_resign, mc__lua_cancel_turn, mc__lua_awaits,
                                   mc__lua_discard},
                      .name = name,
                      .name_len = name_len,
                      .incarnation = incarnation,
                      .call_timeout_ms = call_timeout_ms};
  M->node = mc_node_new(&config);
  lua_pushcfunction(L, open_protected);
  lua_pushlightuserdata(L, M);
  if (M->node && lua_pcall(L, 1, 0, 0) == LUA_OK) return M;
  if (!M->node) lua_settop(L, -3), lua_pushnil(L);
  mc__lua_close(M);
  return NULL;
}

void mc__lua_close(mc_lua *M) {
  lua_State *L = M->L;
  mc_host host = M->host;
  mc__lua_close_unheard(M);
  M->orphans = NULL;
  if (M->node) {
    mc_node_close(M->node);
    mc__lua_close_buffers(M);
    mc_node_free(M->node);
  }
  mc_buf_fini(&M->out);
  set_node(L, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX,
              LUA_RIDX_MAINTHREAD); /* runs what lua_close collects */
  set_node(lua_tothread(L, -1), NULL);
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &NODE);
  host.alloc(host.ud, M, sizeof *M, 0);
}

/* ---- running --------------------------------------------------------------------------------- */

bool mc__lua_deliver(mc_lua *M, uint32_t peer, const uint8_t *bytes, size_t len) {
  return mc_node_deliver(M->node, peer, bytes, len);
}

double mc__lua_step(mc_lua *M, double budget_ms) {
  return mc_node_step(M->node, budget_ms);
}

double mc__lua_run(mc_lua *M, uint32_t peer, const uint8_t *bytes, size_t len,
                   double budget_ms, bool *sound) {
  return mc_node_run(M->node, peer, bytes, len, budget_ms, sound);
}
