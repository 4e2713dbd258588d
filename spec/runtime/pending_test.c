/* runtime/pending.c: ids of calls, stale and foreign answers, timeouts, the death of a node. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

static void stale(void) {
  world *w = world_new(2, 0);
  mc_node *n = w->node[0].n;
  world_ask a = {0}, b = {0};
  CHECK_INT(mc__pending_add(n, &a.wait, &(mc_address){.peer = 1}, INFINITY), MC_OK);
  uint64_t first = a.wait.id;
  CHECK(first != 0 && first <= MC_MAX_ID);
  CHECK(mc__pending_find(n, first, 1) == &a.wait);
  mc_wait_settled(n, &a.wait);
  CHECK(!mc_wait_pending(&a.wait));
  CHECK(!mc__pending_find(n, first, 1));
  CHECK_INT(mc__pending_add(n, &b.wait, &(mc_address){.peer = 1}, INFINITY), MC_OK);
  CHECK(b.wait.id != first);
  CHECK_INT(b.wait.id & (MC_MAX_SLOTS - 1), first & (MC_MAX_SLOTS - 1));
  CHECK(!mc__pending_find(n, first, 1));
  CHECK(!mc__pending_find(n, b.wait.id, MC_SELF));
  CHECK(!mc__pending_find(n, b.wait.id + 1, 1));
  CHECK(!mc__pending_find(n, MC_MAX_ID, 1));
  CHECK(!mc__pending_find(n, 0, 1));
  world_free(w);
}

/* The generation of a slot starts over, at 1: an id is never 0 and keeps to 52 bits. */
static void wraps(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  world_ask a = {0};
  mc__pending_add(n, &a.wait, &(mc_address){.peer = MC_SELF}, INFINITY);
  mc_wait_settled(n, &a.wait);
  n->pending.slots[0].generation = MC_CALL_GENERATIONS;
  mc__pending_add(n, &a.wait, &(mc_address){.peer = MC_SELF}, INFINITY);
  uint64_t last = a.wait.id;
  CHECK((last | MC_MAKES) <= MC_MAX_ID && !(last & MC_MAKES));
  CHECK_INT(last >> MC_SLOT_BITS, MC_CALL_GENERATIONS);
  CHECK(mc__pending_find(n, last, MC_SELF) == &a.wait);
  mc_wait_settled(n, &a.wait);
  mc__pending_add(n, &a.wait, &(mc_address){.peer = MC_SELF}, INFINITY);
  CHECK_INT(a.wait.id >> MC_SLOT_BITS, 1);
  CHECK(!mc__pending_find(n, last, MC_SELF));
  mc_wait_forget(n, &a.wait);
  world_free(w);
}

static void held_call(world *w, world_ask *ask) {
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  CHECK_INT(world_call(w, 0, world_address(w, 0, 1, a), "hold", 1, NULL, ask), MC_OK);
  world_run(w);
  CHECK(mc_wait_pending(&ask->wait));
  CHECK_INT(world_jobs(w, 1), 1);
}

static void times_out(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  held_call(w, &ask);
  world_pass(w, 29999);
  CHECK_INT(ask.settled, 0);
  world_pass(w, 2);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(ask.code, MC_E_TIMEOUT);
  CHECK_INT(world_stats(w, 0).timers, 0);
  world_release(w, 1, 1);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(world_stats(w, 0).late_replies, 1);
  CHECK_INT(world_stats(w, 0).pending, 0);
  world_free(w);
}

/* An answer to somebody else's call, with the right id, from the wrong node. */
static void from_the_wrong_peer(void) {
  world *w = world_new(3, 0);
  world_ask ask = {0};
  held_call(w, &ask);
  mc_turn foreign = {.origin = w->node[2].peer[0], .call = ask.wait.id, .kind = MC_CALL};
  mc_reply_error(w->node[2].n, &foreign, MC_E_CANCELLED, NULL);
  world_run(w);
  CHECK_INT(ask.settled, 0);
  CHECK_INT(world_stats(w, 0).late_replies, 1);
  world_release(w, 1, 1);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(ask.value, 1);
  world_free(w);
}

/* The same answer twice: the second finds nothing. */
static void answered_twice(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  held_call(w, &ask);
  mc_turn twin = *world_held(w, 1, 1)->turn;
  world_release(w, 1, 1);
  mc_node_step(w->node[1].n, 10);
  mc_reply_error(w->node[1].n, &twin, MC_E_CANCELLED, NULL);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  CHECK(!ask.failed);
  CHECK_INT(world_stats(w, 0).late_replies, 1);
  world_free(w);
}

static void node_dies(void) {
  enum { CALLS = 100 };
  world *w = world_new(3, 0);
  static world_ask ask[CALLS], other;
  memset(ask, 0, sizeof ask);
  memset(&other, 0, sizeof other);
  mc_actor *elsewhere = world_spawn(w, 2, w->node[2].type);
  world_call(w, 0, world_address(w, 0, 2, elsewhere), "hold", 1, NULL, &other);
  for (int i = 0; i < CALLS; i++) {
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    world_call(w, 0, world_address(w, 0, 1, a), "hold", i, NULL, &ask[i]);
  }
  world_run(w);
  world_kill(w, 1);
  for (int i = 0; i < CALLS; i++) {
    CHECK_INT(ask[i].settled, 1);
    CHECK_INT(ask[i].code, MC_E_NODE_DOWN);
  }
  mc_node_peer_down(w->node[0].n, w->node[0].peer[1], MC_E_NODE_DOWN); /* told twice */
  CHECK_INT(ask[0].settled, 1);
  CHECK_INT(other.settled, 0);
  CHECK_INT(world_stats(w, 0).pending, 1);
  world_pass(w, 60000);
  CHECK_INT(ask[0].settled, 1);
  CHECK_INT(other.code, MC_E_TIMEOUT);
  world_free(w);
}

static void answers_before_death(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  held_call(w, &ask);
  world_release(w, 1, 1);
  mc_node_step(w->node[1].n, 10); /* sent, not yet arrived */
  world_kill(w, 1);
  CHECK_INT(ask.settled, 1);
  CHECK(!ask.failed);
  world_free(w);
}

static void forgotten(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  held_call(w, &ask);
  mc_wait_forget(w->node[0].n, &ask.wait);
  CHECK_INT(world_stats(w, 0).timers, 0);
  world_release(w, 1, 1);
  world_pass(w, 60000);
  CHECK_INT(ask.settled, 0);
  CHECK_INT(world_stats(w, 0).late_replies, 1);
  world_free(w);
}

/* The default time counts from the call, not from when the step began. */
static void slow_handler(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  w->now_ms += 40000; /* what computes does not look at the clock */
  CHECK_INT(world_call(w, 0, world_address(w, 0, 1, a), "echo", 1, NULL, &ask), MC_OK);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(ask.code, MC_OK);
  world_free(w);
}

static const check_test tests[] = {
    {"pending: a stale id finds nothing, nor does one of another node [C4]", stale},
    {"pending: generations start over at 1, within 52 bits [C4]", wraps},
    {"pending: a call times out once; its answer is late", times_out},
    {"pending: an answer from the wrong node is late [C4]", from_the_wrong_peer},
    {"pending: a second answer is late [D4]", answered_twice},
    {"pending: all calls to a node that dies fail, once and at once [E4]", node_dies},
    {"pending: what the dead node had answered counts", answers_before_death},
    {"pending: a wait that was forgotten is not settled", forgotten},
    {"pending: the default time counts from the call", slow_handler},
};

int main(void) { return CHECK_RUN(tests); }
