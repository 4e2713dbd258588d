/*
** Parcels: blocks of bytes on their way between nodes that share their memory. What is sent is a random
** name of 16 bytes; who reads it there claims the block. A name from anywhere else finds nothing.
**
** Each entry is for one node. It leaves the table when that node claims it, when a message is dropped
** that nobody will read (mc_language.discard), when the send is taken back, or with the node. The lock
** is held for a few instructions, so that spinning is enough.
*/
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lua_node.h"

enum { BUCKETS = 64 };

typedef struct parcel {
  struct parcel *next;
  uint8_t token[MC_TOKEN_SIZE];
  uint64_t to; /* incarnation */
  mc_block *block;
} parcel;

struct mc_parcels {
  atomic_flag lock;
  atomic_size_t count;
  parcel *buckets[BUCKETS];
};

/* ---- blocks ---------------------------------------------------------------------------------- */

struct mc_block {
  atomic_size_t refs;
  size_t size;
  bool shared;
  uint8_t bytes[];
};

mc_block *mc__block_new(size_t size) {
  if (size > PTRDIFF_MAX - sizeof(mc_block)) return NULL;
  mc_block *b = malloc(sizeof *b + size);
  if (!b) return NULL;
  atomic_init(&b->refs, 1);
  b->size = size;
  b->shared = false;
  return b;
}

uint8_t *mc__block_bytes(mc_block *b, size_t *size) {
  *size = b->size;
  return b->bytes;
}

bool mc__block_is_shared(const mc_block *b) { return b->shared; }
void mc__block_share(mc_block *b) { b->shared = true; }

static mc_block *keep(mc_block *b) {
  atomic_fetch_add(&b->refs, 1);
  return b;
}

void mc__block_drop(mc_block *b) {
  if (b && atomic_fetch_sub(&b->refs, 1) == 1) free(b);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void lock(mc_parcels *p) {
  while (atomic_flag_test_and_set_explicit(&p->lock, memory_order_acquire)) continue;
}

static void unlock(mc_parcels *p) {
  atomic_flag_clear_explicit(&p->lock, memory_order_release);
}

mc_parcels *mc__parcels_new(void) {
  mc_parcels *p = calloc(1, sizeof *p);
  if (p) atomic_flag_clear(&p->lock);
  return p;
}

static parcel **bucket(mc_parcels *p, const uint8_t *token) {
  return &p->buckets[token[0] % BUCKETS];
}

bool mc__parcel_add(mc_parcels *p, mc_block *b, uint64_t to, const uint8_t *token) {
  parcel *e = malloc(sizeof *e);
  if (!e) return false;
  memcpy(e->token, token, MC_TOKEN_SIZE);
  e->to = to;
  e->block = keep(b);
  lock(p);
  e->next = *bucket(p, token);
  *bucket(p, token) = e;
  unlock(p);
  atomic_fetch_add(&p->count, 1);
  return true;
}

mc_block *mc__parcel_take(mc_parcels *p, uint64_t to, const uint8_t *token) {
  if (!p || atomic_load(&p->count) == 0) return NULL;
  lock(p);
  parcel **at = bucket(p, token), *e;
  while ((e = *at) && (e->to != to || memcmp(e->token, token, MC_TOKEN_SIZE) != 0))
    at = &e->next;
  if (e) *at = e->next;
  unlock(p);
  if (!e) return NULL;
  mc_block *b = e->block;
  free(e);
  atomic_fetch_sub(&p->count, 1);
  return b;
}

size_t mc__parcels_count(const mc_parcels *p) { return p ? atomic_load(&p->count) : 0; }

static void drop_list(mc_parcels *p, parcel *list) {
  while (list) {
    parcel *next = list->next;
    mc__block_drop(list->block);
    free(list);
    atomic_fetch_sub(&p->count, 1);
    list = next;
  }
}

void mc__parcels_drop(mc_parcels *p, uint64_t to) {
  parcel *gone = NULL;
  if (mc__parcels_count(p) == 0) return;
  lock(p);
  for (int i = 0; i < BUCKETS; i++) {
    for (parcel **at = &p->buckets[i], *e; (e = *at);) {
      if (e->to != to) {
        at = &e->next;
        continue;
      }
      *at = e->next;
      e->next = gone;
      gone = e;
    }
  }
  unlock(p);
  drop_list(p, gone);
}

void mc__parcels_free(mc_parcels *p) {
  for (int i = 0; p && i < BUCKETS; i++) drop_list(p, p->buckets[i]);
  free(p);
}
