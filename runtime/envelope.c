/*
** Envelopes: the header of each kind as envelope.cddl has it, in a frame of its own.
**
**   5a LL LL LL LL   [kind, header fields ..., arguments | results | value, traceback]
**   frame head       one CBOR array of known length
**
** The header is read without its payload, so that a message to a dead actor costs nothing more.
*/
#include "node.h"

#include <math.h>
#include <string.h>

/* Items in the array of each kind, the payload counted. */
static const uint8_t FIELDS[] = {4, 11, 8, 3, 5, 4, 3, 4, 9};
static const size_t KINDS = sizeof FIELDS / sizeof *FIELDS;

size_t mc__frame_open(mc_buf *b) {
  size_t frame = b->len;
  uint8_t *to = mc_buf_room(b, MC_FRAME_HEAD);
  if (!to) return frame;
  to[0] = 0x5a;
  b->len += MC_FRAME_HEAD;
  return frame;
}

void mc__frame_cut(mc_buf *b, size_t frame) {
  b->len = frame;
  b->failed = false;
}

bool mc__frame_close(mc_buf *b, size_t frame) {
  size_t len = b->len - frame - MC_FRAME_HEAD;
  if (b->failed || len > MC_MAX_FRAME) {
    mc__frame_cut(b, frame);
    return false;
  }
  uint8_t *to = b->data + frame + 1;
  to[0] = (uint8_t)(len >> 24), to[1] = (uint8_t)(len >> 16);
  to[2] = (uint8_t)(len >> 8), to[3] = (uint8_t)len;
  return true;
}

static void write_recipient(mc_buf *b, const mc_envelope *e) {
  mc__write_uint(b, e->instance);
  mc_write_bytes(b, e->secret, MC_SECRET_SIZE);
  if (e->kind != MC_ENV_CALL && e->kind != MC_ENV_CAST) return;
  mc__write_uint(b, e->type);
  mc__write_text(b, e->name, e->name_len);
}

static void write_uint_or_nil(mc_buf *b, uint64_t v, bool absent) {
  if (absent)
    mc_write_nil(b);
  else
    mc__write_uint(b, v);
}

static void write_context(mc_buf *b, const mc_envelope *e) {
  if (e->context_len)
    mc_write_bytes(b, e->context, e->context_len);
  else
    mc_write_nil(b);
}

void mc__envelope_write(mc_buf *b, const mc_envelope *e) {
  mc_write_array(b, FIELDS[e->kind]);
  mc__write_uint(b, e->kind);
  switch (e->kind) {
  case MC_ENV_HELLO:
    mc__write_uint(b, e->version);
    mc__write_text(b, e->name, e->name_len);
    mc__write_uint(b, e->incarnation);
    break;
  case MC_ENV_CALL:
    mc__write_uint(b, e->call);
    write_recipient(b, e);
    if (isinf(e->remaining_ms)) /* which no integer holds */
      mc_write_nil(b);
    else
      mc__write_uint(b, (uint64_t)ceil(e->remaining_ms));
    write_uint_or_nil(b, e->trace, !e->trace);
    mc_write_array(b, (size_t)e->chain_len);
    for (int i = 0; i < e->chain_len; i++) mc__write_uint(b, e->chain[i]);
    write_context(b, e);
    break;
  case MC_ENV_CAST:
    write_recipient(b, e);
    write_uint_or_nil(b, e->trace, !e->trace);
    write_context(b, e);
    break;
  case MC_ENV_ERROR:
    mc__write_uint(b, e->call);
    mc__write_uint(b, e->code);
    break;
  case MC_ENV_REPLY: mc__write_uint(b, e->call); break;
  case MC_ENV_STOP:
  case MC_ENV_CANCEL:
    mc__write_uint(b, e->call);
    write_recipient(b, e);
    break;
  case MC_ENV_PROBE:
    mc__write_uint(b, e->incarnation);
    mc__write_uint(b, e->probe);
    mc__write_uint(b, e->count);
    mc__write_uint(b, e->call);
    write_recipient(b, e);
    mc__write_text(b, e->name, e->name_len);
    break;
  case MC_ENV_CREDIT:
    mc__write_uint(b, e->instance);
    mc__write_uint(b, e->count);
    break;
  }
}

static bool at_end(mc_reader *r) {
  return !r->malformed &&
         (r->at == r->end || mc_read_fail(r, "bytes behind the envelope"));
}

static bool read_recipient(mc_reader *r, mc_envelope *e) {
  uint64_t type;
  if (!mc__read_uint(r, &e->instance, MC_MAX_ID) || !mc__read_secret(r, e->secret))
    return false;
  if (e->kind != MC_ENV_CALL && e->kind != MC_ENV_CAST) return true;
  if (!mc__read_uint(r, &type, UINT32_MAX)) return false;
  e->type = (uint32_t)type;
  return mc__read_name(r, &e->name, &e->name_len);
}

/* 0 stands for none here, so on the wire it would be a second form of null. */
static bool read_trace(mc_reader *r, mc_envelope *e) {
  if (r->at < r->end && *r->at == 0) return mc_read_fail(r, "a trace that is 0");
  return mc__read_uint_or_nil(r, &e->trace, MC_MAX_ID, 0);
}

static bool read_context(mc_reader *r, mc_envelope *e) {
  mc_item item;
  if (!mc_read(r, &item)) return false;
  if (item.kind == MC_NIL) return true;
  if (item.kind != MC_BYTES || item.as.string.len == 0 ||
      item.as.string.len > MC_MAX_CONTEXT)
    return mc_read_fail(r, "a context that is not 1 to 4096 bytes");
  e->context = (const uint8_t *)item.as.string.data;
  e->context_len = item.as.string.len;
  return true;
}

static bool read_circumstances(mc_reader *r, mc_envelope *e, uint64_t *chain) {
  mc_item item;
  uint64_t ms;
  if (!mc__read_uint_or_nil(r, &ms, MC_MAX_ID, UINT64_MAX)) return false;
  e->remaining_ms = ms == UINT64_MAX ? INFINITY : (double)ms;
  if (!read_trace(r, e) || !mc_read(r, &item)) return false;
  if (item.kind != MC_ARRAY || item.as.count > MC_MAX_CHAIN)
    return mc_read_fail(r, "a chain that is no array of at most 32 ids");
  e->chain_len = (int)item.as.count;
  for (int i = 0; i < e->chain_len; i++)
    if (!mc__read_uint(r, &chain[i], MC_MAX_ID)) return false;
  return true;
}

static bool read_cycle(mc_reader *r, mc_envelope *e) {
  mc_item item;
  if (!mc_read(r, &item)) return false;
  if (item.kind != MC_TEXT || item.as.string.len > MC_MAX_CYCLE)
    return mc_read_fail(r, "a cycle that is no text of at most 2048 bytes");
  e->name = item.as.string.data;
  e->name_len = item.as.string.len;
  return true;
}

bool mc__envelope_read(mc_reader *r, mc_envelope *e, uint64_t chain[MC_MAX_CHAIN]) {
  mc_item item;
  uint64_t kind;
  memset(e, 0, sizeof *e);
  e->chain = chain;
  e->remaining_ms = INFINITY;
  if (!mc_read(r, &item)) return false;
  if (item.kind != MC_ARRAY || !mc__read_uint(r, &kind, KINDS - 1) ||
      item.as.count != FIELDS[kind])
    return mc_read_fail(r, "an unknown kind of envelope");
  e->kind = (mc_envelope_kind)kind;
  switch (e->kind) {
  case MC_ENV_HELLO:
    return mc__read_uint(r, &e->version, UINT32_MAX) &&
           mc__read_name(r, &e->name, &e->name_len) &&
           mc__read_uint(r, &e->incarnation, MC_MAX_ID) && at_end(r);
  case MC_ENV_CALL:
    return mc__read_uint(r, &e->call, MC_MAX_ID) && read_recipient(r, e) &&
           read_circumstances(r, e, chain) && read_context(r, e);
  case MC_ENV_CAST: return read_recipient(r, e) && read_trace(r, e) && read_context(r, e);
  case MC_ENV_REPLY: return mc__read_uint(r, &e->call, MC_MAX_ID);
  case MC_ENV_ERROR:
    return mc__read_uint(r, &e->call, MC_MAX_ID) && mc__read_uint(r, &e->code, UINT8_MAX);
  case MC_ENV_STOP:
  case MC_ENV_CANCEL:
    return mc__read_uint(r, &e->call, MC_MAX_ID) && read_recipient(r, e) && at_end(r);
  case MC_ENV_PROBE:
    return mc__read_uint(r, &e->incarnation, MC_MAX_ID) &&
           mc__read_uint(r, &e->probe, MC_MAX_ID) &&
           mc__read_uint(r, &e->count, UINT8_MAX) &&
           mc__read_uint(r, &e->call, MC_MAX_ID) && read_recipient(r, e) &&
           read_cycle(r, e) && at_end(r);
  case MC_ENV_CREDIT:
    return mc__read_uint(r, &e->instance, MC_MAX_ID) &&
           mc__read_uint(r, &e->count, UINT32_MAX) && at_end(r);
  }
  return false;
}
