// Read before each of Lua's own files (-include) in the wasm build: what it finds on this platform.
#ifndef MC_WASM_LUA_H
#define MC_WASM_LUA_H

#include <setjmp.h>
#include <stdio.h>

// mkstemp, popen, gmtime_r and the rest of it; bindings/wasm_libc.c has what emscripten's lacks.
#define LUA_USE_POSIX

// Lua would take _setjmp and _longjmp, which clang does not lower to wasm's exceptions.
#define LUAI_THROW(L, c) longjmp((c)->b, 1)
// What is tried is always (*f)(L, ud). WebKit's wasm interpreter (2.50) does not catch what leaves an
// indirect call that stands in the try block itself: this calls it from another function.
#define LUAI_TRY(L, c, a) \
  if (setjmp((c)->b) == 0) mc_lua_call(f, L, ud);
struct lua_State;
void mc_lua_call(void (*f)(struct lua_State *L, void *ud), struct lua_State *L, void *ud);
#define luai_jmpbuf jmp_buf

// Opening a file again is how the loader gets at a binary chunk: here both modes are the same.
#define freopen(path, mode, file) (rewind(file), file)

unsigned int mc_lua_seed(void);
#define luai_makeseed(L) mc_lua_seed()
// table.sort would ask the clock which pivot to take next.
#define l_randomizePivot() mc_lua_seed()

// Every C call that Lua nests may take 5 KiB of the C stack, which the Makefile makes 1 MiB.
#define LUAI_MAXCCALLS 200

#endif
