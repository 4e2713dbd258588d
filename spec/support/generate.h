/*
** Values and envelopes as envelope.cddl has them, made from random numbers. An encoder of its own,
** so that what it makes tests the core's. Everything it writes is valid: no key comes twice (each map
** has keys of one kind, counted up), depth stays below MC_MAX_DEPTH.
*/
#ifndef MC_GENERATE_H
#define MC_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is written; `full` is set when it did not fit, and stays set. */
typedef struct gen {
  uint64_t random;
  uint8_t *data;
  size_t len, cap;
  bool full;
} gen;

static inline uint64_t gen_random(gen *g) {
  uint64_t x = g->random += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static inline size_t gen_below(gen *g, size_t n) { return (size_t)(gen_random(g) % n); }

static inline void gen_put(gen *g, const void *bytes, size_t len) {
  if (g->full || g->cap - g->len < len) {
    g->full = true;
    return;
  }
  if (len) memcpy(g->data + g->len, bytes, len);
  g->len += len;
}

/* A head of `width` bytes behind the first: 0, 1, 2, 4 or 8. */
static inline void gen_head_as(gen *g, unsigned major, uint64_t v, unsigned width) {
  uint8_t head[9];
  unsigned info = width == 0   ? (unsigned)v
                  : width == 1 ? 24
                  : width == 2 ? 25
                  : width == 4 ? 26
                               : 27;
  head[0] = (uint8_t)(major << 5 | info);
  for (unsigned i = 0; i < width; i++)
    head[1 + i] = (uint8_t)(v >> (8 * (width - 1 - i)));
  gen_put(g, head, 1 + width);
}

static inline void gen_head(gen *g, unsigned major, uint64_t v) {
  gen_head_as(g, major, v, v < 24 ? 0 : v < 256 ? 1 : v < 65536 ? 2 : v >> 32 ? 8 : 4);
}

static inline void gen_text(gen *g, const char *s) {
  gen_head(g, 3, strlen(s));
  gen_put(g, s, strlen(s));
}

static const char *const GEN_NAMES[] = {
    "w1",       "w2",       "a",       "mc.node",
    "mc.Error", "fuzz.box", "os",      "_G",
    "inc",      "wait",     "fail",    "Counter",
    "",         "code",     "message", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82"};

static inline const char *gen_name(gen *g) {
  const char *s = GEN_NAMES[gen_below(g, sizeof GEN_NAMES / sizeof *GEN_NAMES)];
  return *s ? s : "x";
}

/* A number near where heads and limits change. */
static inline uint64_t gen_edge(gen *g) {
  unsigned bits = (unsigned)gen_below(g, 64);
  uint64_t v = (uint64_t)1 << bits;
  switch (gen_below(g, 4)) {
  case 0: return v - 1;
  case 1: return v;
  case 2: return gen_random(g) & (v - 1);
  default: return gen_below(g, 30);
  }
}

static inline uint64_t gen_id(gen *g) { return gen_edge(g) & (((uint64_t)1 << 53) - 1); }

static inline void gen_int(gen *g) {
  gen_head(g, (unsigned)gen_below(g, 2), gen_edge(g) & INT64_MAX);
}

static inline void gen_float(gen *g) {
  static const uint64_t edges[] = {0,
                                   0x8000000000000000u,
                                   0x7ff8000000000000u,
                                   0x7ff0000000000000u,
                                   0xfff0000000000000u,
                                   1,
                                   0x3ff0000000000000u,
                                   0x43e0000000000000u};
  uint64_t bits = gen_below(g, 2) ? edges[gen_below(g, 8)] : gen_random(g);
  if ((bits & 0x7ff0000000000000u) == 0x7ff0000000000000u && bits << 12) bits = edges[2];
  gen_head_as(g, 7, bits, 8);
}

static inline void gen_string(gen *g) {
  static const uint8_t not_text[] = {0xff, 0xfe, 0, 1, 0xc0, 0x80};
  size_t len = gen_below(g, 4) ? gen_below(g, 6) : gen_below(g, 300);
  if (gen_below(g, 4)) {
    gen_text(g, GEN_NAMES[gen_below(g, sizeof GEN_NAMES / sizeof *GEN_NAMES)]);
  } else if (gen_below(g, 2)) {
    gen_head(g, 2, len < 6 ? len : 6);
    gen_put(g, not_text, len < 6 ? len : 6);
  } else {
    gen_head(g, 3, len);
    for (size_t i = 0; i < len; i++) gen_put(g, "a", 1);
  }
}

static inline void gen_secret(gen *g) {
  static const uint8_t known[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  uint8_t secret[16];
  memcpy(secret, known, sizeof secret);
  if (gen_below(g, 8) == 0) secret[gen_below(g, 16)] ^= (uint8_t)(1 + gen_below(g, 255));
  gen_head(g, 2, 16);
  gen_put(g, secret, 16);
}

static inline void gen_ref(gen *g) {
  gen_head(g, 6, 39);
  gen_head(g, 4, 5);
  gen_text(g, gen_name(g));
  gen_head(g, 0, gen_id(g));
  gen_head(g, 0, gen_below(g, 2) ? 1 : gen_id(g));
  gen_secret(g);
  gen_text(g, gen_name(g));
}

/* The i-th key of its kind, each once. */
static inline void gen_key(gen *g, unsigned kind, size_t i) {
  char text[3] = {(char)('a' + i % 26), (char)('a' + i / 26 % 26), '\0'};
  double number = (double)i + 0.5;
  uint64_t bits;
  switch (kind) {
  case 0: gen_text(g, text); break;
  case 1: gen_head(g, 0, i * i * i); break;
  case 2: gen_head(g, 1, i << 20); break;
  case 3:
    memcpy(&bits, &number, sizeof bits);
    gen_head_as(g, 7, bits, 8);
    break;
  default:
    gen_head(g, 2, 3);
    gen_put(g, "\xff", 1);
    gen_put(g, text, 2);
  }
}

static inline void gen_value(gen *g, int depth);

static inline void gen_container(gen *g, int depth) {
  size_t count = gen_below(g, 8) ? gen_below(g, 5) : gen_below(g, 30);
  unsigned kind = (unsigned)gen_below(g, 5);
  switch (gen_below(g, 5)) {
  case 0:
  case 1:
    gen_head(g, 4, count);
    for (size_t i = 0; i < count; i++) gen_value(g, depth + 1);
    break;
  case 2:
  case 3:
    gen_head(g, 5, count);
    for (size_t i = 0; i < count; i++) {
      size_t before = g->len;
      gen_key(g, kind, i);
      size_t value = g->len;
      gen_value(g, depth + 1);
      /* a map has no nil values */
      if (!g->full && g->data[value] == 0xf6) g->data[value] = 0xf5;
      (void)before;
    }
    break;
  default:
    gen_head(g, 6, 27);
    gen_head(g, 4, 2);
    gen_text(g, "fuzz.box");
    gen_value(g, depth + 1);
  }
}

static inline void gen_value(gen *g, int depth) {
  switch (gen_below(g, depth > 12 ? 6 : 9)) {
  case 0:
    gen_put(g, gen_below(g, 2) ? "\xf6" : gen_below(g, 2) ? "\xf4" : "\xf5", 1);
    break;
  case 1:
  case 2: gen_int(g); break;
  case 3: gen_float(g); break;
  case 4: gen_string(g); break;
  case 5: gen_ref(g); break;
  default: gen_container(g, depth);
  }
}

/* FNV-1a, as in the header of calls. */
static inline uint32_t gen_hash(const char *name) {
  uint32_t h = 2166136261u;
  for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
  return h;
}

static inline void gen_values(gen *g) {
  size_t count = gen_below(g, 4);
  gen_head(g, 4, count);
  for (size_t i = 0; i < count; i++) gen_value(g, 0);
}

static inline void gen_id_or_nil(gen *g) {
  if (gen_below(g, 2))
    gen_put(g, "\xf6", 1);
  else
    gen_head(g, 0, 1 + gen_id(g) / 2);
}

/* Instances 1 to 4 are there; ids of slot and generation, as actors and calls have them. */
static inline uint64_t gen_instance(gen *g) {
  return gen_below(g, 8)   ? ((uint64_t)1 << 22) + gen_below(g, 4)
         : gen_below(g, 2) ? 1
                           : gen_id(g);
}

static inline void gen_recipient(gen *g) {
  gen_head(g, 0, gen_instance(g));
  gen_secret(g);
  gen_head(g, 0, gen_hash(gen_below(g, 8) ? "Counter" : gen_name(g)));
  gen_text(g, gen_name(g));
}

static inline void gen_context(gen *g) {
  if (gen_below(g, 3)) {
    gen_put(g, "\xf6", 1);
    return;
  }
  static const uint8_t map[] = {0x45, 0xa1, 0x61, 'k', 0x18, 99};
  gen_put(g, map, sizeof map);
}

enum { GEN_KINDS = 9 };

/* An envelope of one kind, without its frame. */
static inline void gen_envelope(gen *g, unsigned kind) {
  static const uint8_t fields[GEN_KINDS] = {4, 11, 8, 3, 5, 4, 3, 4, 9};
  gen_head(g, 4, fields[kind]);
  gen_head(g, 0, kind);
  switch (kind) {
  case 0:
    gen_head(g, 0, gen_below(g, 8) ? 1 : gen_below(g, 100));
    gen_text(g, gen_below(g, 8) ? "peer" : gen_name(g));
    gen_head(g, 0, gen_below(g, 8) ? 7 : gen_id(g));
    break;
  case 1: {
    size_t chain = gen_below(g, 8) ? gen_below(g, 4) : gen_below(g, 33);
    gen_head(g, 0, gen_below(g, 2) ? gen_below(g, 30) : 1 + gen_id(g) / 2);
    gen_recipient(g);
    gen_id_or_nil(g);
    gen_id_or_nil(g);
    gen_head(g, 4, chain);
    for (size_t i = 0; i < chain; i++) gen_head(g, 0, gen_id(g));
    gen_context(g);
    gen_values(g);
    break;
  }
  case 2:
    gen_recipient(g);
    gen_id_or_nil(g);
    gen_context(g);
    gen_values(g);
    break;
  case 3:
    gen_head(g, 0, gen_instance(g));
    gen_values(g);
    break;
  case 4:
    gen_head(g, 0, gen_instance(g));
    gen_head(g, 0, gen_below(g, 2) ? 0 : gen_below(g, 40));
    gen_value(g, 0);
    gen_put(g, "\xf6", 1);
    break;
  case 5:
  case 7:
    gen_head(g, 0, kind == 7 ? gen_below(g, 30) : 1 + gen_id(g) / 2);
    gen_head(g, 0, gen_instance(g));
    gen_secret(g);
    break;
  case 8:
    gen_head(g, 0, gen_id(g));
    gen_head(g, 0, gen_id(g));
    gen_head(g, 0, gen_below(g, 40));
    gen_head(g, 0, gen_below(g, 30));
    gen_head(g, 0, gen_instance(g));
    gen_secret(g);
    gen_text(g, gen_name(g));
    break;
  default: gen_head(g, 0, gen_instance(g)); gen_head(g, 0, gen_below(g, 2000));
  }
}

/* An envelope in its frame. */
static inline void gen_frame(gen *g, unsigned kind) {
  size_t frame = g->len;
  gen_put(g, "\x5a\0\0\0", 5);
  gen_envelope(g, kind);
  if (g->full) return;
  size_t len = g->len - frame - 5;
  for (int i = 0; i < 4; i++) g->data[frame + 1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

#endif
