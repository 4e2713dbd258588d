/*
** A small world for tests of the core: up to three nodes, linked in memory, under a clock that only
** the test moves, with a language whose handlers are written in C here. A handler takes one integer:
**
**   echo   returns it                    now    returns it inside `start`, without a task
**   fail   raises it                     hold   returns it when the test says so (world_release)
**   relay  calls the actor's target: relay with one less, or echo when it is 0; returns the answer
**
** Any other method does not exist; arguments other than one integer are malformed.
*/
#ifndef WORLD_H
#define WORLD_H

#include "check.h"
#include "node.h"

enum { WORLD_NODES = 3, WORLD_LOG = 20000 };

typedef struct world world;
typedef struct world_job world_job;

/* What one waits for: an answer, or leave to cast. */
typedef struct world_ask {
  mc_wait wait;
  world_job *job; /* the handler that asks, or NULL */
  int settled;    /* how often */
  bool failed;
  mc_error code;
  int64_t value; /* returned or raised */
  char message[64];
} world_ask;

/* A handler that runs. */
struct world_job {
  mc_task task; /* first */
  world_ask ask;
  mc_turn *turn;
  world_job *next; /* of its node */
  int64_t arg;
  char method[16];
  bool held;
};

typedef struct world_pipe {
  uint8_t *data;
  size_t len, cap;
} world_pipe;

typedef struct world_node {
  world *w;
  int index;
  mc_node *n; /* NULL when it is dead */
  char name[16];
  mc_type *type, *reentrant; /* "T" and "R" */
  world_job *jobs;
  world_pipe out[WORLD_NODES];
  uint32_t peer[WORLD_NODES]; /* the others, as peers of this node */
  int connects;               /* how often it opened a link */
  int sends;                  /* how often it gave bytes to one */
  int resigned;               /* actors that did */
  bool stop_now;              /* answers a stop inside `start` */
  int64_t
      log[WORLD_LOG]; /* the argument of each message that was started, -1 for a stop */
  int logged;
} world_node;

struct world {
  check_heap heap;
  world_node node[WORLD_NODES];
  int count;
  double now_ms;
  uint64_t seed;
  size_t cut;           /* bytes that arrive at once; 0: all there are */
  size_t room;          /* bytes a link takes at once; 0: all */
  int broken;           /* links found malformed */
  mc_address target[8]; /* by mc_actor.object, as its node sees it */
  int targets;
  /* Called before an answer is taken in; may be NULL. */
  void (*on_settle)(world *w, world_node *s);
};

/* A world of so many nodes; NULL (and nothing left) when an allocation failed. */
world *world_new(int count, size_t fail_at);
/* Checks that all memory came back. */
void world_free(world *w);

/* Lets everything happen that can happen without time passing. */
void world_run(world *w);
/* Moves the clock, then as world_run. */
void world_pass(world *w, double ms);
/* Delivers what is under way from one node to another, without running anybody. */
void world_deliver(world *w, int from, int to);
/* The node is gone; what it had sent arrives, then the others are told. */
void world_kill(world *w, int node);

/* An actor that is ready; NULL when there is no memory. */
mc_actor *world_spawn(world *w, int node, mc_type *type);
/* Its address as `viewer` sees it. */
mc_address world_address(world *w, int viewer, int owner, const mc_actor *a);
/* What its relay calls. */
void world_target(world *w, mc_actor *a, mc_address to);

/* Both: from node `from`, in the turn `turn` or in none. MC_OK: ask->settled tells the rest. */
mc_error world_call(world *w, int from, mc_address to, const char *method, int64_t arg,
                    mc_turn *turn, world_ask *ask);
mc_error world_stop(world *w, int from, mc_address to, world_ask *ask);
/* True: it is sent (or failed, then *error says why). False: ask waits until it may. */
bool world_cast(world *w, int from, mc_address to, const char *method, int64_t arg,
                world_ask *ask, mc_error *error);
/* A request to fill in further. */
mc_request world_request(world *w, int from, mc_message_kind kind, const mc_address *to,
                         const char *method, world_ask *ask);
/* Writes the arguments and commits. */
mc_error world_commit(world *w, int from, const mc_request *q, mc_sending *s,
                      int64_t arg);

/* The handler that holds with that argument, NULL when there is none. */
world_job *world_held(world *w, int node, int64_t arg);
/* Lets it return; it does so in the next step. */
void world_release(world *w, int node, int64_t arg);
/* How many handlers run on that node. */
int world_jobs(world *w, int node);
mc_stats world_stats(world *w, int node);

#endif
