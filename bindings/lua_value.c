/*
** Lua values to and from the core's CBOR, straight between the Lua stack and the bytes.
**
** Writing never raises, whatever a user's encode does: memory that is wanting is noted in the buffer,
** everything else is a code
** and a sentence that names the path, "cannot send a function at arguments[1].on.click". Tables are
** read raw. A table with a metatable is sent only when its type was registered (mc.type).
** Reading trusts nothing and raises only when Lua has no memory, with the stack as the caller's
** protected call will cut it.
**
** Bytes that become a Lua string are written to M->out behind what stands there: an encode of the
** user's may come here again. They are taken back just before the string is made, which runs no code.
*/
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct writer {
  mc_lua *M;
  lua_State *L;
  mc_buf *out;
  uint32_t to;
  mc_error error;
  bool user; /* an encode ran: a table may have changed under its traversal */
  char reason[160];
  char path[160];                 /* built from the inside out */
  const void *open[MC_MAX_DEPTH]; /* the tables around the value */
} writer;

/* Writes the value on top of the stack, which stays there. */
static bool write_value(writer *w, int depth);

static bool refuse(writer *w, mc_error code, const char *format, const char *what) {
  w->error = code;
  snprintf(w->reason, sizeof w->reason, format, what);
  return false;
}

static void path_prepend(writer *w, const char *part) {
  size_t add = strlen(part), have = strlen(w->path);
  if (add + have >= sizeof w->path) return;
  memmove(w->path + add, w->path, have + 1);
  memcpy(w->path, part, add);
}

static bool is_identifier(const char *s) {
  if (!*s || (*s >= '0' && *s <= '9')) return false;
  for (; *s; s++)
    if (!(*s == '_' || (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
          (*s >= 'A' && *s <= 'Z')))
      return false;
  return true;
}

/* The key at -2 of the pair that failed. */
static bool failed_at(writer *w, int key) {
  char part[64];
  lua_State *L = w->L;
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *s = lua_tostring(L, key);
    snprintf(part, sizeof part, is_identifier(s) ? ".%.40s" : "[\"%.40s\"]", s);
  } else if (lua_isinteger(L, key)) {
    snprintf(part, sizeof part, "[%lld]", (long long)lua_tointeger(L, key));
  } else {
    snprintf(part, sizeof part, "[%s]", luaL_typename(L, key));
  }
  path_prepend(w, part);
  return false;
}

static bool write_sequence(writer *w, lua_Unsigned len, int depth) {
  lua_State *L = w->L;
  mc_write_array(w->out, (size_t)len);
  for (lua_Unsigned i = 1; i <= len; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    bool ok = write_value(w, depth + 1);
    lua_pop(L, 1);
    if (!ok) {
      lua_pushinteger(L, (lua_Integer)i);
      failed_at(w, -1);
      lua_pop(L, 1);
      return false;
    }
  }
  return true;
}

/* The key at -2. */
static bool write_key(writer *w, int depth) {
  lua_State *L = w->L;
  int type = lua_type(L, -2);
  if (type == LUA_TSTRING) {
    size_t len;
    const char *s = lua_tolstring(L, -2, &len);
    mc_write_string(w->out, s, len);
    return true;
  }
  if (type != LUA_TBOOLEAN && type != LUA_TNUMBER && !mc__lua_test_ref(L, -2))
    return refuse(w, MC_E_UNSENDABLE, "cannot send a table key that is a %s",
                  lua_typename(L, type));
  lua_pushvalue(L, -2);
  bool ok = write_value(w, depth);
  lua_pop(L, 1);
  return ok;
}

/* table, key -> key, value or nothing; raises when the key is gone. */
static int next_protected(lua_State *L) { return lua_next(L, 1) ? 2 : 0; }

static bool changed(writer *w) {
  return refuse(w, MC_E_UNSENDABLE, "the table changed while it was sent%s", "");
}

/* As lua_next with the table below the key, for a table that an encode may have changed. */
static bool next_changed(writer *w) {
  lua_State *L = w->L;
  int key = lua_gettop(L);
  lua_pushcfunction(L, next_protected);
  lua_pushvalue(L, key - 1);
  lua_rotate(L, key, 2); /* function, table, key */
  if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
    lua_settop(L, key - 1);
    return changed(w);
  }
  return lua_gettop(L) > key;
}

static size_t count_pairs(lua_State *L) {
  size_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    count++;
    lua_pop(L, 1);
  }
  return count;
}

static bool write_pair(writer *w, int depth) {
  if (write_key(w, depth) && write_value(w, depth)) return true;
  failed_at(w, -2);
  lua_pop(w->L, 2);
  return false;
}

/* In one pass: how many there are is known behind them. */
static bool write_pairs(writer *w, int depth, bool as_map) {
  lua_State *L = w->L;
  size_t count = 0, start = w->out->len;
  mc_write_map(w->out, 0);
  lua_pushnil(L);
  while (w->user ? next_changed(w) : lua_next(L, -2)) {
    if (!write_pair(w, depth + 1)) return false;
    lua_pop(L, 1);
    count++;
  }
  if (w->user && (w->error || count_pairs(L) != count)) return changed(w);
  if (count == 0 && !as_map) {
    w->out->len = start;
    mc_write_array(w->out, 0);
  } else {
    mc_write_map_count(w->out, start, count);
  }
  return true;
}

/* Whether the keys are 1..len, which is not 0. */
static bool is_sequence(lua_State *L, lua_Unsigned len) {
  lua_Unsigned count = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_Integer k = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (k < 1 || (lua_Unsigned)k > len) return lua_pop(L, 1), false;
    count++;
  }
  return count == len;
}

static bool write_plain(writer *w, int depth, bool as_map) {
  lua_Unsigned len = as_map ? 0 : lua_rawlen(w->L, -1);
  if (len && is_sequence(w->L, len)) return write_sequence(w, len, depth);
  return write_pairs(w, depth, as_map);
}

/* The codec of a registered type stands in M->codecs under the metatable: {name, encode, decode}. */
static bool write_registered(writer *w, int depth) {
  lua_State *L = w->L;
  int top = lua_gettop(L); /* metatable on top, of the table below */
  lua_rawgeti(L, LUA_REGISTRYINDEX, w->M->codecs);
  lua_pushvalue(L, top);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_settop(L, top - 1);
    return refuse(
        w, MC_E_UNSENDABLE,
        "cannot send a table with a metatable that is not registered (see mc.type)%s",
        "");
  }
  lua_getfield(L, -1, "name");
  lua_getfield(L, -2, "encode");
  size_t len;
  const char *name = lua_tolstring(L, -2, &len);
  lua_pushvalue(L, top - 1);
  bool encoding = w->M->encoding;
  w->M->encoding = w->user = true;
  w->M->level++;
  int status = lua_pcall(L, 1, 1, 0);
  w->M->level--;
  w->M->encoding = encoding;
  bool ok = status == LUA_OK;
  if (ok) {
    mc_write_registered(w->out);
    mc_write_string(w->out, name, len);
    ok = write_value(w, depth + 1);
  } else if (status == LUA_ERRMEM) {
    refuse(w, MC_E_OUT_OF_MEMORY, "no memory to encode it%s", "");
  } else {
    mc__lua_push_text(L, L);
    const char *text = lua_tostring(L, -1);
    refuse(w, MC_E_UNSENDABLE, "encode failed: %s", text ? text : "?");
  }
  lua_settop(L, top - 1);
  return ok;
}

static bool write_bytes_object(writer *w) {
  size_t len;
  lua_rawgeti(w->L, -1, 1);
  const char *s =
      lua_type(w->L, -1) == LUA_TSTRING ? lua_tolstring(w->L, -1, &len) : NULL;
  if (s) mc_write_bytes(w->out, s, len);
  lua_pop(w->L, 1);
  return s ? true : refuse(w, MC_E_UNSENDABLE, "cannot send broken mc.bytes%s", "");
}

/* The reference in the registry that the metatable on top is, among ours; pops nothing. */
static bool is_meta(lua_State *L, int reference) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

static bool write_table(writer *w, int depth) {
  lua_State *L = w->L;
  const void *self = lua_topointer(L, -1);
  if (depth >= MC_MAX_DEPTH)
    return refuse(w, MC_E_UNSENDABLE, "cannot send more than 100 nested tables%s", "");
  for (int i = 0; i < depth; i++)
    if (w->open[i] == self)
      return refuse(w, MC_E_UNSENDABLE, "cannot send a cycle%s", "");
  if (!lua_checkstack(L, 12)) return refuse(w, MC_E_OUT_OF_MEMORY, "no memory%s", "");
  w->open[depth] = self;
  if (!lua_getmetatable(L, -1)) return write_plain(w, depth, false);
  if (is_meta(L, w->M->map_meta)) return lua_pop(L, 1), write_plain(w, depth, true);
  if (is_meta(L, w->M->bytes_meta)) return lua_pop(L, 1), write_bytes_object(w);
  return write_registered(w, depth);
}

static bool write_buffer(writer *w, mc_lua_buffer *b) {
  const char *why;
  mc_error code = mc__lua_write_buffer(w->M, b, w->out, w->to, &why);
  return code ? refuse(w, code, "%s", why) : true;
}

static bool write_value(writer *w, int depth) {
  lua_State *L = w->L;
  size_t len;
  const char *s;
  mc_lua_ref *ref;
  mc_lua_buffer *buffer;
  switch (lua_type(L, -1)) {
  case LUA_TNIL: mc_write_nil(w->out); return true;
  case LUA_TBOOLEAN: mc_write_bool(w->out, lua_toboolean(L, -1)); return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, -1))
      mc_write_int(w->out, lua_tointeger(L, -1));
    else
      mc_write_float(w->out, lua_tonumber(L, -1));
    return true;
  case LUA_TSTRING:
    s = lua_tolstring(L, -1, &len);
    mc_write_string(w->out, s, len);
    return true;
  case LUA_TTABLE: return write_table(w, depth);
  case LUA_TUSERDATA:
    if ((ref = mc__lua_test_ref(L, -1))) {
      mc_write_ref(w->out, w->M->node, &ref->to, ref->type);
      return true;
    }
    if ((buffer = mc__lua_test_buffer(L, -1))) return write_buffer(w, buffer);
    break;
  case LUA_TFUNCTION: return refuse(w, MC_E_UNSENDABLE, "cannot send a function%s", "");
  }
  return refuse(w, MC_E_UNSENDABLE, "cannot send a %s", luaL_typename(L, -1));
}

static mc_error write_top(writer *w, int index, const char *place, int i,
                          mc_lua_why *why) {
  char root[64];
  lua_pushvalue(w->L, index);
  bool ok = write_value(w, 0);
  lua_pop(w->L, 1);
  if (ok) return MC_OK;
  if (i)
    snprintf(root, sizeof root, "%s[%d]", place, i);
  else
    snprintf(root, sizeof root, "%s", place);
  path_prepend(w, root);
  bool function = strcmp(w->reason, "cannot send a function") == 0;
  snprintf(why->text, sizeof why->text, "%.110s at %.130s%s", w->reason, w->path,
           function ? ": functions do not travel, pass a reference to an actor" : "");
  return w->error;
}

static void writer_init(writer *w, mc_lua *M, lua_State *L, mc_buf *out, uint32_t to) {
  w->M = M;
  w->L = L;
  w->out = out;
  w->to = to;
  w->error = MC_OK;
  w->user = false;
  w->path[0] = '\0';
}

static mc_error no_memory(mc_lua_why *why) {
  snprintf(why->text, sizeof why->text, "no memory for the values");
  return MC_E_OUT_OF_MEMORY;
}

mc_error mc__lua_write(mc_lua *M, lua_State *L, int index, mc_buf *out, uint32_t to,
                       const char *place, int i, mc_lua_why *why) {
  writer w;
  writer_init(&w, M, L, out, to);
  return write_top(&w, index, place, i, why);
}

mc_error mc__lua_write_all(mc_lua *M, lua_State *L, int index, int count, mc_buf *out,
                           uint32_t to, const char *place, mc_lua_why *why) {
  writer w;
  writer_init(&w, M, L, out, to);
  mc_write_array(out, (size_t)count);
  if (!lua_checkstack(L, 16)) return no_memory(why);
  for (int i = 0; i < count; i++) {
    mc_error code = write_top(&w, index + i, place, i + 1, why);
    if (code) return code;
  }
  return MC_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

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

/* Pushes the string of a key. The ones that came last are kept, each in a place of its own, so that most
** need not be made again. */
static void push_key(reader *d, const char *s, size_t len) {
  lua_State *L = d->L;
  if (len == 0 || len > MC_KEY_BYTES) {
    lua_pushlstring(L, s, len);
    return;
  }
  size_t mix =
      len * 31 + (uint8_t)s[0] * 7u + (uint8_t)s[len / 2] * 3u + (uint8_t)s[len - 1];
  mc_lua_key *key = &d->M->keys[mix % MC_KEYS];
  if (key->len == len && memcmp(key->bytes, s, len) == 0) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, key->string);
    return;
  }
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
  case MC_BYTES: push_key(d, item->as.string.data, item->as.string.len); return true;
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

/* ---- copying inside a node ------------------------------------------------------------------- */

/* Writes the value to M->out; on success the bytes stand there from *start on, for now. */
static mc_error write_out(mc_lua *M, lua_State *L, int index, uint32_t to, size_t *start,
                          const char *place, int i, mc_lua_why *why) {
  mc_buf *out = &M->out;
  *start = out->len;
  mc_error code = mc__lua_write(M, L, index, out, to, place, i, why);
  if (code == MC_OK && out->failed) {
    code = MC_E_OUT_OF_MEMORY;
    snprintf(why->text, sizeof why->text, "no memory for the value");
  }
  if (code) out->len = *start;
  out->failed = false;
  return code;
}

/* Pushes the bytes from `start` on as a string. */
static void take_out(mc_lua *M, lua_State *L, size_t start) {
  enum { KEEP = 65536 };
  mc_buf *out = &M->out;
  size_t len = out->len - start;
  out->len = start;
  lua_pushlstring(L, (const char *)out->data + start, len);
  if (out->len == 0 && out->cap > KEEP) mc_buf_fini(out);
}

typedef struct copying {
  mc_lua *M;
  size_t start;
  mc_lua_why *why;
  mc_error code;
} copying;

/* -> the value whose bytes stand in M->out */
static int read_protected(lua_State *L) {
  copying *c = lua_touserdata(L, 1);
  mc_reader r;
  take_out(c->M, L,
           c->start); /* in Lua's hands, so that nothing leaks when reading raises */
  mc_reader_init(&r, lua_tostring(L, -1), lua_rawlen(L, -1));
  c->code = mc__lua_read(c->M, L, &r, c->why);
  return c->code == MC_OK;
}

static mc_error copy_one(mc_lua *M, lua_State *L, lua_State *from, int index, int i,
                         lua_State *to, const char *place, mc_lua_why *why) {
  copying c = {.M = M, .why = why};
  mc_error code = write_out(M, from, index, MC_SELF, &c.start, place, i, why);
  if (code) return code;
  bool read = mc__lua_try_push(L, read_protected, &c);
  M->out.len = c.start;
  if (read && !c.code) return lua_xmove(L, to, 1), MC_OK;
  lua_pop(L, 1);
  return read ? c.code : no_memory(why);
}

/* Is the same value for both sides when it is given from one to the other. */
static bool is_plain(lua_State *L, int index) {
  int type = lua_type(L, index);
  return (type <= LUA_TSTRING && type != LUA_TLIGHTUSERDATA) ||
         (type == LUA_TUSERDATA && mc__lua_test_ref(L, index));
}

mc_error mc__lua_copy(mc_lua *M, lua_State *L, lua_State *from, int index, int count,
                      lua_State *to, const char *place, mc_lua_why *why) {
  int top = lua_gettop(to);
  if (!lua_checkstack(to, count + 8) || !lua_checkstack(from, 16)) return no_memory(why);
  for (int i = 0; i < count; i++) {
    if (is_plain(from, index + i)) {
      lua_pushvalue(from, index + i);
      lua_xmove(from, to, 1);
      continue;
    }
    mc_error code = copy_one(M, L, from, index + i, i + 1, to, place, why);
    if (code) {
      lua_settop(to, top);
      mc__lua_sent(M, code);
      return code;
    }
  }
  mc__lua_sent(M, MC_OK);
  return MC_OK;
}

/* ---- Lua's view ------------------------------------------------------------------------------ */

/* core.encode(v) -> string, core.decode(s) -> v: one value as on the wire. Raises mc.Error. */
static int l_encode(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_why why;
  size_t start;
  luaL_checkany(L, 1);
  mc_error code = write_out(M, L, 1, MC_NOWHERE, &start, "value", 0, &why);
  if (code) return mc__lua_raise(L, code, "%s", why.text);
  take_out(M, L, start);
  return 1;
}

static int l_decode(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_reader r;
  mc_lua_why why;
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  mc_reader_init(&r, s, len);
  mc_error code = mc__lua_read(M, L, &r, &why);
  if (code) return mc__lua_raise(L, code, "%s", why.text);
  if (r.at != r.end) return mc__lua_raise(L, MC_E_MALFORMED, "bytes behind the value");
  return 1;
}

/* core.encode_all(...) -> string, core.decode_all(s) -> ...: values as an array, holes and all. */
static int l_encode_all(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_why why;
  mc_buf *out = &M->out;
  size_t start = out->len;
  mc_error code =
      mc__lua_write_all(M, L, 1, lua_gettop(L), out, MC_NOWHERE, "arguments", &why);
  if (code == MC_OK && out->failed) {
    code = MC_E_OUT_OF_MEMORY;
    snprintf(why.text, sizeof why.text, "no memory for the values");
  }
  out->failed = false;
  if (code) {
    out->len = start;
    return mc__lua_raise(L, code, "%s", why.text);
  }
  take_out(M, L, start);
  return 1;
}

static int l_decode_all(lua_State *L) {
  mc_reader r;
  mc_lua_why why;
  size_t len;
  int count;
  const char *s = luaL_checklstring(L, 1, &len);
  mc_reader_init(&r, s, len);
  mc_error code = mc__lua_read_all(mc__lua_of(L), L, &r, &count, &why);
  return code ? mc__lua_raise(L, code, "%s", why.text) : count;
}

/* core.registered(name or metatable) -> name, encode, decode of a registered type; or nothing */
static int l_registered(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, mc__lua_of(L)->codecs);
  lua_insert(L, 1);
  if (lua_rawget(L, 1) != LUA_TTABLE) return 0;
  lua_getfield(L, 2, "name");
  lua_getfield(L, 2, "encode");
  lua_getfield(L, 2, "decode");
  return 3;
}

/* core.map(t) -> t, sent as a map even when it is empty or its keys are 1..n. */
static int l_map(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1))
    return luaL_argerror(L, 1, "the table has a metatable already");
  lua_rawgeti(L, LUA_REGISTRYINDEX, mc__lua_of(L)->map_meta);
  lua_setmetatable(L, 1);
  return 1;
}

/* core.bytes(s): sent as bytes though it may be valid UTF-8. */
static int l_bytes(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, mc__lua_of(L)->bytes_meta);
  lua_setmetatable(L, -2);
  return 1;
}

/* core.register(name, metatable, encode, decode) */
static int l_register(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_rawgeti(L, LUA_REGISTRYINDEX, mc__lua_of(L)->codecs);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "name");
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "encode");
  lua_pushvalue(L, 4);
  lua_setfield(L, -2, "decode");
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  return 0;
}

static int new_meta(lua_State *L, const char *name) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void mc__lua_open_value(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {{"encode", l_encode},
                                       {"decode", l_decode},
                                       {"encode_all", l_encode_all},
                                       {"decode_all", l_decode_all},
                                       {"registered", l_registered},
                                       {"map", l_map},
                                       {"bytes", l_bytes},
                                       {"register", l_register},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  M->map_meta = new_meta(L, "mc.map");
  M->bytes_meta = new_meta(L, "mc.bytes");
  lua_newtable(L);
  M->codecs = luaL_ref(L, LUA_REGISTRYINDEX);
}
