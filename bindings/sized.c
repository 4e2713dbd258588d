// Compiles a file of the wasm, MC_SOURCE, for size: all functions but those that bindings/hot.txt lists,
// from which the Makefile takes the attribute again.
#pragma clang diagnostic ignored "-Wpragma-clang-attribute" // of a file without functions
#pragma clang attribute push(__attribute__((minsize)), apply_to = function)
#include MC_SOURCE
#pragma clang attribute pop
