/*
** What hostile bytes can do to a node, which is nothing: they are malformed, run into a limit that
** has a name, or are a value like any other; what they take is bounded by what arrived, and the node
** answers the next call.
*/
#include "check.h"
#include "echo.h"
#include "generate.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* ---- one hostile peer and a good one ---------------------------------------------------------- */

static echo e;
static uint32_t good, peer;
static uint64_t number;
static size_t before, arrived;

static void open_node(void) {
  echo_open(&e);
  good = echo_greet(&e, "good", 8);
  peer = echo_greet(&e, "peer", 7);
  number = 100;
  arrived = 0;
  before = e.memory.used;
  e.memory.peak = before;
}

static void close_node(void) {
  CHECK(echo_answers(&e, good, number++));
  CHECK_INT(echo_close(&e), 0);
}

static size_t taken(void) { return e.memory.peak - before; }

/* A call of "echo" of the plain actor 0 with these bytes for arguments, in its frame. */
static void put_call(mc_buf *b, uint64_t call, const uint8_t *arguments, size_t len) {
  mc_envelope header = {.kind = MC_ENV_CALL,
                        .call = call,
                        .instance = ECHO_ACTOR(0),
                        .type = e.type->hash,
                        .name = "echo",
                        .name_len = 4,
                        .remaining_ms = INFINITY};
  for (int i = 0; i < MC_SECRET_SIZE; i++) header.secret[i] = (uint8_t)i;
  size_t frame = mc__frame_open(b);
  mc__envelope_write(b, &header);
  mc_buf_put(b, arguments, len);
  CHECK(mc__frame_close(b, frame));
}

/* The code of the last error that the node sent to the hostile peer, and its text. */
static mc_error answered(char *text, size_t size) {
  mc_reader r;
  mc_envelope header = {0};
  mc_item item;
  const mc_buf *sent = &e.sent[peer];
  size_t last = 0, at = 0;
  while (at + MC_FRAME_HEAD <= sent->len) {
    last = at;
    at += MC_FRAME_HEAD;
    for (int i = 1; i < MC_FRAME_HEAD; i++)
      at += (size_t)sent->data[last + (size_t)i] << (32 - 8 * i);
  }
  uint64_t chain[MC_MAX_CHAIN];
  text[0] = '\0';
  if (sent->len == 0) return MC_OK;
  mc_reader_init(&r, sent->data + last + MC_FRAME_HEAD, sent->len - last - MC_FRAME_HEAD);
  if (!mc__envelope_read(&r, &header, chain) || header.kind != MC_ENV_ERROR) return MC_OK;
  if (mc_read(&r, &item) && item.kind == MC_TEXT)
    snprintf(text, size, "%.*s", (int)item.as.string.len, item.as.string.data);
  return (mc_error)header.code;
}

/* Sends a call with such arguments, in pieces of 1000 bytes; what is answered. */
static mc_error call_with(const uint8_t *arguments, size_t len, char *text, size_t size) {
  mc_buf b;
  mc_buf_init(&b, &e.keeper);
  put_call(&b, 1, arguments, len);
  for (size_t at = 0; at < b.len; at += 1000)
    CHECK(mc_node_deliver(e.node, peer, b.data + at,
                          b.len - at < 1000 ? b.len - at : 1000));
  mc_node_step(e.node, 1000);
  mc_buf_fini(&b);
  return answered(text, size);
}

/* ---- counts that promise too much ------------------------------------------------------------ */

/* Heads of arrays, maps, strings and tags that claim 2^31, 2^32 - 1 and 2^63 of something. */
static void claims(void) {
  static const uint8_t majors[] = {2, 3, 4, 5};
  static const uint64_t counts[] = {0x80000000u, 0xffffffffu, 0x7fffffffffffffffu,
                                    UINT64_MAX};
  uint8_t bytes[16];
  char text[100];
  for (size_t m = 0; m < 4; m++) {
    for (size_t c = 0; c < 4; c++) {
      gen g = {.data = bytes, .cap = sizeof bytes};
      gen_head(&g, 4, 1);
      gen_head(&g, majors[m], counts[c]);
      check_about("major type %d, %llx of it", majors[m], (unsigned long long)counts[c]);
      open_node();
      CHECK_INT(call_with(bytes, g.len, text, sizeof text), MC_E_MALFORMED);
      CHECK(strstr(text,
                   majors[m] < 4 ? "longer than the bytes" : "more items than bytes"));
      CHECK(taken() < 4 * KIB);
      close_node();
    }
  }
}

static void six_bytes(void) {
  static const uint8_t claim[] = {0x9a, 0x80, 0, 0, 0, 0};
  uint8_t frame[11] = {0x5a, 0, 0, 0, 6};
  char text[100];
  memcpy(frame + 5, claim, sizeof claim);
  open_node();
  CHECK_INT(call_with(claim, sizeof claim, text, sizeof text), MC_E_MALFORMED);
  CHECK_TEXT(text, "more items than bytes");
  CHECK(!mc_node_deliver(e.node, peer, frame,
                         sizeof frame)); /* as an envelope it ends the link */
  CHECK(mc_peer_is_down(e.node, peer));
  CHECK(taken() < 4 * KIB);
  close_node();
}

/* A frame's head may claim 256 MiB; memory is taken for what arrives. */
static void large_frame(void) {
  static const uint8_t head[] = {0x5a, 0x10, 0, 0, 0},
                       too_large[] = {0x5a, 0x10, 0, 0, 1};
  uint8_t some[1000] = {0};
  open_node();
  CHECK(mc_node_deliver(e.node, peer, head, sizeof head));
  for (int i = 0; i < 100; i++) CHECK(mc_node_deliver(e.node, peer, some, sizeof some));
  CHECK(taken() < 400 * KIB);
  CHECK(
      !mc_node_deliver(e.node, echo_greet(&e, "other", 9), too_large, sizeof too_large));
  close_node();
}

/* ---- nesting --------------------------------------------------------------------------------- */

/* 2 MB of openings of each kind that nests. */
static void openings(void) {
  static const struct {
    const char *name;
    uint8_t bytes[4];
    size_t len;
  } kinds[] = {{"arrays", {0x81}, 1},
               {"maps as values", {0xa1, 0x01}, 2},
               {"maps as keys", {0xa1}, 1},
               {"registered values", {0xd8, 0x1b, 0x82, 0x60}, 4},
               {"tags of tags", {0xd8, 0x1b}, 2},
               {"refs of refs", {0xd8, 0x27, 0x85}, 3}};
  uint8_t *bytes = malloc(2 * MIB);
  char text[100];
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    check_about("%s", kinds[k].name);
    for (size_t i = 0; i + kinds[k].len <= 2 * MIB; i += kinds[k].len)
      memcpy(bytes + i, kinds[k].bytes, kinds[k].len);
    bytes[0] = 0x81; /* one argument */
    memcpy(bytes + 1, kinds[k].bytes, kinds[k].len);
    open_node();
    CHECK_INT(call_with(bytes, 2 * MIB / 4 * 4, text, sizeof text), MC_E_MALFORMED);
    CHECK(strlen(text) > 5);
    /* the frame as it comes in, doubled while it grows; nothing for what it says */
    CHECK(taken() < 8 * MIB);
    close_node();
  }
  free(bytes);
}

static void depths(void) {
  uint8_t bytes[MC_MAX_DEPTH + 3];
  char text[100];
  memset(bytes, 0x81, sizeof bytes);
  for (size_t depth = MC_MAX_DEPTH - 1; depth <= MC_MAX_DEPTH + 1; depth++) {
    check_about("depth %zu", depth);
    bytes[depth] = 0x80; /* behind the array of arguments */
    open_node();
    mc_error code = call_with(bytes, depth + 1, text, sizeof text);
    CHECK_INT(code, depth > MC_MAX_DEPTH ? MC_E_MALFORMED : MC_OK);
    if (code) CHECK_TEXT(text, "more than 100 nested containers");
    close_node();
    bytes[depth] = 0x81;
  }
}

/* ---- a thousand envelopes, damaged ------------------------------------------------------------ */

enum { ENVELOPES = 1000 };

/* Reads and writes an envelope: the same bytes, or it was malformed. True when it was read. */
static bool same_again(const uint8_t *bytes, size_t len) {
  mc_reader r;
  mc_envelope header;
  uint64_t chain[MC_MAX_CHAIN];
  mc_buf out;
  mc_buf_init(&out, &e.keeper);
  mc_reader_init(&r, bytes, len);
  bool read = mc__envelope_read(&r, &header, chain);
  if (read) {
    mc__envelope_write(&out, &header);
    if (header.kind == MC_ENV_ERROR)
      read = transcode(&r, e.node, &out, 0) && transcode(&r, e.node, &out, 0) &&
             r.at == r.end;
    else if (header.kind == MC_ENV_CALL || header.kind == MC_ENV_CAST ||
             header.kind == MC_ENV_REPLY)
      read = transcode_values(&r, e.node, &out);
  }
  if (read) CHECK(out.len == len && memcmp(out.data, bytes, len) == 0);
  if (!read) CHECK(r.malformed || r.at != r.end);
  mc_buf_fini(&out);
  return read;
}

/* The same through a node, from a peer that is made anew when its link was malformed. */
static void deliver(uint8_t *frame, size_t len) {
  static uint64_t incarnation = 1000;
  for (int i = 0; i < 4; i++)
    frame[1 + i] = (uint8_t)((len - MC_FRAME_HEAD) >> (24 - 8 * i));
  if (mc_peer_is_down(e.node, peer)) peer = echo_greet(&e, "peer", ++incarnation);
  arrived += len;
  mc_node_deliver(e.node, peer, frame, len);
}

static void damage(uint8_t *frame, size_t len, size_t *read, size_t *refused) {
  for (size_t cut = MC_FRAME_HEAD; cut < len; cut++) {
    CHECK(!same_again(frame + MC_FRAME_HEAD, cut - MC_FRAME_HEAD));
    deliver(frame, cut);
  }
  for (size_t bit = 8 * MC_FRAME_HEAD; bit < 8 * len; bit++) {
    frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    ++*(same_again(frame + MC_FRAME_HEAD, len - MC_FRAME_HEAD) ? read : refused);
    deliver(frame, len);
    frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}

static void thousand(void) {
  uint8_t frame[2 * KIB];
  size_t read = 0, refused = 0;
  gen g = {.random = 20240607, .data = frame, .cap = sizeof frame};
  for (int i = 0; i < ENVELOPES;) {
    g.len = 0;
    g.full = false;
    gen_frame(&g, (unsigned)(i % GEN_KINDS));
    if (g.full || g.len > 300) continue;
    check_about("envelope %d of seed 20240607", i++);
    open_node();
    CHECK(same_again(frame + MC_FRAME_HEAD, g.len - MC_FRAME_HEAD));
    damage(frame, g.len, &read, &refused);
    mc_node_step(e.node, 1000);
    CHECK(taken() <= 24 * arrived + 4 * KIB); /* peers, answers and turns that wait */
    close_node();
  }
  check_about("%zu read, %zu refused", read, refused);
  CHECK(read > 100000 && refused > 50000);
}

/* A link that was cut inside a frame holds what came of it, and nothing happens. */
static void cut_links(void) {
  uint8_t frame[2 * KIB];
  gen g = {.random = 7, .data = frame, .cap = sizeof frame};
  for (int i = 0; i < 100; i++) {
    g.len = 0;
    g.full = false;
    gen_frame(&g, (unsigned)(1 + i % (GEN_KINDS - 1)));
    if (g.full) continue;
    for (size_t cut = 0; cut < g.len; cut++) {
      open_node();
      CHECK(mc_node_deliver(e.node, peer, frame, cut));
      mc_node_step(e.node, 1000);
      CHECK_INT(e.sent[peer].len, 0);
      CHECK(taken() <= 4 * cut + 1024);
      close_node();
    }
  }
}

/* ---- many -------------------------------------------------------------------------------------- */

/* Calls that wait take memory in proportion, and no more of them wait than a mailbox holds. */
static void flood(void) {
  static const uint8_t none[] = {0x80};
  mc_buf b;
  mc_stats stats;
  open_node();
  mc_buf_init(&b, &e.keeper);
  mc_envelope held = {.kind = MC_ENV_CALL,
                      .call = 1,
                      .instance = ECHO_ACTOR(0),
                      .type = e.type->hash,
                      .name = "wait",
                      .name_len = 4,
                      .remaining_ms = INFINITY};
  for (int i = 0; i < MC_SECRET_SIZE; i++) held.secret[i] = (uint8_t)i;
  size_t frame = mc__frame_open(&b);
  mc__envelope_write(&b, &held);
  mc_write_array(&b, 0);
  mc__frame_close(&b, frame);
  for (uint64_t call = 2; call < 20000; call++) put_call(&b, call, none, sizeof none);
  CHECK(mc_node_deliver(e.node, peer, b.data, b.len));
  mc_node_stats(e.node, &stats);
  CHECK_INT(stats.mailbox, MC_MAILBOX_BOUND);
  CHECK(taken() < 8 * b.len);
  mc_buf_fini(&b);
  mc_node_step(e.node, 1000);
  mc_node_stats(e.node, &stats);
  CHECK_INT(stats.mailbox, 0);
  close_node();
}

/* Casts beyond the credit that the sender was given end its link. */
static void casts(void) {
  mc_buf b;
  open_node();
  mc_envelope cast = {.kind = MC_ENV_CAST,
                      .instance = ECHO_ACTOR(0),
                      .type = e.type->hash,
                      .name = "wait",
                      .name_len = 4};
  for (int i = 0; i < MC_SECRET_SIZE; i++) cast.secret[i] = (uint8_t)i;
  mc_buf_init(&b, &e.keeper);
  size_t frame = mc__frame_open(&b);
  mc__envelope_write(&b, &cast);
  mc_write_array(&b, 0);
  mc__frame_close(&b, frame);
  for (int round = 0; round < 3; round++) { /* credit comes back */
    for (int i = 0; i < MC_CAST_WINDOW / 2; i++)
      CHECK(mc_node_deliver(e.node, peer, b.data, b.len));
    for (int i = 0; i < MC_CAST_WINDOW / 2; i++) mc_node_step(e.node, 1000);
  }
  int taken_in = 0;
  while (taken_in < 2 * MC_CAST_WINDOW && mc_node_deliver(e.node, peer, b.data, b.len))
    taken_in++;
  CHECK(taken_in <= MC_CAST_WINDOW && taken_in > MC_CAST_WINDOW / 2);
  CHECK(mc_peer_is_down(e.node, peer));
  for (int i = 0; i <= MC_CAST_WINDOW; i++) mc_node_step(e.node, 1000);
  mc_buf_fini(&b);
  close_node();
}

static const check_test tests[] = {
    {"hostile: 6 bytes that claim 2^31 elements are malformed and take no memory [F4]",
     six_bytes},
    {"hostile: so are counts and lengths of any kind beyond the bytes [F4]", claims},
    {"hostile: a frame that claims 256 MiB takes memory for what arrives [F4]",
     large_frame},
    {"hostile: 2 MB of openings of any kind are malformed [F4]", openings},
    {"hostile: depth 100 is read, 101 is refused by the name of the limit [F4]", depths},
    {"hostile: 1,000 envelopes, each prefix and each flipped bit: malformed or equal "
     "[F4]",
     thousand},
    {"hostile: a link cut anywhere holds what came and no more [F4]", cut_links},
    {"hostile: 20,000 calls of one actor fill its mailbox and no more [F4]", flood},
    {"hostile: casts without credit end the link [F4]", casts},
};

int main(void) { return CHECK_RUN(tests); }
