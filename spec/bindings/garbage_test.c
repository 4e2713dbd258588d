/*
** What a warm call leaves behind: allocations in C and objects in Lua, counted in the process over 100,000
** calls, with the actor on the caller's node and on another thread. The linker puts the functions below in
** the place of malloc, realloc, calloc and Lua's allocator. With the argument `figures` prints what it
** counted, for the benchmarks.
*/
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mooncast_lua.h"

enum { CALLS = 100000 };

static _Atomic long requests; /* of memory, Lua's among them */
static _Atomic long objects;  /* that Lua made, and parts of them */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__real_mc__lua_alloc(void *memory, void *ptr, size_t osize, size_t nsize);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_mc__lua_alloc(void *memory, void *ptr, size_t osize, size_t nsize);

void *__wrap_malloc(size_t size) {
  requests++;
  return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  requests++;
  return __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size) {
  requests++;
  return __real_realloc(ptr, size);
}

void *__wrap_mc__lua_alloc(void *memory, void *ptr, size_t osize, size_t nsize) {
  objects += nsize > 0;
  return __real_mc__lua_alloc(memory, ptr, osize, nsize);
}

/* -> objects, allocations that are not Lua's, so far */
static int count(lua_State *L) {
  long lua = objects;
  lua_pushinteger(L, lua);
  lua_pushinteger(L, requests - lua);
  return 2;
}

typedef struct figures {
  double objects, allocations; /* of one call */
} figures;

static bool measure(const char *node, const char *call, figures *f) {
  char why[2000] = "", source[1000];
  mc_system_config config;
  mc_system_config_init(&config);
  config.workers = 2;
  mc_system *s = mc_system_new(&config, why, sizeof why);
  if (!s) return check_true(false, why, __FILE__, __LINE__);
  lua_State *L = mc_system_state(s);
  lua_register(L, "count", count);
  snprintf(source, sizeof source,
           "local mc = require 'mooncast'\n"
           "local Adder = mc.actor 'Adder'\n"
           "function Adder:add(n) self.sum = (self.sum or 0) + n return self.sum end\n"
           "local adder = mc.spawn { Adder, on = '%s' }\n"
           "local function add(times) for i = 1, times do %s end end\n"
           "mc.async(function()\n"
           "  add(1000)\n"
           "  adder:add(0)\n"
           "  local objects, allocations = count()\n"
           "  add(%d)\n"
           "  adder:add(0)\n"
           "  OBJECTS, ALLOCATIONS = count()\n"
           "  OBJECTS, ALLOCATIONS = OBJECTS - objects, ALLOCATIONS - allocations\n"
           "end):await()\n",
           node, call, CALLS);
  bool ok = mc_system_run_string(s, source, "garbage", why, sizeof why);
  if (!ok) check_true(false, why, __FILE__, __LINE__);
  lua_getglobal(L, "ALLOCATIONS");
  lua_getglobal(L, "OBJECTS");
  f->objects = (double)lua_tointeger(L, -1) / CALLS;
  f->allocations = (double)lua_tointeger(L, -2) / CALLS;
  lua_pop(L, 2);
  mc_system_free(s);
  return ok;
}

static const char CALL[] = "adder:add(i)", CAST[] = "mc.cast(adder, 'add', i)";

static void check(const char *node, const char *call) {
  figures f;
  if (!measure(node, call, &f)) return;
  check_about("%s: %.3f allocations, %.3f objects", node, f.allocations, f.objects);
  CHECK(f.allocations <= 1);
  CHECK(f.objects <= 2);
}

static void same_node(void) { check("w1", CALL); }
static void across_threads(void) { check("w2", CALL); }
static void casts(void) {
  check("w1", CAST);
  check("w2", CAST);
}

static int print_figures(void) {
  figures f;
  if (!measure("w1", CALL, &f)) return 1;
  printf("same_node_call_allocations %g\nsame_node_call_objects %g\n", f.allocations,
         f.objects);
  if (!measure("w2", CALL, &f)) return 1;
  printf("round_trip_allocations %g\nround_trip_objects %g\n", f.allocations, f.objects);
  return 0;
}

static const check_test tests[] = {
    {"garbage: a warm call on its node makes next to none [C19]", same_node},
    {"garbage: a warm call to another thread makes next to none [C19]", across_threads},
    {"garbage: so do casts [C19]", casts},
};

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "figures") == 0) return print_figures();
  return CHECK_RUN(tests);
}
