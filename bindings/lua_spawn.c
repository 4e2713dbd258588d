/*
** Spawns on other nodes, as far as they go the same way each time; lua/node.lua knows the rest, and what
** tokens are for.
**
**   w1  core.spawn_there   ->  call "spawn" of w2's mc.node: name, hash, w1, token, arguments
**   w2  core.spawn_known   ->  an actor of a type that stands here with that hash and has no init
**   w1  the answer         ->  the reference, and how many actors w2 has now
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

#define ASKED "mooncast.asked"

/* What one node asked of another. User values: that node's record in node.lua, and its mc.node. */
typedef struct asked {
  lua_Integer last; /* token */
  int count;
  lua_Integer tokens[64]; /* of spawns that are over and that it was not told of */
} asked;

enum { MOST_TOKENS = sizeof((asked *)NULL)->tokens / sizeof(lua_Integer) };

/* core.asked(sibling, ref) -> for core.spawn_there and core.settled */
static int l_asked(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  mc__lua_check_ref(L, 2);
  lua_settop(L, 2);
  asked *a = lua_newuserdatauv(L, sizeof *a, 2);
  memset(a, 0, sizeof *a);
  luaL_setmetatable(L, ASKED);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 2);
  return 1;
}

/* core.settled(asked) -> a list of the tokens to tell; they are not kept any more */
static int l_settled(lua_State *L) {
  asked *a = luaL_checkudata(L, 1, ASKED);
  int count = a->count;
  lua_createtable(L, count, 0);
  a->count = 0;
  for (int i = 0; i < count; i++) {
    lua_pushinteger(L, a->tokens[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* Without memory to tell them in, the last one gives way: the other node remembers it for nothing. */
static void note(asked *a, lua_Integer token) {
  if (a->count == MOST_TOKENS) a->count--;
  a->tokens[a->count++] = token;
}

static int raise_awaited(lua_State *L) { return mc__lua_awaited(L, mc__lua_of(L)); }

/* Returns nil, what was raised, true. */
static int failed(lua_State *L, mc_lua *M) {
  mc_lua_task *t = mc__lua_task_current(M);
  lua_pushnil(L);
  if (t->failed) {
    t->failed = false;
    mc__lua_awaited(L, M);
    lua_pushvalue(L, -2);
  } else {
    lua_pushcfunction(L, raise_awaited);
    lua_pcall(L, 0, 1, 0);
  }
  lua_pushboolean(L, 1);
  return 3;
}

static int spawned_k(lua_State *L, int status, lua_KContext token) {
  (void)status;
  mc_lua *M = mc__lua_of(L);
  asked *a = lua_touserdata(L, 1);
  const mc_lua_task *t = mc__lua_task_current(M);
  bool answered = !t->failed && !t->code;
  luaL_checkstack(L, 8, NULL);
  note(a, answered ? token : -token);
  if (!answered) return failed(L, M);
  int ref = lua_gettop(L) - mc__lua_awaited(L, M) + 1;
  lua_settop(L, ref + 1);
  lua_getiuservalue(L, 1, 1);
  lua_insert(L, ref + 1);
  lua_setfield(L, ref + 1, "load");
  lua_pushnil(L);
  lua_replace(L, ref + 1);
  lua_pushboolean(L, a->count == MOST_TOKENS);
  return 3;
}

/* core.spawn_there(asked, name, hash, ...) -> ref, nil, whether it is time to tell what settled; or nil,
** what was raised once the request was sent, true. Raises what prevents that. */
static int l_spawn_there(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  asked *a = luaL_checkudata(L, 1, ASKED);
  lua_Integer token = ++a->last;
  luaL_checkany(L, 3);
  luaL_checkstack(L, 8, NULL);
  lua_getiuservalue(L, 1, 2);
  const mc_lua_ref *ref = mc__lua_check_ref(L, -1); /* which `asked` keeps */
  lua_pop(L, 1);
  lua_pushstring(L, mc_peer_name(M->node, MC_SELF, NULL));
  lua_pushinteger(L, token);
  lua_rotate(L, 4, 2);
  return mc__lua_call_there(L, M, ref, "spawn", 2, spawned_k, token);
}

/* core.spawn_known(name, hash, sender, of_sender, token) -> ref, how many actors there are without the
** node's own; or nothing: the class is another, or has an init. of_sender[token] is then ref. */
static int l_spawn_known(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_stats stats;
  size_t len;
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_Integer token = luaL_checkinteger(L, 5);
  lua_settop(L, 5);
  for (int i = 3; i >= 1; i--) { /* so that the next one starts by mc__lua_read_plain */
    const char *s = luaL_checklstring(L, i, &len);
    mc__lua_push_key(M, L, s, len);
    lua_pop(L, 1);
  }
  const char *name = lua_tolstring(L, 1, &len);
  mc_type *type = mc_utf8_valid(name, len) ? mc_type_named(M->node, name, len) : NULL;
  if (!type || !type->definition) return 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, type->definition);
  if (!mc__lua_push_version(L, 6) || !lua_rawequal(L, 2, 7)) return 0;
  lua_pushliteral(L, "init");
  if (lua_rawget(L, 6) != LUA_TNIL) return 0;
  lua_pushboolean(L, 0); /* room for it, before there is an actor */
  lua_rawseti(L, 4, token);
  mc__lua_make(L, M, type, 6);
  lua_pushvalue(L, -1);
  lua_rawseti(L, 4, token);
  mc_node_stats(M->node, &stats);
  lua_pushinteger(L, (lua_Integer)stats.actors - 1);
  return 2;
}

void mc__lua_open_spawn(lua_State *L) {
  static const luaL_Reg functions[] = {{"asked", l_asked},
                                       {"settled", l_settled},
                                       {"spawn_there", l_spawn_there},
                                       {"spawn_known", l_spawn_known},
                                       {NULL, NULL}};
  luaL_newmetatable(L, ASKED);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
