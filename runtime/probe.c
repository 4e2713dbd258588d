/*
** Probes: how a cycle of waits is found and named.
**
**   A:ping  awaits  B:pong  which waits behind  B:ping  which awaits  A:pong  which waits behind  A:ping
**
** A call that waits in a mailbox waits for the handlers that run there. Each of them ends only after
** what it awaits: the language says what that is. A probe goes along these waits, from node to node,
** and collects the names of the handlers. When it comes back to the very call that it was sent for,
** nothing can ever end the wait: that call is answered `deadlock`. All edges are waits for all (a
** language does not tell of waits that something else might end), and a link keeps the order of call
** and probe, so that no handler on the way can have gone on when the probe is back.
**
** The first probe goes when a call has waited for 50 ms, or at once when the call comes from a handler
** that this very actor waits for; the next ones after 100 ms, 200 ms and so on, for a cycle may close
** behind a probe. A handler is visited once by each probe.
*/
#include "node.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
  PROBE_MS = 50,
  PROBE_ROUNDS = 8, /* the last one more than 6 s after the first */
  ROUND_BITS = 4,
  MAX_HOPS = 100, /* handlers in one cycle */
};

typedef struct walk {
  mc_node *n;
  uint64_t node, probe; /* whose probe, which one */
  unsigned hops;
  mc_actor *found; /* where the call waited that was answered */
  size_t len;
  char text[MC_MAX_CYCLE + 1]; /* the handlers so far */
} walk;

static const char ARROW[] = " -> ";

static void append(walk *w, const char *s, size_t len) {
  while (len > 0 && !mc_utf8_valid(s, len)) len--; /* a name that was cut */
  if (w->len + len > MC_MAX_CYCLE) return;
  memcpy(w->text + w->len, s, len);
  w->len += len;
}

static void append_turn(walk *w, const mc_turn *t) {
  const char *type = t->actor->type->name;
  size_t most = strlen(type) + sizeof ARROW + sizeof t->name;
  if (w->len + most > MC_MAX_CYCLE) return;
  if (w->len) append(w, ARROW, sizeof ARROW - 1);
  append(w, type, strlen(type));
  append(w, ":", 1);
  if (t->kind == MC_INIT || t->kind == MC_STOP)
    append(w, t->kind == MC_INIT ? "init" : "stop", 4);
  else if (t->name_len)
    append(w, t->name, t->name_len);
  else
    append(w, "a function", 10);
}

/* ---- along the waits ------------------------------------------------------------------------- */

static void send_probe(walk *w, const mc_wait *wait) {
  mc_buf *out = w->hops < MAX_HOPS ? mc__outbox(w->n, wait->peer) : NULL;
  if (!out) return;
  mc_envelope e = {.kind = MC_ENV_PROBE,
                   .incarnation = w->node,
                   .probe = w->probe,
                   .count = w->hops,
                   .call = wait->id,
                   .instance = wait->instance,
                   .name = w->text,
                   .name_len = w->len};
  memcpy(e.secret, wait->secret, MC_SECRET_SIZE);
  size_t frame = mc__frame_open(out);
  mc__envelope_write(out, &e);
  if (!mc__frame_close(out, frame)) return; /* the next round may have memory */
  w->n->stats.sent++;
  mc__outbox_dirty(w->n, wait->peer);
}

static void follow_call(walk *w, mc_actor *a, uint32_t origin, uint64_t call);

static void follow_wait(void *arg, const mc_wait *wait) {
  walk *w = arg;
  mc_address to = {.instance = wait->instance, .peer = MC_SELF};
  if (!wait->id || w->found) return;
  if (wait->peer != MC_SELF) {
    send_probe(w, wait);
    return;
  }
  memcpy(to.secret, wait->secret, MC_SECRET_SIZE);
  mc_actor *a = mc_actor_at(w->n, &to);
  if (a) follow_call(w, a, MC_SELF, wait->id);
}

static void follow_turn(walk *w, mc_turn *t) {
  size_t len = w->len;
  if (w->found || w->hops >= MAX_HOPS) return;
  if (t->seen_node == w->node && t->seen_probe == w->probe) return;
  t->seen_node = w->node;
  t->seen_probe = w->probe;
  append_turn(w, t);
  w->hops++;
  w->n->language.awaits(w->n->language.ud, t, follow_wait, w);
  w->hops--;
  if (!w->found) w->len = len;
}

static void follow_turns(walk *w, mc_actor *a) {
  for (mc_turn *t = a->turns; t; t = t->next) follow_turn(w, t);
}

/* The call waits for a hold alone, and that anything may release. */
static bool is_held(const mc_actor *a, const mc_message *msg) {
  return a->holds && !a->starting && (a->type->reentrant || msg->eager);
}

/* The probe is back: the handlers it has met wait for one another. */
static void found(walk *w, mc_actor *a, mc_message *msg) {
  static const char start[] = "it waits for itself: ";
  char text[sizeof start + sizeof w->text + sizeof ARROW + MC_MAX_NAME + MC_TURN_NAME];
  w->text[w->len] = '\0';
  const char *end = strstr(w->text, ARROW);
  size_t first = end ? (size_t)(end - w->text) : w->len, at = sizeof start - 1;
  memcpy(text, start, at);
  memcpy(text + at, w->text, w->len);
  at += w->len;
  memcpy(text + at, ARROW, sizeof ARROW - 1);
  at += sizeof ARROW - 1;
  if (first > MC_MAX_NAME + MC_TURN_NAME) first = MC_MAX_NAME + MC_TURN_NAME;
  memcpy(text + at, w->text, first);
  text[at + first] = '\0';
  w->found = a;
  uint32_t origin = msg->origin;
  uint64_t call = msg->call;
  mc__mailbox_remove(a, msg);
  mc__mailbox_room(w->n, a);
  mc__message_drop(w->n, msg);
  mc__answer_error(w->n, origin, call, MC_E_DEADLOCK, text);
}

static bool is_probed(const walk *w, const mc_message *msg) {
  return msg->probe && w->node == w->n->peers[MC_SELF]->incarnation &&
         w->probe >> ROUND_BITS == msg->probe >> ROUND_BITS;
}

static void follow_call(walk *w, mc_actor *a, uint32_t origin, uint64_t call) {
  for (mc_turn *t = a->turns; t; t = t->next)
    if (t->origin == origin && t->call == call && t->kind != MC_CAST) {
      follow_turn(w, t);
      return;
    }
  mc_message *msg = mc__mailbox_find(a, origin, call);
  if (msg && is_probed(w, msg))
    found(w, a, msg);
  else if (msg && !is_held(a, msg))
    follow_turns(w, a);
}

/* ---- sending and getting them ---------------------------------------------------------------- */

static void probe(mc_node *n, mc_actor *a, mc_message *msg, walk *w) {
  if (!msg->probe) msg->probe = ++n->probe_counter << ROUND_BITS;
  msg->probe++;
  unsigned round = msg->probe & ((1 << ROUND_BITS) - 1);
  msg->due_ms = round < PROBE_ROUNDS ? n->now_ms + (PROBE_MS << round) : INFINITY;
  w->n = n;
  w->node = n->peers[MC_SELF]->incarnation;
  w->probe = msg->probe;
  w->hops = 0;
  w->len = 0;
  w->found = NULL;
  if (!is_held(a, msg)) follow_turns(w, a);
}

static void arm(mc_node *n, mc_actor *a, double due_ms);

static void fire(mc_node *n, mc_timer *timer) {
  mc_actor *a = (mc_actor *)(void *)((char *)timer - offsetof(mc_actor, probe));
  double next_ms = INFINITY;
  bool any = false;
  walk w;
  for (mc_message *msg = a->first, *behind; msg; msg = behind) {
    behind = msg->next;
    if (msg->due_ms <= n->now_ms) {
      probe(n, a, msg, &w);
      if (w.found) {
        any = true;
        continue;
      }
    }
    if (msg->due_ms < next_ms) next_ms = msg->due_ms;
  }
  if (!isinf(next_ms)) arm(n, a, next_ms);
  if (any) mc__actor_next(n, a);
}

/* Without memory for a timer the cycle is found with the next message, or ends with a timeout. */
static void arm(mc_node *n, mc_actor *a, double due_ms) {
  a->probe.fire = fire;
  if (!a->probe.place || due_ms < a->probe.at_ms) mc_timer_set(n, &a->probe, due_ms);
}

void mc__probe_later(mc_node *n, mc_actor *a, bool at_once) {
  mc_message *msg = a->last;
  if (!n->language.awaits || msg->kind == MC_CAST || !msg->call) return;
  msg->due_ms = at_once ? n->now_ms : n->now_ms + PROBE_MS;
  arm(n, a, msg->due_ms);
}

void mc__probe_arrived(mc_node *n, uint32_t peer, const mc_envelope *e) {
  walk w = {
      .n = n, .node = e->incarnation, .probe = e->probe, .hops = (unsigned)e->count};
  mc_actor *a = mc__actor_find(n, e->instance);
  if (!a || !n->language.awaits || !mc__secret_equal(a->secret, e->secret)) return;
  w.len = e->name_len;
  memcpy(w.text, e->name, e->name_len);
  follow_call(&w, a, peer, e->call);
  if (w.found) mc__actor_next(n, w.found);
}
