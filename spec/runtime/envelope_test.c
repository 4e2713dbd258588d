/* runtime/envelope.c: headers of all kinds, frames, and both against the golden vectors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "vectors/envelopes.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static check_heap heap;
static const mc_host host = {.ud = &heap, .alloc = check_alloc};

static uint32_t hash_of(const char *name) {
  uint32_t h = 2166136261u;
  for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
  return h;
}

static uint64_t or_zero(int64_t v) { return v < 0 ? 0 : (uint64_t)v; }

static mc_envelope envelope_of(const vector *v) {
  mc_envelope e = {.kind = (mc_envelope_kind)v->kind,
                   .call = or_zero(v->call),
                   .instance = or_zero(v->instance),
                   .trace = or_zero(v->trace),
                   .count = or_zero(v->count),
                   .incarnation = or_zero(v->incarnation),
                   .version = or_zero(v->version),
                   .code = or_zero(v->code_number),
                   .probe = or_zero(v->probe),
                   .chain_len = v->chain_len};
  e.name = v->node ? v->node : v->cycle ? v->cycle : v->method;
  if (e.name) e.name_len = strlen(e.name);
  static uint8_t context[64];
  if (v->context) e.context_len = check_unhex(v->context, context);
  e.context = context;
  if (v->secret) check_unhex(v->secret, e.secret);
  if (v->type) e.type = hash_of(v->type);
  e.remaining_ms = v->remaining < 0 ? INFINITY : (double)v->remaining;
  e.chain = v->chain;
  return e;
}

static const char *payload_of(const vector *v, int i) {
  if (v->value) return i == 0 ? v->value : i == 1 ? v->traceback : NULL;
  return i > 0 ? NULL : v->arguments ? v->arguments : v->results;
}

static void put_payload(mc_buf *b, const vector *v) {
  uint8_t bytes[64];
  const char *hex;
  for (int i = 0; (hex = payload_of(v, i)); i++)
    mc_buf_put(b, bytes, check_unhex(hex, bytes));
}

static void golden_write(void) {
  for (size_t i = 0; i < COUNT(valid); i++) {
    mc_buf b;
    mc_envelope e = envelope_of(&valid[i]);
    check_about("%s", valid[i].name);
    mc_buf_init(&b, &host);
    mc__envelope_write(&b, &e);
    put_payload(&b, &valid[i]);
    CHECK_HEX(b.data, b.len, valid[i].hex);
    mc_buf_fini(&b);
  }
  CHECK_INT(heap.live, 0);
}

static void same_text(const char *a, size_t a_len, const char *b) {
  CHECK(b ? a_len == strlen(b) && memcmp(a, b, a_len) == 0 : a_len == 0);
}

static void golden_read(void) {
  unsigned kinds = 0;
  for (size_t i = 0; i < COUNT(valid); i++) {
    uint8_t bytes[512];
    mc_reader r;
    uint64_t chain[MC_MAX_CHAIN];
    mc_envelope e, x = envelope_of(&valid[i]);
    check_about("%s", valid[i].name);
    mc_reader_init(&r, bytes, check_unhex(valid[i].hex, bytes));
    if (!CHECK(mc__envelope_read(&r, &e, chain))) continue;
    kinds |= 1u << e.kind;
    CHECK(e.kind == x.kind && e.call == x.call && e.instance == x.instance &&
          e.trace == x.trace);
    CHECK(e.count == x.count && e.incarnation == x.incarnation && e.version == x.version);
    CHECK(e.code == x.code && e.probe == x.probe && e.type == x.type &&
          e.chain_len == x.chain_len);
    CHECK(e.remaining_ms == x.remaining_ms);
    CHECK(e.context_len == x.context_len &&
          (!e.context_len || memcmp(e.context, x.context, e.context_len) == 0));
    CHECK(memcmp(e.secret, x.secret, sizeof e.secret) == 0);
    CHECK(memcmp(e.chain, x.chain, sizeof *e.chain * (size_t)e.chain_len) == 0);
    same_text(e.name, e.name_len, x.name);
    mc_buf b;
    mc_buf_init(&b, &host);
    put_payload(&b, &valid[i]);
    CHECK_INT(r.end - r.at, b.len);
    CHECK(b.len == 0 || memcmp(r.at, b.data, b.len) == 0);
    mc_buf_fini(&b);
  }
  CHECK_INT(kinds, (1u << (MC_ENV_PROBE + 1)) - 1);
}

static void golden_malformed(void) {
  for (size_t i = 0; i < COUNT(malformed); i++) {
    uint8_t bytes[512];
    mc_reader r;
    mc_envelope e;
    uint64_t chain[MC_MAX_CHAIN];
    check_about("%s", malformed[i].name);
    mc_reader_init(&r, bytes, check_unhex(malformed[i].hex, bytes));
    CHECK(!mc__envelope_read(&r, &e, chain));
    CHECK(r.malformed != NULL);
  }
}

/* Reads a header and writes it again with what stands behind it: the same bytes, or it is refused. */
static bool read_and_write(const uint8_t *bytes, size_t len) {
  mc_reader r;
  mc_envelope e;
  uint64_t chain[MC_MAX_CHAIN];
  mc_buf b;
  uint8_t *exact = malloc(len ? len : 1);
  memcpy(exact, bytes, len);
  mc_reader_init(&r, exact, len);
  bool good = mc__envelope_read(&r, &e, chain);
  if (good) {
    mc_buf_init(&b, &host);
    mc__envelope_write(&b, &e);
    mc_buf_put(&b, r.at, (size_t)(r.end - r.at));
    CHECK(b.len == len && memcmp(b.data, exact, len) == 0);
    mc_buf_fini(&b);
  }
  free(exact);
  return good;
}

static void damaged(void) {
  for (size_t i = 0; i < COUNT(valid); i++) {
    uint8_t bytes[512];
    size_t len = check_unhex(valid[i].hex, bytes);
    mc_reader r;
    mc_envelope e;
    uint64_t chain[MC_MAX_CHAIN];
    check_about("%s", valid[i].name);
    mc_reader_init(&r, bytes, len);
    mc__envelope_read(&r, &e, chain);
    size_t header = (size_t)(r.at - bytes);
    for (size_t cut = 0; cut < header; cut++) CHECK(!read_and_write(bytes, cut));
    for (size_t bit = 0; bit < 8 * len; bit++) {
      bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
      read_and_write(bytes, len);
      bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
  }
}

/* The context is as large as it may be, and one byte larger. */
static void context_bound(void) {
  static uint8_t bytes[MC_MAX_CONTEXT + 1];
  for (int kind = MC_ENV_CALL; kind <= MC_ENV_CAST; kind++)
    for (size_t over = 0; over < 2; over++) {
      mc_buf b;
      mc_reader r;
      uint64_t chain[MC_MAX_CHAIN];
      mc_envelope e = {.kind = (mc_envelope_kind)kind,
                       .name = "f",
                       .name_len = 1,
                       .remaining_ms = INFINITY,
                       .context = bytes,
                       .context_len = MC_MAX_CONTEXT + over};
      mc_buf_init(&b, &host);
      mc__envelope_write(&b, &e);
      mc_reader_init(&r, b.data, b.len);
      CHECK(mc__envelope_read(&r, &e, chain) == !over);
      CHECK(over ? r.malformed != NULL
                 : e.context_len == MC_MAX_CONTEXT && r.at == r.end);
      mc_buf_fini(&b);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void frame_length(void) {
  mc_buf b;
  mc_buf_init(&b, &host);
  mc_buf_put(&b, "x", 1);
  size_t frame = mc__frame_open(&b);
  mc_write_nil(&b);
  CHECK(mc__frame_close(&b, frame));
  CHECK_HEX(b.data, b.len, "785a00000001f6");
  mc_buf_fini(&b);
}

static void frame_without_memory(void) {
  mc_buf b;
  mc_buf_init(&b, &host);
  for (int i = 0; i < 254; i++) mc_buf_put(&b, "x", 1);
  heap.fail_at = heap.calls + 1;
  size_t frame = mc__frame_open(&b);
  mc_write_nil(&b);
  CHECK(!mc__frame_close(&b, frame));
  CHECK_INT(b.len, 254);
  CHECK(!b.failed);
  heap.fail_at = 0;
  mc_buf_fini(&b);
}

static void frame_too_large(void) {
  mc_buf b;
  mc_buf_init(&b, &host);
  size_t frame = mc__frame_open(&b);
  if (mc_buf_room(&b, MC_MAX_FRAME + 1)) b.len += MC_MAX_FRAME + 1;
  CHECK(!mc__frame_close(&b, frame));
  CHECK_INT(b.len, 0);
  frame = mc__frame_open(&b);
  b.len += MC_MAX_FRAME;
  CHECK(mc__frame_close(&b, frame));
  CHECK_HEX(b.data, 5, "5a10000000");
  mc_buf_fini(&b);
  CHECK_INT(heap.live, 0);
}

static const check_test tests[] = {
    {"envelope: headers are written as the golden vectors have them [C5]", golden_write},
    {"envelope: golden vectors of every kind are read field by field [C5]", golden_read},
    {"envelope: every malformed vector is refused [C5]", golden_malformed},
    {"envelope: each prefix is refused, each flipped bit is refused or an envelope",
     damaged},
    {"envelope: a context has 4096 bytes and no more [F4]", context_bound},
    {"envelope: a frame's head has its length in 32 bits", frame_length},
    {"envelope: a frame for which there is no memory is cut off", frame_without_memory},
    {"envelope: a frame may have 256 MiB and no more [F4]", frame_too_large},
};

int main(void) { return CHECK_RUN(tests); }
