/* runtime/registry.c: types, peers and actors by name and number; how an actor ends. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "world.h"

static void types(void) {
  enum { MANY = 1000 };
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  static mc_type *type[MANY];
  char name[MC_MAX_NAME + 2];
  for (int i = 0; i < MANY; i++) {
    type[i] = mc_type_named(n, name, (size_t)snprintf(name, sizeof name, "type %d", i));
    CHECK(type[i] != NULL);
  }
  for (int i = 0; i < MANY; i++) {
    CHECK(mc_type_named(n, name, (size_t)snprintf(name, sizeof name, "type %d", i)) ==
          type[i]);
    CHECK_TEXT(type[i]->name, name);
  }
  CHECK_INT(mc_type_named(n, "foobar", 6)->hash, 0xbf9cf968);
  memset(name, 'x', sizeof name);
  CHECK(mc_type_named(n, name, MC_MAX_NAME) != NULL);
  CHECK(!mc_type_named(n, name, MC_MAX_NAME + 1));
  CHECK(!mc_type_named(n, name, 0));
  CHECK(!mc_type_named(n, "\xff", 1));
  world_free(w);
}

static void types_are_bounded(void) {
  world *w = world_new(1, 0);
  char name[16];
  int made = 0;
  for (int i = 0; i < 20000; i++)
    made += mc_type_named(w->node[0].n, name,
                          (size_t)snprintf(name, sizeof name, "%d", i)) != NULL;
  CHECK_INT(made, (1 << 14) - 2);
  CHECK(mc_type_named(w->node[0].n, "0", 1) != NULL);
  world_free(w);
}

static void peers(void) {
  enum { MANY = 500 };
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  char name[MC_MAX_NAME + 2];
  size_t len;
  CHECK_INT(mc_peer_named(n, "n0", 2, 100), MC_SELF);
  for (uint32_t i = 0; i < MANY; i++)
    CHECK_INT(mc_peer_named(n, name, (size_t)snprintf(name, sizeof name, "p%u", i), i),
              i + 1);
  for (uint32_t i = 0; i < MANY; i++) {
    CHECK_INT(mc_peer_named(n, name, (size_t)snprintf(name, sizeof name, "p%u", i), i),
              i + 1);
    CHECK_TEXT(mc_peer_name(n, i + 1, &len), name);
    CHECK_INT(len, strlen(name));
    CHECK_INT(mc_peer_incarnation(n, i + 1), i);
  }
  memset(name, 'x', sizeof name);
  CHECK(mc_peer_named(n, name, MC_MAX_NAME, 1) != UINT32_MAX);
  CHECK_INT(mc_peer_named(n, name, MC_MAX_NAME + 1, 1), UINT32_MAX);
  CHECK_INT(mc_peer_named(n, name, 0, 1), UINT32_MAX);
  CHECK_INT(mc_peer_named(n, "\xc3(", 2, 1), UINT32_MAX);
  CHECK_INT(mc_peer_named(n, "late", 4, MC_MAX_ID + 1), UINT32_MAX);
  world_free(w);
}

static void incarnations(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  uint32_t old = mc_peer_named(n, "w", 1, 1), new = mc_peer_named(n, "w", 1, 2);
  CHECK(old != new);
  CHECK_INT(mc_peer_find(n, "w", 1), new);
  mc_node_peer_down(n, new, MC_E_NODE_DOWN);
  CHECK_INT(mc_peer_find(n, "w", 1), old);
  mc_node_peer_down(n, old, MC_E_NODE_DOWN);
  CHECK_INT(mc_peer_find(n, "w", 1), UINT32_MAX);
  CHECK(mc_peer_is_down(n, mc_peer_named(n, "w", 1, 1)));
  mc_node_peer_down(n, MC_SELF, MC_E_NODE_DOWN);
  CHECK(!mc_peer_is_down(n, MC_SELF));
  world_free(w);
}

/* What others hold of a peer stays where it is, though the number of peers grows. */
static void peers_stay(void) {
  world *w = world_new(2, 0);
  world_ask ask = {0};
  mc_sending s;
  mc_actor *a = world_spawn(w, 1, w->node[1].type);
  mc_address to = world_address(w, 0, 1, a);
  mc_request q = world_request(w, 0, MC_CALL, &to, "echo", &ask);
  CHECK_INT(mc_send_begin(w->node[0].n, &q, &s), MC_ROUTE_BYTES);
  for (uint64_t i = 0; i < 100; i++) mc_peer_named(w->node[0].n, "other", 5, i);
  CHECK_INT(world_commit(w, 0, &q, &s, 5), MC_OK);
  world_run(w);
  CHECK_INT(ask.value, 5);
  world_free(w);
}

static void actors(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  mc_address to, wrong;
  mc_actor *a = mc_actor_new(n, w->node[0].type);
  mc_actor_address(a, &to);
  CHECK(mc_actor_at(n, &to) == a);
  wrong = to;
  wrong.secret[15] ^= 1;
  CHECK(!mc_actor_at(n, &wrong));
  wrong = to;
  wrong.peer = 1;
  CHECK(!mc_actor_at(n, &wrong));
  mc_actor_end(n, a);
  CHECK(!mc_actor_at(n, &to));
  CHECK_INT(w->node[0].resigned, 1);
  mc_actor *b = mc_actor_new(n, w->node[0].type);
  CHECK(b->instance != to.instance);
  CHECK_INT(b->instance & (MC_MAX_SLOTS - 1), to.instance & (MC_MAX_SLOTS - 1));
  CHECK(!mc_actor_at(n, &to));
  CHECK(!mc__actor_find(n, to.instance));
  world_free(w);
}

static void instances_wrap(void) {
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  mc_actor_end(n, mc_actor_new(n, w->node[0].type));
  n->actors[0].generation = MC_GENERATIONS;
  mc_actor *a = mc_actor_new(n, w->node[0].type);
  uint64_t last = a->instance;
  CHECK(last <= MC_MAX_ID);
  mc_actor_end(n, a);
  a = mc_actor_new(n, w->node[0].type);
  CHECK_INT(a->instance >> MC_SLOT_BITS, 1);
  CHECK(!mc__actor_find(n, last));
  world_free(w);
}

static void first_actor(void) {
  static const uint8_t secret[MC_SECRET_SIZE] = "0123456789abcde";
  world *w = world_new(1, 0);
  mc_node *n = w->node[0].n;
  mc_address to = {.instance = 1};
  memcpy(to.secret, secret, MC_SECRET_SIZE);
  CHECK(!mc_actor_at(n, &to));
  mc_actor *a = mc_actor_first(n, w->node[0].type, secret);
  CHECK(a && mc_actor_at(n, &to) == a);
  CHECK(!mc_actor_first(n, w->node[0].type, secret));
  mc_actor *other = mc_actor_new(n, w->node[0].type);
  mc_actor_end(n, a);
  CHECK(!mc_actor_at(n, &to));
  CHECK(mc__actor_find(n, other->instance) == other);
  CHECK(!mc_actor_first(n, w->node[0].type, secret));
  world_free(w);
}

/* An actor that ends answers what waits for it: dead_actor for calls and stops, dead letters. */
static void ends_with_mail(void) {
  world *w = world_new(2, 0);
  world_ask calls[4] = {0}, casts = {0};
  mc_error code;
  mc_actor *a =
      mc_actor_new(w->node[1].n, w->node[1].type); /* starting: all of it waits */
  mc_address there = world_address(w, 0, 1, a), here = world_address(w, 1, 1, a);
  world_call(w, 0, there, "echo", 1, NULL, &calls[0]);
  world_call(w, 1, here, "echo", 2, NULL, &calls[1]);
  world_stop(w, 0, there, &calls[2]);
  world_stop(w, 1, here, &calls[3]);
  CHECK(world_cast(w, 0, there, "echo", 3, &casts, &code));
  CHECK(world_cast(w, 1, here, "echo", 4, &casts, &code));
  world_run(w);
  CHECK_INT(a->waiting, 6);
  mc_actor_end(w->node[1].n, a);
  world_run(w);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(calls[i].settled, 1);
    CHECK_INT(calls[i].code, MC_E_DEAD_ACTOR);
  }
  CHECK_INT(world_stats(w, 1).dead_letters, 2);
  CHECK_INT(world_stats(w, 1).mailbox, 0);
  CHECK_INT(world_stats(w, 1).actors, 0);
  CHECK_INT(w->node[1].logged, 0);
  world_free(w);
}

static const check_test tests[] = {
    {"registry: a type is found by its name, up to 255 bytes of text [D2]", types},
    {"registry: the number of types is bounded", types_are_bounded},
    {"registry: a peer is found by name and incarnation", peers},
    {"registry: by name alone the newest that lives is found", incarnations},
    {"registry: an envelope may be open while new peers become known", peers_stay},
    {"registry: an actor is found by instance and secret, while it lives [A5]", actors},
    {"registry: generations of instances start over at 1, within 53 bits",
     instances_wrap},
    {"registry: the node's own actor is at instance 1, if it is the first", first_actor},
    {"registry: an actor that ends answers what waits in its mailbox [A8]",
     ends_with_mail},
};

int main(void) { return CHECK_RUN(tests); }
