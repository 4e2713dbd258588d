/*
** The harness of the C tests: checks that say where they failed, a list of tests with titles, and
** an allocator that counts, verifies the sizes it is told, moves every block that grows and can
** fail at any one allocation.
*/
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns whether it held. */
#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(actual, expected) \
  check_int((int64_t)(actual), (int64_t)(expected), #actual, __FILE__, __LINE__)
#define CHECK_TEXT(actual, expected) \
  check_text((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_HEX(bytes, len, hex) \
  check_hex((bytes), (len), (hex), #bytes, __FILE__, __LINE__)

bool check_true(bool ok, const char *what, const char *file, int line);
bool check_int(int64_t actual, int64_t expected, const char *what, const char *file,
               int line);
bool check_text(const char *actual, const char *expected, const char *what,
                const char *file, int line);
bool check_hex(const uint8_t *bytes, size_t len, const char *hex, const char *what,
               const char *file, int line);
/* How many checks failed so far, in all tests. */
int check_failures(void);
/* Said with the failures that follow, until the next test: what a loop is at. May be NULL. */
void check_about(const char *format, ...);

typedef struct check_test {
  const char *title;
  void (*run)(void);
} check_test;

/* Runs all, prints "N passed, N failed" and returns the exit status. */
int check_run(const check_test *tests, size_t count);
#define CHECK_RUN(tests) check_run((tests), sizeof(tests) / sizeof *(tests))

/* Bytes of hex digits; how many there are. `out` has room for them. */
size_t check_unhex(const char *hex, uint8_t *out);

typedef struct check_heap {
  size_t live, blocks; /* bytes and blocks that are in use */
  size_t calls;        /* allocations asked for */
  size_t fail_at;      /* that one fails, counted from 1 */
  size_t largest;      /* the largest block asked for */
} check_heap;

/* mc_host's alloc; ud is a check_heap. */
void *check_alloc(void *heap, void *ptr, size_t osize, size_t nsize);

#endif
