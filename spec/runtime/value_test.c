/* runtime/value.c: the writer, the pull reader, and both against the golden vectors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "node.h"
#include "vectors/values.h"
#include "world.h"

#define EACH(list, v) \
  (const vector *v = (list); v < (list) + sizeof(list) / sizeof *(list); v++)

static check_heap heap;
static const mc_host host = {.ud = &heap, .alloc = check_alloc};

/* ---- what a language builds of the items, with the rules that are its own -------------------- */

typedef struct copier {
  mc_reader *r;
  mc_buf *out;
  mc_node *n;
} copier;

static bool copy_value(copier *c, int depth);

static bool copy_string(copier *c, const mc_item *item) {
  if (item->kind == MC_TEXT)
    mc__write_text(c->out, item->as.string.data, item->as.string.len);
  else
    mc_write_bytes(c->out, item->as.string.data, item->as.string.len);
  return true;
}

static bool copy_ref(copier *c) {
  mc_address to;
  mc_type *type;
  if (!mc_read_ref(c->r, c->n, &to, &type)) return false;
  mc_write_ref(c->out, c->n, &to, type);
  return true;
}

static bool copy_array(copier *c, size_t count, int depth) {
  mc_write_array(c->out, count);
  for (size_t i = 0; i < count; i++)
    if (!copy_value(c, depth + 1)) return false;
  return true;
}

static bool next_is(mc_reader ahead, mc_kind kind) {
  mc_item item;
  return mc_read(&ahead, &item) && item.kind == kind;
}

static bool usable_key(mc_reader ahead) {
  mc_item key;
  if (!mc_read(&ahead, &key)) return false;
  if (key.kind == MC_FLOAT)
    return isinf(key.as.number) ||
           (!isnan(key.as.number) && key.as.number != floor(key.as.number));
  return key.kind != MC_NIL && key.kind != MC_ARRAY && key.kind != MC_MAP &&
         key.kind != MC_BUFFER;
}

static bool same_key(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
  if (a_len != b_len) return false;
  bool strings = (*a >> 5 == 2 || *a >> 5 == 3) && (*b >> 5 == 2 || *b >> 5 == 3);
  return (strings ? (*a & 31) == (*b & 31) : *a == *b) &&
         memcmp(a + 1, b + 1, a_len - 1) == 0;
}

static bool copy_map(copier *c, size_t count, int depth) {
  const uint8_t *key[32];
  size_t len[32];
  if (count > 32) return false;
  mc_write_map(c->out, count);
  for (size_t i = 0; i < count; i++) {
    key[i] = c->r->at;
    if (!usable_key(*c->r) || !copy_value(c, depth + 1)) return false;
    len[i] = (size_t)(c->r->at - key[i]);
    for (size_t j = 0; j < i; j++)
      if (same_key(key[i], len[i], key[j], len[j])) return false;
    if (next_is(*c->r, MC_NIL) || !copy_value(c, depth + 1)) return false;
  }
  return true;
}

static bool copy_registered(copier *c, int depth) {
  mc_item name;
  if (!mc_read(c->r, &name) || name.kind != MC_TEXT) return false;
  if (name.as.string.len != 8 || memcmp(name.as.string.data, "mc.Error", 8) != 0)
    return false;
  mc_write_registered(c->out);
  mc__write_text(c->out, name.as.string.data, name.as.string.len);
  return copy_value(c, depth + 1);
}

static bool copy_value(copier *c, int depth) {
  mc_item item;
  if (!mc_read(c->r, &item)) return false;
  if (item.kind >= MC_ARRAY && item.kind != MC_REF && item.kind < MC_BUFFER &&
      depth >= MC_MAX_DEPTH)
    return false;
  switch (item.kind) {
  case MC_NIL: mc_write_nil(c->out); return true;
  case MC_BOOL: mc_write_bool(c->out, item.as.boolean); return true;
  case MC_INT: mc_write_int(c->out, item.as.integer); return true;
  case MC_FLOAT: mc_write_float(c->out, item.as.number); return true;
  case MC_TEXT:
  case MC_BYTES: return copy_string(c, &item);
  case MC_ARRAY: return copy_array(c, item.as.count, depth);
  case MC_MAP: return copy_map(c, item.as.count, depth);
  case MC_BUFFER:
    mc_write_buffer(c->out, item.as.string.data, item.as.string.len);
    return true;
  case MC_PARCEL: return false; /* of another process */
  case MC_REF: return copy_ref(c);
  case MC_REGISTERED: return copy_registered(c, depth);
  }
  return false;
}

/* Reads one value and writes it again. False: it is refused. */
static bool copy(mc_node *n, const uint8_t *bytes, size_t len, mc_buf *out) {
  mc_reader r;
  uint8_t *exact =
      malloc(len ? len : 1); /* so that the sanitizer sees a read beyond them */
  memcpy(exact, bytes, len);
  mc_reader_init(&r, exact, len);
  copier c = {&r, out, n};
  bool good = copy_value(&c, 0) && !out->failed && r.at == r.end;
  free(exact);
  return good;
}

static void golden_valid(void) {
  world *w = world_new(1, 0);
  for
    EACH(valid, v) {
      mc_buf out;
      uint8_t bytes[512];
      check_about("%s", v->name);
      size_t len = check_unhex(v->hex, bytes);
      mc_buf_init(&out, &host);
      CHECK(copy(w->node[0].n, bytes, len, &out));
      CHECK_HEX(out.data, out.len, v->hex);
      mc_buf_fini(&out);
    }
  world_free(w);
}

static void golden_malformed(void) {
  world *w = world_new(1, 0);
  for
    EACH(malformed, v) {
      mc_buf out;
      uint8_t bytes[512];
      check_about("%s", v->name);
      size_t len = check_unhex(v->hex, bytes);
      mc_buf_init(&out, &host);
      CHECK(!copy(w->node[0].n, bytes, len, &out));
      mc_buf_fini(&out);
    }
  world_free(w);
}

/* Refused, or the same bytes again. */
static void refused_or_same(mc_node *n, const uint8_t *bytes, size_t len) {
  mc_buf out;
  mc_buf_init(&out, &host);
  if (copy(n, bytes, len, &out))
    CHECK(out.len == len && memcmp(out.data, bytes, len) == 0);
  mc_buf_fini(&out);
}

static void damaged(void) {
  world *w = world_new(1, 0);
  for
    EACH(valid, v) {
      uint8_t bytes[512];
      check_about("%s", v->name);
      size_t len = check_unhex(v->hex, bytes);
      for (size_t i = 0; i < len; i++) {
        mc_buf out;
        mc_buf_init(&out, &host);
        CHECK(!copy(w->node[0].n, bytes, i, &out));
        mc_buf_fini(&out);
      }
      for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused_or_same(w->node[0].n, bytes, len);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
      }
    }
  world_free(w);
}

/* ---- writer ---------------------------------------------------------------------------------- */

static mc_buf written;

static void again(void) {
  mc_buf_fini(&written);
  mc_buf_init(&written, &host);
}

static void shortest_forms(void) {
  static const struct {
    int64_t v;
    const char *hex;
  } cases[] = {
      {0, "00"},
      {23, "17"},
      {24, "1818"},
      {255, "18ff"},
      {256, "190100"},
      {65535, "19ffff"},
      {65536, "1a00010000"},
      {4294967295, "1affffffff"},
      {4294967296, "1b0000000100000000"},
      {INT64_MAX, "1b7fffffffffffffff"},
      {-1, "20"},
      {-24, "37"},
      {-25, "3818"},
      {-256, "38ff"},
      {-257, "390100"},
      {-65536, "39ffff"},
      {-65537, "3a00010000"},
      {INT64_MIN, "3b7fffffffffffffff"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    again();
    mc_write_int(&written, cases[i].v);
    CHECK_HEX(written.data, written.len, cases[i].hex);
  }
  again();
  mc_write_array(&written, 24);
  mc_write_map(&written, 23);
  CHECK_HEX(written.data, written.len, "9818b7");
  mc_buf_fini(&written);
}

static void one_nan(void) {
  static const uint64_t nans[] = {0x7ff8000000000000, 0xfff8000000000000,
                                  0x7ff0000000000001, 0x7fffffffffffffff};
  for (size_t i = 0; i < 4; i++) {
    double v;
    memcpy(&v, &nans[i], sizeof v);
    again();
    mc_write_float(&written, v);
    CHECK_HEX(written.data, written.len, "fb7ff8000000000000");
  }
  again();
  mc_write_float(&written, -0.0);
  CHECK_HEX(written.data, written.len, "fb8000000000000000");
  mc_buf_fini(&written);
}

static void text_or_bytes(void) {
  again();
  mc_write_string(&written, "\xc3\xa9", 2);
  mc_write_string(&written, "\xc3", 1);
  mc_write_string(&written, "12345678\xff", 9);
  CHECK_HEX(written.data, written.len, "62c3a941c3493132333435363738ff");
  mc_buf_fini(&written);
}

/* Every sequence of up to three bytes against a decoder that is written differently. */
static int slow_utf8(const uint8_t *s, size_t len) {
  for (size_t i = 0; i < len;) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int more = s[i] < 0x80       ? 1
               : s[i] >> 5 == 6  ? 2
               : s[i] >> 4 == 14 ? 3
               : s[i] >> 3 == 30 ? 4
                                 : 0;
    if (!more || i + (size_t)more > len) return 0;
    uint32_t c = more == 1 ? s[i] : s[i] & (0x7fu >> more);
    for (int j = 1; j < more; j++) {
      if (s[i + (size_t)j] >> 6 != 2) return 0;
      c = c << 6 | (s[i + (size_t)j] & 63);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    i += (size_t)more;
  }
  return 1;
}

static void utf8(void) {
  int wrong = 0;
  for (uint32_t x = 0; x < 1u << 24; x++) {
    uint8_t s[4] = {(uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x, 0x80};
    wrong += mc_utf8_valid((char *)s, 3) != slow_utf8(s, 3);
    if (s[0] >= 0xf0) wrong += mc_utf8_valid((char *)s, 4) != slow_utf8(s, 4);
  }
  CHECK_INT(wrong, 0);
  CHECK(mc_utf8_valid("", 0));
  CHECK(!mc_utf8_valid("12345678\xc3", 9));
}

/* ---- reader ---------------------------------------------------------------------------------- */

static void sticky(void) {
  mc_reader r;
  mc_item item;
  mc_reader_init(&r, "\x18\x17\x00", 3);
  CHECK(!mc_read(&r, &item));
  const char *why = r.malformed;
  CHECK(why != NULL);
  CHECK(!mc_read(&r, &item));
  CHECK(!mc_read_fail(&r, "another reason"));
  CHECK(r.malformed == why);
}

static void never_ahead(void) {
  static const char *const heads[] = {
      "9a7fffffff",         "ba7fffffff", "9bffffffffffffffff",
      "bbffffffffffffffff", "5a7fffffff", "7bffffffffffffffff",
      "9affffffff",         "8200",       "a100"};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    uint8_t bytes[16];
    mc_reader r;
    mc_item item;
    mc_reader_init(&r, bytes, check_unhex(heads[i], bytes));
    CHECK(!mc_read(&r, &item));
    CHECK(r.malformed != NULL);
  }
}

static void presize(void) {
  mc_reader r;
  mc_reader_init(&r, "0123456789", 10);
  CHECK_INT(mc_read_presize(&r, 4), 4);
  CHECK_INT(mc_read_presize(&r, 100), 6);
  CHECK_INT(mc_read_presize(&r, 1), 0);
}

static void no_memory(void) {
  again();
  heap.fail_at = heap.calls + 1;
  mc_write_int(&written, 1);
  CHECK(written.failed);
  mc_write_int(&written, 2);
  CHECK(written.failed);
  CHECK_INT(written.len, 0);
  heap.fail_at = 0;
  again();
  for (int i = 0; i < 300; i++) mc_write_nil(&written);
  heap.fail_at = heap.calls + 1;
  uint8_t *before = written.data;
  CHECK(mc_buf_room(&written, SIZE_MAX / 2) == NULL);
  CHECK(written.data == before && written.failed);
  heap.fail_at = 0;
  mc_buf_fini(&written);
  CHECK(!mc_buf_room(&written, SIZE_MAX));
  mc_buf_fini(&written);
  CHECK_INT(heap.live, 0);
}

static const check_test tests[] = {
    {"value: the golden vectors are read and written again, byte for byte [C5]",
     golden_valid},
    {"value: every malformed vector is refused [F4]", golden_malformed},
    {"value: each prefix is refused, each flipped bit is refused or a value [F4]",
     damaged},
    {"value: heads are the shortest possible", shortest_forms},
    {"value: there is one NaN, and a negative zero", one_nan},
    {"value: a string is text when it is valid UTF-8, else bytes", text_or_bytes},
    {"value: UTF-8 as a slow decoder has it, for all of three bytes", utf8},
    {"value: the first failure stays", sticky},
    {"value: no count or length exceeds the bytes that are there [F4]", never_ahead},
    {"value: slots are granted up to the number of bytes", presize},
    {"value: without memory the buffer stays as it was, and failed", no_memory},
};

int main(void) { return CHECK_RUN(tests); }
