/* What the files of the core share with one another and with nobody else. */
#ifndef MC_NODE_H
#define MC_NODE_H

#include "mooncast.h"

/* How tables and buffers start, and what is kept for the next time. In the hostile build of the tests
** (-DMC_HARD_TEST, see make sanitize) everything grows at nearly every use and nothing is kept, to give
** some bugs a chance. */
#ifdef MC_HARD_TEST
enum { MC_FIRST_SLOTS = 1, MC_FIRST_PEERS = 1, MC_FIRST_BYTES = 1, MC_GROWTH = 1 };
enum { MC_KEEP_IN = 0, MC_KEEP_OUT = 0, MC_KEEP_MESSAGES = 0 };
#else
enum { MC_FIRST_SLOTS = 64, MC_FIRST_PEERS = 16, MC_FIRST_BYTES = 256, MC_GROWTH = 2 };
enum { MC_KEEP_IN = 65536, MC_KEEP_OUT = 1 << 20, MC_KEEP_MESSAGES = 1024 };
#endif

/* ---- values (value.c) ------------------------------------------------------------------------ */
/* As mc_buf_room, for a buffer that will hold `most` bytes and no more. */
uint8_t *mc__buf_room(mc_buf *b, size_t more, size_t most);
void mc__write_long_head(mc_buf *b, unsigned major, uint64_t v);
/* Most heads are a single byte. */
static inline void mc__write_head(mc_buf *b, unsigned major, uint64_t v) {
  if (v < 24 && b->len < b->cap)
    b->data[b->len++] = (uint8_t)(major << 5 | v);
  else
    mc__write_long_head(b, major, v);
}
void mc__write_uint(mc_buf *b, uint64_t v);
void mc__write_text(mc_buf *b, const char *s, size_t len);
bool mc__read_uint(mc_reader *r, uint64_t *v, uint64_t most);
bool mc__read_uint_or_nil(mc_reader *r, uint64_t *v, uint64_t most, uint64_t when_nil);
bool mc__read_name(mc_reader *r, const char **s, size_t *len);
bool mc__read_secret(mc_reader *r, uint8_t out[MC_SECRET_SIZE]);

/* ---- envelopes (envelope.c) ------------------------------------------------------------------ */
enum { MC_FRAME_HEAD = 5 };

typedef enum mc_envelope_kind {
  MC_ENV_HELLO,
  MC_ENV_CALL,
  MC_ENV_CAST,
  MC_ENV_REPLY,
  MC_ENV_ERROR,
  MC_ENV_STOP,
  MC_ENV_CREDIT,
  MC_ENV_CANCEL,
  MC_ENV_PROBE,
} mc_envelope_kind;

/* The header of any envelope; what a kind does not have is zero. */
typedef struct mc_envelope {
  mc_envelope_kind kind;
  uint64_t call, instance, trace, count, incarnation, version, code, probe;
  uint8_t secret[MC_SECRET_SIZE];
  uint32_t type;
  const char *name; /* method, node of a hello, or the handlers that a probe has met */
  size_t name_len;
  double remaining_ms; /* INFINITY when absent */
  int chain_len;
  const uint64_t *chain;
  const uint8_t *context;
  size_t context_len; /* 0 when absent */
} mc_envelope;

size_t mc__frame_open(mc_buf *b);
/* Fills in the length; false (and the frame is cut off) when memory ran out or it is too large. */
bool mc__frame_close(mc_buf *b, size_t frame);
/* Takes back a frame that is open. */
void mc__frame_cut(mc_buf *b, size_t frame);
void mc__envelope_write(mc_buf *b, const mc_envelope *e);
/* Reads the header, its chain into the room given; the reader then stands at arguments, results or value. */
bool mc__envelope_read(mc_reader *r, mc_envelope *e, uint64_t chain[MC_MAX_CHAIN]);

/* ---- ids ------------------------------------------------------------------------------------- */
/* Call and instance ids are a slot and its generation, which counts from 1 and starts over. That of a call
** has a bit less: the highest of its id says that the call makes an actor. */
enum { MC_SLOT_BITS = 22, MC_MAX_SLOTS = 1 << MC_SLOT_BITS, MC_GENERATIONS = 0x7fffffff };
enum { MC_CALL_GENERATIONS = MC_GENERATIONS >> 1 };
static const uint64_t MC_MAKES = (uint64_t)1 << 52;
enum { MC_FIRST_INSTANCE = 1 }; /* of the node's own actor */

/* ---- timers (timer.c) ------------------------------------------------------------------------ */
typedef struct mc_timers {
  mc_timer **heap; /* from 1 */
  size_t count, cap;
  uint64_t order;
  mc_timer *line, *line_end; /* first in, first out; all wait line_ms */
  mc_timer
      *unstamped; /* of the line: this and those behind it count from the next stamp */
  double line_ms;
  size_t in_line;
} mc_timers;

void mc__timers_fini(mc_node *n);
/* Fires what is due; returns when the next is, INFINITY when there is none. */
double mc__timers_run(mc_node *n, double now_ms);
/* When the next is due, INFINITY when there is none. */
double mc__timers_next(const mc_node *n);
/* Sets a timer to wait_ms from the next stamp on: that is cheaper while all wait equally long. */
bool mc__timer_wait(mc_node *n, mc_timer *t, double wait_ms);
void mc__timers_stamp(mc_node *n, double now_ms);

/* ---- pending calls (pending.c) --------------------------------------------------------------- */
typedef struct mc_slot {
  mc_wait *wait;
  uint32_t generation, next_free;
} mc_slot;

typedef struct mc_pending {
  mc_slot *slots;
  uint32_t count, cap, free; /* free: 1 + index */
  uint64_t live;
} mc_pending;

/* The deadline of a call for which nobody chose one: it waits as long as calls of this node do. */
enum { MC_NOT_CHOSEN = -1 };

void mc__pending_fini(mc_node *n);
mc_error mc__pending_add(mc_node *n, mc_wait *w, const mc_address *to,
                         double deadline_ms);
mc_wait *mc__pending_find(mc_node *n, uint64_t call, uint32_t peer);
void mc__pending_settle(mc_node *n, mc_wait *w, const mc_outcome *o);
void mc__pending_fail_peer(mc_node *n, uint32_t peer, mc_error code);

/* ---- mailboxes (mailbox.c) ------------------------------------------------------------------- */
typedef struct mc_message {
  struct mc_message *next;
  mc_message_kind kind;
  uint32_t origin;
  uint64_t call, trace;
  double deadline_ms;
  bool eager;     /* may start while a handler of its actor awaits */
  double due_ms;  /* when it is probed for a deadlock */
  uint64_t probe; /* the last one, 0 before */
  size_t cap, size,
      args; /* bytes allocated, in use; where the arguments start in bytes */
  int chain_len;
  size_t method_len, context_len, len;
  _Alignas(uint64_t) uint8_t bytes[]; /* chain, method, context, arguments */
} mc_message;

/* The parts of a message before it has a place of its own. */
typedef struct mc_incoming {
  mc_message_kind kind;
  uint32_t origin;
  uint64_t call, trace;
  double deadline_ms;
  const uint64_t *chain;
  int chain_len;
  const char *method;
  size_t method_len;
  const uint8_t *context;
  size_t context_len;
  const uint8_t *args;
  size_t args_len;
} mc_incoming;

bool mc__mailbox_push(mc_node *n, mc_actor *a, const mc_incoming *m);
enum { MC_CALLS_SHARE = 8 }; /* of this many parts the last is for calls alone */
/* Whether it takes no more calls, or casts of this node. */
bool mc__mailbox_full(const mc_actor *a, mc_message_kind kind);
/* Something was taken out: when it is half empty those who wait to cast are woken. */
void mc__mailbox_room(mc_node *n, mc_actor *a);
mc_message *mc__mailbox_pop(mc_actor *a);
/* The first one that is eager and has no stop in front of it, or NULL. */
mc_message *mc__mailbox_pop_eager(mc_actor *a);
/* The call or stop that waits, or NULL. */
mc_message *mc__mailbox_find(const mc_actor *a, uint32_t origin, uint64_t call);
void mc__mailbox_remove(mc_actor *a, mc_message *msg);
/* Takes the message of that call out of the queue, or NULL. */
mc_message *mc__mailbox_take(mc_actor *a, uint32_t origin, uint64_t call);
void mc__message_free(mc_node *n, mc_message *m);
/* Those that are kept for the next ones. */
void mc__messages_fini(mc_node *n);
/* The same for one that did not start. */
void mc__message_drop(mc_node *n, mc_message *m);
void mc__message_parts(const mc_message *m, mc_incoming *out);

/* ---- credit for casts (credit.c) ------------------------------------------------------------- */
typedef struct mc_window {
  struct mc_window *next;
  uint32_t peer, used;
  uint64_t instance;
  mc_waits waiting;
} mc_window;

typedef struct mc_handled {
  struct mc_handled *next;
  uint32_t peer, count;
  uint32_t open; /* casts that arrived and no credit was given back for */
} mc_handled;

enum { MC_WINDOW_BUCKETS = 256 };

/* Takes one credit. False: none left; `w` waits for it (w may be NULL). */
bool mc__credit_take(mc_node *n, uint32_t peer, uint64_t instance, mc_wait *w,
                     bool *no_memory);
void mc__credit_untake(mc_node *n, uint32_t peer, uint64_t instance);
void mc__credit_arrived(mc_node *n, uint32_t peer, uint64_t instance, uint32_t count);
/* A cast arrived. False: its sender had no credit left, which no honest node sends. */
bool mc__credit_used(mc_node *n, mc_actor *a, uint32_t peer);
void mc__credit_handled(mc_node *n, mc_actor *a, uint32_t peer);
/* False when there is no memory for it: give it later. */
bool mc__credit_give(mc_node *n, uint32_t peer, uint64_t instance, uint32_t count);
void mc__credit_flush(mc_node *n, mc_actor *a);
void mc__credit_peer_down(mc_node *n, uint32_t peer, mc_error code);
void mc__credit_fini(mc_node *n);
void mc__waits_append(mc_waits *queue, mc_wait *w);
/* Takes a wait out of the queue it stands in, if any. */
void mc__waits_remove(mc_wait *w);
/* Settles all that are woken already. */
void mc__waits_settle(mc_node *n);
/* Settles and empties a queue of waits. */
void mc__waits_wake(mc_node *n, mc_waits *queue, mc_error code);

/* ---- names, peers, actors (registry.c) ------------------------------------------------------- */
typedef struct mc_peer {
  const char *name; /* behind the peer, in the same block */
  size_t name_len;
  uint64_t incarnation;
  mc_buf out; /* what waits to be sent, from out_sent */
  size_t out_sent;
  mc_buf in;   /* an incomplete frame */
  size_t skip; /* bytes to come of a frame for which there was no memory */
  bool connected, greeted, down, dirty;
  bool barred;         /* its actors cannot be called from here */
  bool foreign;        /* speaks another version of the wire */
  uint64_t version;    /* which, then */
  bool reading;        /* `in` is being dispatched */
  uint32_t next_dirty; /* 1 + index */
} mc_peer;

typedef struct mc_actor_slot {
  mc_actor *actor;
  uint32_t generation, next_free;
} mc_actor_slot;

void mc__registry_fini(mc_node *n);
/* The actor of that instance, whatever the secret. */
mc_actor *mc__actor_find(const mc_node *n, uint64_t instance);
bool mc__secret_equal(const uint8_t *a, const uint8_t *b);

/* ---- dispatch (dispatch.c) ------------------------------------------------------------------- */
/* Takes a message for an actor that was found: starts it, queues it or answers it. */
void mc__dispatch_message(mc_node *n, mc_actor *a, const mc_incoming *m);
/* Whether a message that comes now would start at once. */
bool mc__actor_takes(const mc_actor *a, mc_message_kind kind, const char *method,
                     size_t len);
/* Whether messages with that name may start while a handler of the actor awaits. */
bool mc__interleaves(const mc_type *type, const char *method, size_t len);
/* The caller no longer wants the answer to that call. */
void mc__dispatch_cancel(mc_node *n, mc_actor *a, uint32_t origin, uint64_t call);
/* One envelope from a peer. False: the link is malformed. */
bool mc__dispatch_envelope(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len);
void mc__actor_next(mc_node *n, mc_actor *a);
/* Goes on where the language jumped out of a callback. */
void mc__dispatch_recover(mc_node *n);
mc_turn *mc__turn_new(mc_node *n, mc_actor *a, const mc_incoming *m);
void mc__answer_error(mc_node *n, uint32_t origin, uint64_t call, mc_error code,
                      const char *message);

/* ---- probes for deadlocks (probe.c) ---------------------------------------------------------- */
/* The last message in the mailbox waits: it is probed when it has waited for a while. */
void mc__probe_later(mc_node *n, mc_actor *a, bool at_once);
void mc__probe_arrived(mc_node *n, uint32_t peer, const mc_envelope *e);

/* An envelope of which only the start is there, because there is no memory for the rest: who waits for
** it is told, as far as the header came. */
void mc__dispatch_forgo(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len);

/* What there was no memory for: the answer to the call at that peer, out_of_memory; or without a call, the
** stop of an actor there. Tried again at each step. */
typedef struct mc_owed {
  uint64_t call;
  mc_address to;
} mc_owed;

enum { MC_OWED = 64, MC_OWED_MS = 1 };
enum { MC_RANDOM_AHEAD = 1024 };

/* False while there is still no memory. */
bool mc__owed_pay(mc_node *n);

/* ---- node (node.c) --------------------------------------------------------------------------- */
struct mc_node {
  mc_host host;
  mc_language language;
  double call_timeout_ms;
  double now_ms;             /* as of the last deliver or step */
  double turn_ms, budget_ms; /* since when whoever called runs, and how long a step may */

  uint64_t name_seed; /* of the hash that places types and peers */
  mc_peer **peers; /* MC_SELF first; each stays where it is, for others hold its outbox */
  uint32_t peer_count, peer_cap, first_dirty;
  uint32_t *peer_hash, peer_hash_cap;

  mc_type **types; /* open addressing by hash */
  size_t type_count, type_cap;

  mc_actor_slot *actors;
  uint32_t actor_count, actor_cap, actor_free, actor_live;

  mc_pending pending;
  mc_timers timers;
  mc_window *windows[MC_WINDOW_BUCKETS];
  mc_waits woken; /* are being settled */
  mc_actor *draining;
  mc_turn *free_turns;
  mc_message *free_messages;
  int free_message_count;
  mc_owed owed[MC_OWED];
  unsigned owed_count;
  mc_buf scratch; /* arguments on their way to a mailbox of this node */
  mc_buf lent;    /* the same, while the language reads them */
  uint64_t turn_counter, probe_counter;
  uint8_t random[MC_RANDOM_AHEAD]; /* the first random_left are still to be given */
  size_t random_left;

  mc_task *ready_first, *ready_last;
  uint64_t ready_count;
  mc_stats stats;
};

void *mc__alloc(mc_node *n, void *ptr, size_t osize, size_t nsize);
/* Nobody will read these values. */
static inline void mc__discard(mc_node *n, const uint8_t *values, size_t len) {
  if (n->language.discard) n->language.discard(n->language.ud, values, len);
}
/* Why nothing can be sent there, or MC_OK. */
mc_error mc__peer_refusal(const mc_node *n, uint32_t peer);
/* It has greeted with another version: it gets this node's hello, so that it knows too, and no more. */
void mc__peer_foreign(mc_node *n, uint32_t peer, uint64_t version);
/* The outbox of a living peer, greeted; NULL when nothing goes there or memory is out. */
mc_buf *mc__outbox(mc_node *n, uint32_t peer);
void mc__outbox_dirty(mc_node *n, uint32_t peer);

#endif
