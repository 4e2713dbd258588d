/*
** Sending: a request becomes a turn that runs at once inside its caller (an idle actor of this
** node), a message in a mailbox of this node, or an envelope in the outbox of a peer. Arguments are
** written only after everything else was checked, and a request that fails leaves no trace.
*/
#include "node.h"

#include <math.h>
#include <string.h>

/* The deadline that travels: what somebody chose, in this call or in one that waits for it. */
static double chosen_deadline(mc_node *n, const mc_request *q) {
  double inherited = q->from && q->kind == MC_CALL ? q->from->deadline_ms : INFINITY;
  bool chosen = q->timeout_ms >= 0 && q->timeout_ms < MC_MAX_ID; /* beyond it: for ever */
  if (!chosen) return inherited;
  double own = mc_node_now(n) + q->timeout_ms;
  return own < inherited ? own : inherited;
}

/* When the caller stops waiting. */
static double wait_deadline(const mc_request *q, double chosen) {
  return q->timeout_ms >= 0 || !isinf(chosen) ? chosen : MC_NOT_CHOSEN;
}

static void incoming_of_request(mc_node *n, const mc_request *q, mc_incoming *m) {
  bool call = q->kind == MC_CALL;
  *m = (mc_incoming){.kind = q->kind,
                     .origin = MC_SELF,
                     .trace = q->trace,
                     .deadline_ms = call ? chosen_deadline(n, q) : INFINITY,
                     .method = q->method,
                     .method_len = q->method_len,
                     .context = q->context,
                     .context_len = q->context_len};
  if (!q->from || !call) return;
  m->chain = q->from->chain;
  m->chain_len = q->from->chain_len;
}

/* ---- to this node ---------------------------------------------------------------------------- */

static bool awaits_itself(const mc_actor *a, const mc_turn *from) {
  for (const mc_turn *t = a->turns; t; t = t->next)
    for (int i = 0; i < from->chain_len; i++)
      if (from->chain[i] == t->chain[t->chain_len - 1]) return true;
  return false;
}

static mc_route failed(mc_sending *s, mc_error error) {
  s->error = error;
  return MC_ROUTE_FAILED;
}

static mc_route local_full(mc_actor *a, const mc_request *q, mc_sending *s) {
  if (q->kind != MC_CAST || !q->wait) return failed(s, MC_E_OVERLOADED);
  mc__waits_append(&a->senders, q->wait);
  return MC_ROUTE_WAIT;
}

static mc_route begin_local(mc_node *n, const mc_request *q, mc_sending *s) {
  mc_incoming m;
  mc_actor *a = mc_actor_at(n, q->to);
  s->local = true;
  s->out = &n->scratch;
  s->frame = n->scratch.len;
  if (!a) return MC_ROUTE_BYTES; /* the arguments are checked all the same */
  if (q->kind != MC_STOP && a->type != q->type) return failed(s, MC_E_TYPE_MISMATCH);
  bool idle = mc__actor_takes(a, q->kind, q->method, q->method_len);
  if (!idle && q->kind == MC_CALL && q->from && !n->language.awaits &&
      awaits_itself(a, q->from))
    return failed(s, MC_E_DEADLOCK);
  if (a->first && q->kind != MC_STOP && mc__mailbox_full(a, q->kind))
    return local_full(a, q, s);
  if (!idle || !q->direct || q->kind == MC_STOP) return MC_ROUTE_BYTES;
  incoming_of_request(n, q, &m);
  s->turn = mc__turn_new(n, a, &m);
  return s->turn ? MC_ROUTE_DIRECT : failed(s, MC_E_OUT_OF_MEMORY);
}

static mc_error commit_local(mc_node *n, const mc_request *q, mc_sending *s) {
  mc_incoming m;
  mc_actor *a = mc_actor_at(n, q->to);
  if (n->scratch.failed) return MC_E_OUT_OF_MEMORY;
  if (n->scratch.len - s->frame > MC_MAX_FRAME) return MC_E_UNSENDABLE;
  incoming_of_request(n, q, &m);
  if (!a && q->kind == MC_CAST) {
    n->stats.dead_letters++;
    mc__discard(n, n->scratch.data + s->frame, n->scratch.len - s->frame);
  }
  if (!a) return q->kind == MC_CAST ? MC_OK : MC_E_DEAD_ACTOR;
  if (q->wait && q->kind != MC_CAST) {
    mc_error code =
        mc__pending_add(n, q->wait, q->to, wait_deadline(q, chosen_deadline(n, q)));
    if (code) return code;
    m.call = q->wait->id;
  }
  m.args_len = n->scratch.len - s->frame;
  mc_buf before = n->lent;
  n->lent = n->scratch; /* who reads the arguments may send, which needs scratch again */
  mc_buf_init(&n->scratch, &n->host);
  m.args = n->lent.data + s->frame;
  mc__dispatch_message(n, a, &m);
  mc_buf_fini(&n->scratch);
  n->scratch = n->lent;
  n->lent = before;
  return MC_OK;
}

mc_error mc_turn_defer(mc_node *n, mc_turn *t, const mc_request *q) {
  mc_error code = mc__pending_add(n, q->wait, q->to, wait_deadline(q, t->deadline_ms));
  if (code == MC_OK) t->call = q->wait->id;
  return code;
}

mc_turn *mc_actor_init(mc_node *n, mc_actor *a, const mc_turn *from) {
  mc_incoming m = {.kind = MC_INIT, .deadline_ms = INFINITY};
  if (from) {
    m.chain = from->chain;
    m.chain_len = from->chain_len;
    m.trace = from->trace;
    m.deadline_ms = from->deadline_ms;
  }
  return mc__turn_new(n, a, &m);
}

/* ---- to another node ------------------------------------------------------------------------- */

static void write_header(mc_node *n, const mc_request *q, mc_buf *out) {
  mc_envelope e = {.kind = q->kind == MC_CALL   ? MC_ENV_CALL
                           : q->kind == MC_CAST ? MC_ENV_CAST
                                                : MC_ENV_STOP};
  e.call = q->kind == MC_CAST || !q->wait ? 0 : q->wait->id;
  e.instance = q->to->instance;
  memcpy(e.secret, q->to->secret, MC_SECRET_SIZE);
  if (q->kind != MC_STOP) e.type = q->type->hash;
  e.name = q->method;
  e.name_len = q->method_len;
  e.trace = q->trace;
  e.context = q->context;
  e.context_len = q->context_len;
  e.remaining_ms = INFINITY;
  if (q->kind == MC_CALL) {
    double chosen = chosen_deadline(n, q);
    if (!isinf(chosen)) e.remaining_ms = chosen > n->now_ms ? chosen - n->now_ms : 0;
    e.chain = q->from ? q->from->chain : NULL;
    e.chain_len = q->from ? q->from->chain_len : 0;
  }
  mc__envelope_write(out, &e);
}

static bool is_name(const char *s, size_t len) {
  return len > 0 && len <= MC_MAX_NAME && mc_utf8_valid(s, len);
}

static mc_route begin_remote(mc_node *n, const mc_request *q, mc_sending *s) {
  bool no_memory;
  if (q->kind != MC_STOP && !is_name(q->method, q->method_len))
    return failed(s, MC_E_NO_SUCH_METHOD); /* would be malformed over there */
  if (n->peers[q->to->peer]->barred && q->to->instance != MC_FIRST_INSTANCE)
    return failed(s, MC_E_NOT_PERMITTED);
  mc_buf *out = mc__outbox(n, q->to->peer);
  mc_error refusal = mc__peer_refusal(n, q->to->peer);
  if (!out) return failed(s, refusal ? refusal : MC_E_OUT_OF_MEMORY);
  if (q->kind == MC_CAST) {
    if (!mc__credit_take(n, q->to->peer, q->to->instance, q->wait, &no_memory)) {
      if (q->wait && !no_memory) return MC_ROUTE_WAIT;
      return failed(s, no_memory ? MC_E_OUT_OF_MEMORY : MC_E_OVERLOADED);
    }
  } else if (q->wait) {
    mc_error code =
        mc__pending_add(n, q->wait, q->to, wait_deadline(q, chosen_deadline(n, q)));
    if (code) return failed(s, code);
    if (q->makes) q->wait->id |= MC_MAKES;
  }
  s->out = out;
  s->frame = mc__frame_open(out);
  write_header(n, q, out);
  return MC_ROUTE_BYTES;
}

/* Takes back what was written since the frame was opened; all of it when the peer died meanwhile. */
static void outbox_cut(mc_node *n, uint32_t peer, size_t frame) {
  mc_peer *p = n->peers[peer];
  if (p->down)
    mc_buf_fini(&p->out);
  else
    mc__frame_cut(&p->out, frame);
}

/* ---- both ------------------------------------------------------------------------------------ */

mc_route mc_send_begin(mc_node *n, const mc_request *q, mc_sending *s) {
  *s = (mc_sending){.error = MC_OK};
  if (q->kind == MC_CALL && q->from && q->from->chain_len > MC_MAX_CHAIN)
    return failed(s, MC_E_CALL_DEPTH);
  return q->to->peer == MC_SELF ? begin_local(n, q, s) : begin_remote(n, q, s);
}

mc_error mc_send_commit(mc_node *n, const mc_request *q, mc_sending *s) {
  if (s->local) {
    mc_error code = commit_local(n, q, s);
    mc__frame_cut(&n->scratch, s->frame);
    return code;
  }
  mc_error refusal = mc__peer_refusal(n, q->to->peer);
  if (refusal) { /* since begin */
    mc_send_abort(n, q, s);
    return refusal;
  }
  bool no_memory = s->out->failed;
  if (!mc__frame_close(s->out, s->frame)) {
    mc_send_abort(n, q, s);
    return no_memory ? MC_E_OUT_OF_MEMORY : MC_E_UNSENDABLE;
  }
  n->stats.sent++;
  mc__outbox_dirty(n, q->to->peer);
  return MC_OK;
}

void mc_send_abort(mc_node *n, const mc_request *q, mc_sending *s) {
  if (s->local) {
    mc__frame_cut(&n->scratch, s->frame);
    return;
  }
  outbox_cut(n, q->to->peer, s->frame);
  if (q->kind == MC_CAST)
    mc__credit_untake(n, q->to->peer, q->to->instance);
  else if (q->wait)
    mc_wait_forget(n, q->wait);
}

void mc_wait_cancel(mc_node *n, mc_wait *w) {
  mc_address to = {.instance = w->instance, .peer = w->peer};
  memcpy(to.secret, w->secret, MC_SECRET_SIZE);
  if (!w->id) return;
  if (w->peer == MC_SELF) {
    mc_actor *a = mc_actor_at(n, &to);
    if (a) mc__dispatch_cancel(n, a, MC_SELF, w->id);
    return;
  }
  mc_buf *out = mc__outbox(n, w->peer);
  if (!out) return;
  mc_envelope e = {.kind = MC_ENV_CANCEL, .call = w->id, .instance = w->instance};
  memcpy(e.secret, w->secret, MC_SECRET_SIZE);
  size_t frame = mc__frame_open(out);
  mc__envelope_write(out, &e);
  if (!mc__frame_close(out, frame)) return; /* the answer comes when it comes */
  n->stats.sent++;
  mc__outbox_dirty(n, w->peer);
}

/* ---- answers --------------------------------------------------------------------------------- */

mc_wait *mc_turn_waiter(mc_node *n, const mc_turn *t) {
  if (t->origin != MC_SELF || !t->call) return NULL;
  mc_wait *w = mc__pending_find(n, t->call, MC_SELF);
  if (!w) n->stats.late_replies++;
  return w;
}

mc_buf *mc_reply_begin(mc_node *n, const mc_turn *t, bool raised, size_t *frame) {
  if (t->origin == MC_SELF || t->kind == MC_CAST) return NULL;
  mc_buf *out = mc__outbox(n, t->origin);
  if (!out) return NULL;
  mc_envelope e = {.kind = raised ? MC_ENV_ERROR : MC_ENV_REPLY, .call = t->call};
  *frame = mc__frame_open(out);
  mc__envelope_write(out, &e);
  return out;
}

mc_error mc_reply_commit(mc_node *n, const mc_turn *t, size_t frame) {
  mc_buf *out = &n->peers[t->origin]->out;
  bool no_memory = out->failed;
  if (mc__peer_refusal(n, t->origin)) /* nobody waits */
    return outbox_cut(n, t->origin, frame), MC_OK;
  if (!mc__frame_close(out, frame))
    return no_memory ? MC_E_OUT_OF_MEMORY : MC_E_UNSENDABLE;
  n->stats.sent++;
  mc__outbox_dirty(n, t->origin);
  return MC_OK;
}

void mc_reply_abort(mc_node *n, const mc_turn *t, size_t frame) {
  outbox_cut(n, t->origin, frame);
}

static void answer_here(mc_node *n, uint64_t call, mc_error code, const char *message) {
  mc_wait *w = call ? mc__pending_find(n, call, MC_SELF) : NULL;
  mc_outcome o = {.failed = true, .code = code, .message = message};
  if (message) o.message_len = strlen(message);
  if (w) mc__pending_settle(n, w, &o);
}

/* False: there is no memory. */
static bool error_there(mc_node *n, uint32_t peer, uint64_t call, mc_error code,
                        const char *message) {
  if (mc__peer_refusal(n, peer)) return true;
  mc_buf *out = mc__outbox(n, peer);
  if (!out) return false;
  mc_envelope e = {.kind = MC_ENV_ERROR, .call = call, .code = code};
  size_t frame = mc__frame_open(out);
  mc__envelope_write(out, &e);
  if (message)
    mc_write_string(out, message, strlen(message));
  else
    mc_write_nil(out);
  mc_write_nil(out);
  if (!mc__frame_close(out, frame)) return false;
  n->stats.sent++;
  mc__outbox_dirty(n, peer);
  return true;
}

/* False: there is no memory. */
static bool stop_there(mc_node *n, const mc_address *to) {
  if (mc__peer_refusal(n, to->peer)) return true;
  mc_buf *out = mc__outbox(n, to->peer);
  if (!out) return false;
  mc_envelope e = {.kind = MC_ENV_STOP, .instance = to->instance};
  memcpy(e.secret, to->secret, MC_SECRET_SIZE);
  size_t frame = mc__frame_open(out);
  mc__envelope_write(out, &e);
  if (!mc__frame_close(out, frame)) return false;
  n->stats.sent++;
  mc__outbox_dirty(n, to->peer);
  return true;
}

static bool pay(mc_node *n, const mc_owed *o) {
  return o->call ? error_there(n, o->to.peer, o->call, MC_E_OUT_OF_MEMORY, NULL)
                 : stop_there(n, &o->to);
}

bool mc__owed_pay(mc_node *n) {
  while (n->owed_count) {
    if (!pay(n, &n->owed[n->owed_count - 1])) return false;
    n->owed_count--;
  }
  return true;
}

static void owe(mc_node *n, uint64_t call, const mc_address *to) {
  if (n->owed_count < MC_OWED) n->owed[n->owed_count++] = (mc_owed){call, *to};
}

/* ---- actors made for others ------------------------------------------------------------------ */

void mc_write_made(mc_buf *b, const mc_address *at, uint64_t actors) {
  mc_write_array(b, 3);
  mc__write_uint(b, at->instance);
  mc_write_bytes(b, at->secret, MC_SECRET_SIZE);
  mc__write_uint(b, actors);
}

bool mc_read_made(mc_reader *r, uint32_t peer, mc_made *out) {
  mc_item array;
  out->at.peer = peer;
  bool whole = mc_read(r, &array) && array.kind == MC_ARRAY && array.as.count == 3 &&
               mc__read_uint(r, &out->at.instance, MC_MAX_ID) &&
               mc__read_secret(r, out->at.secret) &&
               mc__read_uint(r, &out->actors, MC_MAX_ID) && r->at == r->end;
  if (!whole) out->at.instance = 0;
  return whole;
}

void mc_unmake(mc_node *n, const mc_address *to) {
  if (!stop_there(n, to)) owe(n, 0, to);
}

void mc_unmake_unread(mc_node *n, uint32_t peer, const uint8_t *values, size_t len) {
  mc_reader r;
  mc_made made;
  mc_reader_init(&r, values, len);
  if (mc_read_made(&r, peer, &made)) mc_unmake(n, &made.at);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* When there is no memory even for a short answer it is owed; beyond MC_OWED of them a caller has its
** timeout. */
void mc__answer_error(mc_node *n, uint32_t origin, uint64_t call, mc_error code,
                      const char *message) {
  if (origin == MC_SELF)
    answer_here(n, call, code, message);
  else if (call && !error_there(n, origin, call, code, message))
    owe(n, call, &(mc_address){.peer = origin});
}

void mc_reply_error(mc_node *n, const mc_turn *t, mc_error code, const char *message) {
  mc__answer_error(n, t->origin, t->call, code, message);
}
