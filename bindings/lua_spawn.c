/*
** Spawns on other nodes, as far as they go the same way each time; lua/node.lua knows the rest.
**
**   w1  core.spawn_there  ->  call "spawn" of w2's mc.node: name, version, arguments
**   w2  an actor; without a task when its type stands here in that version and has no init
**   w1  the answer        ->  where the actor is, and how many w2 has now
**
** Only the answer knows the actor. Who cannot tell it stops the actor, and so does the caller's node when
** the caller was cancelled or timed out meanwhile: the number of the call says that it makes an actor.
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

static const char MARK;

/* A node that can be asked to spawn. User value: what hashes a type. */
typedef struct sibling {
  const void *mark; /* &MARK */
  mc_lua_ref ref;   /* its mc.node */
  uint64_t actors;  /* as far as is known here */
} sibling;

static sibling *check_sibling(lua_State *L, int index) {
  sibling *s = lua_touserdata(L, index);
  if (!s || lua_rawlen(L, index) != sizeof *s || s->mark != &MARK)
    luaL_typeerror(L, index, "reference to an actor");
  return s;
}

/* core.sibling(ref, hash) -> for core.spawn_there and core.load. hash(class) gives a type its version. */
static int l_sibling(lua_State *L) {
  const mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  sibling *s = lua_newuserdatauv(L, sizeof *s, 1);
  s->mark = &MARK;
  s->ref = *ref;
  s->actors = 0;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static uint64_t actors_here(mc_lua *M) {
  mc_stats stats;
  mc_node_stats(M->node, &stats);
  return stats.actors - 1; /* without the node's own */
}

/* core.load(sibling) -> how many actors live there; without it, here */
static int l_load(lua_State *L) {
  bool here = lua_isnoneornil(L, 1);
  uint64_t actors = here ? actors_here(mc__lua_of(L)) : check_sibling(L, 1)->actors;
  lua_pushinteger(L, (lua_Integer)actors);
  return 1;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* light userdata task, type */
static int push_made(lua_State *L) {
  const mc_lua_task *t = lua_touserdata(L, 1);
  mc__lua_push_ref(mc__lua_of(L), L, &t->made.at, lua_touserdata(L, 2));
  return 1;
}

static int spawned_k(lua_State *L, int status, lua_KContext type) {
  (void)status;
  mc_lua *M = mc__lua_of(L);
  mc_lua_task *t = mc__lua_task_current(M);
  sibling *s = lua_touserdata(L, 1);
  mc__lua_awaited(L, M);
  if (!t->made.at.instance) return mc__lua_raise(L, MC_E_MALFORMED, "malformed");
  s->actors = t->made.actors;
  lua_settop(L, 2); /* there was more on the stack when it was sent */
  lua_pushcfunction(L, push_made);
  lua_pushlightuserdata(L, t);
  lua_pushlightuserdata(L, (void *)type);
  bool known = lua_pcall(L, 2, 1, 0) == LUA_OK;
  if (!known) mc_unmake(M->node, &t->made.at);
  t->made.at.instance = 0;
  return known ? 1 : lua_error(L);
}

/* core.spawn_there(sibling, class, ...) -> ref. Raises what its init raised, and what prevents it. */
static int l_spawn_there(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  sibling *s = check_sibling(L, 1);
  luaL_checkstack(L, 8, NULL);
  const mc_lua_class *class = mc__lua_unchanged(L, 2);
  if (!class) {
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 0);
    class = mc__lua_unchanged(L, 2);
  }
  if (!class) return luaL_typeerror(L, 2, "actor type (made by mc.actor)");
  lua_pop(L, 1);
  s->actors++; /* others that are asked for meanwhile go elsewhere */
  return mc__lua_call_spawn(L, M, &s->ref, class, 3, spawned_k);
}

/* ---- being asked ----------------------------------------------------------------------------- */

typedef struct making {
  mc_lua *M;
  mc_type *type;
  lua_Integer version;
  mc_actor *actor;
} making;

static int make_protected(lua_State *L) {
  making *m = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, m->type->definition);
  mc_lua_class *class = mc__lua_unchanged(L, 2);
  if (!class || class->version != m->version) return 0;
  lua_pushliteral(L, "init");
  if (lua_rawget(L, 2) != LUA_TNIL) return 0;
  lua_pop(L, 1);
  m->actor = mc__lua_make(L, m->M, class, 2);
  return 0;
}

/* The name and the version that a message has, and nothing else. */
static bool read_wanted(const mc_reader *arguments, mc_node *n, making *m) {
  mc_reader r = *arguments;
  mc_item array, name, version;
  if (!mc_read(&r, &array) || array.kind != MC_ARRAY || array.as.count != 2) return false;
  if (!mc_read(&r, &name) || name.kind != MC_TEXT) return false;
  if (!mc_read(&r, &version) || version.kind != MC_INT || r.at != r.end) return false;
  m->version = version.as.integer;
  m->type = mc_type_named(n, name.as.string.data, name.as.string.len);
  return m->type && m->type->definition;
}

bool mc__lua_spawns(const mc_turn *turn) {
  return turn->actor->instance == 1 && turn->name_len >= MC_SPAWN_LEN &&
         memcmp(turn->name, "spawn", MC_SPAWN_LEN) == 0;
}

void mc__lua_write_spawned(mc_lua *M, mc_buf *out, const mc_address *at) {
  mc_write_made(out, at, actors_here(M));
}

bool mc__lua_spawn_at_once(mc_lua *M, mc_turn *turn, const mc_reader *arguments) {
  making m = {.M = M};
  mc_address at;
  size_t frame;
  if (!mc__lua_spawns(turn) || turn->name_len != MC_SPAWN_LEN || turn->context_len ||
      M->on[MC_ON_ASSIGN] || M->on[MC_ON_READY] || !read_wanted(arguments, M->node, &m) ||
      !mc__lua_try(M->L, make_protected, &m) || !m.actor)
    return false;
  mc_buf *out = mc_reply_begin(M->node, turn, false, &frame);
  mc_actor_address(m.actor, &at);
  if (out) mc__lua_write_spawned(M, out, &at);
  if (!out || mc_reply_commit(M->node, turn, frame)) {
    mc_actor_end(M->node, m.actor);
    mc_reply_error(M->node, turn, MC_E_OUT_OF_MEMORY, NULL);
  }
  mc_turn_end(M->node, turn);
  return true;
}

void mc__lua_unmake(mc_lua *M, const mc_address *at) {
  mc_actor *a = mc_actor_at(M->node, at);
  if (a)
    mc__lua_reap_soon(M, a);
  else if (at->peer != MC_SELF)
    mc_unmake(M->node, at);
}

/* core.asker() -> the name of the node whose message the running handler is for */
static int l_asker(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  const mc_turn *turn = mc__lua_task_current(M)->turn;
  lua_pushstring(L, mc_peer_name(M->node, turn ? turn->origin : MC_SELF, NULL));
  return 1;
}

void mc__lua_open_spawn(lua_State *L) {
  static const luaL_Reg functions[] = {{"sibling", l_sibling},
                                       {"load", l_load},
                                       {"spawn_there", l_spawn_there},
                                       {"asker", l_asker},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
