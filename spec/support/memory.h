/*
** An allocator that counts, for tests: how much is in use, the most there was at once, and how often
** it was asked. It checks that whoever frees or grows a block knows its size, and fails the n-th
** request when told to.
*/
#ifndef MC_MEMORY_H
#define MC_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory {
  size_t used, peak, requests;
  size_t fail_at; /* the request that fails, from 1; 0: none */
} memory;

/* Behind each block stands its size: that of max_align_t keeps what follows aligned. */
enum { MEMORY_HEAD = 16 };

static inline void memory_wrong(const char *what, size_t said, size_t is) {
  fprintf(stderr, "memory: a block of %zu bytes is %s as one of %zu\n", is, what, said);
  abort();
}

/* As mc_host's and Lua's: osize says how large ptr is. Without ptr Lua passes a kind of object. */
static inline void *memory_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  memory *m = ud;
  uint8_t *block = ptr ? (uint8_t *)ptr - MEMORY_HEAD : NULL;
  size_t had = 0;
  if (block) memcpy(&had, block, sizeof had);
  if (block && had != osize) memory_wrong(nsize ? "grown" : "freed", osize, had);
  if (nsize == 0) {
    m->used -= had;
    free(block);
    return NULL;
  }
  /* Lua relies on that shrinking cannot fail. */
  if (nsize > had && ++m->requests == m->fail_at) return NULL;
  uint8_t *grown = realloc(block, MEMORY_HEAD + nsize);
  if (!grown) return NULL;
  memcpy(grown, &nsize, sizeof nsize);
  /* while it is copied both are there */
  if (m->used + nsize > m->peak) m->peak = m->used + nsize;
  m->used += nsize - had;
  return grown + MEMORY_HEAD;
}

#endif
