/* See check.h. */
#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;
static const char *running = "";
static char about[160];

static bool failed_at(const char *file, int line) {
  failures++;
  printf("%s:%d: in \"%s\"%s%s: ", file, line, running, *about ? ", " : "", about);
  return false;
}

bool check_true(bool ok, const char *what, const char *file, int line) {
  if (ok) return true;
  failed_at(file, line);
  printf("%s\n", what);
  return false;
}

bool check_int(int64_t actual, int64_t expected, const char *what, const char *file,
               int line) {
  if (actual == expected) return true;
  failed_at(file, line);
  printf("%s is %" PRId64 ", not %" PRId64 "\n", what, actual, expected);
  return false;
}

bool check_text(const char *actual, const char *expected, const char *what,
                const char *file, int line) {
  if (actual && strcmp(actual, expected) == 0) return true;
  failed_at(file, line);
  printf("%s is \"%s\", not \"%s\"\n", what, actual ? actual : "(none)", expected);
  return false;
}

bool check_hex(const uint8_t *bytes, size_t len, const char *hex, const char *what,
               const char *file, int line) {
  bool same = strlen(hex) == 2 * len;
  for (size_t i = 0; same && i < len; i++) {
    char pair[3];
    snprintf(pair, sizeof pair, "%02x", bytes[i]);
    same = memcmp(pair, hex + 2 * i, 2) == 0;
  }
  if (same) return true;
  failed_at(file, line);
  printf("%s is ", what);
  for (size_t i = 0; i < len; i++) printf("%02x", bytes[i]);
  printf(", not %s\n", hex);
  return false;
}

int check_failures(void) { return failures; }

void check_about(const char *format, ...) {
  va_list args;
  about[0] = '\0';
  if (!format) return;
  va_start(args, format);
  vsnprintf(about, sizeof about, format, args);
  va_end(args);
}

int check_run(const check_test *tests, size_t count) {
  int bad = 0;
  setvbuf(stdout, NULL, _IOLBF,
          BUFSIZ); /* so that a crash does not swallow what was said */
  for (size_t i = 0; i < count; i++) {
    int before = failures;
    running = tests[i].title;
    check_about(NULL);
    tests[i].run();
    bad += failures > before;
  }
  printf("%d passed, %d failed\n", (int)count - bad, bad);
  return bad ? 1 : 0;
}

size_t check_unhex(const char *hex, uint8_t *out) {
  size_t len = strlen(hex) / 2;
  for (size_t i = 0; i < len; i++) {
    char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
    out[i] = (uint8_t)strtoul(pair, NULL, 16);
  }
  return len;
}

/* ---- allocator ------------------------------------------------------------------------------- */

/* In front of every block: its size, which whoever frees it must know. */
typedef union head {
  size_t size;
  max_align_t align;
} head;

void *check_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  check_heap *heap = ud;
  head *old = ptr ? (head *)ptr - 1 : NULL, *block = NULL;
  CHECK_INT(osize, old ? old->size : 0);
  if (nsize) {
    if (nsize > heap->largest) heap->largest = nsize;
    if (++heap->calls == heap->fail_at) return NULL;
    block = malloc(sizeof *block + nsize);
    if (!block) return NULL;
    block->size = nsize;
    memset(block + 1, 0xa5, nsize);
    if (old) memcpy(block + 1, old + 1, old->size < nsize ? old->size : nsize);
    heap->live += nsize;
    heap->blocks++;
  }
  if (old) {
    heap->live -= old->size;
    heap->blocks--;
    free(old);
  }
  return block ? block + 1 : NULL;
}
