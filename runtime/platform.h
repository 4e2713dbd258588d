/*
** What the native build asks of the operating system: a clock, random bytes, threads, and a lock
** that one can wait on. One implementation per system, platform_*.c; nothing else in the tree has
** an #ifdef for a platform. The wasm build has none of this: there the shell supplies the clock and
** the random bytes, and a worker is its own thread.
**
** Nothing here allocates behind the caller's back except the two _new and _start functions, which
** return NULL when they cannot.
*/
#ifndef MC_PLATFORM_H
#define MC_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

/* Monotonic milliseconds, from an arbitrary start that all threads share. */
double mc_platform_now_ms(void);
/* Fills len bytes that nobody can guess. */
void mc_platform_random(void *out, size_t len);
/* Processors that this process may use, at least 1. */
int mc_platform_cores(void);

/* A lock with a condition. wait releases the lock for at most ms (INFINITY: until notified), and
** returns with it held; it may return for no reason. notify wakes all, with or without the lock. */
typedef struct mc_lock mc_lock;
mc_lock *mc_lock_new(void);
void mc_lock_free(mc_lock *l);
void mc_lock_enter(mc_lock *l);
void mc_lock_leave(mc_lock *l);
void mc_lock_wait(mc_lock *l, double ms);
void mc_lock_notify(mc_lock *l);

/* A thread that runs fn(ud) and ends. Every started thread is joined once. */
typedef struct mc_thread mc_thread;
mc_thread *mc_thread_start(void (*fn)(void *ud), void *ud);
void mc_thread_join(mc_thread *t);

#endif
