/*
** Any bytes as a value in Lua: what decodes to Lua is sent again, and comes back equal. Type fuzz.box
** is registered, and so is mc.Error. Lua is built with its API checks on.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <string.h>

#include "embedded.h"
#include "fuzz.h"
#include "lua_node.h"
#include "memory.h"

const fuzz_shape fuzz_input = FUZZ_VALUE;

/* This Lua has none of the library's own. */
const struct mc_embedded mc_embedded[] = {{NULL, NULL, 0, 0}};
int luaopen_cjson(lua_State *L);
int luaopen_cjson(lua_State *L) { return lua_pushnil(L), 1; }

/* Names of nodes and types stay as long as their node: now and then a new one. */
enum { RUNS_OF_A_NODE = 2000 };

static memory used;
static lua_State *state;
static mc_lua *node;

static double now_ms(void *ud) {
  (void)ud;
  return 0;
}

static void random_bytes(void *ud, void *out, size_t len) {
  (void)ud;
  memset(out, 7, len);
}

static int box_encode(lua_State *L) { return lua_rawgeti(L, 1, 1), 1; }

/* The metatable of boxes is upvalue 1. */
static int box_decode(lua_State *L) {
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

static int open_state(lua_State *L) {
  static const mc_host host = {&used, memory_alloc, now_ms, random_bytes, NULL, NULL};
  luaL_openlibs(L);
  node = mc__lua_open(L, &host, "self", 4, 1, 1000);
  if (!node) return lua_error(L);
  mc__lua_push_core(L);
  lua_getfield(L, -1, "register");
  lua_pushliteral(L, "fuzz.box");
  lua_newtable(L);
  lua_pushcfunction(L, box_encode);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, box_decode, 1);
  lua_call(L, 4, 0);
  return 0;
}

static void renew(void) {
  static int runs;
  if (runs++ % RUNS_OF_A_NODE != 0) return;
  if (state) {
    mc__lua_close(node);
    lua_close(state);
    FUZZ_CHECK(used.used == 0, "all memory was given back");
  }
  state = lua_newstate(memory_alloc, &used);
  lua_pushcfunction(state, open_state);
  int status = lua_pcall(state, 0, 0, 0);
  FUZZ_CHECK(status == LUA_OK, lua_tostring(state, -1));
}

static bool equal(lua_State *L, int a, int b);

/* Whether b has all that a has, and as much. */
static bool equal_tables(lua_State *L, int a, int b) {
  size_t in_a = 0, in_b = 0;
  luaL_checkstack(L, 8, NULL);
  for (lua_pushnil(L); lua_next(L, b); lua_pop(L, 1)) in_b++;
  for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 2), in_a++) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    if (!equal(L, lua_gettop(L) - 1, lua_gettop(L))) return false;
  }
  bool meta = lua_getmetatable(L, a);
  if (meta != (bool)lua_getmetatable(L, b)) return false;
  bool same = !meta || lua_rawequal(L, -1, -2);
  lua_pop(L, meta ? 2 : 0);
  return same && in_a == in_b;
}

/* A buffer is another one after a round trip, with the same bytes. */
static bool equal_buffers(lua_State *L, int a, int b) {
  luaL_checkstack(L, 4, NULL);
  lua_getfield(L, a, "string");
  lua_pushvalue(L, a);
  lua_call(L, 1, 1);
  lua_getfield(L, b, "string");
  lua_pushvalue(L, b);
  lua_call(L, 1, 1);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

static bool equal(lua_State *L, int a, int b) {
  if (lua_type(L, a) != lua_type(L, b)) return false;
  if (lua_type(L, a) == LUA_TTABLE) return equal_tables(L, a, b);
  if (mc__lua_test_buffer(L, a))
    return mc__lua_test_buffer(L, b) && equal_buffers(L, a, b);
  if (lua_type(L, a) != LUA_TNUMBER || lua_isinteger(L, a) || lua_isinteger(L, b))
    return lua_rawequal(L, a, b) && lua_isinteger(L, a) == lua_isinteger(L, b);
  /* NaN is equal here, and 0.0 is not -0.0 */
  double x = lua_tonumber(L, a), y = lua_tonumber(L, b);
  return memcmp(&x, &y, sizeof x) == 0;
}

static void check_refusal(mc_error code, const char *why) {
  FUZZ_CHECK(code == MC_E_MALFORMED || code == MC_E_TYPE_NOT_ALLOWED, "a named refusal");
  FUZZ_CHECK(strlen(why) > 5, "a reason");
}

/* Takes the bytes and their number; returns whether they were a value. */
static int round_trip(lua_State *L) {
  const uint8_t *data = lua_touserdata(L, 1);
  size_t size = (size_t)lua_tointeger(L, 2), before = used.used;
  mc_lua_why why;
  mc_reader r;
  used.peak = before;
  mc_reader_init(&r, data, size);
  mc_error code = mc__lua_read(node, L, &r, &why);
  /* an empty table takes a byte on the wire and 56 of memory, and its place in another 16 or 32; a
  ** table of names or references that grows takes at most as much as there was before */
  FUZZ_CHECK(used.peak - before <= 128 * size + 4096 + before, "memory");
  if (code) {
    FUZZ_CHECK(lua_gettop(L) == 2, "nothing is left");
    check_refusal(code, why.text);
    return 0;
  }
  FUZZ_CHECK(lua_gettop(L) == 3, "one value");
  mc_host host = {.ud = &used, .alloc = memory_alloc};
  mc_buf out;
  mc_buf_init(&out, &host);
  code = mc__lua_write(node, L, 3, &out, MC_NOWHERE, "value", 0, &why);
  FUZZ_CHECK(code == MC_OK && !out.failed && lua_gettop(L) == 3, "what came can be sent");
  mc_reader_init(&r, out.data, out.len);
  code = mc__lua_read(node, L, &r, &why);
  FUZZ_CHECK(code == MC_OK && r.at == r.end, "what was sent can be read");
  mc_buf_fini(&out);
  FUZZ_CHECK(equal(L, 3, 4), "it is equal");
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  renew();
  lua_gc(state, LUA_GCCOLLECT);
  lua_gc(state, LUA_GCSTOP);
  lua_pushcfunction(state, round_trip);
  lua_pushlightuserdata(state, (void *)(uintptr_t)data);
  lua_pushinteger(state, (lua_Integer)size);
  int status = lua_pcall(state, 2, 0, 0);
  lua_gc(state, LUA_GCRESTART);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(state, -1));
  FUZZ_CHECK(status == LUA_OK, "nothing was raised");
  return 0;
}
