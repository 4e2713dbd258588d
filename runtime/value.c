/*
** Values as CBOR (RFC 8949), the part of envelope.cddl below `value`: a writer into a growable
** buffer and a pull reader over bytes that nobody vouches for.
**
** One value has one encoding: heads are the shortest possible, lengths definite, floats 64 bits,
** NaN has one form. The reader refuses all else, so decode followed by encode is the identity.
** Nesting and duplicates are the business of whoever builds the values, because only the builder
** knows them; the reader guarantees that no count exceeds the bytes that are there.
*/
#include "node.h"

#include <math.h>
#include <string.h>

/* CBOR's major types, and the tags in use */
enum {
  UINT = 0,
  NEGATIVE = 1,
  BYTES = 2,
  TEXT = 3,
  ARRAY = 4,
  MAP = 5,
  TAG = 6,
  SIMPLE = 7
};
enum { TAG_REGISTERED = 27, TAG_PARCEL = 37, TAG_REF = 39, TAG_BUFFER = 64 };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22, SIMPLE_DOUBLE = 27 };
static const uint64_t CANONICAL_NAN = 0x7ff8000000000000u;

/* ---- buffer ---------------------------------------------------------------------------------- */

void mc_buf_init(mc_buf *b, const mc_host *host) {
  memset(b, 0, sizeof *b);
  b->host = host;
}

void mc_buf_fini(mc_buf *b) {
  if (b->data) b->host->alloc(b->host->ud, b->data, b->cap, 0);
  mc_buf_init(b, b->host);
}

/* Twice as large as it was, or as large as it has to be; no larger than `most` if that is enough. */
uint8_t *mc__buf_room(mc_buf *b, size_t more, size_t most) {
  if (b->failed) return NULL;
  if (b->cap - b->len >= more) return b->data + b->len;
  if (more > SIZE_MAX / 4 || b->cap > SIZE_MAX / 4) return b->failed = true, NULL;
  size_t need = b->len + more, cap = b->cap * MC_GROWTH;
  if (cap < (size_t)MC_FIRST_BYTES) cap = MC_FIRST_BYTES;
  if (cap > most) cap = most;
  if (cap < need) cap = need;
  uint8_t *data = b->host->alloc(b->host->ud, b->data, b->cap, cap);
  if (!data) return b->failed = true, NULL;
  b->data = data;
  b->cap = cap;
  return data + b->len;
}

uint8_t *mc_buf_room(mc_buf *b, size_t more) { return mc__buf_room(b, more, SIZE_MAX); }

static inline uint8_t *room(mc_buf *b, size_t more) {
  if (!b->failed && b->cap - b->len >= more) return b->data + b->len;
  return mc_buf_room(b, more);
}

void mc_buf_put(mc_buf *b, const void *bytes, size_t len) {
  uint8_t *to = len ? mc_buf_room(b, len) : NULL;
  if (!to) return;
  memcpy(to, bytes, len);
  b->len += len;
}

/* ---- writer ---------------------------------------------------------------------------------- */

enum { HEAD_SIZE = 9 }; /* at most */

/* Compilers do not see one load and one store in loops over the bytes. */
static inline uint64_t big_endian(uint64_t v, size_t width) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return __builtin_bswap64(v << (64 - 8 * width));
#else
  return v << (64 - 8 * width);
#endif
}

static inline void put_big_endian(uint8_t *to, uint64_t v, size_t width) {
  v = big_endian(v, width);
  memcpy(to, &v, width);
}

/* Returns how many bytes it takes. */
static inline size_t put_head(uint8_t *to, unsigned major, uint64_t v) {
  if (v < 24) return to[0] = (uint8_t)(major << 5 | v), 1;
  unsigned size = v <= 0xff ? 0 : v <= 0xffff ? 1 : v <= 0xffffffff ? 2 : 3;
  to[0] = (uint8_t)(major << 5 | (24 + size));
  switch (size) {
  case 0: put_big_endian(to + 1, v, 1); return 2;
  case 1: put_big_endian(to + 1, v, 2); return 3;
  case 2: put_big_endian(to + 1, v, 4); return 5;
  default: put_big_endian(to + 1, v, 8); return 9;
  }
}

void mc__write_long_head(mc_buf *b, unsigned major, uint64_t v) {
  uint8_t *to = room(b, HEAD_SIZE);
  if (to) b->len += put_head(to, major, v);
}

static inline void write_string(mc_buf *b, unsigned major, const void *s, size_t len) {
  if (len > SIZE_MAX - HEAD_SIZE)
    len = SIZE_MAX - HEAD_SIZE; /* there is no room for it */
  uint8_t *to = room(b, HEAD_SIZE + len);
  if (!to) return;
  size_t head = put_head(to, major, len);
  if (len) memcpy(to + head, s, len);
  b->len += head + len;
}

void mc_write_nil(mc_buf *b) { mc__write_head(b, SIMPLE, SIMPLE_NULL); }

void mc_write_bool(mc_buf *b, bool v) {
  mc__write_head(b, SIMPLE, v ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void mc_write_int(mc_buf *b, int64_t v) {
  if (v >= 0)
    mc__write_head(b, UINT, (uint64_t)v);
  else
    mc__write_head(b, NEGATIVE, (uint64_t)(-(v + 1)));
}

void mc__write_uint(mc_buf *b, uint64_t v) { mc__write_head(b, UINT, v); }

void mc_write_float(mc_buf *b, double v) {
  uint64_t bits = CANONICAL_NAN;
  if (!isnan(v)) memcpy(&bits, &v, sizeof bits);
  uint8_t *to = room(b, HEAD_SIZE);
  if (!to) return;
  to[0] = SIMPLE << 5 | SIMPLE_DOUBLE;
  put_big_endian(to + 1, bits, 8);
  b->len += HEAD_SIZE;
}

void mc__write_text(mc_buf *b, const char *s, size_t len) {
  write_string(b, TEXT, s, len);
}

void mc_write_bytes(mc_buf *b, const void *s, size_t len) {
  write_string(b, BYTES, s, len);
}

void mc_write_string(mc_buf *b, const char *s, size_t len) {
  write_string(b, mc_utf8_valid(s, len) ? TEXT : BYTES, s, len);
}

void mc_write_array(mc_buf *b, size_t count) { mc__write_head(b, ARRAY, count); }
void mc_write_map(mc_buf *b, size_t pairs) { mc__write_head(b, MAP, pairs); }

void mc_write_map_count(mc_buf *b, size_t start, size_t pairs) {
  uint8_t head[HEAD_SIZE];
  size_t size = put_head(head, MAP, pairs);
  if (!room(b, HEAD_SIZE)) return;
  uint8_t *at = b->data + start;
  if (size > 1) memmove(at + size, at + 1, b->len - start - 1);
  memcpy(at, head, size);
  b->len += size - 1;
}

void mc_write_registered(mc_buf *b) {
  mc__write_head(b, TAG, TAG_REGISTERED);
  mc_write_array(b, 2);
}

void mc_write_buffer(mc_buf *b, const void *s, size_t len) {
  mc__write_head(b, TAG, TAG_BUFFER);
  mc__write_head(b, BYTES, len);
  uint8_t *to = len ? mc__buf_room(b, len, b->len + len) : NULL;
  if (!to) return;
  memcpy(to, s, len);
  b->len += len;
}

void mc_write_parcel(mc_buf *b, const uint8_t token[MC_TOKEN_SIZE]) {
  mc__write_head(b, TAG, TAG_PARCEL);
  mc_write_bytes(b, token, MC_TOKEN_SIZE);
}

void mc_write_ref(mc_buf *b, const mc_node *n, const mc_address *to,
                  const mc_type *type) {
  size_t len;
  const char *name = mc_peer_name(n, to->peer, &len);
  mc__write_head(b, TAG, TAG_REF);
  mc_write_array(b, 5);
  mc__write_text(b, name, len);
  mc__write_uint(b, mc_peer_incarnation(n, to->peer));
  mc__write_uint(b, to->instance);
  mc_write_bytes(b, to->secret, MC_SECRET_SIZE);
  mc__write_text(b, type->name, type->len);
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

/* The length of the sequence at s, 0 when it is not valid (overlong, surrogate, beyond 10ffff). */
static size_t utf8_sequence(const uint8_t *s, size_t left) {
  uint8_t c = s[0];
  size_t len = c < 0x80   ? 1
               : c < 0xc2 ? 0
               : c < 0xe0 ? 2
               : c < 0xf0 ? 3
               : c < 0xf5 ? 4
                          : 0;
  if (len == 0 || len > left) return 0;
  for (size_t i = 1; i < len; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if (c == 0xe0 && s[1] < 0xa0) return 0;
  if (c == 0xed && s[1] > 0x9f) return 0;
  if (c == 0xf0 && s[1] < 0x90) return 0;
  if (c == 0xf4 && s[1] > 0x8f) return 0;
  return len;
}

static inline bool is_ascii_8(const char *s) {
  uint64_t word;
  memcpy(&word, s, sizeof word);
  return !(word & 0x8080808080808080u);
}

/* Most are names. From 8 bytes on the last word reads some of the bytes before it once more. */
static inline bool is_ascii(const char *s, size_t len) {
  if (len >= 8) {
    for (size_t i = 0; i + 8 < len; i += 8)
      if (!is_ascii_8(s + i)) return false;
    return is_ascii_8(s + len - 8);
  }
  if (len >= 4) {
    uint32_t first, last;
    memcpy(&first, s, sizeof first);
    memcpy(&last, s + len - 4, sizeof last);
    return !((first | last) & 0x80808080u);
  }
  return len == 0 || !((s[0] | s[len / 2] | s[len - 1]) & 0x80);
}

static bool utf8_valid(const char *s, size_t len) {
  size_t i = 0;
  while (i < len) {
    if (len - i >= 8 && is_ascii_8(s + i)) {
      i += 8;
      continue;
    }
    size_t step = utf8_sequence((const uint8_t *)s + i, len - i);
    if (step == 0) return false;
    i += step;
  }
  return true;
}

bool mc_utf8_valid(const char *s, size_t len) {
  return is_ascii(s, len) || utf8_valid(s, len);
}

/* ---- reader ---------------------------------------------------------------------------------- */

void mc_reader_init(mc_reader *r, const void *bytes, size_t len) {
  r->at = bytes;
  r->end = r->at + len;
  r->malformed = NULL;
  r->presize = len;
}

bool mc_read_fail(mc_reader *r, const char *why) {
  if (!r->malformed) r->malformed = why;
  r->at = r->end;
  return false;
}

size_t mc_read_presize(mc_reader *r, size_t count) {
  size_t granted = count < r->presize ? count : r->presize;
  r->presize -= granted;
  return granted;
}

static inline uint64_t get_big_endian(const uint8_t *from, size_t width) {
  uint64_t v = 0;
  memcpy(&v, from, width);
  return big_endian(v, width);
}

/* What follows a head's first byte when that does not hold the number itself: in its shortest form,
** except that of a float, which is read as it is. */
static bool read_argument(mc_reader *r, unsigned major, unsigned info, uint64_t *v) {
  if (info > 27) return mc_read_fail(r, "an indefinite or reserved length");
  size_t width = (size_t)1 << (info - 24);
  if ((size_t)(r->end - r->at) < width) return mc_read_fail(r, "the bytes end too early");
  if (major == SIMPLE) {
    if (width != 8) return mc_read_fail(r, "a float that is not 64 bits wide");
    *v = SIMPLE_DOUBLE; /* the caller reads it */
    return true;
  }
  switch (width) { /* a constant in each */
  case 1: *v = r->at[0]; break;
  case 2: *v = get_big_endian(r->at, 2); break;
  case 4: *v = get_big_endian(r->at, 4); break;
  default: *v = get_big_endian(r->at, 8);
  }
  r->at += width;
  uint64_t least = width == 1 ? 24 : (uint64_t)1 << (4 * width);
  if (*v < least) return mc_read_fail(r, "a number that is not in its shortest form");
  return true;
}

/* After a failure nothing is left to read. */
static inline bool read_head(mc_reader *r, unsigned *major, uint64_t *v) {
  if (r->at == r->end) return mc_read_fail(r, "the bytes end too early");
  unsigned info = *r->at & 31;
  *major = *r->at++ >> 5;
  *v = info;
  return info < 24 || read_argument(r, *major, info, v);
}

static inline bool read_string(mc_reader *r, mc_item *out, unsigned major, uint64_t len) {
  if (len > (size_t)(r->end - r->at))
    return mc_read_fail(r, "a string longer than the bytes");
  out->kind = major == TEXT ? MC_TEXT : MC_BYTES;
  out->as.string.data = (const char *)r->at;
  out->as.string.len = (size_t)len;
  r->at += len;
  if (major == TEXT && !mc_utf8_valid(out->as.string.data, (size_t)len))
    return mc_read_fail(r, "text that is not UTF-8");
  return true;
}

static bool read_float(mc_reader *r, mc_item *out) {
  uint64_t bits = get_big_endian(r->at, 8);
  r->at += 8;
  out->kind = MC_FLOAT;
  memcpy(&out->as.number, &bits, sizeof bits);
  if (isnan(out->as.number) && bits != CANONICAL_NAN)
    return mc_read_fail(r, "a second form of NaN");
  return true;
}

static bool read_simple(mc_reader *r, mc_item *out, uint64_t v) {
  switch (v) {
  case SIMPLE_NULL: return out->kind = MC_NIL, true;
  case SIMPLE_FALSE:
  case SIMPLE_TRUE: return out->kind = MC_BOOL, out->as.boolean = v == SIMPLE_TRUE, true;
  case SIMPLE_DOUBLE: return read_float(r, out);
  default: return mc_read_fail(r, "a simple value other than null, true and false");
  }
}

static inline bool read_count(mc_reader *r, mc_item *out, uint64_t count, unsigned each) {
  if (count > (size_t)(r->end - r->at) / each)
    return mc_read_fail(r, "more items than bytes");
  out->as.count = (size_t)count;
  return true;
}

static bool read_tagged_bytes(mc_reader *r, mc_item *out, uint64_t tag) {
  unsigned major;
  uint64_t len;
  if (!read_head(r, &major, &len)) return false;
  if (major != BYTES || (tag == TAG_PARCEL && len != MC_TOKEN_SIZE))
    return mc_read_fail(r, "a tag with the wrong content");
  if (!read_string(r, out, major, len)) return false;
  out->kind = tag == TAG_PARCEL ? MC_PARCEL : MC_BUFFER;
  return true;
}

static bool read_tag(mc_reader *r, mc_item *out, uint64_t tag) {
  unsigned major;
  uint64_t count;
  if (tag == TAG_BUFFER || tag == TAG_PARCEL) return read_tagged_bytes(r, out, tag);
  if (tag != TAG_REF && tag != TAG_REGISTERED) return mc_read_fail(r, "an unknown tag");
  out->kind = tag == TAG_REF ? MC_REF : MC_REGISTERED;
  if (!read_head(r, &major, &count)) return false;
  if (major != ARRAY || count != (tag == TAG_REF ? 5 : 2))
    return mc_read_fail(r, "a tag with the wrong content");
  return true;
}

bool mc_read(mc_reader *r, mc_item *out) {
  unsigned major = 0;
  uint64_t v = 0;
  if (!read_head(r, &major, &v)) return false;
  switch (major) {
  case UINT:
  case NEGATIVE:
    if (v > INT64_MAX) return mc_read_fail(r, "an integer beyond 64 bits");
    out->kind = MC_INT;
    out->as.integer = major == UINT ? (int64_t)v : -1 - (int64_t)v;
    return true;
  case BYTES:
  case TEXT: return read_string(r, out, major, v);
  case ARRAY: return out->kind = MC_ARRAY, read_count(r, out, v, 1);
  case MAP: return out->kind = MC_MAP, read_count(r, out, v, 2);
  case TAG: return read_tag(r, out, v);
  default: return read_simple(r, out, v);
  }
}

/* ---- single fields --------------------------------------------------------------------------- */

bool mc__read_uint(mc_reader *r, uint64_t *v, uint64_t most) {
  unsigned major;
  if (!read_head(r, &major, v)) return false;
  return (major == UINT && *v <= most) ||
         mc_read_fail(r, "a field that is not a number in its range");
}

bool mc__read_uint_or_nil(mc_reader *r, uint64_t *v, uint64_t most, uint64_t when_nil) {
  if (r->at < r->end && *r->at == (SIMPLE << 5 | SIMPLE_NULL)) {
    r->at++;
    *v = when_nil;
    return true;
  }
  return mc__read_uint(r, v, most);
}

/* A text or bytes of `least` to `most`. */
static bool read_field(mc_reader *r, unsigned wanted, size_t least, size_t most,
                       const char *why, mc_item *out) {
  unsigned major;
  uint64_t len;
  if (!read_head(r, &major, &len)) return false;
  if (major != wanted || len < least || len > most) return mc_read_fail(r, why);
  return read_string(r, out, major, len);
}

bool mc__read_name(mc_reader *r, const char **s, size_t *len) {
  mc_item item;
  if (!read_field(r, TEXT, 1, MC_MAX_NAME, "a name that is no text of 1 to 255 bytes",
                  &item))
    return false;
  *s = item.as.string.data;
  *len = item.as.string.len;
  return true;
}

bool mc__read_secret(mc_reader *r, uint8_t out[MC_SECRET_SIZE]) {
  mc_item item;
  if (!read_field(r, BYTES, MC_SECRET_SIZE, MC_SECRET_SIZE,
                  "a secret that is not 16 bytes", &item))
    return false;
  memcpy(out, item.as.string.data, MC_SECRET_SIZE);
  return true;
}

bool mc_read_ref(mc_reader *r, mc_node *n, mc_address *to, mc_type **type) {
  const char *node, *name;
  size_t node_len, name_len;
  uint64_t incarnation;
  if (!mc__read_name(r, &node, &node_len) || !mc__read_uint(r, &incarnation, MC_MAX_ID) ||
      !mc__read_uint(r, &to->instance, MC_MAX_ID) || !mc__read_secret(r, to->secret) ||
      !mc__read_name(r, &name, &name_len))
    return false;
  to->peer = mc_peer_named(n, node, node_len, incarnation);
  *type = mc_type_named(n, name, name_len);
  if (to->peer == UINT32_MAX || !*type) return mc_read_fail(r, "too many names");
  return true;
}
