/*
** mooncast.sim: Lua nodes whose clock, random numbers and network belong to a test. Linked into a wasm
** and into a Lua interpreter of the tests' own (make sim); spec/support/sim.lua makes worlds of it.
**
** A node is a Lua state of its own. It runs only inside open, call, deliver and step, at the moment
** that the test says, and what it wants from outside is kept until step hands it over:
**
**   {"send", peer's name, its incarnation, bytes}   {"log", level, text}   {"tell", what, value}
**
** Two runs with the same inputs do the same, natively and in wasm. For that, memory is collected after
** a fixed number of steps and never in between: finalizers would run at moments that depend on sizes.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lua_node.h"

enum { STEPS_PER_COLLECTION = 256, MAX_COPY_DEPTH = 50 };

typedef enum output_kind { OUT_SEND, OUT_LOG, OUT_TELL } output_kind;

typedef struct output {
  struct output *next;
  output_kind kind;
  uint32_t number; /* peer or level */
  size_t len;
  char bytes[];
} output;

typedef struct sim_node {
  lua_State *L; /* NULL once it is closed */
  mc_lua *M;
  mc__lua_memory memory;
  double now_ms;
  uint64_t random;
  unsigned steps;
  output *first, **last;
} sim_node;

#define NODE "mooncast.sim.node"
#define HOOKS "mooncast.sim.hooks"

/* ---- chance ---------------------------------------------------------------------------------- */

/* The node that runs, or NULL. */
static sim_node *current;

/* splitmix64 */
static uint64_t draw(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Lua asks for the seed of its string hashes, on which the order of pairs depends. The driver's state
** has a fixed one. In wasm this takes the place of the one in bindings/wasm_libc.c. */
unsigned int mc_lua_seed(void);
unsigned int mc_lua_seed(void) {
  return current ? (unsigned int)draw(&current->random) : 0;
}

/* ---- the host of a node ---------------------------------------------------------------------- */

static void *host_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  sim_node *n = ud;
  return mc__lua_alloc(&n->memory, ptr, osize, nsize);
}

static double host_now(void *ud) { return ((sim_node *)ud)->now_ms; }

/* Byte by byte, so that the order of a word's bytes does not show. */
static void host_random(void *ud, void *out, size_t len) {
  sim_node *n = ud;
  for (size_t i = 0; i < len; i++) ((uint8_t *)out)[i] = (uint8_t)draw(&n->random);
}

static void put(sim_node *n, output_kind kind, uint32_t number, const void *bytes,
                size_t len) {
  output *o = malloc(sizeof *o + len);
  if (!o) abort();
  *o = (output){.kind = kind, .number = number, .len = len};
  if (len) memcpy(o->bytes, bytes, len);
  *n->last = o;
  n->last = &o->next;
}

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t incarnation) {
  (void)ud, (void)peer, (void)name, (void)len, (void)incarnation;
}

static size_t host_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  put(ud, OUT_SEND, peer, bytes, len);
  return len;
}

static void host_log(mc_lua *M, int level, const char *text, size_t len) {
  put(M->host_ud, OUT_LOG, (uint32_t)level, text, len);
}

/* ---- values from one state to another -------------------------------------------------------- */

/* Copies data; what is no data becomes its text, without an address. */
static void copy(lua_State *from, int index, lua_State *to, int depth) {
  index = lua_absindex(from, index);
  if (depth > MAX_COPY_DEPTH || !lua_checkstack(from, 4) || !lua_checkstack(to, 4)) {
    lua_pushliteral(to, "...");
    return;
  }
  switch (lua_type(from, index)) {
  case LUA_TNIL: lua_pushnil(to); break;
  case LUA_TBOOLEAN: lua_pushboolean(to, lua_toboolean(from, index)); break;
  case LUA_TNUMBER:
    if (lua_isinteger(from, index))
      lua_pushinteger(to, lua_tointeger(from, index));
    else
      lua_pushnumber(to, lua_tonumber(from, index));
    break;
  case LUA_TSTRING: {
    size_t len;
    const char *s = lua_tolstring(from, index, &len);
    lua_pushlstring(to, s, len);
    break;
  }
  case LUA_TTABLE:
    lua_newtable(to);
    for (lua_pushnil(from); lua_next(from, index); lua_pop(from, 1)) {
      copy(from, -2, to, depth + 1);
      copy(from, -1, to, depth + 1);
      lua_rawset(to, -3);
    }
    break;
  case LUA_TUSERDATA: /* a reference: Type@node/instance */
    lua_pushstring(to, luaL_tolstring(from, index, NULL));
    lua_pop(from, 1);
    break;
  default: lua_pushstring(to, luaL_typename(from, index));
  }
}

/* ---- a node ---------------------------------------------------------------------------------- */

static void enter(sim_node *n, lua_Number now_ms) {
  n->now_ms = now_ms;
  current = n;
}

/* Takes: self, now in milliseconds. */
static sim_node *check_node(lua_State *L) {
  sim_node *n = luaL_checkudata(L, 1, NODE);
  luaL_argcheck(L, n->L, 1, "the node is closed");
  luaL_argcheck(L, !current, 1, "a node runs already");
  luaL_checknumber(L, 2);
  return n;
}

static void drop(output *list) {
  while (list) {
    output *next = list->next;
    free(list);
    list = next;
  }
}

/* node:close(): it is gone, without a word. */
static int l_close(lua_State *L) {
  sim_node *n = luaL_checkudata(L, 1, NODE);
  if (!n->L) return 0;
  current = n;
  if (n->M) mc__lua_close(n->M);
  lua_close(n->L);
  current = NULL;
  drop(n->first);
  n->L = NULL;
  return 0;
}

/* tell(what, value): for the driver, which finds {"tell", what, value} after this step. */
static int l_tell(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  put(current, OUT_TELL, (uint32_t)luaL_checkinteger(L, 1), text, len);
  return 0;
}

typedef struct opening {
  sim_node *n;
  const char *name, *secret, *prelude;
  size_t name_len, secret_len, prelude_len;
  uint64_t incarnation;
} opening;

/* In protected mode, in the node's state: everything, up to what the prelude returns, the hooks. */
static int open_protected(lua_State *L) {
  const opening *o = lua_touserdata(L, 1);
  mc_host host = {o->n, host_alloc, host_now, host_random, host_connect, host_send};
  luaL_openlibs(L);
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, (lua_Integer)draw(&o->n->random));
  lua_call(L, 1, 0);
  o->n->M = mc__lua_open(L, &host, o->name, o->name_len, o->incarnation, 30000);
  if (!o->n->M) return lua_error(L);
  o->n->M->log = host_log;
  o->n->M->host_ud = o->n;
  mc__lua_push_core(L);
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, o->secret, o->secret_len);
  lua_setfield(L, -2, "secret");
  lua_pushliteral(L, "memory");
  lua_setfield(L, -2, "link");
  lua_setfield(L, -2, "config");
  if (luaL_loadbuffer(L, o->prelude, o->prelude_len, "=prelude") != LUA_OK)
    return lua_error(L);
  lua_pushcfunction(L, l_tell);
  lua_call(L, 1, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, HOOKS);
  return 0;
}

/* sim.open(now_ms, name, incarnation, secret, seed, prelude) -> node. The prelude is a function as bytes:
** it gets `tell` and returns the functions for node:call. */
static int l_open(lua_State *L) {
  lua_Number now_ms = luaL_checknumber(L, 1);
  opening o = {.incarnation = (uint64_t)luaL_checkinteger(L, 3)};
  o.name = luaL_checklstring(L, 2, &o.name_len);
  o.secret = luaL_checklstring(L, 4, &o.secret_len);
  luaL_argcheck(L, o.secret_len == MC_SECRET_SIZE, 4, "16 bytes");
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 5);
  o.prelude = luaL_checklstring(L, 6, &o.prelude_len);
  luaL_argcheck(L, !current, 1, "a node runs already");
  sim_node *n = o.n = lua_newuserdatauv(L, sizeof *n, 0);
  memset(n, 0, sizeof *n);
  luaL_setmetatable(L, NODE);
  n->last = &n->first;
  n->random = seed;
  enter(n, now_ms);
  n->L = lua_newstate(mc__lua_alloc, &n->memory);
  if (n->L) {
    lua_setwarnf(n->L, NULL, NULL);
    lua_gc(n->L, LUA_GCSTOP);
    lua_pushcfunction(n->L, open_protected);
    lua_pushlightuserdata(n->L, &o);
  }
  int status = n->L ? lua_pcall(n->L, 1, 0, 0) : LUA_ERRMEM;
  current = NULL;
  if (status == LUA_OK) return 1;
  return luaL_error(L, "cannot open node %s: %s", o.name,
                    n->L ? luaL_tolstring(n->L, -1, NULL) : "no memory");
}

/* node:call(now_ms, hook, ...) -> results: runs one of the prelude's functions, outside of tasks. */
static int l_call(lua_State *L) {
  sim_node *n = check_node(L);
  const char *hook = luaL_checkstring(L, 3);
  int nargs = lua_gettop(L) - 3, top = lua_gettop(n->L);
  luaL_checkstack(n->L, nargs + 4, NULL);
  lua_getfield(n->L, LUA_REGISTRYINDEX, HOOKS);
  lua_getfield(n->L, -1, hook);
  lua_replace(n->L, -2);
  for (int i = 1; i <= nargs; i++) copy(L, 3 + i, n->L, 0);
  enter(n, lua_tonumber(L, 2));
  int status = lua_pcall(n->L, nargs, LUA_MULTRET, 0);
  current = NULL;
  int nresults = lua_gettop(n->L) - top;
  luaL_checkstack(L, nresults, NULL);
  for (int i = 1; i <= nresults; i++) copy(n->L, top + i, L, 0);
  lua_settop(n->L, top);
  return status == LUA_OK ? nresults : lua_error(L);
}

/* node:deliver(now_ms, name, incarnation, bytes) -> false when the link from that peer is malformed */
static int l_deliver(lua_State *L) {
  size_t name_len, len;
  sim_node *n = check_node(L);
  const char *name = luaL_checklstring(L, 3, &name_len);
  uint64_t incarnation = (uint64_t)luaL_checkinteger(L, 4);
  const char *bytes = luaL_checklstring(L, 5, &len);
  enter(n, lua_tonumber(L, 2));
  uint32_t peer = mc_peer_named(n->M->node, name, name_len, incarnation);
  bool good = mc__lua_deliver(n->M, peer, (const uint8_t *)bytes, len);
  current = NULL;
  lua_pushboolean(L, good);
  return 1;
}

/* node:refuse(now_ms, name, incarnation): there is no such node, and never was. */
static int l_refuse(lua_State *L) {
  size_t len;
  sim_node *n = check_node(L);
  const char *name = luaL_checklstring(L, 3, &len);
  uint64_t incarnation = (uint64_t)luaL_checkinteger(L, 4);
  enter(n, lua_tonumber(L, 2));
  mc_node_peer_down(n->M->node, mc_peer_named(n->M->node, name, len, incarnation),
                    MC_E_UNKNOWN_NODE);
  current = NULL;
  return 0;
}

/* Pushes an output as a list. */
static void push_output(lua_State *L, const sim_node *n, const output *o) {
  static const char *const kinds[] = {"send", "log", "tell"};
  lua_createtable(L, 4, 0);
  lua_pushstring(L, kinds[o->kind]);
  lua_rawseti(L, -2, 1);
  if (o->kind == OUT_SEND)
    lua_pushstring(L, mc_peer_name(n->M->node, o->number, NULL));
  else
    lua_pushinteger(L, o->number);
  lua_rawseti(L, -2, 2);
  if (o->kind == OUT_SEND) {
    lua_pushinteger(L, (lua_Integer)mc_peer_incarnation(n->M->node, o->number));
    lua_rawseti(L, -2, 3);
  }
  lua_pushlstring(L, o->bytes, o->len);
  lua_rawseti(L, -2, o->kind == OUT_SEND ? 4 : 3);
}

/* node:step(now_ms) -> in how many milliseconds it wants to run again or nil, outputs or nil. A step
** takes no time, and with no time to spend it runs a few tasks only: see mc_node_step. */
static int l_step(lua_State *L) {
  sim_node *n = check_node(L);
  enter(n, lua_tonumber(L, 2));
  double wake = mc__lua_step(n->M, 0);
  if (++n->steps % STEPS_PER_COLLECTION == 0) lua_gc(n->L, LUA_GCCOLLECT);
  current = NULL;
  if (isinf(wake))
    lua_pushnil(L);
  else
    lua_pushnumber(L, wake);
  output *list = n->first;
  if (!list) return 1;
  lua_newtable(L);
  lua_Integer i = 0;
  for (const output *o = list; o; o = o->next) {
    push_output(L, n, o);
    lua_rawseti(L, -2, ++i);
  }
  n->first = NULL;
  n->last = &n->first;
  drop(list);
  return 2;
}

static int open_sim(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"call", l_call},   {"deliver", l_deliver}, {"refuse", l_refuse}, {"step", l_step},
      {"close", l_close}, {"__gc", l_close},      {NULL, NULL}};
  luaL_newmetatable(L, NODE);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}

/* Called when a state has its libraries: by bindings/wasm_node.c, and natively by lua.c. */
int mooncast_open(lua_State *L);
int mooncast_open(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_sim);
  lua_setfield(L, -2, "mooncast.sim");
  lua_pop(L, 1);
  return 0;
}
