/*
** What a native node has received and not yet read: a queue of events behind a lock. Anybody pushes,
** the node's own thread takes and waits.
**
** A wait looks again for some microseconds before it sleeps, as long as that pays: two threads that
** answer each other, each on a processor of its own, then never sleep. See also worker-shell/spin.js.
*/
#ifndef MC_NATIVE_INBOX_H
#define MC_NATIVE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"

typedef enum mc_event_kind { MC_EVENT_DATA, MC_EVENT_UP, MC_EVENT_DOWN } mc_event_kind;

typedef struct mc_event {
  struct mc_event *next;
  mc_event_kind kind;
  void *about; /* the node that sent, came or went */
  size_t len, cap;
  uint8_t bytes[];
} mc_event;

typedef struct mc_inbox {
  mc_lock *lock; /* guards what follows, and what the owner puts under it */
  mc_event *first, **last;
  bool closed;       /* no more events */
  bool waiting;      /* its thread sleeps */
  bool asleep;       /* and only an event can wake it: not counted in `awake` */
  atomic_int *awake; /* threads, of all inboxes, that may yet push something */
  atomic_uint rings; /* how often there was something new */
  atomic_bool stop;  /* does not wait any more */
  /* its own thread's */
  unsigned seen;
  unsigned failures, rest, resting;
} mc_inbox;

/* awake: borrowed; whoever starts and ends threads counts them there. False: there was no memory. */
bool mc__inbox_init(mc_inbox *b, atomic_int *awake);
void mc__inbox_fini(mc_inbox *b);

/* NULL: there was no memory. */
mc_event *mc__event_new(mc_event_kind kind, void *about, const void *bytes, size_t len,
                        size_t cap);
void mc__event_fill(mc_event *e, mc_event_kind kind, void *about, const void *bytes,
                    size_t len);

/* Takes the event; false, and it is freed, when the inbox is closed. */
bool mc__inbox_push(mc_inbox *b, mc_event *e);
/* All that is there, in order. */
mc_event *mc__inbox_take(mc_inbox *b);
/* Puts events back before those that came meanwhile. */
void mc__inbox_put_back(mc_inbox *b, mc_event *list);
/* For its own thread: whether there may be any. */
bool mc__inbox_has_events(const mc_inbox *b);
/* Until there are events, or the time is over, or it is told to stop. spin: looks before it sleeps. */
void mc__inbox_wait(mc_inbox *b, double ms, bool spin);
/* Drops what is there and takes no more. */
void mc__inbox_close(mc_inbox *b);
void mc__inbox_stop(mc_inbox *b);
bool mc__inbox_stopped(const mc_inbox *b);

#endif
