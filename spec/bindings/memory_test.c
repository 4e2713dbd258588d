/*
** No memory, through Lua: a system of two nodes on this thread, of which every allocation, Lua's, the
** core's and the host's, can fail. The linker puts the functions below in the place of malloc, realloc
** and calloc.
**
** A run of allocations fails from the n-th on, for every n: 1, so that the core and the host see it; 2,
** because Lua collects its garbage and tries again; 40, so that what would be the way out fails as well.
** MEMORY_STEP=k looks at every k-th n only where there are many.
*/
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lua_node.h"

static struct {
  size_t requests, fail_from, fail_count;
  long blocks;
} heap;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);

static bool fails(void) {
  size_t n = ++heap.requests;
  return heap.fail_from && n >= heap.fail_from && n < heap.fail_from + heap.fail_count;
}

void *__wrap_malloc(size_t size) {
  void *block = fails() ? NULL : __real_malloc(size);
  heap.blocks += block != NULL;
  return block;
}

void *__wrap_calloc(size_t count, size_t size) {
  void *block = fails() ? NULL : __real_calloc(count, size);
  heap.blocks += block != NULL;
  return block;
}

/* Lua relies on that shrinking cannot fail. */
void *__wrap_realloc(void *ptr, size_t size) {
  if ((!ptr || size > malloc_usable_size(ptr)) && fails()) return NULL;
  void *block = __real_realloc(ptr, size);
  heap.blocks += block && !ptr;
  return block;
}

void __wrap_free(void *ptr) {
  heap.blocks -= ptr != NULL;
  __real_free(ptr);
}

static void fail_from(size_t n, size_t count) {
  heap.requests = 0;
  heap.fail_from = n;
  heap.fail_count = count;
}

static bool failed_any(void) { return heap.fail_from && heap.requests >= heap.fail_from; }

static size_t step_wanted(size_t otherwise) {
  const char *text = getenv("MEMORY_STEP");
  return text ? (size_t)strtoul(text, NULL, 10) : otherwise;
}

/* ---- a system -------------------------------------------------------------------------------- */

static int logged;

static void count_log(void *ud, const char *node, mc_log_level level, const char *text,
                      size_t len) {
  (void)ud, (void)node, (void)level, (void)text, (void)len;
  logged++;
}

/* On every node. */
static int register_point(lua_State *L) {
  if (luaL_dostring(L, "require('mooncast').type 'Point'")) return lua_error(L);
  return 0;
}

static mc_system *open_system(char *why, size_t why_size) {
  mc_system_config config;
  mc_system_config_init(&config);
  config.workers = 2;
  config.threads = false;
  config.call_timeout_ms =
      20000; /* an answer that got lost becomes a timeout, which is refused */
  config.log = count_log;
  config.open = register_point;
  return mc_system_new(&config, why, why_size);
}

static bool run(mc_system *s, const char *source, const char *name) {
  char why[2000];
  bool ok = mc_system_run_string(s, source, name, why, sizeof why);
  if (!ok) check_true(false, why, name, 0);
  return ok;
}

typedef struct prepared {
  lua_State *L;
  int attempt, verify, used; /* registry references */
  int steps;
} prepared;

static int global_ref(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static bool prepare(mc_system *s, prepared *p) {
  char why[2000];
  if (!mc_system_run(s, "spec/fixtures/memory.lua", 0, NULL, why, sizeof why))
    return check_true(false, why, "spec/fixtures/memory.lua", 0);
  lua_State *L = p->L = mc_system_state(s);
  lua_getglobal(L, "steps_count");
  lua_call(L, 0, 1);
  p->steps = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  p->attempt = global_ref(L, "attempt");
  p->verify = global_ref(L, "verify");
  p->used = global_ref(L, "used");
  return true;
}

/* Without memory only this of Lua may be called. */
static bool attempt(const prepared *p, int i) {
  lua_State *L = p->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->attempt);
  lua_pushinteger(L, i);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  bool known = ok || (lua_type(L, -1) == LUA_TSTRING &&
                      strcmp(lua_tostring(L, -1), "not enough memory") == 0);
  if (!known && lua_type(L, -1) == LUA_TTABLE) {
    lua_pushliteral(L, "code");
    known = lua_rawget(L, -2) == LUA_TSTRING &&
            strcmp(lua_tostring(L, -1), "out_of_memory") == 0;
  }
  if (!known) printf("raised: %s\n", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
  return known;
}

static bool verify(const prepared *p) {
  lua_State *L = p->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->verify);
  bool ran = lua_pcall(L, 0, 1, 0) == LUA_OK;
  bool ok = ran && lua_isboolean(L, -1);
  if (!ok) check_true(false, luaL_tolstring(L, -1, NULL), "verify", ran);
  lua_settop(L, 0);
  return ok;
}

static double used(const prepared *p) {
  lua_rawgeti(p->L, LUA_REGISTRYINDEX, p->used);
  lua_call(p->L, 0, 1);
  double kilobytes = lua_tonumber(p->L, -1);
  lua_settop(p->L, 0);
  return kilobytes;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const size_t RUNS[] = {1, 2, 40};

/* What could not be told at once is told soon. */
#define CHECK_NODES                                                           \
  "local mc = require 'mooncast' "                                            \
  "for _ = 1, 100 do if #mc.nodes() == 2 then return end mc.sleep(0.01) end " \
  "error('there are ' .. #mc.nodes() .. ' nodes')"

static void opening(void) {
  char why[512];
  size_t step = step_wanted(101);
  for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++) {
    bool more = true;
    for (size_t n = 1 + i; more; n += step) {
      long before = heap.blocks;
      check_about("allocation %d, %d fail", (int)n, (int)RUNS[i]);
      why[0] = '\0';
      fail_from(n, RUNS[i]);
      mc_system *s = open_system(why, sizeof why);
      more = failed_any();
      fail_from(0, 0);
      if (!s && !CHECK(strstr(why, "memory"))) printf("why: %s\n", why);
      if (s) CHECK(run(s, CHECK_NODES, "after"));
      if (s) mc_system_free(s);
      if (!CHECK_INT(heap.blocks - before, 0)) return;
    }
  }
}

/* One system for all n of a step: it lives on. */
static void every_step(void) {
  char why[512];
  long before = heap.blocks;
  mc_system *s = open_system(why, sizeof why);
  prepared p;
  if (!CHECK(s) || !prepare(s, &p)) return;
  bool good = true;
  for (int round = 0; round < 3; round++)
    for (int i = 1; i <= p.steps; i++) CHECK(attempt(&p, i) && verify(&p));
  double kilobytes = used(&p);
  size_t sum = 0;
  for (size_t r = 0; good && r < sizeof RUNS / sizeof *RUNS; r++)
    for (int i = 1; good && i <= p.steps; i++) {
      bool more = true;
      for (size_t n = 1; good && more; n++, sum++) {
        check_about("step %d, allocation %d, %d fail", i, (int)n, (int)RUNS[r]);
        fail_from(n, RUNS[r]);
        bool known = attempt(&p, i);
        more = failed_any();
        fail_from(0, 0);
        good = CHECK(known) && verify(&p);
      }
    }
  double more = used(&p) - kilobytes;
  printf("%d failures of %d steps, %d lines logged, Lua's memory %+.1f kB\n", (int)sum,
         p.steps, logged, more);
  CHECK(more < 64);
  mc_system_free(s);
  CHECK_INT(heap.blocks - before, 0);
}

/* Each time a type that the other node has not seen: its definition travels. */
static void definitions(void) {
  char why[512], source[600];
  long before = heap.blocks;
  mc_system *s = open_system(why, sizeof why);
  if (!CHECK(s)) return;
  size_t step = step_wanted(7);
  bool more = true;
  for (size_t n = 1; more; n += step) {
    check_about("allocation %d", (int)n);
    snprintf(source, sizeof source,
             "local mc = require 'mooncast'\n"
             "local up = { %d }\n"
             "local T = mc.actor 'T'\n"
             "function T:get() up[1] = up[1] + 1 return up[1] end\n"
             "local ok, e = pcall(function() local r = mc.spawn { T, on = 'w2' }\n"
             "  assert(r:get() == %d) mc.stop(r) end)\n"
             "if not ok and type(e) == 'table' then e = e.code .. ': ' .. e.message end\n"
             "if not ok and not e:find 'memory' then error(e, 0) end\n",
             (int)n, (int)n + 1);
    fail_from(n, n % 2 ? 2 : 40);
    bool ok = mc_system_run_string(s, source, "travels", why, sizeof why);
    more = failed_any();
    fail_from(0, 0);
    if (!ok && !CHECK(strstr(why, "memory"))) printf("%s\n", why);
  }
  check_about(NULL);
  CHECK(run(s,
            "local mc = require 'mooncast' local T = mc.actor 'T' function T:get() "
            "return 1 end "
            "assert(mc.spawn({ T, on = 'w2' }):get() == 1)",
            "after"));
  mc_system_free(s);
  CHECK_INT(heap.blocks - before, 0);
}

/* A third node starts, works and is stopped. */
static void nodes(void) {
  char why[512];
  long before = heap.blocks;
  mc_system *s = open_system(why, sizeof why);
  if (!CHECK(s)) return;
  size_t step = step_wanted(61);
  for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++) {
    bool more = true;
    for (size_t n = 1 + i; more; n += step) {
      check_about("allocation %d, %d fail", (int)n, (int)RUNS[i]);
      fail_from(n, RUNS[i]);
      bool ok =
          mc_system_run_string(s,
                               "local mc = require 'mooncast'\n"
                               "name = mc.start_node()\n"
                               "local E = mc.actor 'E' function E:f(v) return v end\n"
                               "local e = mc.spawn { E, on = name }\n"
                               "assert(e:f(1) == 1) mc.stop_node(name)\n"
                               "assert(not pcall(e.f, e, 1)) name = nil\n",
                               "nodes", why, sizeof why);
      more = failed_any();
      fail_from(0, 0);
      if (!ok && !CHECK(strstr(why, "memory"))) printf("why: %s\n", why);
      /* with a dot in its name: one that was started here */
      if (!run(s,
               "local mc = require 'mooncast'\n"
               "for _ = 1, 100 do\n"
               "  for _, name in ipairs(mc.nodes()) do if name:find '%.' then "
               "mc.stop_node(name) end end\n"
               "  if #mc.nodes() == 2 then return end mc.sleep(0.01)\n"
               "end\n"
               "local s = {} for k, v in pairs(require'mooncast.node'.siblings) do "
               "s[#s+1] = k .. tostring(v.listed) .. v.incarnation end error('nodes: ' "
               ".. table.concat(mc.nodes(), ' ') .. table.concat(s, ' '))\n",
               "clean"))
        return;
    }
  }
  mc_system_free(s);
  CHECK_INT(heap.blocks - before, 0);
}

/* A node that reaches its maximum: an error in the handler that did it; the node lives. */
static void maximum(void) {
  char why[512];
  mc_system_config config;
  mc_system_config_init(&config);
  config.workers = 2;
  config.threads = false;
  config.max_memory = 4 << 20;
  config.log = count_log;
  mc_system *s = mc_system_new(&config, why, sizeof why);
  if (!CHECK(s)) return;
  CHECK(run(s,
            "local mc = require 'mooncast'\n"
            "local Hog = mc.actor 'Hog'\n"
            "function Hog:eat(how) local t = {}\n"
            "  if how == 'string' then return ('x'):rep(1 << 24) end\n"
            "  for i = 1, 1 << 24 do t[i] = { i } end end\n"
            "function Hog:take(s) return #s end\n"
            "function Hog:give(n) return ('x'):rep(n) end\n"
            "function Hog:good() return 'good' end\n"
            "for _, on in ipairs { 'w2', 'w1' } do\n"
            "  local hog, other = mc.spawn { Hog, on = on }, mc.spawn { Hog, on = on }\n"
            "  for i = 1, 5 do\n"
            "    for _, how in ipairs { 'table', 'string' } do\n"
            "      local ok, e = pcall(hog.eat, hog, how)\n"
            "      assert(not ok and tostring(e):find 'not enough memory', e)\n"
            "      assert(hog:good() == 'good' and other:good() == 'good')\n"
            "    end\n"
            "    mc.cast(hog, 'eat') assert(hog:good() == 'good')\n"
            "    assert(other:take(('y'):rep(1 << 19)) == 1 << 19)\n"
            "  end\n"
            "end\n"
            /* what the caller cannot take in */
            "local far = mc.spawn { Hog, on = 'w2' }\n"
            "local full = {}\n"
            "pcall(function() for i = 1, 1 << 20 do full[i] = ('z'):rep(1000 + i % 7) .. "
            "i end end)\n"
            "local ok, e = pcall(far.give, far, 1 << 20)\n"
            "full = nil\n"
            "assert(not ok and tostring(e):find 'memory', e)\n"
            "assert(#far:give(1 << 19) == 1 << 19)\n",
            "maximum"));
  mc_system_free(s);
}

int main(void) {
  static const check_test tests[] = {
      {"a system that cannot open leaves nothing", opening},
      {"each step fails alone, at each of its allocations", every_step},
      {"a definition travels, or there is no memory", definitions},
      {"nodes come and go, or there is no memory", nodes},
      {"a node keeps to its maximum", maximum},
  };
  return CHECK_RUN(tests);
}
