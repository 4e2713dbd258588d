/* runtime/call.c: the three ways of a request, what a failed one leaves behind, deadlines. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

/* ---- here ------------------------------------------------------------------------------------ */

static void direct(void) {
  world *w = world_new(1, 0);
  world_ask ask = {0}, held = {0}, queued = {0};
  mc_actor *a = world_spawn(w, 0, w->node[0].type);
  mc_address to = world_address(w, 0, 0, a);
  size_t before = w->heap.calls;
  CHECK_INT(world_call(w, 0, to, "echo", 1, NULL, &ask), MC_OK);
  CHECK_INT(ask.settled, 1);
  CHECK_INT(w->heap.calls, before + 1); /* a turn, which is used again */
  ask = (world_ask){0};
  CHECK_INT(world_call(w, 0, to, "echo", 1, NULL, &ask), MC_OK);
  CHECK_INT(w->heap.calls, before + 1);
  CHECK_INT(world_stats(w, 0).pending, 0);
  world_call(w, 0, to, "hold", 2, NULL, &held);
  CHECK(mc_wait_pending(&held.wait));
  world_call(w, 0, to, "echo", 3, NULL, &queued);
  world_run(w);
  CHECK_INT(queued.settled, 0);
  world_release(w, 0, 2);
  world_run(w);
  CHECK(held.value == 2 && queued.value == 3);
  CHECK_INT(world_stats(w, 0).sent + world_stats(w, 0).received, 0);
  world_free(w);
}

static void dead_here(void) {
  world *w = world_new(1, 0);
  world_ask ask = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 0, w->node[0].type);
  mc_address to = world_address(w, 0, 0, a);
  mc_actor_end(w->node[0].n, a);
  CHECK_INT(world_call(w, 0, to, "echo", 1, NULL, &ask), MC_E_DEAD_ACTOR);
  CHECK_INT(world_stop(w, 0, to, &ask), MC_E_DEAD_ACTOR);
  CHECK(world_cast(w, 0, to, "echo", 1, &ask, &code));
  CHECK_INT(code, MC_OK);
  CHECK_INT(world_stats(w, 0).dead_letters, 1);
  CHECK_INT(ask.settled, 0);
  CHECK_INT(world_stats(w, 0).pending, 0);
  world_free(w);
}

/* The language may send while it reads the arguments of a message: those stay where they are. */
static struct {
  world *w;
  mc_address to;
  int sum, started;
} nested;

static void read_and_send(void *ud, mc_turn *turn, mc_reader *r) {
  world_node *s = ud;
  mc_item item;
  size_t count = mc_read(r, &item) ? item.as.count : 0;
  nested.started++;
  for (size_t i = 0; i < count; i++) {
    mc_sending sending;
    mc_request q = world_request(s->w, 0, MC_CAST, &nested.to, "echo", NULL);
    if (!mc_read(r, &item) || item.kind != MC_INT) break;
    nested.sum += (int)item.as.integer;
    if (nested.started > 1) continue;
    CHECK_INT(mc_send_begin(s->n, &q, &sending), MC_ROUTE_BYTES);
    mc_write_array(sending.out, 300);
    for (int j = 0; j < 300; j++) mc_write_int(sending.out, 1);
    CHECK_INT(mc_send_commit(s->n, &q, &sending), MC_OK);
  }
  CHECK(!r->malformed);
  mc_turn_end(s->n, turn);
}

static void send_while_reading(void) {
  world *w = world_new(1, 0);
  world_ask ask = {0};
  mc_error code;
  nested.w = w;
  nested.sum = nested.started = 0;
  w->node[0].n->language.start = read_and_send;
  mc_actor *a = world_spawn(w, 0, w->node[0].type),
           *b = world_spawn(w, 0, w->node[0].type);
  nested.to = world_address(w, 0, 0, b);
  CHECK(world_cast(w, 0, world_address(w, 0, 0, a), "echo", 1000, &ask, &code));
  CHECK_INT(nested.sum, 1300);
  CHECK_INT(nested.started, 2);
  CHECK_INT(w->node[0].n->scratch.len, 0);
  world_free(w);
}

/* ---- what travels along ---------------------------------------------------------------------- */

static struct {
  uint64_t trace;
  size_t len;
  uint8_t bytes[8];
} came;

static void note_context(void *ud, mc_turn *turn, mc_reader *r) {
  (void)r;
  came.trace = turn->trace;
  came.len = turn->context_len;
  if (came.len <= sizeof came.bytes && came.len)
    memcpy(came.bytes, turn->context, came.len);
  mc_turn_end(((world_node *)ud)->n, turn);
}

/* Trace and context of calls and casts, here, in a mailbox and elsewhere. */
static void context_travels(void) {
  for (int owner = 0; owner < 2; owner++)
    for (int queued = 0; queued < 2; queued++)
      for (int kind = MC_CALL; kind <= MC_CAST; kind++) {
        world *w = world_new(2, 0);
        world_ask ask = {0};
        mc_sending s;
        mc_actor *a = world_spawn(w, owner, w->node[owner].type);
        mc_address to = world_address(w, 0, owner, a);
        mc_request q = world_request(w, 0, (mc_message_kind)kind, &to, "echo", &ask);
        q.trace = 9;
        q.context = "\xa1\x61k\x01";
        q.context_len = 4;
        if (kind == MC_CAST) q.wait = NULL;
        w->node[owner].n->language.start = note_context;
        memset(&came, 0, sizeof came);
        a->starting = queued;
        CHECK_INT(mc_send_begin(w->node[0].n, &q, &s), MC_ROUTE_BYTES);
        CHECK_INT(world_commit(w, 0, &q, &s, 1), MC_OK);
        world_run(w);
        if (queued) CHECK_INT(came.len, 0);
        if (queued) mc_actor_ready(w->node[owner].n, a);
        CHECK_INT(came.trace, 9);
        CHECK_HEX(came.bytes, came.len, "a1616b01");
        if (kind == MC_CALL) mc_wait_forget(w->node[0].n, &ask.wait);
        world_free(w);
      }
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

/* A method's name that is none would break the link: it is refused here. */
static void bad_names(void) {
  static char long_name[MC_MAX_NAME + 2];
  world *w = world_new(2, 0);
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  memset(long_name, 'x', MC_MAX_NAME + 1);
  const char *names[] = {"", "\xff", long_name};
  for (int i = 0; i < 3; i++) {
    world_ask ask = {0};
    CHECK_INT(world_call(w, 0, to, names[i], 1, NULL, &ask), MC_E_NO_SUCH_METHOD);
    CHECK(!mc_wait_pending(&ask.wait));
  }
  world_ask ask = {0};
  CHECK_INT(world_call(w, 0, to, long_name + 1, 1, NULL, &ask), MC_OK);
  world_run(w);
  CHECK_INT(ask.code, MC_E_NO_SUCH_METHOD);
  CHECK_INT(w->broken, 0);
  world_free(w);
}

static void too_large(void) {
  world *w = world_new(2, 0);
  mc_actor *here = world_spawn(w, 0, w->node[0].type),
           *there = world_spawn(w, 1, w->node[1].type);
  mc_address to[2] = {world_address(w, 0, 0, here), world_address(w, 0, 1, there)};
  for (int i = 0; i < 2; i++) {
    world_ask ask = {0};
    mc_sending s;
    mc_request q = world_request(w, 0, MC_CALL, &to[i], "echo", &ask);
    CHECK_INT(mc_send_begin(w->node[0].n, &q, &s), MC_ROUTE_BYTES);
    if (mc_buf_room(s.out, MC_MAX_FRAME + 1)) s.out->len += MC_MAX_FRAME + 1;
    CHECK_INT(mc_send_commit(w->node[0].n, &q, &s), MC_E_UNSENDABLE);
    CHECK(!mc_wait_pending(&ask.wait));
    CHECK_INT(world_call(w, 0, to[i], "echo", 4, NULL, &ask), MC_OK);
    world_run(w);
    CHECK_INT(ask.value, 4);
  }
  world_free(w);
}

/* The peer dies between begin and commit: the wait has failed, nothing else happens. */
static void dies_meanwhile(void) {
  world *w = world_new(2, 0);
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  for (int abort = 0; abort < 2; abort++) {
    world_ask ask = {0};
    mc_sending s;
    mc_request q = world_request(w, 0, MC_CALL, &to, "echo", &ask);
    w->node[0].n->peers[to.peer]->down = false; /* as if it had never gone */
    CHECK_INT(mc_send_begin(w->node[0].n, &q, &s), MC_ROUTE_BYTES);
    mc_node_peer_down(w->node[0].n, to.peer, MC_E_NODE_DOWN);
    CHECK(ask.settled == 1 && ask.code == MC_E_NODE_DOWN);
    if (abort)
      mc_send_abort(w->node[0].n, &q, &s);
    else
      CHECK_INT(world_commit(w, 0, &q, &s, 1), MC_E_NODE_DOWN);
    CHECK_INT(ask.settled, 1);
    CHECK_INT(w->node[0].n->peers[to.peer]->out.len, 0);
  }
  world_free(w);
}

/* A peer whose actors cannot be called from here: nothing is sent; answers, and calls from there, are not
** concerned, nor is its own actor. */
static void barred(void) {
  world *w = world_new(2, 0);
  mc_node *n = w->node[0].n;
  mc_address there = world_address(w, 0, 1, world_spawn(w, 1, w->node[1].type));
  mc_address here = world_address(w, 1, 0, world_spawn(w, 0, w->node[0].type));
  world_ask before = {0}, call = {0}, stop = {0}, cast = {0}, back = {0}, own = {0};
  mc_error error = MC_OK;
  CHECK_INT(world_call(w, 0, there, "hold", 1, NULL, &before), MC_OK);
  world_run(w);
  mc_peer_bar(n, there.peer, true);
  uint64_t received = world_stats(w, 1).received;
  CHECK_INT(world_call(w, 0, there, "echo", 2, NULL, &call), MC_E_NOT_PERMITTED);
  CHECK_INT(world_stop(w, 0, there, &stop), MC_E_NOT_PERMITTED);
  CHECK(world_cast(w, 0, there, "echo", 2, &cast, &error));
  CHECK_INT(error, MC_E_NOT_PERMITTED);
  CHECK(!mc_wait_pending(&call.wait) && !mc_wait_pending(&stop.wait));
  world_run(w);
  CHECK_INT(world_stats(w, 1).received, received);
  CHECK_INT(world_call(w, 1, here, "echo", 3, NULL, &back), MC_OK);
  world_release(w, 1, 1);
  world_run(w);
  CHECK(before.settled == 1 && before.value == 1);
  CHECK(back.settled == 1 && back.value == 3);
  mc_address first = there;
  first.instance = MC_FIRST_INSTANCE;
  CHECK_INT(world_call(w, 0, first, "echo", 4, NULL, &own), MC_OK);
  mc_peer_bar(n, there.peer, false);
  CHECK_INT(world_call(w, 0, there, "echo", 5, NULL, &call), MC_OK);
  world_run(w);
  CHECK_INT(own.code, MC_E_DEAD_ACTOR);
  CHECK(call.settled == 1 && call.value == 5);
  mc_peer_bar(n, MC_SELF, true); /* does nothing */
  world_free(w);
}

/* The same while a reply is written. */
static void caller_dies_meanwhile(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  size_t frame;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  world_call(w, 0, world_address(w, 0, 1, a), "hold", 1, NULL, &ask);
  world_run(w);
  mc_turn *turn = world_held(w, 1, 1)->turn;
  mc_buf *out = mc_reply_begin(w->node[1].n, turn, false, &frame);
  if (!CHECK(out != NULL)) return;
  mc_node_peer_down(w->node[1].n, turn->origin, MC_E_NODE_DOWN);
  mc_write_array(out, 0);
  CHECK_INT(mc_reply_commit(w->node[1].n, turn, frame), MC_OK);
  mc_reply_abort(w->node[1].n, turn, frame);
  mc_reply_error(w->node[1].n, turn, MC_E_CANCELLED, NULL);
  CHECK(!mc_reply_begin(w->node[1].n, turn, false, &frame));
  CHECK_INT(out->len, 0);
  world_release(w, 1, 1);
  world_run(w);
  CHECK_INT(ask.settled, 0);
  CHECK_INT(world_jobs(w, 1), 0);
  world_free(w);
}

/* A reply that cannot be encoded is taken back; an error goes instead. */
static void reply_aborted(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  size_t frame;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  world_call(w, 0, world_address(w, 0, 1, a), "hold", 1, NULL, &ask);
  world_run(w);
  mc_turn *turn = world_held(w, 1, 1)->turn;
  mc_buf *out = mc_reply_begin(w->node[1].n, turn, false, &frame);
  mc_write_array(out, 1);
  mc_reply_abort(w->node[1].n, turn, frame);
  mc_reply_error(w->node[1].n, turn, MC_E_UNSENDABLE,
                 "cannot send a function at results[1]");
  world_run(w);
  CHECK(ask.settled == 1 && ask.code == MC_E_UNSENDABLE);
  CHECK_TEXT(ask.message, "cannot send a function at results[1]");
  world_free(w);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void call_for(world *w, mc_address to, double timeout_ms, mc_turn *from,
                     world_ask *ask) {
  mc_sending s;
  mc_request q = world_request(w, 0, MC_CALL, &to, "hold", ask);
  q.timeout_ms = timeout_ms;
  q.from = from;
  if (mc_send_begin(w->node[0].n, &q, &s) == MC_ROUTE_BYTES)
    CHECK_INT(world_commit(w, 0, &q, &s, (int64_t)(intptr_t)ask), MC_OK);
  else
    CHECK(!"it can be sent");
}

/* What the callee knows of it: the remaining time when somebody chose one. */
static double callee_has(world *w, world_ask *ask) {
  world_job *job = world_held(w, 1, (int64_t)(intptr_t)ask);
  return CHECK(job != NULL) ? job->turn->deadline_ms - w->now_ms : NAN;
}

static void timeouts(void) {
  world *w = world_new(2, 0);
  world_ask ask[6] = {0};
  mc_actor *a = world_spawn(w, 1, w->node[1].reentrant);
  mc_address to = world_address(w, 0, 1, a);
  mc_turn from = {.deadline_ms = w->now_ms + 500, .chain_len = 1};
  call_for(w, to, -1, NULL, &ask[0]);
  call_for(w, to, 250, NULL, &ask[1]);
  call_for(w, to, INFINITY, NULL, &ask[2]);
  call_for(w, to, 1e300, NULL, &ask[3]); /* beyond what the wire has: for ever */
  call_for(w, to, 2000, &from, &ask[4]);
  call_for(w, to, -1, &from, &ask[5]);
  world_run(w);
  CHECK_INT(w->broken, 0);
  CHECK(isinf(callee_has(w, &ask[0])));
  CHECK_INT(callee_has(w, &ask[1]), 250);
  CHECK(isinf(callee_has(w, &ask[2])));
  CHECK(isinf(callee_has(w, &ask[3])));
  CHECK_INT(callee_has(w, &ask[4]), 500);
  CHECK_INT(callee_has(w, &ask[5]), 500);
  static const int settled_by[4][6] = {
      {0, 1, 0, 0, 0, 0}, {0, 1, 0, 0, 1, 1}, {1, 1, 0, 0, 1, 1}, {1, 1, 0, 0, 1, 1}};
  static const double pass[] = {300, 250, 29500, 1e9};
  for (int i = 0; i < 4; i++) {
    world_pass(w, pass[i]);
    for (int j = 0; j < 6; j++) CHECK_INT(ask[j].settled, settled_by[i][j]);
  }
  CHECK_INT(ask[1].code, MC_E_TIMEOUT);
  CHECK_INT(world_stats(w, 0).timers, 0);
  world_free(w);
}

static const check_test tests[] = {
    {"call: trace and context reach the handler as they were given [C15]",
     context_travels},
    {"call: an idle actor here runs inside the caller, without a pending entry [C7]",
     direct},
    {"call: a dead actor here fails calls and counts casts", dead_here},
    {"call: one may send while arguments are read", send_while_reading},
    {"call: a method's name that is none is refused before it is sent [A2]", bad_names},
    {"call: what is too large is refused, here and there [F4]", too_large},
    {"call: the peer may die while arguments are written [E4]", dies_meanwhile},
    {"call: a barred peer gets no requests; answers go both ways [E6]", barred},
    {"call: the caller may die while the reply is written", caller_dies_meanwhile},
    {"call: a reply that cannot be encoded becomes an error [D6]", reply_aborted},
    {"call: chosen times travel and are inherited, the default does not", timeouts},
};

int main(void) { return CHECK_RUN(tests); }
