/*
** Any bytes on a link into a node, cut anywhere. However they are cut the node does the same; what it
** takes is bounded by what arrived; and afterwards it answers another peer.
**
** The first byte of an input is the seed of the cuts, the second are these bits.
*/
#include "echo.h"
#include "fuzz.h"
#include "generate.h"

const fuzz_shape fuzz_input = FUZZ_STREAM;

enum { SMALL_PIECES = 1, STEPS = 2, NO_HELLO = 4, ASKS = 8 };

/* Delivers in pieces; whether the link is still good. */
static bool deliver(echo *e, uint32_t peer, const uint8_t *data, size_t size,
                    unsigned control, gen *cuts) {
  for (size_t at = 0; at < size;) {
    size_t piece = cuts ? 1 + gen_below(cuts, control & SMALL_PIECES ? 8 : 300) : size;
    if (piece > size - at) piece = size - at;
    /* a block of its own, so that reading over its end is seen */
    uint8_t *copy = malloc(piece);
    memcpy(copy, data + at, piece);
    bool good = mc_node_deliver(e->node, peer, copy, piece);
    free(copy);
    if (!good) return false;
    if (cuts && control & STEPS) mc_node_step(e->node, 1000);
    at += piece;
  }
  return true;
}

static void run(echo *e, const uint8_t *data, size_t size, unsigned control, gen *cuts) {
  echo_open(e);
  uint32_t good = echo_greet(e, "good", 8);
  uint32_t peer = control & NO_HELLO ? mc_peer_named(e->node, "peer", 4, 7)
                                     : echo_greet(e, "peer", 7);
  if (control & ASKS) echo_ask_all(e, peer);
  size_t before = e->memory.used;
  e->memory.peak = before;
  bool taken = deliver(e, peer, data, size, control, cuts);
  mc_node_step(e->node, 1000);
  FUZZ_CHECK(taken != mc_peer_is_down(e->node, peer), "a link that is malformed is down");
  FUZZ_CHECK(e->memory.peak - before <= 64 * size + 16384, "memory");
  FUZZ_CHECK(echo_answers(e, good, 99), "the node lives");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static echo whole, cut;
  if (size < FUZZ_CONTROL) return 0;
  unsigned control = data[1];
  gen cuts = {.random = data[0]};
  data += FUZZ_CONTROL;
  size -= FUZZ_CONTROL;
  run(&cut, data, size, control, &cuts);
  if (!(control & STEPS)) {
    mc_stats a, b;
    run(&whole, data, size, control, NULL);
    mc_node_stats(whole.node, &a);
    mc_node_stats(cut.node, &b);
    FUZZ_CHECK(memcmp(&a, &b, sizeof a) == 0, "the same counts");
    FUZZ_CHECK(whole.lost == cut.lost && whole.settled == cut.settled, "the same");
    for (int i = 0; i < ECHO_PEERS; i++)
      FUZZ_CHECK(whole.sent[i].len == cut.sent[i].len &&
                     (!cut.sent[i].len ||
                      memcmp(whole.sent[i].data, cut.sent[i].data, cut.sent[i].len) == 0),
                 "the same bytes");
    FUZZ_CHECK(echo_close(&whole) == 0, "all memory was given back");
  }
  FUZZ_CHECK(echo_close(&cut) == 0, "all memory was given back");
  return 0;
}
