/*
** What each operation of the core costs, with no Lua, no links and no clock around it:
**
**   core count   runs every operation COUNT times, warm. Under callgrind each ends with a dump of the
**                instructions that it took, named after it: counts.mjs reads those.
**   core scale   prints `name nanoseconds` for operations among few and among a million.
**
** Two nodes in one process hand their bytes to each other. Everything random is fixed, and memory comes
** from lists of free blocks, so that the counts are the same in each run and know no malloc.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

#include "node.h"

enum { COUNT = 1000, FEW = 1000, MANY_ACTORS = 100000, MANY = 1000000 };

/* ---- the host -------------------------------------------------------------------------------- */

enum { CLASSES = 40 };
static union block {
  union block *next;
  max_align_t align;
} * free_blocks[CLASSES];

static unsigned class_of(size_t size, size_t *rounded) {
  unsigned c = 0;
  for (*rounded = 16; *rounded < size; *rounded *= 2) c++;
  return c;
}

static void *host_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  size_t rounded, old;
  unsigned c = class_of(nsize, &rounded), before = class_of(osize, &old);
  (void)ud;
  if (ptr && nsize && c == before) return ptr;
  union block *fresh = NULL;
  if (nsize) {
    fresh = free_blocks[c];
    if (fresh)
      free_blocks[c] = fresh->next;
    else if (!(fresh = malloc(rounded)))
      abort();
  }
  if (ptr && nsize) memcpy(fresh, ptr, osize < nsize ? osize : nsize);
  if (ptr) {
    union block *b = ptr;
    b->next = free_blocks[before];
    free_blocks[before] = b;
  }
  return fresh;
}

static double host_now(void *ud) {
  (void)ud;
  return 1000;
}

static void host_random(void *ud, void *out, size_t len) {
  static uint64_t seed = 7;
  (void)ud;
  for (size_t i = 0; i < len; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    ((uint8_t *)out)[i] = (uint8_t)(seed >> 56);
  }
}

static void host_connect(void *ud, uint32_t peer, const char *name, size_t len,
                         uint64_t incarnation) {
  (void)ud, (void)peer, (void)name, (void)len, (void)incarnation;
}

enum { PIPE = 1 << 16 };
typedef struct side {
  mc_node *n;
  mc_type *type;
  uint32_t other;
  uint8_t sent[PIPE];
  size_t len;
} side;
static side here, there;

static size_t host_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len) {
  side *s = ud;
  (void)peer;
  if (len > PIPE - s->len) len = PIPE - s->len;
  memcpy(s->sent + s->len, bytes, len);
  s->len += len;
  return len;
}

static void pass(side *from, side *to) {
  mc_node_step(from->n, 0);
  if (!mc_node_deliver(to->n, to->other, from->sent, from->len)) abort();
  from->len = 0;
}

/* ---- the language: every handler returns its one argument at once --------------------------- */

static uint64_t handled, settled;

static void lang_start(void *ud, mc_turn *turn, mc_reader *r) {
  side *s = ud;
  mc_item array = {0}, item = {0};
  size_t frame;
  if (!mc_read(r, &array) || !mc_read(r, &item)) abort();
  handled++;
  mc_buf *out = turn->call ? mc_reply_begin(s->n, turn, false, &frame) : NULL;
  if (out) {
    mc_write_array(out, 1);
    mc_write_int(out, item.as.integer);
    if (mc_reply_commit(s->n, turn, frame)) abort();
  }
  mc_turn_end(s->n, turn);
}

static void lang_settle(void *ud, mc_wait *wait, const mc_outcome *o) {
  mc_item array = {0}, item = {0};
  (void)ud, (void)wait;
  if (o->failed || !mc_read(o->values, &array) || !mc_read(o->values, &item)) abort();
  settled++;
}

static void lang_resume(void *ud, mc_task *task) { (void)ud, (void)task; }
static void lang_resign(void *ud, mc_actor *actor) { (void)ud, (void)actor; }

static void open_side(side *s, const char *name, uint64_t incarnation) {
  mc_config config = {
      .host = {s, host_alloc, host_now, host_random, host_connect, host_send},
      .language = {s, lang_start, lang_settle, lang_resume, lang_resign, NULL, NULL},
      .name = name,
      .name_len = strlen(name),
      .incarnation = incarnation,
      .call_timeout_ms = 30000,
  };
  s->n = mc_node_new(&config);
  if (!s->n || !(s->type = mc_type_named(s->n, "Echo", 4))) abort();
}

/* ---- operations ------------------------------------------------------------------------------ */

static mc_actor *actor_here;
static mc_address local, remote;
static mc_buf record;

static void write_text(const char *s) { mc_write_string(&record, s, strlen(s)); }

static void write_field(const char *name, double number) {
  write_text(name);
  if (number == floor(number))
    mc_write_int(&record, (int64_t)number);
  else
    mc_write_float(&record, number);
}

static void write_field_text(const char *name, const char *text) {
  write_text(name);
  write_text(text);
}

/* The record of measure.lua. */
static void encode(int count) {
  for (int i = 0; i < count; i++) {
    record.len = 0;
    mc_write_map(&record, 8);
    write_field("id", 123456789);
    write_field_text("name", "Ada Lovelace");
    write_field_text("email", "ada@example.org");
    write_text("active");
    mc_write_bool(&record, true);
    write_field("score", 98.6);
    write_field("visits", 42);
    write_text("tags");
    mc_write_array(&record, 3);
    write_text("first");
    write_text("program");
    write_text("engine");
    write_text("address");
    mc_write_map(&record, 4);
    write_field_text("street", "St James's Square");
    write_field("number", 12);
    write_field_text("city", "London");
    write_text("position");
    mc_write_map(&record, 2);
    write_field("lat", 51.507);
    write_field("lon", -0.135);
  }
}

static void decode(int count) {
  for (int i = 0; i < count; i++) {
    mc_reader r;
    mc_item item;
    mc_reader_init(&r, record.data, record.len);
    while (r.at < r.end)
      if (!mc_read(&r, &item)) abort();
  }
}

static mc_request request(mc_message_kind kind, const mc_address *to, mc_wait *wait) {
  mc_request q = {.kind = kind, .to = to, .type = here.type, .method = "echo"};
  q.method_len = 4;
  q.timeout_ms = -1;
  q.wait = wait;
  return q;
}

static void commit(const mc_request *q, mc_sending *s, int i) {
  mc_write_array(s->out, 1);
  mc_write_int(s->out, i);
  if (mc_send_commit(here.n, q, s)) abort();
}

static void same_node_call(int count) {
  for (int i = 0; i < count; i++) {
    mc_wait wait = {0};
    mc_sending s;
    mc_request q = request(MC_CALL, &local, &wait);
    q.direct = true;
    if (mc_send_begin(here.n, &q, &s) != MC_ROUTE_DIRECT) abort();
    mc_turn_end(here.n, s.turn);
  }
}

static void same_node_cast(int count) {
  for (int i = 0; i < count; i++) {
    mc_sending s;
    mc_request q = request(MC_CAST, &local, NULL);
    if (mc_send_begin(here.n, &q, &s) != MC_ROUTE_BYTES) abort();
    commit(&q, &s, i);
  }
}

/* One call after the other, to the other node and back. */
static void call(int count) {
  for (int i = 0; i < count; i++) {
    mc_wait wait = {0};
    mc_sending s;
    mc_request q = request(MC_CALL, &remote, &wait);
    if (mc_send_begin(here.n, &q, &s) != MC_ROUTE_BYTES) abort();
    commit(&q, &s, i);
    pass(&here, &there);
    pass(&there, &here);
  }
}

/* A hundred at a time, and the credit for them. */
static void cast(int count) {
  for (int i = 0; i < count; i++) {
    mc_sending s;
    mc_request q = request(MC_CAST, &remote, NULL);
    if (mc_send_begin(here.n, &q, &s) != MC_ROUTE_BYTES) abort();
    commit(&q, &s, i);
    if (i % 100 < 99) continue;
    pass(&here, &there);
    pass(&there, &here);
  }
}

static mc_actor **actors;
static int living;

static void spawn(int count) {
  for (int i = 0; i < count; i++) {
    mc_actor *a = mc_actor_new(here.n, here.type);
    if (!a) abort();
    mc_actor_ready(here.n, a);
    actors[living++] = a;
  }
}

static void stop(int count) {
  while (count--) mc_actor_end(here.n, actors[--living]);
}

static mc_timer *timers;
static int running;

static void fire(mc_node *n, mc_timer *t) { (void)n, (void)t; }

/* Due in an order that has nothing to do with that of setting. */
static double moment(int i) { return 2000 + (double)(i * 7919LL % 1000003); }

static void timer_set(int count) {
  for (int i = 0; i < count; i++, running++) {
    timers[running].fire = fire;
    if (!mc_timer_set(here.n, &timers[running], moment(running))) abort();
  }
}

static void timer_clear(int count) {
  while (count--) mc_timer_clear(here.n, &timers[--running]);
}

static mc_wait *waits;
static int pending;

/* With a deadline, as calls have: a timer each. */
static void pending_add(int count) {
  for (int i = 0; i < count; i++, pending++)
    if (mc__pending_add(here.n, &waits[pending], &remote, MC_NOT_CHOSEN)) abort();
}

static void pending_settle(int count) {
  static const uint8_t one[] = {0x81, 0x01};
  while (count--) {
    mc_reader r;
    mc_reader_init(&r, one, sizeof one);
    mc_outcome o = {.values = &r};
    mc_wait *w = mc__pending_find(here.n, waits[--pending].id, remote.peer);
    if (!w) abort();
    mc__pending_settle(here.n, w, &o);
  }
}

static const struct operation {
  const char *name;
  void (*run)(int count);
} operations[] = {
    {"encode", encode},
    {"decode", decode},
    {"same_node_call", same_node_call},
    {"same_node_cast", same_node_cast},
    {"call", call},
    {"cast", cast},
    {"spawn", spawn},
    {"stop", stop},
    {"timer_set", timer_set},
    {"timer_clear", timer_clear},
    {"pending_add", pending_add},
    {"pending_settle", pending_settle},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* Twice: the first time warms up. */
static void count_all(void) {
  for (int warm = 0; warm < 2; warm++)
    for (int i = 0; i < OPERATIONS; i++) {
      CALLGRIND_ZERO_STATS;
      operations[i].run(COUNT);
      if (warm) CALLGRIND_DUMP_STATS_AT(operations[i].name);
    }
}

/* ---- among few and among many ---------------------------------------------------------------- */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Grows to `size`, then adds and takes away FEW at a time until that took a while. */
static void among(int size, void (*add)(int), void (*take)(int), const char *name) {
  double took = 0;
  long done = 0;
  add(size);
  while (took < 0.05) {
    double start = seconds();
    add(FEW);
    take(FEW);
    took += seconds() - start;
    done += FEW;
  }
  printf("%s_among_%d %.4g\n", name, size, took / (double)done * 1e9);
  take(size);
}

static void scale(void) {
  among(FEW, spawn, stop, "core_actor");
  among(MANY_ACTORS, spawn, stop, "core_actor");
  among(FEW, timer_set, timer_clear, "core_timer");
  among(MANY, timer_set, timer_clear, "core_timer");
  among(FEW, pending_add, pending_settle, "core_pending_call");
  among(MANY, pending_add, pending_settle, "core_pending_call");
}

int main(int argc, char **argv) {
  static mc_host host = {.alloc = host_alloc};
  open_side(&here, "here", 100);
  open_side(&there, "there", 101);
  here.other = mc_peer_named(here.n, "there", 5, 101);
  there.other = mc_peer_named(there.n, "here", 4, 100);
  actor_here = mc_actor_new(here.n, here.type);
  mc_actor *actor_there = mc_actor_new(there.n, there.type);
  mc_actor_ready(here.n, actor_here);
  mc_actor_ready(there.n, actor_there);
  mc_actor_address(actor_here, &local);
  mc_actor_address(actor_there, &remote);
  remote.peer = here.other;
  mc_buf_init(&record, &host);
  actors = calloc(MANY_ACTORS + FEW, sizeof *actors);
  timers = calloc(MANY + FEW, sizeof *timers);
  waits = calloc(MANY + FEW, sizeof *waits);
  if (argc == 2 && strcmp(argv[1], "count") == 0)
    count_all();
  else if (argc == 2 && strcmp(argv[1], "scale") == 0)
    scale();
  else
    return fprintf(stderr, "usage: %s count | scale\n", argv[0]), 2;
  mc_node_free(here.n);
  mc_node_free(there.n);
  return 0;
}
