/*
** What a handler raises and the list of its type does not name stays on its node: its caller, wherever
** it is, gets an mc.Error with code `redacted` that says the type of what was raised and an id, by which
** the whole is found in the log of the node.
*/
#include <lauxlib.h>
#include <lua.h>

#include "lua_node.h"

enum { ID_SIZE = 8 };

/* Pushes the list of the type whose handler t runs; false, and nothing: all its errors go out. */
static bool push_list(mc_lua *M, lua_State *L, mc_lua_task *t) {
  int top = lua_gettop(L);
  const mc_turn *turn = t->turn;
  if (!turn || turn->kind == MC_CAST || turn->kind == MC_STOP) return false;
  if (!lua_checkstack(L, LUA_MINSTACK) || !lua_checkstack(t->co, 4)) return false;
  if (t->expired && mc__lua_is_own(M, t->co, "timeout")) return false;
  if (t->told && mc__lua_is_own(M, t->co, "cancelled")) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, turn->actor->klass);
  if (lua_getmetatable(L, -1) && lua_rawgeti(L, -1, MC_LISTED_ERRORS) == LUA_TTABLE) {
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return true;
  }
  lua_settop(L, top);
  return false;
}

/* Pushes what the list calls the value at that index: its registered name or its type. */
static void push_kind(mc_lua *M, lua_State *L, int index) {
  int top = lua_gettop(L);
  if (lua_istable(L, index) && lua_getmetatable(L, index)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, M->codecs);
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -2) == LUA_TTABLE && lua_getfield(L, -1, "name") == LUA_TSTRING) {
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return;
    }
  }
  lua_settop(L, top);
  lua_pushstring(L, luaL_typename(L, index));
}

/* Pushes the value at that index as text for the log, a table without text of its own by the plain values
** in it. `text` is what tostring made of it. */
static void push_shown(lua_State *L, int index, const char *text) {
  if (!lua_istable(L, index) || luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
    lua_pushstring(L, text);
    return;
  }
  lua_pushliteral(L, "{");
  int shown = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, index); lua_settop(L, shown + 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_istable(L, -1)) continue;
    lua_pushfstring(L, "%s %s = %s;", lua_tostring(L, shown), lua_tostring(L, -2),
                    luaL_tolstring(L, -1, NULL));
    lua_replace(L, shown);
  }
  lua_settop(L, shown);
  lua_pushliteral(L, " }");
  lua_concat(L, 2);
}

static void push_id(mc_lua *M, lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  uint8_t bytes[ID_SIZE];
  char text[2 * ID_SIZE];
  mc_node_random(M->node, bytes, sizeof bytes);
  for (int i = 0; i < ID_SIZE; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  lua_pushlstring(L, text, sizeof text);
}

typedef struct redacting {
  mc_lua *M;
  mc_lua_task *t;
  const char *text, *trace;
  bool listed;
} redacting;

/* light userdata redacting -> the error in place of the one on top of the coroutine, or nothing */
static int redact_protected(lua_State *L) {
  redacting *r = lua_touserdata(L, 1);
  const mc_turn *turn = r->t->turn;
  push_list(r->M, L, r->t);
  lua_pushvalue(r->t->co, -1);
  lua_xmove(r->t->co, L, 1);
  push_kind(r->M, L, 3);
  const char *kind = lua_tostring(L, 4);
  lua_pushvalue(L, 4);
  lua_rawget(L, 2);
  r->listed = lua_toboolean(L, -1);
  if (r->listed) return 0;
  push_id(r->M, L);
  const char *id = lua_tostring(L, -1);
  push_shown(L, 3, r->text);
  const char *shown = lua_tostring(L, -1);
  lua_pushfstring(L, "a caller of %s got an error of type %s redacted, %s%s: %s\n%s",
                  turn->actor->type->name, kind, id,
                  mc__lua_push_traced(L, r->t->trace_id), shown, r->trace);
  mc__lua_log(r->M, MC_LOG_ERROR, lua_tostring(L, -1));
  lua_pushfstring(L, "%s raised an error of type %s, which is not for its callers (%s)",
                  turn->actor->type->name, kind, id);
  mc__lua_push_error(r->M, L, MC_E_REDACTED, lua_tostring(L, -1));
  lua_pushstring(L, id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, mc_peer_name(r->M->node, MC_SELF, NULL));
  lua_setfield(L, -2, "node");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "transport");
  return 1;
}

void mc__lua_redact(mc_lua *M, lua_State *L, mc_lua_task *t) {
  if (!push_list(M, L, t)) return;
  lua_pop(L, 1);
  int trace = lua_gettop(L);
  mc__lua_push_text(L, t->co); /* runs a __tostring of the user's, which may fail */
  redacting r = {M, t, luaL_optstring(L, -1, "?"), luaL_optstring(L, trace, ""), false};
  if (!mc__lua_try_push(L, redact_protected, &r)) { /* no memory to say more */
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  if (r.listed) {
    lua_settop(L, trace);
    return;
  }
  lua_xmove(L, t->co, 1);
  lua_replace(t->co, -2);
  lua_settop(L, trace - 1);
  lua_pushnil(L);
}
