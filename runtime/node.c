/*
** A node: what it is made of, the bytes that come in, the turn of its loop, the bytes that go out.
**
**   deliver(peer, bytes)  ->  frames  ->  dispatch  ->  tasks are ready
**   step(budget)          ->  timers, then tasks in the order in which they became ready
**                         ->  one send per peer that has something to send
*/
#include "node.h"

#include <math.h>
#include <string.h>

static const char *const ERROR_NAMES[] = {"ok",
#define MC_ERROR_NAME(id, name) name,
                                          MC_ERRORS(MC_ERROR_NAME)
#undef MC_ERROR_NAME
};

const char *mc_error_name(unsigned code) {
  return code < MC_ERROR_COUNT ? ERROR_NAMES[code] : NULL;
}

void *mc__alloc(mc_node *n, void *ptr, size_t osize, size_t nsize) {
  return n->host.alloc(n->host.ud, ptr, osize, nsize);
}

double mc_node_now(mc_node *n) { return n->now_ms = n->host.now_ms(n->host.ud); }

double mc_node_seen(const mc_node *n) { return n->now_ms; }

void mc_node_set_call_timeout(mc_node *n, double ms) { n->call_timeout_ms = ms; }

/* Asking the host costs more than making an actor, so it is asked for many bytes at a time. None is given
** twice, and none stays here that was given. */
void mc_node_random(mc_node *n, void *out, size_t len) {
  if (len > sizeof n->random) {
    n->host.random(n->host.ud, out, len);
    return;
  }
  if (n->random_left < len) {
    n->host.random(n->host.ud, n->random, sizeof n->random);
    n->random_left = sizeof n->random;
  }
  uint8_t *from = n->random + (n->random_left -= len);
  memcpy(out, from, len);
  memset(from, 0, len);
}

mc_node *mc_node_new(const mc_config *config) {
  const mc_host *h = &config->host;
  mc_node *n = h->alloc(h->ud, NULL, 0, sizeof *n);
  if (!n) return NULL;
  memset(n, 0, sizeof *n);
  n->host = *h;
  n->language = config->language;
  n->call_timeout_ms = config->call_timeout_ms;
  mc_buf_init(&n->scratch, &n->host);
  mc_buf_init(&n->lent, &n->host);
  mc_node_random(n, &n->name_seed, sizeof n->name_seed);
  if (mc_peer_named(n, config->name, config->name_len, config->incarnation) != MC_SELF) {
    mc_node_free(n);
    return NULL;
  }
  mc_node_now(n);
  return n;
}

void mc_node_free(mc_node *n) {
  mc_node_close(n);
  mc__pending_fini(n);
  mc__credit_fini(n);
  mc__registry_fini(n);
  mc__timers_fini(n);
  mc__messages_fini(n);
  while (n->free_turns) {
    mc_turn *t = n->free_turns;
    n->free_turns = t->next;
    mc__alloc(n, t, sizeof *t, 0);
  }
  mc_buf_fini(&n->scratch);
  mc_buf_fini(&n->lent);
  n->host.alloc(n->host.ud, n, sizeof *n, 0);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* The length of the frame that starts here, 0 when its head is not complete yet, SIZE_MAX when it
** is no frame. */
static size_t frame_len(const uint8_t *bytes, size_t len) {
  size_t size = 0;
  if (len && bytes[0] != 0x5a) return SIZE_MAX;
  if (len < MC_FRAME_HEAD) return 0;
  for (int i = 1; i < MC_FRAME_HEAD; i++) size = size << 8 | bytes[i];
  return size > MC_MAX_FRAME ? SIZE_MAX : MC_FRAME_HEAD + size;
}

/* Dispatches whole frames, as long as the peer is not taken down; *used says how far. */
static bool frames(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len,
                   size_t *used) {
  size_t at = 0, size = 0;
  *used = 0;
  while (!mc__peer_refusal(n, peer) && (size = frame_len(bytes + at, len - at)) != 0 &&
         size <= len - at) {
    at += size; /* before the dispatch: what fails there is not dispatched again */
    *used = at;
    if (!mc__dispatch_envelope(n, peer, bytes + at - size + MC_FRAME_HEAD,
                               size - MC_FRAME_HEAD))
      return false;
  }
  return size != SIZE_MAX;
}

/* There is no memory to keep the start of a frame that came in up to two pieces: its rest is skipped
** as it comes. False when not even its length is known. */
static bool forgo(mc_node *n, uint32_t peer, const uint8_t *first, size_t first_len,
                  const uint8_t *then, size_t then_len) {
  uint8_t start[1024 + MC_MAX_CONTEXT]; /* no header is longer */
  size_t len = first_len < sizeof start ? first_len : sizeof start;
  size_t more = then_len < sizeof start - len ? then_len : sizeof start - len;
  if (len) memcpy(start, first, len);
  if (more) memcpy(start + len, then, more);
  size_t size = frame_len(start, len + more);
  if (size == 0 || size == SIZE_MAX) return false;
  n->peers[peer]->skip = size - first_len - then_len;
  mc_buf_fini(&n->peers[peer]->in);
  mc__dispatch_forgo(n, peer, start + MC_FRAME_HEAD, len + more - MC_FRAME_HEAD);
  return true;
}

static size_t skip(mc_peer *p, size_t len) {
  size_t skipped = p->skip < len ? p->skip : len;
  p->skip -= skipped;
  return skipped;
}

/* Bytes that complete the frame of which the start came earlier; returns how many were taken. */
static size_t complete(mc_peer *p, const uint8_t *bytes, size_t len) {
  size_t take = 0;
  if (p->in.len < MC_FRAME_HEAD) {
    take = MC_FRAME_HEAD - p->in.len < len ? MC_FRAME_HEAD - p->in.len : len;
    mc_buf_put(&p->in, bytes, take);
  }
  size_t size = frame_len(p->in.data, p->in.len);
  if (size == 0 || size == SIZE_MAX) return take;
  size_t more = size - p->in.len < len - take ? size - p->in.len : len - take;
  if (mc__buf_room(&p->in, more, size)) mc_buf_put(&p->in, bytes + take, more);
  return take + more;
}

static bool deliver(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len) {
  size_t used;
  mc_peer *p = n->peers[peer];
  size_t skipped = skip(p, len);
  bytes += skipped;
  len -= skipped;
  while (p->in.len && len && !p->foreign) {
    size_t had = p->in.len, taken = complete(p, bytes, len);
    if (p->in.failed && !forgo(n, peer, p->in.data, had, bytes, taken)) return false;
    bytes += taken;
    len -= taken;
    if (p->skip || p->in.len == 0) continue; /* forgone */
    p->reading = true;                       /* the dispatch may take the peer down */
    bool good = frames(n, peer, p->in.data, p->in.len, &used);
    p->reading = false;
    if (used) p->in.len = 0;
    if (p->down || p->foreign || (used && p->in.cap > MC_KEEP_IN)) mc_buf_fini(&p->in);
    if (!good) return false;
  }
  if (!len || p->foreign) return true;
  if (!frames(n, peer, bytes, len, &used)) return false;
  if (p->down || p->foreign) return true;
  mc_buf_put(&p->in, bytes + used, len - used);
  return !p->in.failed || forgo(n, peer, NULL, 0, bytes + used, len - used);
}

static bool arrived(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len) {
  if (peer >= n->peer_count || mc__peer_refusal(n, peer)) return true;
  n->turn_ms = n->now_ms;
  if (deliver(n, peer, bytes, len)) return true;
  n->stats.malformed++;
  mc_node_peer_down(n, peer, MC_E_NODE_DOWN);
  return false;
}

bool mc_node_deliver(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len) {
  mc_node_now(n);
  return arrived(n, peer, bytes, len);
}

void mc_node_peer_down(mc_node *n, uint32_t peer, mc_error code) {
  if (peer == MC_SELF || peer >= n->peer_count || n->peers[peer]->down) return;
  mc_peer *p = n->peers[peer];
  p->down = true;
  if (!p->reading) mc_buf_fini(&p->in);
  mc_buf_fini(&p->out);
  p->out_sent = 0;
  mc__pending_fail_peer(n, peer, code);
  mc__credit_peer_down(n, peer, code);
}

void mc__peer_foreign(mc_node *n, uint32_t peer, uint64_t version) {
  mc_peer *p = n->peers[peer];
  if (!p->connected && mc__outbox(n, peer)) mc__outbox_dirty(n, peer);
  p->foreign = true;
  p->version = version;
  mc__pending_fail_peer(n, peer, MC_E_VERSION_MISMATCH);
  mc__credit_peer_down(n, peer, MC_E_VERSION_MISMATCH);
}

/* ---- out ------------------------------------------------------------------------------------- */

static bool write_hello(mc_node *n, mc_buf *out) {
  const mc_peer *self = n->peers[MC_SELF];
  mc_envelope e = {.kind = MC_ENV_HELLO,
                   .version = MC_WIRE_VERSION,
                   .name = self->name,
                   .name_len = self->name_len,
                   .incarnation = self->incarnation};
  size_t frame = mc__frame_open(out);
  mc__envelope_write(out, &e);
  return mc__frame_close(out, frame);
}

void mc_node_hello(mc_node *n, mc_buf *out) {
  if (!write_hello(n, out)) out->failed = true;
}

uint32_t mc_node_attach(mc_node *n, const uint8_t *bytes, size_t len, mc_error *code,
                        uint64_t *version) {
  mc_reader r;
  mc_envelope e;
  uint64_t chain[MC_MAX_CHAIN];
  size_t size = frame_len(bytes, len);
  *code = size == SIZE_MAX ? MC_E_MALFORMED : MC_OK;
  if (size == 0 || size == SIZE_MAX || size > len) return UINT32_MAX;
  mc_reader_init(&r, bytes + MC_FRAME_HEAD, size - MC_FRAME_HEAD);
  *code = MC_E_MALFORMED;
  if (!mc__envelope_read(&r, &e, chain) || e.kind != MC_ENV_HELLO) return UINT32_MAX;
  *code = MC_E_VERSION_MISMATCH;
  *version = e.version;
  if (e.version != MC_WIRE_VERSION) return UINT32_MAX;
  uint32_t peer = mc_peer_named(n, e.name, e.name_len, e.incarnation);
  *code = MC_E_OUT_OF_MEMORY;
  if (peer == UINT32_MAX) return UINT32_MAX;
  mc_peer *p = n->peers[peer];
  *code = MC_E_NOT_PERMITTED;
  if (peer == MC_SELF || p->connected || p->greeted || p->down) return UINT32_MAX;
  *code = MC_OK;
  p->connected = true;
  return peer;
}

mc_buf *mc__outbox(mc_node *n, uint32_t peer) {
  mc_peer *p = n->peers[peer];
  if (p->down || p->foreign) return NULL;
  if (!p->connected) {
    if (!write_hello(n, &p->out)) return NULL;
    p->connected = true;
    n->host.connect(n->host.ud, peer, p->name, p->name_len, p->incarnation);
  }
  return &p->out;
}

void mc__outbox_dirty(mc_node *n, uint32_t peer) {
  mc_peer *p = n->peers[peer];
  if (p->dirty) return;
  p->dirty = true;
  p->next_dirty = n->first_dirty;
  n->first_dirty = peer + 1;
}

/* Gives the host what it takes; true when all is gone. */
static bool flush(mc_node *n, uint32_t peer) {
  mc_peer *p = n->peers[peer];
  size_t left = p->out.len - p->out_sent, taken = 0;
  if (left) taken = n->host.send(n->host.ud, peer, p->out.data + p->out_sent, left);
  if (p->down) return true; /* the host may have learned it just now */
  p->out_sent += taken;
  if (p->out_sent == p->out.len) {
    p->out.len = p->out_sent = 0;
    if (p->out.cap > MC_KEEP_OUT) mc_buf_fini(&p->out);
    return true;
  }
  if (p->out_sent > p->out.len / 2 && p->out_sent > MC_KEEP_IN) {
    memmove(p->out.data, p->out.data + p->out_sent, p->out.len - p->out_sent);
    p->out.len -= p->out_sent;
    p->out_sent = 0;
  }
  return false;
}

/* After so many tasks the peers get what there is for them and work on it while the step goes on. */
enum { FLUSH_EVERY = 32 };

/* True: a link whose bytes are moved in the language has sent through another one meanwhile, which is to
** be flushed as well. */
static bool flush_all(mc_node *n) {
  uint32_t list = n->first_dirty, blocked = 0, dirty = 0;
  n->first_dirty = 0;
  while (list) {
    uint32_t peer = list - 1;
    list = n->peers[peer]->next_dirty;
    n->peers[peer]->dirty = false;
    if (flush(n, peer)) continue;
    blocked++;
    mc__outbox_dirty(n, peer);
  }
  for (list = n->first_dirty; list; list = n->peers[list - 1]->next_dirty) dirty++;
  return dirty > blocked;
}

/* ---- the loop -------------------------------------------------------------------------------- */

void mc_task_ready(mc_node *n, mc_task *t) {
  if (t->queued) return;
  t->queued = true;
  t->next = NULL;
  if (n->ready_last)
    n->ready_last->next = t;
  else
    n->ready_first = t;
  n->ready_last = t;
}

static mc_task *next_ready(mc_node *n) {
  mc_task *t = n->ready_first;
  if (!t) return NULL;
  n->ready_first = t->next;
  if (!n->ready_first) n->ready_last = NULL;
  t->queued = false;
  return t;
}

/* A look at the clock costs as much as a short handler: there is one in 16. But answers wait for the end
** of the step, so a slow handler among the first is noticed before the next one starts. */
static bool is_over(mc_node *n, unsigned handled, double start, double budget_ms) {
  bool early = handled < 16 && (handled & (handled - 1)) == 0 && n->ready_first;
  if (handled % 16 != 0 && !(early && budget_ms > 0)) return false;
  return mc_node_now(n) - start >= budget_ms;
}

bool mc_node_turn_over(mc_node *n) {
  return n->ready_first || mc_node_now(n) - n->turn_ms >= n->budget_ms;
}

/* How long to sleep when nothing is ready, at most so long. */
static double sleep_ms(mc_node *n, double most) {
  if (!n->timers.count && !n->timers.line) return most;
  double now = mc_node_now(n);
  mc__timers_stamp(n, now);
  double wait = mc__timers_next(n) - now;
  return wait < 0 ? 0 : wait < most ? wait : most;
}

static double step(mc_node *n, double start, double budget_ms) {
  mc_task *t;
  n->turn_ms = start;
  n->budget_ms = budget_ms;
  mc__dispatch_recover(n);
  mc__timers_stamp(n, start);
  mc__timers_run(n, start);
  for (unsigned i = 1; (t = next_ready(n)); i++) {
    n->language.resume(n->language.ud, t);
    if (i % FLUSH_EVERY == 0 && n->first_dirty) flush_all(n);
    if (is_over(n, i, start, budget_ms)) break;
  }
  double latest = mc__owed_pay(n) ? INFINITY : MC_OWED_MS;
  bool more = flush_all(n);
  return n->ready_first || more ? 0 : sleep_ms(n, latest);
}

double mc_node_step(mc_node *n, double budget_ms) {
  return step(n, mc_node_now(n), budget_ms);
}

double mc_node_run(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len,
                   double budget_ms, bool *sound) {
  double start = mc_node_now(n);
  *sound = arrived(n, peer, bytes, len);
  return step(n, start, budget_ms);
}

void mc_node_stats(const mc_node *n, mc_stats *out) {
  *out = n->stats;
  out->actors = n->actor_live;
  out->pending = n->pending.live;
  out->timers = n->timers.count + n->timers.in_line;
  out->turns = n->turn_counter;
}
