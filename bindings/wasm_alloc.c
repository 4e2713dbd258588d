// Memory for Lua and the core. Both say how large what they give back was, so a small block needs no header:
// it is a cell of its size, and when it is freed it waits in a list for the next block of that size. It
// stays one for good; what is larger comes from the C library.
#include <stdlib.h>
#include <string.h>

#include "lua_node.h"

enum { GRAIN = 8, LARGEST = 256, CHUNK = 16384 };

typedef struct cell {
  struct cell *next;
} cell;

static cell *freed[LARGEST / GRAIN + 1];
static char *chunk; // what no cell has been made of yet
static size_t left;

static size_t grains(size_t size) { return (size + GRAIN - 1) / GRAIN; }

static void *take(size_t size) {
  if (size > LARGEST) return malloc(size);
  cell **list = &freed[grains(size)], *found = *list;
  if (found) {
    *list = found->next;
    return found;
  }
  size = grains(size) * GRAIN;
  if (left < size) {
    char *more = malloc(CHUNK);
    if (!more) return NULL;
    chunk = more;
    left = CHUNK;
  }
  left -= size;
  return chunk + left;
}

static void give_back(void *block, size_t size) {
  if (size > LARGEST) {
    free(block);
    return;
  }
  cell *it = block, **list = &freed[grains(size)];
  it->next = *list;
  *list = it;
}

void *mc__lua_resize(void *block, size_t osize, size_t nsize) {
  if (block && osize > LARGEST && nsize > LARGEST) return realloc(block, nsize);
  if (block && nsize && grains(osize) == grains(nsize)) return block;
  void *other = NULL;
  if (nsize) {
    other = take(nsize);
    if (!other) return NULL;
    if (block) memcpy(other, block, osize < nsize ? osize : nsize);
  }
  if (block) give_back(block, osize);
  return other;
}
