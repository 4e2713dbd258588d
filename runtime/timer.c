/*
** Timers: one binary heap per node, ordered by moment and then by the order in which they were
** set, so that two runs with the same inputs fire alike. A timer lives in its owner; the heap holds
** pointers, and each timer knows its place, so that clearing one costs no search.
**
** Calls for which nobody chose a time all wait equally long. Their timers stand in a line, in the order in
** which they were set, which is that in which they are due. The clock is read for all that a step sets
** when it ends, and they count from there: until then nobody could have answered.
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

/* ---- the line -------------------------------------------------------------------------------- */

static const size_t IN_LINE = SIZE_MAX;

bool mc__timer_wait(mc_node *n, mc_timer *t, double wait_ms) {
  mc_timers *h = &n->timers;
  if (h->line && h->line_ms != wait_ms)
    return mc_timer_set(n, t, mc_node_now(n) + wait_ms);
  mc_timer_clear(n, t);
  h->line_ms = wait_ms;
  t->at_ms = INFINITY;
  t->order = h->order++;
  t->place = IN_LINE;
  t->next = NULL;
  t->before = h->line_end;
  *(h->line_end ? &h->line_end->next : &h->line) = t;
  h->line_end = t;
  if (!h->unstamped) h->unstamped = t;
  h->in_line++;
  return true;
}

void mc__timers_stamp(mc_node *n, double now_ms) {
  mc_timers *h = &n->timers;
  for (mc_timer *t = h->unstamped; t; t = t->next) t->at_ms = now_ms + h->line_ms;
  h->unstamped = NULL;
}

static void leave_line(mc_timers *h, mc_timer *t) {
  *(t->before ? &t->before->next : &h->line) = t->next;
  *(t->next ? &t->next->before : &h->line_end) = t->before;
  if (h->unstamped == t) h->unstamped = t->next;
  h->in_line--;
}

/* ---- both ------------------------------------------------------------------------------------ */

void mc_timer_clear(mc_node *n, mc_timer *t) {
  mc_timers *h = &n->timers;
  size_t place = t->place;
  if (!place) return;
  t->place = 0;
  if (place == IN_LINE) {
    leave_line(h, t);
    return;
  }
  mc_timer *last = h->heap[h->count--];
  if (last == t) return;
  if (place > 1 && before(last, h->heap[place / 2]))
    sift_up(h, place, last);
  else
    sift_down(h, place, last);
}

static mc_timer *earliest(const mc_timers *h) {
  mc_timer *t = h->count ? h->heap[1] : NULL;
  return h->line && (!t || before(h->line, t)) ? h->line : t;
}

double mc__timers_next(const mc_node *n) {
  const mc_timer *t = earliest(&n->timers);
  return t ? t->at_ms : INFINITY;
}

double mc__timers_run(mc_node *n, double now_ms) {
  mc_timer *t;
  uint64_t until =
      n->timers.order; /* what is set while one fires waits for the next turn */
  while ((t = earliest(&n->timers)) && t->at_ms <= now_ms && t->order < until) {
    mc_timer_clear(n, t);
    t->fire(n, t);
  }
  return mc__timers_next(n);
}

void mc__timers_fini(mc_node *n) {
  mc_timers *h = &n->timers;
  while (h->count) mc_timer_clear(n, h->heap[1]);
  while (h->line) mc_timer_clear(n, h->line);
  if (h->heap) mc__alloc(n, h->heap, h->cap * sizeof *h->heap, 0);
  h->heap = NULL;
  h->cap = 0;
}
