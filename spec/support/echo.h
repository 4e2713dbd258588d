/*
** A node whose actors answer with their arguments, in the simplest language a node can have on top:
** for tests of what arrives. Time stands still, random bytes count up, sent bytes are kept by peer.
**
**   "wait..."  answers in the next step         "fail..."  raises its arguments
**   anything else answers at once
**
** Actors 0 to 2 (ECHO_ACTOR) are plain, 3 is reentrant, and they have the secret 0, 1, .. 15. That of
** actor 4 nobody knows but echo_answers. The node itself waits for ECHO_CALLS answers of a peer it
** is told of, and asks again after each.
*/
#ifndef MC_ECHO_H
#define MC_ECHO_H

#include <math.h>

#include "memory.h"
#include "transcode.h"

enum { ECHO_PEERS = 4, ECHO_CALLS = 4, ECHO_SECRET = 0x5e };
#define ECHO_ACTOR(i) (((uint64_t)1 << MC_SLOT_BITS) + (i))

typedef struct echo echo;

/* A turn that answers later, or a call of the node's own. */
typedef struct echo_task {
  mc_task base;
  mc_wait wait;
  mc_turn *turn;
  bool cancelled;
  mc_buf values;
  struct echo_task *next; /* of those that answer later */
} echo_task;

struct echo {
  memory memory;
  mc_host host;
  mc_node *node;
  mc_type *type;
  mc_address asked; /* where the node's own calls go */
  echo_task calls[ECHO_CALLS];
  echo_task *later;
  uint64_t settled;
  mc_buf sent[ECHO_PEERS]; /* by peer; of others only `lost` is counted */
  memory kept;             /* what `sent` takes is not the node's */
  mc_host keeper;
  size_t lost;
};

static inline double echo_now(void *ud) {
  (void)ud;
  return 1000;
}

static inline void echo_random(void *ud, void *out, size_t len) {
  (void)ud;
  for (size_t i = 0; i < len; i++) ((uint8_t *)out)[i] = (uint8_t)i;
}

static inline void echo_connect(void *ud, uint32_t peer, const char *name, size_t len,
                                uint64_t incarnation) {
  (void)ud, (void)peer, (void)name, (void)len, (void)incarnation;
}

static inline size_t echo_send(void *ud, uint32_t peer, const uint8_t *bytes,
                               size_t len) {
  echo *e = (echo *)(void *)((char *)ud - offsetof(echo, memory));
  if (peer < ECHO_PEERS)
    mc_buf_put(&e->sent[peer], bytes, len);
  else
    e->lost += len;
  return len;
}

static inline void echo_answer(echo *e, mc_turn *t, const mc_buf *values) {
  size_t frame;
  bool raise =
      t->kind != MC_STOP && t->method_len >= 4 && memcmp(t->method, "fail", 4) == 0;
  mc_buf *out = mc_reply_begin(e->node, t, raise, &frame);
  if (out) {
    mc_buf_put(out, values->data, values->len);
    if (raise) mc_write_nil(out);
    mc_reply_commit(e->node, t, frame);
  }
  mc_turn_end(e->node, t);
}

static inline void echo_start(void *ud, mc_turn *t, mc_reader *arguments) {
  echo *e = ud;
  mc_buf values;
  mc_buf_init(&values, &e->host);
  if (t->kind == MC_STOP) {
    mc_write_array(&values, 0);
  } else if (!transcode_values(arguments, e->node, &values)) {
    mc_buf_fini(&values);
    mc_reply_error(e->node, t, MC_E_MALFORMED, arguments->malformed);
    mc_turn_end(e->node, t);
    return;
  }
  if (t->kind == MC_STOP || t->method_len < 4 || memcmp(t->method, "wait", 4) != 0) {
    echo_answer(e, t, &values);
    mc_buf_fini(&values);
    return;
  }
  echo_task *later = e->host.alloc(e->host.ud, NULL, 0, sizeof *later);
  *later = (echo_task){.turn = t, .values = values, .next = e->later};
  e->later = later;
  t->method_len = 0; /* gone when start returns */
  mc_task_ready(e->node, &later->base);
}

static inline void echo_settle(void *ud, mc_wait *w, const mc_outcome *o) {
  echo *e = ud;
  echo_task *call = (echo_task *)(void *)((char *)w - offsetof(echo_task, wait));
  e->settled++;
  if (o->values) {
    mc_buf values;
    mc_buf_init(&values, &e->host);
    if (!o->failed)
      transcode_values(o->values, e->node, &values);
    else if (transcode(o->values, e->node, &values, 0))
      transcode(o->values, e->node, &values, 0);
    mc_buf_fini(&values);
  }
  if (!o->failed || o->code == MC_OK) mc_task_ready(e->node, &call->base);
}

static inline void echo_ask(echo *e, echo_task *call) {
  mc_sending s;
  mc_request q = {.kind = MC_CALL,
                  .to = &e->asked,
                  .type = e->type,
                  .method = "inc",
                  .method_len = 3,
                  .timeout_ms = -1,
                  .wait = &call->wait};
  if (mc_send_begin(e->node, &q, &s) != MC_ROUTE_BYTES) return;
  mc_write_array(s.out, 0);
  mc_send_commit(e->node, &q, &s);
}

/* One that the peer may give credit for. */
static inline void echo_cast(echo *e) {
  mc_sending s;
  mc_request q = {.kind = MC_CAST,
                  .to = &e->asked,
                  .type = e->type,
                  .method = "inc",
                  .method_len = 3,
                  .timeout_ms = -1};
  if (mc_send_begin(e->node, &q, &s) != MC_ROUTE_BYTES) return;
  mc_write_array(s.out, 0);
  mc_send_commit(e->node, &q, &s);
}

static inline void echo_resume(void *ud, mc_task *t) {
  echo *e = ud;
  echo_task *task = (echo_task *)t;
  if (!task->turn) {
    echo_ask(e, task);
    return;
  }
  echo_task **at = &e->later;
  while (*at != task) at = &(*at)->next;
  *at = task->next;
  if (task->cancelled) {
    mc_reply_error(e->node, task->turn, MC_E_CANCELLED, NULL);
    mc_turn_end(e->node, task->turn);
  } else {
    echo_answer(e, task->turn, &task->values);
  }
  mc_buf_fini(&task->values);
  e->host.alloc(e->host.ud, task, sizeof *task, 0);
}

static inline void echo_cancel(void *ud, mc_turn *t) {
  echo *e = ud;
  for (echo_task *task = e->later; task; task = task->next)
    if (task->turn == t) task->cancelled = true;
}

static inline void echo_resign(void *ud, mc_actor *a) { (void)ud, (void)a; }

static inline void echo_open(echo *e) {
  memset(e, 0, sizeof *e);
  e->host =
      (mc_host){&e->memory, memory_alloc, echo_now, echo_random, echo_connect, echo_send};
  e->keeper = (mc_host){.ud = &e->kept, .alloc = memory_alloc};
  for (int i = 0; i < ECHO_PEERS; i++) mc_buf_init(&e->sent[i], &e->keeper);
  mc_config config = {.host = e->host,
                      .language = {e, echo_start, echo_settle, echo_resume, echo_resign,
                                   echo_cancel, NULL, NULL},
                      .name = "self",
                      .name_len = 4,
                      .incarnation = 1,
                      .call_timeout_ms = 1000};
  e->node = mc_node_new(&config);
  e->type = mc_type_named(e->node, "Counter", 7);
  mc_type *reentrant = mc_type_named(e->node, "fuzz.box", 8);
  reentrant->reentrant = true;
  for (int i = 0; i < 5; i++) {
    mc_actor *a = mc_actor_new(e->node, i == 3 ? reentrant : e->type);
    for (int j = 0; j < MC_SECRET_SIZE; j++) a->secret[j] = (uint8_t)j;
    if (i == 4) a->secret[0] = ECHO_SECRET;
    mc_actor_ready(e->node, a);
  }
}

/* Asks a peer, which may then answer. */
static inline void echo_ask_all(echo *e, uint32_t peer) {
  e->asked = (mc_address){.instance = 1, .peer = peer};
  for (int i = 0; i < ECHO_CALLS; i++) echo_ask(e, &e->calls[i]);
  echo_cast(e);
}

/* Frees all; how many bytes the node did not give back. */
static inline size_t echo_close(echo *e) {
  while (e->later) {
    echo_task *task = e->later;
    e->later = task->next;
    mc_buf_fini(&task->values);
    e->host.alloc(e->host.ud, task, sizeof *task, 0);
  }
  mc_node_free(e->node);
  for (int i = 0; i < ECHO_PEERS; i++) mc_buf_fini(&e->sent[i]);
  return e->memory.used;
}

/* Greets as peer `name`, of that incarnation; returns the peer's number. */
static inline uint32_t echo_greet(echo *e, const char *name, uint64_t incarnation) {
  uint32_t peer = mc_peer_named(e->node, name, strlen(name), incarnation);
  mc_envelope hello = {.kind = MC_ENV_HELLO,
                       .version = MC_WIRE_VERSION,
                       .name = name,
                       .name_len = strlen(name),
                       .incarnation = incarnation};
  mc_buf b;
  mc_buf_init(&b, &e->keeper);
  size_t frame = mc__frame_open(&b);
  mc__envelope_write(&b, &hello);
  mc__frame_close(&b, frame);
  mc_node_deliver(e->node, peer, b.data, b.len);
  mc_buf_fini(&b);
  return peer;
}

/* Whether the node answers a call of this peer, made with `number`, as it should. */
static inline bool echo_answers(echo *e, uint32_t peer, uint64_t number) {
  mc_envelope call = {.kind = MC_ENV_CALL,
                      .call = number,
                      .instance = ECHO_ACTOR(4),
                      .type = e->type->hash,
                      .name = "echo",
                      .name_len = 4,
                      .remaining_ms = INFINITY};
  mc_envelope reply = {.kind = MC_ENV_REPLY, .call = number};
  mc_buf b, want;
  for (int i = 0; i < MC_SECRET_SIZE; i++)
    call.secret[i] = (uint8_t)(i ? i : ECHO_SECRET);
  mc_buf_init(&b, &e->keeper);
  mc_buf_init(&want, &e->keeper);
  size_t frame = mc__frame_open(&b), expected = mc__frame_open(&want);
  mc__envelope_write(&b, &call);
  mc__envelope_write(&want, &reply);
  for (int i = 0; i < 2; i++) {
    mc_buf *to = i ? &want : &b;
    mc_write_array(to, 2);
    mc_write_int(to, (int64_t)number);
    mc_write_string(to, "still there", 11);
  }
  mc__frame_close(&b, frame);
  mc__frame_close(&want, expected);
  bool taken = mc_node_deliver(e->node, peer, b.data, b.len);
  mc_node_step(e->node, 1000);
  mc_buf *got = &e->sent[peer];
  bool answered = taken && got->len >= want.len &&
                  memcmp(got->data + got->len - want.len, want.data, want.len) == 0;
  mc_buf_fini(&b);
  mc_buf_fini(&want);
  return answered;
}

#endif
