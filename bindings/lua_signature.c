/*
** Declared arguments and results. lua/signature.lua turns "string, integer? -> boolean" into a short
** text with one letter a value, kept per method in the metatable of the type; here it is checked
** against values on a stack when a call arrives, before its handler runs, and when it has returned.
**
**   b boolean  i integer  n number  s string  t table  r reference  a anything
**   ? behind a letter: may be nil or missing    . any number of anything    > the results follow
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

static const char *wanted_name(char letter) {
  switch (letter) {
  case 'b': return "boolean";
  case 'i': return "integer";
  case 'n': return "number";
  case 's': return "string";
  case 't': return "table";
  case 'r': return "reference";
  default: return "value";
  }
}

static bool fits(lua_State *L, int index, char letter) {
  switch (letter) {
  case 'b': return lua_type(L, index) == LUA_TBOOLEAN;
  case 'i': return lua_isinteger(L, index);
  case 'n': return lua_type(L, index) == LUA_TNUMBER;
  case 's': return lua_type(L, index) == LUA_TSTRING;
  case 't': return lua_type(L, index) == LUA_TTABLE;
  case 'r': return mc__lua_test_ref(L, index) != NULL;
  default: return !lua_isnil(L, index);
  }
}

static const char *found_name(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TNUMBER)
    return lua_isinteger(L, index) ? "integer" : "float";
  if (mc__lua_test_ref(L, index)) return "reference";
  return luaL_typename(L, index);
}

/* The values against the letters up to '>' or the end. */
static bool check(lua_State *L, int first, int count, const char *letters,
                  const char *what, mc_lua_why *why) {
  int i = 0;
  for (; *letters && *letters != '>'; i++, letters++) {
    char letter = *letters;
    bool optional = letters[1] == '?';
    letters += optional;
    if (letter == '.') return true;
    bool missing = i >= count || lua_isnil(L, first + i);
    if (missing && (optional || letter == 'a')) continue;
    if (!missing && fits(L, first + i, letter)) continue;
    snprintf(why->text, sizeof why->text, "%s %d is %s, declared %s", what, i + 1,
             i >= count ? "missing" : found_name(L, first + i), wanted_name(letter));
    return false;
  }
  if (count <= i) return true;
  snprintf(why->text, sizeof why->text, "%d %ss, at most %d are declared", count, what,
           i);
  return false;
}

const char *mc__lua_signature(lua_State *L, const mc_actor *a, int method) {
  const char *letters = NULL;
  int top = lua_gettop(L);
  method = lua_absindex(L, method);
  if (!a->type->checked || !lua_checkstack(L, 6)) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->klass);
  lua_getmetatable(L, -1);
  if (lua_rawgeti(L, -1, MC_SIGNATURES) == LUA_TTABLE) {
    lua_pushvalue(L, method);
    if (lua_rawget(L, -2) == LUA_TSTRING) letters = lua_tostring(L, -1);
  }
  lua_settop(L, top);
  return letters;
}

mc_error mc__lua_check_arguments(lua_State *L, const char *letters, int first, int count,
                                 mc_lua_why *why) {
  if (!letters || check(L, first, count, letters, "argument", why)) return MC_OK;
  return MC_E_BAD_ARGUMENTS;
}

mc_error mc__lua_check_results(lua_State *L, const char *letters, int first, int count,
                               mc_lua_why *why) {
  const char *results = letters ? strchr(letters, '>') : NULL;
  if (!results || check(L, first, count, results + 1, "result", why)) return MC_OK;
  return MC_E_BAD_RETURN;
}
