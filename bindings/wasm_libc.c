// What emscripten's C library lacks when no JavaScript of emscripten's own is there:
// files by name, temporary files, the local time zone. Reading, writing, seeking and
// closing go through WASI calls that the library makes itself; worker-shell/files.js
// implements those and the imports below.
//
// Errors of the imports are negative errno values, in the numbers of WASI, which are the
// library's.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

#include "wasm_files.h"

// How mc_file_open is to open; files.js has the same bits.
enum open_flag {
  OPEN_READ = 1,
  OPEN_WRITE = 2,
  OPEN_CREATE = 4,
  OPEN_TRUNCATE = 8,
  OPEN_APPEND = 16,
  OPEN_EXCLUSIVE = 32,
};

struct lua_State;
typedef void lua_function(struct lua_State *L, void *ud);

// See wasm_lua.h.
void mc_lua_call(lua_function *f, struct lua_State *L, void *ud) { f(L, ud); }
// The linker's optimizer does not inline what has an address.
__attribute__((used)) void (*volatile mc_lua_call_kept)(lua_function *,
                                                        struct lua_State *,
                                                        void *) = mc_lua_call;

static int set_errno(int result) {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

static int open_flags(const char *mode) {
  int flags;
  switch (*mode) {
  case 'r': flags = OPEN_READ; break;
  case 'w': flags = OPEN_WRITE | OPEN_CREATE | OPEN_TRUNCATE; break;
  case 'a': flags = OPEN_WRITE | OPEN_CREATE | OPEN_APPEND; break;
  default: return -EINVAL;
  }
  if (strchr(mode, '+')) flags |= OPEN_READ | OPEN_WRITE;
  if (strchr(mode, 'x')) flags |= OPEN_EXCLUSIVE;
  return flags;
}

FILE *fopen(const char *restrict path, const char *restrict mode) {
  int flags = set_errno(open_flags(mode));
  if (flags < 0) return NULL;
  int fd = set_errno(mc_file_open(path, strlen(path), flags));
  if (fd < 0) return NULL;
  FILE *file = fdopen(fd, mode);
  if (!file) close(fd);
  return file;
}

int remove(const char *path) { return set_errno(mc_file_remove(path, strlen(path))); }

int rename(const char *from, const char *to) {
  return set_errno(mc_file_rename(from, strlen(from), to, strlen(to)));
}

// The name's last six characters, XXXXXX, become random ones.
int mkstemp(char *path) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
  size_t len = strlen(path);
  if (len < 6 || strcmp(path + len - 6, "XXXXXX") != 0) {
    errno = EINVAL;
    return -1;
  }
  for (int tries = 0; tries < 100; tries++) {
    unsigned char random[6];
    mc_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
      path[len - 6 + i] = letters[random[i] % 32];
    int fd = set_errno(
        mc_file_open(path, len, OPEN_READ | OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE));
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

FILE *tmpfile(void) {
  char path[] = "/tmp/lua_XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0) return NULL;
  remove(path); // what is open stays until it is closed
  FILE *file = fdopen(fd, "w+");
  if (!file) close(fd);
  return file;
}

// There are no other programs to run.
int system(const char *command) {
  if (!command) return 0;
  errno = ENOSYS;
  return -1;
}

// A terminal sees each line when it is complete, as with any other Lua.
__attribute__((constructor)) static void buffer_lines_of_terminals(void) {
  __wasi_fdstat_t stat;
  if (__wasi_fd_fdstat_get(STDOUT_FILENO, &stat) == __WASI_ERRNO_SUCCESS &&
      stat.fs_filetype == __WASI_FILETYPE_CHARACTER_DEVICE) {
    static char buffer[BUFSIZ];
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
  }
}

// --- local time ------------------------------------------------------------------------

struct tm *localtime_r(const time_t *restrict when, struct tm *restrict tm) {
  int dst = 0;
  int offset = mc_timezone((double)*when, &dst);
  time_t shifted = *when + offset;
  if (!gmtime_r(&shifted, tm)) return NULL;
  tm->tm_isdst = dst;
  tm->tm_gmtoff = offset;
  if (offset != 0) tm->tm_zone = ""; // nobody tells its name
  return tm;
}

struct tm *localtime(const time_t *when) {
  static struct tm tm;
  return localtime_r(when, &tm);
}

// A time that the change to summer time leaves out is taken as if there was none; of a
// time that comes twice, the first, unless tm_isdst says winter.
time_t mktime(struct tm *tm) {
  int wanted_dst = tm->tm_isdst, dst = 0;
  time_t utc = timegm(tm);
  time_t day = 24 * 60 * 60;
  time_t before = utc - mc_timezone((double)(utc - day), &dst);
  int before_dst = dst;
  time_t after = utc - mc_timezone((double)(utc + day), &dst);
  time_t when = before;
  if (before != after) {
    time_t first = before < after ? before : after;
    int first_dst = before < after ? before_dst : dst;
    time_t second = before < after ? after : before;
    int valid_first = first + mc_timezone((double)first, &dst) == utc;
    int valid_second = second + mc_timezone((double)second, &dst) == utc;
    when = before;
    if (valid_first && valid_second)
      when = wanted_dst >= 0 && (wanted_dst > 0) != first_dst ? second : first;
    else if (valid_first)
      when = first;
    else if (valid_second)
      when = second;
  }
  return localtime_r(&when, tm) ? when : -1;
}

// --- Lua's seeds -----------------------------------------------------------------------

// Stock Lua seeds math.random and its string hash with the time and with addresses, which
// are the same in all nodes here: they would all draw the same numbers. Weak: the simulation
// (spec/support/sim.c) has its own.
__attribute__((weak)) unsigned int mc_lua_seed(void) {
  unsigned int seed;
  mc_random(&seed, sizeof seed);
  return seed;
}

// What math.random takes for the time.
time_t mc_lua_seed_time(time_t *unused) {
  (void)unused;
  time_t seed;
  mc_random(&seed, sizeof seed);
  return seed;
}

// --- the compiler's own ----------------------------------------------------------------

// setjmp keeps the size of its table here; where the toolchain brings these, its own are
// taken.
static uint32_t temp_ret;
__attribute__((weak)) void setTempRet0(uint32_t value) { temp_ret = value; }
__attribute__((weak)) uint32_t getTempRet0(void) { return temp_ret; }

/* ---- strings ---------------------------------------------------------------------------------- */

/* Simple where emscripten's are fast for long strings: Lua has paths, formats and numerals for these. */
size_t strspn(const char *s, const char *accept) {
  size_t len = 0;
  while (s[len] && strchr(accept, s[len])) len++;
  return len;
}

size_t strcspn(const char *s, const char *reject) {
  size_t len = 0;
  while (s[len] && !strchr(reject, s[len])) len++;
  return len;
}

char *strpbrk(const char *s, const char *accept) {
  s += strcspn(s, accept);
  return *s ? (char *)s : NULL;
}

char *strstr(const char *s, const char *wanted) {
  size_t len = strlen(wanted);
  for (;; s++) {
    if (strncmp(s, wanted, len) == 0) return (char *)s;
    if (!*s) return NULL;
  }
}

char *strchr(const char *s, int wanted) {
  for (;; s++) {
    if (*s == (char)wanted) return (char *)s;
    if (!*s) return NULL;
  }
}

__attribute__((no_builtin)) char *strcpy(char *restrict to, const char *restrict from) {
  return memcpy(to, from, strlen(from) + 1);
}

/* ---- memset ---------------------------------------------------------------------------------- */

/* Eight bytes at a time: emscripten's was a tenth of the time of a call to another node. */
__attribute__((no_builtin("memset"))) void *memset(void *to, int byte, size_t len) {
  typedef uint64_t __attribute__((aligned(1), may_alias)) word;
  uint8_t *at = to, *end = at + len;
  word all = (uint8_t)byte * (word)0x0101010101010101u;
  for (; end - at >= 32; at += 32) {
    ((word *)at)[0] = all;
    ((word *)at)[1] = all;
    ((word *)at)[2] = all;
    ((word *)at)[3] = all;
  }
  for (; end - at >= 8; at += 8) *(word *)at = all;
  while (at < end) *at++ = (uint8_t)byte;
  return to;
}
