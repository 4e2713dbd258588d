/* Any bytes as an envelope: a header that is read is written as the same bytes. */
#include "echo.h"
#include "fuzz.h"

const fuzz_shape fuzz_input = FUZZ_ENVELOPE;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  memory m = {0};
  mc_host host = {.ud = &m, .alloc = memory_alloc};
  mc_reader r;
  mc_buf out;
  mc_envelope e;
  uint64_t chain[MC_MAX_CHAIN];
  mc_buf_init(&out, &host);
  mc_reader_init(&r, data, size);
  if (mc__envelope_read(&r, &e, chain)) {
    FUZZ_CHECK(m.requests == 0, "reading takes no memory");
    mc__envelope_write(&out, &e);
    mc_buf_put(&out, r.at, (size_t)(r.end - r.at));
    FUZZ_CHECK(out.len == size && memcmp(out.data, data, size) == 0, "the bytes it had");
  } else {
    FUZZ_CHECK(r.malformed, "a reason");
  }
  mc_buf_fini(&out);
  return 0;
}
