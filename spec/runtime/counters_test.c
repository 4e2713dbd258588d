/* Counters that start near 2^31, 2^32, 2^53 and the end of their type, and clocks that start near the
** places where others wrap: a small system works as ever. */
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

static const uint64_t STARTS[] = {0,
                                  0x7ffffffeu,
                                  0xfffffffeu,
                                  0x1ffffffffffffeu,
                                  0x7ffffffffffffffeu,
                                  0xfffffffffffffff0u};
enum { START_COUNT = sizeof STARTS / sizeof *STARTS };

/* Calls here and there, a chain of them, a cast, a timeout, a stop. */
static void work(world *w) {
  world_ask ask[6] = {0};
  mc_error code;
  mc_actor *a = world_spawn(w, 0, w->node[0].type),
           *b = world_spawn(w, 1, w->node[1].type);
  mc_actor *other = world_spawn(w, 1, w->node[1].type);
  mc_address here = world_address(w, 0, 0, a), there = world_address(w, 0, 1, b);
  mc_address away = world_address(w, 0, 1, other);
  world_target(w, b, world_address(w, 1, 0, a));
  CHECK_INT(world_call(w, 0, here, "echo", 1, NULL, &ask[0]), MC_OK);
  CHECK_INT(world_call(w, 0, there, "relay", 0, NULL, &ask[1]), MC_OK);
  world_run(w);
  CHECK(ask[0].settled == 1 && ask[0].value == 1);
  CHECK(ask[1].settled == 1 && !ask[1].failed);
  CHECK(world_cast(w, 0, there, "echo", 2, &ask[2], &code));
  CHECK_INT(world_call(w, 0, away, "hold", 3, NULL, &ask[3]), MC_OK);
  world_run(w);
  CHECK_INT(ask[3].settled, 0);
  double ms = w->node[0].n->call_timeout_ms;
  world_pass(w, ms - 100);
  CHECK_INT(ask[3].settled, 0);
  world_pass(w, 200);
  CHECK(ask[3].settled == 1 && ask[3].failed && ask[3].code == MC_E_TIMEOUT);
  world_release(w, 1, 3);
  world_run(w);
  CHECK_INT(world_stop(w, 0, there, &ask[4]), MC_OK);
  world_run(w);
  CHECK(ask[4].settled == 1 && !ask[4].failed);
  CHECK_INT(world_call(w, 0, there, "echo", 4, NULL, &ask[5]), MC_OK);
  world_run(w);
  CHECK_INT(ask[5].code, MC_E_DEAD_ACTOR);
  CHECK_INT(world_stats(w, 0).pending, 0);
  CHECK_INT(world_stats(w, 0).timers, 0);
}

static void turns(void) {
  for (int i = 0; i < START_COUNT; i++) {
    world *w = world_new(2, 0);
    check_about("turns from %llx", (unsigned long long)STARTS[i]);
    for (int n = 0; n < 2; n++) w->node[n].n->turn_counter = STARTS[i];
    work(w);
    world_free(w);
  }
}

/* An order of 64 bits does not wrap; below its end it is exact beyond 2^53 too. */
static void timers(void) {
  for (int i = 0; i < START_COUNT; i++) {
    world *w = world_new(2, 0);
    check_about("timers from %llx", (unsigned long long)STARTS[i]);
    for (int n = 0; n < 2; n++) w->node[n].n->timers.order = STARTS[i] / 2;
    work(w);
    world_free(w);
  }
}

static void slots(void) {
  static const uint32_t generations[] = {1, MC_GENERATIONS - 2, MC_GENERATIONS - 1,
                                         MC_GENERATIONS};
  for (size_t i = 0; i < sizeof generations / sizeof *generations; i++) {
    world *w = world_new(2, 0);
    check_about("generations from %x", generations[i]);
    /* made once, so that there are slots */
    work(w);
    for (int n = 0; n < 2; n++) {
      mc_node *node = w->node[n].n;
      for (uint32_t s = 0; s < node->pending.count; s++)
        if (!node->pending.slots[s].wait)
          node->pending.slots[s].generation = generations[i] & MC_CALL_GENERATIONS;
      for (uint32_t s = 0; s < node->actor_count; s++)
        if (!node->actors[s].actor) node->actors[s].generation = generations[i];
    }
    for (int round = 0; round < 5; round++) work(w);
    world_free(w);
  }
}

static void clocks(void) {
  static const double starts[] = {0,
                                  0x1p31 - 1000,
                                  0x1p32 - 1000,
                                  0x1p32 - 30100,
                                  0x1p53 - 1000,
                                  0x1p53 - 30100,
                                  0x1p53 + 1000};
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
    world *w = world_new(2, 0);
    check_about("a clock from %.0f", starts[i]);
    w->now_ms = starts[i];
    world_run(w);
    work(w);
    world_free(w);
  }
}

int main(void) {
  static const check_test tests[] = {
      {"turns, counted from anywhere", turns},
      {"timers, ordered from anywhere", timers},
      {"calls and actors of the last generations", slots},
      {"clocks that started long ago", clocks},
  };
  return CHECK_RUN(tests);
}
