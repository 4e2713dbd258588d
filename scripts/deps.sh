#!/bin/sh
# Installs what a target of the Makefile needs and the machine lacks: `scripts/deps.sh wasm native test fuzz browsers`.
# What is there already, from whatever source, is left alone. As root on Debian and its kin it uses
# apt-get; anywhere else it stops with one message that names what to install.
set -eu

missing=""
need() { # need PACKAGE TEST...: the package is missing when the test fails
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
have() { command -v "$1"; }
# What Lua's loader finds below its usual folders.
lua_module() { lua5.4 -e "require '$1'"; }
lua_header() { printf '#include <lua.h>\n' | "${CC:-cc}" -E -I/usr/include/lua5.4 -; }
fuzzer_runtime() {
  printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 99; }' |
    "${FUZZ_CC:-clang}" -x c -fsanitize=fuzzer,address,undefined -o build/fuzzer-probe -
}
# WebKitGTK's own small browser lies beside its libraries.
mini_browser() { ls /usr/lib/*/webkit2gtk-*/MiniBrowser; }
have_busted() { test -f /usr/share/lua/5.4/busted/init.lua; }
libc_header() { printf '#include <stdio.h>\n' | "${CC:-cc}" -E -; }

node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && have npm >/dev/null || {
  echo "mooncast: needs Node.js 20 or later with npm; install it and run make again" >&2
  exit 1
}
# Make may ask for several goals at a time, and apt-get cannot run twice.
mkdir -p build
if command -v flock >/dev/null; then
  exec 9>build/deps.lock
  flock 9
fi
for goal in "$@"; do
  case $goal in
  wasm)
    need emscripten have emcc
    need binaryen have wasm-opt
    need curl have curl
    need patch have patch
    ;;
  native)
    need gcc have "${CC:-cc}"
    need pkgconf have pkg-config
    need libc6-dev libc_header
    need liblua5.4-dev lua_header
    need curl have curl
    need patch have patch
    ;;
  test)
    need lua5.4 have lua5.4
    need lua-busted lua_module busted
    need lua-filesystem lua_module lfs
    need lua-check have luacheck
    need clang-format have clang-format
    ;;
  fuzz)
    need clang have "${FUZZ_CC:-clang}"
    need libclang-rt-dev fuzzer_runtime
    need curl have curl
    need patch have patch
    ;;
  sanitize)
    need valgrind have valgrind
    ;;
  bench)
    need erlang-base have erlc
    need lua5.4 have lua5.4
    need lua-cjson lua_module cjson
    need lua-socket lua_module socket
    ;;
  browsers)
    need chromium have chromium
    need firefox-esr have firefox-esr
    need webkit2gtk-driver mini_browser
    need xvfb have Xvfb
    need lua-busted have_busted
    ;;
  *)
    echo "usage: $0 [wasm] [native] [test] [fuzz] [sanitize] [bench] [browsers]" >&2
    exit 2
    ;;
  esac
done

missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing% }" ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "mooncast: please install these first (names as in Debian): $missing" >&2
  exit 1
fi

echo "installing: $missing"
install() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install $missing </dev/null
}
# Package lists may be absent or stale on a fresh machine: fetch them only when it shows.
if ! install >build/apt.log 2>&1; then
  apt-get -qq update >>build/apt.log 2>&1 || true
  install >>build/apt.log 2>&1 || {
    tail -n 20 build/apt.log >&2
    echo "mooncast: apt-get could not install: $missing" >&2
    exit 1
  }
fi
