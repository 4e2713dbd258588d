/*
** Values between coroutines of one node, as sending them would change them, and what Lua sees of writing
** and reading (lua_write.c, lua_read.c).
**
** Bytes that become a Lua string are written to M->out behind what stands there: an encode of the
** user's may come here again. They are taken back just before the string is made, which runs no code.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

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
  return read ? c.code : mc__lua_no_memory(why);
}

bool mc__lua_is_plain(lua_State *L, int index) {
  int type = lua_type(L, index);
  return (type <= LUA_TSTRING && type != LUA_TLIGHTUSERDATA) ||
         (type == LUA_TUSERDATA && mc__lua_test_ref(L, index));
}

mc_error mc__lua_copy(mc_lua *M, lua_State *L, lua_State *from, int index, int count,
                      lua_State *to, const char *place, mc_lua_why *why) {
  int top = lua_gettop(to);
  if (!lua_checkstack(to, count + 8) || !lua_checkstack(from, 16))
    return mc__lua_no_memory(why);
  for (int i = 0; i < count; i++) {
    if (mc__lua_is_plain(from, index + i)) {
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
