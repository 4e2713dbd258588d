/*
** mc.buffer: bytes outside of the Lua heap. A userdata holds one block (lua_parcel.c). Sending it moves
** the block: the handle here is dead from the moment on that the message is sent, the one that arrives
** has the bytes. Where the memory is shared (handlers of this node, nodes of one process natively) the
** block itself goes; to any other node its bytes do, straight out of the block and into a new one.
**
** While a message is written the handles in it stand in M->moving, the names of parcels in M->parked;
** then they are settled: moved, or taken back when nothing was sent. Code of the user's that runs inside
** of that (encode, decode) may send, too: its entries are those with a higher `level`.
**
** Lua does not see the blocks: they count against the node's memory, and each drives its collector.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_node.h"

#define BUFFER "mooncast.buffer"

static const char MARK; /* its address is in every buffer */

struct mc_lua_buffer {
  const void *mark;
  mc_block *block; /* NULL: it was moved or freed */
  size_t size;
  mc__lua_memory *memory; /* that it counts against, or NULL */
  mc_lua_buffer *next;    /* in M->moving */
  int level;
  bool moving, moved;
};

struct mc_lua_parked {
  mc_lua_parked *next;
  uint8_t token[MC_TOKEN_SIZE];
  uint64_t to;
  int level;
};

/* ---- handles --------------------------------------------------------------------------------- */

static void unlink_moving(mc_lua *M, mc_lua_buffer *b) {
  mc_lua_buffer **at = &M->moving;
  while (*at != b) at = &(*at)->next;
  *at = b->next;
  b->moving = false;
}

static void drop(mc_lua_buffer *b) {
  if (!b->block) return;
  mc__block_drop(b->block);
  if (b->memory) b->memory->used -= b->size;
  b->block = NULL;
}

/* A handle without a block, which can be given one without fail. */
static mc_lua_buffer *push_empty(lua_State *L) {
  mc_lua_buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
  memset(b, 0, sizeof *b);
  b->mark = &MARK;
  luaL_setmetatable(L, BUFFER);
  return b;
}

static void give(mc_lua *M, mc_lua_buffer *b, mc_block *block) {
  b->block = block;
  mc__block_bytes(block, &b->size);
  b->memory = M->memory;
  if (b->memory) b->memory->used += b->size;
}

static bool has_room(const mc_lua *M, size_t size) {
  const mc__lua_memory *m = M->memory;
  return !m || !m->max || (m->used < m->max && size <= m->max - m->used);
}

/* Lua's collector works as much as if Lua had allocated the bytes. */
static void drive_collector(lua_State *L, mc_lua *M, size_t size) {
  enum { STEP = 1 << 16, MOST_KB = 1 << 20 };
  M->unseen += size;
  if (M->unseen < STEP) return;
  size_t kb = M->unseen >> 10;
  M->unseen = 0;
  if (lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCSTEP, kb < MOST_KB ? (int)kb : MOST_KB);
}

/* Pushes a handle with a new block. False, and an empty one: there is no memory. */
static bool push_new(lua_State *L, mc_lua *M, size_t size, uint8_t **bytes) {
  mc_lua_buffer *b = push_empty(L);
  drive_collector(L, M, size);
  if (!has_room(M, size)) lua_gc(L, LUA_GCCOLLECT);
  mc_block *block = has_room(M, size) ? mc__block_new(size) : NULL;
  if (!block) return false;
  *bytes = mc__block_bytes(block, &size);
  give(M, b, block);
  return true;
}

static uint8_t *check_new(lua_State *L, size_t size) {
  uint8_t *bytes;
  mc_lua *M = mc__lua_of(L);
  if (!push_new(L, M, size, &bytes))
    mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a buffer of %f bytes",
                  (lua_Number)size);
  return bytes;
}

mc_lua_buffer *mc__lua_test_buffer(lua_State *L, int index) {
  mc_lua_buffer *b = lua_touserdata(L, index);
  if (!b || lua_rawlen(L, index) != sizeof *b) return NULL;
  return b->mark == &MARK ? b : NULL;
}

static const char *dead(const mc_lua_buffer *b) {
  return b->moved ? "the buffer was moved" : "the buffer was freed";
}

static uint8_t *check(lua_State *L, int index, size_t *size) {
  mc_lua_buffer *b = luaL_checkudata(L, index, BUFFER);
  if (!b->block) luaL_error(L, "%s", dead(b));
  return mc__block_bytes(b->block, size);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool is_near(mc_lua *M, uint32_t to) {
  return to == MC_SELF || (M->is_near && M->is_near(M, to));
}

static bool park(mc_lua *M, const mc_lua_buffer *b, mc_buf *out, uint32_t to) {
  mc_lua_parked *e = malloc(sizeof *e);
  if (!M->parcels) M->parcels = M->own_parcels = mc__parcels_new();
  if (!e || !M->parcels) return free(e), false;
  mc_node_random(M->node, e->token, MC_TOKEN_SIZE);
  e->to = mc_peer_incarnation(M->node, to);
  e->level = M->level;
  if (!mc__parcel_add(M->parcels, b->block, e->to, e->token)) return free(e), false;
  e->next = M->parked;
  M->parked = e;
  mc_write_parcel(out, e->token);
  return true;
}

mc_error mc__lua_write_buffer(mc_lua *M, mc_lua_buffer *b, mc_buf *out, uint32_t to,
                              const char **why) {
  size_t size;
  *why = b->moved ? "cannot send a buffer that was moved"
                  : "cannot send a buffer that was freed";
  if (!b->block) return MC_E_UNSENDABLE;
  uint8_t *bytes = mc__block_bytes(b->block, &size);
  bool shared = mc__block_is_shared(b->block);
  if (to == MC_NOWHERE) return mc_write_buffer(out, bytes, size), MC_OK;
  *why = "cannot send one buffer twice";
  if (b->moving) return MC_E_UNSENDABLE;
  bool near = is_near(M, to);
  *why = "cannot send a shared buffer to a node with a memory of its own";
  if (shared && !near) return MC_E_UNSENDABLE;
  *why = "no memory to send a buffer";
  if (!near)
    mc_write_buffer(out, bytes, size);
  else if (!park(M, b, out, to))
    return MC_E_OUT_OF_MEMORY;
  if (shared) return MC_OK;
  b->moving = true;
  b->level = M->level;
  b->next = M->moving;
  M->moving = b;
  return MC_OK;
}

void mc__lua_settle_buffers(mc_lua *M, bool moved, bool arrived) {
  while (M->moving && M->moving->level >= M->level) {
    mc_lua_buffer *b = M->moving;
    unlink_moving(M, b);
    b->moved = moved;
    if (moved) drop(b);
  }
  while (M->parked && M->parked->level >= M->level) {
    mc_lua_parked *e = M->parked;
    M->parked = e->next;
    if (!arrived) mc__block_drop(mc__parcel_take(M->parcels, e->to, e->token));
    free(e);
  }
}

/* ---- arriving -------------------------------------------------------------------------------- */

bool mc__lua_push_buffer(mc_lua *M, lua_State *L, const void *from, size_t len) {
  uint8_t *bytes;
  if (!push_new(L, M, len, &bytes)) return false;
  if (len) memcpy(bytes, from, len);
  return true;
}

static mc_block *claim(mc_lua *M, const uint8_t *token) {
  return mc__parcel_take(M->parcels, mc_peer_incarnation(M->node, MC_SELF), token);
}

mc_error mc__lua_push_parcel(mc_lua *M, lua_State *L, const uint8_t *token) {
  size_t size;
  mc_lua_buffer *b = push_empty(L);
  mc_block *block = claim(M, token);
  if (!block) return MC_E_MALFORMED;
  mc__block_bytes(block, &size);
  give(M, b, block);
  if (M->moving) return MC_OK; /* from this node: what its sender has still counts */
  drive_collector(L, M, size);
  if (M->memory && M->memory->max && M->memory->used > M->memory->max) {
    lua_gc(L, LUA_GCCOLLECT);
    if (M->memory->used > M->memory->max) return drop(b), MC_E_OUT_OF_MEMORY;
  }
  return MC_OK;
}

/* vtable. One value after the other, whatever contains it, until something is none. */
void mc__lua_discard(void *ud, const uint8_t *values, size_t len) {
  mc_lua *M = ud;
  mc_reader r;
  mc_item item;
  if (mc__parcels_count(M->parcels) == 0) return;
  mc_reader_init(&r, values, len);
  while (r.at < r.end && mc_read(&r, &item))
    if (item.kind == MC_PARCEL)
      mc__block_drop(claim(M, (const uint8_t *)item.as.string.data));
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Little-endian, as everywhere that this runs. */
typedef enum number { U8, I8, U16, I16, U32, I32, I64, F32, F64 } number;
static const char *const number_names[] = {"u8",  "i8",  "u16", "i16", "u32",
                                           "i32", "i64", "f32", "f64", NULL};
static const size_t widths[] = {1, 1, 2, 2, 4, 4, 8, 4, 8};

static void push_number(lua_State *L, number type, const uint8_t *at) {
  uint64_t bits = 0;
  for (size_t i = widths[type]; i-- > 0;) bits = bits << 8 | at[i];
  uint32_t low = (uint32_t)bits;
  float f;
  double d;
  switch (type) {
  case I8: lua_pushinteger(L, (int8_t)bits); break;
  case I16: lua_pushinteger(L, (int16_t)bits); break;
  case I32: lua_pushinteger(L, (int32_t)bits); break;
  case F32: lua_pushnumber(L, (lua_Number)(memcpy(&f, &low, sizeof f), f)); break;
  case F64: lua_pushnumber(L, (memcpy(&d, &bits, sizeof d), d)); break;
  default: lua_pushinteger(L, (lua_Integer)bits);
  }
}

static uint64_t check_number(lua_State *L, int index, number type) {
  uint64_t bits = 0;
  if (type == F64) {
    double d = luaL_checknumber(L, index);
    memcpy(&bits, &d, sizeof d);
  } else if (type == F32) {
    float f = (float)luaL_checknumber(L, index);
    uint32_t low;
    memcpy(&low, &f, sizeof low);
    bits = low;
  } else {
    lua_Integer v = luaL_checkinteger(L, index);
    size_t width = 8 * widths[type];
    bool is_unsigned = type == U8 || type == U16 || type == U32;
    lua_Integer least = width == 64 || is_unsigned ? 0 : -((lua_Integer)1 << (width - 1));
    lua_Integer most = width == 64   ? 0
                       : is_unsigned ? ((lua_Integer)1 << width) - 1
                                     : -(least + 1);
    if (width < 64 && (v < least || v > most))
      luaL_argerror(
          L, index,
          lua_pushfstring(L, "%I is no %s", (LUAI_UACINT)v, number_names[type]));
    bits = (uint64_t)v;
  }
  return bits;
}

/* Where `count` numbers from position index stand; the arguments are buffer, type, position. */
static uint8_t *check_place(lua_State *L, number type, lua_Integer count) {
  size_t size;
  uint8_t *bytes = check(L, 1, &size);
  lua_Integer at = luaL_checkinteger(L, 3);
  bool inside = at >= 1 && count >= 0 && (lua_Unsigned)at - 1 <= size &&
                (lua_Unsigned)count <= (size - ((size_t)at - 1)) / widths[type];
  if (!inside)
    luaL_error(L, "%I %s at %I: the buffer has %I bytes", (LUAI_UACINT)count,
               number_names[type], (LUAI_UACINT)at, (LUAI_UACINT)size);
  return bytes + (at - 1);
}

/* b:get(type, position [, count]) -> numbers */
static int l_get(lua_State *L) {
  number type = (number)luaL_checkoption(L, 2, NULL, number_names);
  lua_Integer count = luaL_optinteger(L, 4, 1);
  const uint8_t *at = check_place(L, type, count);
  if (count > INT32_MAX || !lua_checkstack(L, (int)count))
    return luaL_error(L, "too many numbers at once");
  for (lua_Integer i = 0; i < count; i++, at += widths[type]) push_number(L, type, at);
  return (int)count;
}

/* b:set(type, position, ...): all of them, or when one is no such number none */
static int l_set(lua_State *L) {
  number type = (number)luaL_checkoption(L, 2, NULL, number_names);
  int count = lua_gettop(L) - 3;
  uint8_t *at = check_place(L, type, count > 0 ? count : 0);
  for (int i = 0; i < count; i++) check_number(L, 4 + i, type);
  for (int i = 0; i < count; i++) {
    uint64_t bits = check_number(L, 4 + i, type);
    for (size_t k = 0; k < widths[type]; k++) *at++ = (uint8_t)(bits >> (8 * k));
  }
  return 0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* The part from i to j, as string.sub has them; they stand at `first` and `first + 1`. */
static size_t part(lua_State *L, int first, size_t size, size_t *len) {
  lua_Integer i = luaL_optinteger(L, first, 1), j = luaL_optinteger(L, first + 1, -1);
  lua_Integer n = (lua_Integer)size;
  if (i < 0) i = i + n + 1 < 1 ? 1 : i + n + 1;
  if (i == 0) i = 1;
  if (j < 0) j = j + n + 1;
  if (j > n) j = n;
  *len = i <= j ? (size_t)(j - i + 1) : 0;
  return *len ? (size_t)i - 1 : 0;
}

/* core.buffer(size or string) -> buffer */
static int l_buffer(lua_State *L) {
  size_t len;
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, 1, &len);
    uint8_t *bytes = check_new(L, len);
    if (len) memcpy(bytes, s, len);
    return 1;
  }
  lua_Integer size = luaL_checkinteger(L, 1);
  luaL_argcheck(L, size >= 0 && (lua_Unsigned)size <= PTRDIFF_MAX, 1,
                "a size is 0 or more");
  uint8_t *bytes = check_new(L, (size_t)size);
  if (size) memset(bytes, 0, (size_t)size);
  return 1;
}

/* b:string(i, j) -> string */
static int l_string(lua_State *L) {
  size_t size, len;
  const uint8_t *bytes = check(L, 1, &size);
  size_t at = part(L, 2, size, &len);
  lua_pushlstring(L, (const char *)bytes + at, len);
  return 1;
}

/* b:sub(i, j) -> buffer */
static int l_sub(lua_State *L) {
  size_t size, len;
  const uint8_t *bytes = check(L, 1, &size);
  size_t at = part(L, 2, size, &len);
  uint8_t *to = check_new(L, len);
  if (len) memcpy(to, bytes + at, len);
  return 1;
}

/* b:fill(byte, i, j) -> b */
static int l_fill(lua_State *L) {
  size_t size, len;
  uint8_t *bytes = check(L, 1, &size);
  uint64_t byte = check_number(L, 2, U8);
  size_t at = part(L, 3, size, &len);
  if (len) memset(bytes + at, (int)byte, len);
  return lua_settop(L, 1), 1;
}

/* b:copy(position, from, i, j) -> b: bytes of a buffer or a string; it may be the same buffer */
static int l_copy(lua_State *L) {
  size_t size, from_size, len;
  uint8_t *bytes = check(L, 1, &size);
  lua_Integer to = luaL_checkinteger(L, 2);
  const uint8_t *from = lua_type(L, 3) == LUA_TSTRING
                            ? (const uint8_t *)lua_tolstring(L, 3, &from_size)
                            : check(L, 3, &from_size);
  size_t at = part(L, 4, from_size, &len);
  if (to < 1 || (lua_Unsigned)to - 1 > size || len > size - ((size_t)to - 1))
    return luaL_error(L, "%I bytes at %I: the buffer has %I", (LUAI_UACINT)len,
                      (LUAI_UACINT)to, (LUAI_UACINT)size);
  if (len) memmove(bytes + (to - 1), from + at, len);
  return lua_settop(L, 1), 1;
}

static int l_len(lua_State *L) {
  size_t size;
  check(L, 1, &size);
  lua_pushinteger(L, (lua_Integer)size);
  return 1;
}

static int l_tostring(lua_State *L) {
  const mc_lua_buffer *b = luaL_checkudata(L, 1, BUFFER);
  if (b->block)
    lua_pushfstring(L, "%sbuffer of %I bytes",
                    mc__block_is_shared(b->block) ? "shared " : "", (LUAI_UACINT)b->size);
  else
    lua_pushfstring(L, "buffer that was %s", b->moved ? "moved" : "freed");
  return 1;
}

/* b:free(), also by closing and collecting it. Again, or of one that was moved: nothing. */
static int l_free(lua_State *L) {
  mc_lua_buffer *b = luaL_checkudata(L, 1, BUFFER);
  mc_lua *M = mc__lua_peek(L);
  if (b->moving && M) unlink_moving(M, b);
  drop(b);
  return 0;
}

/* core.share(b) -> b: from now on sending it gives the receiver the same bytes, and moves nothing */
static int l_share(lua_State *L) {
  size_t size;
  check(L, 1, &size);
  lua_settop(L, 1);
  mc__block_share(((mc_lua_buffer *)lua_touserdata(L, 1))->block);
  return 1;
}

void mc__lua_close_buffers(mc_lua *M) {
  M->level = 0;
  mc__lua_settle_buffers(M, false, false);
  mc__parcels_drop(M->parcels, mc_peer_incarnation(M->node, MC_SELF));
  mc__parcels_free(M->own_parcels);
  M->parcels = M->own_parcels = NULL;
}

void mc__lua_open_buffer(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"buffer", l_buffer}, {"share", l_share}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", l_free},
                                  {"__close", l_free},
                                  {"__len", l_len},
                                  {"__tostring", l_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"get", l_get},   {"set", l_set},   {"string", l_string}, {"sub", l_sub},
      {"fill", l_fill}, {"copy", l_copy}, {"free", l_free},     {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  luaL_newmetatable(L, BUFFER);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "mc.buffer");
  lua_setfield(L, -2, "__name");
  lua_pop(L, 1);
}
