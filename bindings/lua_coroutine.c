/*
** The coroutine library through which awaits pass. A coroutine of the user's whose body awaits yields
** to us; we yield on, up to the task's own coroutine, where the scheduler stops, and resume it when
** what was awaited is there. To its owner it is "normal" meanwhile: it goes on by itself.
*/
#include <lauxlib.h>
#include <lua.h>

#include "lua_node.h"

static int resume_k(lua_State *L, int status, lua_KContext wrap);

/* The coroutine that is resumed: wrap has it as an upvalue, coroutine.resume as an argument. */
static lua_State *resumed(lua_State *L, bool wrap) {
  return lua_tothread(L, wrap ? lua_upvalueindex(1) : 1);
}

/* Resumes a coroutine with nargs values of its own stack. wrap: raise its errors. */
static int resume_from(lua_State *L, mc_lua *M, lua_State *co, int nargs, bool wrap) {
  mc_lua_task *t = M ? M->current : NULL; /* no node: it is closed */
  bool blocks = t ? !lua_isyieldable(L) : M && M->pump && !mc__lua_root_can_await(L, M);
  mc_lua_task *caller = blocks ? mc__lua_task_current(M) : NULL;
  int nresults;
  if (blocks) caller->blocked++;
  int status = lua_resume(co, L, nargs, &nresults);
  if (blocks) caller->blocked--;
  if (status == LUA_YIELD && t && t->parked) {
    mc__lua_set_parked(co, true);
    return lua_yieldleave(L, 0, wrap, resume_k);
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    if (wrap) {
#if LUA_VERSION_RELEASE_NUM >= 50406
      if (lua_closethread(co, L) != LUA_OK || true) lua_xmove(co, L, 1);
#else
      lua_xmove(co, L, 1);
      if (lua_resetthread(co) != LUA_OK) lua_xmove(co, L, 1);
#endif
      if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
      }
      return lua_error(L);
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
  }
  if (!wrap) lua_pushboolean(L, 1);
  if (nresults > LUA_MINSTACK / 2 && !lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    return luaL_error(L, "too many results to resume");
  }
  lua_xmove(co, L, nresults);
  return nresults + !wrap;
}

static int resume_k(lua_State *L, int status, lua_KContext wrap) {
  (void)status;
  mc_lua *M = mc__lua_of(L);
  lua_State *co = resumed(L, wrap != 0);
  mc_lua_task *t = M->current;
  int nargs = 0;
  mc__lua_set_parked(co, false);
  if (t->parked == co) nargs = mc__lua_unpark(t);
  return resume_from(L, M, co, nargs, wrap != 0);
}

static lua_State *check_co(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (!co) luaL_typeerror(L, 1, "coroutine");
  return co;
}

/* "suspended", "normal", "running", "dead" as stock has it; parked is normal. */
static const char *status_of(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (co == L) return "running";
  if (mc__lua_is_parked(co)) return "normal";
  switch (lua_status(co)) {
  case LUA_YIELD: return "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default: return "dead";
  }
}

/* The same for both: moves the arguments over and resumes, or says why not. */
static int start_resume(lua_State *L, bool wrap) {
  mc_lua *M = mc__lua_peek(L);
  lua_State *co = resumed(L, wrap);
  int nargs = lua_gettop(L) - !wrap;
  const char *status = status_of(L, co);
  const char *why = *status != 's' ? status : NULL;
  if (why || (nargs && !lua_checkstack(co, nargs))) {
    lua_pushfstring(L,
                    why ? "cannot resume %s coroutine" : "too many arguments to resume",
                    why && *why == 'r'   ? "non-suspended"
                    : why && *why == 'n' ? "non-suspended"
                                         : why);
    if (wrap) {
      luaL_where(L, 1);
      lua_insert(L, -2);
      lua_concat(L, 2);
      return lua_error(L);
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_xmove(L, co, nargs);
  return resume_from(L, M, co, nargs, wrap);
}

static int l_co_resume(lua_State *L) {
  check_co(L);
  return start_resume(L, false);
}

static int l_co_wrapped(lua_State *L) { return start_resume(L, true); }

static int l_co_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int l_co_wrap(lua_State *L) {
  l_co_create(L);
  lua_pushcclosure(L, l_co_wrapped, 1);
  return 1;
}

static int l_co_yield(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  if (M && M->current && M->current->co == L)
    return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yieldleave(L, lua_gettop(L), 0, NULL);
}

static int l_co_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_co(L)));
  return 1;
}

static int l_co_isyieldable(lua_State *L) {
  mc_lua *M = mc__lua_peek(L);
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, lua_isyieldable(co) && !(M && M->current && M->current->co == co));
  return 1;
}

/* Stock close, for what is not parked. Upvalue 1: stock's. */
static int l_co_close(lua_State *L) {
  check_co(L);
  if (mc__lua_is_parked(lua_tothread(L, 1)))
    return luaL_error(L, "cannot close a normal coroutine");
  int top = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, top, LUA_MULTRET);
  return lua_gettop(L);
}

void mc__lua_open_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {{"create", l_co_create},
                                       {"wrap", l_co_wrap},
                                       {"resume", l_co_resume},
                                       {"yield", l_co_yield},
                                       {"status", l_co_status},
                                       {"isyieldable", l_co_isyieldable},
                                       {NULL, NULL}};
  lua_getglobal(L, "coroutine");
  luaL_setfuncs(L, functions, 0);
  lua_getfield(L, -1, "close");
  lua_pushcclosure(L, l_co_close, 1);
  lua_setfield(L, -2, "close");
  lua_pop(L, 1);
}
