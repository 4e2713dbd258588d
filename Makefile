# Mooncast: `make run` builds and runs an example, `make test` runs every check. `make help` lists the rest.
#
# Everything made goes to build/ (and node_modules/). On Debian, as root, what is missing is installed
# by scripts/deps.sh; elsewhere that script names the packages.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# Two at a time, unless told: make -j8 wasm.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j2
endif

# What is made is made anew when a flag in here changes.
SELF := Makefile
B := build
# make V=1 shows how each file is compiled.
Q := $(if $(V),,@)
CC ?= cc
EMCC ?= emcc

# What `make run` counts words in, the program it runs, and on how many workers.
FILES ?= $(wildcard README.md CHANGELOG.md LICENSE docs/*.md runtime/envelope.cddl)
EXAMPLE ?= web/examples/wordcount.lua
WORKERS ?= 4
# C files of yours to link into the wasm: make wasm EXTRA=my.c
EXTRA ?=

LUA := $(B)/lua-5.4.7
CJSON := $(B)/lua-cjson-2.1.0
PATCHES := $(sort $(wildcard lua/patches/*.patch))
EMBEDDED := $(B)/lua_embedded.c

# The core, which knows no platform, and what the native build has besides.
RUNTIME := $(filter-out runtime/platform_%.c,$(wildcard runtime/*.c))
PLATFORM := runtime/platform_posix.c
HEADERS := $(wildcard runtime/*.h runtime/include/*.h bindings/*.h bindings/include/*.h)
BINDINGS := $(wildcard bindings/lua_*.c)
WASM_C := $(wildcard bindings/wasm_*.c)
NATIVE_C := $(wildcard bindings/native_*.c) $(PLATFORM)
LUA_C := $(addsuffix .c,lapi lauxlib lbaselib lcode lcorolib lctype ldblib ldebug ldo ldump lfunc lgc \
  linit liolib llex lmathlib lmem loadlib lobject lopcodes loslib lparser lstate lstring lstrlib \
  ltable ltablib ltm lundump lutf8lib lvm lzio)
CJSON_C := lua_cjson.c strbuf.c fpconv.c
# lua-cjson 2.1.0 was written for Lua 5.1 and 5.2.
CJSON_FLAGS := -Dlua_objlen=lua_rawlen

INCLUDES := -Iruntime/include -Iruntime -Ibindings/include -Ibindings
STD := -std=c11 -D_POSIX_C_SOURCE=200809L
WARN := -Wall -Wextra -Wpedantic

.PHONY: help
help:
	@echo 'make run      build the wasm and run $(EXAMPLE) on FILES (make run FILES="a.txt b.txt")'
	@echo 'make test     lint and every test suite; the last line sums them up'
	@echo 'make wasm     $(B)/mooncast.wasm; EXTRA=my.c links C of your own into it'
	@echo 'make dist     dist/: the modules of the npm package, bundled, with the wasm; npm pack makes the package'
	@echo 'make native   $(B)/native/: mooncast.so for stock lua5.4 and busted, libmooncast.a for C programs'
	@echo 'make install  both, with headers and a pkg-config file, below PREFIX ($(PREFIX))'
	@echo 'make example  builds and runs the C program in bindings/examples'
	@echo 'make test-browsers  the Lua and the JavaScript suite in Chromium, Firefox and WebKit'
	@echo 'make test-package  the npm package in pages, through bundlers, in Node, Deno and Bun'
	@echo 'make web      builds the page into $(B)/web, a folder for any static host, and serves it; PORT=$(PORT)'
	@echo 'make unit     the C unit tests, under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make sim      $(B)/sim/: a Lua and a wasm with nodes under a simulated clock and network, for spec/sim'
	@echo 'make sanitize  the native specs under sanitizers and valgrind'
	@echo 'make fuzz     each fuzzer for FUZZ_SECONDS ($(FUZZ_SECONDS)); FUZZ=value runs one'
	@echo 'make lint     luacheck, eslint, gcc and emcc warnings, clang-format'
	@echo 'make format   clang-format over our C'
	@echo 'make counts   instructions per operation under callgrind, against spec/bench/counts.json'
	@echo 'make bench    measures beside other libraries for about ten minutes; writes docs/benchmarks.md; BENCH=calls: one group'
	@echo 'make bench-browser  calls between workers of a page, beside raw messages, Comlink and wasmoon; writes docs/benchmarks-browser.md'
	@echo 'make bench-audio    a minute of audio in a page, with 100 calls a second into its AudioWorklet'
	@echo 'make deps     installs all that the other targets need'
	@echo 'make clean    removes $(B), dist and node_modules'

# --- what the machine must have -----------------------------------------------------------------

$(B)/deps-%.stamp: scripts/deps.sh
	@mkdir -p $(B)
	@scripts/deps.sh $*
	@touch $@

$(B)/npm.stamp: package.json package-lock.json
	@mkdir -p $(B)
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: deps
deps: $(B)/deps-wasm.stamp $(B)/deps-native.stamp $(B)/deps-test.stamp $(B)/deps-fuzz.stamp $(B)/npm.stamp

# --- other people's source ----------------------------------------------------------------------

$(B)/source/%.tar.gz: | $(B)/deps-wasm.stamp
	scripts/fetch.sh $* $@
# One after the other: they share the package lists.
$(B)/source/lua-cjson.tar.gz: | $(B)/source/lua.tar.gz

$(LUA)/.stamp: $(B)/source/lua.tar.gz $(PATCHES) $(SELF)
	rm -rf $(LUA)
	mkdir -p $(LUA)
	tar xzf $< -C $(LUA) --strip-components=1
	@set -e; for p in $(PATCHES); do echo "$$p"; patch -s -d $(LUA) -p1 <"$$p"; done
	touch $@

$(CJSON)/.stamp: $(B)/source/lua-cjson.tar.gz $(SELF)
	rm -rf $(CJSON)
	mkdir -p $(CJSON)
	tar xzf $< -C $(CJSON) --strip-components=1
	touch $@

$(EMBEDDED): scripts/embed.mjs scripts/squeeze.mjs scripts/rest-list.mjs bindings/rest.txt $(wildcard lua/*.lua) $(SELF)
	@mkdir -p $(@D)
	node scripts/embed.mjs $@ bindings/rest.txt $(sort $(wildcard lua/*.lua))

# --- wasm ---------------------------------------------------------------------------------------

W := $(B)/wasm
export NODE_PATH ?= /usr/share/nodejs

# What runs while a program does its work is built for speed, the rest for size.
HOT := $(shell sed 's/\#.*//' bindings/hot.txt)
wasm_object = $(patsubst $(B)/%,%,$(1:.c=.o))
WASM_SOURCES := $(addprefix $(LUA)/src/,$(LUA_C)) $(addprefix $(CJSON)/,$(CJSON_C)) $(RUNTIME) $(PLATFORM_WASM) $(BINDINGS) \
  $(WASM_C) $(EMBEDDED) $(EXTRA)
WASM_OBJECTS := $(foreach c,$(WASM_SOURCES),$(W)/$(call wasm_object,$(c)))

WASM_CFLAGS = -O3 $(foreach f,$(HOT),-mllvm -force-remove-attribute=$(f):minsize) -DMC_SOURCE='"$<"' \
  -DNDEBUG -std=gnu11 -sSUPPORT_LONGJMP=wasm $(WARN) -I. -I$(LUA)/src $(INCLUDES)
# 1 MiB of C stack: with Lua's 200 nested C calls an overflow is an error, never a trap. The stack
# lies first, so that running over its end traps instead of writing into the heap.
C_STACK := 1048576
WASM_EXPORTS := _mc_open,_mc_buffer,_mc_peer,_mc_deliver,_mc_run,_mc_step,_mc_peer_down,_mc_close
# -Oz here costs no speed that could be measured, and takes 8 kB off the download.
WASM_LDFLAGS = -Oz -sMALLOC=emmalloc --no-entry -sSTANDALONE_WASM -sSUPPORT_LONGJMP=wasm -sALLOW_MEMORY_GROWTH \
  -sINITIAL_MEMORY=2097152 -sMAXIMUM_MEMORY=2147483648 -sABORTING_MALLOC=0 \
  -s$(STACK_SETTING)=$(C_STACK) -Wl,--stack-first -sERROR_ON_UNDEFINED_SYMBOLS=0 -sWARN_ON_UNDEFINED_SYMBOLS=0 \
  -sEXPORTED_FUNCTIONS=$(WASM_EXPORTS)
# emscripten 3.1.25 renamed the setting.
STACK_SETTING = $(shell v=$$($(EMCC) -dumpversion); \
  [ "$$(printf '%s\n3.1.25\n' "$$v" | sort -V | head -n 1)" = 3.1.25 ] && echo STACK_SIZE || echo TOTAL_STACK)

$(W)/lua-5.4.7/%.o: WASM_CFLAGS += -include bindings/wasm_lua.h
$(W)/lua-5.4.7/src/ldo.o: WASM_CFLAGS += -include bindings/wasm_setjmp.h
# Other people's code compiles as it is; ours without a warning.
$(W)/lua-5.4.7/%.o $(W)/lua-cjson-2.1.0/%.o: WARN := -w
$(W)/lua-cjson-2.1.0/%.o: WASM_CFLAGS += $(CJSON_FLAGS)
# math.random's seed: see wasm_libc.c.
$(W)/lua-5.4.7/src/lmathlib.o: WASM_CFLAGS += -Dtime=mc_lua_seed_time

define compile_wasm
@mkdir -p $(@D)
@echo '$(EMCC) $<'
$(Q)$(EMCC) $(WASM_CFLAGS) -c -o $@ bindings/sized.c
endef
$(WASM_OBJECTS): $(HEADERS) $(SELF) bindings/sized.c bindings/hot.txt $(LUA)/.stamp $(CJSON)/.stamp | $(B)/deps-wasm.stamp
# The archives' files appear with their stamps.
$(addprefix $(LUA)/src/,$(LUA_C)): $(LUA)/.stamp ;
$(addprefix $(CJSON)/,$(CJSON_C)): $(CJSON)/.stamp ;
$(W)/%.o: $(B)/%.c
	$(compile_wasm)
$(W)/%.o: %.c
	$(compile_wasm)

# Changes when the list of files does, a removed one included.
.PHONY: force
$(W)/objects.txt: force
	@mkdir -p $(@D)
	@printf '%s\n' $(WASM_OBJECTS) | cmp -s - $@ || printf '%s\n' $(WASM_OBJECTS) >$@

# Where the wasm goes; another name keeps one with EXTRA apart.
WASM ?= $(B)/mooncast.wasm
# Ours is in two parts, so that pages download little: what bindings/rest.txt lists is in the second.
# SPLIT= leaves it in one, as one with EXTRA is.
SPLIT ?= $(if $(EXTRA),,yes)
ifeq ($(SPLIT),)
$(WASM): $(W)/objects.txt $(WASM_OBJECTS) $(SELF)
	$(EMCC) $(WASM_LDFLAGS) -o $@ @$<
else
# Functions keep their names until it is split, and those that one other calls stay by themselves: it may be
# that only one of the two goes to the second part. Each part is optimized again by itself.
$(W)/whole.wasm: $(W)/objects.txt $(WASM_OBJECTS) $(SELF)
	$(EMCC) $(WASM_LDFLAGS) --profiling-funcs -sBINARYEN_EXTRA_PASSES=--one-caller-inline-max-function-size=1 -o $@ @$<
$(WASM): $(W)/whole.wasm bindings/rest.txt $(addprefix scripts/,split.mjs wasm-calls.mjs wasm-by-table.mjs wasm-data.mjs wasm-stand-ins.mjs rest-list.mjs squeeze.mjs)
	node scripts/split.mjs $< bindings/rest.txt $@ $(@:.wasm=-rest.wasm)
endif

.PHONY: wasm
wasm: $(WASM)

# The wasm with an actor type in C, for spec/worker-shell/component.test.js.
COMPONENT := $(W)/spec/fixtures/component.o
$(COMPONENT): $(HEADERS) $(SELF) $(LUA)/.stamp | $(B)/deps-wasm.stamp
$(B)/component.wasm: $(WASM_OBJECTS) $(COMPONENT) $(SELF)
	$(EMCC) $(WASM_LDFLAGS) -o $@ $(WASM_OBJECTS) $(COMPONENT)
.PHONY: component
component: $(B)/component.wasm

# --- the npm package ------------------------------------------------------------------------------

# What it ships, and what pages load: see scripts/dist.mjs.
$(B)/dist.stamp: scripts/dist.mjs $(WASM) $(wildcard worker-shell/*) $(B)/npm.stamp
	node scripts/dist.mjs
	@touch $@

# The page of web/.
PORT ?= 8080
export PORT
.PHONY: web web-build
web: wasm $(B)/npm.stamp
	node scripts/web.mjs
web-build: wasm $(B)/npm.stamp $(B)/deps-browsers.stamp
	node scripts/web.mjs build

.PHONY: dist
dist: $(B)/dist.stamp

# --- native -------------------------------------------------------------------------------------

N := $(B)/native
# Where the headers of the Lua that will load the module are.
LUA_INCLUDE ?= /usr/include/lua5.4
NATIVE_SOURCES := $(RUNTIME) $(PLATFORM_NATIVE) $(BINDINGS) $(NATIVE_C) $(EMBEDDED) $(addprefix $(CJSON)/,$(CJSON_C))
NATIVE_OBJECTS := $(foreach c,$(NATIVE_SOURCES),$(N)/$(call wasm_object,$(c)))
NATIVE_CFLAGS = -O2 -g -fPIC -fno-semantic-interposition -pthread $(STD) $(WARN) $(INCLUDES) -I$(LUA_INCLUDE)

$(N)/lua-cjson-2.1.0/%.o: WARN := -w
$(N)/lua-cjson-2.1.0/%.o: STD := -std=gnu11 $(CJSON_FLAGS)

define compile_native
@mkdir -p $(@D)
@echo '$(CC) $<'
$(Q)$(CC) $(NATIVE_CFLAGS) -c -o $@ $<
endef
$(NATIVE_OBJECTS): $(HEADERS) $(SELF) $(CJSON)/.stamp | $(B)/deps-native.stamp
$(N)/%.o: $(B)/%.c
	$(compile_native)
$(N)/%.o: %.c
	$(compile_native)

# Its own cjson and none that the process may have loaded already: hence -Bsymbolic.
$(N)/mooncast.so: $(NATIVE_OBJECTS) $(SELF)
	$(CC) -shared -pthread -Wl,-Bsymbolic -o $@ $(NATIVE_OBJECTS) -lm

# The same for C programs, which bring their own Lua: see bindings/include/mooncast_lua.h.
LIB_OBJECTS := $(filter-out %/native_module.o,$(NATIVE_OBJECTS))
$(N)/libmooncast.a: $(LIB_OBJECTS) $(SELF)
	@rm -f $@
	$(AR) rcs $@ $(LIB_OBJECTS)

.PHONY: native
native: $(N)/mooncast.so $(N)/libmooncast.a

# The C program in bindings/examples, as its users would build it.
$(N)/host: bindings/examples/host.c $(N)/libmooncast.a $(HEADERS)
	$(CC) -O2 $(STD) -Wall -Wextra -Werror -Ibindings/include -I$(LUA_INCLUDE) -o $@ $< $(N)/libmooncast.a \
	  -llua5.4 -lm -pthread

.PHONY: example
example: $(N)/host
	$(N)/host bindings/examples/host.lua

PREFIX ?= /usr/local
LUA_CMOD ?= $(PREFIX)/lib/lua/5.4
VERSION := $(shell sed -n 's/^\#define MC_VERSION "\(.*\)"/\1/p' runtime/include/mooncast.h)

define PKGCONFIG
prefix=$(PREFIX)
Name: mooncast
Description: Lua 5.4 with distributed actors
Version: $(VERSION)
Requires: lua5.4
Cflags: -I$${prefix}/include/mooncast
Libs: -L$${prefix}/lib -lmooncast -lm -pthread
endef
export PKGCONFIG

# The module alone, as LuaRocks wants it.
.PHONY: install-module
install-module: $(N)/mooncast.so
	install -d $(DESTDIR)$(LUA_CMOD)
	install -m 755 $< $(DESTDIR)$(LUA_CMOD)/mooncast.so

.PHONY: install
install: native install-module
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/mooncast
	install -m 644 $(N)/libmooncast.a $(DESTDIR)$(PREFIX)/lib/libmooncast.a
	install -m 644 runtime/include/mooncast.h bindings/include/mooncast_lua.h $(DESTDIR)$(PREFIX)/include/mooncast/
	printf '%s\n' "$$PKGCONFIG" >$(DESTDIR)$(PREFIX)/lib/pkgconfig/mooncast.pc

# --- C unit tests -------------------------------------------------------------------------------

# Every spec/runtime/*.c is a program: it prints what failed and, last, "N passed, N failed". What
# they share is spec/support/*.c; the golden vectors reach them as headers.
U := $(B)/unit
UNIT := $(patsubst spec/runtime/%.c,$(U)/%,$(wildcard spec/runtime/*.c))
UNIT_CFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g \
  $(STD) -Wall -Wextra -Werror -pthread $(INCLUDES) -Ispec/support -I$(U)
UNIT_OBJECTS := $(patsubst %.c,$(U)/%.o,$(RUNTIME) $(PLATFORM_NATIVE) \
  $(filter-out %/sim.c %/static_lua.c,$(wildcard spec/support/*.c)))
UNIT_VECTORS := $(patsubst spec/vectors/%.json,$(U)/vectors/%.h,$(wildcard spec/vectors/*.json))
.SECONDARY: $(UNIT_OBJECTS) $(UNIT_VECTORS)

$(U)/runtime/%.o: runtime/%.c $(HEADERS) $(SELF) | $(B)/deps-native.stamp
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<
$(U)/spec/support/%.o: spec/support/%.c $(HEADERS) $(wildcard spec/support/*.h) $(SELF)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<
$(U)/vectors/%.h: spec/vectors/%.json scripts/vectors.mjs
	@mkdir -p $(@D)
	node scripts/vectors.mjs $< >$@
$(U)/%: spec/runtime/%.c $(UNIT_OBJECTS) $(UNIT_VECTORS) $(wildcard spec/support/*.h) $(SELF)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -o $@ $< $(UNIT_OBJECTS) -lm

.PHONY: unit
unit: $(UNIT) $(addprefix $(B)/sanitize/address/,$(patsubst spec/bindings/%.c,%,$(wildcard spec/bindings/*.c)))
	@scripts/unit.sh $^

# --- the whole under sanitizers --------------------------------------------------------------------

# Lua and everything native in one program each, five times over:
#   address   AddressSanitizer with leaks, UndefinedBehaviorSanitizer for what is ours
#   thread    ThreadSanitizer
#   hard      as address, with tables and buffers that grow, and so move, at nearly every use
#   collect   as hard, with a collection before every allocation of Lua's: slow
#   plain     for valgrind
# `lua` is a stock interpreter with mooncast inside, as `require` finds it.
S := $(B)/sanitize
OURS := -fsanitize=undefined -fno-sanitize-recover=undefined
SANITIZE_address := -fsanitize=address
SANITIZE_thread := -fsanitize=thread
SANITIZE_hard := -fsanitize=address -DMC_HARD_TEST
SANITIZE_collect := -fsanitize=address -DMC_HARD_TEST
SANITIZE_plain :=
OURS_address := $(OURS)
OURS_hard := $(OURS)
OURS_collect := $(OURS)
# ThreadSanitizer knows longjmp, but not the _longjmp that Lua takes on POSIX.
LUA_FLAGS_thread := '-DLUAI_THROW(L,c)=longjmp((c)->b, 1)' '-DLUAI_TRY(L,c,a)=if (setjmp((c)->b) == 0) { a }' -Dluai_jmpbuf=jmp_buf
# A collection before every allocation.
LUA_FLAGS_collect := -DEMERGENCYGCTESTS
WHOLE := $(addprefix lua/,$(LUA_C:.c=.o)) $(addprefix cjson/,$(CJSON_C:.c=.o)) \
  $(patsubst $(B)/%,%,$(patsubst %.c,%.o,$(RUNTIME) $(BINDINGS) $(filter-out %/native_module.c,$(NATIVE_C)) $(EMBEDDED)))
BINDING_TESTS := $(patsubst spec/bindings/%.c,%,$(wildcard spec/bindings/*.c))
# Everything that allocates in memory_test goes through the test.
WRAP_memory_test := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
WRAP_garbage_test := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=mc__lua_alloc

define sanitized
$(S)/$(1)/lua/%.o: $$(LUA)/.stamp $$(SELF) | $$(B)/deps-native.stamp
	@mkdir -p $$(@D)
	$$(CC) $$(SANITIZE_$(1)) -O1 -g -fno-omit-frame-pointer -std=gnu11 -DLUA_USE_POSIX -DLUA_USE_DLOPEN $$(LUA_FLAGS_$(1)) \
	  $$(if $$(filter lua,$$*),-DluaL_openlibs=open_libraries) -c -o $$@ $$(LUA)/src/$$*.c
$(S)/$(1)/cjson/%.o: $$(CJSON)/.stamp $$(SELF) $$(LUA)/.stamp
	@mkdir -p $$(@D)
	$$(CC) $$(SANITIZE_$(1)) -O1 -g -fno-omit-frame-pointer -std=gnu11 -w $$(CJSON_FLAGS) -I$$(LUA)/src -c -o $$@ $$(CJSON)/$$*.c
$(S)/$(1)/%.o: $(B)/%.c $$(HEADERS) $$(SELF)
	@mkdir -p $$(@D)
	$$(CC) $$(SANITIZE_$(1)) -O1 -g $$(STD) $$(INCLUDES) -c -o $$@ $$<
$(S)/$(1)/%.o: %.c $$(HEADERS) $$(wildcard spec/support/*.h) $$(SELF) $$(LUA)/.stamp
	@mkdir -p $$(@D)
	$$(CC) $$(SANITIZE_$(1)) $$(OURS_$(1)) -O1 -g -fno-omit-frame-pointer $$(STD) $$(WARN) -Werror -pthread $$(INCLUDES) \
	  -I$$(LUA)/src -Ispec/support -c -o $$@ $$<
$(S)/$(1)/program: $$(addprefix $(S)/$(1)/,$$(WHOLE) lua/lua.o bindings/native_module.o spec/support/static_lua.o)
	$$(CC) $$(SANITIZE_$(1)) $$(OURS_$(1)) -pthread -Wl,-E -o $$@ $$^ -lm -ldl
$(addprefix $(S)/$(1)/,$(BINDING_TESTS)): $(S)/$(1)/%: $(S)/$(1)/spec/bindings/%.o \
  $$(addprefix $(S)/$(1)/,$$(WHOLE) spec/support/check.o)
	$$(CC) $$(SANITIZE_$(1)) $$(OURS_$(1)) $$(WRAP_$$*) -pthread -o $$@ $$^ -lm -ldl
endef
VARIANTS := address thread hard collect plain
$(foreach v,$(VARIANTS),$(eval $(call sanitized,$(v))))
.SECONDARY: $(foreach v,$(VARIANTS),$(addprefix $(S)/$(v)/,$(WHOLE) $(BINDING_TESTS:%=spec/bindings/%.o) lua/lua.o \
  bindings/native_module.o spec/support/check.o spec/support/static_lua.o))

# The long form, and the short one that is part of the tests.
.PHONY: sanitize sanitize-short sanitize-build
SANITIZE_SHORT := $(addprefix $(S)/,address/program thread/program thread/threads_test hard/program)
sanitize-build: $(SANITIZE_SHORT)
sanitize-short: $(SANITIZE_SHORT) $(B)/deps-test.stamp
	@scripts/sanitize.sh $(S)
sanitize: $(VARIANTS:%=$(S)/%/program) $(addprefix $(S)/,thread/threads_test hard/threads_test hard/memory_test \
  address/memory_test) $(B)/deps-test.stamp $(B)/deps-sanitize.stamp
	@scripts/sanitize.sh $(S) long

# --- simulation ---------------------------------------------------------------------------------

# Nodes under a simulated clock and network (spec/support/sim.c), twice: linked into a wasm, and into an
# interpreter of the same patched Lua.
SIM := $(B)/sim
SIM_OBJECTS := $(patsubst %.c,$(SIM)/%.o,$(patsubst $(B)/%,%,$(addprefix $(LUA)/src/,$(LUA_C) lua.c) \
  $(addprefix $(CJSON)/,$(CJSON_C)) $(RUNTIME) $(BINDINGS) $(EMBEDDED)) spec/support/sim.c)
SIM_CFLAGS ?= -O2 -g
# Where busted and what it needs are.
SIM_PATHS = $(shell lua5.4 -e 'for k, v in pairs {PATH = package.path, CPATH = package.cpath} do \
  io.write(("-DLUA_%s_DEFAULT=%q "):format(k, "\""..v.."\"")) end')

$(SIM)/lua-5.4.7/%.o $(SIM)/lua-cjson-2.1.0/%.o: WARN := -w
$(SIM)/lua-5.4.7/%.o $(SIM)/lua-cjson-2.1.0/%.o: STD := -std=gnu11
$(SIM)/lua-cjson-2.1.0/%.o: STD += $(CJSON_FLAGS)
$(SIM)/lua-5.4.7/%.o: INCLUDES := -include spec/support/sim_lua.h
$(SIM)/lua-5.4.7/src/lua.o: STD += -DSIM_MAIN
$(SIM)/lua-5.4.7/src/loadlib.o: STD += $(SIM_PATHS)
define compile_sim
@mkdir -p $(@D)
@echo '$(CC) $<'
$(Q)$(CC) $(SIM_CFLAGS) $(STD) $(WARN) $(INCLUDES) -I$(LUA)/src -c -o $@ $<
endef
$(SIM_OBJECTS): $(HEADERS) spec/support/sim_lua.h $(SELF) $(LUA)/.stamp $(CJSON)/.stamp | $(B)/deps-test.stamp
$(LUA)/src/lua.c: $(LUA)/.stamp ;
$(SIM)/%.o: $(B)/%.c
	$(compile_sim)
$(SIM)/%.o: %.c
	$(compile_sim)
$(SIM)/lua: $(SIM_OBJECTS) $(SELF)
	$(CC) $(SIM_CFLAGS) -Wl,-E -o $@ $(SIM_OBJECTS) -lm -ldl

SIM_WASM_OBJECTS := $(WASM_OBJECTS) $(W)/spec/support/sim.o
$(W)/spec/support/sim.o: $(HEADERS) $(SELF) $(LUA)/.stamp
$(SIM)/mooncast.wasm: $(SIM_WASM_OBJECTS) $(SELF)
	@mkdir -p $(@D)
	$(EMCC) $(WASM_LDFLAGS) -o $@ $(SIM_WASM_OBJECTS)

.PHONY: sim
sim: $(SIM)/lua $(SIM)/mooncast.wasm

# --- fuzzers ------------------------------------------------------------------------------------

# Every spec/fuzz/*.c but the mutator is a target of libFuzzer, which clang has. `make fuzz` runs them
# one after the other, for half an hour each; FUZZ=value picks, FUZZ_SECONDS=60 shortens, and
# FUZZ_RUNS=40000 tries forty thousand inputs, nearly the same ones every time.
F := $(B)/fuzz
FUZZ_CC ?= clang
FUZZ_TARGETS := $(patsubst spec/fuzz/%.c,%,$(filter-out %/mutate.c,$(wildcard spec/fuzz/*.c)))
FUZZ ?= $(FUZZ_TARGETS)
FUZZ_SECONDS ?= 1800
FUZZ_RUNS ?=
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_CFLAGS := $(FUZZ_SANITIZE) -O1 -g -pthread $(STD) -Wall -Wextra -I$(LUA)/src $(INCLUDES) -Ispec/support
fuzz_objects = $(patsubst %.c,$(F)/%.o,$(1))
FUZZ_CORE := $(call fuzz_objects,$(RUNTIME) spec/fuzz/mutate.c)
# Lua with checks of how its API is used.
FUZZ_LUA := $(call fuzz_objects,$(addprefix lua/,$(LUA_C)))
.SECONDARY: $(FUZZ_CORE) $(FUZZ_LUA) $(call fuzz_objects,$(BINDINGS) $(wildcard spec/fuzz/*.c))

$(F)/lua/%.o: $(LUA)/.stamp $(SELF) | $(B)/deps-fuzz.stamp
	@mkdir -p $(@D)
	@$(FUZZ_CC) -fsanitize=address -fno-omit-frame-pointer -O1 -g -std=gnu11 -DLUA_USE_POSIX \
	  -DLUA_USE_APICHECK -c -o $@ $(LUA)/src/$*.c
$(F)/%.o: %.c $(HEADERS) $(wildcard spec/fuzz/*.h spec/support/*.h) $(SELF) $(LUA)/.stamp | $(B)/deps-fuzz.stamp
	@mkdir -p $(@D)
	@echo '$(FUZZ_CC) $<'
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer-no-link $(FUZZ_CFLAGS) -c -o $@ $<
$(F)/lua_%: $(F)/spec/fuzz/lua_%.o $(FUZZ_CORE) $(call fuzz_objects,$(BINDINGS)) $(FUZZ_LUA)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer $(FUZZ_SANITIZE) -pthread -o $@ $^ -lm
$(F)/%: $(F)/spec/fuzz/%.o $(FUZZ_CORE)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer $(FUZZ_SANITIZE) -o $@ $^ -lm

.PHONY: fuzz fuzz-build
fuzz-build: $(addprefix $(F)/,$(FUZZ))
fuzz: fuzz-build
	@FUZZ_DIR='$(F)' FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_RUNS='$(FUZZ_RUNS)' scripts/fuzz.sh $(FUZZ)

# --- running and checking -----------------------------------------------------------------------

.PHONY: run
run: wasm
	node worker-shell/cli.js --workers $(WORKERS) $(EXAMPLE) $(FILES)

.PHONY: lint
lint: $(B)/deps-wasm.stamp $(B)/deps-native.stamp $(B)/deps-test.stamp $(B)/npm.stamp $(LUA)/.stamp
	@CC='$(CC)' EMCC='$(EMCC)' CFLAGS='$(STD) $(WARN) $(INCLUDES)' LUA_INCLUDE='$(LUA_INCLUDE)' \
	  WASM_LUA='$(LUA)/src' scripts/lint.sh

# Lays our C out as `make lint` wants it.
.PHONY: format
format: $(B)/deps-test.stamp
	clang-format -i $(wildcard runtime/*.[ch] runtime/include/*.h bindings/*.[ch] bindings/*/*.[ch] spec/*/*.[ch])

.PHONY: test-browsers
test-browsers: wasm component $(B)/deps-browsers.stamp
	@node scripts/test-browsers.mjs

# Bundlers and other runtimes are installed for this alone.
$(B)/npm-package.stamp: spec/package/package.json spec/package/package-lock.json
	@mkdir -p $(B)
	npm ci --prefix spec/package --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: test-package test-package-build
test-package-build: dist $(B)/npm-package.stamp $(B)/deps-browsers.stamp
test-package: test-package-build
	@node scripts/js-tests.mjs spec/package/package.test.js

.PHONY: test
test:
	@MAKE='$(MAKE)' node scripts/test.mjs

# --- measuring ----------------------------------------------------------------------------------

# The core by itself, for instruction counts.
$(B)/bench/core: spec/bench/core.c $(patsubst %.c,$(N)/%.o,$(RUNTIME)) $(HEADERS) $(SELF) | $(B)/deps-sanitize.stamp
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(INCLUDES) -o $@ $< $(patsubst %.c,$(N)/%.o,$(RUNTIME)) -lm

# What calls allocate.
$(B)/bench/garbage: spec/bindings/garbage_test.c spec/support/check.c spec/support/check.h $(N)/libmooncast.a $(SELF)
	@mkdir -p $(@D)
	$(CC) -O2 $(STD) $(WARN) -Ibindings/include -I$(LUA_INCLUDE) -Ispec/support $(WRAP_garbage_test) -o $@ \
	  $(filter %.c %.a,$^) -llua5.4 -lm -pthread

.PHONY: counts counts-build
counts-build: $(B)/bench/core $(B)/bench/garbage native $(B)/deps-test.stamp
counts: counts-build
	@node spec/bench/counts.mjs

# Peers are installed for this alone.
$(B)/npm-bench.stamp: spec/bench/package.json spec/bench/package-lock.json
	@mkdir -p $(B)
	npm ci --prefix spec/bench --no-audit --no-fund --loglevel=error
	@touch $@
$(B)/bench/erlang_peer.beam: spec/bench/erlang_peer.erl | $(B)/deps-bench.stamp
	@mkdir -p $(@D)
	erlc -o $(@D) $<

# BENCH=calls,start runs these groups only; BENCH_RUNS and BENCH_SECONDS make it shorter or longer.
export BENCH BENCH_RUNS BENCH_SECONDS
.PHONY: bench bench-build
bench-build: dist native $(B)/bench/core $(B)/bench/garbage $(B)/bench/erlang_peer.beam $(B)/npm-bench.stamp $(B)/deps-test.stamp
bench: bench-build
	@node spec/bench/run.mjs

# In a page, beside raw messages and Comlink. ENGINE=firefox or webkit for another.
.PHONY: bench-browser
bench-browser: dist $(B)/npm-bench.stamp $(B)/deps-browsers.stamp
	@node spec/bench/browser.mjs $(ENGINE)

# SECONDS of audio in a page, 60 unless said otherwise, with 100 calls a second; ENGINE as above.
.PHONY: bench-audio
bench-audio: wasm $(B)/deps-browsers.stamp
	@node spec/bench/audio.mjs $(or $(SECONDS),60) $(ENGINE)

.PHONY: clean
clean:
	rm -rf $(B) dist node_modules spec/bench/node_modules spec/package/node_modules
