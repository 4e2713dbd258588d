/*
** What calls carry along beside their arguments: a trace, which is a number, and a context, a few keys
** with plain values. A task has them from whoever made it or called it, and mc.with puts others in their
** place for a while.
**
** A context is a table that nobody changes and tasks share: {[0] = its bytes on the wire, key = value ...}.
** The one of a task stands in its anchor, where there always is room for it.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

#include "lua_node.h"

/* Replaces what the task carries by the table on top of L, or false, and pops it. */
static void set_context(lua_State *L, mc_lua_task *t) {
  bool has = lua_istable(L, -1);
  t->context = NULL;
  t->context_len = 0;
  if (has) {
    lua_rawgeti(L, -1, 0);
    t->context = lua_tolstring(L, -1, &t->context_len); /* which the table keeps */
    lua_pop(L, 1);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  lua_insert(L, -2);
  lua_rawseti(L, -2, TASK_CONTEXT); /* there already: takes no memory */
  lua_pop(L, 1);
}

static void push_context(lua_State *L, const mc_lua_task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  lua_rawgeti(L, -1, TASK_CONTEXT);
  lua_replace(L, -2);
}

void mc__lua_inherit(lua_State *L, mc_lua_task *t, const mc_lua_task *from) {
  t->trace_id = from ? from->trace_id : 0;
  if (!t->context && !(from && from->context)) return;
  if (from)
    push_context(L, from);
  else
    lua_pushboolean(L, 0);
  set_context(L, t);
}

static bool is_scalar(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING;
}

/* The table on top has text for keys and nothing that holds more values. */
static bool is_context(lua_State *L) {
  size_t len;
  bool good = lua_istable(L, -1) && !lua_getmetatable(L, -1);
  lua_pushnil(L);
  if (!good || !lua_next(L, -2)) return false; /* an empty one is none */
  do {
    good = good && lua_type(L, -2) == LUA_TSTRING && is_scalar(L, -1);
    if (good) {
      const char *key = lua_tolstring(L, -2, &len);
      good = mc_utf8_valid(key, len);
    }
    lua_pop(L, 1);
  } while (lua_next(L, -2));
  return good;
}

mc_error mc__lua_carry(lua_State *L, mc_lua *M, mc_lua_task *t, const mc_turn *turn,
                       mc_lua_why *why) {
  mc_reader r;
  t->trace_id = turn->trace;
  if (!turn->context_len) return MC_OK;
  int top = lua_gettop(L);
  mc_reader_init(&r, turn->context, turn->context_len);
  mc_error code = mc__lua_read(M, L, &r, why);
  if (code) return code;
  if (r.at != r.end || !is_context(L)) {
    snprintf(why->text, sizeof why->text, "its context is no map of names");
    lua_settop(L, top);
    return MC_E_MALFORMED;
  }
  lua_settop(L, top + 1);
  lua_pushlstring(L, (const char *)turn->context, turn->context_len);
  lua_rawseti(L, -2, 0);
  set_context(L, t);
  return MC_OK;
}

const char *mc__lua_push_traced(lua_State *L, uint64_t trace_id) {
  if (!trace_id) return lua_pushliteral(L, "");
  return lua_pushfstring(L, " (trace %I)", (LUAI_UACINT)trace_id);
}

/* core.trace() -> what the running task has, or nil */
static int l_trace(lua_State *L) {
  const mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  if (t->trace_id)
    lua_pushinteger(L, (lua_Integer)t->trace_id);
  else
    lua_pushnil(L);
  return 1;
}

/* core.context() -> the table of the running task, which nobody may change, or false */
static int l_context(lua_State *L) {
  push_context(L, mc__lua_task_current(mc__lua_of(L)));
  return 1;
}

/* core.carry(trace | nil, context | false): what the running task has from now on. The context is a
** table that nobody will change, with its bytes at [0]. */
static int l_carry(lua_State *L) {
  mc_lua_task *t = mc__lua_task_current(mc__lua_of(L));
  lua_Integer trace = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, trace >= 0 && (uint64_t)trace <= MC_MAX_ID, 1, "an id");
  lua_settop(L, 2);
  if (lua_istable(L, 2)) {
    size_t len = 0;
    lua_rawgeti(L, 2, 0);
    luaL_argcheck(L,
                  lua_type(L, -1) == LUA_TSTRING && (len = lua_rawlen(L, -1)) > 0 &&
                      len <= MC_MAX_CONTEXT,
                  2, "a context has its bytes at [0]");
    lua_pop(L, 1);
  }
  t->trace_id = (uint64_t)trace;
  set_context(L, t);
  return 0;
}

void mc__lua_open_context(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"trace", l_trace}, {"context", l_context}, {"carry", l_carry}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
