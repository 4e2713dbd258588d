/*
** Actor types. A type is the user's table of methods; its metatable, which is ours, has the core's type,
** the metatable of the instances, and what tells whether it was changed.
*/
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua_node.h"

static const char MARK; /* of every mc_lua_class, and of no other userdata */

enum { CLASS_FIELDS = 1 };

/* Pushes the metatable of the class at index and what stands for the class; or nothing and returns NULL: it
** is none. */
static mc_lua_class *push_class(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return NULL;
  lua_rawgeti(L, -1, MC_CLASS);
  mc_lua_class *class = lua_touserdata(L, -1);
  if (class && lua_rawlen(L, -1) == sizeof *class && class->mark == &MARK) return class;
  lua_pop(L, 2);
  return NULL;
}

mc_lua_class *mc__lua_push_class_meta(lua_State *L, int index) {
  mc_lua_class *class = push_class(L, index);
  if (class) lua_pop(L, 1);
  return class;
}

static mc_type *test_class(lua_State *L, int index) {
  const mc_lua_class *class = push_class(L, index);
  if (class) lua_pop(L, 2);
  return class ? class->type : NULL;
}

mc_type *mc__lua_check_class(lua_State *L, int index) {
  mc_type *type = test_class(L, index);
  if (!type) luaL_typeerror(L, index, "actor type (made by mc.actor)");
  return type;
}

/* Where the class at index stands in the registry, for the actor that will be counted. Raises when there is
** no memory. */
int mc__lua_class_reference(lua_State *L, int index, mc_lua_class *class) {
  if (class->reference != LUA_NOREF) return class->reference;
  lua_pushvalue(L, index);
  return class->reference = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The same for one more actor. */
int mc__lua_hold_class(lua_State *L, int index) {
  mc_lua_class *class = mc__lua_push_class_meta(L, index);
  int reference = mc__lua_class_reference(L, index, class);
  lua_pop(L, 1);
  class->count++;
  return reference;
}

void mc__lua_drop_class(lua_State *L, int klass) {
  if (klass == LUA_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, klass);
  mc_lua_class *class = mc__lua_push_class_meta(L, -1);
  lua_pop(L, 2);
  if (--class->count) return;
  luaL_unref(L, LUA_REGISTRYINDEX, klass);
  class->reference = LUA_NOREF;
}

static int l_type_tostring(lua_State *L) {
  lua_pushfstring(L, "actor type %s", mc__lua_check_class(L, 1)->name);
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
  lua_createtable(L, MC_CLASS, 3);
  mc_lua_class *class = push_class(L, 2);
  if (class) { /* defined before: its actors stay counted */
    lua_replace(L, -2);
  } else {
    class = lua_newuserdatauv(L, sizeof *class, CLASS_FIELDS);
    *class = (mc_lua_class){.mark = &MARK, .type = type, .reference = LUA_NOREF};
  }
  lua_rawseti(L, -2, MC_CLASS);
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
** reentrant; interleave: a list of methods; travelled: it came from another node; forward: only its name
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
  mc__lua_push_class_meta(L, 2)->type = type;
  if (option(L, 3, "forward")) return lua_settop(L, 2), 1;
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

/* ---- versions -------------------------------------------------------------------------------- */

/* The fields of a class are those listed on top: key, value, key, value ... They come in the same order as long
** as none is added or removed. NaN is like NaN. */
static bool has_fields(lua_State *L, int klass) {
  int list = lua_gettop(L);
  lua_Integer n = 0;
  bool same = true;
  lua_pushnil(L);
  while (same && lua_next(L, klass)) {
    lua_rawgeti(L, list, ++n);
    lua_rawgeti(L, list, ++n);
    same = lua_rawequal(L, -4, -2) &&
           (lua_rawequal(L, -3, -1) ||
            (!lua_rawequal(L, -3, -3) && !lua_rawequal(L, -1, -1)));
    lua_pop(L, 3);
  }
  lua_settop(L, list);
  return same && (size_t)n == lua_rawlen(L, list);
}

mc_lua_class *mc__lua_unchanged(lua_State *L, int klass) {
  luaL_checkstack(L, 8, NULL);
  mc_lua_class *class = push_class(L, klass);
  if (!class) return NULL;
  int fields = lua_getiuservalue(L, -1, CLASS_FIELDS);
  bool same = fields == LUA_TBOOLEAN || (fields == LUA_TTABLE && has_fields(L, klass));
  lua_pop(L, same ? 2 : 3);
  return same ? class : NULL;
}

/* core.class_version(class) -> what core.set_class_version was given, or nil when a field was set to
** something else, added or removed since */
static int l_class_version(lua_State *L) {
  lua_settop(L, 1);
  const mc_lua_class *class = mc__lua_unchanged(L, 1);
  if (class) return lua_pushinteger(L, class->version), 1;
  mc__lua_check_class(L, 1);
  lua_pushnil(L);
  return 1;
}

/* Pushes a list of the fields of the class at 1. */
static void push_fields(lua_State *L) {
  lua_Integer n = 0;
  int list = lua_gettop(L) + 1;
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, list, ++n);
    lua_rawseti(L, list, ++n);
  }
}

/* core.set_class_version(class, version, whatever): its version as long as it has the fields that it has now
** or, if whatever is true, whatever fields it has */
static int l_set_class_version(lua_State *L) {
  mc__lua_check_class(L, 1);
  lua_Integer version = luaL_checkinteger(L, 2);
  bool whatever = lua_toboolean(L, 3);
  lua_settop(L, 2);
  mc_lua_class *class = push_class(L, 1);
  if (whatever)
    lua_pushboolean(L, 1);
  else
    push_fields(L);
  lua_setiuservalue(L, 4, CLASS_FIELDS);
  class->version = version;
  return 0;
}

void mc__lua_open_class(lua_State *L) {
  static const luaL_Reg functions[] = {{"define", l_define},
                                       {"class", l_class},
                                       {"class_name", l_class_name},
                                       {"protocol", l_protocol},
                                       {"class_version", l_class_version},
                                       {"set_class_version", l_set_class_version},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
