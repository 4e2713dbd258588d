/*
** Actors. An actor is a table whose methods are found in the version of its type that it was made from.
** Its `init` runs as a turn of its own: until it has returned, what arrives waits; if it raises, there
** never was an actor.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

/* Methods that the system calls, and by convention private ones, are not for callers. */
bool mc__lua_exposed(const char *name, size_t len) {
  if (len == 0 || *name == '_') return false;
  return !(len == 4 && memcmp(name, "init", 4) == 0) &&
         !(len == 7 && memcmp(name, "stopped", 7) == 0) &&
         !(len == 10 && memcmp(name, "terminated", 10) == 0);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void push_object(lua_State *L, int klass) {
  lua_newtable(L);
  lua_getmetatable(L, klass);
  lua_rawgeti(L, -1, MC_INSTANCE);
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
}

static int no_actor(lua_State *L) {
  return mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for another actor");
}

static void push_actor_ref(mc_lua *M, lua_State *L, const mc_actor *a) {
  mc_address to;
  mc_actor_address(a, &to);
  mc__lua_push_ref(M, L, &to, a->type);
}

static int call_hook(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, M->on[lua_tointeger(L, 1)]);
  push_actor_ref(M, L, lua_touserdata(L, 2));
  lua_call(L, 1, 0);
  return 0;
}

/* Tells the hook of mc.on, if there is one. What it raises is logged: it cannot change anything. */
static void tell(mc_lua *M, mc_lua_event event, mc_actor *a) {
  lua_State *L = M->L;
  bool encoding = M->encoding;
  if (!M->on[event] || a->instance == 1 || !lua_checkstack(L, 8)) return;
  M->encoding = true;
  lua_pushcfunction(L, call_hook);
  lua_pushinteger(L, event);
  lua_pushlightuserdata(L, a);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    mc__lua_log_value(M, MC_LOG_ERROR, L, "a hook of mc.on failed");
  M->encoding = encoding;
}

typedef struct making {
  mc_lua *M;
  mc_type *type;
  mc_actor *a;
  int object, klass;
} making;

/* light userdata making, class -> ref */
static int make_fleeting_protected(lua_State *L) {
  making *m = lua_touserdata(L, 1);
  push_object(L, 2);
  lua_pushboolean(L, 0);
  m->object = luaL_ref(L, LUA_REGISTRYINDEX);
  m->klass = mc__lua_hold_class(L, 2);
  m->a = mc_actor_new(m->M->node, m->type);
  if (!m->a) return no_actor(L);
  mc__lua_push_life(m->M, L, m->a);
  return 1;
}

/* Pushes the reference of a new actor, which is starting and lives as long as something refers to it; or
** raises, and there is none. */
static mc_actor *make_fleeting(lua_State *L, mc_lua *M, mc_type *type, int klass) {
  making m = {M, type, NULL, LUA_NOREF, LUA_NOREF};
  lua_pushcfunction(L, make_fleeting_protected);
  lua_pushlightuserdata(L, &m);
  lua_pushvalue(L, klass);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    luaL_unref(L, LUA_REGISTRYINDEX, m.object);
    mc__lua_drop_class(L, m.klass);
    if (m.a) mc_actor_end(M->node, m.a); /* it has no object: nobody is told */
    lua_error(L);
  }
  m.a->object = m.object;
  m.a->klass = m.klass;
  tell(M, MC_ON_ASSIGN, m.a);
  return m.a;
}

/* A new actor, which is starting, for the object on top, which is popped; or raises, and there is none. */
static mc_actor *place_actor(lua_State *L, mc_lua *M, int klass, mc_lua_class *class) {
  int reference = mc__lua_class_reference(L, klass, class);
  int object = luaL_ref(L, LUA_REGISTRYINDEX);
  mc_actor *a = mc_actor_new(M->node, class->type);
  if (!a) {
    luaL_unref(L, LUA_REGISTRYINDEX, object);
    no_actor(L);
  }
  class->count++;
  a->object = object;
  a->klass = reference;
  return a;
}

/* Pushes the reference of a new actor, which is starting; or raises, and there is none. What can raise
** comes before the actor. */
static mc_actor *make_actor(lua_State *L, mc_lua *M, mc_type *type, int klass) {
  mc_lua_class *class = mc__lua_push_class_meta(L, klass);
  mc_lua_ref *ref = mc__lua_new_ref(L, type);
  lua_newtable(L);
  lua_rawgeti(L, -3, MC_INSTANCE);
  lua_setmetatable(L, -2);
  mc__lua_place_ref(M, L, lua_gettop(L) - 1); /* the last that may run a finaliser */
  mc_actor *a = place_actor(L, M, klass, class);
  lua_replace(L, -2);
  mc_actor_address(a, &ref->to);
  tell(M, MC_ON_ASSIGN, a);
  return a;
}

mc_actor *mc__lua_make(lua_State *L, mc_lua *M, mc_lua_class *class, int klass) {
  lua_newtable(L);
  lua_rawgeti(L, -2, MC_INSTANCE);
  lua_setmetatable(L, -2);
  mc_actor *a = place_actor(L, M, klass, class);
  mc_actor_ready(M->node, a);
  return a;
}

static void make_ready(mc_lua *M, mc_actor *a) {
  tell(M, MC_ON_READY, a);
  mc_actor_ready(M->node, a);
}

/* The actor is made or, when its init raised, never was. Ends the turn of its init. */
static void conclude(mc_lua *M, mc_lua_task *t, bool made) {
  mc_actor *a = t->making;
  mc_turn *turn = t->turn;
  t->making = NULL;
  t->turn = NULL;
  if (turn) mc_turn_end(M->node, turn);
  if (made)
    make_ready(M, a);
  else
    mc_actor_end(M->node, a);
}

/* The init of an actor that was awaited is over. */
void mc__lua_finish_init(mc_lua *M, mc_lua_task *t, bool raised) {
  mc_lua_task *to =
      t->maker; /* NULL: it no longer waits, so nobody would have the actor */
  if (!to) {
    conclude(M, t, false);
    return;
  }
  if (raised) {
    size_t len;
    const char *trace = lua_tolstring(M->L, -1, &len);
    mc__lua_try_keep_trace(M, M->L, to, t->co, trace, len);
  }
  if (raised && t->told && to->cancelled) mc__lua_tell(to);
  if (raised && t->expired) mc__lua_expire(M, to);
  conclude(M, t, !raised);
  if (raised && !lua_checkstack(to->parked, 4)) {
    mc__lua_wake_failed(M, to, MC_E_OUT_OF_MEMORY);
    return;
  }
  if (raised) {
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, to->parked, 1);
  }
  mc__lua_wake(M, to, raised, raised);
}

/* ref: where the reference stands. */
static int init_k(lua_State *L, int status, lua_KContext ref) {
  (void)status;
  mc__lua_awaited(L, mc__lua_of(L));
  lua_pushvalue(L, (int)ref);
  return 1;
}

static int init_failed(lua_State *L, mc_lua *M, mc_lua_task *t) {
  size_t len;
  mc__lua_failed(M, L, t);
  const char *trace = lua_tolstring(L, -1, &len);
  lua_xmove(t->co, L, 1);
  mc__lua_try_keep_trace(M, L, mc__lua_task_current(M), L, trace, len);
  conclude(M, t, false);
  mc__lua_task_free(M, t);
  return lua_error(L);
}

/* Runs the init of the actor whose reference is on top, with the arguments from `first` on. The init
** stands at `init`; the task for it was reserved. */
static int run_init(lua_State *L, mc_lua *M, mc_actor *a, int init, int first,
                    int nargs) {
  mc_lua_why why = {"no memory for another actor"};
  int nresults, ref = lua_gettop(L);
  mc_lua_task *self = mc__lua_task_current(M), *t = mc__lua_task_new(M, L);
  t->making = a;
  t->turn = mc_actor_init(M->node, a, self->turn);
  if (t->turn) t->turn->task = t;
  mc__lua_inherit(L, t, self);
  mc_error code = MC_E_OUT_OF_MEMORY;
  if (t->turn && lua_checkstack(t->co, 8)) {
    lua_pushvalue(L, init);
    mc__lua_push_object(M, L, a);
    lua_xmove(L, t->co, 2);
    mc__lua_keep_object(M, L, t, a);
    code = mc__lua_copy(M, L, L, first, nargs, t->co, "arguments", &why);
  }
  if (code) {
    conclude(M, t, false);
    mc__lua_task_free(M, t);
    return mc__lua_raise(L, code, "%s", why.text);
  }
  if (self->turn) t->deadline_ms = self->deadline_ms;
  int status = mc__lua_task_run(M, L, t, nargs + 1, &nresults);
  if (status != LUA_YIELD && t->children) {
    t->maker = self;
    mc__lua_end(M, t, status, nresults);
    return mc__lua_await(L, M, MC_AWAIT_INIT, init_k, ref);
  }
  if (status == LUA_YIELD) {
    t->maker = self;
    return mc__lua_await(L, M, MC_AWAIT_INIT, init_k, ref);
  }
  if (status != LUA_OK) return init_failed(L, M, t);
  conclude(M, t, true);
  mc__lua_task_free(M, t);
  lua_settop(L, ref);
  return 1;
}

static int make(lua_State *L,
                mc_actor *make_one(lua_State *L, mc_lua *M, mc_type *type, int klass)) {
  mc_lua *M = mc__lua_of(L);
  mc_type *type = mc__lua_check_class(L, 1);
  int nargs = lua_gettop(L) - 1, init = nargs + 2;
  luaL_checkstack(L, 24, NULL);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (lua_rawget(L, 1) == LUA_TNIL && !M->encoding) {
    make_ready(M, make_one(L, M, type, 1));
    return 1;
  }
  mc__lua_check_await(L, M, type->name);
  mc__lua_task_reserve(M, L);
  mc_actor *a = make_one(L, M, type, 1);
  return run_init(L, M, a, init, 2, nargs);
}

/* core.spawn(class, ...) -> ref of a new actor on this node. Upvalue 1: "init". */
static int l_spawn(lua_State *L) { return make(L, make_actor); }

/* core.new(class, ...): the same for an actor that ends when nothing here refers to it. */
static int l_new(lua_State *L) { return make(L, make_fleeting); }

/* core.first(class, secret): the node's own actor, at instance 1. */
static int l_first(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  size_t len;
  mc_type *type = mc__lua_check_class(L, 1);
  const char *secret = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len == MC_SECRET_SIZE, 2, "a secret is 16 bytes");
  mc_actor *a = mc_actor_first(M->node, type, (const uint8_t *)secret);
  if (!a) return no_actor(L);
  push_object(L, 1);
  a->object = luaL_ref(L, LUA_REGISTRYINDEX);
  a->klass = mc__lua_hold_class(L, 1);
  push_actor_ref(M, L, a);
  mc_actor_ready(M->node, a);
  return 1;
}

/* core.self() -> ref of the actor whose handler runs, or one of the handler's tasks; or nil */
static int l_self(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  const mc_lua_task *t = mc__lua_task_current(M);
  while (!t->turn && t->owner) t = t->owner;
  if (t->turn)
    push_actor_ref(M, L, t->turn->actor);
  else
    lua_pushnil(L);
  return 1;
}

/* ---- versions -------------------------------------------------------------------------------- */

static void set_class(lua_State *L, const mc_lua_task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->co_ref);
  lua_insert(L, -2);
  lua_rawseti(L, -2, TASK_CLASS); /* there already: takes no memory */
  lua_pop(L, 1);
}

void mc__lua_leave_class(lua_State *L, mc_lua_task *t) {
  lua_pushboolean(L, 0);
  set_class(L, t);
}

/* Results are checked against what stands in the version that the handler began with. */
static void keep_class(mc_lua *M, lua_State *L, const mc_actor *a) {
  for (mc_lua_task *t = M->live; t; t = t->live) {
    if (!t->letters || t->keeps_class || !t->turn || t->turn->actor != a) continue;
    lua_rawgeti(L, LUA_REGISTRYINDEX, a->klass);
    set_class(L, t);
    t->keeps_class = true;
  }
}

/* core.become(class): the actor whose turn this is has that version of its type from now on. What runs
** on it goes on as it is. */
static int l_become(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  mc_type *type = mc__lua_check_class(L, 1);
  const mc_lua_task *t = mc__lua_task_current(M);
  mc_actor *a = t->turn ? t->turn->actor : NULL;
  lua_settop(L, 1);
  if (!a || a->type != type)
    return mc__lua_raise(L, MC_E_TYPE_MISMATCH, "the actor is a %s, not a %s",
                         a ? a->type->name : "task", type->name);
  if (!mc__lua_push_object(M, L, a))
    return mc__lua_raise(L, MC_E_DEAD_ACTOR, "nothing refers to the actor any more");
  lua_getmetatable(L, 1);
  lua_rawgeti(L, -1, MC_INSTANCE);
  keep_class(M, L, a);
  int klass = mc__lua_hold_class(L, 1); /* the last thing that can fail */
  lua_setmetatable(L, 2);
  mc__lua_drop_class(L, a->klass);
  a->klass = klass;
  return 0;
}

/* core.on(event, fn): fn(ref) runs at that moment of every actor's life: "assign" when it has its
** address, "ready" when its init is done, "resign" when it is gone. It cannot await. */
static int l_on(lua_State *L) {
  static const char *const events[] = {"assign", "ready", "resign", NULL};
  int *on = &mc__lua_of(L)->on[luaL_checkoption(L, 1, NULL, events)];
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  luaL_unref(L, LUA_REGISTRYINDEX, *on ? *on : LUA_NOREF);
  *on = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* vtable */
void mc__lua_resign(void *ud, mc_actor *a) {
  mc_lua *M = ud;
  mc__lua_cancel_loose(M, a);
  mc__lua_holds_over(M, a);
  if (!a->object) return; /* never was */
  tell(M, MC_ON_RESIGN, a);
  mc__lua_life_over(M, a);
  luaL_unref(M->L, LUA_REGISTRYINDEX, a->object);
  mc__lua_drop_class(M->L, a->klass);
}

void mc__lua_open_actor(lua_State *L, mc_lua *M) {
  (void)M;
  static const luaL_Reg functions[] = {{"first", l_first},
                                       {"self", l_self},
                                       {"become", l_become},
                                       {"on", l_on},
                                       {NULL, NULL}};
  static const luaL_Reg makers[] = {{"spawn", l_spawn}, {"new", l_new}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushliteral(L, "init");
  luaL_setfuncs(L, makers, 1);
}
