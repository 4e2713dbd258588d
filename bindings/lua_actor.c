/*
** Actor types and actors. A type is the user's table of methods; its metatable, which is ours, has
** the core's type and the metatable of the instances. An actor is a table whose methods are found
** in the version of its type that it was made from. Its `init` runs as a turn of its own: until it
** has returned, what arrives waits; if it raises, there never was an actor.
*/
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_node.h"

static const char IS_CLASS; /* key in the metatables of types: of mc_lua_class */

/* A version of a type. It stands in the registry once for all actors that were made from it. */
typedef struct mc_lua_class {
  mc_type *type;
  int reference; /* LUA_NOREF as long as there are none */
  uint64_t count;
} mc_lua_class;

/* Methods that the system calls, and by convention private ones, are not for callers. */
bool mc__lua_exposed(const char *name, size_t len) {
  if (len == 0 || *name == '_') return false;
  return !(len == 4 && memcmp(name, "init", 4) == 0) &&
         !(len == 7 && memcmp(name, "stopped", 7) == 0) &&
         !(len == 10 && memcmp(name, "terminated", 10) == 0);
}

/* Pushes the metatable of the class at index, or nothing and returns NULL: it is none. */
static mc_lua_class *push_class_meta(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return NULL;
  lua_rawgetp(L, -1, &IS_CLASS);
  mc_lua_class *class = lua_touserdata(L, -1);
  lua_pop(L, class ? 1 : 2);
  return class;
}

static mc_type *test_class(lua_State *L, int index) {
  const mc_lua_class *class = push_class_meta(L, index);
  if (class) lua_pop(L, 1);
  return class ? class->type : NULL;
}

static mc_type *check_class(lua_State *L, int index) {
  mc_type *type = test_class(L, index);
  if (!type) luaL_typeerror(L, index, "actor type (made by mc.actor)");
  return type;
}

/* Where the class at index stands in the registry, for the actor that will be counted. Raises when there is
** no memory. */
static int class_reference(lua_State *L, int index, mc_lua_class *class) {
  if (class->reference != LUA_NOREF) return class->reference;
  lua_pushvalue(L, index);
  return class->reference = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The same for one more actor. */
static int hold_class(lua_State *L, int index) {
  mc_lua_class *class = push_class_meta(L, index);
  int reference = class_reference(L, index, class);
  lua_pop(L, 1);
  class->count++;
  return reference;
}

static void drop_class(lua_State *L, int klass) {
  if (klass == LUA_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, klass);
  mc_lua_class *class = push_class_meta(L, -1);
  lua_pop(L, 2);
  if (--class->count) return;
  luaL_unref(L, LUA_REGISTRYINDEX, klass);
  class->reference = LUA_NOREF;
}

static int l_type_tostring(lua_State *L) {
  lua_pushfstring(L, "actor type %s", check_class(L, 1)->name);
  return 1;
}

static bool option(lua_State *L, int options, const char *name) {
  bool set = lua_istable(L, options) && lua_getfield(L, options, name) != LUA_TNIL &&
             lua_toboolean(L, -1);
  lua_settop(L, options);
  return set;
}

/* Leaves the metatable of class 2 of type on top; options are at 3. */
static void new_class_meta(lua_State *L, mc_type *type) {
  bool travelled = option(L, 3, "travelled"), checked = option(L, 3, "signatures"),
       redacts = option(L, 3, "errors");
  lua_createtable(L, MC_INSTANCE, 4);
  mc_lua_class *class = push_class_meta(L, 2);
  if (class) { /* defined before: its actors stay counted */
    lua_rawgetp(L, -1, &IS_CLASS);
    lua_replace(L, -2);
  } else {
    class = lua_newuserdatauv(L, sizeof *class, 0);
    *class = (mc_lua_class){.type = type, .reference = LUA_NOREF};
  }
  lua_rawsetp(L, -2, &IS_CLASS);
  lua_pushcfunction(L, l_type_tostring);
  lua_setfield(L, -2, "__tostring");
  if (travelled) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "travelled");
  }
  if (checked) {
    lua_getfield(L, 3, "signatures");
    lua_rawseti(L, -2, MC_SIGNATURES);
  }
  type->checked = type->checked || checked;
  if (redacts) {
    lua_getfield(L, 3, "errors");
    lua_rawseti(L, -2, MC_LISTED_ERRORS);
  }
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "__name");
  lua_rawseti(L, -2, MC_INSTANCE);
}

/* The methods that options.interleave lists, if any. */
static void set_interleave(lua_State *L, mc_lua *M, mc_type *type) {
  luaL_Buffer b;
  size_t len;
  int top = lua_gettop(L);
  bool has = lua_istable(L, 3) && lua_getfield(L, 3, "interleave") == LUA_TTABLE;
  lua_settop(L, top);
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; has; i++) {
    lua_getfield(L, 3, "interleave");
    if (lua_rawgeti(L, -1, i) == LUA_TNIL) {
      lua_pop(L, 2);
      break;
    }
    bool text = lua_type(L, -1) == LUA_TSTRING;
    const char *name = text ? lua_tolstring(L, -1, &len) : NULL;
    lua_pop(L, 2); /* the table keeps it */
    if (!name || len == 0 || len > MC_MAX_NAME)
      luaL_error(L, "interleave lists the names of methods");
    luaL_addchar(&b, (char)len);
    luaL_addlstring(&b, name, len);
  }
  luaL_pushresult(&b);
  const char *names = lua_tolstring(L, -1, &len);
  if (!mc_type_interleave(M->node, type, names, len))
    mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a type");
  lua_settop(L, top);
}

/* How many messages wait for an actor at most, from options.mailbox. */
static uint32_t mailbox_of(lua_State *L) {
  int top = lua_gettop(L), is_integer = 1;
  lua_Integer most = MC_MAILBOX_BOUND;
  if (lua_istable(L, 3) && lua_getfield(L, 3, "mailbox") != LUA_TNIL)
    most = lua_tointegerx(L, -1, &is_integer);
  lua_settop(L, top);
  if (!is_integer || most < 1 || most > INT32_MAX)
    luaL_error(L, "mailbox is how many messages may wait for an actor, from 1 on");
  return (uint32_t)most;
}

/* core.define(name, class, options): class becomes the newest definition of that type. Options:
** reentrant; interleave: a list of methods; travelled: it came from another node; stub: only its name
** is known; signatures: method -> letters; fragile: an error of a handler ends the actor; mailbox: how
** many messages wait for one at most; errors: name of a type -> true, others are redacted. */
static int l_define(lua_State *L) {
  mc_lua *M = mc__lua_of(L);
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  mc_type *type = mc_utf8_valid(name, len) ? mc_type_named(M->node, name, len) : NULL;
  if (!type && len > 0 && len <= MC_MAX_NAME && mc_utf8_valid(name, len))
    return mc__lua_raise(L, MC_E_OUT_OF_MEMORY, "no memory for a type");
  luaL_argcheck(L, type, 1, "a type's name is text of 1 to 255 bytes");
  uint32_t mailbox = mailbox_of(L);
  new_class_meta(L, type);
  lua_setmetatable(L, 2);
  push_class_meta(L, 2)->type = type;
  if (option(L, 3, "stub")) return lua_settop(L, 2), 1;
  luaL_unref(L, LUA_REGISTRYINDEX, type->definition ? type->definition : LUA_NOREF);
  lua_pushvalue(L, 2);
  type->definition = luaL_ref(L, LUA_REGISTRYINDEX);
  type->reentrant = option(L, 3, "reentrant");
  type->mailbox = mailbox;
  set_interleave(L, M, type);
  type->fragile = option(L, 3, "fragile");
  mc__lua_forget_methods(L, type);
  lua_settop(L, 2);
  return 1;
}

/* core.class(name) -> the newest definition here, or nil */
static int l_class(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  mc_type *type =
      mc_utf8_valid(name, len) ? mc_type_named(mc__lua_of(L)->node, name, len) : NULL;
  if (type && type->definition)
    lua_rawgeti(L, LUA_REGISTRYINDEX, type->definition);
  else
    lua_pushnil(L);
  return 1;
}

/* core.class_name(v) -> the name of the type when v is one, else nil */
static int l_class_name(lua_State *L) {
  mc_type *type = test_class(L, 1);
  lua_pushstring(L, type ? type->name : NULL);
  return 1;
}

/* core.protocol(name, names): callers without a definition may use these methods of the type. */
static int l_protocol(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  luaL_checktype(L, 2, LUA_TTABLE);
  mc_type *type =
      mc_utf8_valid(name, len) ? mc_type_named(mc__lua_of(L)->node, name, len) : NULL;
  luaL_argcheck(L, type, 1, "a type's name is text of 1 to 255 bytes");
  luaL_unref(L, LUA_REGISTRYINDEX, type->protocol ? type->protocol : LUA_NOREF);
  lua_settop(L, 2);
  type->protocol = luaL_ref(L, LUA_REGISTRYINDEX);
  mc__lua_forget_methods(L, type);
  return 0;
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
  m->klass = hold_class(L, 2);
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
    drop_class(L, m.klass);
    if (m.a) mc_actor_end(M->node, m.a); /* it has no object: nobody is told */
    lua_error(L);
  }
  m.a->object = m.object;
  m.a->klass = m.klass;
  tell(M, MC_ON_ASSIGN, m.a);
  return m.a;
}

/* Pushes the reference of a new actor, which is starting; or raises, and there is none. What can raise
** comes before the actor. */
static mc_actor *make_actor(lua_State *L, mc_lua *M, mc_type *type, int klass) {
  mc_lua_class *class = push_class_meta(L, klass);
  mc_lua_ref *ref = mc__lua_new_ref(L, type);
  lua_newtable(L);
  lua_rawgeti(L, -3, MC_INSTANCE);
  lua_setmetatable(L, -2);
  mc__lua_place_ref(M, L, lua_gettop(L) - 1); /* the last that may run a finaliser */
  int reference = class_reference(L, klass, class);
  int object = luaL_ref(L, LUA_REGISTRYINDEX);
  mc_actor *a = mc_actor_new(M->node, type);
  if (!a) {
    luaL_unref(L, LUA_REGISTRYINDEX, object);
    no_actor(L);
  }
  lua_replace(L, -2);
  mc_actor_address(a, &ref->to);
  class->count++;
  a->object = object;
  a->klass = reference;
  tell(M, MC_ON_ASSIGN, a);
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
  mc_type *type = check_class(L, 1);
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
  mc_type *type = check_class(L, 1);
  const char *secret = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len == MC_SECRET_SIZE, 2, "a secret is 16 bytes");
  mc_actor *a = mc_actor_first(M->node, type, (const uint8_t *)secret);
  if (!a) return no_actor(L);
  push_object(L, 1);
  a->object = luaL_ref(L, LUA_REGISTRYINDEX);
  a->klass = hold_class(L, 1);
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
  mc_type *type = check_class(L, 1);
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
  int klass = hold_class(L, 1); /* the last thing that can fail */
  lua_setmetatable(L, 2);
  drop_class(L, a->klass);
  a->klass = klass;
  return 0;
}

/* core.load() -> how many actors live here */
static int l_load(lua_State *L) {
  mc_stats s;
  mc_node_stats(mc__lua_of(L)->node, &s);
  lua_pushinteger(L, (lua_Integer)s.actors);
  return 1;
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
  drop_class(M->L, a->klass);
}

void mc__lua_open_actor(lua_State *L, mc_lua *M) {
  (void)M;
  static const luaL_Reg functions[] = {{"define", l_define},
                                       {"class", l_class},
                                       {"class_name", l_class_name},
                                       {"protocol", l_protocol},
                                       {"first", l_first},
                                       {"self", l_self},
                                       {"become", l_become},
                                       {"load", l_load},
                                       {"on", l_on},
                                       {NULL, NULL}};
  static const luaL_Reg makers[] = {{"spawn", l_spawn}, {"new", l_new}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushliteral(L, "init");
  luaL_setfuncs(L, makers, 1);
}
