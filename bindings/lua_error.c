/*
** Errors. What a handler raised is any Lua value and stays as it is. What the system raises is an
** mc.Error: a table {code, message, node, transport} with a metatable of its own, made only here. One
** that a handler lets pass arrives with transport == false, so that nobody elsewhere can make an
** error look as if this node's own call had failed.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

void mc__lua_push_error(mc_lua *M, lua_State *L, mc_error code, const char *message) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, mc_error_name(code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "transport");
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->error_meta);
  lua_setmetatable(L, -2);
}

int mc__lua_raise(lua_State *L, mc_error code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  mc__lua_push_error(mc__lua_of(L), L, code, lua_tostring(L, -1));
  return lua_error(L);
}

/* What to tell of a code when the answering side gave no text of its own. %s: the node. */
static const char *explain(mc_error code) {
  switch (code) {
  case MC_E_TIMEOUT: return "no answer from node %s in time";
  case MC_E_DEAD_ACTOR: return "the actor has ended, or never was";
  case MC_E_NODE_DOWN: return "node %s went down";
  case MC_E_UNKNOWN_NODE: return "there is no node %s";
  case MC_E_OVERLOADED: return "its mailbox is full";
  case MC_E_DEADLOCK:
    return "the actor waits, through the calls of this handler, for this very call; "
           "make its type reentrant or break the cycle";
  case MC_E_NOT_PERMITTED: return "the policy lets nobody here call actors of node %s";
  case MC_E_CALL_DEPTH: return "more than 32 calls wait for one another";
  case MC_E_OUT_OF_MEMORY: return "out of memory";
  default: return "failed";
  }
}

static void set_text(lua_State *L, const char *field, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

void mc__lua_push_versions(mc_lua *M, lua_State *L, const char *who, uint64_t theirs) {
  lua_pushfstring(L, "%s speaks version %I of the wire, this node version %d", who,
                  (LUAI_UACINT)theirs, MC_WIRE_VERSION);
  mc__lua_push_error(M, L, MC_E_VERSION_MISMATCH, lua_tostring(L, -1));
  lua_pushinteger(L, MC_WIRE_VERSION);
  lua_setfield(L, -2, "ours");
  lua_pushinteger(L, (lua_Integer)theirs);
  lua_setfield(L, -2, "theirs");
  lua_replace(L, -2);
}

/* The node that the task called speaks another version. */
static void push_foreign(mc_lua *M, lua_State *L, const mc_lua_task *t, uint64_t theirs) {
  const char *node = mc_peer_name(M->node, t->call_peer, NULL);
  lua_pushfstring(L, "%s:%s: node %s", t->call_type ? t->call_type->name : "?",
                  t->call_method, node);
  mc__lua_push_versions(M, L, lua_tostring(L, -1), theirs);
  set_text(L, "node", node);
  lua_replace(L, -2);
}

void mc__lua_push_call_error(mc_lua *M, lua_State *L, const mc_lua_task *t, mc_error code,
                             const char *detail, size_t len) {
  const char *node = mc_peer_name(M->node, t->call_peer, NULL);
  const char *type = t->call_type ? t->call_type->name : "?";
  uint64_t theirs;
  luaL_checkstack(L, 8, NULL);
  if (code == MC_E_VERSION_MISMATCH &&
      mc_peer_is_foreign(M->node, t->call_peer, &theirs)) {
    push_foreign(M, L, t, theirs);
    return;
  }
  int top = lua_gettop(L);
  if (detail)
    lua_pushlstring(L, detail, len);
  else
    lua_pushfstring(L, explain(code), node);
  const char *text = lua_tostring(L, top + 1);
  if (code == MC_E_TYPE_MISMATCH && detail)
    lua_pushfstring(L, "%s:%s: the actor is a %s, not a %s", type, t->call_method, text,
                    type);
  else
    lua_pushfstring(L, "%s:%s: %s", type, t->call_method, text);
  mc__lua_push_error(M, L, code, lua_tostring(L, -1));
  set_text(L, "node", node);
  if (code == MC_E_TYPE_MISMATCH && detail) {
    set_text(L, "expected", type);
    set_text(L, "found", text);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

bool mc__lua_is_error(mc_lua *M, lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->error_meta);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

bool mc__lua_is_own(mc_lua *M, lua_State *co, const char *code) {
  int top = lua_gettop(co);
  bool is = mc__lua_is_error(M, co, top) &&
            lua_getfield(co, top, "code") == LUA_TSTRING &&
            strcmp(lua_tostring(co, -1), code) == 0;
  lua_settop(co, top);
  return is;
}

/* ---- tracebacks ------------------------------------------------------------------------------ */

/* M->traces: task -> {value, text}, of the last error that a call of the task raised. */
void mc__lua_keep_trace(mc_lua *M, lua_State *L, mc_lua_task *t, int value,
                        const char *trace, size_t len) {
  value = lua_absindex(L, value);
  luaL_checkstack(L, 6, NULL);
  t->traced = true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->traces);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, 1);
  lua_pushlstring(L, trace, len);
  lua_rawseti(L, -2, 2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
}

/* Pushes the kept trace of the task, or nothing. */
static bool push_kept(mc_lua *M, lua_State *L, const mc_lua_task *t, int value) {
  int top = lua_gettop(L);
  if (value) value = lua_absindex(L, value);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->traces);
  if (lua_rawgetp(L, -1, t) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    if (!value || lua_rawequal(L, -1, value)) {
      lua_rawgeti(L, -2, 2);
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return true;
    }
  }
  lua_settop(L, top);
  return false;
}

typedef struct kept_trace {
  mc_lua *M;
  mc_lua_task *t;
  const char *trace;
  size_t len;
} kept_trace;

/* value, light userdata kept_trace */
static int keep_protected(lua_State *L) {
  const kept_trace *k = lua_touserdata(L, 2);
  mc__lua_keep_trace(k->M, L, k->t, 1, k->trace, k->len);
  return 0;
}

void mc__lua_try_keep_trace(mc_lua *M, lua_State *L, mc_lua_task *t, lua_State *from,
                            const char *trace, size_t len) {
  kept_trace k = {M, t, trace, len};
  int top = lua_gettop(L);
  if (!trace || !lua_checkstack(L, LUA_MINSTACK) || !lua_checkstack(from, 1)) return;
  lua_pushvalue(from, -1);
  lua_xmove(from, L, 1);
  lua_pushcfunction(L, keep_protected);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, &k);
  lua_pcall(L, 2, 0, 0);
  lua_settop(L, top);
}

/* Where our own library begins that a task stands on; what stands around calls is among the user's. */
static const char *find_library(const char *text) {
  static const char module[] = "\n\tmooncast.";
  const char *at = strstr(text, module);
  while (at && (strncmp(at + sizeof module - 1, "intercept:", 10) == 0 ||
                strncmp(at + sizeof module - 1, "codec:", 6) == 0))
    at = strstr(at + 1, module);
  return at;
}

/* The traceback that a task left, without the frames of our own library, which say nothing to the
** user; the empty string when no Lua of the user's is in it. */
static void push_own_frames(lua_State *L, mc_lua_task *t) {
  static const char guard[] = "\n\t[C]: in ?"; /* the frame that every task starts with */
  size_t len;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &t->trace) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
    return;
  }
  const char *text = lua_tolstring(L, -1, &len), *end = find_library(text);
  if (!end) end = text + len;
  if ((size_t)(end - text) >= sizeof guard - 1 &&
      memcmp(end - sizeof guard + 1, guard, sizeof guard - 1) == 0)
    end -= sizeof guard - 1;
  bool users = false;
  for (const char *line = strstr(text, "\n\t"); line && line < end;
       line = strstr(line + 1, "\n\t"))
    users = users || strncmp(line, "\n\t[C]:", 6) != 0;
  lua_pushlstring(L, text, users ? (size_t)(end - text) : 0);
  lua_replace(L, -2);
}

/* core.traceback([error]) -> text of the last error that a call of this task raised, if it was that
** one, or nil */
static int l_traceback(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  if (!push_kept(M, L, mc__lua_task_current(M), lua_isnone(L, 1) ? 0 : 1)) lua_pushnil(L);
  return 1;
}

/* core.keep_traceback(error): that of the last error that a call raised is this one's now, too. */
static int l_keep_traceback(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_task *t = mc__lua_task_current(M);
  size_t len;
  luaL_checkany(L, 1);
  if (!push_kept(M, L, t, 0)) return 0;
  const char *trace = lua_tolstring(L, -1, &len);
  mc__lua_keep_trace(M, L, t, 1, trace, len);
  return 0;
}

/* core.on_travelled_error(fn): fn(message) -> message, for errors of definitions that were sent over. */
static int l_on_travelled_error(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, M->explain ? M->explain : LUA_NOREF);
  M->explain = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* A message on top of L that a definition from another node raised: says what did not travel. */
static void explain_travelled(mc_lua *M, lua_State *L, int klass) {
  int top = lua_gettop(L);
  if (lua_type(L, top) != LUA_TSTRING || !M->explain) return;
  if (!strstr(lua_tostring(L, top), "(global '")) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, klass);
  if (luaL_getmetafield(L, -1, "travelled") != LUA_TNIL) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, M->explain);
    lua_pushvalue(L, top);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING)
      lua_replace(L, top);
  }
  lua_settop(L, top);
}

typedef struct failure {
  mc_lua *M;
  mc_lua_task *t;
} failure;

/* -> the traceback of a task that raised; the error is on top of its coroutine. */
static int trace_protected(lua_State *L) {
  const failure *f = lua_touserdata(L, 1);
  lua_State *co = f->t->co;
  if (!lua_checkstack(co, 1)) return 0;
  lua_pushvalue(co, -1);
  lua_xmove(co, L, 1);
  push_own_frames(L, f->t);
  if (push_kept(f->M, L, f->t, 2)) {
    const char *own = lua_tostring(L, -2);
    lua_pushfstring(L, *own ? "%s\n%s" : "%s%s", lua_tostring(L, -1), own);
  }
  if (!f->t->turn) return 1;
  lua_pushvalue(L, 2);
  explain_travelled(f->M, L, f->t->turn->actor->klass);
  lua_xmove(L, co, 1);
  lua_replace(co, -2);
  return 1;
}

void mc__lua_failed(mc_lua *M, lua_State *L, mc_lua_task *t) {
  failure f = {M, t};
  if (!mc__lua_try_push(L, trace_protected, &f)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  mc__lua_redact(M, L, t);
  /* Not left to the next one who needs some: Lua's buffers do not try again after a collection. */
  if (t->no_memory) lua_gc(L, LUA_GCCOLLECT);
}

static int text_protected(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

void mc__lua_push_text(lua_State *L, lua_State *co) {
  if (!lua_checkstack(L, LUA_MINSTACK) || !lua_checkstack(co, 1)) {
    lua_pushnil(L);
    return;
  }
  lua_pushvalue(co, -1);
  lua_xmove(co, L, 1);
  lua_pushcfunction(L, text_protected);
  lua_insert(L, -2);
  lua_pcall(L, 1, 1, 0);
  if (lua_type(L, -1) == LUA_TSTRING) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* ---- mc.Error as a value --------------------------------------------------------------------- */

static int l_tostring(lua_State *L) {
  lua_getfield(L, 1, "code");
  lua_getfield(L, 1, "message");
  lua_pushfstring(L, "%s: %s", luaL_optstring(L, 2, "?"), luaL_optstring(L, 3, "?"));
  return 1;
}

/* MC_OK when it is none. */
mc_error mc__lua_code_named(const char *name) {
  for (unsigned code = 1; code < MC_ERROR_COUNT; code++)
    if (strcmp(mc_error_name(code), name) == 0) return (mc_error)code;
  return MC_OK;
}

/* core.error(code, message): raises it, for the library's own Lua. */
static int l_error(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  mc_error code = mc__lua_code_named(name);
  if (code) return mc__lua_raise(L, code, "%s", luaL_checkstring(L, 2));
  return luaL_error(L, "'%s' is no error code", name);
}

static void copy_field(lua_State *L, int from, int to, const char *name) {
  lua_pushstring(L, name);
  if (lua_rawget(L, from) == LUA_TSTRING)
    lua_setfield(L, to, name);
  else
    lua_pop(L, 1);
}

static void copy_fields(lua_State *L, int from) {
  int to = lua_gettop(L);
  copy_field(L, from, to, "code");
  copy_field(L, from, to, "message");
  copy_field(L, from, to, "node");
  copy_field(L, from, to, "id");
}

static int l_encode_error(lua_State *L) {
  lua_createtable(L, 0, 3);
  copy_fields(L, 1);
  return 1;
}

static int l_decode_error(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_createtable(L, 0, 4);
  copy_fields(L, 1);
  if (lua_getfield(L, -1, "message") != LUA_TSTRING ||
      lua_getfield(L, -2, "code") != LUA_TSTRING ||
      !mc__lua_code_named(lua_tostring(L, -1)))
    return luaL_error(L, "an mc.Error without its fields");
  lua_pop(L, 2);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "transport");
  lua_rawgeti(L, LUA_REGISTRYINDEX, mc__lua_of(L)->error_meta);
  lua_setmetatable(L, -2);
  return 1;
}

static void push_codes(lua_State *L) {
  lua_createtable(L, MC_ERROR_COUNT, 0);
  for (unsigned code = 1; code < MC_ERROR_COUNT; code++) {
    lua_pushstring(L, mc_error_name(code));
    lua_rawseti(L, -2, code);
  }
}

void mc__lua_open_error(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {{"traceback", l_traceback},
                                       {"keep_traceback", l_keep_traceback},
                                       {"error", l_error},
                                       {"on_travelled_error", l_on_travelled_error},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  push_codes(L);
  lua_setfield(L, -2, "error_codes");
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "mc.Error");
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "Error");
  M->error_meta = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  M->traces = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getfield(L, -1, "register");
  lua_pushliteral(L, "mc.Error");
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->error_meta);
  lua_pushcfunction(L, l_encode_error);
  lua_pushcfunction(L, l_decode_error);
  lua_call(L, 4, 0);
}
