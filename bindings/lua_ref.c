/*
** References: a full userdata with the actor's address and type. One metatable per type, so that a
** method is one lookup; weak tables, so that one actor has one reference here and equality is
** identity. The names of a reference belong to the user: everything else is a function of mc.
**
**   M->own_refs[place] = reference    of an actor of this node: places are few and used again
**   M->refs[hash] = reference         of any other: elsewhere, ended, or not of the type that was said
**
** A reference that outlives its actor goes from the first to the second when another gets its place. Only
** actors that live get a place in the first: Lua hashes integers without a seed, and a sender could choose
** ids that all fall together. The hash of the second has one. Where two addresses have one hash the later
** reference takes the place, which once in 2^64 makes two of one.
**
** As a string an address is "node.incarnation/instance/secret", the numbers and the secret in hex.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_node.h"

/* Its address stands at the start of every reference, and of no other userdata. */
static const char MARK;

mc_lua_ref *mc__lua_test_ref(lua_State *L, int index) {
  mc_lua_ref *ref = lua_touserdata(L, index);
  if (!ref || lua_rawlen(L, index) != sizeof *ref) return NULL;
  return ref->mark == &MARK ? ref : NULL;
}

mc_lua_ref *mc__lua_check_ref(lua_State *L, int index) {
  mc_lua_ref *ref = mc__lua_test_ref(L, index);
  if (!ref) luaL_typeerror(L, index, "reference to an actor");
  return ref;
}

/* ---- what a reference shows ------------------------------------------------------------------ */

static int l_tostring(lua_State *L) {
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  char instance[32];
  snprintf(instance, sizeof instance, "%llx", (unsigned long long)ref->to.instance);
  lua_pushfstring(L, "%s %s/%s", ref->type->name,
                  mc_peer_name(mc__lua_of(L)->node, ref->to.peer, NULL), instance);
  return 1;
}

static int l_newindex(lua_State *L) {
  return luaL_error(
      L, "cannot set '%s': an actor's fields are not accessible through a reference",
      luaL_tolstring(L, 2, NULL));
}

static int l_eq(lua_State *L) {
  mc_lua_ref *a = mc__lua_test_ref(L, 1), *b = mc__lua_test_ref(L, 2);
  lua_pushboolean(L, a && b && a->to.peer == b->to.peer &&
                         a->to.instance == b->to.instance &&
                         memcmp(a->to.secret, b->to.secret, MC_SECRET_SIZE) == 0);
  return 1;
}

/* A method's first use: checks the name and keeps a function for it. Upvalue 1: the type. */
static int l_method(lua_State *L) {
  mc_type *type = lua_touserdata(L, lua_upvalueindex(1));
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING)
    return mc__lua_raise(L, MC_E_NO_SUCH_METHOD,
                         "%s: an actor's fields are not accessible through a reference",
                         type->name);
  const char *name = lua_tolstring(L, 2, &len);
  bool known = mc__lua_exposed(name, len);
  if (known && type->definition) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, type->definition);
    lua_pushvalue(L, 2);
    known = lua_rawget(L, -2) == LUA_TFUNCTION;
  } else if (known && type->protocol) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, type->protocol);
    lua_pushvalue(L, 2);
    known = lua_rawget(L, -2) != LUA_TNIL;
  }
  if (!known)
    return mc__lua_raise(
        L, MC_E_NO_SUCH_METHOD,
        "%s has no method '%s' to call from outside, and an actor's fields are "
        "not accessible through a reference",
        type->name, name);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, mc__lua_call_method, 1);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 1);
  return 1;
}

/* The table of a type's methods fills as they are used. */
static void push_methods(lua_State *L, mc_type *type) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushlightuserdata(L, type);
  lua_pushcclosure(L, l_method, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

static void push_metatable(lua_State *L, mc_type *type) {
  if (type->refs) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, type->refs);
    return;
  }
  static const luaL_Reg meta[] = {{"__tostring", l_tostring},
                                  {"__newindex", l_newindex},
                                  {"__eq", l_eq},
                                  {NULL, NULL}};
  lua_newtable(L);
  luaL_setfuncs(L, meta, 0);
  push_methods(L, type);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "mooncast.ref");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "mooncast.ref");
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  type->refs = luaL_ref(L, LUA_REGISTRYINDEX);
}

void mc__lua_forget_methods(lua_State *L, mc_type *type) {
  if (!type->refs) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, type->refs);
  push_methods(L, type);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

static mc_lua_ref *new_ref(lua_State *L, mc_type *type, int uservalues) {
  mc_lua_ref *ref = lua_newuserdatauv(L, sizeof *ref, uservalues);
  memset(ref, 0, sizeof *ref);
  ref->mark = &MARK;
  ref->type = type;
  push_metatable(L, type);
  lua_setmetatable(L, -2);
  return ref;
}

static bool is_of(const mc_lua_ref *ref, const mc_address *to, const mc_type *type) {
  return ref->to.instance == to->instance && ref->to.peer == to->peer &&
         ref->type == type && memcmp(ref->to.secret, to->secret, MC_SECRET_SIZE) == 0;
}

static uint64_t mix(uint64_t h, uint64_t word) {
  h = (h ^ word) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 32;
}

static lua_Integer hash_of(const mc_lua *M, const mc_address *to, const mc_type *type) {
  uint64_t secret[2], rest = (uintptr_t)type ^ (uint64_t)to->peer << 48;
  memcpy(secret, to->secret, MC_SECRET_SIZE);
  return (lua_Integer)mix(mix(mix(mix(M->ref_seed, to->instance), secret[0]), secret[1]),
                          rest);
}

/* Pushes M->own_refs and what stands at that place: the reference of an actor that is there, or was. */
static const mc_lua_ref *push_at_place(mc_lua *M, lua_State *L, uint32_t index) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->own_refs);
  lua_rawgeti(L, -1, (lua_Integer)index + 1);
  return lua_touserdata(L, -1);
}

/* Takes the reference on top from its place in the table below, for that of another actor. */
static void make_room(mc_lua *M, lua_State *L, uint32_t index, const mc_lua_ref *ref) {
  lua_pushnil(L);
  lua_rawseti(L, -3, (lua_Integer)index + 1);
  if (!ref->to.instance) return; /* its actor was never made */
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->refs);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, hash_of(M, &ref->to, ref->type));
  lua_pop(L, 1);
}

/* Pushes the reference of an actor of this node, or nothing and returns false: none of that type is. */
static bool push_own(mc_lua *M, lua_State *L, const mc_address *to, mc_type *type,
                     int uservalues) {
  uint32_t index = mc_actor_index(to->instance);
  const mc_lua_ref *there = push_at_place(M, L, index);
  if (there && is_of(there, to, type)) return lua_replace(L, -2), true;
  const mc_actor *a = mc_actor_at(M->node, to);
  if (!a || a->type != type) return lua_pop(L, 2), false;
  if (there) make_room(M, L, index, there);
  lua_pop(L, 2);
  new_ref(L, type, uservalues)->to = *to;
  there = push_at_place(M, L, index);
  if (there) { /* a finaliser asked for it, too */
    lua_replace(L, -3);
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)index + 1);
  lua_pop(L, 1);
  return true;
}

mc_lua_ref *mc__lua_new_ref(lua_State *L, mc_type *type) { return new_ref(L, type, 0); }

void mc__lua_place_ref(mc_lua *M, lua_State *L, int ref) {
  uint32_t index = mc_actor_next_index(M->node);
  for (const mc_lua_ref *there; (there = push_at_place(M, L, index));
       index = mc_actor_next_index(M->node)) { /* a finaliser may have made an actor */
    make_room(M, L, index, there);
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  lua_pushvalue(L, ref);
  lua_rawseti(L, -2, (lua_Integer)index + 1);
  lua_pop(L, 1);
}

static void push_ref(mc_lua *M, lua_State *L, const mc_address *to, mc_type *type,
                     int uservalues) {
  luaL_checkstack(L, 12, NULL); /* a type's first reference needs 9 */
  if (to->peer == MC_SELF && push_own(M, L, to, type, uservalues)) return;
  lua_Integer hash = hash_of(M, to, type);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->refs);
  lua_rawgeti(L, -1, hash);
  const mc_lua_ref *there = lua_touserdata(L, -1);
  if (!there || !is_of(there, to, type)) {
    lua_pop(L, 1);
    new_ref(L, type, uservalues)->to = *to;
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, hash);
  }
  lua_replace(L, -2);
}

void mc__lua_push_ref(mc_lua *M, lua_State *L, const mc_address *to, mc_type *type) {
  push_ref(M, L, to, type, 0);
}

void mc__lua_push_holding_ref(mc_lua *M, lua_State *L, const mc_address *to,
                              mc_type *type) {
  push_ref(M, L, to, type, 1);
}

/* ---- ids ------------------------------------------------------------------------------------- */

/* core.id(ref) -> "node.incarnation/instance/secret" */
static int l_id(lua_State *L) {
  mc_lua_ref *ref = mc__lua_check_ref(L, 1);
  mc_node *n = mc__lua_of(L)->node;
  char numbers[64], secret[2 * MC_SECRET_SIZE + 1];
  snprintf(numbers, sizeof numbers, ".%llx/%llx/",
           (unsigned long long)mc_peer_incarnation(n, ref->to.peer),
           (unsigned long long)ref->to.instance);
  for (int i = 0; i < MC_SECRET_SIZE; i++)
    snprintf(secret + 2 * i, 3, "%02x", ref->to.secret[i]);
  lua_pushfstring(L, "%s%s%s", mc_peer_name(n, ref->to.peer, NULL), numbers, secret);
  return 1;
}

/* A hex number of 1 to 14 digits up to `end`; its only spelling is without leading zeros. */
static bool parse_hex(const char **at, char end, uint64_t *out) {
  const char *s = *at;
  *out = 0;
  for (; *s != end; s++) {
    int digit = *s >= '0' && *s <= '9'   ? *s - '0'
                : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10
                                         : -1;
    if (digit < 0 || s - *at > 13 || (s > *at && **at == '0')) return false;
    *out = *out << 4 | (uint64_t)digit;
  }
  if (s == *at || *out > MC_MAX_ID) return false;
  *at = s + (end != '\0');
  return true;
}

static bool parse_secret(const char *s, uint8_t out[MC_SECRET_SIZE]) {
  for (int i = 0; i < MC_SECRET_SIZE; i++) {
    unsigned byte = 0;
    for (int j = 0; j < 2; j++) {
      char c = s[2 * i + j];
      int digit = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                         : -1;
      if (digit < 0) return false;
      byte = byte << 4 | (unsigned)digit;
    }
    out[i] = (uint8_t)byte;
  }
  return s[2 * MC_SECRET_SIZE] == '\0';
}

/* Splits an id; *name_len says how much of it is the node's name. */
static bool parse_id(const char *id, size_t len, size_t *name_len, uint64_t *incarnation,
                     mc_address *to) {
  const char *dot = NULL, *slash = memchr(id, '/', len);
  if (len > MC_MAX_NAME + 64 || strlen(id) != len || !slash) return false;
  for (const char *s = id; s < slash; s++)
    if (*s == '.') dot = s;
  if (!dot || dot == id || !mc_utf8_valid(id, len)) return false;
  *name_len = (size_t)(dot - id);
  const char *at = dot + 1;
  return *name_len <= MC_MAX_NAME && parse_hex(&at, '/', incarnation) &&
         parse_hex(&at, '/', &to->instance) && parse_secret(at, to->secret);
}

static mc_type *check_type_name(lua_State *L, mc_lua *M, int index) {
  size_t len;
  const char *name = luaL_checklstring(L, index, &len);
  mc_type *type = mc_utf8_valid(name, len) ? mc_type_named(M->node, name, len) : NULL;
  if (!type) luaL_argerror(L, index, "a type's name is text of 1 to 255 bytes");
  return type;
}

/* The living peer of that name, if it has that incarnation. */
static uint32_t find_node(mc_lua *M, const char *name, size_t len, uint64_t incarnation) {
  uint32_t peer = mc_peer_find(M->node, name, len);
  if (peer != UINT32_MAX && mc_peer_incarnation(M->node, peer) != incarnation) {
    peer = mc_peer_named(M->node, name, len, incarnation);
    if (peer != UINT32_MAX && mc_peer_is_down(M->node, peer)) return UINT32_MAX;
  }
  return peer;
}

static int resolve_here(lua_State *L, mc_lua *M, const mc_address *to, mc_type *type) {
  mc_actor *actor = mc_actor_at(M->node, to);
  if (!actor || mc__lua_is_orphan(M, L, actor))
    return mc__lua_raise(L, MC_E_DEAD_ACTOR, "%s: no such actor on this node",
                         type->name);
  if (actor->type == type) return mc__lua_push_ref(M, L, to, type), 1;
  lua_pushfstring(L, "the actor is a %s, not a %s", actor->type->name, type->name);
  mc__lua_push_error(M, L, MC_E_TYPE_MISMATCH, lua_tostring(L, -1));
  lua_pushstring(L, type->name);
  lua_setfield(L, -2, "expected");
  lua_pushstring(L, actor->type->name);
  lua_setfield(L, -2, "found");
  return lua_error(L);
}

/* core.resolve(type_name, id) -> ref. Contacts nobody, never yields. Raises bad_id, unknown_node,
** and for an actor of this node dead_actor and type_mismatch. */
static int l_resolve(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_type *type = check_type_name(L, M, 1);
  mc_address to;
  uint64_t incarnation;
  size_t len, name_len;
  if (lua_type(L, 2) != LUA_TSTRING)
    return mc__lua_raise(L, MC_E_BAD_ID, "an id is a string as mc.id gives it, not a %s",
                         luaL_typename(L, 2));
  const char *id = lua_tolstring(L, 2, &len);
  if (!parse_id(id, len, &name_len, &incarnation, &to))
    return mc__lua_raise(L, MC_E_BAD_ID, "'%s' is no id as mc.id gives it",
                         len > 80 ? "(longer)" : id);
  to.peer = find_node(M, id, name_len, incarnation);
  if (to.peer == UINT32_MAX) {
    lua_pushlstring(L, id, name_len);
    lua_pushfstring(L, "there is no node %s here, or it has ended", lua_tostring(L, -1));
    mc__lua_push_error(M, L, MC_E_UNKNOWN_NODE, lua_tostring(L, -1));
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "node");
    return lua_error(L);
  }
  if (to.peer == MC_SELF) return resolve_here(L, M, &to, type);
  mc__lua_push_ref(M, L, &to, type);
  return 1;
}

/* core.address(node_name, incarnation, instance, secret, type_name) -> ref, from what the host told */
static int l_address(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_address to;
  size_t len, secret_len;
  const char *name = luaL_checklstring(L, 1, &len);
  to.peer = mc_peer_named(M->node, name, len, (uint64_t)luaL_checkinteger(L, 2));
  to.instance = (uint64_t)luaL_checkinteger(L, 3);
  const char *secret = luaL_checklstring(L, 4, &secret_len);
  luaL_argcheck(L, to.peer != UINT32_MAX, 1, "no usable name");
  luaL_argcheck(L, secret_len == MC_SECRET_SIZE, 4, "a secret is 16 bytes");
  memcpy(to.secret, secret, MC_SECRET_SIZE);
  mc__lua_push_ref(M, L, &to, check_type_name(L, M, 5));
  return 1;
}

static int l_is_ref(lua_State *L) {
  lua_pushboolean(L, mc__lua_test_ref(L, 1) != NULL);
  return 1;
}

static int l_is_local(lua_State *L) {
  lua_pushboolean(L, mc__lua_check_ref(L, 1)->to.peer == MC_SELF);
  return 1;
}

static int l_type_name(lua_State *L) {
  lua_pushstring(L, mc__lua_check_ref(L, 1)->type->name);
  return 1;
}

static int l_node_name(lua_State *L) {
  lua_pushstring(
      L, mc_peer_name(mc__lua_of(L)->node, mc__lua_check_ref(L, 1)->to.peer, NULL));
  return 1;
}

void mc__lua_open_ref(lua_State *L, mc_lua *M) {
  static const luaL_Reg functions[] = {{"id", l_id},
                                       {"resolve", l_resolve},
                                       {"address", l_address},
                                       {"is_ref", l_is_ref},
                                       {"is_local", l_is_local},
                                       {"type_name", l_type_name},
                                       {"node_name", l_node_name},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  mc_node_random(M->node, &M->ref_seed, sizeof M->ref_seed);
  M->refs = mc__lua_weak_table(L, "v");
  M->own_refs = mc__lua_weak_table(L, "v");
}
