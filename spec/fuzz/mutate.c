/*
** A mutator that knows CBOR: it finds the items of an input and replaces, doubles, drops, swaps,
** wraps or bends one, besides what libFuzzer does to bytes. Frames get their lengths right again,
** but for now and then.
*/
#include "fuzz.h"
#include "generate.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b,
                                 size_t b_len, uint8_t *out, size_t max, unsigned seed);

enum { MAX_ITEMS = 512, MAX_MADE = 1 << 16 };

typedef struct span {
  size_t at, len;
} span;

static uint8_t made[MAX_MADE];

/* The size of the head at `at` and what it says; 0 when it is cut off. */
static size_t head_at(const uint8_t *d, size_t size, size_t at, unsigned *major,
                      uint64_t *v) {
  if (at >= size) return 0;
  unsigned info = d[at] & 31, width = info < 24 || info > 27 ? 0 : 1u << (info - 24);
  *major = d[at] >> 5;
  *v = info;
  if (size - at < 1 + width) return 0;
  if (width) *v = 0;
  for (unsigned i = 0; i < width; i++) *v = *v << 8 | d[at + 1 + i];
  return 1 + width;
}

/* Lists the items from `at` on, outer ones first; returns where the first one ends. */
static size_t list(const uint8_t *d, size_t size, size_t at, span *items, size_t *count,
                   int depth) {
  unsigned major;
  uint64_t v;
  size_t head = head_at(d, size, at, &major, &v), end = at + head;
  if (!head || depth > 200) return size;
  size_t mine = *count;
  if (mine == MAX_ITEMS) return size;
  items[(*count)++] = (span){at, head};
  if (major == 2 || major == 3) end = v > size - end ? size : end + (size_t)v;
  uint64_t inside = major == 4 ? v : major == 5 ? 2 * v : major == 6 ? 1 : 0;
  for (uint64_t i = 0; i < inside && end < size && *count < MAX_ITEMS; i++)
    end = list(d, size, end, items, count, depth + 1);
  items[mine].len = end - at;
  return end;
}

static size_t items_of(const uint8_t *d, size_t size, span *items) {
  size_t count = 0;
  for (size_t at = 0; at < size && count < MAX_ITEMS;) {
    size_t end = list(d, size, at, items, &count, 0);
    at = end > at ? end : at + 1;
  }
  return count;
}

/* Puts `len` bytes in place of a span; the new size, or the old one when there is no room. */
static size_t splice(uint8_t *d, size_t size, size_t max, span old, const uint8_t *bytes,
                     size_t len) {
  if (size - old.len + len > max) return size;
  memmove(d + old.at + len, d + old.at + old.len, size - old.at - old.len);
  if (len) memcpy(d + old.at, bytes, len);
  return size - old.len + len;
}

static size_t generate(gen *g, fuzz_shape shape) {
  g->data = made;
  g->cap = MAX_MADE;
  g->len = 0;
  g->full = false;
  if (shape == FUZZ_VALUE)
    gen_value(g, (int)gen_below(g, 14));
  else if (shape == FUZZ_ENVELOPE)
    gen_envelope(g, (unsigned)gen_below(g, GEN_KINDS));
  else
    gen_frame(g, (unsigned)gen_below(g, GEN_KINDS));
  return g->full ? 0 : g->len;
}

/* A head that says something else: a count that is off by one or huge, a longer form, another type. */
static size_t bend(gen *g, uint8_t *d, size_t size, size_t max, size_t at) {
  unsigned major;
  uint64_t v;
  uint8_t head[16];
  gen to = {.random = gen_random(g), .data = head, .cap = sizeof head};
  size_t len = head_at(d, size, at, &major, &v);
  if (!len) return size;
  switch (gen_below(g, 6)) {
  case 0: gen_head(&to, major, v + 1); break;
  case 1: gen_head(&to, major, v - 1); break;
  case 2: gen_head(&to, major, gen_edge(g)); break;
  case 3: gen_head_as(&to, major, v, 1u << gen_below(g, 4)); break;
  case 4:
    gen_put(&to, &(uint8_t){(uint8_t)(major << 5 | (28 + gen_below(g, 4)))}, 1);
    break;
  default: gen_head(&to, (unsigned)gen_below(g, 8), v);
  }
  return splice(d, size, max, (span){at, len}, head, to.len);
}

/* Puts an item into up to 130 arrays, or into a tag. */
static size_t wrap(gen *g, uint8_t *d, size_t size, size_t max, size_t at) {
  uint8_t heads[130];
  size_t count = gen_below(g, 3) ? 1 : 90 + gen_below(g, 40);
  if (count == 1 && gen_below(g, 2))
    return splice(d, size, max, (span){at, 0},
                  (const uint8_t *)"\xd8\x1b\x82\x68"
                                   "fuzz.box",
                  12);
  memset(heads, 0x81, sizeof heads);
  return splice(d, size, max, (span){at, 0}, heads, count);
}

static size_t mutate_items(gen *g, uint8_t *d, size_t size, size_t max,
                           fuzz_shape shape) {
  static span items[MAX_ITEMS];
  size_t count = items_of(d, size, items);
  if (!count || gen_below(g, 50) == 0) {
    size_t len = generate(g, shape);
    return splice(d, size, max, (span){0, size}, made, len);
  }
  span one = items[gen_below(g, count)], other = items[gen_below(g, count)];
  size_t len;
  switch (gen_below(g, 8)) {
  case 0:
  case 1: len = generate(g, FUZZ_VALUE); return splice(d, size, max, one, made, len);
  case 2: /* doubled */
    if (one.len > MAX_MADE) return size;
    memcpy(made, d + one.at, one.len);
    return splice(d, size, max, (span){one.at, 0}, made, one.len);
  case 3: return splice(d, size, max, one, NULL, 0);
  case 4: /* one in place of the other */
    if (one.len > MAX_MADE) return size;
    memcpy(made, d + one.at, one.len);
    return splice(d, size, max, other, made, one.len);
  case 5: return wrap(g, d, size, max, one.at);
  case 6: return one.at ? one.at : size;
  default: return bend(g, d, size, max, one.at);
  }
}

static size_t mutate(gen *g, uint8_t *d, size_t size, size_t max, fuzz_shape shape) {
  size_t len = gen_below(g, 5) < 2 ? LLVMFuzzerMutate(d, size, max)
                                   : mutate_items(g, d, size, max, shape);
  return len ? len : size;
}

/* ---- streams --------------------------------------------------------------------------------- */

static size_t frames_of(const uint8_t *d, size_t size, span *frames) {
  size_t count = 0;
  for (size_t at = FUZZ_CONTROL; at < size && count < MAX_ITEMS;) {
    size_t len = 5;
    if (size - at >= 5)
      len += (size_t)d[at + 1] << 24 | (size_t)d[at + 2] << 16 | (size_t)d[at + 3] << 8 |
             d[at + 4];
    if (len > size - at) len = size - at;
    frames[count++] = (span){at, len};
    at += len;
  }
  return count;
}

static void set_length(uint8_t *frame, size_t len) {
  frame[0] = 0x5a;
  for (int i = 0; i < 4; i++) frame[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

/* The inside of one frame, mutated; its length mostly right again. */
static size_t mutate_frame(gen *g, uint8_t *d, size_t size, size_t max, span frame) {
  static uint8_t inside[MAX_MADE];
  if (frame.len < 5 || frame.len > MAX_MADE) return size;
  memcpy(inside, d + frame.at, frame.len);
  size_t len = mutate(g, inside + 5, frame.len - 5, sizeof inside - 5, FUZZ_ENVELOPE);
  if (gen_below(g, 16)) set_length(inside, len);
  return splice(d, size, max, frame, inside, 5 + len);
}

static size_t mutate_stream(gen *g, uint8_t *d, size_t size, size_t max) {
  static span frames[MAX_ITEMS];
  static uint8_t copy[MAX_MADE];
  if (size < FUZZ_CONTROL) {
    if (max < FUZZ_CONTROL) return size;
    memset(d, 0, FUZZ_CONTROL);
    size = FUZZ_CONTROL;
  }
  if (gen_below(g, 8) == 0) d[gen_below(g, FUZZ_CONTROL)] = (uint8_t)gen_random(g);
  size_t count = frames_of(d, size, frames), len;
  span one = count ? frames[gen_below(g, count)] : (span){size, 0};
  span other = count ? frames[gen_below(g, count)] : one;
  switch (gen_below(g, 10)) {
  case 0: return LLVMFuzzerMutate(d, size, max);
  case 1:
  case 2:
    len = generate(g, FUZZ_STREAM);
    return splice(d, size, max, (span){one.at, 0}, made, len);
  case 3: return splice(d, size, max, one, NULL, 0);
  case 4:
    if (one.len > sizeof copy) return size;
    memcpy(copy, d + one.at, one.len);
    return splice(d, size, max, (span){other.at, 0}, copy, one.len);
  default: return mutate_frame(g, d, size, max, one);
  }
}

/* ---- what libFuzzer calls -------------------------------------------------------------------- */

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
  gen g = {.random = seed};
  size_t len = size;
  for (size_t times = 1 + gen_below(&g, 3); times > 0; times--)
    len = fuzz_input == FUZZ_STREAM ? mutate_stream(&g, data, len, max)
                                    : mutate(&g, data, len, max, fuzz_input);
  return len;
}

/* An item (or a frame) of one input in place of one of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b,
                                 size_t b_len, uint8_t *out, size_t max, unsigned seed) {
  static span from[MAX_ITEMS], to[MAX_ITEMS];
  gen g = {.random = seed};
  bool stream = fuzz_input == FUZZ_STREAM;
  if (a_len > max) a_len = max;
  memcpy(out, a, a_len);
  if (stream && (a_len < FUZZ_CONTROL || b_len < FUZZ_CONTROL)) return a_len;
  size_t count = stream ? frames_of(out, a_len, to) : items_of(out, a_len, to);
  size_t offered = stream ? frames_of(b, b_len, from) : items_of(b, b_len, from);
  if (!count || !offered) return a_len;
  span one = to[gen_below(&g, count)], other = from[gen_below(&g, offered)];
  if (gen_below(&g, 2)) one.len = 0; /* in front of it */
  return splice(out, a_len, max, one, b + other.at, other.len);
}
