/*
** Decodes a value with the core's reader and encodes it again with its writer, as a builder of values
** does that knows nothing of them but the rules of nesting. What was read must come out the same.
*/
#ifndef MC_TRANSCODE_H
#define MC_TRANSCODE_H

#include "node.h"

static inline bool transcode(mc_reader *r, mc_node *n, mc_buf *out, int depth);

static inline bool transcode_all(mc_reader *r, mc_node *n, mc_buf *out, size_t count,
                                 int depth) {
  for (size_t i = 0; i < count; i++)
    if (!transcode(r, n, out, depth)) return false;
  return true;
}

static inline bool transcode_ref(mc_reader *r, mc_node *n, mc_buf *out) {
  mc_address to;
  mc_type *type;
  if (!mc_read_ref(r, n, &to, &type)) return false;
  mc_write_ref(out, n, &to, type);
  return true;
}

static inline bool transcode(mc_reader *r, mc_node *n, mc_buf *out, int depth) {
  mc_item item;
  if (!mc_read(r, &item)) return false;
  bool nests = item.kind == MC_ARRAY || item.kind == MC_MAP || item.kind == MC_REGISTERED;
  if (nests && depth >= MC_MAX_DEPTH)
    return mc_read_fail(r, "more than 100 nested containers");
  switch (item.kind) {
  case MC_NIL: return mc_write_nil(out), true;
  case MC_BOOL: return mc_write_bool(out, item.as.boolean), true;
  case MC_INT: return mc_write_int(out, item.as.integer), true;
  case MC_FLOAT: return mc_write_float(out, item.as.number), true;
  case MC_TEXT:
    return mc_write_string(out, item.as.string.data, item.as.string.len), true;
  case MC_BYTES:
    return mc_write_bytes(out, item.as.string.data, item.as.string.len), true;
  case MC_ARRAY:
    mc_write_array(out, item.as.count);
    return transcode_all(r, n, out, item.as.count, depth + 1);
  case MC_MAP:
    mc_write_map(out, item.as.count);
    return transcode_all(r, n, out, 2 * item.as.count, depth + 1);
  case MC_BUFFER:
    return mc_write_buffer(out, item.as.string.data, item.as.string.len), true;
  case MC_PARCEL: return mc_write_parcel(out, (const uint8_t *)item.as.string.data), true;
  case MC_REF: return transcode_ref(r, n, out);
  case MC_REGISTERED:
    mc_write_registered(out);
    return transcode_all(r, n, out, 2, depth + 1);
  }
  return false;
}

/* The array of values that ends the bytes. */
static inline bool transcode_values(mc_reader *r, mc_node *n, mc_buf *out) {
  mc_item item;
  if (!mc_read(r, &item)) return false;
  if (item.kind != MC_ARRAY) return mc_read_fail(r, "values that are no array");
  mc_write_array(out, item.as.count);
  if (!transcode_all(r, n, out, item.as.count, 0)) return false;
  return r->at == r->end || mc_read_fail(r, "bytes behind the values");
}

#endif
