/*
** runtime/probe.c: cycles that only waits form, found and named; and probes that find none. Handlers
** hold until the test releases them; what they call meanwhile is what they are taken to await, unless
** they `may_go_on` otherwise.
*/
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

enum { MOST = 3, PROBE_MS = 50 };

/* So many actors, one a node, each of which has a handler that holds. */
typedef struct held {
  world *w;
  mc_actor *actor[MOST];
  mc_turn *turn[MOST];
  world_ask first[MOST]; /* that started the handler */
  world_ask ask[MOST];   /* what it called */
  bool may_go_on[MOST];  /* whatever becomes of that */
} held;

static held h;

static void awaits(void *ud, const mc_turn *turn,
                   void (*visit)(void *arg, const mc_wait *wait), void *arg) {
  (void)ud;
  for (int i = 0; i < MOST; i++)
    if (h.turn[i] == turn && !h.may_go_on[i]) visit(arg, &h.ask[i].wait);
}

static mc_address address(int viewer, int of) {
  return world_address(h.w, viewer, of, h.actor[of]);
}

static void open_world(int count) {
  h = (held){.w = world_new(3, 0)};
  for (int i = 0; i < 3; i++) h.w->node[i].n->language.awaits = awaits;
  for (int i = 0; i < count; i++) {
    h.actor[i] = world_spawn(h.w, i, h.w->node[i].type);
    world_call(h.w, 2, address(2, i), "hold", i, NULL, &h.first[i]);
    world_run(h.w);
    h.turn[i] = world_held(h.w, i, i)->turn;
  }
}

static void call(int from, int to) {
  CHECK_INT(
      world_call(h.w, from, address(from, to), "echo", 7, h.turn[from], &h.ask[from]),
      MC_OK);
  world_run(h.w);
}

/* Every handler may end, and every call with it. */
static void close_world(int count) {
  for (int i = 0; i < count; i++) {
    if (world_held(h.w, i, i)) world_release(h.w, i, i);
    h.turn[i] = NULL;
    world_run(h.w);
  }
  for (int i = 0; i < count; i++) CHECK_INT(h.first[i].settled, 1);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(world_stats(h.w, i).pending, 0);
    CHECK_INT(world_stats(h.w, i).mailbox, 0);
    CHECK_INT(world_stats(h.w, i).timers, 0);
  }
  world_free(h.w);
}

static int settled(int count) {
  int sum = 0;
  for (int i = 0; i < count; i++) sum += h.ask[i].settled;
  return sum;
}

/* ---- what is found --------------------------------------------------------------------------- */

static void cycle(int count, const char *message) {
  int found = 0;
  open_world(count);
  for (int i = 0; i < count; i++) call(i, (i + 1) % count);
  world_pass(h.w, PROBE_MS - 1);
  CHECK_INT(settled(count), 0);
  world_pass(h.w, 1);
  for (int i = 0; i < count; i++) {
    if (!h.ask[i].settled) continue;
    found++;
    CHECK_INT(h.ask[i].settled, 1);
    CHECK_INT(h.ask[i].code, MC_E_DEADLOCK);
    CHECK_TEXT(h.ask[i].message, message);
  }
  CHECK(found >= 1);
  close_world(count);
}

static void cycles(void) {
  cycle(2, "it waits for itself: T:hold -> T:hold -> T:hold");
  cycle(3, "it waits for itself: T:hold -> T:hold -> T:hold -> T:hold");
}

/* A cycle that closes behind the first probe is found by a later one. */
static void closes_late(void) {
  open_world(3);
  call(0, 1);
  call(1, 2);
  world_pass(h.w, PROBE_MS + 10);
  CHECK_INT(settled(3), 0);
  call(2, 0);
  world_pass(h.w, 2 * PROBE_MS);
  CHECK(settled(3) >= 1);
  close_world(3);
}

/* ---- what is none ---------------------------------------------------------------------------- */

static void something_else(void) {
  for (int free_one = 0; free_one < 3; free_one++) {
    open_world(3);
    h.may_go_on[free_one] = true;
    for (int i = 0; i < 3; i++) call(i, (i + 1) % 3);
    for (int ms = 0; ms < 10000; ms += 10) world_pass(h.w, 10);
    CHECK_INT(settled(3), 0);
    world_release(h.w, free_one, free_one);
    close_world(3);
  }
}

static void no_cycle(void) {
  open_world(3);
  call(0, 1);
  call(1, 2);
  for (int ms = 0; ms < 10000; ms += 10) world_pass(h.w, 10);
  CHECK_INT(settled(3), 0);
  close_world(3);
}

/* ---- probes of others ------------------------------------------------------------------------ */

/* Node 0 tells node 1 of a probe for the call that waits there. */
static mc_envelope probe_for(const mc_message *msg) {
  mc_envelope e = {.kind = MC_ENV_PROBE,
                   .incarnation = 101, /* node 1's */
                   .probe = msg->probe,
                   .call = msg->call,
                   .instance = h.actor[1]->instance,
                   .name = "X:y",
                   .name_len = 3};
  memcpy(e.secret, h.actor[1]->secret, MC_SECRET_SIZE);
  return e;
}

/* As a peer would send it; whether the link takes it. */
static bool deliver(const mc_envelope *e) {
  uint8_t bytes[MC_MAX_CYCLE + 200];
  mc_node *n = h.w->node[0].n;
  mc_buf *out = mc__outbox(n, h.w->node[0].peer[1]);
  size_t before = out->len, frame = mc__frame_open(out), len;
  mc__envelope_write(out, e);
  CHECK(mc__frame_close(out, frame));
  len = out->len - before;
  if (!CHECK(len <= sizeof bytes)) return false;
  memcpy(bytes, out->data + before, len);
  out->len = before;
  bool taken = mc_node_deliver(h.w->node[1].n, h.w->node[1].peer[0], bytes, len);
  world_run(h.w);
  return taken;
}

/* Node 0's call waits at node 1's actor, and was probed once. */
static mc_message *waiting(void) {
  open_world(2);
  call(0, 1);
  world_pass(h.w, PROBE_MS);
  CHECK(h.actor[1]->first != NULL);
  return h.actor[1]->first;
}

static void forged(void) {
  char long_name[MC_MAX_CYCLE];
  memset(long_name, 'n', sizeof long_name);
  for (int what = 0; what < 8; what++) {
    mc_envelope e = probe_for(waiting());
    switch (what) {
    case 0: e.secret[3] ^= 1; break;
    case 1: e.instance += 1000; break;
    case 2: e.call += 1; break;
    case 3: e.incarnation += 1; break;
    case 4: e.probe += 16; break; /* a later call's */
    case 5: e.probe = 0; break;
    case 6: e.incarnation = MC_MAX_ID, e.count = 255; break;
    default:
      e.incarnation = 100, e.name = long_name, e.name_len = sizeof long_name;
      break;
    }
    check_about("forgery %d", what);
    CHECK(deliver(&e));
    CHECK_INT(settled(2), 0);
    close_world(2);
  }
  check_about(NULL);
}

static void before_the_first(void) {
  open_world(2);
  call(0, 1);
  mc_envelope e = probe_for(h.actor[1]->first);
  CHECK_INT(e.probe, 0);
  CHECK(deliver(&e));
  CHECK_INT(settled(2), 0);
  close_world(2);
}

/* A call that was answered meanwhile, or an actor that is gone. */
static void stale(void) {
  mc_envelope e = probe_for(waiting());
  world_release(h.w, 1, 1);
  world_run(h.w);
  CHECK(h.ask[0].settled == 1 && h.ask[0].code == MC_OK);
  CHECK(deliver(&e));
  world_ask stop = {0};
  world_stop(h.w, 2, address(2, 1), &stop);
  world_run(h.w);
  CHECK_INT(stop.settled, 1);
  CHECK(deliver(&e));
  CHECK_INT(settled(2), 1);
  close_world(1);
}

/* It names what it likes, and only its own text: the longest cycle, a name cut in two. */
static void odd_names(void) {
  char name[MC_MAX_CYCLE];
  for (int what = 0; what < 3; what++) {
    mc_envelope e = probe_for(waiting());
    memset(name, 'n', sizeof name);
    e.name = name;
    e.name_len = what == 0 ? sizeof name : 0;
    if (what == 2) memcpy(name, " -> ", e.name_len = 4);
    CHECK(deliver(&e));
    CHECK(h.ask[0].settled == 1 && h.ask[0].code == MC_E_DEADLOCK);
    CHECK(strncmp(h.ask[0].message, "it waits for itself: ", 21) == 0);
    close_world(2);
  }
}

static void malformed(void) {
  static const char not_text[] = "\xff";
  char long_name[MC_MAX_CYCLE + 1];
  memset(long_name, 'n', sizeof long_name);
  for (int what = 0; what < 3; what++) {
    mc_envelope e = probe_for(waiting());
    if (what == 0) e.count = 256;
    if (what == 1) e.name = long_name, e.name_len = sizeof long_name;
    if (what == 2) e.name = not_text, e.name_len = 1;
    check_about("malformation %d", what);
    CHECK(!deliver(&e));
    CHECK(h.ask[0].code != MC_E_DEADLOCK);
    world_free(h.w);
  }
  check_about(NULL);
}

static const check_test tests[] = {
    {"probe: a cycle of two, and of three, is found and named [K20]", cycles},
    {"probe: a cycle that closes behind the first probe is found by a later one [K20]",
     closes_late},
    {"probe: a handler that waits for something else stops it [K20]", something_else},
    {"probe: a line of waits is no cycle [K20]", no_cycle},
    {"probe: one for another call, actor or node finds nothing", forged},
    {"probe: one that comes before any was sent finds nothing", before_the_first},
    {"probe: one that comes late finds nothing", stale},
    {"probe: names are taken as they are", odd_names},
    {"probe: one that is not as it should be breaks the link", malformed},
};

int main(void) { return CHECK_RUN(tests); }
