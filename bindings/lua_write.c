/*
** Lua values to the core's CBOR, straight from the Lua stack.
**
** Writing never raises, whatever a user's encode does: memory that is wanting is noted in the buffer,
** everything else is a code and a sentence that names the path, "cannot send a function at
** arguments[1].on.click". Tables are read raw. A table with a metatable is sent only when its type was
** registered (mc.type).
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

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

mc_error mc__lua_no_memory(mc_lua_why *why) {
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
  if (!lua_checkstack(L, 16)) return mc__lua_no_memory(why);
  for (int i = 0; i < count; i++) {
    mc_error code = write_top(&w, index + i, place, i + 1, why);
    if (code) return code;
  }
  return MC_OK;
}
