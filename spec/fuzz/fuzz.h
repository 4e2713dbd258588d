/* What the fuzz targets share. Each defines what its inputs look like, for the mutator in mutate.c. */
#ifndef MC_FUZZ_H
#define MC_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum fuzz_shape {
  FUZZ_VALUE,    /* one value */
  FUZZ_ENVELOPE, /* one envelope, without its frame */
  FUZZ_STREAM,   /* FUZZ_CONTROL bytes that say how to cut it, then frames */
} fuzz_shape;

enum { FUZZ_CONTROL = 2 };

extern const fuzz_shape fuzz_input;

/* An oracle says no. */
#define FUZZ_CHECK(condition, what)                  \
  do {                                               \
    if (!(condition)) {                              \
      fprintf(stderr, "%s: %s\n", what, #condition); \
      abort();                                       \
    }                                                \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
