/* Actors written in C that block their node, and that await as Lua does. */
#include <string.h>
#include <time.h>

#include "../fixtures/component.c"
#include "check.h"
#include "mooncast_lua.h"

static void no_log(void *ud, const char *node, mc_log_level level, const char *text,
                   size_t len) {
  (void)ud, (void)node, (void)level, (void)text, (void)len;
}

static mc_system *open_system(lua_CFunction open) {
  char why[512] = "";
  mc_system_config config;
  mc_system_config_init(&config);
  config.workers = 3;
  config.log = no_log;
  config.open = open;
  mc_system *s = mc_system_new(&config, why, sizeof why);
  if (!s) check_true(false, why, __FILE__, __LINE__);
  return s;
}

static void run(mc_system *s, const char *source) {
  char why[2000];
  if (!mc_system_run_string(s, source, "test", why, sizeof why))
    check_true(false, why, __FILE__, __LINE__);
}

/* Takes 100 ms and awaits nothing: its node does nothing else meanwhile. */
static int sync_compute(lua_State *L) {
  struct timespec t = {.tv_nsec = 100000000};
  lua_settop(L, 2);
  lua_getfield(L, 1, "busy");
  if (lua_toboolean(L, -1)) return luaL_error(L, "two at a time");
  lua_pushboolean(L, 1);
  lua_setfield(L, 1, "busy");
  nanosleep(&t, NULL);
  lua_pushboolean(L, 0);
  lua_setfield(L, 1, "busy");
  lua_pushvalue(L, 2);
  return 1;
}

static void blocking(void) {
  static const luaL_Reg methods[] = {{"compute", sync_compute}, {NULL, NULL}};
  mc_system *s = open_system(NULL);
  if (!s) return;
  CHECK(mc_system_expose(s, "sync", methods, NULL));
  run(s,
      "local mc = require 'mooncast'\n"
      "local Caller = mc.actor 'Caller'\n"
      "function Caller:echo(v) return v end\n"
      "function Caller:call_all(sync, echo)\n"
      "  local ticks, answers, tasks = {}, {}, {}\n"
      "  for i = 1, 10 do\n"
      "    tasks[i] = mc.async(function()\n"
      "      local answer = sync:compute(i)\n"
      "      answers[#answers + 1] = answer\n"
      "      for j = #answers + 1, 10 do assert(ticks[j], 'a caller was blocked') end\n"
      "      ticks = {}\n"
      "    end)\n"
      "    mc.async(function() while true do ticks[echo:echo(i)] = true end end)\n"
      "  end\n"
      "  for i = 1, 10 do tasks[i]:await() end\n"
      "  return table.concat(answers, ' ')\n"
      "end\n"
      "local caller, echo = mc.spawn { Caller, on = 'w2' }, mc.spawn { Caller, on = 'w3' "
      "}\n"
      "local order = caller:call_all(mc.lookup 'sync', echo)\n"
      "assert(order == '1 2 3 4 5 6 7 8 9 10', order)\n");
  mc_system_free(s);
}

static int bar_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_pushboolean(L, 0);
  lua_setfield(L, 1, "inside");
  lua_settop(L, 3);
  lua_pushliteral(L, " - exited host");
  lua_concat(L, 2);
  return 1;
}

/* self, text: sleeps as Lua does, and others are served meanwhile */
static int host_bar(lua_State *L) {
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_pushliteral(L, " - entered host");
  lua_concat(L, 2);
  lua_pushboolean(L, 1);
  lua_setfield(L, 1, "inside");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "mooncast");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "sleep");
  lua_pushnumber(L, 0.05);
  lua_callk(L, 1, 0, 0, bar_k);
  return bar_k(L, LUA_OK, 0);
}

static void round_trip(void) {
  static const luaL_Reg methods[] = {{"bar", host_bar}, {NULL, NULL}};
  mc_system *s = open_system(NULL);
  if (!s) return;
  CHECK(mc_system_expose(s, "host", methods, NULL));
  run(s,
      "local mc = require 'mooncast'\n"
      "local Guest = mc.actor('Guest', { reentrant = true })\n"
      "function Guest:foo(text)\n"
      "  self.inside = true\n"
      "  text = mc.lookup('host'):bar(text .. ' - entered guest')\n"
      "  mc.sleep(0.01)\n"
      "  self.inside = false\n"
      "  return text .. ' - exited guest'\n"
      "end\n"
      "function Guest:is_inside() return self.inside end\n"
      "local guest = mc.spawn { Guest, on = 'w2' }\n"
      "local task, both = mc.async(guest.foo, guest, 'hello, world!'), false\n"
      "while task:status() == 'running' do both = guest:is_inside() or both end\n"
      "assert(both, 'the guest never awaited')\n"
      "local text = task:await()\n"
      "assert(text == 'hello, world! - entered guest - entered host - exited host - '\n"
      "  .. 'exited guest', text)\n");
  mc_system_free(s);
}

/* spec/support/component.lua with components in Lua, in C and exposed from C. */
static void suite(void) {
  mc_system *s = open_system(mooncast_open);
  if (!s) return;
  CHECK(mc_system_expose(s, "exposed", component, NULL));
  run(s, "local mc = require 'mooncast'\n"
         "local suite = require 'spec.support.component'\n"
         "local Other = mc.actor('Other', { reentrant = true })\n"
         "function Other:echo(...) return ... end\n"
         "function Other:fail(value) error(value, 0) end\n"
         "function Other:sleep(seconds) mc.sleep(seconds) end\n"
         "local Lua = mc.actor 'Lua'\n"
         "function Lua:echo(...) return ... end\n"
         "function Lua:add(a, b) return a + b end\n"
         "function Lua:same(ref) return ref end\n"
         "function Lua:note(value)\n"
         "  self.all = self.all and self.all .. ' ' .. value or tostring(value)\n"
         "end\n"
         "function Lua:notes() return self.all end\n"
         "function Lua:fail(value) error(value, 0) end\n"
         "function Lua:relay(...) return require('mooncast').call(...) end\n"
         "function Lua:_hidden() end\n"
         "local other = mc.spawn { Other, on = 'w3' }\n"
         "local C = require 'component'\n"
         "for _, on in ipairs { 'w1', 'w2' } do\n"
         "  assert(suite(mc.spawn { Lua, on = on }, other) == 'complete')\n"
         "  assert(suite(mc.spawn { C, on = on }, other) == 'complete')\n"
         "end\n"
         "assert(suite(mc.lookup 'exposed', other) == 'complete')\n"
         "mc.stop(other)\n");
  mc_system_free(s);
}

static const check_test tests[] = {
    {"a C function that blocks serves ten callers in turn [K18]", blocking},
    {"a component does all that one must in Lua and in C [K24]", suite},
    {"a Lua actor and one in C await one another [L1]", round_trip},
};

int main(void) { return CHECK_RUN(tests); }
