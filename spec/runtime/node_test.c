/* runtime/node.c: bytes in and out, the loop, what hosts may do inside callbacks, no memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

/* ---- bytes in -------------------------------------------------------------------------------- */

/* All that node 0 sends to node 1 for some calls, casts and a stop: hello first. */
static size_t recorded(world *w, mc_address to, world_ask *ask, uint8_t **bytes) {
  mc_error code;
  mc_turn from = {
      .deadline_ms = w->now_ms + 900, .chain_len = 2, .chain = {5, MC_MAX_ID}};
  world_call(w, 0, to, "echo", 300, &from, &ask[0]);
  world_cast(w, 0, to, "echo", -1, &ask[1], &code);
  world_call(w, 0, to, "none", 2, NULL, &ask[2]);
  world_stop(w, 0, to, &ask[3]);
  mc_node_step(w->node[0].n, 10);
  world_pipe *p = &w->node[0].out[1];
  *bytes = p->data;
  size_t len = p->len;
  *p = (world_pipe){0};
  return len;
}

static void cut_anywhere(void) {
  size_t len = 1;
  for (size_t cut = 0; cut <= len; cut++) {
    for (size_t second = 0; second < 3; second++) {
      world *w = world_new(2, 0);
      world_ask ask[4] = {0};
      uint8_t *bytes;
      mc_actor *a = world_spawn(w, 1, w->node[1].type);
      mc_node *n = w->node[1].n;
      uint32_t peer = w->node[1].peer[0];
      len = recorded(w, world_address(w, 0, 1, a), ask, &bytes);
      size_t end = second == 0 ? len : cut + second * 4 < len ? cut + second * 4 : len;
      check_about("cut at %d and %d", (int)cut, (int)end);
      CHECK(mc_node_deliver(n, peer, bytes, cut));
      CHECK(mc_node_deliver(n, peer, bytes + cut, end - cut));
      CHECK(mc_node_deliver(n, peer, bytes + end, len - end));
      CHECK_INT(n->peers[peer]->in.len, 0);
      world_run(w);
      CHECK_INT(ask[0].value, 300);
      CHECK_INT(ask[2].code, MC_E_NO_SUCH_METHOD);
      CHECK(ask[3].settled == 1 && !ask[3].failed);
      CHECK_INT(world_stats(w, 1).received, 5);
      free(bytes);
      world_free(w);
    }
  }
}

/* Any bit of the stream flipped: the link is malformed, or all goes on; each call is settled once. */
static void damaged(void) {
  size_t len = 1;
  int broken = 0;
  for (size_t bit = 0; bit < 8 * len; bit++) {
    world *w = world_new(2, 0);
    world_ask ask[4] = {0};
    uint8_t *bytes;
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    uint32_t peer = w->node[1].peer[0];
    len = recorded(w, world_address(w, 0, 1, a), ask, &bytes);
    check_about("bit %d", (int)bit);
    bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    bool good = mc_node_deliver(w->node[1].n, peer, bytes, len);
    broken += !good;
    CHECK(good != mc_peer_is_down(w->node[1].n, peer));
    CHECK_INT(world_stats(w, 1).malformed, !good);
    CHECK(mc_node_deliver(w->node[1].n, peer, bytes, len) ||
          good); /* what is down hears nothing */
    if (!good) mc_node_peer_down(w->node[0].n, w->node[0].peer[1], MC_E_NODE_DOWN);
    world_pass(w, 31000);
    for (int i = 0; i < 4; i++) CHECK_INT(ask[i].settled, i != 1);
    CHECK_INT(world_stats(w, 0).pending, 0);
    free(bytes);
    world_free(w);
  }
  CHECK(broken > 100);
}

/* A hello of version 2 on a link: nothing follows it but this node's own hello, and whoever waits or asks
** is told at once. `asks`: calls and a cast wait there already. */
static void other_version(void) {
  for (int asks = 0; asks < 2; asks++) {
    uint8_t hello[64];
    uint64_t version = 0;
    world *w = world_new(2, 0);
    world_node *s = &w->node[0];
    world_ask ask[2] = {0}, later = {0}, cast = {0};
    mc_error code;
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    mc_address to = world_address(w, 0, 1, a);
    for (int i = 0; asks && i < 2; i++) world_call(w, 0, to, "echo", i, NULL, &ask[i]);
    size_t len = check_unhex("5a00000008840002626e311864", hello);
    CHECK(!mc_peer_is_foreign(s->n, s->peer[1], &version));
    for (size_t at = 0; at < len; at++)
      CHECK(mc_node_deliver(s->n, s->peer[1], hello + at, 1));
    CHECK(mc_peer_is_foreign(s->n, s->peer[1], &version));
    CHECK_INT(version, 2);
    for (int i = 0; asks && i < 2; i++)
      CHECK(ask[i].settled == 1 && ask[i].code == MC_E_VERSION_MISMATCH);
    CHECK_INT(world_call(w, 0, to, "echo", 1, NULL, &later), MC_E_VERSION_MISMATCH);
    CHECK(world_cast(w, 0, to, "echo", 1, &cast, &code));
    CHECK_INT(code, MC_E_VERSION_MISMATCH);
    CHECK_INT(world_stats(w, 0).pending, 0);
    CHECK_INT(world_stats(w, 0).malformed, 0);
    CHECK_INT(world_stats(w, 0).received, 1);
    CHECK(mc_node_deliver(s->n, s->peer[1], (const uint8_t *)"\0\0", 2)); /* not read */
    CHECK_INT(world_stats(w, 0).received, 1);
    mc_node_step(s->n, 10);
    if (!asks) CHECK_INT(s->connects, 1);
    if (!asks) CHECK_INT(s->out[1].len, 13);
    mc_node_peer_down(s->n, s->peer[1], MC_E_NODE_DOWN);
    world_run(w);
    world_free(w);
  }
}

static void malformed_links(void) {
  static const char *const streams[] = {
      "00",                 /* no frame */
      "5b0000000000000001", /* a head of 64 bits */
      "5a10000001",         /* longer than the limit */
      "5affffffff",
      "5a00000000", /* empty */
      "5a000000048306"
      "0301", /* not greeted yet */
      "5a000000088400016"
      "26e321864", /* of another node */
      "5a000000088400016"
      "26e301865", /* of another incarnation */
      "5a000000098400016"
      "26e30186400", /* with something behind */
  };
  for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
    world *w = world_new(2, 0);
    uint8_t bytes[64];
    check_about("%s", streams[i]);
    size_t len = check_unhex(streams[i], bytes), at = 0;
    bool good = true;
    for (; at < len && good; at++)
      good = mc_node_deliver(w->node[1].n, w->node[1].peer[0], bytes + at, 1);
    CHECK(!good);
    CHECK(mc_peer_is_down(w->node[1].n, w->node[1].peer[0]));
    world_free(w);
  }
  world *w = world_new(2, 0);
  uint8_t bytes[64];
  size_t len = check_unhex("5a0000000884000162"
                           "6e301864",
                           bytes);
  CHECK(mc_node_deliver(w->node[1].n, w->node[1].peer[0], bytes, len));
  CHECK(mc_node_deliver(w->node[1].n, 77, bytes, len)); /* nobody */
  world_free(w);
}

/* The length in a frame's head allocates nothing: only bytes that came do. */
static void never_ahead(void) {
  world *w = world_new(2, 0);
  uint8_t bytes[64];
  size_t len = check_unhex("5a0000000884000162"
                           "6e301864"
                           "5a10000000"
                           "8a",
                           bytes);
  CHECK(mc_node_deliver(w->node[1].n, w->node[1].peer[0], bytes, len));
  w->heap.largest = 0;
  static const uint8_t zeros[1000];
  for (int i = 0; i < 100; i++)
    CHECK(mc_node_deliver(w->node[1].n, w->node[1].peer[0], zeros, sizeof zeros));
  CHECK(w->heap.largest <= 2 * (100 * sizeof zeros + 6));
  mc_node_peer_down(w->node[1].n, w->node[1].peer[0], MC_E_NODE_DOWN);
  CHECK_INT(w->node[1].n->peers[w->node[1].peer[0]]->in.cap, 0);
  world_free(w);
}

/* ---- bytes out ------------------------------------------------------------------------------- */

/* A link that takes little at a time loses nothing and keeps the order. */
static void partial_sends(void) {
  static const size_t rooms[] = {1, 3, 64, 5000};
  for (size_t i = 0; i < 4; i++) {
    enum { LARGE = 200000 };
    world *w = world_new(2, 0);
    world_ask ask[2] = {0}, large = {0};
    mc_sending s;
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    mc_address to = world_address(w, 0, 1, a);
    w->room = rooms[i];
    world_call(w, 0, to, "echo", 1, NULL, &ask[0]);
    mc_request q = world_request(w, 0, MC_CALL, &to, "none", &large);
    mc_send_begin(w->node[0].n, &q, &s);
    if (i == 3 && mc_buf_room(s.out, LARGE))
      s.out->len += LARGE; /* beyond where it compacts */
    CHECK_INT(world_commit(w, 0, &q, &s, 1), MC_OK);
    world_call(w, 0, to, "echo", 2, NULL, &ask[1]);
    world_run(w);
    CHECK(ask[0].value == 1 && ask[1].value == 2 && large.code == MC_E_NO_SUCH_METHOD);
    CHECK_INT(w->node[0].connects, 1);
    CHECK_INT(w->node[1].connects, 1);
    world_free(w);
  }
}

/* The host finds out that a peer is dead when it is asked to send to it. */
static void dead_in_send(void) {
  enum { LARGE = 200000 };
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_sending s;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  mc_request q = world_request(w, 0, MC_CALL, &to, "echo", &ask);
  mc_send_begin(w->node[0].n, &q, &s);
  if (mc_buf_room(s.out, LARGE)) s.out->len += LARGE;
  CHECK_INT(world_commit(w, 0, &q, &s, 1), MC_OK);
  mc_node_free(w->node[1].n);
  w->node[1].n = NULL;
  mc_node_step(w->node[0].n, 10);
  CHECK(ask.settled == 1 && ask.code == MC_E_NODE_DOWN);
  CHECK(isinf(mc_node_step(w->node[0].n, 10)));
  world_free(w);
}

/* ---- the loop -------------------------------------------------------------------------------- */

typedef struct ticker {
  mc_task task;
  int runs;
  bool once;
} ticker;

static void tick(void *ud, mc_task *task) {
  world_node *s = ud;
  ticker *t = (ticker *)(void *)task;
  t->runs++;
  s->w->now_ms += 1;
  if (t->once) return;
  mc_task_ready(s->n, task);
  mc_task_ready(s->n, task); /* it is queued once */
}

static void budget(void) {
  world *w = world_new(1, 0);
  ticker a = {0}, b = {0}, once = {.once = true};
  w->node[0].n->language.resume = tick;
  mc_task_ready(w->node[0].n, &once.task);
  mc_task_ready(w->node[0].n, &once.task);
  CHECK(isinf(mc_node_step(w->node[0].n, 40)));
  CHECK_INT(once.runs, 1);
  mc_task_ready(w->node[0].n, &a.task);
  mc_task_ready(w->node[0].n, &b.task);
  CHECK_INT(mc_node_step(w->node[0].n, 40), 0);
  CHECK(a.runs + b.runs >= 40 && a.runs + b.runs <= 56);
  CHECK(a.runs - b.runs <= 1 && b.runs - a.runs <= 1);
  a.runs = b.runs = 0;
  CHECK_INT(mc_node_step(w->node[0].n, 1),
            0); /* one that is slow ends the step at once */
  CHECK_INT(a.runs + b.runs, 1);
  world_free(w);
}

/* ---- inside callbacks ------------------------------------------------------------------------ */

static void drop_peers(world *w, world_node *s) {
  w->on_settle = NULL;
  for (int i = 0; i < w->count; i++)
    if (i != s->index) mc_node_peer_down(s->n, s->peer[i], MC_E_NODE_DOWN);
}

/* While an answer is taken in, the link that it came over is given up: the rest is not read. */
static void down_while_settling(void) {
  for (size_t cut = 0; cut < 60; cut += 3) {
    world *w = world_new(3, 0);
    world_ask ask[4] = {0}, cast = {0};
    mc_error code;
    mc_actor *a = world_spawn(w, 1, w->node[1].type);
    mc_address to = world_address(w, 0, 1, a);
    check_about("cut %d", (int)cut);
    for (int i = 0; i < 3; i++) world_call(w, 0, to, "echo", i, NULL, &ask[i]);
    world_call(w, 0, world_address(w, 0, 2, world_spawn(w, 2, w->node[2].type)), "hold",
               1, NULL, &ask[3]);
    for (int i = 0; i < MC_CAST_WINDOW; i++)
      world_cast(w, 0, to, "echo", i, &cast, &code);
    CHECK(!world_cast(w, 0, to, "echo", 0, &cast, &code));
    mc_node_step(w->node[0].n, 10);
    world_deliver(w, 0, 1);
    mc_node_step(w->node[1].n, 10);
    w->cut = cut;
    w->on_settle = drop_peers;
    world_deliver(w, 1, 0);
    CHECK_INT(ask[0].settled, 1);
    CHECK_INT(ask[0].code, MC_OK);
    for (int i = 1; i < 4; i++)
      CHECK(ask[i].settled == 1 && ask[i].code == MC_E_NODE_DOWN);
    CHECK(cast.settled == 1 && cast.code == MC_E_NODE_DOWN);
    CHECK_INT(w->broken, 0);
    CHECK_INT(world_stats(w, 0).late_replies, 0); /* the rest was not read */
    CHECK_INT(w->node[0].n->peers[w->node[0].peer[1]]->in.cap, 0);
    world_run(w);
    world_free(w);
  }
}

/* ---- no memory ------------------------------------------------------------------------------- */

enum { ASKS = 12 };

/* A little of everything. Whatever fails, every call that was accepted is settled once. */
static bool scenario(size_t fail_at) {
  world *w = world_new(3, fail_at);
  if (!w) return false;
  world_ask ask[ASKS] = {0}, again = {0};
  bool accepted[ASKS] = {false};
  mc_error code;
  mc_actor *a = world_spawn(w, 1, w->node[1].type),
           *b = world_spawn(w, 2, w->node[2].reentrant);
  mc_actor *c = a && b ? world_spawn(w, 0, w->node[0].type) : NULL;
  if (c) {
    mc_address to_a = world_address(w, 0, 1, a), to_c = world_address(w, 0, 0, c);
    world_target(w, b, world_address(w, 2, 1, a));
    world_target(w, a, world_address(w, 1, 0, c));
    accepted[0] = !world_call(w, 0, to_a, "echo", 1, NULL, &ask[0]);
    accepted[1] = !world_call(w, 0, world_address(w, 0, 2, b), "relay", 1, NULL, &ask[1]);
    accepted[2] = !world_call(w, 0, to_a, "fail", 2, NULL, &ask[2]);
    accepted[3] = !world_call(w, 0, to_a, "none", 2, NULL, &ask[3]);
    accepted[4] = !world_call(w, 0, to_c, "hold", 3, NULL, &ask[4]);
    accepted[5] = !world_call(w, 0, to_c, "echo", 3, NULL, &ask[5]);
    accepted[6] = !world_call(w, 0, world_address(w, 0, 2, b), "echo", 4, NULL, &ask[6]);
    for (int i = 0; i < 300; i++) world_cast(w, 0, to_a, "now", i, NULL, &code);
    world_cast(w, 0, to_c, "echo", 5, NULL, &code);
    w->cut = 11;
    world_run(w);
    if (world_held(w, 0, 3)) world_release(w, 0, 3);
    accepted[7] = !world_stop(w, 0, to_c, &ask[7]);
    accepted[8] = !world_call(w, 1, world_address(w, 1, 0, c), "echo", 6, NULL, &ask[8]);
    world_run(w);
    mc_actor *d = mc_actor_new(w->node[2].n, w->node[2].type);
    if (d)
      accepted[9] =
          !world_call(w, 1, world_address(w, 1, 2, d), "echo", 7, NULL, &ask[9]);
    world_run(w);
    mc_turn *init = d ? mc_actor_init(w->node[2].n, d, NULL) : NULL;
    if (init) mc_turn_end(w->node[2].n, init);
    if (d) mc_actor_end(w->node[2].n, d);
    accepted[10] = !world_call(w, 0, to_a, "hold", 8, NULL, &ask[10]);
    world_run(w);
    world_pass(w, 31000); /* where an answer could not be given for want of memory */
    for (int i = 0; i < ASKS; i++) CHECK_INT(ask[i].settled, accepted[i]);
    for (int i = 0; i < 3; i++) {
      CHECK_INT(world_stats(w, i).pending, 0);
      CHECK_INT(world_stats(w, i).timers, 0);
    }
  }
  bool failed = w->heap.calls >= w->heap.fail_at && w->heap.fail_at;
  w->heap.fail_at = 0;
  /* and it goes on: where the links stand, a fresh call is answered */
  mc_actor *e = world_spawn(w, 2, w->node[2].type);
  code = world_call(w, 0, world_address(w, 0, 2, e), "echo", 9, NULL, &again);
  world_run(w);
  CHECK(code == MC_E_NODE_DOWN || again.settled == 1 || w->broken);
  if (!w->broken) CHECK(code == MC_OK && again.value == 9);
  world_free(w);
  return !failed;
}

static void each_allocation(void) {
  size_t n = 1;
  for (; n < 10000; n++) {
    check_about("allocation %d", (int)n);
    if (scenario(n)) break;
  }
  CHECK(n > 50 && n < 10000);
}

/* Answers do not wait for the end of a long step. */
static void sends_meanwhile(void) {
  enum { CALLS = 70 };
  world *w = world_new(2, 0);
  static world_ask ask[CALLS];
  memset(ask, 0, sizeof ask);
  mc_actor *a = world_spawn(w, 1, w->node[1].reentrant);
  mc_address to = world_address(w, 0, 1, a);
  for (int i = 0; i < CALLS; i++)
    CHECK_INT(world_call(w, 0, to, "echo", i, NULL, &ask[i]), MC_OK);
  mc_node_step(w->node[0].n, 1);
  CHECK_INT(w->node[0].sends, 1);
  world_deliver(w, 0, 1);
  mc_node_step(w->node[1].n, 1000);
  CHECK_INT(w->node[1].sends, 3);
  world_run(w);
  for (int i = 0; i < CALLS; i++) CHECK_INT(ask[i].value, i);
  world_free(w);
}

/* Bytes and a step in one. */
static void runs(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  bool sound = false;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  CHECK_INT(world_call(w, 0, world_address(w, 0, 1, a), "echo", 7, NULL, &ask), MC_OK);
  mc_node_step(w->node[0].n, 1);
  mc_node *n = w->node[1].n;
  world_pipe *p = &w->node[0].out[1];
  uint32_t peer = w->node[1].peer[0];
  CHECK(isinf(mc_node_run(n, peer, p->data, p->len, 1, &sound)));
  CHECK(sound);
  p->len = 0;
  world_deliver(w, 1, 0);
  CHECK_INT(ask.value, 7);
  CHECK(isinf(mc_node_run(n, peer, (const uint8_t *)"?", 1, 1, &sound)));
  CHECK(!sound);
  CHECK_INT(world_stats(w, 1).malformed, 1);
  world_free(w);
}

/* ---- random bytes ------------------------------------------------------------------------------ */

/* No 8 bytes of what was given stand in the node any more, nor come again. */
static void random_once(void) {
  enum { TIMES = 500 };
  uint64_t given[TIMES][2];
  world *w = world_new(1, 0);
  const uint8_t *inside = (const uint8_t *)w->node[0].n;
  for (int i = 0; i < TIMES; i++) {
    mc_node_random(w->node[0].n, given[i], i % 3 ? 16 : 9);
    for (int j = 0; j < i; j++) CHECK(memcmp(given[i], given[j], 8) != 0);
    for (size_t at = 0; at + 8 <= sizeof(mc_node); at++)
      CHECK(memcmp(inside + at, given[i], 8) != 0);
  }
  uint8_t many[2 * MC_RANDOM_AHEAD] = {0};
  mc_node_random(w->node[0].n, many, sizeof many);
  CHECK(memcmp(many, many + MC_RANDOM_AHEAD, MC_RANDOM_AHEAD) != 0);
  world_free(w);
}

static const check_test tests[] = {
    {"node: a stream may be cut anywhere, twice", cut_anywhere},
    {"node: each flipped bit breaks the link or does no harm; calls settle once [D5]",
     damaged},
    {"node: a hello of another version is the last on its link, calls fail at once [E5]",
     other_version},
    {"node: what is no frame, no hello, or another's hello breaks the link [D5]",
     malformed_links},
    {"node: nothing is allocated ahead of the bytes [F4]", never_ahead},
    {"node: a link may take as little as a byte at a time [C16]", partial_sends},
    {"node: the host may learn in send that the peer is dead [E4]", dead_in_send},
    {"node: tasks take turns, within the budget", budget},
    {"node: a long step sends meanwhile", sends_meanwhile},
    {"node: bytes are taken and worked on at once", runs},
    {"node: a link may be given up inside a callback", down_while_settling},
    {"node: random bytes are given once, and not kept", random_once},
    {"node: each allocation may fail: nothing leaks, hangs or is settled twice",
     each_allocation},
};

int main(void) { return CHECK_RUN(tests); }
