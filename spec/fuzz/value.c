/*
** Any bytes as a value, through the core's reader and writer: what decodes is encoded to the same
** bytes, and no memory is taken beyond what is written.
*/
#include "echo.h"
#include "fuzz.h"

const fuzz_shape fuzz_input = FUZZ_VALUE;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  echo e;
  mc_reader r;
  mc_buf out;
  echo_open(&e);
  size_t before = e.memory.used;
  e.memory.peak = before;
  mc_buf_init(&out, &e.host);
  mc_reader_init(&r, data, size);
  if (transcode(&r, e.node, &out, 0)) {
    FUZZ_CHECK(!r.malformed, "a value was read");
    FUZZ_CHECK(out.len == (size_t)(r.at - data), "the length it had");
    FUZZ_CHECK(memcmp(out.data, data, out.len) == 0, "the bytes it had");
  } else {
    mc_item item;
    FUZZ_CHECK(r.malformed && r.at == r.end, "refused for good");
    FUZZ_CHECK(!mc_read(&r, &item), "refused for good");
  }
  /* a reference to an actor elsewhere takes a place among the peers */
  FUZZ_CHECK(e.memory.peak - before <= 32 * size + 4096, "memory");
  mc_buf_fini(&out);
  FUZZ_CHECK(echo_close(&e) == 0, "all memory was given back");
  return 0;
}
