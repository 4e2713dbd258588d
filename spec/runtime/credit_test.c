/* runtime/credit.c: how many casts may be under way, who waits, and who is woken. */
#include <setjmp.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

enum { WINDOW = MC_CAST_WINDOW };
enum { HERE = MC_MAILBOX_BOUND - MC_MAILBOX_BOUND / MC_CALLS_SHARE };

/* Casts until it would have to wait; how many went. */
static int cast_all(world *w, int from, mc_address to, const char *method, int first,
                    world_ask *ask) {
  mc_error code;
  int sent = 0;
  while (world_cast(w, from, to, method, first + sent, ask, &code)) {
    if (!CHECK_INT(code, MC_OK)) break;
    sent++;
  }
  return sent;
}

static void window(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0}, more = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  CHECK(world_cast(w, 0, to, "hold", 0, &ask, &code));
  world_run(w);
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask), WINDOW - 1);
  CHECK(world_cast(w, 0, to, "echo", 0, NULL, &code)); /* who cannot wait is refused */
  CHECK_INT(code, MC_E_OVERLOADED);
  world_run(w);
  CHECK_INT(a->waiting, WINDOW - 1);
  CHECK_INT(ask.settled, 0);
  world_release(w, 1, 0);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(ask.code, MC_OK);
  CHECK_INT(w->node[1].logged, WINDOW);
  CHECK_INT(cast_all(w, 0, to, "echo", WINDOW, &more), WINDOW);
  world_run(w);
  for (int i = 0; i < 2 * WINDOW; i++) CHECK_INT(w->node[1].log[i], i);
  CHECK_INT(world_stats(w, 0).pending, 0);
  world_free(w);
}

/* One window per actor and node: a full one holds up nobody else. */
static void windows_apart(void) {
  world *w = world_new(3, 0);
  world_ask ask[3] = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type),
           *b = world_spawn(w, 1, w->node[1].type);
  mc_address to_a = world_address(w, 0, 1, a);
  CHECK(world_cast(w, 0, to_a, "hold", 0, &ask[0], &code));
  CHECK_INT(cast_all(w, 0, to_a, "echo", 1, &ask[0]), WINDOW - 1);
  CHECK_INT(cast_all(w, 0, world_address(w, 0, 1, b), "echo", 1, &ask[1]), WINDOW);
  CHECK_INT(cast_all(w, 2, world_address(w, 2, 1, a), "echo", 1, &ask[2]), WINDOW);
  world_run(w);
  CHECK_INT(ask[0].settled, 0);
  CHECK_INT(ask[1].settled, 1);
  CHECK_INT(ask[2].settled, 0);
  world_release(w, 1, 0);
  world_run(w);
  CHECK_INT(ask[0].settled, 1);
  CHECK_INT(ask[2].settled, 1);
  world_free(w);
}

/* All who wait are woken, in the order in which they came; one that gave up is not. */
static void woken(void) {
  world *w = world_new(2, 0);
  world_ask ask[5] = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  CHECK(world_cast(w, 0, to, "hold", 0, &ask[0], &code));
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask[0]), WINDOW - 1);
  for (int i = 1; i < 5; i++) CHECK(!world_cast(w, 0, to, "echo", i, &ask[i], &code));
  mc_wait_forget(w->node[0].n, &ask[0].wait); /* the first, one inside, the last */
  mc_wait_forget(w->node[0].n, &ask[2].wait);
  mc_wait_forget(w->node[0].n, &ask[4].wait);
  CHECK(!world_cast(w, 0, to, "echo", 1, &ask[2], &code)); /* and one comes back */
  world_run(w);
  world_release(w, 1, 0);
  world_run(w);
  for (int i = 0; i < 5; i++) CHECK_INT(ask[i].settled, i >= 1 && i <= 3);
  world_free(w);
}

static void here(void) {
  world *w = world_new(1, 0);
  world_ask ask = {0}, more = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 0, w->node[0].type);
  mc_address to = world_address(w, 0, 0, a);
  CHECK(world_cast(w, 0, to, "hold", 0, &ask, &code));
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask), HERE);
  CHECK(!world_cast(w, 0, to, "echo", 1, &more, &code));
  mc_wait_forget(w->node[0].n, &more.wait);
  CHECK(world_cast(w, 0, to, "echo", 0, NULL, &code));
  CHECK_INT(code, MC_E_OVERLOADED);
  world_run(w);
  CHECK_INT(ask.settled, 0);
  world_release(w, 0, 0);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(more.settled, 0);
  CHECK_INT(w->node[0].logged, HERE + 1);
  for (int i = 0; i < w->node[0].logged; i++) CHECK_INT(w->node[0].log[i], i);
  world_free(w);
}

/* Behind as many casts as went there is room for calls, until these have filled it. */
static void calls_behind(void) {
  world *w = world_new(1, 0);
  world_ask ask = {0};
  static world_ask call[MC_MAILBOX_BOUND - HERE + 1];
  memset(call, 0, sizeof call);
  mc_error code;
  mc_actor *a = world_spawn(w, 0, w->node[0].type);
  mc_address to = world_address(w, 0, 0, a);
  CHECK(world_cast(w, 0, to, "hold", 0, &ask, &code));
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask), HERE);
  for (int i = 0; i < MC_MAILBOX_BOUND - HERE; i++)
    CHECK_INT(world_call(w, 0, to, "echo", i, NULL, &call[i]), MC_OK);
  CHECK_INT(world_call(w, 0, to, "echo", 0, NULL, &call[MC_MAILBOX_BOUND - HERE]),
            MC_E_OVERLOADED);
  world_run(w);
  world_release(w, 0, 0);
  world_run(w);
  for (int i = 0; i < MC_MAILBOX_BOUND - HERE; i++) CHECK_INT(call[i].value, i);
  CHECK_INT(ask.settled, 1);
  world_free(w);
}

/* Who waits for a dead actor learns it when it casts again: a dead letter, and the credit is back. */
static void dead_actor(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0}, ask_here = {0}, stop = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a), to_here = world_address(w, 1, 1, a);
  world_stop(w, 1, to_here, &stop);
  world_run(w);
  CHECK_INT(stop.settled, 1);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(cast_all(w, 0, to, "echo", 0, &ask), WINDOW);
    CHECK_INT(ask.settled, i);
    world_run(w);
    CHECK_INT(ask.settled, i + 1);
  }
  CHECK(world_cast(w, 1, to_here, "echo", 0, &ask_here, &code));
  CHECK_INT(code, MC_OK);
  CHECK_INT(world_stats(w, 1).dead_letters, 3 * WINDOW + 1);
  for (int i = 0; i < MC_WINDOW_BUCKETS; i++) CHECK(!w->node[0].n->windows[i]);
  world_free(w);
}

/* Casts that nobody can take give their credit back, too. */
static void refused(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_error code;
  mc_sending s;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  for (int i = 0; i < 3 * WINDOW; i++) {
    mc_request q = world_request(w, 0, MC_CAST, &to, "echo", &ask);
    q.type = w->node[0].reentrant; /* the wrong one */
    CHECK_INT(mc_send_begin(w->node[0].n, &q, &s), MC_ROUTE_BYTES);
    CHECK_INT(world_commit(w, 0, &q, &s, 1), MC_OK);
    if (i % 100 == 0) world_run(w);
  }
  world_run(w);
  CHECK_INT(world_stats(w, 1).dead_letters, 3 * WINDOW);
  CHECK_INT(w->node[1].logged, 0);
  CHECK(world_cast(w, 0, to, "none", 1, &ask, &code));
  world_run(w);
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask), WINDOW - 1);
  mc_wait_forget(w->node[0].n, &ask.wait);
  world_free(w);
}

/* What could not be sent after all takes no credit. */
static void aborted(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_sending s;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  mc_request q = world_request(w, 0, MC_CAST, &to, "hold", &ask);
  for (int i = 0; i < 2 * WINDOW; i++) {
    CHECK_INT(mc_send_begin(w->node[0].n, &q, &s), MC_ROUTE_BYTES);
    mc_write_nil(s.out);
    mc_send_abort(w->node[0].n, &q, &s);
  }
  CHECK_INT(cast_all(w, 0, to, "echo", 0, &ask), WINDOW);
  world_run(w);
  CHECK_INT(w->node[1].logged, WINDOW);
  world_free(w);
}

static void node_dies(void) {
  world *w = world_new(2, 0);
  world_ask ask[3] = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  CHECK(world_cast(w, 0, to, "hold", 0, &ask[0], &code));
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask[0]), WINDOW - 1);
  CHECK(!world_cast(w, 0, to, "echo", 1, &ask[1], &code));
  world_kill(w, 1);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(ask[i].settled, 1);
    CHECK_INT(ask[i].code, MC_E_NODE_DOWN);
  }
  CHECK(world_cast(w, 0, to, "echo", 1, &ask[2], &code));
  CHECK_INT(code, MC_E_NODE_DOWN);
  world_free(w);
}

/* More credit than was ever taken, or for what nobody knows: no harm. */
static void too_much(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  CHECK(world_cast(w, 0, to, "hold", 0, &ask, &code));
  CHECK(mc__credit_give(w->node[1].n, w->node[1].peer[0], a->instance, UINT32_MAX));
  CHECK(mc__credit_give(w->node[1].n, w->node[1].peer[0], MC_MAX_ID, 1));
  world_run(w);
  CHECK_INT(w->broken, 0);
  CHECK_INT(cast_all(w, 0, to, "echo", 1, &ask), WINDOW);
  world_free(w);
}

/* Credit that cannot be given for want of memory is given with the next lot. */
static void given_later(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  CHECK_INT(cast_all(w, 0, to, "now", 0, &ask), WINDOW);
  mc_node_step(w->node[0].n, 10);
  mc__outbox(w->node[1].n, w->node[1].peer[0]);
  mc_buf *out = &w->node[1].n->peers[w->node[1].peer[0]]->out;
  out->failed = true; /* until the next attempt to close a frame */
  world_run(w);
  CHECK_INT(ask.settled, 1);
  /* one lot came with the cast behind it, so that the last one lacks one */
  CHECK_INT(cast_all(w, 0, to, "now", 0, &ask), WINDOW - (WINDOW / 4 - 1));
  world_free(w);
}

/* A language that jumps out of one settling, as Lua does without memory: the others are woken. */
static jmp_buf out;
static void (*real_settle)(void *ud, mc_wait *wait, const mc_outcome *o);

static void jump_once(void *ud, mc_wait *wait, const mc_outcome *o) {
  world_node *s = ud;
  (void)wait, (void)o;
  s->n->language.settle = real_settle;
  longjmp(out, 1);
}

static void jumps(void) {
  world *w = world_new(2, 0);
  world_ask ask[4] = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  cast_all(w, 0, to, "echo", 0, &ask[0]);
  for (int i = 1; i < 4; i++) CHECK(!world_cast(w, 0, to, "echo", 0, &ask[i], &code));
  real_settle = w->node[0].n->language.settle;
  w->node[0].n->language.settle = jump_once;
  if (setjmp(out) == 0) world_kill(w, 1);
  mc_wait_forget(w->node[0].n, &ask[2].wait);
  mc_node_step(w->node[0].n, 10);
  for (int i = 0; i < 4; i++) CHECK_INT(ask[i].settled, i % 2);
  CHECK_INT(ask[1].code, MC_E_NODE_DOWN);
  world_free(w);
}

static const check_test tests[] = {
    {"credit: casts to one actor elsewhere wait beyond the window, in order [C16]",
     window},
    {"credit: each pair of a node and an actor has a window of its own", windows_apart},
    {"credit: all who wait are woken, but who gave up", woken},
    {"credit: casts here wait for room in the mailbox, in order [C16]", here},
    {"credit: casts here leave room for calls behind them", calls_behind},
    {"credit: what a dead actor got is a dead letter and no debt", dead_actor},
    {"credit: casts that are refused over there give it back", refused},
    {"credit: a cast that is aborted takes none", aborted},
    {"credit: who waits to cast to a node that dies fails once [E4]", node_dies},
    {"credit: more than was taken does no harm", too_much},
    {"credit: what could not be given is given later", given_later},
    {"credit: a language that jumps out of `settle` loses one wait only", jumps},
};

int main(void) { return CHECK_RUN(tests); }
