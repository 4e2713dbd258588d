/* See world.h. */
#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the core asks of its host ---------------------------------------------------------- */

static void *host_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  world_node *s = ud;
  return check_alloc(&s->w->heap, ptr, osize, nsize);
}

static double host_now(void *ud) {
  world_node *s = ud;
  return s->w->now_ms;
}

static void host_random(void *ud, void *out, size_t len) {
  world_node *s = ud;
  for (size_t i = 0; i < len; i++) {
    s->w->seed = s->w->seed * 6364136223846793005u + 1442695040888963407u;
    ((uint8_t *)out)[i] = (uint8_t)(s->w->seed >> 56);
  }
}

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t inc) {
  world_node *s = ud;
  (void)peer, (void)name, (void)len, (void)inc;
  s->connects++;
}

static int node_of_peer(world_node *s, uint32_t peer) {
  for (int i = 0; i < s->w->count; i++)
    if (i != s->index && s->peer[i] == peer) return i;
  return -1;
}

static size_t host_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  world_node *s = ud;
  int to = node_of_peer(s, peer);
  if (to < 0 || !s->w->node[to].n) {
    mc_node_peer_down(s->n, peer, MC_E_NODE_DOWN);
    return len;
  }
  s->sends++;
  if (s->w->room && len > s->w->room) len = s->w->room;
  world_pipe *p = &s->out[to];
  if (p->cap < p->len + len) p->data = realloc(p->data, p->cap = 2 * (p->len + len));
  memcpy(p->data + p->len, bytes, len);
  p->len += len;
  return len;
}

/* ---- the language ---------------------------------------------------------------------------- */

static bool read_argument(mc_reader *r, int64_t *arg) {
  mc_item array, item;
  if (!mc_read(r, &array) || array.kind != MC_ARRAY || array.as.count != 1) return false;
  if (!mc_read(r, &item) || item.kind != MC_INT || r->at != r->end) return false;
  *arg = item.as.integer;
  return true;
}

static void job_end(world_node *s, world_job *job) {
  mc_turn *turn = job->turn;
  world_job **at = &s->jobs;
  while (*at != job) at = &(*at)->next;
  *at = job->next;
  free(job);
  mc_turn_end(s->n, turn);
}

static void ask_settled(world_ask *ask, bool failed, mc_error code, int64_t value) {
  ask->settled++;
  ask->failed = failed;
  ask->code = code;
  ask->value = value;
}

/* Gives the answer to whoever waits. */
static void answer(world_node *s, mc_turn *turn, bool raised, int64_t value) {
  size_t frame;
  mc_wait *wait = mc_turn_waiter(s->n, turn);
  if (wait) {
    world_ask *ask = (world_ask *)(void *)((char *)wait - offsetof(world_ask, wait));
    mc_wait_settled(s->n, wait);
    ask_settled(ask, raised, MC_OK, value);
    if (ask->job) mc_task_ready(s->n, &ask->job->task);
    return;
  }
  mc_buf *out = turn->call ? mc_reply_begin(s->n, turn, raised, &frame) : NULL;
  if (!out) return;
  if (!raised) mc_write_array(out, 1);
  mc_write_int(out, value);
  if (raised) mc_write_string(out, "a traceback", 11);
  mc_error code = mc_reply_commit(s->n, turn, frame);
  if (code) mc_reply_error(s->n, turn, code, NULL);
}

static void finish(world_node *s, world_job *job, bool raised, int64_t value) {
  answer(s, job->turn, raised, value);
  job_end(s, job);
}

static world_job *job_new(world_node *s, mc_turn *turn, const char *method, size_t len,
                          int64_t arg) {
  world_job *job = calloc(1, sizeof *job);
  snprintf(job->method, sizeof job->method, "%.*s", (int)len, method);
  job->ask.job = job;
  job->turn = turn;
  job->arg = arg;
  job->next = s->jobs;
  s->jobs = job;
  return job;
}

static bool known(const char *method) {
  static const char *const names[] = {"echo", "fail", "hold", "relay"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(method, names[i]) == 0) return true;
  return false;
}

static void note(world_node *s, int64_t arg) {
  if (s->logged < WORLD_LOG) s->log[s->logged++] = arg;
}

static void start_stop(world_node *s, mc_turn *turn) {
  note(s, -1);
  if (s->stop_now) {
    answer(s, turn, false, 1);
    mc_turn_end(s->n, turn);
  } else {
    mc_task_ready(s->n, &job_new(s, turn, "echo", 4, 1)->task);
  }
}

static void refuse(world_node *s, mc_turn *turn, mc_error code, const char *why) {
  mc_reply_error(s->n, turn, code, why);
  mc_turn_end(s->n, turn);
}

static void lang_start(void *ud, mc_turn *turn, mc_reader *arguments) {
  world_node *s = ud;
  char method[16];
  int64_t arg;
  if (turn->kind == MC_STOP) {
    start_stop(s, turn);
    return;
  }
  snprintf(method, sizeof method, "%.*s", (int)turn->method_len, turn->method);
  if (strcmp(method, "now") != 0 && !known(method)) {
    refuse(s, turn, MC_E_NO_SUCH_METHOD, "no such method");
  } else if (!read_argument(arguments, &arg)) {
    refuse(s, turn, MC_E_MALFORMED, "one integer was expected");
  } else {
    note(s, arg);
    if (strcmp(method, "now") == 0) {
      answer(s, turn, false, arg);
      mc_turn_end(s->n, turn);
    } else {
      mc_task_ready(s->n, &job_new(s, turn, method, strlen(method), arg)->task);
    }
  }
}

static void read_outcome(world_ask *ask, const mc_outcome *o) {
  mc_item item, trace;
  int64_t value = 0;
  mc_error code = o->code;
  if (o->message)
    snprintf(ask->message, sizeof ask->message, "%.*s", (int)o->message_len, o->message);
  if (o->values && !o->failed && !read_argument(o->values, &value)) code = MC_E_MALFORMED;
  if (o->values && o->failed) {
    bool good = mc_read(o->values, &item) && item.kind == MC_INT &&
                mc_read(o->values, &trace) && o->values->at == o->values->end;
    if (good)
      value = item.as.integer;
    else
      code = MC_E_MALFORMED;
  }
  ask_settled(ask, o->failed || code != MC_OK, code, value);
}

static void lang_settle(void *ud, mc_wait *wait, const mc_outcome *o) {
  world_node *s = ud;
  world_ask *ask = (world_ask *)(void *)((char *)wait - offsetof(world_ask, wait));
  if (s->w->on_settle) s->w->on_settle(s->w, s);
  read_outcome(ask, o);
  if (ask->job) mc_task_ready(s->n, &ask->job->task);
}

static void relay(world_node *s, world_job *job) {
  mc_address to = s->w->target[job->turn->actor->object];
  const char *method = job->arg > 0 ? "relay" : "echo";
  int64_t arg = job->arg > 0 ? job->arg - 1 : 0;
  mc_error code = world_call(s->w, s->index, to, method, arg, job->turn, &job->ask);
  if (!code) return;
  mc_reply_error(s->n, job->turn, code, NULL);
  job_end(s, job);
}

static void lang_resume(void *ud, mc_task *task) {
  world_node *s = ud;
  world_job *job = (world_job *)(void *)task;
  if (job->ask.settled && job->ask.code != MC_OK) {
    mc_reply_error(s->n, job->turn, job->ask.code, NULL);
    job_end(s, job);
  } else if (job->ask.settled) {
    finish(s, job, job->ask.failed, job->ask.value);
  } else if (strcmp(job->method, "relay") == 0) {
    relay(s, job);
  } else if (strcmp(job->method, "hold") == 0 && !job->held) {
    job->held = true;
  } else {
    finish(s, job, strcmp(job->method, "fail") == 0, job->arg);
  }
}

static void lang_resign(void *ud, mc_actor *a) {
  world_node *s = ud;
  (void)a;
  s->resigned++;
}

/* ---- the world ------------------------------------------------------------------------------- */

static bool node_open(world *w, int index) {
  world_node *s = &w->node[index];
  s->w = w;
  s->index = index;
  snprintf(s->name, sizeof s->name, "n%d", index);
  mc_config config = {
      .host = {s, host_alloc, host_now, host_random, host_connect, host_send},
      .language = {s, lang_start, lang_settle, lang_resume, lang_resign},
      .name = s->name,
      .name_len = strlen(s->name),
      .incarnation = 100 + (uint64_t)index,
      .call_timeout_ms = 30000,
  };
  s->n = mc_node_new(&config);
  if (!s->n) return false;
  s->type = mc_type_named(s->n, "T", 1);
  s->reentrant = mc_type_named(s->n, "R", 1);
  if (s->reentrant) s->reentrant->reentrant = true;
  return s->type && s->reentrant;
}

static bool node_meet(world *w, int index) {
  world_node *s = &w->node[index];
  for (int i = 0; i < w->count; i++) {
    world_node *o = &w->node[i];
    if (i == index) continue;
    s->peer[i] = mc_peer_named(s->n, o->name, strlen(o->name), 100 + (uint64_t)i);
    if (s->peer[i] == UINT32_MAX) return false;
  }
  return true;
}

world *world_new(int count, size_t fail_at) {
  world *w = calloc(1, sizeof *w);
  bool good = true;
  w->count = count;
  w->heap.fail_at = fail_at;
  w->now_ms = 1000;
  w->seed = 7;
  for (int i = 0; good && i < count; i++) good = node_open(w, i);
  for (int i = 0; good && i < count; i++) good = node_meet(w, i);
  if (good) return w;
  world_free(w);
  return NULL;
}

static void node_end(world_node *s) {
  if (s->n) mc_node_free(s->n);
  s->n = NULL;
  while (s->jobs) {
    world_job *job = s->jobs;
    s->jobs = job->next;
    free(job);
  }
  for (int i = 0; i < WORLD_NODES; i++) {
    free(s->out[i].data);
    s->out[i] = (world_pipe){0};
  }
}

void world_free(world *w) {
  for (int i = 0; i < w->count; i++) node_end(&w->node[i]);
  CHECK_INT(w->heap.live, 0);
  CHECK_INT(w->heap.blocks, 0);
  free(w);
}

void world_deliver(world *w, int from, int to) {
  world_pipe *p = &w->node[from].out[to];
  world_node *s = &w->node[to];
  uint8_t *bytes = p->data;
  size_t len = p->len;
  *p = (world_pipe){0};
  for (size_t at = 0; at < len && s->n;) {
    size_t piece = w->cut && w->cut < len - at ? w->cut : len - at;
    if (!mc_node_deliver(s->n, s->peer[from], bytes + at, piece)) {
      w->broken++;
      break;
    }
    at += piece;
  }
  free(bytes);
}

void world_run(world *w) {
  for (int i = 0; i < 100000; i++) {
    bool busy = false;
    for (int a = 0; a < w->count; a++)
      for (int b = 0; b < w->count; b++)
        if (w->node[a].out[b].len) world_deliver(w, a, b);
    for (int a = 0; a < w->count; a++)
      if (w->node[a].n && mc_node_step(w->node[a].n, 1000) == 0) busy = true;
    for (int a = 0; a < w->count; a++) {
      busy = busy || (w->node[a].n && w->node[a].n->first_dirty);
      for (int b = 0; b < w->count; b++) busy = busy || w->node[a].out[b].len;
    }
    if (!busy) return;
  }
  CHECK(!"the world comes to rest");
}

void world_pass(world *w, double ms) {
  w->now_ms += ms;
  world_run(w);
}

void world_kill(world *w, int dead) {
  for (int i = 0; i < w->count; i++)
    if (i != dead && w->node[dead].out[i].len) world_deliver(w, dead, i);
  node_end(&w->node[dead]);
  for (int i = 0; i < w->count; i++)
    if (w->node[i].n)
      mc_node_peer_down(w->node[i].n, w->node[i].peer[dead], MC_E_NODE_DOWN);
}

/* ---- actors and requests --------------------------------------------------------------------- */

mc_actor *world_spawn(world *w, int node, mc_type *type) {
  mc_actor *a = mc_actor_new(w->node[node].n, type);
  if (a) mc_actor_ready(w->node[node].n, a);
  return a;
}

mc_address world_address(world *w, int viewer, int owner, const mc_actor *a) {
  mc_address to;
  mc_actor_address(a, &to);
  if (viewer != owner) to.peer = w->node[viewer].peer[owner];
  return to;
}

void world_target(world *w, mc_actor *a, mc_address to) {
  a->object = w->targets;
  w->target[w->targets++] = to;
}

/* The type that an actor anywhere has, as the node knows it. */
static mc_type *type_of(world *w, int from, const mc_address *to) {
  int owner = to->peer == MC_SELF ? from : node_of_peer(&w->node[from], to->peer);
  world_node *o = owner < 0 ? NULL : &w->node[owner];
  mc_actor *a = o && o->n ? mc__actor_find(o->n, to->instance) : NULL;
  return a && a->type == o->reentrant ? w->node[from].reentrant : w->node[from].type;
}

mc_request world_request(world *w, int from, mc_message_kind kind, const mc_address *to,
                         const char *method, world_ask *ask) {
  mc_request q = {.kind = kind, .to = to, .method = method};
  q.type = type_of(w, from, to);
  q.method_len = strlen(method);
  q.timeout_ms = -1;
  q.wait = ask ? &ask->wait : NULL;
  return q;
}

mc_error world_commit(world *w, int from, const mc_request *q, mc_sending *s,
                      int64_t arg) {
  mc_write_array(s->out, 1);
  mc_write_int(s->out, arg);
  return mc_send_commit(w->node[from].n, q, s);
}

/* A direct turn: runs what can run at once, makes a task of the rest. */
static mc_error run_direct(world_node *s, const mc_request *q, mc_turn *turn,
                           int64_t arg) {
  world_ask *ask = (world_ask *)(void *)((char *)q->wait - offsetof(world_ask, wait));
  note(s, arg);
  if (strcmp(q->method, "echo") == 0) {
    ask_settled(ask, false, MC_OK, arg);
    mc_turn_end(s->n, turn);
    return MC_OK;
  }
  mc_task_ready(s->n, &job_new(s, turn, q->method, q->method_len, arg)->task);
  return mc_turn_defer(s->n, turn, q);
}

mc_error world_call(world *w, int from, mc_address to, const char *method, int64_t arg,
                    mc_turn *turn, world_ask *ask) {
  mc_sending s;
  mc_request q = world_request(w, from, MC_CALL, &to, method, ask);
  q.from = turn;
  q.direct = turn == NULL;
  switch (mc_send_begin(w->node[from].n, &q, &s)) {
  case MC_ROUTE_DIRECT: return run_direct(&w->node[from], &q, s.turn, arg);
  case MC_ROUTE_BYTES: return world_commit(w, from, &q, &s, arg);
  default: return s.error;
  }
}

mc_error world_stop(world *w, int from, mc_address to, world_ask *ask) {
  mc_sending s;
  mc_request q = world_request(w, from, MC_STOP, &to, "", ask);
  if (mc_send_begin(w->node[from].n, &q, &s) == MC_ROUTE_FAILED) return s.error;
  return mc_send_commit(w->node[from].n, &q, &s);
}

bool world_cast(world *w, int from, mc_address to, const char *method, int64_t arg,
                world_ask *ask, mc_error *error) {
  mc_sending s;
  mc_request q = world_request(w, from, MC_CAST, &to, method, ask);
  *error = MC_OK;
  switch (mc_send_begin(w->node[from].n, &q, &s)) {
  case MC_ROUTE_BYTES: *error = world_commit(w, from, &q, &s, arg); return true;
  case MC_ROUTE_WAIT: return false;
  default: *error = s.error; return true;
  }
}

world_job *world_held(world *w, int node, int64_t arg) {
  for (world_job *job = w->node[node].jobs; job; job = job->next)
    if (job->held && job->arg == arg) return job;
  return NULL;
}

void world_release(world *w, int node, int64_t arg) {
  world_job *job = world_held(w, node, arg);
  if (CHECK(job != NULL)) mc_task_ready(w->node[node].n, &job->task);
}

int world_jobs(world *w, int node) {
  int count = 0;
  for (world_job *job = w->node[node].jobs; job; job = job->next) count++;
  return count;
}

mc_stats world_stats(world *w, int node) {
  mc_stats s;
  mc_node_stats(w->node[node].n, &s);
  return s;
}
