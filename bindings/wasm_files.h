// What the wasm's C library imports for files, time and numbers, besides WASI's calls; all
// of it is in worker-shell/files.js. Paths are bytes, relative to the current folder of the
// process. Results below zero are errno values.
#ifndef MC_WASM_FILES_H
#define MC_WASM_FILES_H

#include <stddef.h>

#define MC_IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

// What mc_file_stat tells of a file.
struct mc_file_info {
  double kind;     // 1 regular file, 2 folder, 3 anything else
  double size;     // bytes
  double modified; // seconds since 1970
};

MC_IMPORT(mc_file_open) int mc_file_open(const char *path, size_t len, int flags);
MC_IMPORT(mc_file_remove) int mc_file_remove(const char *path, size_t len);
MC_IMPORT(mc_file_rename)
int mc_file_rename(const char *from, size_t from_len, const char *to, size_t to_len);
MC_IMPORT(mc_file_stat)
int mc_file_stat(const char *path, size_t len, struct mc_file_info *info);
// Both return how many bytes there are, and write them when that is not more than
// `capacity`: the names in a folder, a zero byte after each; the current folder.
MC_IMPORT(mc_file_list)
int mc_file_list(const char *path, size_t len, char *buffer, size_t capacity);
MC_IMPORT(mc_file_cwd) int mc_file_cwd(char *buffer, size_t capacity);
// Seconds that local time is ahead of UTC at `when`, seconds since 1970; *dst is 1 in
// summer time.
MC_IMPORT(mc_timezone) int mc_timezone(double when, int *dst);
// The decimal number that the text is, correctly rounded.
MC_IMPORT(mc_parse_number) double mc_parse_number(const char *text, size_t len);
MC_IMPORT(mc_random) void mc_random(void *buffer, size_t len);

// The module "mooncast.files": attributes(path), list(path), cwd().
struct lua_State;
int luaopen_mooncast_files(struct lua_State *L);

#endif
