/*
** Timers: one binary heap per node, ordered by moment and then by the order in which they were
** set, so that two runs with the same inputs fire alike. A timer lives in its owner; the heap holds
** pointers, and each timer knows its place, so that clearing one costs no search.
*/
#include "node.h"

#include <math.h>

static bool before(const mc_timer *a, const mc_timer *b) {
  return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void put(mc_timers *h, size_t place, mc_timer *t) {
  h->heap[place] = t;
  t->place = place;
}

static void sift_up(mc_timers *h, size_t place, mc_timer *t) {
  for (; place > 1 && before(t, h->heap[place / 2]); place /= 2)
    put(h, place, h->heap[place / 2]);
  put(h, place, t);
}

static void sift_down(mc_timers *h, size_t place, mc_timer *t) {
  for (;;) {
    size_t child = place * 2;
    if (child > h->count) break;
    if (child < h->count && before(h->heap[child + 1], h->heap[child])) child++;
    if (!before(h->heap[child], t)) break;
    put(h, place, h->heap[child]);
    place = child;
  }
  put(h, place, t);
}

bool mc_timer_set(mc_node *n, mc_timer *t, double at_ms) {
  mc_timers *h = &n->timers;
  mc_timer_clear(n, t);
  if (h->count + 1 >= h->cap) {
    size_t cap = h->cap ? h->cap * 2 : MC_FIRST_SLOTS + 1;
    mc_timer **heap = mc__alloc(n, h->heap, h->cap * sizeof *heap, cap * sizeof *heap);
    if (!heap) return false;
    h->heap = heap;
    h->cap = cap;
  }
  t->at_ms = at_ms;
  t->order = h->order++;
  sift_up(h, ++h->count, t);
  return true;
}

void mc_timer_clear(mc_node *n, mc_timer *t) {
  mc_timers *h = &n->timers;
  size_t place = t->place;
  if (!place) return;
  t->place = 0;
  mc_timer *last = h->heap[h->count--];
  if (last == t) return;
  if (place > 1 && before(last, h->heap[place / 2]))
    sift_up(h, place, last);
  else
    sift_down(h, place, last);
}

double mc__timers_run(mc_node *n, double now_ms) {
  mc_timers *h = &n->timers;
  uint64_t until = h->order; /* what is set while one fires waits for the next turn */
  while (h->count && h->heap[1]->at_ms <= now_ms && h->heap[1]->order < until) {
    mc_timer *t = h->heap[1];
    mc_timer_clear(n, t);
    t->fire(n, t);
  }
  return h->count ? h->heap[1]->at_ms : INFINITY;
}

void mc__timers_fini(mc_node *n) {
  mc_timers *h = &n->timers;
  while (h->count) mc_timer_clear(n, h->heap[1]);
  if (h->heap) mc__alloc(n, h->heap, h->cap * sizeof *h->heap, 0);
  h->heap = NULL;
  h->cap = 0;
}
