/*
** Backpressure for casts between nodes. A node may have MC_CAST_WINDOW casts to one actor elsewhere
** that are not handled yet; whoever wants to cast more waits. The actor's node counts what it has
** handled and gives credit back in lots, so that a cast costs a fraction of an envelope in return.
** Replies and stops need no credit: they never wait behind casts.
*/
#include "node.h"

enum { LOT = MC_CAST_WINDOW / 4 };

static mc_window **bucket_of(mc_node *n, uint32_t peer, uint64_t instance) {
  uint64_t h = (instance * 0x9e3779b97f4a7c15u) ^ peer * 0x85ebca6bu;
  return &n->windows[(h ^ h >> 32) % MC_WINDOW_BUCKETS];
}

static mc_window **window_find(mc_node *n, uint32_t peer, uint64_t instance) {
  mc_window **at = bucket_of(n, peer, instance);
  while (*at && ((*at)->peer != peer || (*at)->instance != instance)) at = &(*at)->next;
  return at;
}

static mc_window *window_new(mc_node *n, mc_window **at, uint32_t peer,
                             uint64_t instance) {
  mc_window *w = mc__alloc(n, NULL, 0, sizeof *w);
  if (!w) return NULL;
  *w = (mc_window){.peer = peer, .instance = instance};
  return *at = w;
}

/* ---- queues of those who wait to cast -------------------------------------------------------- */

void mc__waits_append(mc_waits *queue, mc_wait *w) {
  w->queue = queue;
  w->next = NULL;
  w->before = queue->last;
  if (queue->last)
    queue->last->next = w;
  else
    queue->first = w;
  queue->last = w;
}

void mc__waits_remove(mc_wait *w) {
  if (!w->queue) return;
  *(w->before ? &w->before->next : &w->queue->first) = w->next;
  *(w->next ? &w->next->before : &w->queue->last) = w->before;
  w->next = w->before = NULL;
  w->queue = NULL;
}

static void waits_move(mc_waits *to, mc_waits *from) {
  for (mc_wait *w; (w = from->first);) {
    mc__waits_remove(w);
    mc__waits_append(to, w);
  }
}

void mc__waits_settle(mc_node *n) {
  for (mc_wait *w; (w = n->woken.first);) {
    mc_outcome o = {.failed = w->woken != MC_OK, .code = w->woken};
    mc__waits_remove(w);
    n->language.settle(n->language.ud, w, &o);
  }
}

/* They stand in a queue of the node meanwhile, so that each may be forgotten and no jump loses one.
** Who waits again, from inside its settling, waits for the next time. */
void mc__waits_wake(mc_node *n, mc_waits *queue, mc_error code) {
  for (mc_wait *w = queue->first; w; w = w->next) w->woken = code;
  waits_move(&n->woken, queue);
  mc__waits_settle(n);
}

/* ---- the side that casts --------------------------------------------------------------------- */

bool mc__credit_take(mc_node *n, uint32_t peer, uint64_t instance, mc_wait *w,
                     bool *no_memory) {
  mc_window **at = window_find(n, peer, instance);
  *no_memory = false;
  if (!*at && !window_new(n, at, peer, instance)) return *no_memory = true, false;
  if ((*at)->used < MC_CAST_WINDOW) return (*at)->used++, true;
  if (w) mc__waits_append(&(*at)->waiting, w);
  return false;
}

static void window_lower(mc_node *n, mc_window **at, uint32_t count) {
  mc_window *w = *at;
  w->used -= count < w->used ? count : w->used;
  for (mc_wait *i = w->waiting.first; i; i = i->next) i->woken = MC_OK;
  waits_move(&n->woken, &w->waiting);
  if (w->used == 0) {
    *at = w->next;
    mc__alloc(n, w, sizeof *w, 0);
  }
  mc__waits_settle(n);
}

void mc__credit_arrived(mc_node *n, uint32_t peer, uint64_t instance, uint32_t count) {
  mc_window **at = window_find(n, peer, instance);
  if (*at) window_lower(n, at, count);
}

void mc__credit_untake(mc_node *n, uint32_t peer, uint64_t instance) {
  mc__credit_arrived(n, peer, instance, 1);
}

/* ---- the side that handles ------------------------------------------------------------------- */

bool mc__credit_give(mc_node *n, uint32_t peer, uint64_t instance, uint32_t count) {
  mc_buf *out = mc__outbox(n, peer);
  if (!out) return false;
  size_t frame = mc__frame_open(out);
  mc_envelope e = {.kind = MC_ENV_CREDIT, .instance = instance, .count = count};
  mc__envelope_write(out, &e);
  if (!mc__frame_close(out, frame)) return false;
  mc__outbox_dirty(n, peer);
  return true;
}

static mc_handled *handled_by(mc_node *n, mc_actor *a, uint32_t peer) {
  for (mc_handled *h = a->handled; h; h = h->next)
    if (h->peer == peer) return h;
  mc_handled *h = mc__alloc(n, NULL, 0, sizeof *h);
  if (!h) return NULL;
  *h = (mc_handled){.next = a->handled, .peer = peer};
  return a->handled = h;
}

bool mc__credit_used(mc_node *n, mc_actor *a, uint32_t peer) {
  mc_handled *h = handled_by(n, a, peer);
  return !h || ++h->open <= MC_CAST_WINDOW;
}

void mc__credit_handled(mc_node *n, mc_actor *a, uint32_t peer) {
  mc_handled *h = handled_by(n, a, peer);
  if (!h) {
    mc__credit_give(n, peer, a->instance, 1);
  } else if (++h->count >= LOT && mc__credit_give(n, peer, a->instance, h->count)) {
    h->open -= h->count < h->open ? h->count : h->open; /* less when memory was out */
    h->count = 0;
  }
}

void mc__credit_flush(mc_node *n, mc_actor *a) {
  while (a->handled) {
    mc_handled *h = a->handled;
    a->handled = h->next;
    if (h->count) mc__credit_give(n, h->peer, a->instance, h->count);
    mc__alloc(n, h, sizeof *h, 0);
  }
}

/* Those who waited stand in `waiting` then. */
static void windows_drop(mc_node *n, uint32_t peer, bool all, mc_waits *waiting) {
  for (int i = 0; i < MC_WINDOW_BUCKETS; i++) {
    mc_window **at = &n->windows[i];
    while (*at) {
      mc_window *w = *at;
      if (!all && w->peer != peer) {
        at = &w->next;
        continue;
      }
      *at = w->next;
      waits_move(waiting, &w->waiting);
      mc__alloc(n, w, sizeof *w, 0);
    }
  }
}

void mc__credit_peer_down(mc_node *n, uint32_t peer, mc_error code) {
  mc_waits waiting = {0};
  windows_drop(n, peer, false, &waiting);
  mc__waits_wake(n, &waiting, code);
}

void mc__credit_fini(mc_node *n) {
  mc_waits waiting = {0};
  windows_drop(n, 0, true, &waiting);
  waits_move(&waiting, &n->woken);
  while (waiting.first) mc__waits_remove(waiting.first);
}
