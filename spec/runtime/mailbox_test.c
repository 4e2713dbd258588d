/* runtime/mailbox.c: what a message keeps, the order of messages, the bound. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

static void keeps_all(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  mc_actor *a = mc_actor_new(n, w->node[0].type);
  uint64_t chain[MC_MAX_CHAIN];
  for (int i = 0; i < MC_MAX_CHAIN; i++) chain[i] = MC_MAX_ID - (uint64_t)i;
  for (int chain_len = 0; chain_len <= MC_MAX_CHAIN; chain_len++) {
    mc_incoming m = {.kind = MC_CALL,
                     .origin = 3,
                     .call = MC_MAX_ID,
                     .trace = 9,
                     .deadline_ms = 1.5,
                     .chain = chain,
                     .chain_len = chain_len,
                     .method = "odd",
                     .method_len = 3,
                     .context = (const uint8_t *)"\xa1\x61k\x01",
                     .context_len = chain_len % 2 ? 4 : 0,
                     .args = (const uint8_t *)"\x81\x01",
                     .args_len = 2};
    CHECK(mc__mailbox_push(n, a, &m));
  }
  CHECK_INT(a->waiting, MC_MAX_CHAIN + 1);
  CHECK_INT(world_stats(w, 0).mailbox, MC_MAX_CHAIN + 1);
  for (int chain_len = 0; chain_len <= MC_MAX_CHAIN; chain_len++) {
    mc_incoming m;
    mc_message *msg = mc__mailbox_pop(a);
    mc__message_parts(msg, &m);
    CHECK_INT((uintptr_t)m.chain % sizeof(uint64_t), 0);
    CHECK(m.kind == MC_CALL && m.origin == 3 && m.call == MC_MAX_ID && m.trace == 9);
    CHECK(m.deadline_ms == 1.5 && m.chain_len == chain_len);
    CHECK(memcmp(m.chain, chain, (size_t)chain_len * sizeof *chain) == 0);
    CHECK(m.method_len == 3 && memcmp(m.method, "odd", 3) == 0);
    CHECK_HEX(m.context, m.context_len, chain_len % 2 ? "a1616b01" : "");
    CHECK_HEX(m.args, m.args_len, "8101");
    mc__message_free(n, msg);
  }
  CHECK(!mc__mailbox_pop(a));
  CHECK_INT(a->waiting, 0);
  CHECK_INT(world_stats(w, 0).mailbox, 0);
  world_free(w);
}

static void no_memory(void) {
  world *w = world_new(1, 0);
  mc_actor *a = mc_actor_new(w->node[0].n, w->node[0].type);
  mc_incoming m = {.kind = MC_STOP};
  CHECK(mc__mailbox_push(w->node[0].n, a, &m));
  w->heap.fail_at = w->heap.calls + 1;
  CHECK(!mc__mailbox_push(w->node[0].n, a, &m));
  CHECK_INT(a->waiting, 1);
  CHECK(mc__mailbox_push(w->node[0].n, a, &m));
  CHECK_INT(a->waiting, 2);
  world_free(w);
}

/* Calls beyond the bound are answered overloaded; what waits is served, in order. */
static void bound(int from) {
  world *w = world_new(2, 0);
  static world_ask ask[MC_MAILBOX_BOUND + 3];
  memset(ask, 0, sizeof ask);
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, from, 1, a);
  int refused = 0, total = MC_MAILBOX_BOUND + 3;
  CHECK_INT(world_call(w, from, to, "hold", 0, NULL, &ask[0]), MC_OK);
  world_run(w);
  for (int i = 1; i < total; i++) {
    mc_error code = world_call(w, from, to, "echo", i, NULL, &ask[i]);
    if (code == MC_E_OVERLOADED)
      ask[i] = (world_ask){.settled = 1, .failed = true, .code = code};
  }
  world_run(w);
  CHECK_INT(a->waiting, MC_MAILBOX_BOUND);
  for (int i = 0; i < total; i++) refused += ask[i].code == MC_E_OVERLOADED;
  CHECK_INT(refused, 2);
  CHECK_INT(ask[total - 1].code, MC_E_OVERLOADED);
  world_release(w, 1, 0);
  world_run(w);
  for (int i = 0; i < total; i++) CHECK_INT(ask[i].settled, 1);
  for (int i = 0; i < total - 2; i++) CHECK_INT(ask[i].value, i);
  CHECK_INT(w->node[1].logged, total - 2);
  for (int i = 0; i < total - 2; i++) CHECK_INT(w->node[1].log[i], i);
  CHECK_INT(world_stats(w, from).pending, 0);
  world_free(w);
}

static void bound_elsewhere(void) { bound(0); }
static void bound_here(void) { bound(1); }

/* A stop and answers pass a full mailbox. */
static void system_messages(void) {
  world *w = world_new(2, 0);
  static world_ask ask[MC_MAILBOX_BOUND + 1];
  memset(ask, 0, sizeof ask);
  world_ask stop = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  for (int i = 0; i <= MC_MAILBOX_BOUND; i++)
    world_call(w, 0, to, i ? "echo" : "hold", i, NULL, &ask[i]);
  world_run(w);
  CHECK_INT(a->waiting, MC_MAILBOX_BOUND);
  CHECK_INT(world_stop(w, 0, to, &stop), MC_OK);
  world_run(w);
  CHECK_INT(stop.settled, 0);
  CHECK_INT(a->waiting, MC_MAILBOX_BOUND + 1);
  world_release(w, 1, 0);
  world_run(w);
  CHECK_INT(stop.settled, 1);
  CHECK_INT(stop.code, MC_OK);
  for (int i = 0; i <= MC_MAILBOX_BOUND; i++) CHECK_INT(ask[i].value, i);
  world_free(w);
}

/* A cast with so many bytes of arguments, which no handler of these tests can read. */
static void put_large(world *w, mc_actor *a, size_t bytes) {
  uint8_t *args = calloc(bytes, 1);
  mc_incoming m = {.kind = MC_CAST, .method = "echo", .method_len = 4};
  m.deadline_ms = INFINITY;
  m.args = args;
  m.args_len = bytes;
  CHECK(args && mc__mailbox_push(w->node[1].n, a, &m));
  free(args);
}

/* One message of any size is taken; beyond the bytes calls are refused, casts of the node wait, casts
** from elsewhere are kept. */
static void bound_bytes(void) {
  world *w = world_new(2, 0);
  world_ask ask[5] = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a), here = world_address(w, 1, 1, a);
  CHECK_INT(world_call(w, 0, to, "hold", 0, NULL, &ask[0]), MC_OK);
  world_run(w);
  put_large(w, a, MC_MAILBOX_BYTES / 2);
  CHECK_INT(world_call(w, 0, to, "echo", 1, NULL, &ask[1]), MC_OK);
  world_run(w);
  CHECK_INT(ask[1].settled, 0);
  put_large(w, a, MC_MAILBOX_BYTES / 2);
  CHECK_INT(a->waiting, 3);
  CHECK_INT(world_call(w, 0, to, "echo", 2, NULL, &ask[2]), MC_OK);
  world_run(w);
  CHECK_INT(ask[2].code, MC_E_OVERLOADED);
  CHECK_INT(world_call(w, 1, here, "echo", 3, NULL, &ask[3]), MC_E_OVERLOADED);
  CHECK(!world_cast(w, 1, here, "echo", 4, &ask[4], &code));
  CHECK(world_cast(w, 0, to, "echo", 5, NULL, &code) && code == MC_OK);
  world_run(w);
  CHECK_INT(a->waiting, 4);
  CHECK_INT(ask[4].settled, 0);
  world_release(w, 1, 0);
  world_run(w);
  CHECK_INT(ask[1].value, 1);
  CHECK_INT(ask[4].settled, 1); /* may cast now */
  CHECK_INT(w->node[1].logged, 3);
  CHECK_INT(w->node[1].log[2], 5);
  CHECK_INT(a->waiting, 0);
  CHECK_INT((int64_t)a->waiting_bytes, 0);
  CHECK_INT(world_call(w, 1, here, "hold", 6, NULL, &ask[3]), MC_OK);
  world_run(w);
  put_large(w, a, MC_MAILBOX_BYTES + 1);
  CHECK_INT(a->waiting, 1);
  world_release(w, 1, 6);
  world_run(w);
  CHECK_INT(a->waiting, 0);
  world_free(w);
}

/* A bound of the type's own. */
static void own_bound(void) {
  world *w = world_new(2, 0);
  world_ask ask[4] = {0};
  mc_error code;
  w->node[1].type->mailbox = 1;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a), here = world_address(w, 1, 1, a);
  CHECK_INT(world_call(w, 0, to, "hold", 0, NULL, &ask[0]), MC_OK);
  for (int i = 1; i < 3; i++)
    CHECK_INT(world_call(w, 0, to, "echo", i, NULL, &ask[i]), MC_OK);
  world_run(w);
  CHECK_INT(ask[1].settled, 0);
  CHECK_INT(ask[2].code, MC_E_OVERLOADED);
  CHECK(!world_cast(w, 1, here, "echo", 3, &ask[3], &code));
  world_release(w, 1, 0);
  world_run(w);
  CHECK_INT(ask[1].value, 1);
  CHECK_INT(ask[3].settled, 1);
  world_free(w);
}

/* An actor whose "get" interleaves, with these messages in its mailbox: g get, c another call, s a stop. The
** call id of each is its place, from 1 on. */
static mc_actor *mixed(world *w, const char *kinds) {
  static const uint8_t names[] = {3, 'g', 'e', 't'};
  mc_node *n = w->node[0].n;
  CHECK(mc_type_interleave(n, w->node[0].type, names, sizeof names));
  mc_actor *a = mc_actor_new(n, w->node[0].type);
  for (uint64_t i = 0; kinds[i]; i++) {
    mc_incoming m = {.kind = kinds[i] == 's' ? MC_STOP : MC_CALL, .call = i + 1};
    m.method = kinds[i] == 'g' ? "get" : kinds[i] == 'c' ? "set" : "";
    m.method_len = strlen(m.method);
    CHECK(mc__mailbox_push(n, a, &m));
  }
  return a;
}

/* The next one that is popped, as its place; 0: none. */
static int64_t pop_eager(world *w, mc_actor *a) {
  mc_message *msg = mc__mailbox_pop_eager(a);
  int64_t place = msg ? (int64_t)msg->call : 0;
  if (msg) mc__message_free(w->node[0].n, msg);
  return place;
}

static int64_t pop(world *w, mc_actor *a) {
  mc_message *msg = mc__mailbox_pop(a);
  int64_t place = msg ? (int64_t)msg->call : 0;
  if (msg) mc__message_free(w->node[0].n, msg);
  return place;
}

static void eager_order(void) {
  world *w = world_new(1, 0);
  mc_actor *a = mixed(w, "cgcgg");
  CHECK_INT(a->eager, 3);
  CHECK_INT(pop_eager(w, a), 2);
  CHECK_INT(pop_eager(w, a), 4);
  CHECK_INT(pop_eager(w, a), 5); /* the last: the queue ends before it now */
  CHECK_INT(pop_eager(w, a), 0);
  CHECK_INT(a->eager, 0);
  mc_incoming m = {.kind = MC_CALL, .call = 6, .method = "get", .method_len = 3};
  CHECK(mc__mailbox_push(w->node[0].n, a, &m));
  CHECK_INT(pop(w, a), 1);
  CHECK_INT(pop(w, a), 3);
  CHECK_INT(pop_eager(w, a), 6);
  CHECK_INT(pop(w, a), 0);
  CHECK_INT(a->waiting, 0);
  CHECK_INT((int64_t)a->waiting_bytes, 0);
  world_free(w);
}

static void eager_stop(void) {
  world *w = world_new(1, 0);
  mc_actor *a = mixed(w, "cgsgc");
  CHECK_INT(pop_eager(w, a), 2);
  CHECK_INT(pop_eager(w, a), 0); /* the stop is before the other */
  CHECK_INT(a->eager, 1);
  CHECK_INT(pop(w, a), 1);
  CHECK_INT(pop_eager(w, a), 0);
  CHECK_INT(pop(w, a), 3);
  CHECK_INT(a->stops, 0);
  CHECK_INT(pop_eager(w, a), 4);
  CHECK_INT(pop(w, a), 5);
  world_free(w);
}

static const check_test tests[] = {
    {"mailbox: a message keeps chain, method and arguments, aligned", keeps_all},
    {"mailbox: a message for which there is no memory leaves it as it was", no_memory},
    {"mailbox: a full one answers overloaded to callers elsewhere", bound_elsewhere},
    {"mailbox: a full one answers overloaded to callers here", bound_here},
    {"mailbox: it is full when its bytes are reached, not before", bound_bytes},
    {"mailbox: a type may have a bound of its own", own_bound},
    {"mailbox: what interleaves is taken in its order, and the rest keeps its own",
     eager_order},
    {"mailbox: what interleaves does not pass a stop", eager_stop},
    {"mailbox: a stop does not wait for room in it", system_messages},
};

int main(void) { return CHECK_RUN(tests); }
