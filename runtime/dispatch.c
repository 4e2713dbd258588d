/*
** Receiving: the only switch on the kind of an envelope, and the rules by which a message starts a
** handler, waits in a mailbox or is answered at once.
**
** Order: what arrives for an actor starts in the order of arrival; nothing overtakes a message that
** waits, unless it may interleave: then nothing that may, too, or that stops the actor. One handler of
** an actor runs at a time, awaits included, unless its type is reentrant or the method interleaves.
** Nothing here runs user code: the language only prepares what mc_node_step then resumes.
*/
#include "node.h"

#include <math.h>
#include <string.h>

/* ---- turns ----------------------------------------------------------------------------------- */

/* 53 bits that no other turn of any node has, but for chance. */
static uint64_t turn_id(mc_node *n) {
  uint64_t x = n->peers[MC_SELF]->incarnation * 0x9e3779b97f4a7c15u + ++n->turn_counter;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return (x ^ x >> 31) & MC_MAX_ID;
}

mc_turn *mc__turn_new(mc_node *n, mc_actor *a, const mc_incoming *m) {
  mc_turn *t = n->free_turns;
  if (t)
    n->free_turns = t->next;
  else if (!(t = mc__alloc(n, NULL, 0, sizeof *t)))
    return NULL;
  t->actor = a;
  t->next = a->turns;
  a->turns = t;
  t->kind = m->kind;
  t->fatal = false;
  t->task = NULL;
  t->origin = m->origin;
  t->call = m->call;
  t->deadline_ms = m->deadline_ms;
  t->trace = m->trace;
  t->context = m->context;
  t->context_len = m->context_len;
  t->method = m->method;
  t->method_len = m->method_len;
  t->seen_node = t->seen_probe = 0;
  t->name_len = m->method_len < MC_TURN_NAME ? m->method_len : MC_TURN_NAME;
  if (t->name_len) memcpy(t->name, m->method, t->name_len);
  t->chain_len = m->chain_len + 1;
  for (int i = 0; i < m->chain_len; i++)
    memcpy(&t->chain[i], &m->chain[i], sizeof *t->chain);
  t->chain[m->chain_len] = turn_id(n);
  return t;
}

static void turn_free(mc_node *n, mc_turn *t) {
  mc_turn **at = &t->actor->turns;
  while (*at != t) at = &(*at)->next;
  *at = t->next;
  t->next = n->free_turns;
  n->free_turns = t;
}

void mc_turn_end(mc_node *n, mc_turn *t) {
  mc_actor *a = t->actor;
  mc_message_kind kind = t->kind;
  if (kind == MC_CAST && t->origin != MC_SELF) mc__credit_handled(n, a, t->origin);
  if (kind == MC_STOP || t->fatal) a->ended = a->stopping = true;
  turn_free(n, t);
  if (kind != MC_INIT) mc__actor_next(n, a);
}

/* A message that no handler gets. What it took of its sender's credit goes back. */
static void drop(mc_node *n, mc_actor *a, const mc_incoming *m, mc_error code,
                 const char *why) {
  mc__discard(n, m->args, m->args_len);
  if (m->kind != MC_CAST) {
    mc__answer_error(n, m->origin, m->call, code, why);
    return;
  }
  n->stats.dead_letters++;
  if (m->origin != MC_SELF) mc__credit_handled(n, a, m->origin);
}

/* ---- starting -------------------------------------------------------------------------------- */

bool mc__interleaves(const mc_type *type, const char *method, size_t len) {
  for (size_t at = 0; at < type->interleave_len; at += 1u + type->interleave[at])
    if (type->interleave[at] == len &&
        memcmp(&type->interleave[at + 1], method, len) == 0)
      return true;
  return false;
}

bool mc__actor_takes(const mc_actor *a, mc_message_kind kind, const char *method,
                     size_t len) {
  if (a->starting || a->stopping || (a->holds && kind != MC_STOP)) return false;
  if (!a->first && (!a->turns || (a->type->reentrant && kind != MC_STOP))) return true;
  return a->type->interleave_len && kind != MC_STOP && !a->stops && !a->eager &&
         mc__interleaves(a->type, method, len);
}

/* The next message that may start now, out of the mailbox. */
static mc_message *next_message(mc_actor *a) {
  if (!a->first || a->starting || a->stopping || a->holds) return NULL;
  if (!a->turns || (a->type->reentrant && a->first->kind != MC_STOP))
    return mc__mailbox_pop(a);
  return mc__mailbox_pop_eager(a);
}

static void start(mc_node *n, mc_actor *a, const mc_incoming *m) {
  if (m->kind == MC_CALL && m->deadline_ms <= n->now_ms) {
    drop(n, a, m, MC_E_TIMEOUT, "its deadline passed before it could start");
    return;
  }
  mc_turn *t = mc__turn_new(n, a, m);
  if (!t) {
    drop(n, a, m, MC_E_OUT_OF_MEMORY, NULL);
    return;
  }
  a->stopping = m->kind == MC_STOP;
  mc_reader r;
  mc_reader_init(&r, m->args, m->args_len);
  n->stats.decoded_bytes += m->args_len;
  n->language.start(n->language.ud, t, &r);
}

/* Starts what waits, as far as the actor's rules let it. A message that is answered at once ends
** its turn in here: the loop goes on with the next, it does not nest. An actor whose stop was
** handled ends here, too, when nobody looks at it any more. */
void mc__actor_next(mc_node *n, mc_actor *a) {
  if (a->draining) return;
  a->draining = true;
  a->around = n->draining;
  n->draining = a;
  mc_message *msg;
  while ((msg = next_message(a))) {
    mc_incoming m;
    a->current = msg;
    mc__mailbox_room(n, a);
    mc__message_parts(a->current, &m);
    start(n, a, &m);
    mc__message_free(n, a->current);
    a->current = NULL;
  }
  a->draining = false;
  n->draining = a->around;
  if (!a->first) mc_timer_clear(n, &a->probe);
  if (a->ended && !a->turns) mc_actor_end(n, a);
}

void mc__dispatch_recover(mc_node *n) {
  mc__waits_settle(n);
  for (mc_actor *a; (a = n->draining);) {
    n->draining = a->around;
    a->draining = false;
    if (a->current) mc__message_drop(n, a->current);
    a->current = NULL;
    mc__actor_next(n, a);
  }
}

bool mc_actor_hold(mc_actor *a) {
  if (a->stopping || a->stops) return false;
  a->holds++;
  return true;
}

void mc_actor_release(mc_node *n, mc_actor *a) {
  if (a->holds && --a->holds == 0) mc__actor_next(n, a);
}

void mc_actor_ready(mc_node *n, mc_actor *a) {
  a->starting = false;
  mc__actor_next(n, a);
}

static bool in_chain(const mc_actor *a, const mc_incoming *m) {
  for (const mc_turn *t = a->turns; t; t = t->next)
    for (int i = 0; i < m->chain_len; i++)
      if (m->chain[i] == t->chain[t->chain_len - 1]) return true;
  return false;
}

/* Why a call cannot even wait, or MC_OK. */
static mc_error refusal(const mc_node *n, const mc_actor *a, const mc_incoming *m) {
  if (m->kind == MC_CALL && !n->language.awaits && in_chain(a, m)) return MC_E_DEADLOCK;
  if (m->kind == MC_CALL && mc__mailbox_full(a, MC_CALL)) return MC_E_OVERLOADED;
  return MC_OK;
}

void mc__dispatch_message(mc_node *n, mc_actor *a, const mc_incoming *m) {
  mc_error code;
  bool lifted = m->kind == MC_STOP && a->holds;
  if (lifted) a->holds = 0;
  if (mc__actor_takes(a, m->kind, m->method, m->method_len)) {
    start(n, a, m); /* which may end the actor */
    return;
  }
  if ((code = refusal(n, a, m)) != MC_OK)
    drop(n, a, m, code, NULL);
  else if (!mc__mailbox_push(n, a, m))
    drop(n, a, m, MC_E_OUT_OF_MEMORY, NULL);
  else
    mc__probe_later(n, a, m->kind == MC_CALL && in_chain(a, m));
  if (lifted) mc__actor_next(n, a);
}

void mc__dispatch_cancel(mc_node *n, mc_actor *a, uint32_t origin, uint64_t call) {
  for (mc_turn *t = a->turns; t; t = t->next) {
    if (t->kind != MC_CALL || t->origin != origin || t->call != call) continue;
    if (n->language.cancel) n->language.cancel(n->language.ud, t);
    return;
  }
  mc_message *msg = mc__mailbox_take(a, origin, call);
  if (!msg) return;
  mc__mailbox_room(n, a);
  mc__message_drop(n, msg);
  if (!a->first) mc_timer_clear(n, &a->probe);
  mc__answer_error(n, origin, call, MC_E_CANCELLED, "it was cancelled before it started");
}

/* ---- envelopes ------------------------------------------------------------------------------- */

static void incoming_of_envelope(mc_incoming *m, uint32_t peer, const mc_envelope *e,
                                 const mc_reader *r) {
  m->kind = e->kind == MC_ENV_CALL ? MC_CALL : e->kind == MC_ENV_CAST ? MC_CAST : MC_STOP;
  m->origin = peer;
  m->call = e->call;
  m->trace = e->trace;
  m->chain = e->chain;
  m->chain_len = e->chain_len;
  m->method = e->name;
  m->method_len = e->name_len;
  m->context = e->context;
  m->context_len = e->context_len;
  m->args = r->at;
  m->args_len = (size_t)(r->end - r->at);
}

static bool message_arrived(mc_node *n, uint32_t peer, const mc_envelope *e,
                            const mc_reader *r) {
  mc_incoming m;
  mc_actor *a = mc__actor_find(n, e->instance);
  incoming_of_envelope(&m, peer, e, r);
  m.deadline_ms = isinf(e->remaining_ms) ? INFINITY : n->now_ms + e->remaining_ms;
  if (!a || !mc__secret_equal(a->secret, e->secret)) {
    mc__discard(n, m.args, m.args_len);
    if (m.kind != MC_CAST) {
      mc__answer_error(n, peer, e->call, MC_E_DEAD_ACTOR, NULL);
    } else {
      n->stats.dead_letters++;
      mc__credit_give(n, peer, e->instance, 1);
    }
  } else if (m.kind == MC_CAST && !mc__credit_used(n, a, peer)) {
    return false;
  } else if (m.kind != MC_STOP && e->type != a->type->hash) {
    drop(n, a, &m, MC_E_TYPE_MISMATCH, a->type->name);
  } else {
    mc__dispatch_message(n, a, &m);
  }
  return true;
}

static bool answers_made(const mc_envelope *e) {
  return e->kind == MC_ENV_REPLY && e->call & MC_MAKES;
}

/* Nobody will read the payload. */
static void lose(mc_node *n, uint32_t peer, const mc_envelope *e, const mc_reader *r) {
  size_t len = (size_t)(r->end - r->at);
  mc__discard(n, r->at, len);
  if (answers_made(e)) mc_unmake_unread(n, peer, r->at, len);
}

static void answer_arrived(mc_node *n, uint32_t peer, const mc_envelope *e,
                           mc_reader *r) {
  mc_wait *w = mc__pending_find(n, e->call, peer);
  mc_outcome o = {.failed = e->kind == MC_ENV_ERROR,
                  .code = (mc_error)e->code,
                  .values = r,
                  .makes = answers_made(e)};
  mc_item text;
  if (!w) {
    n->stats.late_replies++;
    lose(n, peer, e, r);
    return;
  }
  if (o.code != MC_OK) {
    if (o.code >= MC_ERROR_COUNT) o.code = MC_E_MALFORMED;
    if (mc_read(r, &text) && text.kind == MC_TEXT) {
      o.message = text.as.string.data;
      o.message_len = text.as.string.len;
    }
    o.values = NULL;
  } else {
    n->stats.decoded_bytes += (size_t)(r->end - r->at);
  }
  mc__pending_settle(n, w, &o);
}

static bool hello_arrived(mc_node *n, uint32_t peer, const mc_envelope *e) {
  mc_peer *p = n->peers[peer];
  if (e->version != MC_WIRE_VERSION) {
    mc__peer_foreign(n, peer, e->version);
    return true;
  }
  if (e->incarnation != p->incarnation) return false;
  if (e->name_len != p->name_len || memcmp(e->name, p->name, p->name_len) != 0)
    return false;
  return p->greeted = true;
}

void mc__dispatch_forgo(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len) {
  mc_reader r;
  mc_envelope e;
  uint64_t chain[MC_MAX_CHAIN];
  mc_outcome o = {.failed = true, .code = MC_E_OUT_OF_MEMORY};
  mc_reader_init(&r, bytes, len);
  if (!n->peers[peer]->greeted || !mc__envelope_read(&r, &e, chain)) return;
  n->stats.received++;
  lose(n, peer, &e, &r);
  if (e.kind == MC_ENV_CAST) {
    n->stats.dead_letters++;
    mc__credit_give(n, peer, e.instance, 1);
  } else if (e.kind == MC_ENV_CALL) {
    mc__answer_error(n, peer, e.call, MC_E_OUT_OF_MEMORY, "no memory for the message");
  } else if (e.kind == MC_ENV_REPLY || e.kind == MC_ENV_ERROR) {
    mc_wait *w = mc__pending_find(n, e.call, peer);
    if (w)
      mc__pending_settle(n, w, &o);
    else
      n->stats.late_replies++;
  }
}

bool mc__dispatch_envelope(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len) {
  mc_reader r;
  mc_envelope e;
  uint64_t chain[MC_MAX_CHAIN];
  mc_reader_init(&r, bytes, len);
  if (!mc__envelope_read(&r, &e, chain)) return false;
  if (!n->peers[peer]->greeted && e.kind != MC_ENV_HELLO) return false;
  n->stats.received++;
  switch (e.kind) {
  case MC_ENV_HELLO: return hello_arrived(n, peer, &e);
  case MC_ENV_CALL:
  case MC_ENV_CAST:
  case MC_ENV_STOP: return message_arrived(n, peer, &e, &r);
  case MC_ENV_REPLY:
  case MC_ENV_ERROR: answer_arrived(n, peer, &e, &r); break;
  case MC_ENV_CANCEL: {
    mc_actor *a = mc__actor_find(n, e.instance);
    if (a && mc__secret_equal(a->secret, e.secret))
      mc__dispatch_cancel(n, a, peer, e.call);
    break;
  }
  case MC_ENV_PROBE: mc__probe_arrived(n, peer, &e); break;
  case MC_ENV_CREDIT: mc__credit_arrived(n, peer, e.instance, (uint32_t)e.count); break;
  }
  return true;
}
