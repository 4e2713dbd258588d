/* runtime/dispatch.c: what starts, what waits, what is answered at once; stopping; deadlocks. */
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

static void call_and_reply(void) {
  world *w = world_new(2, 0);
  world_ask ask[3] = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  CHECK_INT(world_call(w, 0, to, "echo", -7, NULL, &ask[0]), MC_OK);
  CHECK_INT(world_call(w, 0, to, "fail", 8, NULL, &ask[1]), MC_OK);
  CHECK_INT(world_call(w, 0, to, "none", 9, NULL, &ask[2]), MC_OK);
  world_run(w);
  CHECK(ask[0].settled == 1 && !ask[0].failed && ask[0].value == -7);
  CHECK(ask[1].settled == 1 && ask[1].failed && ask[1].code == MC_OK &&
        ask[1].value == 8);
  CHECK(ask[2].settled == 1 && ask[2].code == MC_E_NO_SUCH_METHOD);
  CHECK_TEXT(ask[2].message, "no such method");
  CHECK_INT(world_stats(w, 0).pending, 0);
  CHECK_INT(world_stats(w, 0).timers, 0);
  world_free(w);
}

/* Calls to many actors, answered in another order than they were made. */
static void out_of_order(void) {
  enum { MANY = 100 };
  world *w = world_new(2, 0);
  static world_ask ask[MANY];
  memset(ask, 0, sizeof ask);
  for (int i = 0; i < MANY; i++) {
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    world_call(w, 0, world_address(w, 0, 1, a), "hold", i, NULL, &ask[i]);
  }
  world_run(w);
  for (int i = 0; i < MANY; i++) {
    world_release(w, 1, i * 37 % MANY);
    if (i % 3 == 0) world_run(w);
  }
  world_run(w);
  for (int i = 0; i < MANY; i++) CHECK(ask[i].settled == 1 && ask[i].value == i);
  world_free(w);
}

/* 10,000 casts and calls from one node, in pieces of all sizes: started in the order sent. */
static void first_in_first_out(void) {
  enum { MANY = 10000 };
  static const size_t cuts[] = {0, 1, 7, 1000};
  for (size_t c = 0; c < 4; c++) {
    world *w = world_new(2, 0);
    world_ask ask = {0}, call[MANY / 1000] = {0};
    mc_error code;
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    mc_address to = world_address(w, 0, 1, a);
    w->cut = cuts[c];
    w->room = c == 3 ? 100 : 0;
    for (int i = 0; i < MANY;) {
      if (i % 1000 == 999 &&
          world_call(w, 0, to, "echo", i, NULL, &call[i / 1000]) == MC_OK)
        i++;
      else if (world_cast(w, 0, to, i % 5 ? "echo" : "now", i, &ask, &code))
        i++;
      else
        world_run(w);
    }
    world_run(w);
    CHECK_INT(w->node[1].logged, MANY);
    for (int i = 0; i < w->node[1].logged; i++) CHECK_INT(w->node[1].log[i], i);
    for (int i = 0; i < MANY / 1000; i++) CHECK_INT(call[i].value, 1000 * i + 999);
    world_free(w);
  }
}

static void one_at_a_time(void) {
  world *w = world_new(2, 0);
  world_ask ask[6] = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].type),
           *b = world_spawn(w, 1, w->node[1].reentrant);
  for (int i = 0; i < 3; i++) {
    world_call(w, 0, world_address(w, 0, 1, a), "hold", i, NULL, &ask[i]);
    world_call(w, i % 2, world_address(w, i % 2, 1, b), "hold", 10 + i, NULL,
               &ask[3 + i]);
  }
  world_run(w);
  CHECK_INT(world_jobs(w, 1), 4);
  CHECK(world_held(w, 1, 0) && !world_held(w, 1, 1));
  CHECK(world_held(w, 1, 10) && world_held(w, 1, 11) && world_held(w, 1, 12));
  world_release(w, 1, 11);
  world_release(w, 1, 0);
  world_run(w);
  CHECK(world_held(w, 1, 1) && !world_held(w, 1, 2) && !world_held(w, 1, 11));
  CHECK_INT(ask[4].settled, 1);
  world_free(w);
}

/* A dead actor, a wrong secret and an actor that never was look alike; arguments are not read. */
static void dead_actor(void) {
  enum { LARGE = 10 << 20 };
  world *w = world_new(2, 0);
  world_ask ask[3] = {0};
  static char large[LARGE];
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to[3];
  for (int i = 0; i < 3; i++) to[i] = world_address(w, 0, 1, a);
  to[1].secret[0] ^= 1;
  to[2].instance += 1;
  for (int i = 2; i >= 0; i--) {
    mc_sending s;
    mc_request q = world_request(w, 0, MC_CALL, &to[i], "echo", &ask[i]);
    if (i == 0) mc_actor_end(w->node[1].n, a);
    mc_send_begin(w->node[0].n, &q, &s);
    mc_write_array(s.out, 1);
    mc_write_bytes(s.out, large, LARGE);
    CHECK_INT(mc_send_commit(w->node[0].n, &q, &s), MC_OK);
    world_run(w);
    CHECK(ask[i].settled == 1 && ask[i].code == MC_E_DEAD_ACTOR);
  }
  CHECK_INT(world_stats(w, 1).decoded_bytes, 0);
  CHECK_INT(world_stats(w, 1).dead_letters, 0);
  world_free(w);
}

static void wrong_type(void) {
  world *w = world_new(2, 0);
  world_ask ask[2] = {0};
  mc_sending s;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  for (int from = 0; from < 2; from++) {
    mc_address to = world_address(w, from, 1, a);
    mc_request q = world_request(w, from, MC_CALL, &to, "echo", &ask[from]);
    q.type = w->node[from].reentrant;
    if (mc_send_begin(w->node[from].n, &q, &s) == MC_ROUTE_FAILED)
      CHECK_INT(s.error, MC_E_TYPE_MISMATCH);
    else
      CHECK_INT(world_commit(w, from, &q, &s, 1), MC_OK);
  }
  world_run(w);
  CHECK_INT(ask[0].code, MC_E_TYPE_MISMATCH);
  CHECK_TEXT(ask[0].message, "T");
  CHECK_INT(ask[1].settled, 0);
  world_free(w);
}

/* A good header with a body that is none: the caller is told, the link stays. */
static void corrupt_body(void) {
  static const char *const bodies[] = {"",           "00", "8101ff", "81",
                                       "9affffffff", "a0", "8118",   "81f93c00"};
  world *w = world_new(2, 0);
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    world_ask ask = {0};
    mc_sending s;
    uint8_t bytes[16];
    check_about("arguments %s", bodies[i]);
    mc_request q = world_request(w, 0, MC_CALL, &to, "echo", &ask);
    mc_send_begin(w->node[0].n, &q, &s);
    mc_buf_put(s.out, bytes, check_unhex(bodies[i], bytes));
    mc_send_commit(w->node[0].n, &q, &s);
    world_run(w);
    CHECK(ask.settled == 1 && ask.code == MC_E_MALFORMED);
  }
  CHECK_INT(w->broken, 0);
  CHECK_INT(w->node[1].logged, 0);
  world_free(w);
}

/* ---- messages that wait ---------------------------------------------------------------------- */

static void before_ready(void) {
  world *w = world_new(2, 0);
  world_ask ask[3] = {0};
  mc_node *n = w->node[1].n;
  mc_actor *a = mc_actor_new(n, w->node[1].type);
  mc_turn *init = mc_actor_init(n, a, NULL);
  world_call(w, 0, world_address(w, 0, 1, a), "echo", 1, NULL, &ask[0]);
  world_call(w, 1, world_address(w, 1, 1, a), "echo", 2, NULL, &ask[1]);
  world_run(w);
  CHECK_INT(w->node[1].logged, 0);
  mc_turn_end(n, init);
  world_run(w);
  CHECK_INT(w->node[1].logged, 0);
  mc_actor_ready(n, a);
  world_run(w);
  CHECK(ask[0].value == 1 && ask[1].value == 2);
  world_free(w);
}

static void init_fails(void) {
  world *w = world_new(2, 0);
  mc_node *n = w->node[1].n;
  size_t live = 0;
  for (int i = 0; i < 1000; i++) {
    world_ask ask = {0};
    mc_actor *a = mc_actor_new(n, w->node[1].type);
    mc_turn *init = mc_actor_init(n, a, NULL);
    world_call(w, 0, world_address(w, 0, 1, a), "echo", 1, NULL, &ask);
    world_run(w);
    mc_turn_end(n, init);
    mc_actor_end(n, a);
    world_run(w);
    CHECK(ask.settled == 1 && ask.code == MC_E_DEAD_ACTOR);
    if (i == 10) live = w->heap.live;
  }
  CHECK_INT(w->heap.live, live);
  CHECK_INT(w->node[1].logged, 0);
  CHECK_INT(w->node[1].resigned, 1000);
  world_free(w);
}

/* Handlers that answer inside `start` do not nest, however many wait. */
static void no_recursion(void) {
  world *w = world_new(2, 0);
  static world_ask ask[MC_MAILBOX_BOUND];
  memset(ask, 0, sizeof ask);
  mc_actor *a = mc_actor_new(w->node[1].n, w->node[1].type);
  for (int i = 0; i < MC_MAILBOX_BOUND; i++)
    world_call(w, 0, world_address(w, 0, 1, a), i % 2 ? "now" : "none", i, NULL, &ask[i]);
  world_run(w);
  mc_actor_ready(w->node[1].n, a);
  CHECK_INT(a->waiting, 0);
  world_run(w);
  for (int i = 0; i < MC_MAILBOX_BOUND; i++) CHECK_INT(ask[i].settled, 1);
  world_free(w);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void stop_waits(void) {
  for (int now = 0; now < 2; now++) {
    world *w = world_new(2, 0);
    world_ask ask[3] = {0}, stop[2] = {0}, cast = {0};
    mc_error code;
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    mc_address to = world_address(w, 0, 1, a);
    w->node[1].stop_now = now;
    world_call(w, 0, to, "hold", 0, NULL, &ask[0]);
    world_call(w, 0, to, "echo", 1, NULL, &ask[1]);
    world_stop(w, 0, to, &stop[0]);
    world_call(w, 0, to, "echo", 2, NULL, &ask[2]);
    world_cast(w, 0, to, "echo", 3, &cast, &code);
    world_stop(w, 0, to, &stop[1]);
    world_run(w);
    CHECK_INT(stop[0].settled, 0);
    world_release(w, 1, 0);
    world_run(w);
    CHECK(ask[0].value == 0 && ask[0].code == MC_OK);
    CHECK(ask[1].value == 1 && ask[1].code == MC_OK);
    CHECK(stop[0].settled == 1 && !stop[0].failed);
    CHECK(ask[2].settled == 1 && ask[2].code == MC_E_DEAD_ACTOR);
    CHECK(stop[1].settled == 1 && stop[1].code == MC_E_DEAD_ACTOR);
    CHECK_INT(world_stats(w, 1).dead_letters, 1);
    CHECK_INT(world_stats(w, 1).actors, 0);
    CHECK_INT(w->node[1].resigned, 1);
    static const int64_t log[] = {0, 1, -1};
    CHECK_INT(w->node[1].logged, 3);
    CHECK(memcmp(w->node[1].log, log, sizeof log) == 0);
    world_free(w);
  }
}

/* A stop that is answered inside `start`, of an idle actor and of one that is just made ready. */
static void stop_at_once(void) {
  world *w = world_new(2, 0);
  world_ask stop[2] = {0};
  w->node[1].stop_now = true;
  mc_actor *idle = world_spawn(w, 1, w->node[1].type);
  mc_actor *made = mc_actor_new(w->node[1].n, w->node[1].type);
  world_stop(w, 1, world_address(w, 1, 1, idle), &stop[0]);
  world_stop(w, 1, world_address(w, 1, 1, made), &stop[1]);
  CHECK(stop[0].settled == 1 && !stop[0].failed);
  mc_actor_ready(w->node[1].n, made);
  CHECK(stop[1].settled == 1 && !stop[1].failed);
  CHECK_INT(world_stats(w, 1).actors, 0);
  world_free(w);
}

static void stop_waits_for_all(void) {
  world *w = world_new(2, 0);
  world_ask ask[3] = {0}, stop = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].reentrant);
  mc_address to = world_address(w, 0, 1, a);
  world_call(w, 0, to, "hold", 0, NULL, &ask[0]);
  world_call(w, 0, to, "hold", 1, NULL, &ask[1]);
  world_stop(w, 0, to, &stop);
  world_call(w, 0, to, "hold", 2, NULL, &ask[2]); /* does not overtake */
  world_run(w);
  CHECK_INT(world_jobs(w, 1), 2);
  world_release(w, 1, 1);
  world_run(w);
  CHECK_INT(stop.settled, 0);
  world_release(w, 1, 0);
  world_run(w);
  CHECK_INT(stop.settled, 1);
  CHECK_INT(ask[2].code, MC_E_DEAD_ACTOR);
  world_free(w);
}

static void stop_without_waiting(void) {
  world *w = world_new(2, 0);
  mc_actor *a = world_spawn(w, 1, w->node[1].type),
           *b = world_spawn(w, 0, w->node[0].type);
  CHECK_INT(world_stop(w, 0, world_address(w, 0, 1, a), NULL), MC_OK);
  CHECK_INT(world_stop(w, 0, world_address(w, 0, 0, b), NULL), MC_OK);
  world_run(w);
  CHECK_INT(world_stats(w, 0).actors + world_stats(w, 1).actors, 0);
  CHECK_INT(world_stats(w, 0).pending, 0);
  world_free(w);
}

/* ---- a language that jumps out, as Lua does without memory -------------------------------------- */

static jmp_buf out;
static mc_turn *jumped;
static int until_jump;
static void (*real_start)(void *ud, mc_turn *turn, mc_reader *arguments);

static void start_or_jump(void *ud, mc_turn *turn, mc_reader *arguments) {
  if (--until_jump == 0) {
    jumped = turn;
    longjmp(out, 1);
  }
  real_start(ud, turn, arguments);
}

/* Steps node 1; a turn that was jumped out of is ended, as the binding does. */
static void step_protected(world *w) {
  mc_node *n = w->node[1].n;
  if (setjmp(out) == 0) {
    mc_node_step(n, 10);
  } else {
    mc_reply_error(n, jumped, MC_E_OUT_OF_MEMORY, NULL);
    mc_turn_end(n, jumped);
  }
}

static void jumps(void) {
  for (int at = 1; at <= 4; at++) {
    world *w = world_new(2, 0);
    world_ask ask[4] = {0}, stop = {0};
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    mc_address to = world_address(w, 0, 1, a);
    for (int i = 0; i < 4; i++)
      world_call(w, 0, to, i ? "echo" : "hold", i, NULL, &ask[i]);
    if (at > 2) world_stop(w, 0, to, &stop);
    world_run(w);
    real_start = w->node[1].n->language.start;
    w->node[1].n->language.start = start_or_jump;
    until_jump = at;
    world_release(w, 1, 0);
    for (int i = 0; i < 5; i++) step_protected(w);
    CHECK(until_jump <= 0);
    world_run(w);
    for (int i = 0; i < 4; i++) {
      CHECK_INT(ask[i].settled, 1);
      CHECK_INT(ask[i].code, i == at ? MC_E_OUT_OF_MEMORY : MC_OK);
    }
    CHECK_INT(stop.settled, at > 2);
    CHECK_INT(world_stats(w, 1).mailbox, 0);
    CHECK_INT(world_stats(w, 1).actors, at <= 2);
    world_free(w);
  }
}

/* ---- those who wait for each other ----------------------------------------------------------- */

/* relay(depth) at the first of two actors, which relay to one another. */
static world_ask ping_pong(int a_node, int b_node, bool reentrant, int depth) {
  world *w = world_new(3, 0);
  world_ask ask = {0};
  world_node *na = &w->node[a_node], *nb = &w->node[b_node];
  mc_actor *a = world_spawn(w, a_node, reentrant ? na->reentrant : na->type);
  mc_actor *b = world_spawn(w, b_node, reentrant ? nb->reentrant : nb->type);
  world_target(w, a, world_address(w, a_node, b_node, b));
  world_target(w, b, world_address(w, b_node, a_node, a));
  CHECK_INT(world_call(w, 2, world_address(w, 2, a_node, a), "relay", depth, NULL, &ask),
            MC_OK);
  world_run(w);
  CHECK_INT(ask.settled, 1);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(world_stats(w, i).pending, 0);
    CHECK_INT(world_jobs(w, i), 0);
  }
  world_free(w);
  return ask;
}

static void deadlock(void) {
  for (int b = 0; b < 2; b++) {
    CHECK_INT(ping_pong(0, b, false, 0).code, MC_OK);
    CHECK_INT(ping_pong(0, b, false, 1).code, MC_E_DEADLOCK);
    CHECK_INT(ping_pong(0, b, false, 5).code, MC_E_DEADLOCK);
    CHECK_INT(ping_pong(0, b, true, 5).code, MC_OK);
  }
}

static void calls_itself(void) {
  for (int reentrant = 0; reentrant < 2; reentrant++) {
    world *w = world_new(2, 0);
    world_ask ask = {0};
    mc_actor *a = world_spawn(w, 1, reentrant ? w->node[1].reentrant : w->node[1].type);
    world_target(w, a, world_address(w, 1, 1, a));
    world_call(w, 0, world_address(w, 0, 1, a), "relay", 0, NULL, &ask);
    world_run(w);
    CHECK_INT(ask.settled, 1);
    CHECK_INT(ask.code, reentrant ? MC_OK : MC_E_DEADLOCK);
    world_free(w);
  }
}

/* Even a reentrant actor cannot be called back while it is made, or behind its own stop. */
static void reentrant_deadlock(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0}, from_init = {0}, stop = {0};
  mc_node *n = w->node[0].n;
  mc_actor *a = mc_actor_new(n, w->node[0].reentrant),
           *b = world_spawn(w, 1, w->node[1].type);
  mc_address to_b = world_address(w, 0, 1, b), to_a = world_address(w, 1, 0, a);
  world_target(w, b, to_a);
  mc_turn *init = mc_actor_init(n, a, NULL);
  world_call(w, 0, to_b, "relay", 0, init, &from_init);
  world_run(w);
  CHECK(from_init.settled == 1 && from_init.code == MC_E_DEADLOCK);
  mc_turn_end(n, init);
  mc_actor_ready(n, a);
  world_target(w, a, to_b);
  world_call(w, 1, to_a, "hold", 5, NULL, &ask);
  world_run(w);
  mc_turn *turn = world_held(w, 0, 5)->turn;
  world_stop(w, 1, to_a, &stop);
  world_run(w);
  from_init = (world_ask){0};
  world_call(w, 0, to_b, "relay", 0, turn, &from_init);
  world_run(w);
  CHECK(from_init.settled == 1 && from_init.code == MC_E_DEADLOCK);
  world_release(w, 0, 5);
  world_run(w);
  CHECK_INT(stop.settled, 1);
  world_free(w);
}

/* A caller that is not in the chain waits. */
static void no_deadlock(void) {
  world *w = world_new(3, 0);
  world_ask ask[2] = {0};
  mc_actor *a = world_spawn(w, 0, w->node[0].type),
           *b = world_spawn(w, 1, w->node[1].type);
  world_target(w, a, world_address(w, 0, 1, b));
  world_call(w, 2, world_address(w, 2, 1, b), "hold", 1, NULL, &ask[0]);
  world_run(w);
  world_call(w, 2, world_address(w, 2, 0, a), "relay", 0, NULL, &ask[1]);
  world_run(w);
  CHECK_INT(ask[1].settled, 0);
  world_release(w, 1, 1);
  world_run(w);
  CHECK(ask[1].settled == 1 && ask[1].code == MC_OK);
  world_free(w);
}

static void depth(void) {
  CHECK_INT(ping_pong(0, 1, true, MC_MAX_CHAIN - 1).code, MC_OK);
  CHECK_INT(ping_pong(0, 1, true, MC_MAX_CHAIN).code, MC_E_CALL_DEPTH);
  CHECK_INT(ping_pong(0, 0, true, MC_MAX_CHAIN - 1).code, MC_OK);
  CHECK_INT(ping_pong(0, 0, true, MC_MAX_CHAIN).code, MC_E_CALL_DEPTH);
}

/* While an actor is held, calls and casts wait, reentrant or not; released, they start in order. */
static void held(bool reentrant, int from) {
  world *w = world_new(2, 0);
  world_node *s = &w->node[1];
  world_ask ask[4] = {0}, cast = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, reentrant ? s->reentrant : s->type);
  mc_address to = world_address(w, from, 1, a);
  CHECK(mc_actor_hold(a) && mc_actor_hold(a));
  for (int i = 0; i < 3; i++) world_call(w, from, to, "echo", i, NULL, &ask[i]);
  CHECK(world_cast(w, from, to, "echo", 3, &cast, &code));
  world_run(w);
  CHECK_INT(s->logged, 0);
  CHECK_INT(a->waiting, 4);
  mc_wait_cancel(w->node[from].n, &ask[1].wait);
  world_run(w);
  CHECK(ask[1].settled == 1 && ask[1].code == MC_E_CANCELLED);
  mc_actor_release(s->n, a);
  world_run(w);
  CHECK_INT(s->logged, 0);
  mc_actor_release(s->n, a);
  mc_actor_release(s->n, a); /* none is open: nothing happens */
  world_run(w);
  CHECK_INT(s->logged, 3);
  CHECK(s->log[0] == 0 && s->log[1] == 2 && s->log[2] == 3);
  CHECK(mc_actor_hold(a));
  world_call(w, from, to, "echo", 4, NULL, &ask[3]);
  world_stop(w, from, to, &cast);
  world_run(w);
  CHECK(ask[3].settled == 1 && !ask[3].failed && ask[3].value == 4);
  CHECK_INT(s->logged, 5);
  CHECK_INT(s->log[4], -1);
  CHECK_INT(s->resigned, 1);
  world_free(w);
}

static void held_elsewhere(void) {
  held(false, 0);
  held(true, 0);
}

static void held_here(void) {
  held(false, 1);
  held(true, 1);
}

/* One that is being stopped cannot be held any more; a stop that is handled at once ends a held one. */
static void held_and_stopped(void) {
  for (int now = 0; now < 2; now++) {
    world *w = world_new(2, 0);
    world_node *s = &w->node[1];
    world_ask ask[2] = {0};
    mc_actor *a = world_spawn(w, 1, s->type);
    mc_address to = world_address(w, 0, 1, a);
    s->stop_now = now;
    CHECK(mc_actor_hold(a));
    if (!now) world_call(w, 0, to, "hold", 1, NULL, &ask[0]);
    world_stop(w, 0, to, &ask[1]);
    world_run(w);
    if (!now) {
      CHECK(!mc_actor_hold(a));
      world_release(w, 1, 1);
      world_run(w);
    }
    CHECK(ask[1].settled == 1 && !ask[1].failed);
    CHECK_INT(s->resigned, 1);
    world_free(w);
  }
}

static const check_test tests[] = {
    {"dispatch: a held actor starts nothing that comes from elsewhere until released "
     "[K19]",
     held_elsewhere},
    {"dispatch: a held actor starts nothing that comes from here until released [K19]",
     held_here},
    {"dispatch: a stop lifts what holds an actor [K19]", held_and_stopped},
    {"dispatch: a call is answered with what its handler returns or raises [D4]",
     call_and_reply},
    {"dispatch: answers find their calls in whatever order they come [C4]", out_of_order},
    {"dispatch: 10,000 messages start in the order sent, however they are cut [C16]",
     first_in_first_out},
    {"dispatch: one handler at a time, unless the type is reentrant [A4]", one_at_a_time},
    {"dispatch: 10 MiB to a dead actor are answered undecoded [D1]", dead_actor},
    {"dispatch: the wrong type is answered with the right one [D2] [B5]", wrong_type},
    {"dispatch: a corrupt body is answered, the link stays [D5]", corrupt_body},
    {"dispatch: what comes before an actor is ready waits [A9]", before_ready},
    {"dispatch: an actor whose init fails never was [A8]", init_fails},
    {"dispatch: messages that are answered at once do not nest", no_recursion},
    {"dispatch: a stop is handled behind what came before; the rest is answered [D4]",
     stop_waits},
    {"dispatch: a stop may be answered at once", stop_at_once},
    {"dispatch: a stop waits for all handlers of a reentrant actor", stop_waits_for_all},
    {"dispatch: a stop may be sent without waiting", stop_without_waiting},
    {"dispatch: a language that jumps out of `start` locks no actor", jumps},
    {"dispatch: a call that meets its own chain raises deadlock", deadlock},
    {"dispatch: an actor that calls itself", calls_itself},
    {"dispatch: a call that can never start is a deadlock for reentrant actors, too",
     reentrant_deadlock},
    {"dispatch: waiting for one that waits for nobody is none", no_deadlock},
    {"dispatch: 32 calls may wait for one another, no more", depth},
};

int main(void) { return CHECK_RUN(tests); }
