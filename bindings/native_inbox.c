/* The inbox of a native node: see native_inbox.h. */
#include "native_inbox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool mc__inbox_init(mc_inbox *b, atomic_int *awake) {
  memset(b, 0, sizeof *b);
  b->awake = awake;
  b->last = &b->first;
  b->lock = mc_lock_new();
  return b->lock != NULL;
}

static void drop(mc_event *list) {
  while (list) {
    mc_event *next = list->next;
    free(list);
    list = next;
  }
}

void mc__inbox_fini(mc_inbox *b) {
  drop(b->first);
  mc_lock_free(b->lock);
}

/* ---- events ---------------------------------------------------------------------------------- */

mc_event *mc__event_new(mc_event_kind kind, void *about, const void *bytes, size_t len,
                        size_t cap) {
  mc_event *e = malloc(sizeof *e + cap);
  if (!e) return NULL;
  e->cap = cap;
  mc__event_fill(e, kind, about, bytes, len);
  return e;
}

void mc__event_fill(mc_event *e, mc_event_kind kind, void *about, const void *bytes,
                    size_t len) {
  e->next = NULL;
  e->kind = kind;
  e->about = about;
  e->len = len;
  if (len) memcpy(e->bytes, bytes, len);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void fall_asleep(mc_inbox *b) {
  b->asleep = true;
  atomic_fetch_sub(b->awake, 1);
}

/* Whoever has news for a thread counts it as awake, before itself falls asleep. */
static void wake_up(mc_inbox *b) {
  if (b->asleep) atomic_fetch_add(b->awake, 1);
  b->asleep = false;
}

/* Leaves the lock. */
static void leave_and_ring(mc_inbox *b) {
  bool waiting = b->waiting;
  wake_up(b);
  atomic_fetch_add_explicit(&b->rings, 1, memory_order_release);
  mc_lock_leave(b->lock);
  if (waiting) mc_lock_notify(b->lock);
}

bool mc__inbox_push(mc_inbox *b, mc_event *e) {
  mc_lock_enter(b->lock);
  if (b->closed) {
    mc_lock_leave(b->lock);
    free(e);
    return false;
  }
  *b->last = e;
  b->last = &e->next;
  leave_and_ring(b);
  return true;
}

/* Whether somebody rang since its thread last took. */
static bool rung(const mc_inbox *b) {
  return atomic_load_explicit(&b->rings, memory_order_acquire) != b->seen;
}

mc_event *mc__inbox_take(mc_inbox *b) {
  if (!rung(b)) return NULL;
  mc_lock_enter(b->lock);
  mc_event *list = b->first;
  b->first = NULL;
  b->last = &b->first;
  b->seen = atomic_load_explicit(&b->rings, memory_order_relaxed);
  mc_lock_leave(b->lock);
  return list;
}

void mc__inbox_put_back(mc_inbox *b, mc_event *list) {
  mc_event **end = &list;
  while (*end) end = &(*end)->next;
  mc_lock_enter(b->lock);
  *end = b->first;
  if (!b->first) b->last = end == &list ? &b->first : end;
  b->first = list;
  b->seen--;
  mc_lock_leave(b->lock);
}

bool mc__inbox_has_events(const mc_inbox *b) { return rung(b); }

void mc__inbox_close(mc_inbox *b) {
  mc_lock_enter(b->lock);
  mc_event *rest = b->first;
  b->closed = true;
  b->first = NULL;
  b->last = &b->first;
  leave_and_ring(b);
  drop(rest);
}

void mc__inbox_stop(mc_inbox *b) {
  mc_lock_enter(b->lock);
  atomic_store(&b->stop, true);
  leave_and_ring(b);
}

bool mc__inbox_stopped(const mc_inbox *b) { return atomic_load(&b->stop); }

/* ---- waiting --------------------------------------------------------------------------------- */

static bool look(mc_inbox *b) {
  enum { LOOKS = 64 };
  static const double LIMIT_MS = 0.015;
  double until = mc_platform_now_ms() + LIMIT_MS;
  do {
    for (int i = 0; i < LOOKS; i++)
      if (rung(b)) return true;
  } while (mc_platform_now_ms() < until);
  return false;
}

/* Both of two that answer each other must look to find it worth while, so a thread tries several times
** in a row before it gives up, and then rests for longer each time. */
static bool spins(mc_inbox *b) {
  enum { PATIENCE = 16, SHORTEST_REST = 16, LONGEST_REST = 2048 };
  if (b->resting) return b->resting--, false;
  if (look(b)) {
    if (b->failures)
      b->failures--;
    else
      b->rest = 0;
    return true;
  }
  if (++b->failures < PATIENCE) return false;
  b->failures = 0;
  b->rest = !b->rest ? SHORTEST_REST : b->rest < LONGEST_REST ? b->rest * 2 : b->rest;
  b->resting = b->rest;
  return false;
}

void mc__inbox_wait(mc_inbox *b, double ms, bool spin) {
  if (ms <= 0 || (spin && spins(b))) return;
  mc_lock_enter(b->lock);
  if (!b->first && !mc__inbox_stopped(b)) {
    b->waiting = true;
    if (isinf(ms)) fall_asleep(b);
    mc_lock_wait(b->lock, ms);
    b->waiting = false;
    wake_up(b);
  }
  mc_lock_leave(b->lock);
}
