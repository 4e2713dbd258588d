/*
** What stands around calls: interceptors (mc.intercept) and codecs (mc.codec). When there is one, a
** request that leaves an actor, and a handler that starts, go through a function of
** lua/intercept.lua, whose innermost step is the plain one. Who has none pays for a test of M->around.
**
** What a codec made of arguments, results or an error is one value, of the registered type mc.codec:
** [the codec's name, bytes]. A call has it as its only argument, and is then answered with one.
**
**   out   around(kind, ref, method, ...)            in place of the call, in its very task
**   in    around(is_cast, method, fn, self, ...)    below the handler, first of its task
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

enum {
  PLAIN = 1
}; /* the number of the codec that is none: CBOR straight from the stack */

/* The system's own traffic goes by itself: nodes must find one another whatever a program does. */
static bool is_system(const mc_type *type) {
  return strcmp(type->name, "mc.node") == 0 || strcmp(type->name, "mc.host") == 0;
}

static int codec_of(mc_lua *M) {
  int chosen = mc__lua_task_current(M)->codec;
  return chosen ? chosen : M->codec;
}

bool mc__lua_is_around_call(mc_lua *M, const mc_lua_ref *ref) {
  if (is_system(ref->type)) return false;
  return M->intercepted || (ref->to.peer != MC_SELF && codec_of(M) > PLAIN);
}

bool mc__lua_is_packed(mc_lua *M, lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->packed_meta);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

static int around_k(lua_State *L, int status, lua_KContext below) {
  (void)status;
  return lua_gettop(L) - (int)below;
}

int mc__lua_call_around(lua_State *L, mc_lua *M, const char *kind, int method,
                        int first) {
  int nargs = lua_gettop(L) - first + 1;
  luaL_checkstack(L, 8, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->around_call);
  lua_pushstring(L, kind);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, method);
  lua_rotate(L, first, 4);
  lua_callk(L, nargs + 3, LUA_MULTRET, first - 1, around_k);
  return around_k(L, LUA_OK, first - 1);
}

int mc__lua_wrap_handler(mc_lua *M, mc_lua_task *t, lua_State *L, int method) {
  const mc_turn *turn = t->turn;
  const int only = MC_TASK_BASE + 3; /* argument, behind function and self */
  bool packed = lua_gettop(t->co) == only && mc__lua_is_packed(M, t->co, only);
  if (!M->intercepted && !packed) return 0;
  if (is_system(turn->actor->type) || lua_rawlen(L, method) == 0) return 0;
  lua_rawgeti(t->co, LUA_REGISTRYINDEX, M->around_handler);
  lua_pushboolean(t->co, turn->kind == MC_CAST);
  lua_pushvalue(L, method);
  lua_xmove(L, t->co, 1);
  lua_rotate(t->co, MC_TASK_BASE + 1, 3);
  return 3;
}

/* ---- codecs ---------------------------------------------------------------------------------- */

/* error -> packed; of a task whose t->packed is set, under that address in the registry */
bool mc__lua_pack_error(mc_lua *M, mc_lua_task *t) {
  lua_State *L = M->L, *co = t->co;
  bool encoding = M->encoding;
  if (!lua_checkstack(L, LUA_MINSTACK)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &t->packed);
  lua_xmove(co, L, 1);
  M->encoding = true;
  bool ok = lua_pcall(L, 1, 1, 0) == LUA_OK;
  M->encoding = encoding;
  lua_xmove(L, co, 1);
  return ok;
}

void mc__lua_unpack(lua_State *L, mc_lua_task *t) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->packed);
}

/* core.pack_error(fn): fn makes of what this handler raises that which is sent. */
static int l_pack_error(lua_State *L) {
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  t->packed = true;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &t->packed);
  return 0;
}

static int refuse(lua_State *L, mc_lua *M, mc_error code, const char *why) {
  mc__lua_task_current(M)->refused = code;
  return mc__lua_raise(L, code, "%s", why);
}

/* core.refuse(code, message): the caller of this handler gets this as the system's answer. */
static int l_refuse(lua_State *L) {
  mc_error code = mc__lua_code_named(luaL_checkstring(L, 1));
  return refuse(L, mc__lua_of(L), code ? code : MC_E_MALFORMED, luaL_checkstring(L, 2));
}

/* core.check(method, what, ...): "arguments" or "results" of this handler against what is declared */
static int l_check(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_lua_why why = {""};
  const mc_turn *turn = mc__lua_task_current(M)->turn;
  luaL_checkstring(L, 1);
  bool results = *luaL_checkstring(L, 2) == 'r';
  const char *letters = turn ? mc__lua_signature(L, turn->actor, 1) : NULL;
  int count = lua_gettop(L) - 2;
  mc_error code = results ? mc__lua_check_results(L, letters, 3, count, &why)
                          : mc__lua_check_arguments(L, letters, 3, count, &why);
  return code ? refuse(L, M, code, why.text) : 0;
}

/* core.codec([number]) -> the number of the codec that calls of this task use, before it was set; 0 is
** the node's. core.default_codec([number]) -> the node's. */
static int l_codec(lua_State *L) {
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  int before = t->codec;
  if (lua_gettop(L) > 0) t->codec = (int)luaL_checkinteger(L, 1);
  lua_pushinteger(L, before);
  return 1;
}

static void note_around(mc_lua *M) { M->around = M->intercepted || M->codecs_used; }

static int l_default_codec(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  if (lua_gettop(L) > 0) M->codec = (int)luaL_checkinteger(L, 1);
  lua_pushinteger(L, M->codec);
  return 1;
}

/* core.use_codecs(): calls may use one from now on. */
static int l_use_codecs(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  M->codecs_used = true;
  note_around(M);
  return 0;
}

/* ---- what stands there ----------------------------------------------------------------------- */

/* core.around(call, handler, metatable): these functions, and the metatable of what a codec made */
static int l_around(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_rawseti(L, LUA_REGISTRYINDEX, M->packed_meta);
  lua_rawseti(L, LUA_REGISTRYINDEX, M->around_handler);
  lua_rawseti(L, LUA_REGISTRYINDEX, M->around_call);
  return 0;
}

/* core.intercept(on): whether there is an interceptor */
static int l_intercept(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  M->intercepted = lua_toboolean(L, 1);
  note_around(M);
  return 0;
}

static int new_place(lua_State *L) {
  lua_pushboolean(L, 0);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void mc__lua_open_intercept(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {{"around", l_around},
                                       {"check", l_check},
                                       {"codec", l_codec},
                                       {"default_codec", l_default_codec},
                                       {"intercept", l_intercept},
                                       {"pack_error", l_pack_error},
                                       {"refuse", l_refuse},
                                       {"use_codecs", l_use_codecs},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  M->around_call = new_place(L);
  M->around_handler = new_place(L);
  M->packed_meta = new_place(L);
  M->codec = PLAIN;
}
