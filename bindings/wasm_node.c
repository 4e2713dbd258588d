/*
** The wasm's exports and imports: what a shell in JavaScript needs to run one Lua node per instance.
** Everything that crosses is an integer, a float or a piece of memory; what it means is in
** envelope.cddl. The shell calls, in this order: _initialize, mc_open, then mc_deliver and mc_step as
** bytes arrive and time passes.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_node.h"
#include "wasm_files.h"

#define EXPORT(name) __attribute__((used, export_name(#name)))

MC_IMPORT(mc_now) double mc_now(void);
MC_IMPORT(mc_log) void mc_log(int level, const char *text, size_t len);
MC_IMPORT(mc_connect)
void mc_connect(uint32_t peer, const char *name, size_t len, double incarnation);
MC_IMPORT(mc_send) size_t mc_send(uint32_t peer, const uint8_t *bytes, size_t len);

/* One instance is one node: the only state there is. */
static mc_lua *node;
static mc__lua_memory memory;
static uint8_t *room;
static size_t room_size;

/* The C library extends a block in place only when there is free memory behind it already; a large one
** that is the last would be copied to behind itself, and a wasm's memory never shrinks. So the memory
** behind it is made first. */
static void make_room_behind(size_t more) {
  enum { LARGE = 1 << 20 };
  if (more < LARGE) return;
  void *volatile behind =
      malloc(more); /* volatile, or the compiler leaves both calls out */
  free(behind);
}

static void *host_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud;
  if (ptr && nsize > osize) make_room_behind(nsize - osize);
  return mc__lua_resize(ptr, osize, nsize);
}

static double host_now(void *ud) {
  (void)ud;
  return mc_now();
}

static void host_random(void *ud, void *out, size_t len) {
  (void)ud;
  mc_random(out, len);
}

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t inc) {
  (void)ud;
  mc_connect(peer, name, len, (double)inc);
}

static size_t host_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  (void)ud;
  return mc_send(peer, bytes, len);
}

static void host_log(mc_lua *M, int level, const char *text, size_t len) {
  (void)M;
  mc_log(level, text, len);
}

/* ---- opening --------------------------------------------------------------------------------- */

typedef struct config {
  mc_item name, incarnation, secret;
  mc_reader rest; /* host's ref or nil, options */
} config;

static bool read_config(config *c, const uint8_t *bytes, size_t len) {
  mc_item array;
  mc_reader_init(&c->rest, bytes, len);
  return mc_read(&c->rest, &array) && array.kind == MC_ARRAY && array.as.count == 5 &&
         mc_read(&c->rest, &c->name) && c->name.kind == MC_TEXT &&
         mc_read(&c->rest, &c->incarnation) && c->incarnation.kind == MC_INT &&
         mc_read(&c->rest, &c->secret) && c->secret.kind == MC_BYTES;
}

static void set_string(lua_State *L, const char *name, const mc_item *item) {
  lua_pushlstring(L, item->as.string.data, item->as.string.len);
  lua_setfield(L, -2, name);
}

static void set_value(lua_State *L, const char *name, mc_reader *r) {
  mc_lua_why why;
  if (mc__lua_read(node, L, r, &why) != MC_OK)
    luaL_error(L, "config: %s: %s", name, why.text);
  lua_setfield(L, -2, name);
}

int mooncast_open(lua_State *L);

static int open_stock(lua_State *L) {
  luaL_openlibs(L);
  return 0;
}

/* core.config = {secret, host, options}; then the library. */
static int open_library(lua_State *L) {
  config *c = lua_touserdata(L, 1);
  mc__lua_push_core(L);
  lua_createtable(L, 0, 3);
  set_string(L, "secret", &c->secret);
  set_value(L, "host", &c->rest);
  set_value(L, "options", &c->rest);
  lua_getfield(L, -1, "options");
  lua_getfield(L, -1, "call_timeout_ms");
  if (lua_isnumber(L, -1)) mc_node_set_call_timeout(node->node, lua_tonumber(L, -1));
  lua_getfield(L, -2, "max_memory");
  if (lua_isnumber(L, -1)) memory.max = (size_t)lua_tonumber(L, -1);
  lua_pop(L, 3);
  lua_setfield(L, -2, "config");
  luaL_requiref(L, "mooncast.files", luaopen_mooncast_files, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "mooncast.node");
  lua_call(L, 1, 0);
  lua_pushcfunction(L, mooncast_open);
  lua_call(L, 0, 0);
  return 0;
}

/* C of the user's, linked in by make wasm EXTRA=...: see bindings/examples/extra.c. */
__attribute__((weak)) int mooncast_open(lua_State *L) {
  (void)L;
  return 0;
}

static int fail(const char *text) {
  if (!text) text = "no memory for a node";
  mc_log(MC_LOG_ERROR, text, strlen(text));
  return 1;
}

EXPORT(mc_open) int mc_open(const uint8_t *bytes, size_t len) {
  config c;
  mc_host host = {NULL, host_alloc, host_now, host_random, host_connect, host_send};
  if (!read_config(&c, bytes, len))
    return fail("the configuration of the node is malformed");
  lua_State *L = lua_newstate(mc__lua_alloc, &memory);
  if (!L || !mc__lua_try(L, open_stock, NULL)) return fail(NULL);
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  node = mc__lua_open(L, &host, c.name.as.string.data, c.name.as.string.len,
                      (uint64_t)c.incarnation.as.integer, 30000);
  if (!node) return fail(lua_tostring(L, -1));
  node->log = host_log;
  node->memory = &memory;
  if (mc__lua_try_push(L, open_library, &c)) return 0;
  mc__lua_push_text(L, L);
  return fail(lua_tostring(L, -1));
}

/* ---- running --------------------------------------------------------------------------------- */

EXPORT(mc_buffer) uint8_t *mc_buffer(size_t len) {
  if (len <= room_size) return room;
  uint8_t *larger = realloc(room, len);
  if (!larger) return NULL;
  room = larger;
  room_size = len;
  return room;
}

EXPORT(mc_peer) uint32_t mc_peer(const char *name, size_t len, double incarnation) {
  return mc_peer_named(node->node, name, len, (uint64_t)incarnation);
}

EXPORT(mc_deliver) int mc_deliver(uint32_t peer, const uint8_t *bytes, size_t len) {
  return mc__lua_deliver(node, peer, bytes, len) ? 0 : 1;
}

/* Delivers and steps; what mc_step returns, or -1 when the link is malformed. */
EXPORT(mc_run)
double mc_run(uint32_t peer, const uint8_t *bytes, size_t len, double budget_ms) {
  bool sound;
  double wake = mc__lua_run(node, peer, bytes, len, budget_ms, &sound);
  fflush(stdout);
  return sound ? wake : -1;
}

EXPORT(mc_step) double mc_step(double budget_ms) {
  double wake = mc__lua_step(node, budget_ms);
  fflush(stdout);
  return wake;
}

EXPORT(mc_peer_down) void mc_peer_down(uint32_t peer) {
  mc_node_peer_down(node->node, peer, MC_E_NODE_DOWN);
}

EXPORT(mc_close) void mc_close(void) {
  lua_State *L = node->L;
  mc_node_close(node->node);
  lua_close(L);
  fflush(NULL);
}
