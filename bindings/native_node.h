/*
** A native node: a Lua state, its inbox and, but for w1, its thread. A link is the target's inbox, a queue
** of events behind a lock: batches of bytes, and that nodes came and went. Every send copies the batch once.
**
** Without memory: what a node cannot send or take in now it tries again soon (`stuck`), in order.
**
** native_system.c knows which nodes there are.
*/
#ifndef MC_NATIVE_NODE_H
#define MC_NATIVE_NODE_H

#include "lua_node.h"
#include "native_inbox.h"

typedef enum mc_native_state {
  MC_NATIVE_STARTING,
  MC_NATIVE_RUNNING,
  MC_NATIVE_FAILED,
  MC_NATIVE_ENDED
} mc_native_state;

typedef struct mc_native_node {
  struct mc_native_node *next;
  mc_system *system;
  mc_lua *M;
  mc_thread *thread;
  mc__lua_memory memory;
  struct mc_native_node **targets; /* by peer; only its own thread looks */
  uint32_t target_count;
  bool stuck;      /* there was no memory to go on: again soon */
  mc_event *downs; /* news of its end, one for each node that heard of its start */
  mc_event *spare; /* the last one that was read, for what is sent next */
  size_t piece;
  uint64_t sends;
  uint64_t incarnation;
  uint8_t secret[MC_SECRET_SIZE];
  char name[MC_MAX_NAME + 1];
  char why[512]; /* of a start that failed */
  mc_inbox inbox;
  mc_native_state state; /* the inbox's lock guards it */
} mc_native_node;

struct mc_system {
  mc_system_config config;
  mc_lock *lock;
  mc_native_node *nodes; /* alive, w1 first */
  mc_native_node *ended;
  mc_parcels *parcels; /* buffers on their way */
  atomic_int threads;  /* that run nodes, w1's counted */
  atomic_int awake;    /* and of these, without w1's, those that may yet do something */
  int cores;
  char *paths[2]; /* package.path and package.cpath of w1 */
  bool owns_state;
};

/* NULL: there was no memory. */
mc_native_node *mc__native_new(mc_system *s, const char *name);
void mc__native_free(mc_native_node *n);

/* Its library in this state, or in a state of its own (L: NULL). False: n->why says why not. */
bool mc__native_open(mc_native_node *n, lua_State *L);
/* Opens it, here or on a thread of its own, which then runs it, and waits until that is done. */
bool mc__native_launch(mc_native_node *n);
/* Back to before it was opened. */
void mc__native_close(mc_native_node *n, bool close_state);
/* No more events, and those that are there are dropped. */
void mc__native_shut(mc_native_node *n, mc_native_state state);

/* What arrived, then what is ready; returns when it next wants to run. */
double mc__native_turn(mc_native_node *n, double budget_ms);
void mc__native_wait(mc_native_node *n, double ms);

/* ---- native_system.c ---- */

/* NULL: it has ended, or never was. Under the system's lock. */
mc_native_node *mc__native_find(const mc_system *s, const char *name,
                                uint64_t incarnation);
/* Takes a node out of the list; the others hear of it after all that it sent. */
void mc__native_delist(mc_system *s, mc_native_node *n);

#endif
