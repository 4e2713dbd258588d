/* platform.h on POSIX threads and the clocks and random bytes of Linux and the BSDs. */
#include "platform.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct mc_lock {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
};

struct mc_thread {
  pthread_t id;
  void (*fn)(void *ud);
  void *ud;
};

double mc_platform_now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int getentropy(void *buffer,
               size_t len); /* in libc, declared for other standards than ours */

void mc_platform_random(void *out, size_t len) {
  char *to = out;
  for (size_t part; len; len -= part, to += part) {
    part = len < 256 ? len : 256;
    if (getentropy(to, part) != 0)
      abort(); /* without random bytes no reference is safe */
  }
}

int mc_platform_cores(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : (int)n;
}

mc_lock *mc_lock_new(void) {
  mc_lock *l = malloc(sizeof *l);
  pthread_condattr_t attr;
  if (!l) return NULL;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&l->cond, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&l->mutex, NULL);
  return l;
}

void mc_lock_free(mc_lock *l) {
  if (!l) return;
  pthread_cond_destroy(&l->cond);
  pthread_mutex_destroy(&l->mutex);
  free(l);
}

void mc_lock_enter(mc_lock *l) { pthread_mutex_lock(&l->mutex); }
void mc_lock_leave(mc_lock *l) { pthread_mutex_unlock(&l->mutex); }
void mc_lock_notify(mc_lock *l) { pthread_cond_broadcast(&l->cond); }

void mc_lock_wait(mc_lock *l, double ms) {
  if (isinf(ms)) {
    pthread_cond_wait(&l->cond, &l->mutex);
    return;
  }
  double until = mc_platform_now_ms() + ms;
  struct timespec ts = {(time_t)(until / 1e3), (long)(fmod(until, 1e3) * 1e6)};
  pthread_cond_timedwait(&l->cond, &l->mutex, &ts);
}

static void *run_thread(void *ud) {
  mc_thread *t = ud;
  t->fn(t->ud);
  return NULL;
}

mc_thread *mc_thread_start(void (*fn)(void *ud), void *ud) {
  mc_thread *t = malloc(sizeof *t);
  if (!t) return NULL;
  t->fn = fn;
  t->ud = ud;
  if (pthread_create(&t->id, NULL, run_thread, t) == 0) return t;
  free(t);
  return NULL;
}

void mc_thread_join(mc_thread *t) {
  pthread_join(t->id, NULL);
  free(t);
}
