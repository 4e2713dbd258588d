/* What the files of the Lua binding, lua_*.c, share. One mc_lua is one Lua state with one node of the core. */
#ifndef MC_LUA_NODE_H
#define MC_LUA_NODE_H

#include <lua.h>

#include "mooncast.h"
#include "mooncast_lua.h"

/* What lua/patches/leave.patch adds, for a Lua without it: the same, but slower in wasm. A C function
** returns at once what these return. */
#ifndef LUA_LEAVES
#define lua_yieldleave(L, n, ctx, k) lua_yieldk(L, n, ctx, k)
#define lua_pcallleave(L, n, errfunc, ctx, k) \
  (k)(L, lua_pcallk(L, n, LUA_MULTRET, errfunc, ctx, k), ctx)
#endif

typedef struct mc_lua mc_lua;

/* A coroutine that the scheduler runs. Tasks that ended are kept with their coroutine and used
** again. What a task awaits settles onto the stack of `parked`, the innermost coroutine. */
typedef struct mc_lua_task mc_lua_task;
typedef struct mc_lua_handle mc_lua_handle;
typedef struct mc_lua_hold mc_lua_hold;
typedef struct mc_unheard mc_unheard;
typedef struct mc_lua_buffer mc_lua_buffer;
typedef struct mc_lua_parked mc_lua_parked;
typedef struct mc_parcels mc_parcels;
typedef struct mc_block mc_block;

/* One task's wait for the end of another: stands in the list of the other's handle. */
typedef struct mc_joint {
  struct mc_joint *next;
  mc_lua_task *task;     /* who waits */
  mc_lua_handle *handle; /* for whom; NULL when it is in no list */
} mc_joint;

/* What a task awaits. */
typedef enum mc_lua_await {
  MC_AWAIT_NOTHING,
  MC_AWAIT_CALL,
  MC_AWAIT_ROOM, /* to cast */
  MC_AWAIT_SLEEP,
  MC_AWAIT_TASK,
  MC_AWAIT_ANY, /* of several tasks */
  MC_AWAIT_INIT,
  MC_AWAIT_EACH, /* the next of several tasks, of which it wants all */
  MC_AWAIT_TURN, /* preempted: it could go on */
} mc_lua_await;

/* A version of a type. It stands in the registry once for all actors that were made from it. User value:
** what it looked like when core.set_class_version told its version, or true when that does not matter. */
typedef struct mc_lua_class {
  const void *mark;
  mc_type *type;
  int reference; /* LUA_NOREF as long as there are none */
  uint64_t count;
  lua_Integer version;
} mc_lua_class;

struct mc_lua_task {
  mc_task base; /* first */
  mc_wait wait;
  mc_timer timer; /* of a sleep; of how long a call that was cancelled may take to tell */
  mc_timer limit; /* of the deadline, while it awaits */
  mc_lua_task *next;               /* free ones */
  mc_lua_task *live, *live_before; /* all that are not */
  lua_State *co;
  int co_ref;
  /* All before is as it has to be when a task ends, all from here on starts as zero. */
  mc_lua_task *owner; /* whose end cancels this one, or NULL */
  mc_lua_task *children, *sibling, *sibling_before;
  mc_lua_task *maker;    /* who awaits the actor that this one makes */
  mc_joint one, *joints; /* whom it awaits: itself for one, or several on its stack */
  int njoints;
  mc_turn *turn;    /* of the handler that it runs, or NULL */
  mc_actor *making; /* runs the init of this actor */
  mc_made made;     /* the actor elsewhere that it got; instance 0: none */
  mc_lua_handle *handle;
  mc_lua_hold *holds; /* that it opened, as far as they are not collected */
  mc_actor *held;     /* the actor they are on; NULL when it is gone */
  unsigned hold_count;
  mc_actor *loose;   /* made by spawn_task in a handler of this actor, or NULL */
  lua_State *parked; /* where it awaits, NULL while it runs */
  int nargs;         /* to pass to the first resume */
  int nvalues;       /* settled onto parked */
  mc_error code;     /* failed without a value: there was no memory for one */
  int blocked;       /* C calls on its stack that no await can cross */
  bool failed;       /* the one value settled is an error */
  bool settled;
  bool raised;       /* it ended with an error, on top of its coroutine */
  bool no_memory;    /* and that was for want of memory */
  bool keeps_object; /* the object of its handler's actor is kept with it */
  bool keeps_class;  /* and the version of its type that it runs */
  char trace;        /* its address is the registry key of where it raised */
  bool traced;       /* M->traces has something of it */
  bool fresh;        /* did not run yet */
  bool cancelled;    /* somebody wants it to end */
  bool unstarted;    /* it ended before its first step */
  bool told;         /* and it has heard so: an await has raised */
  bool expired;      /* what it heard is that the deadline passed which it was given */
  bool late;   /* heard that a deadline of its own passed: it is the grace's end now */
  bool ending; /* returned or raised, and waits for its children to end */
  bool keeps_none; /* its children outlive it */
  int end_status, end_n;
  mc_lua_await awaits;
  uint64_t walked;    /* the last search for a cycle that came by */
  double since_ms;    /* when it began to await */
  double deadline_ms; /* of what it does, INFINITY when there is none */
  double given_ms;    /* the one that it started with */
  bool is_root;       /* stands for code that runs outside the scheduler, and blocks */
  double timeout_ms;  /* chosen by mc.with, negative when not */
  int codec;          /* number of the one that its calls use; 0: the node's */
  bool
      packed; /* its message came in a codec, and so goes its error: see lua_intercept.c */
  mc_error refused;    /* what it raises is the system's answer with this code */
  const char *letters; /* the declared results of its handler, or NULL: lua_signature.c */
  /* What calls of the task carry along: the trace, 0 when none, and the bytes of what TASK_CONTEXT of
  ** its anchor holds, NULL when nothing. */
  uint64_t trace_id;
  const char *context;
  size_t context_len;
  /* what is awaited, for messages */
  const mc_type *call_type;
  const char *call_method;
  uint32_t call_peer;
};

/* What mc.async returns. Its user value holds the results once the task is done; until then it holds the
** function that made it, and the task keeps it alive. */
struct mc_lua_handle {
  mc_lua_task *task; /* NULL when done */
  mc_joint *joints;  /* who awaits it */
  int nresults;
  mc_error code; /* failed without a value */
  bool failed, observed, cancelled;
  uint64_t trace_id;          /* of a task that failed */
  int line;                   /* of the maker, 0 when there is none */
  struct mc_unheard *unheard; /* its error was not heard: lua_explain.c */
};

/* How many values stand on the coroutine of a new task below its function: see lua_task.c. */
enum { MC_TASK_BASE = 2 };

typedef struct mc_lua_ref {
  const void *mark; /* see mc__lua_test_ref */
  mc_address to;
  mc_type *type;
} mc_lua_ref;

enum { MC_PASSABLE = 8 };

/* The moments of an actor's life that mc.on tells of. */
typedef enum mc_lua_event {
  MC_ON_ASSIGN,
  MC_ON_READY,
  MC_ON_RESIGN,
  MC_ON_COUNT
} mc_lua_event;

/* An allocator for lua_newstate that keeps to `max` bytes, unless that is 0. */
typedef struct mc__lua_memory {
  size_t used, max;
} mc__lua_memory;

/* A string that came as a key of a table: lua_read.c. */
enum { MC_KEYS = 128, MC_KEY_BYTES = 27 };
typedef struct mc_lua_key {
  int string;  /* registry reference */
  uint8_t len; /* 0: none */
  char bytes[MC_KEY_BYTES];
} mc_lua_key;

struct mc_lua {
  mc_node *node;
  mc_host host;           /* the node's, but for links made in Lua */
  int transports;         /* registry reference; 0 until there is one */
  lua_State *L;           /* the main thread */
  mc__lua_memory *memory; /* of the state; NULL when it is the caller's */
  mc_lua_task *current;
  mc_lua_task *free_tasks, *live;
  uint64_t loose; /* tasks that only the end of their actor cancels */
  mc_lua_task root;
  lua_State *root_at;  /* where the root awaits, or NULL */
  mc_unheard *unheard; /* of tasks whose error nobody heard */
  uint64_t walks;      /* searches for cycles */
  bool explaining;     /* code outside of tasks asks why it can never go on */
  int depth;           /* direct calls nested in one another */
  bool around;         /* something may stand around calls: lua_intercept.c */
  bool intercepted, codecs_used;
  bool encoding;  /* a user's encode function or hook runs: it cannot await */
  uint64_t tasks; /* alive */
  mc_buf
      out; /* values on their way to a string: from where it ended before, see lua_value.c */
  mc_lua_key keys[MC_KEYS];            /* each where its bytes say */
  lua_CFunction passable[MC_PASSABLE]; /* C functions that awaits can cross */
  /* registry references */
  uint64_t ref_seed; /* of the hash by which refs are found */
  int error_meta, refs, own_refs, map_meta, bytes_meta, codecs, traces, explain, handles;
  int around_call, around_handler, packed_meta;
  int codec;           /* number of the one that calls use by default */
  int on[MC_ON_COUNT]; /* the functions of mc.on, 0 when there is none */
  int objects, lives;  /* of actors that references keep: lua_life.c */
  mc_actor *orphans;   /* the ones among them that nobody refers to any more */
  mc_task reaper;      /* stops them */
  mc_timer reap_timer;
  uint64_t holds; /* that are open */
  int asides;     /* the functions of mc.whenlocal, by the task that waits; weak */
  /* buffers: see lua_buffer.c */
  mc_lua_buffer *moving;
  mc_lua_parked *parked;
  int level;     /* of sends inside of sends */
  size_t unseen; /* bytes that Lua's collector was not told of */
  mc_parcels
      *parcels; /* of all nodes that share this memory; NULL until there are some */
  mc_parcels *own_parcels; /* the same, when they are of this node alone */
  bool (*is_near)(mc_lua *M, uint32_t peer); /* shares this memory; NULL: no other node */
  /* Lets the world go on while code outside the scheduler awaits; false: nothing ever will. */
  bool (*pump)(mc_lua *M);
  void *pump_ud;
  void (*log)(mc_lua *M, int level, const char *text, size_t len);
  void *host_ud;
};

/* lua_node.c */
void *mc__lua_alloc(void *memory, void *ptr, size_t osize, size_t nsize);
/* The memory behind it, which does not count: as lua_Alloc, but osize is 0 for a new block. */
void *mc__lua_resize(void *block, size_t osize, size_t nsize);
/* Raises when the node is closed; peek returns NULL then. */
mc_lua *mc__lua_of(lua_State *L);
mc_lua *mc__lua_peek(lua_State *L);
/* A coroutine that waits for what will go on by itself; noted in its extra space. */
bool mc__lua_is_parked(lua_State *co);
void mc__lua_set_parked(lua_State *co, bool parked);
/* Calls f with light userdata arg: no error leaves it. False: f raised, for want of memory as a rule,
** and what it raised is dropped. L is the state that runs, or the main one: see the top of lua_node.c. */
bool mc__lua_try(lua_State *L, lua_CFunction f, void *arg);
/* The same with one result, pushed on L: what f returned or, when false, what it raised. */
bool mc__lua_try_push(lua_State *L, lua_CFunction f, void *arg);
/* The same with all results: how many were pushed, or -1. */
int mc__lua_try_values(lua_State *L, lua_CFunction f, void *arg);
/* Opens the binding in a state: the module tables are then in package.preload. NULL, and what was
** raised (nil: there is no memory) on the stack, when it cannot. host: alloc, now_ms, random, connect, send. */
mc_lua *mc__lua_open(lua_State *L, const mc_host *host, const char *name, size_t name_len,
                     uint64_t incarnation, double call_timeout_ms);
void mc__lua_close(mc_lua *M);
/* Pushes the table mooncast.core. */
void mc__lua_push_core(lua_State *L);
/* Neither raises: running out of memory fails the one message that needed it. */
bool mc__lua_deliver(mc_lua *M, uint32_t peer, const uint8_t *bytes, size_t len);
double mc__lua_step(mc_lua *M, double budget_ms);
double mc__lua_run(mc_lua *M, uint32_t peer, const uint8_t *bytes, size_t len,
                   double budget_ms, bool *sound);
void mc__lua_log(mc_lua *M, int level, const char *text);
/* Logs `what: ` and the value on top of L, as far as there is memory, and pops it. */
void mc__lua_log_value(mc_lua *M, int level, lua_State *L, const char *what);

/* lua_write.c, lua_read.c, lua_value.c: 0 on success, else a code; why not (with the path) stands in `why`. */
typedef struct mc_lua_why {
  char text[320];
} mc_lua_why;

/* `to` is the peer that will read it, or nobody: then buffers are copied. After it, failed or not,
** mc__lua_sent says what became of the message. */
#define MC_NOWHERE UINT32_MAX
mc_error mc__lua_write(mc_lua *M, lua_State *L, int index, mc_buf *out, uint32_t to,
                       const char *place, int i, mc_lua_why *why);
/* `count` values from index on, as an array; `place` names them: "arguments", "results". */
mc_error mc__lua_write_all(mc_lua *M, lua_State *L, int index, int count, mc_buf *out,
                           uint32_t to, const char *place, mc_lua_why *why);
/* Says so, and returns the code. */
mc_error mc__lua_no_memory(mc_lua_why *why);
/* Pushes the string when it is one of the last that came as keys or methods. Never raises. */
bool mc__lua_push_known(mc_lua *M, lua_State *L, const char *s, size_t len);
/* Pushes a string that may be known the next time. */
void mc__lua_push_key(mc_lua *M, lua_State *L, const char *s, size_t len);
/* Pushes one value, or nothing and returns a code. Raises only for want of memory. */
mc_error mc__lua_read(mc_lua *M, lua_State *L, mc_reader *r, mc_lua_why *why);
/* Pushes the values of an array that ends the reader's bytes. */
mc_error mc__lua_read_all(mc_lua *M, lua_State *L, mc_reader *r, int *count,
                          mc_lua_why *why);
enum { MC_FEW_VALUES = 8 }; /* for which a stack has room as it is */
/* The same for a few values of which none takes memory, where the stack has room for them; negative, and
** nothing is pushed or read, when they are others. A string takes none when it is known. Never raises. */
int mc__lua_read_plain(mc_lua *M, lua_State *L, mc_reader *r);
/* The same value for both sides when it is given from one to the other. */
bool mc__lua_is_plain(lua_State *L, int index);
/* Copies values between coroutines of one node as sending them would; L is the one that runs, or the
** main one. Never raises. */
mc_error mc__lua_copy(mc_lua *M, lua_State *L, lua_State *from, int index, int count,
                      lua_State *to, const char *place, mc_lua_why *why);
void mc__lua_open_value(lua_State *L, mc_lua *M);

/* lua_error.c */
void mc__lua_push_error(mc_lua *M, lua_State *L, mc_error code, const char *message);
int mc__lua_raise(lua_State *L, mc_error code, const char *format, ...);
/* Pushes the error of a node (`who`) that speaks another version of the wire. */
void mc__lua_push_versions(mc_lua *M, lua_State *L, const char *who, uint64_t theirs);
/* The message of what went wrong with the call that a task awaits. */
void mc__lua_push_call_error(mc_lua *M, lua_State *L, const mc_lua_task *t, mc_error code,
                             const char *detail, size_t len);
/* MC_OK when it is the name of none. */
mc_error mc__lua_code_named(const char *name);
bool mc__lua_is_error(mc_lua *M, lua_State *L, int index);
/* The error on top of co is our own with that code. */
bool mc__lua_is_own(mc_lua *M, lua_State *co, const char *code);
/* Keeps the traceback of the error value at index for mc.traceback in that task. */
void mc__lua_keep_trace(mc_lua *M, lua_State *L, mc_lua_task *t, int value,
                        const char *trace, size_t len);
/* The same as far as there is memory; the value is on top of `from`. trace may be NULL. */
void mc__lua_try_keep_trace(mc_lua *M, lua_State *L, mc_lua_task *t, lua_State *from,
                            const char *trace, size_t len);
/* The coroutine of t has raised. Pushes the traceback on L, with that of the call it came from, or nil
** when there is no memory; closes the coroutine, which gives back what it held. The error is then all
** that stands on it. */
void mc__lua_failed(mc_lua *M, lua_State *L, mc_lua_task *t);
/* Pushes the value on top of co as text on L, or nil. Never raises. */
void mc__lua_push_text(lua_State *L, lua_State *co);
void mc__lua_open_error(lua_State *L, mc_lua *M);

/* lua_ref.c */
mc_lua_ref *mc__lua_test_ref(lua_State *L, int index);
mc_lua_ref *mc__lua_check_ref(lua_State *L, int index);
void mc__lua_push_ref(mc_lua *M, lua_State *L, const mc_address *to, mc_type *type);
/* The same for a new actor, with room for one user value. */
void mc__lua_push_holding_ref(mc_lua *M, lua_State *L, const mc_address *to,
                              mc_type *type);
/* Pushes a reference without an address, and stands the one at an index where that of the actor is looked
** for which will be made next: nothing that collects garbage may come before that. */
mc_lua_ref *mc__lua_new_ref(lua_State *L, mc_type *type);
void mc__lua_place_ref(mc_lua *M, lua_State *L, int ref);
/* A new definition: references look their methods up again. */
void mc__lua_forget_methods(lua_State *L, mc_type *type);
void mc__lua_open_ref(lua_State *L, mc_lua *M);

/* lua_task.c */
/* What anchors a task, the table at its co_ref: its userdata, its coroutine, the handle while it runs,
** what its calls carry along, the version of its actor's type if that has another now. */
enum { TASK_SELF = 1, TASK_CO, TASK_HANDLE, TASK_CONTEXT, TASK_CLASS };
/* L is the state that runs: it raises when there is no memory. */
mc_lua_task *mc__lua_task_new(mc_lua *M, lua_State *L);
/* The same for the next one: that cannot fail then. */
void mc__lua_task_reserve(mc_lua *M, lua_State *L);
/* Back to the free ones; clears its coroutine. */
void mc__lua_task_free(mc_lua *M, mc_lua_task *t);
/* The task that runs, or the root. */
mc_lua_task *mc__lua_task_current(mc_lua *M);
/* The end of a task: with children that still run, once those have ended. */
void mc__lua_end(mc_lua *M, mc_lua_task *t, int status, int nresults);
/* Runs a coroutine's first resume inside the caller. LUA_YIELD: it awaits. */
int mc__lua_task_run(mc_lua *M, lua_State *from, mc_lua_task *t, int nargs,
                     int *nresults);
void mc__lua_resume(void *ud, mc_task *task);
/* The task goes on; returns how many values settled onto the coroutine where it waited. */
int mc__lua_unpark(mc_lua_task *t);
/* Keeps the handle at that index with its task; 0: no longer. */
void mc__lua_set_handle(lua_State *L, const mc_lua_task *t, int handle);
void mc__lua_open_task(lua_State *L, mc_lua *M);

/* lua_await.c */
/* Raises cannot_await, with what to do, where an await cannot be. */
void mc__lua_check_await(lua_State *L, mc_lua *M, const char *what);
/* Awaits what settles the current task; k then calls mc__lua_awaited. */
int mc__lua_await(lua_State *L, mc_lua *M, mc_lua_await what, lua_KFunction k,
                  lua_KContext ctx);
/* Raises what failed, or returns how many values were settled on top of the stack. */
int mc__lua_awaited(lua_State *L, mc_lua *M);
/* The values are on t->parked: it can go on. */
void mc__lua_wake(mc_lua *M, mc_lua_task *t, int nvalues, bool failed);
/* There was no memory for what it awaited. */
void mc__lua_wake_failed(mc_lua *M, mc_lua_task *t, mc_error code);
/* Asks a task to end: it never starts, or its next await (or the one it is in) raises `cancelled`. */
void mc__lua_cancel(mc_lua *M, mc_lua_task *t);
void mc__lua_cancel_turn(void *ud, mc_turn *turn);
void mc__lua_awaits(void *ud, const mc_turn *turn,
                    void (*visit)(void *arg, const mc_wait *wait), void *arg);
/* The actor ended: so do the tasks that its handlers left behind. */
void mc__lua_cancel_loose(mc_lua *M, const mc_actor *a);
/* Cancellation is heard now; what cleans up may take its time. */
void mc__lua_tell(mc_lua_task *t);
/* The task hears of a timeout. If that is its deadline's, it is told this once. */
void mc__lua_expire(mc_lua *M, mc_lua_task *t);
/* Milliseconds that a call of the task may take at most; negative: the node's default. */
double mc__lua_time_left(mc_lua *M, const mc_lua_task *t);
/* Whether code outside of tasks may await here. */
bool mc__lua_root_can_await(lua_State *L, mc_lua *M);

/* lua_context.c */
/* What `t` carries is what `from` does. Takes no memory, nothing of the task's before is kept. */
void mc__lua_inherit(lua_State *L, mc_lua_task *t, const mc_lua_task *from);
/* The same for what came with a message, checked. Raises only for want of memory. */
mc_error mc__lua_carry(lua_State *L, mc_lua *M, mc_lua_task *t, const mc_turn *turn,
                       mc_lua_why *why);
/* Pushes which trace it was, for a line of the log: the empty string when there is none. */
const char *mc__lua_push_traced(lua_State *L, uint64_t trace_id);
void mc__lua_open_context(lua_State *L);

/* lua_explain.c */
/* Notes in a new handle who calls the C function that runs. */
void mc__lua_note_maker(lua_State *L, mc_lua_handle *h, int handle);
/* Pushes file:line of who made the task; only before it has ended. */
void mc__lua_push_made(lua_State *L, const mc_lua_handle *h, int handle);
/* Its error is told when that owner ends, unless it is heard before. */
void mc__lua_unheard(mc_lua *M, mc_lua_handle *h, const void *owner);
void mc__lua_heard(mc_lua *M, mc_lua_handle *h);
/* Lets the handle be found, as long as something refers to it. */
void mc__lua_keep_handle(mc_lua *M, lua_State *L, const mc_lua_handle *h, int handle);
/* That owner has ended. */
void mc__lua_tell_unheard(mc_lua *M, const void *owner);
void mc__lua_close_unheard(mc_lua *M);
int mc__lua_handle_gc(lua_State *L);
/* Raises `deadlock` when the task waits for the one that runs. */
void mc__lua_check_cycle(lua_State *L, mc_lua *M, mc_lua_task *t);
void mc__lua_open_explain(lua_State *L, mc_lua *M);

/* lua_async.c, lua_coroutine.c */
void mc__lua_open_async(lua_State *L);
void mc__lua_open_coroutine(lua_State *L);

/* lua_preempt.c */
void mc__lua_open_preempt(lua_State *L);

/* lua_call.c */
void mc__lua_settle(void *ud, mc_wait *wait, const mc_outcome *outcome);
int mc__lua_call_method(lua_State *L);
/* Asks the own actor of another node to spawn, with the values from `first` to the top for init, and awaits
** the answer: k, with the class's type for context, then calls mc__lua_awaited. Raises what prevents that. */
int mc__lua_call_spawn(lua_State *L, mc_lua *M, const mc_lua_ref *ref,
                       const mc_lua_class *class, int first, lua_KFunction k);
void mc__lua_open_call(lua_State *L, mc_lua *M);

/* lua_handler.c */
/* Why a message to an actor that nobody refers to is refused. */
extern const char mc__lua_orphan[];
/* Pushes something, the handler's function of the name at that index, and self; else says what there is
** none of. */
mc_error mc__lua_push_handler(mc_lua *M, lua_State *L, const mc_actor *a, int name);
void mc__lua_start(void *ud, mc_turn *turn, mc_reader *arguments);
/* Whether a cast with the values from `first` to the top needs no copies nor anything else that takes memory
** when its actor is idle. */
bool mc__lua_can_start_here(lua_State *L, mc_lua *M, const mc_type *type, int first);
/* Starts the handler of such a cast by the running task, its name and arguments on L; the task for it was
** reserved. Never raises. */
void mc__lua_start_here(lua_State *L, mc_lua *M, mc_turn *turn, int name, int first);
/* Answers and ends the turn of a task whose coroutine returned or raised; then the traceback is on
** top of the main state. */
void mc__lua_finish_turn(mc_lua *M, mc_lua_task *t, bool raised, int nresults);

/* lua_transport.c */
/* The host's send, with a link made in Lua instead where there is one. ud: the mc_lua. */
/* The peer is behind such a link. */
bool mc__lua_has_transport(mc_lua *M, uint32_t peer);
size_t mc__lua_send(void *ud, uint32_t peer, const uint8_t *bytes, size_t len);
void mc__lua_open_transport(lua_State *L);

/* lua_signature.c */
/* Where the metatable of a type keeps what is declared of its methods, the metatable of its actors, and its
** mc_lua_class. */
enum { MC_SIGNATURES = 1, MC_LISTED_ERRORS, MC_INSTANCE, MC_CLASS };
/* What is declared of the method whose name stands at that index, or NULL. Valid while the actor lives.
** Never raises. */
const char *mc__lua_signature(lua_State *L, const mc_actor *a, int method);
mc_error mc__lua_check_arguments(lua_State *L, const char *letters, int first, int count,
                                 mc_lua_why *why);
mc_error mc__lua_check_results(lua_State *L, const char *letters, int first, int count,
                               mc_lua_why *why);

/* lua_intercept.c */
bool mc__lua_is_around_call(mc_lua *M, const mc_lua_ref *ref);
/* The value is what a codec made of arguments, results or an error. */
bool mc__lua_is_packed(mc_lua *M, lua_State *L, int index);
/* Packs what the task raised, on top of its coroutine. False: that failed, and why stands there. */
bool mc__lua_pack_error(mc_lua *M, mc_lua_task *t);
void mc__lua_unpack(lua_State *L, mc_lua_task *t);
/* Makes a request by what stands around it; the reference stands at 1, the name of the method at
** `method`, arguments are the values from `first` to the top. Returns the number of results. */
int mc__lua_call_around(lua_State *L, mc_lua *M, const char *kind, int method, int first);
/* The handler, self and arguments are all that stands on the task's coroutine, with room for more:
** puts what stands around handlers below them and returns how many values that are. The name of the
** method stands at an index of L. Never raises. */
int mc__lua_wrap_handler(mc_lua *M, mc_lua_task *t, lua_State *L, int method);
void mc__lua_open_intercept(lua_State *L, mc_lua *M);

/* lua_life.c */
/* Pushes the object of an actor, or nil (false) when it is being collected. */
bool mc__lua_push_object(mc_lua *M, lua_State *L, const mc_actor *a);
/* Nobody refers to the actor any more: it ends. */
bool mc__lua_is_orphan(mc_lua *M, lua_State *L, const mc_actor *a);
/* Puts the one reference of a new actor, which keeps it, in the place of its object on top of the stack.
** In the registry, at a->object, then stands false. When it raises, nothing has changed. */
void mc__lua_push_life(mc_lua *M, lua_State *L, mc_actor *a);
/* Keeps the actor, whose handler the task runs, up to the task's end. */
void mc__lua_keep_object(mc_lua *M, lua_State *L, mc_lua_task *t, const mc_actor *a);
/* Stops some of those that nobody refers to. */
void mc__lua_reap(mc_lua *M);
/* Nobody will know the actor, though references may be left: it is one of those. */
void mc__lua_reap_soon(mc_lua *M, mc_actor *a);
/* The stop of such an actor failed for want of memory. */
void mc__lua_reap_later(mc_lua *M, mc_actor *a);
void mc__lua_life_over(mc_lua *M, mc_actor *a);
/* A new table, at what it returns in the registry. */
int mc__lua_weak_table(lua_State *L, const char *mode);
void mc__lua_open_life(lua_State *L, mc_lua *M);
/* lua_redaction.c */
/* The coroutine of t has raised what is on top of it, and its traceback (or nil) is on top of L. When the
** type of its actor has a list of errors and this is none of them, another error takes its place, the
** traceback is nil, and the node's log has both. Never raises. */
void mc__lua_redact(mc_lua *M, lua_State *L, mc_lua_task *t);

/* lua_parcel.c: blocks are counted references to bytes, which any thread may drop */
mc_block *mc__block_new(size_t size);
uint8_t *mc__block_bytes(mc_block *b, size_t *size);
bool mc__block_is_shared(const mc_block *b);
void mc__block_share(mc_block *b);
void mc__block_drop(mc_block *b);
mc_parcels *mc__parcels_new(void);
bool mc__parcel_add(mc_parcels *p, mc_block *b, uint64_t to, const uint8_t *token);
/* The block under that name for that node, which the caller drops; or NULL. */
mc_block *mc__parcel_take(mc_parcels *p, uint64_t to, const uint8_t *token);
size_t mc__parcels_count(const mc_parcels *p);
/* The node is gone. */
void mc__parcels_drop(mc_parcels *p, uint64_t to);
void mc__parcels_free(mc_parcels *p);

/* lua_buffer.c */
mc_lua_buffer *mc__lua_test_buffer(lua_State *L, int index);
mc_error mc__lua_write_buffer(mc_lua *M, mc_lua_buffer *b, mc_buf *out, uint32_t to,
                              const char **why);
/* `moved`: the handles in the message are dead. `arrived`: somebody may read it. */
void mc__lua_settle_buffers(mc_lua *M, bool moved, bool arrived);
/* The message was sent (MC_OK), or was not. A dead actor of this node counts as sent, as elsewhere. */
static inline void mc__lua_sent(mc_lua *M, mc_error code) {
  if (M->moving || M->parked)
    mc__lua_settle_buffers(M, !code || code == MC_E_DEAD_ACTOR, !code);
}
/* False, with something pushed: no memory. */
bool mc__lua_push_buffer(mc_lua *M, lua_State *L, const void *from, size_t len);
mc_error mc__lua_push_parcel(mc_lua *M, lua_State *L, const uint8_t *token);
void mc__lua_discard(void *ud, const uint8_t *values, size_t len);
void mc__lua_close_buffers(mc_lua *M);
void mc__lua_open_buffer(lua_State *L);

/* lua_hold.c */
/* The task ends: so do its holds. */
void mc__lua_release_all(mc_lua *M, mc_lua_task *t);
/* The actor is gone. */
void mc__lua_holds_over(mc_lua *M, const mc_actor *a);
void mc__lua_open_hold(lua_State *L);

/* lua_class.c */
/* Pushes the metatable of the class at index, or nothing and returns NULL: it is none. */
mc_lua_class *mc__lua_push_class_meta(lua_State *L, int index);
/* Raises when there is none at that index. */
mc_type *mc__lua_check_class(lua_State *L, int index);
/* Where the class stands in the registry, for an actor that will be counted; the next two count. Raise when
** there is no memory. */
int mc__lua_class_reference(lua_State *L, int index, mc_lua_class *class);
int mc__lua_hold_class(lua_State *L, int index);
void mc__lua_drop_class(lua_State *L, int klass);
/* Pushes the metatable of a class that has a version; or nothing and returns NULL: it was changed since, or is
** none. */
mc_lua_class *mc__lua_unchanged(lua_State *L, int klass);
void mc__lua_open_class(lua_State *L);

/* lua_actor.c */
bool mc__lua_exposed(const char *name, size_t len);
/* The task is over: the version that it ran is not kept for it any more. */
void mc__lua_leave_class(lua_State *L, mc_lua_task *t);
void mc__lua_finish_init(mc_lua *M, mc_lua_task *t, bool raised);
void mc__lua_resign(void *ud, mc_actor *actor);
/* A new actor of the class at that index, whose metatable is on top and which has no init, without the
** reference that others have; or raises. mc.on is not told. */
mc_actor *mc__lua_make(lua_State *L, mc_lua *M, mc_lua_class *class, int klass);
void mc__lua_open_actor(lua_State *L, mc_lua *M);

/* lua_spawn.c */
/* Answers a spawn that needs no task: the type stands here, in the version that the message says, and has no
** init. False, and nothing was done, when it is otherwise. */
bool mc__lua_spawn_at_once(mc_lua *M, mc_turn *turn, const mc_reader *arguments);
/* Whether the result of the handler is a new actor that nobody but the caller will know: `spawn`, which
** core.spawn_there asks for, or another whose name begins so. */
enum { MC_SPAWN_LEN = 5 };
bool mc__lua_spawns(const mc_turn *turn);
/* The answer to core.spawn_there. */
void mc__lua_write_spawned(mc_lua *M, mc_buf *out, const mc_address *at);
/* It could not be told: the actor is stopped. */
void mc__lua_unmake(mc_lua *M, const mc_address *at);
void mc__lua_open_spawn(lua_State *L);

#endif
