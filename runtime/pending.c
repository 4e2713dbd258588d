/*
** Pending calls: a slab of slots that point to the waits of tasks. A call id is slot and
** generation (22 and 30 bits), so that a stale answer finds nothing; it also has to come from the
** node that was asked. An entry exists before the call is sent, because an answer may arrive
** inside the send.
*/
#include "node.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static mc_wait *wait_of_timer(mc_timer *t) {
  return (mc_wait *)(void *)((char *)t - offsetof(mc_wait, timer));
}

static void timed_out(mc_node *n, mc_timer *t) {
  mc_outcome o = {.failed = true, .code = MC_E_TIMEOUT};
  mc_wait *w = wait_of_timer(t), asked = *w;
  mc__pending_settle(n, w, &o);
  mc_wait_cancel(n, &asked); /* what a callee here says to that comes too late */
}

static bool slots_grow(mc_node *n) {
  mc_pending *p = &n->pending;
  uint32_t cap = p->cap ? p->cap * 2 : MC_FIRST_SLOTS;
  if (cap > MC_MAX_SLOTS) return false;
  mc_slot *slots = mc__alloc(n, p->slots, p->cap * sizeof *slots, cap * sizeof *slots);
  if (!slots) return false;
  p->slots = slots;
  p->cap = cap;
  return true;
}

static mc_slot *take_slot(mc_node *n, uint32_t *index) {
  mc_pending *p = &n->pending;
  if (p->free) {
    *index = p->free - 1;
    p->free = p->slots[*index].next_free;
    return &p->slots[*index];
  }
  if (p->count == p->cap && !slots_grow(n)) return NULL;
  *index = p->count++;
  memset(&p->slots[*index], 0, sizeof *p->slots);
  p->slots[*index].generation = 1;
  return &p->slots[*index];
}

static void wait_release(mc_node *n, mc_wait *w) {
  mc_pending *p = &n->pending;
  uint32_t index = (uint32_t)(w->id & (MC_MAX_SLOTS - 1));
  mc_slot *s = &p->slots[index];
  s->wait = NULL;
  s->generation = s->generation == MC_CALL_GENERATIONS ? 1 : s->generation + 1;
  s->next_free = p->free;
  p->free = index + 1;
  p->live--;
  mc_timer_clear(n, &w->timer);
  w->id = 0;
}

static bool limit(mc_node *n, mc_timer *t, double deadline_ms) {
  if (isinf(deadline_ms)) return true;
  if (deadline_ms != MC_NOT_CHOSEN) return mc_timer_set(n, t, deadline_ms);
  return isinf(n->call_timeout_ms) || mc__timer_wait(n, t, n->call_timeout_ms);
}

mc_error mc__pending_add(mc_node *n, mc_wait *w, const mc_address *to,
                         double deadline_ms) {
  uint32_t index;
  w->timer.fire = timed_out;
  if (!limit(n, &w->timer, deadline_ms)) return MC_E_OUT_OF_MEMORY;
  mc_slot *s = take_slot(n, &index);
  if (!s) return mc_timer_clear(n, &w->timer), MC_E_OUT_OF_MEMORY;
  s->wait = w;
  w->id = (uint64_t)s->generation << MC_SLOT_BITS | index;
  w->peer = to->peer;
  w->instance = to->instance;
  memcpy(w->secret, to->secret, MC_SECRET_SIZE);
  n->pending.live++;
  return MC_OK;
}

mc_wait *mc__pending_find(mc_node *n, uint64_t call, uint32_t peer) {
  mc_pending *p = &n->pending;
  uint64_t index = call & (MC_MAX_SLOTS - 1);
  if (index >= p->count) return NULL;
  mc_wait *w = p->slots[index].wait;
  return w && w->id == call && w->peer == peer ? w : NULL;
}

void mc__pending_settle(mc_node *n, mc_wait *w, const mc_outcome *o) {
  if (w->id) wait_release(n, w);
  n->language.settle(n->language.ud, w, o);
}

void mc_wait_settled(mc_node *n, mc_wait *w) { wait_release(n, w); }

bool mc_wait_pending(const mc_wait *w) { return w->id != 0; }

void mc_wait_forget(mc_node *n, mc_wait *w) {
  mc__waits_remove(w);
  if (w->id) wait_release(n, w);
}

void mc__pending_fail_peer(mc_node *n, uint32_t peer, mc_error code) {
  mc_outcome o = {.failed = true, .code = code};
  for (uint32_t i = 0; i < n->pending.count; i++) {
    mc_wait *w = n->pending.slots[i].wait;
    if (w && w->peer == peer) mc__pending_settle(n, w, &o);
  }
}

void mc__pending_fini(mc_node *n) {
  mc_pending *p = &n->pending;
  for (uint32_t i = 0; i < p->count; i++)
    if (p->slots[i].wait) wait_release(n, p->slots[i].wait);
  if (p->slots) mc__alloc(n, p->slots, p->cap * sizeof *p->slots, 0);
  memset(p, 0, sizeof *p);
}
