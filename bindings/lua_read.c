/*
** The core's CBOR to Lua values, straight onto the Lua stack.
**
** Reading trusts nothing and raises only when Lua has no memory, with the stack as the caller's protected
** call will cut it.
*/
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

typedef struct reader {
  mc_lua *M;
  lua_State *L;
  mc_reader *r;
  uint64_t
      work; /* steps along colliding keys that may still be made: see count_collision */
  mc_error error;
  char reason[160];
} reader;

static bool read_value(reader *d, const mc_item *item, int depth);

static bool reject(reader *d, mc_error code, const char *format, const char *what) {
  if (d->error == MC_OK) {
    d->error = code;
    snprintf(d->reason, sizeof d->reason, format, what);
  }
  return false;
}

static bool malformed(reader *d) {
  return reject(d, MC_E_MALFORMED, "%s", d->r->malformed ? d->r->malformed : "malformed");
}

static bool read_next(reader *d, int depth) {
  mc_item item;
  return mc_read(d->r, &item) ? read_value(d, &item, depth) : malformed(d);
}

/* Every slot of every container takes a byte or more: when a message promises more slots than it has
** bytes, some container is not filled. So tables are made as large as they get, or not at all. */
static bool presize(reader *d, size_t count) {
  return mc_read_presize(d->r, count) == count ||
         reject(d, MC_E_MALFORMED, "more items than bytes%s", "");
}

static bool read_array(reader *d, size_t count, int depth) {
  lua_State *L = d->L;
  if (!presize(d, count)) return false;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 1; i <= count; i++) {
    if (!read_next(d, depth + 1)) return false;
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  return true;
}

/* The strings that came last as keys and as names of methods are kept, each in a place of its own, so that
** most need not be made again. */
static mc_lua_key *key_place(mc_lua *M, const char *s, size_t len) {
  size_t mix =
      len * 31 + (uint8_t)s[0] * 7u + (uint8_t)s[len / 2] * 3u + (uint8_t)s[len - 1];
  return &M->keys[mix % MC_KEYS];
}

bool mc__lua_push_known(mc_lua *M, lua_State *L, const char *s, size_t len) {
  if (len == 0 || len > MC_KEY_BYTES) return false;
  const mc_lua_key *key = key_place(M, s, len);
  if (key->len != len || memcmp(key->bytes, s, len) != 0) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, key->string);
  return true;
}

void mc__lua_push_key(mc_lua *M, lua_State *L, const char *s, size_t len) {
  if (mc__lua_push_known(M, L, s, len)) return;
  if (len == 0 || len > MC_KEY_BYTES) {
    lua_pushlstring(L, s, len);
    return;
  }
  mc_lua_key *key = key_place(M, s, len);
  key->len = 0;
  lua_pushlstring(L, s, len);
  lua_pushvalue(L, -1);
  if (key->string)
    lua_rawseti(L, LUA_REGISTRYINDEX, key->string);
  else
    key->string = luaL_ref(L, LUA_REGISTRYINDEX);
  key->len = (uint8_t)len;
  memcpy(key->bytes, s, len);
}

/* Pushes it; *item says what it is. */
static bool read_key(reader *d, mc_item *item, int depth) {
  if (!mc_read(d->r, item)) return malformed(d);
  switch (item->kind) {
  case MC_TEXT:
  case MC_BYTES:
    mc__lua_push_key(d->M, d->L, item->as.string.data, item->as.string.len);
    return true;
  case MC_FLOAT:
    if (isnan(item->as.number))
      return reject(d, MC_E_MALFORMED, "a key that is NaN%s", "");
    if (item->as.number == floor(item->as.number) && item->as.number >= -0x1p63 &&
        item->as.number < 0x1p63) /* Lua makes an integer of it */
      return reject(d, MC_E_MALFORMED, "a float key that is integral%s", "");
    break;
  case MC_BOOL:
  case MC_INT:
  case MC_REF: break;
  default: return reject(d, MC_E_MALFORMED, "a key that cannot be one%s", "");
  }
  return read_value(d, item, depth);
}

/* ---- keys that collide ---- */

/* Lua's hash of numbers has no seed: 65536 keys that are multiples of 65535 stand in one chain, and
** reading 400 kB of them would take a quarter of a minute. So the steps along chains are counted: a
** message has FREE_STEPS, and STEPS more for each of its bytes. Chains shorter than FEW never cost
** much. Strings have a seed, and where references stand is not for the sender to say. */
enum { FREE_STEPS = 1 << 16, STEPS = 64, FEW = 64 };

/* The chain that a number's node is in (luaH_mainposition in Lua 5.4), of a table made for `count`. */
static size_t chain_of(lua_State *L, int key, size_t buckets) {
  int exponent;
  if (lua_isinteger(L, key)) return (lua_Unsigned)lua_tointeger(L, key) % buckets;
  double fraction = frexp(lua_tonumber(L, key), &exponent) * 0x1p31;
  if (!(fabs(fraction) <= 0x1p31)) return 0;
  unsigned hash = (unsigned)exponent + (unsigned)(int64_t)fraction;
  return (hash <= INT_MAX ? hash : ~hash) % buckets;
}

/* The key on top is about to be looked up; the lengths of the chains stand at `place`. */
static bool count_collision(reader *d, int place, size_t count) {
  lua_State *L = d->L;
  size_t size = 1;
  if (lua_type(L, -1) != LUA_TNUMBER) return true;
  while (size < count) size *= 2;
  uint32_t *chains = lua_touserdata(L, place);
  if (!chains) {
    chains =
        memset(lua_newuserdatauv(L, size * sizeof *chains, 0), 0, size * sizeof *chains);
    lua_replace(L, place);
  }
  uint32_t steps = chains[chain_of(L, -1, (size - 1) | 1)]++;
  if (steps > d->work)
    return reject(d, MC_E_MALFORMED, "too many keys that collide%s", "");
  d->work -= steps;
  return true;
}

/* The key on top is not in the table at `table` yet. */
static bool is_new(reader *d, int table) {
  lua_State *L = d->L;
  lua_pushvalue(L, -1);
  bool found = lua_rawget(L, table) != LUA_TNIL;
  lua_pop(L, 1);
  return !found || reject(d, MC_E_MALFORMED, "a key that comes twice%s", "");
}

/* The value of the key on top; puts both into the table below. */
static bool read_field(reader *d, int depth) {
  if (!read_next(d, depth)) return false;
  if (lua_isnil(d->L, -1))
    return reject(d, MC_E_MALFORMED, "a map with a nil value%s", "");
  lua_rawset(d->L, -3);
  return true;
}

/* Up to so many pairs strings are compared with those before them, as they stand in the bytes. */
enum { SMALL_MAP = 16 };

/* keys[n] is a string; whether it is none of the n before it. */
static bool differs(const mc_item *keys, size_t n) {
  size_t len = keys[n].as.string.len;
  for (size_t i = 0; i < n; i++)
    if (keys[i].as.string.len == len &&
        memcmp(keys[i].as.string.data, keys[n].as.string.data, len) == 0)
      return false;
  return true;
}

static bool read_small_map(reader *d, size_t count, int depth) {
  mc_item keys[SMALL_MAP];
  size_t strings = 0; /* among keys: all that stand there */
  lua_createtable(d->L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    mc_item *key = &keys[strings];
    if (!read_key(d, key, depth + 1)) return false;
    if (key->kind != MC_TEXT && key->kind != MC_BYTES) {
      if (!is_new(d, -3)) return false;
    } else if (!differs(keys, strings++)) {
      return reject(d, MC_E_MALFORMED, "a key that comes twice%s", "");
    }
    if (!read_field(d, depth + 1)) return false;
  }
  return true;
}

static bool read_map(reader *d, size_t count, int depth) {
  lua_State *L = d->L;
  mc_item key;
  if (!presize(d, count)) return false;
  if (count <= SMALL_MAP) return read_small_map(d, count, depth);
  lua_pushnil(L); /* for the chains */
  int chains = lua_gettop(L);
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    if (!read_key(d, &key, depth + 1)) return false;
    if (count >= FEW && !count_collision(d, chains, count)) return false;
    if (!is_new(d, -3) || !read_field(d, depth + 1)) return false;
  }
  lua_remove(L, chains);
  return true;
}

static bool read_registered(reader *d, int depth) {
  mc_item name;
  lua_State *L = d->L;
  if (!mc_read(d->r, &name)) return malformed(d);
  if (name.kind != MC_TEXT || !name.as.string.len || name.as.string.len > MC_MAX_NAME)
    return reject(d, MC_E_MALFORMED, "a registered type without a name%s", "");
  static const char packed[] = "mc.codec";
  if (depth > 0 && name.as.string.len == sizeof packed - 1 &&
      memcmp(name.as.string.data, packed, sizeof packed - 1) == 0)
    return reject(d, MC_E_MALFORMED, "a payload inside of a value%s", "");
  lua_rawgeti(L, LUA_REGISTRYINDEX, d->M->codecs);
  lua_pushlstring(L, name.as.string.data, name.as.string.len);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_pushlstring(L, name.as.string.data, name.as.string.len);
    return reject(d, MC_E_TYPE_NOT_ALLOWED, "type %s is not registered on this node",
                  lua_tostring(L, -1));
  }
  lua_getfield(L, -1, "decode");
  lua_replace(L, -3);
  lua_pop(L, 1);
  if (!read_next(d, depth + 1)) return false;
  d->M->level++;
  int status = lua_pcall(L, 1, 1, 0);
  d->M->level--;
  if (status == LUA_ERRMEM)
    return reject(d, MC_E_OUT_OF_MEMORY, "no memory to decode it%s", "");
  if (status != LUA_OK)
    return reject(d, MC_E_MALFORMED, "decode failed: %s", luaL_tolstring(L, -1, NULL));
  return true;
}

static bool read_ref(reader *d) {
  mc_address to;
  mc_type *type;
  if (!mc_read_ref(d->r, d->M->node, &to, &type)) return malformed(d);
  mc__lua_push_ref(d->M, d->L, &to, type);
  return true;
}

static bool read_parcel(reader *d, const mc_item *item) {
  mc_error code = mc__lua_push_parcel(d->M, d->L, (const uint8_t *)item->as.string.data);
  if (code == MC_E_MALFORMED) return reject(d, code, "a parcel that is not here%s", "");
  return code ? reject(d, code, "no memory for a buffer%s", "") : true;
}

static bool read_container(reader *d, const mc_item *item, int depth) {
  if (depth >= MC_MAX_DEPTH)
    return reject(d, MC_E_MALFORMED, "more than 100 nested containers%s", "");
  luaL_checkstack(d->L, 8, NULL);
  if (item->kind == MC_ARRAY) return read_array(d, item->as.count, depth);
  if (item->kind == MC_MAP) return read_map(d, item->as.count, depth);
  return read_registered(d, depth);
}

static bool read_value(reader *d, const mc_item *item, int depth) {
  lua_State *L = d->L;
  switch (item->kind) {
  case MC_NIL: lua_pushnil(L); return true;
  case MC_BOOL: lua_pushboolean(L, item->as.boolean); return true;
  case MC_INT: lua_pushinteger(L, item->as.integer); return true;
  case MC_FLOAT: lua_pushnumber(L, item->as.number); return true;
  case MC_TEXT:
  case MC_BYTES:
    lua_pushlstring(L, item->as.string.data, item->as.string.len);
    return true;
  case MC_REF: return read_ref(d);
  case MC_BUFFER:
    return mc__lua_push_buffer(d->M, L, item->as.string.data, item->as.string.len) ||
           reject(d, MC_E_OUT_OF_MEMORY, "no memory for a buffer%s", "");
  case MC_PARCEL: return read_parcel(d, item);
  default: return read_container(d, item, depth);
  }
}

static uint64_t work_of(const mc_reader *r) {
  return FREE_STEPS + (uint64_t)STEPS * (size_t)(r->end - r->at);
}

static mc_error read_failed(reader *d, int top, mc_lua_why *why) {
  lua_settop(d->L, top);
  snprintf(why->text, sizeof why->text, "%s", d->reason);
  return d->error;
}

static void reader_init(reader *d, mc_lua *M, lua_State *L, mc_reader *r) {
  d->M = M;
  d->L = L;
  d->r = r;
  d->work = work_of(r);
  d->error = MC_OK;
}

mc_error mc__lua_read(mc_lua *M, lua_State *L, mc_reader *r, mc_lua_why *why) {
  reader d;
  reader_init(&d, M, L, r);
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  return read_next(&d, 0) ? MC_OK : read_failed(&d, top, why);
}

static bool read_values(reader *d, int *count) {
  mc_item item;
  if (!mc_read(d->r, &item)) return malformed(d);
  if (item.kind != MC_ARRAY)
    return reject(d, MC_E_MALFORMED, "values that are no array%s", "");
  if (item.as.count > 1000000 || !lua_checkstack(d->L, (int)item.as.count + 8))
    return reject(d, MC_E_MALFORMED, "too many values%s", "");
  *count = (int)item.as.count;
  for (int i = 0; i < *count; i++)
    if (!read_next(d, 0)) return false;
  if (d->r->at != d->r->end)
    return reject(d, MC_E_MALFORMED, "bytes behind the values%s", "");
  return true;
}

mc_error mc__lua_read_all(mc_lua *M, lua_State *L, mc_reader *r, int *count,
                          mc_lua_why *why) {
  reader d;
  reader_init(&d, M, L, r);
  int top = lua_gettop(L);
  return read_values(&d, count) ? MC_OK : read_failed(&d, top, why);
}

int mc__lua_read_plain(mc_lua *M, lua_State *L, mc_reader *r) {
  reader d;
  mc_item item;
  mc_reader ahead = *r;
  int top = lua_gettop(L);
  if (!mc_read(&ahead, &item) || item.kind != MC_ARRAY || item.as.count > MC_FEW_VALUES)
    return -1;
  int count = (int)item.as.count;
  reader_init(&d, M, L, &ahead);
  for (int i = 0; i < count; i++) {
    bool plain = mc_read(&ahead, &item) && item.kind <= MC_TEXT;
    if (plain && item.kind == MC_TEXT)
      plain = mc__lua_push_known(M, L, item.as.string.data, item.as.string.len);
    else if (plain)
      read_value(&d, &item, 0);
    if (!plain) return lua_settop(L, top), -1;
  }
  if (ahead.at != ahead.end) return lua_settop(L, top), -1;
  *r = ahead;
  return count;
}
