/* runtime/timer.c: the order in which timers fire, and what they may do while they fire. */
#include <math.h>

#include "check.h"
#include "node.h"
#include "world.h"

enum { MANY = 300 };

/* A timer that notes its number when it fires, and then perhaps does something to another. */
typedef struct alarm {
  mc_timer timer;
  int number;
  struct alarm *other;
  enum { NOTHING, CLEAR_OTHER, SET_OTHER, SET_ITSELF } then;
  double then_ms;
} alarm;

static int fired[4 * MANY], count;

static void ring(mc_node *n, mc_timer *t) {
  alarm *a = (alarm *)(void *)t;
  CHECK_INT(t->place, 0);
  fired[count++] = a->number;
  if (a->then == CLEAR_OTHER) mc_timer_clear(n, &a->other->timer);
  if (a->then == SET_OTHER) mc_timer_set(n, &a->other->timer, a->then_ms);
  if (a->then == SET_ITSELF) mc_timer_set(n, t, a->then_ms);
}

static alarm alarm_of(int number) {
  return (alarm){.timer = {.fire = ring}, .number = number};
}

static void order(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  alarm a[MANY];
  uint32_t x = 1;
  count = 0;
  for (int i = 0; i < MANY; i++) {
    a[i] = alarm_of(i);
    x = x * 1664525u + 1013904223u;
    CHECK(mc_timer_set(n, &a[i].timer, 2000 + (x >> 24) % 16));
  }
  for (int i = 0; i < MANY; i += 7) mc_timer_clear(n, &a[i].timer);
  for (int i = 0; i < MANY; i += 5) mc_timer_set(n, &a[i].timer, a[i].timer.at_ms);
  CHECK_INT(mc__timers_run(n, 1999), 2000);
  CHECK_INT(count, 0);
  CHECK(isinf(mc__timers_run(n, 2016)));
  int expected = 0;
  for (int i = 0; i < MANY; i++) expected += i % 7 != 0 || i % 5 == 0;
  CHECK_INT(count, expected);
  for (int i = 1; i < count; i++) {
    const mc_timer *p = &a[fired[i - 1]].timer, *q = &a[fired[i]].timer;
    CHECK(p->at_ms < q->at_ms || (p->at_ms == q->at_ms && p->order < q->order));
  }
  world_free(w);
}

static void same_moment(void) {
  world *w = world_new(1, 0);
  alarm a[MANY];
  count = 0;
  for (int i = 0; i < MANY; i++) {
    a[i] = alarm_of(i);
    mc_timer_set(w->node[0].n, &a[i].timer, 5);
  }
  mc__timers_run(w->node[0].n, 5);
  CHECK_INT(count, MANY);
  for (int i = 0; i < count; i++) CHECK_INT(fired[i], i);
  world_free(w);
}

static void clear_while_firing(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  alarm a[3] = {alarm_of(0), alarm_of(1), alarm_of(2)};
  count = 0;
  a[0].then = CLEAR_OTHER;
  a[0].other = &a[1];
  for (int i = 0; i < 3; i++) mc_timer_set(n, &a[i].timer, 5);
  mc__timers_run(n, 5);
  CHECK_INT(count, 2);
  CHECK_INT(fired[1], 2);
  mc_timer_clear(n, &a[1].timer); /* twice is no harm */
  CHECK_INT(world_stats(w, 0).timers, 0);
  world_free(w);
}

static void set_while_firing(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  alarm a[3] = {alarm_of(0), alarm_of(1), alarm_of(2)};
  count = 0;
  a[0].then = SET_ITSELF; /* to a moment that is over: not again in this run */
  a[0].then_ms = 1;
  a[1].then = SET_OTHER;
  a[1].then_ms = 6;
  a[1].other = &a[2];
  mc_timer_set(n, &a[0].timer, 5);
  mc_timer_set(n, &a[1].timer, 0);
  CHECK_INT(mc__timers_run(n, 10), 1);
  CHECK_INT(count, 2);
  CHECK_INT(fired[0], 1);
  a[0].then = NOTHING;
  CHECK(isinf(mc__timers_run(n, 10)));
  CHECK_INT(count, 4);
  CHECK_INT(fired[2], 0);
  CHECK_INT(fired[3], 2);
  world_free(w);
}

static void step_says_when(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  alarm a = alarm_of(0);
  count = 0;
  CHECK(isinf(mc_node_step(n, 1)));
  mc_timer_set(n, &a.timer, w->now_ms + 250);
  CHECK_INT(mc_node_step(n, 1), 250);
  w->now_ms += 249;
  CHECK_INT(mc_node_step(n, 1), 1);
  CHECK_INT(count, 0);
  w->now_ms += 5;
  CHECK(isinf(mc_node_step(n, 1)));
  CHECK_INT(count, 1);
  world_free(w);
}

/* Beyond 32 bits of milliseconds, and beyond what a host's timer takes. */
static void far_away(void) {
  world *w = world_new(1, 0);
  alarm a = alarm_of(0);
  count = 0;
  w->now_ms = 4294967295.0 - 1000;
  mc_timer_set(w->node[0].n, &a.timer, w->now_ms + 30 * 86400e3);
  CHECK_INT(mc_node_step(w->node[0].n, 1), 30 * 86400e3);
  w->now_ms += 30 * 86400e3 - 1;
  CHECK_INT(mc_node_step(w->node[0].n, 1), 1);
  w->now_ms += 1;
  mc_node_step(w->node[0].n, 1);
  CHECK_INT(count, 1);
  world_free(w);
}

/* Those that wait equally long count from when the step that set them ends, and fire among the others. */
static void line(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  alarm a[7];
  count = 0;
  for (int i = 0; i < 7; i++) a[i] = alarm_of(i);
  for (int i = 0; i < 4; i++) CHECK(mc__timer_wait(n, &a[i].timer, 100));
  CHECK(isinf(mc__timers_next(n)));
  CHECK_INT(world_stats(w, 0).timers, 4);
  mc_timer_clear(n, &a[0].timer); /* the first, before it counts */
  w->now_ms = 1000;
  CHECK_INT(mc_node_step(n, 1), 100);
  w->now_ms = 1050;
  CHECK(mc__timer_wait(n, &a[4].timer, 100));
  mc_timer_clear(n, &a[4].timer); /* the last, before it counts */
  CHECK(mc__timer_wait(n, &a[4].timer, 100));
  CHECK(mc__timer_wait(n, &a[5].timer, 10)); /* not as long: by itself */
  CHECK(mc_timer_set(n, &a[6].timer, 1100));
  mc_timer_clear(n, &a[2].timer); /* one in the middle */
  mc_timer_clear(n, &a[2].timer); /* twice is no harm */
  CHECK_INT(mc_node_step(n, 1), 10);
  w->now_ms = 1149;
  CHECK_INT(mc_node_step(n, 1), 1);
  CHECK_INT(count, 4);
  CHECK(fired[0] == 5 && fired[1] == 1 && fired[2] == 3 && fired[3] == 6);
  w->now_ms = 1150;
  CHECK(isinf(mc_node_step(n, 1)));
  CHECK_INT(fired[4], 4);
  CHECK(mc__timer_wait(n, &a[0].timer, 10)); /* nobody else waits: in the line again */
  CHECK_INT(mc_node_step(n, 1), 10);
  mc_timer_clear(n, &a[0].timer);
  CHECK_INT(world_stats(w, 0).timers, 0);
  world_free(w);
}

static void no_memory(void) {
  world *w = world_new(1, 0);
  alarm a[70];
  count = 0;
  for (int i = 0; i < 70; i++) a[i] = alarm_of(i);
  w->heap.fail_at = w->heap.calls + 1;
  CHECK(!mc_timer_set(w->node[0].n, &a[0].timer, 1));
  CHECK_INT(a[0].timer.place, 0);
  w->heap.fail_at = w->heap.calls + 2;
  int set = 0;
  for (int i = 0; i < 70; i++) set += mc_timer_set(w->node[0].n, &a[i].timer, 1);
  CHECK_INT(set, 69);
  mc__timers_run(w->node[0].n, 1);
  CHECK_INT(count, 69);
  world_free(w);
}

static const check_test tests[] = {
    {"timer: they fire by moment, then by the order in which they were set", order},
    {"timer: at the same moment the first that was set is first", same_moment},
    {"timer: one that another clears while firing does not fire", clear_while_firing},
    {"timer: one that is set while firing waits for the next run", set_while_firing},
    {"timer: a step says when the next one is due", step_says_when},
    {"timer: 30 days, from a clock near 2^32 ms", far_away},
    {"timer: those that wait equally long stand in a line", line},
    {"timer: one for which there is no memory is not set, the others are", no_memory},
};

int main(void) { return CHECK_RUN(tests); }
