// Read before Lua's ldo.c in the wasm build. Clang makes of a function that calls setjmp one that asks malloc for
// a table at its start and frees it at its end, each time: here it gets one that was freed before, from functions
// with those names that this file alone knows.
#ifndef MC_WASM_SETJMP_H
#define MC_WASM_SETJMP_H

#include <stddef.h>

void *mc__lua_resize(void *block, size_t osize, size_t nsize); // as in lua_node.h

// Four entries of two integers, and one that ends them: what clang asks for.
enum { TABLE_BYTES = 40 };

static __attribute__((used)) void *table_new(size_t size) __asm__("malloc");
static __attribute__((used)) void table_free(void *table) __asm__("free");

static void *spare; // starts with where the next one is

static void *table_new(size_t size) {
  void **table = spare;
  (void)size;
  if (!table) return mc__lua_resize(NULL, 0, TABLE_BYTES);
  spare = *table;
  return table;
}

static void table_free(void *table) {
  *(void **)table = spare;
  spare = table;
}

#endif
