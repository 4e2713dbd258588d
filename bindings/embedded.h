// The Lua library's own modules, lua/*.lua, as scripts/embed.mjs puts them into the binary.
#ifndef MC_EMBEDDED_H
#define MC_EMBEDDED_H

#include <stddef.h>

struct mc_embedded {
  const char *name;   // as for require: "mooncast", "mooncast.repl"
  const char *source; // text, ends with a zero that `len` does not count
  size_t len;         // bytes
  int rest;           // in wasm, it is in the second part: see bindings/rest.txt
};

// Ends with an entry whose name is NULL.
extern const struct mc_embedded mc_embedded[];

#endif
