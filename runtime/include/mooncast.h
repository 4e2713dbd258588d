/*
** Mooncast's core: actors, envelopes and calls, without Lua, JavaScript, an operating system or a
** clock. A node is single-threaded and deterministic: its inputs are the bytes that arrive
** (mc_node_deliver), the time and the random bytes it asks its host for; its outputs are bytes to
** send and the moment it next wants to run (mc_node_step).
**
** Who owns what: everything passed by pointer is borrowed for the length of the call. A node owns
** its actors, mailboxes, outboxes and turns; the language on top owns its tasks and waits, and tells
** the node with mc_wait_forget before it frees one that is pending.
**
** Failure: an operation that fails leaves the node as it was. Nothing here aborts or jumps. A language
** may jump out of its callbacks when it has no memory, over the core's frames, if it first caught that
** around mc_node_deliver or mc_node_step: it ends the turn itself, the next step puts right the rest.
*/
#ifndef MOONCAST_H
#define MOONCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MC_VERSION "0.1.0"
#define MC_WIRE_VERSION 1

/* The codes of system errors: the number on the wire is the place in this list, from 1. Lua and
** JavaScript read the list from here. */
#define MC_ERRORS(X)                      \
  X(TIMEOUT, "timeout")                   \
  X(CANCELLED, "cancelled")               \
  X(DEAD_ACTOR, "dead_actor")             \
  X(NOT_READY, "not_ready")               \
  X(NO_SUCH_METHOD, "no_such_method")     \
  X(BAD_ARGUMENTS, "bad_arguments")       \
  X(BAD_RETURN, "bad_return")             \
  X(UNSENDABLE, "unsendable")             \
  X(MALFORMED, "malformed")               \
  X(BAD_ID, "bad_id")                     \
  X(TYPE_MISMATCH, "type_mismatch")       \
  X(TYPE_NOT_ALLOWED, "type_not_allowed") \
  X(UNKNOWN_NODE, "unknown_node")         \
  X(NODE_DOWN, "node_down")               \
  X(NODE_HUNG, "node_hung")               \
  X(NONE_AVAILABLE, "none_available")     \
  X(OVERLOADED, "overloaded")             \
  X(DEADLOCK, "deadlock")                 \
  X(CALL_DEPTH, "call_depth")             \
  X(CANNOT_AWAIT, "cannot_await")         \
  X(NOT_PERMITTED, "not_permitted")       \
  X(VERSION_MISMATCH, "version_mismatch") \
  X(BUDGET, "budget")                     \
  X(OUT_OF_MEMORY, "out_of_memory")       \
  X(CLOSED, "closed")                     \
  X(REDACTED, "redacted")

typedef enum mc_error {
  MC_OK = 0,
#define MC_ERROR_ENUM(id, name) MC_E_##id,
  MC_ERRORS(MC_ERROR_ENUM)
#undef MC_ERROR_ENUM
      MC_ERROR_COUNT
} mc_error;

/* The name of a code, "ok" for MC_OK, NULL for a number that is no code. Static. */
const char *mc_error_name(unsigned code);

/* Limits that hold everywhere, for local calls too. */
enum {
  MC_MAX_DEPTH = 100,          /* nested containers in one value */
  MC_MAX_CHAIN = 32,           /* calls that wait for one another */
  MC_MAX_NAME = 255,           /* bytes of a node's, type's or method's name */
  MC_MAX_FRAME = 256 << 20,    /* bytes of one envelope */
  MC_MAILBOX_BOUND = 4096,     /* messages waiting in one mailbox: see mc_type.mailbox */
  MC_MAILBOX_BYTES = 64 << 20, /* their bytes: the last may go beyond */
  MC_CAST_WINDOW = 1024, /* casts of one node to one actor that are not handled yet */
  MC_SECRET_SIZE = 16,
  MC_TOKEN_SIZE = 16,
  MC_TURN_NAME = 48,     /* bytes of a handler's name that are kept */
  MC_MAX_CYCLE = 2048,   /* bytes of the names that a probe collects */
  MC_MAX_CONTEXT = 4096, /* bytes of what travels with a call beside its arguments */
};
#define MC_MAX_ID 9007199254740991u /* 2^53 - 1 */

typedef struct mc_node mc_node;
typedef struct mc_actor mc_actor;
typedef struct mc_turn mc_turn;

/* ---- what the host supplies ---------------------------------------------------------------- */

typedef struct mc_host {
  void *ud;
  /* As Lua's: frees when nsize is 0, returns NULL when there is no memory. */
  void *(*alloc)(void *ud, void *ptr, size_t osize, size_t nsize);
  /* Monotonic time in milliseconds. */
  double (*now_ms)(void *ud);
  /* Fills len bytes that nobody can guess. */
  void (*random)(void *ud, void *out, size_t len);
  /* The node is about to send to this peer for the first time. */
  void (*connect)(void *ud, uint32_t peer, const char *name, size_t len,
                  uint64_t incarnation);
  /* Takes up to len bytes for a peer and returns how many; the rest is offered again. */
  size_t (*send)(void *ud, uint32_t peer, const uint8_t *bytes, size_t len);
} mc_host;

/* ---- bytes ---------------------------------------------------------------------------------- */

/* A growable buffer. `failed` is set when it could not grow and stays set. */
typedef struct mc_buf {
  const mc_host *host;
  uint8_t *data;
  size_t len, cap;
  bool failed;
} mc_buf;

void mc_buf_init(mc_buf *b, const mc_host *host);
void mc_buf_fini(mc_buf *b);
/* Room for `more` bytes behind len, or NULL (and `failed`) when there is no memory. */
uint8_t *mc_buf_room(mc_buf *b, size_t more);
void mc_buf_put(mc_buf *b, const void *bytes, size_t len);

/* ---- values: a writer and a pull reader of the CBOR in envelope.cddl ------------------------ */

void mc_write_nil(mc_buf *b);
void mc_write_bool(mc_buf *b, bool v);
void mc_write_int(mc_buf *b, int64_t v);
void mc_write_float(mc_buf *b, double v);
/* Text when the bytes are valid UTF-8, else a byte string. */
void mc_write_string(mc_buf *b, const char *s, size_t len);
void mc_write_bytes(mc_buf *b, const void *s, size_t len);
void mc_write_array(mc_buf *b, size_t count);
void mc_write_map(mc_buf *b, size_t pairs);
/* Gives their number to a map that was written as one of no pairs, at `start`, when all pairs stand
** behind it and nothing else. */
void mc_write_map_count(mc_buf *b, size_t start, size_t pairs);
/* Opens a registered value: its type's name and one value follow. */
void mc_write_registered(mc_buf *b);
/* Bytes that arrive as bytes outside of the language's heap (an mc.buffer, an ArrayBuffer). */
void mc_write_buffer(mc_buf *b, const void *s, size_t len);
/* The name of such bytes, which stay where they are: for nodes that share their memory. */
void mc_write_parcel(mc_buf *b, const uint8_t token[MC_TOKEN_SIZE]);
bool mc_utf8_valid(const char *s, size_t len);

typedef enum mc_kind {
  MC_NIL,
  MC_BOOL,
  MC_INT,
  MC_FLOAT,
  MC_TEXT,
  MC_BYTES,
  MC_ARRAY,      /* count items follow */
  MC_MAP,        /* count pairs follow */
  MC_REF,        /* the five fields of a ref follow: see mc_read_ref */
  MC_REGISTERED, /* a text and a value follow */
  MC_BUFFER,     /* string */
  MC_PARCEL, /* string: the name that mc_write_parcel wrote, or anything else of that length */
} mc_kind;

typedef struct mc_item {
  mc_kind kind;
  union {
    bool boolean;
    int64_t integer;
    double number;
    size_t count;
    struct {
      const char *data; /* points into what is read */
      size_t len;
    } string;
  } as;
} mc_item;

/* Reads what is not trusted. The first thing that is not exactly right sets `malformed` (a static
** text that says what) and every later read fails. `presize` is how many slots may still be
** allocated ahead of the items that fill them: see mc_read_presize. */
typedef struct mc_reader {
  const uint8_t *at, *end;
  const char *malformed;
  size_t presize;
} mc_reader;

void mc_reader_init(mc_reader *r, const void *bytes, size_t len);
bool mc_read(mc_reader *r, mc_item *out);
bool mc_read_fail(mc_reader *r, const char *why);
/* How many of count slots to allocate at once: over a whole message never more than its bytes. */
size_t mc_read_presize(mc_reader *r, size_t count);

/* ---- types, peers, addresses ---------------------------------------------------------------- */

/* A name that actors are declared under. Lives as long as its node. */
typedef struct mc_type {
  const char *name;
  size_t len;
  uint32_t hash;  /* FNV-1a of the name, in the header of calls */
  int definition; /* for the language: its newest definition here; 0 when there is none */
  int refs;       /* for the language: what it keeps for references of this type */
  bool reentrant; /* handlers of one actor may overlap */
  uint8_t *
      interleave; /* methods that may start while a handler awaits: see mc_type_interleave */
  size_t interleave_len;
  bool fragile; /* for the language: an error of a handler ends the actor */
  int protocol; /* for the language: the names that callers without a definition may use */
  bool checked;     /* for the language: some methods have signatures */
  uint32_t mailbox; /* messages that wait for one actor at most: MC_MAILBOX_BOUND */
} mc_type;

/* The methods whose messages may start while a handler of the actor awaits: for each one byte with the
** length of its name, then the name. Copies. False: no memory, nothing changed. */
bool mc_type_interleave(mc_node *n, mc_type *type, const void *names, size_t len);
/* The type of that name, made if new; NULL when the name is no text of 1 to 255 bytes, or memory
** is out. */
mc_type *mc_type_named(mc_node *n, const char *name, size_t len);

enum { MC_SELF = 0 }; /* the peer that is the node itself */

typedef struct mc_address {
  uint64_t instance;
  uint8_t secret[MC_SECRET_SIZE];
  uint32_t peer;
} mc_address;

/* The peer of that name and incarnation, made if new; UINT32_MAX when the name is no text of 1 to
** 255 bytes, the incarnation no id, or memory is out. */
uint32_t mc_peer_named(mc_node *n, const char *name, size_t len, uint64_t incarnation);
const char *mc_peer_name(const mc_node *n, uint32_t peer, size_t *len);
uint64_t mc_peer_incarnation(const mc_node *n, uint32_t peer);
bool mc_peer_is_down(const mc_node *n, uint32_t peer);
/* From now on actors of that peer cannot be called from here, or can again: requests to them fail with
** MC_E_NOT_PERMITTED before anything is sent. Its own actor (mc_actor_first) is excepted, and answers
** go there as ever. */
void mc_peer_bar(mc_node *n, uint32_t peer, bool barred);
/* Whether the peer has greeted with a wire version other than this node's, and which. Then nothing goes
** there any more: calls to it fail with version_mismatch. */
bool mc_peer_is_foreign(const mc_node *n, uint32_t peer, uint64_t *version);
/* A living peer by name alone, newest first; UINT32_MAX when none is known. */
uint32_t mc_peer_find(const mc_node *n, const char *name, size_t len);

void mc_write_ref(mc_buf *b, const mc_node *n, const mc_address *to, const mc_type *type);
/* Reads the fields behind an MC_REF item. False: malformed or no memory. */
bool mc_read_ref(mc_reader *r, mc_node *n, mc_address *to, mc_type **type);

/* ---- tasks and waits: bookkeeping for the language ------------------------------------------ */

/* Something that runs when the node steps. Embedded in the language's own task. */
typedef struct mc_task {
  struct mc_task *next;
  bool queued;
} mc_task;

void mc_task_ready(mc_node *n, mc_task *t);
/* Whether a task that computes should let others go on: some are ready, or the host's step has lasted
** as long as it may. */
bool mc_node_turn_over(mc_node *n);

/* A moment; embedded in its owner. */
typedef struct mc_timer {
  double at_ms;
  uint64_t order;
  size_t place;                   /* in the heap, from 1; 0 when not set */
  struct mc_timer *next, *before; /* in the line of those that wait equally long */
  void (*fire)(mc_node *n, struct mc_timer *t);
} mc_timer;

/* False when there is no memory. */
bool mc_timer_set(mc_node *n, mc_timer *t, double at_ms);
void mc_timer_clear(mc_node *n, mc_timer *t);

/* One task's wait for one answer. Embedded in the task; zero it first. */
typedef struct mc_wait {
  mc_timer timer;
  uint64_t id; /* call id while pending, else 0 */
  uint32_t peer;
  uint64_t instance; /* who was called */
  uint8_t secret[MC_SECRET_SIZE];
  struct mc_wait *next, *before; /* in the queue of those who wait to cast */
  struct mc_waits *queue;
  mc_error woken; /* with this code, once it stands among the woken ones */
} mc_wait;

/* First in, first out. */
typedef struct mc_waits {
  mc_wait *first, *last;
} mc_waits;

bool mc_wait_pending(const mc_wait *w);
/* Tells the one who was called that nobody wants the answer any more. It still comes: what was
** returned before, or `cancelled`. The wait stays pending. */
void mc_wait_cancel(mc_node *n, mc_wait *w);
/* Drops a wait without settling it; a later answer counts as late. */
void mc_wait_forget(mc_node *n, mc_wait *w);

/* ---- calls ---------------------------------------------------------------------------------- */

/* How an answer came. code 0 with failed: the handler raised, the value and a traceback follow in
** `values` (or stand with the language, when the answer was local). */
typedef struct mc_outcome {
  bool failed;
  mc_error code;
  const char *message; /* what the answering system says, or NULL */
  size_t message_len;
  mc_reader *values; /* positioned at the array of results, or at value and traceback */
  bool makes;        /* the request's */
} mc_outcome;

/* What the language on top of a node does. */
typedef struct mc_language {
  void *ud;
  /* A handler can start: decode the arguments and have it run later (mc_task_ready). It ends with
  ** mc_turn_end. Must not run user code. */
  void (*start)(void *ud, mc_turn *turn, mc_reader *arguments);
  /* A wait is over. */
  void (*settle)(void *ud, mc_wait *wait, const mc_outcome *outcome);
  /* Runs a task until it awaits or ends. */
  void (*resume)(void *ud, mc_task *task);
  /* An actor is gone; frees what `object` and `klass` hold. */
  void (*resign)(void *ud, mc_actor *actor);
  /* The caller of a running handler no longer wants its answer. NULL: handlers run to their end. */
  void (*cancel)(void *ud, mc_turn *turn);
  /* Visits the waits of which each must end before the handler can: none when anything else may end
  ** it. Changes nothing. NULL: no deadlock is found but that of a chain. */
  void (*awaits)(void *ud, const mc_turn *turn,
                 void (*visit)(void *arg, const mc_wait *wait), void *arg);
  /* Values that nobody will read: their parcels can go. NULL: there are none. */
  void (*discard)(void *ud, const uint8_t *values, size_t len);
} mc_language;

/* MC_INIT is a turn that makes its actor; it never is a message. */
typedef enum mc_message_kind { MC_CALL, MC_CAST, MC_STOP, MC_INIT } mc_message_kind;

/* One handler's run, from its start to its answer. */
struct mc_turn {
  mc_actor *actor;
  mc_turn *next; /* other turns of this actor that are running */
  mc_message_kind kind;
  bool fatal;         /* set by the language: the actor ends with this turn */
  uint32_t origin;    /* the peer that called */
  uint64_t call;      /* call id at the origin; 0: nobody waits */
  double deadline_ms; /* INFINITY when none was chosen */
  uint64_t trace;     /* 0 when none */
  const uint8_t
      *context; /* as the caller gave it; valid until the language's start returns */
  size_t context_len;
  void *task;         /* the language's, NULL at first */
  const char *method; /* valid until the language's start returns */
  size_t method_len;
  uint64_t seen_node, seen_probe; /* the last probe that came by */
  size_t name_len;
  char name[MC_TURN_NAME]; /* of the method, as far as there is room */
  int chain_len;           /* the last entry is this turn */
  uint64_t chain[MC_MAX_CHAIN + 1];
};

struct mc_actor {
  uint64_t instance;
  uint8_t secret[MC_SECRET_SIZE];
  mc_type *type;
  int object, klass;     /* the language's */
  mc_actor *next_orphan; /* the same */
  mc_turn *turns;        /* running */
  struct mc_message *first, *last;
  size_t waiting_bytes;       /* what the messages in the mailbox take */
  uint32_t waiting;           /* how many they are */
  uint32_t eager, stops;      /* of them: may start while a handler awaits; stops */
  uint32_t holds;             /* while there are any only a stop starts */
  mc_timer probe;             /* when the next message is probed */
  struct mc_message *current; /* that is being started right now */
  mc_actor *around;           /* whose mailbox was being started before */
  bool draining;              /* its own is */
  bool starting, stopping;    /* init is not done; a stop is being handled */
  bool ended;                 /* its stop was handled, or a handler's error ends it */
  bool held;                  /* the language's: only its references hold it */
  uint8_t orphan;             /* the same: nobody refers to it any more */
  mc_waits senders;           /* local casts that wait for room */
  struct mc_handled *handled; /* casts per peer that no credit was given back for */
};

/* A request to send. */
typedef struct mc_request {
  mc_message_kind kind;
  const mc_address *to;
  const mc_type *type;
  const char *method;
  size_t method_len;
  const mc_turn *from; /* whose handler asks, or NULL */
  double timeout_ms;   /* a chosen one; negative: the node's default */
  uint64_t trace;
  const void *context; /* up to MC_MAX_CONTEXT bytes that the core does not look at */
  size_t context_len;
  mc_wait *wait; /* MC_CALL; MC_STOP and MC_CAST: may be NULL, then nobody waits */
  bool direct;   /* may run at once, inside the caller; of a cast: may start so */
  bool
      makes; /* a call elsewhere whose answer is mc_write_made's: an actor there that lives only if
                 ** somebody waits for it */
} mc_request;

typedef enum mc_route {
  MC_ROUTE_FAILED, /* `error` says why; nothing was sent */
  MC_ROUTE_DIRECT, /* run (a cast: start) `turn` now with the arguments as they stand */
  MC_ROUTE_BYTES,  /* write the array of arguments to `out`, then commit or abort */
  MC_ROUTE_WAIT,   /* a cast without credit or room: await `wait`, then ask again */
} mc_route;

typedef struct mc_sending {
  mc_error error;
  mc_turn *turn;
  mc_buf *out;
  size_t frame; /* where the frame starts in out */
  bool local;   /* out is not an outbox */
} mc_sending;

mc_route mc_send_begin(mc_node *n, const mc_request *q, mc_sending *s);
/* Sends. The wait was registered before; on failure (no memory, too large) nothing was sent. */
mc_error mc_send_commit(mc_node *n, const mc_request *q, mc_sending *s);
void mc_send_abort(mc_node *n, const mc_request *q, mc_sending *s);

/* A new actor, and how many its node has then: the results that answer a request with `makes`. */
typedef struct mc_made {
  mc_address at;
  uint64_t actors;
} mc_made;

void mc_write_made(mc_buf *b, const mc_address *at, uint64_t actors);
/* Reads what that peer wrote. False: malformed, and at.instance is 0. */
bool mc_read_made(mc_reader *r, uint32_t peer, mc_made *out);
/* Stops an actor of another node that was made for somebody who does not want it any more. Nothing prevents
** that: without memory it is tried again. */
void mc_unmake(mc_node *n, const mc_address *to);
/* The same for what mc_write_made wrote there. */
void mc_unmake_unread(mc_node *n, uint32_t peer, const uint8_t *values, size_t len);

/* A direct turn turned out to await: its caller's wait is registered as if it had been sent. */
mc_error mc_turn_defer(mc_node *n, mc_turn *turn, const mc_request *q);
/* The wait of this node that the turn answers; NULL when the caller is elsewhere or gone. */
mc_wait *mc_turn_waiter(mc_node *n, const mc_turn *turn);
/* Takes a settled local wait out of the pending ones. */
void mc_wait_settled(mc_node *n, mc_wait *w);
/* Opens the answer to a caller elsewhere: write the array of results, or with `raised` the value
** and its traceback. NULL when nobody waits there. */
mc_buf *mc_reply_begin(mc_node *n, const mc_turn *turn, bool raised, size_t *frame);
mc_error mc_reply_commit(mc_node *n, const mc_turn *turn, size_t frame);
void mc_reply_abort(mc_node *n, const mc_turn *turn, size_t frame);
/* Answers a caller anywhere with a system error. message may be NULL. */
void mc_reply_error(mc_node *n, const mc_turn *turn, mc_error code, const char *message);
/* The handler is done and answered: the actor's next message starts. Frees the turn. */
void mc_turn_end(mc_node *n, mc_turn *turn);

/* ---- actors --------------------------------------------------------------------------------- */

/* Makes an actor in state `starting`: what arrives waits until mc_actor_ready. NULL: no memory. */
mc_actor *mc_actor_new(mc_node *n, mc_type *type);
/* As mc_actor_new, at instance 1 with a secret the host chose: the node's own actor. Only before
** any other; else NULL. */
mc_actor *mc_actor_first(mc_node *n, mc_type *type, const uint8_t secret[MC_SECRET_SIZE]);
/* The turn in which an actor that is starting runs its init. NULL: no memory. */
mc_turn *mc_actor_init(mc_node *n, mc_actor *a, const mc_turn *from);
void mc_actor_ready(mc_node *n, mc_actor *a);
/* Calls and casts to the actor wait, until each hold has been released; what runs goes on. A stop lifts
** them all, and then there are no more: false. */
bool mc_actor_hold(mc_actor *a);
void mc_actor_release(mc_node *n, mc_actor *a);
/* Ends an actor that runs no turn: what still waits in its mailbox is answered dead_actor, then it
** resigns. */
void mc_actor_end(mc_node *n, mc_actor *a);
mc_actor *mc_actor_at(const mc_node *n, const mc_address *to);
/* The place of an instance among the actors of its node, from 0 on, which no two that live share; and the
** place that the next actor will have. */
uint32_t mc_actor_index(uint64_t instance);
uint32_t mc_actor_next_index(const mc_node *n);
void mc_actor_address(const mc_actor *a, mc_address *out);

/* ---- node ----------------------------------------------------------------------------------- */

typedef struct mc_config {
  mc_host host;
  mc_language language;
  const char *name;
  size_t name_len;
  uint64_t incarnation;
  double call_timeout_ms;
} mc_config;

typedef struct mc_stats {
  uint64_t actors, tasks, pending, timers, late_replies, dead_letters, malformed, sent,
      received, decoded_bytes, mailbox, turns;
} mc_stats;

/* NULL when there is no memory or the name is not usable. */
mc_node *mc_node_new(const mc_config *config);
/* Every actor resigns, as far as none did before; only mc_node_free may follow. */
void mc_node_close(mc_node *n);
/* Closes the node and frees all. Pending waits are dropped, not settled. */
void mc_node_free(mc_node *n);
/* Bytes from a peer, cut anywhere. False: the link is malformed, drop it. */
bool mc_node_deliver(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len);
/* Fires timers, runs ready tasks for about budget_ms, sends. Returns in how many milliseconds it
** next wants to run: 0 at once, INFINITY when only bytes can wake it. */
double mc_node_step(mc_node *n, double budget_ms);
/* Both, as a host does that has a piece of bytes at a time; the clock is read once for the two. */
double mc_node_run(mc_node *n, uint32_t peer, const uint8_t *bytes, size_t len,
                   double budget_ms, bool *sound);
/* The peer is dead: its pending calls fail with code (node_down, unknown_node). */
void mc_node_peer_down(mc_node *n, uint32_t peer, mc_error code);
/* How long a call waits for which nobody chose a time; INFINITY: for ever. */
void mc_node_set_call_timeout(mc_node *n, double ms);
/* For links that carry their own hello: writes this node's, to be the first bytes sent. */
void mc_node_hello(mc_node *n, mc_buf *out);
/* The peer that a link's first bytes greet us from; the host sends to it from now on, without asking
** it to connect. UINT32_MAX and a code: MC_OK when more bytes are needed to tell, malformed,
** version_mismatch (then *version is theirs), not_permitted when that node is linked already, out_of_memory. Deliver the same
** bytes afterwards. */
uint32_t mc_node_attach(mc_node *n, const uint8_t *bytes, size_t len, mc_error *code,
                        uint64_t *version);
double mc_node_now(mc_node *n);
/* The time as the node last saw it, without asking the host. */
double mc_node_seen(const mc_node *n);
void mc_node_random(mc_node *n, void *out, size_t len);
void mc_node_stats(const mc_node *n, mc_stats *out);

#endif
