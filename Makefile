# gpt2 - build, test, install. No configure step: `make help` lists what there is.
#
#   BUILD=dir      where everything built goes         (default: build)
#   CC=clang       gcc and clang are both supported
#   CROSS=aarch64-linux-gnu   build for another machine: the compiler of that name, and the libraries
#                  that pkg-config finds in /usr/lib/NAME (use another BUILD); CROSS_ROOT=dir has them
#                  in dir/usr/lib/NAME (tools/debian_root). `make install` then takes NATIVE=FILE, a
#                  gpt2 of the same version that runs here
#   WERROR=1       warnings are errors, as CI has it
#   SANITIZE=1     AddressSanitizer and UndefinedBehaviorSanitizer (use another BUILD)
#   SANITIZE=thread   ThreadSanitizer (use another BUILD)
#   STATIC=1       a program that needs no library of the system, for musl: `make STATIC=1 build/gpt2`
#                  where the archives of cJSON and utf8proc are (Alpine: cjson-static utf8proc-dev);
#                  without what is loaded when needed, LIBEDIT and MICROHTTPD (use another BUILD)
#   V=1            show the commands
#   LIBEDIT=no     no line editing in sessions  (default: yes where its header is)
#   MICROHTTPD=no  no `gpt2 serve`              (default: yes where pkg-config knows libmicrohttpd)
#   CFLAGS, CPPFLAGS, LDFLAGS        as everywhere (default: -O2 -g)
#   PREFIX=/usr/local, DESTDIR=...   for `make install`; under PREFIX:
#   LIBDIR=lib     lib/x86_64-linux-gnu for Debian
#   PYTHON_DIR=    where gpt2.py goes; empty: nowhere
#   STRIP=:        keeps debug information

BUILD   ?= build
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
# include/gpt2/version.h has the numbers.
version_number = $(shell sed -n 's/^.define GPT2_$(1) *//p' include/gpt2/version.h)
VERSION := $(call version_number,VERSION_MAJOR).$(call version_number,VERSION_MINOR).$(call version_number,VERSION_PATCH)

ifdef CROSS
TOOL := $(CROSS)-
AR := $(TOOL)ar
LD := $(TOOL)ld
# Debian's folder of libraries for i686-linux-gnu is i386-linux-gnu.
CROSS_LIB := $(or $(shell $(TOOL)gcc -print-multiarch 2>/dev/null),$(CROSS))
PKG_CONFIG := $(if $(CROSS_ROOT),PKG_CONFIG_SYSROOT_DIR=$(abspath $(CROSS_ROOT))) \
    PKG_CONFIG_LIBDIR=$(CROSS_ROOT)/usr/lib/$(CROSS_LIB)/pkgconfig:$(CROSS_ROOT)/usr/share/pkgconfig pkg-config
endif
ifeq ($(origin CC),default)
CC := $(if $(CROSS),$(TOOL)gcc,$(shell command -v gcc >/dev/null 2>&1 && echo gcc || echo cc))
endif
PKG_CONFIG ?= pkg-config
Q := $(if $(V),,@)
DEPS      := libcjson libutf8proc

# -ffp-contract=off: a multiply and an add are fused only where the source says fma. The two
# -fno- flags drop errno and trap bookkeeping, not a single rounding; nothing here is -ffast-math.
FP     := -ffp-contract=off -fno-math-errno -fno-trapping-math
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wpointer-arith -Wvla -Wno-unused-parameter $(if $(WERROR),-Werror)
SAN_1      := -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all
SAN_thread := -fsanitize=thread
SAN    := $(if $(SANITIZE),$(SAN_$(SANITIZE)) -fno-omit-frame-pointer)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(DEPS) 2>/dev/null)
PKG_LIBS   := $(shell $(PKG_CONFIG) $(if $(STATIC),--static) --libs $(DEPS) 2>/dev/null)
# Not position-independent: such a program has to relocate itself before its first function, and not
# every compiler for musl links what does.
STATIC_LDFLAGS := $(if $(STATIC),-static -no-pie)
# The same objects make the program, the archive and the shared library. No function of ours is
# replaced from outside, so the linker makes calls and accesses to data direct again.
PIC    := -fPIC -fno-semantic-interposition
# FILE_CFLAGS: what a single file needs, whatever CFLAGS the command line has. Its -O is the only one,
# so the command of such a file is the same at each level, and a compiler cache knows it.
ALL_CFLAGS = -std=c17 $(CPPFLAGS) $(if $(filter -O%,$(FILE_CFLAGS)),$(filter-out -O%,$(CFLAGS)),$(CFLAGS)) $(FILE_CFLAGS) $(PIC) $(FP) $(WARN) $(SAN) -pthread -Iinclude -Isrc $(PKG_CFLAGS) \
             -D_POSIX_C_SOURCE=200809L -DGPT2_DATADIR='"$(PREFIX)/share/gpt2"' -MMD -MP
ALL_LIBS   = $(PKG_LIBS) -lm -pthread
# dlopen() is in a library of its own only in old C libraries of Linux.
DL_LIBS    = $(if $(filter linux,$(SYSTEM)),-ldl)

# Kernels of other machines (files with an ISA line, none of which is for ARCH) are left out.
ARCH     := $(patsubst arm64,aarch64,$(patsubst amd64,x86_64,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))))
FOREIGN  := $(filter-out $(shell grep -l '^// ISA $(ARCH):' src/kernels/*.c),$(shell grep -l '^// ISA ' src/kernels/*.c))
# The files of the system that is built for: what differs by system is there, under base/os.h and
# base/confine.h.
SYSTEM   := $(shell case "$$($(CC) -dumpmachine)" in (*linux*) echo linux;; (*darwin*) echo darwin;; (*) echo bsd;; esac)
FOREIGN  += $(filter-out %_$(SYSTEM).c,$(wildcard src/base/os_*.c src/base/confine_*.c))
LIB_SRC  := $(filter-out src/cli/% $(FOREIGN),$(wildcard src/*/*.c src/*/*/*.c))
CLI_SRC  := $(wildcard src/cli/*.c src/cli/*/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
TEST_SRC := $(wildcard tests/test_*.c)
TESTS    := $(TEST_SRC:%.c=$(BUILD)/%)
BENCH    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench_*.c))
FUZZ     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(BUILD)/gpt2 $(BUILD)/libgpt2.a ## build the program and the library (the default)

$(BUILD)/gpt2: $(CLI_OBJ) $(BUILD)/libgpt2.a $(BUILD)/ldflags
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(STATIC_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(ALL_LIBS) $(DL_LIBS)

$(BUILD)/libgpt2.a: $(LIB_OBJ)
	$(if $(V),,@echo '  AR  $@')
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The shared library exports the names of src/libgpt2.map, on macOS as a list of symbols.
SOVERSION := $(call version_number,ABI)
ifeq ($(SYSTEM),darwin)
SO        := libgpt2.$(VERSION).dylib
SO_ABI    := libgpt2.$(SOVERSION).dylib
SO_LINK   := libgpt2.dylib
EXPORTS   := $(BUILD)/exported
SO_FLAGS   = -dynamiclib -install_name "$(PREFIX)/$(LIBDIR)/$(SO_ABI)" -Wl,-exported_symbols_list,$(EXPORTS)
$(BUILD)/exported: src/libgpt2.map
	@mkdir -p $(@D)
	@sed -n 's/^ *global: *\(.*\);/_\1/p' $< >$@
else
SO        := libgpt2.so.$(VERSION)
SO_ABI    := libgpt2.so.$(SOVERSION)
SO_LINK   := libgpt2.so
EXPORTS   := src/libgpt2.map
SO_FLAGS   = -shared -Wl,-soname,$(SO_ABI) -Wl,-Bsymbolic -Wl,--version-script=$(EXPORTS)
endif
shared: $(BUILD)/$(SO) ## build the shared library
$(BUILD)/$(SO): $(LIB_OBJ) $(EXPORTS) $(BUILD)/ldflags
	$(if $(V),,@echo '  LD  $@')
	$(Q)$(CC) $(SAN) $(LDFLAGS) $(SO_FLAGS) -o $@ $(LIB_OBJ) $(ALL_LIBS) $(DL_LIBS)

# The archive that is installed: one object, in which only gpt2_* is global. The files of the library
# call each other by names that a program may have too (json_parse, path_join). The program and
# the tests link the archive of plain objects above. What -flto has put off is compiled here, as
# objcopy finds no names in what is not; so a name that is still to be seen ends it.
OBJCOPY ?= $(TOOL)objcopy
NM      ?= $(TOOL)nm
EMBED   := $(BUILD)/embed/libgpt2.a
NOLTO   := -flinker-output=nolto-rel
PARTIAL  = $(CC) $(CFLAGS) -r -nostdlib $(shell : | $(CC) $(NOLTO) -x c -fsyntax-only - 2>/dev/null && echo $(NOLTO))
$(EMBED): $(LIB_OBJ) $(EXPORTS)
	@mkdir -p $(@D)
	$(if $(V),,@echo '  AR  $@')
ifeq ($(SYSTEM),darwin)
	$(Q)$(PARTIAL) -Wl,-exported_symbols_list,$(EXPORTS) -o $(@D)/gpt2.o $(LIB_OBJ)
else
	$(Q)$(PARTIAL) -o $(@D)/gpt2.o $(LIB_OBJ)
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='gpt2_*' $(@D)/gpt2.o
endif
	$(Q)$(NM) -g $(@D)/gpt2.o | awk 'NF == 3 && $$3 ~ /^_?gpt2_/ { n++ } NF == 3 && $$3 !~ /^_?gpt2_/ { other = 1 } \
	    END { exit !n || other }' || \
	    { echo 'libgpt2.a: $(CC) leaves names in it that cannot be hidden: build it without -flto' >&2; exit 1; }
	$(Q)rm -f $@ && $(AR) rcs $@ $(@D)/gpt2.o

# Another compiler or other flags compile everything again, other LDFLAGS link again.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS) $(PIC) $(FP) $(SAN)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@[ -n '$(PKG_LIBS)' ] || { echo 'make: error: $(PKG_CONFIG) does not find $(DEPS)' >&2; \
	    echo 'hint: tools/setup installs them; or give PKG_CFLAGS=... PKG_LIBS=...' >&2; exit 1; }
	@[ "$$(cat $@ 2>/dev/null)" = '$(FLAGS)' ] || echo '$(FLAGS)' >$@
$(BUILD)/ldflags: FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(LDFLAGS) $(STATIC_LDFLAGS)' ] || echo '$(LDFLAGS) $(STATIC_LDFLAGS)' >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC  $<')
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA) -c -o $@ $<

# The program knows where `make install` puts models, so another PREFIX compiles that file again.
$(BUILD)/src/cli/io/find_model.o: $(BUILD)/prefix
$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(PREFIX)' ] || echo '$(PREFIX)' >$@
FORCE:

# Line editing for sessions on a terminal. The program loads the library when it needs it, so only
# its header is looked for; LIBEDIT=no does without.
EDIT_CFLAGS := $(shell $(PKG_CONFIG) --cflags libedit 2>/dev/null)
HASH := \#
ifdef STATIC
LIBEDIT := no
MICROHTTPD := no
endif
LIBEDIT ?= $(shell echo '$(HASH)include <histedit.h>' | $(CC) $(EDIT_CFLAGS) -x c -fsyntax-only - 2>/dev/null && echo yes || echo no)
LIBEDIT := $(LIBEDIT)
$(BUILD)/src/cli/terminal/line_editor.o: FILE_CFLAGS := $(if $(filter yes,$(LIBEDIT)),-DHAVE_LIBEDIT $(EDIT_CFLAGS))
$(BUILD)/src/cli/terminal/line_editor.o: $(BUILD)/libedit
$(BUILD)/libedit: FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(LIBEDIT)' ] || echo '$(LIBEDIT)' >$@

# HTTP for `gpt2 serve`: loaded by that command alone, as it takes a dozen libraries and 2 ms along.
MICROHTTPD ?= $(shell $(PKG_CONFIG) --exists libmicrohttpd 2>/dev/null && echo yes || echo no)
MICROHTTPD := $(MICROHTTPD)
$(BUILD)/src/cli/serve/http_server.o: FILE_CFLAGS := \
    $(if $(filter yes,$(MICROHTTPD)),-DHAVE_MICROHTTPD $(shell $(PKG_CONFIG) --cflags libmicrohttpd 2>/dev/null))
$(BUILD)/src/cli/serve/http_server.o: $(BUILD)/microhttpd
$(BUILD)/microhttpd: FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(MICROHTTPD)' ] || echo '$(MICROHTTPD)' >$@

# Loops over a whole vocabulary, which -O2 leaves scalar.
VECTORIZED := base/rng forward/batch sampling/filters sampling/race
$(foreach f,$(VECTORIZED),$(BUILD)/src/$f.o): FILE_CFLAGS := \
    $(if $(SANITIZE)$(filter -O0 -Og,$(CFLAGS)),,-O3)

# Kernels: one file per instruction set, and only these files may use it. A file says on a line
# of its own (or several) which machine it is for and what it is compiled with: `// ISA x86_64: -mavx2`.
# (-O1 for the sanitizers: what they add to unrolled loops takes the compiler minutes. Where there is
# -g, it is lines only: to follow each variable through these loops is two thirds of its time.)
LINES_ONLY  := $(if $(filter -g%,$(CFLAGS)),-g1)
NO_COVERAGE := -fno-profile-instr-generate -fno-coverage-mapping
$(BUILD)/src/kernels/%.o: FILE_CFLAGS := \
    $(if $(SANITIZE),-O1,$(if $(filter -O0 -Og,$(CFLAGS)),,-O3)) $(LINES_ONLY) $(if $(findstring coverage,$(CFLAGS)),$(NO_COVERAGE)) $(if $(findstring fuzzer,$(CFLAGS)),-fno-sanitize=fuzzer-no-link)
# By clang they are plain: it takes many minutes for their unrolled loops under sanitizers.
ifneq ($(findstring fuzzer,$(CFLAGS))$(if $(findstring clang,$(CC)),$(filter 1,$(SANITIZE))),)
$(BUILD)/src/kernels/%.o: SAN :=
endif
$(BUILD)/src/kernels/%.o: ISA = $(shell sed -n 's,^// ISA $(ARCH): *,,p' $<)

# Tests: one program per tests/test_*.c. They see the internals; the program sees include/ only.
# These link the program, all of it but main().
$(BUILD)/tests/test_commands $(BUILD)/tests/test_memory_limit $(BUILD)/tests/test_settings $(addprefix $(BUILD)/tests/fuzz/fuzz_,arguments bulk history options): $(filter-out %/main.o,$(CLI_OBJ))
$(BUILD)/tests/%: tests/%.c $(BUILD)/libgpt2.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC  $<')
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -o $@ $< $(filter %.o,$^) $(BUILD)/libgpt2.a $(shell $(PKG_CONFIG) --cflags --libs cmocka) $(ALL_LIBS) $(DL_LIBS) $(LDFLAGS) $(STATIC_LDFLAGS)

# The same programs over variants whose instructions are plain C (tests/emulate_*.h), for CPUs
# that lack them: these objects go before the library's.
# Not under sanitizers, where that takes minutes: the variants of the hardware run there.
EMULATED := $(if $(SANITIZE),,$(if $(filter x86_64,$(ARCH)),$(addprefix $(BUILD)/tests/,test_kernels_emulated test_exactness_emulated)))
EMULATED_OBJ := $(BUILD)/emulated/x86_avx_vnni.o $(BUILD)/emulated/x86_amx.o $(BUILD)/emulated/x86_cpu.o
$(EMULATED_OBJ): FILE_CFLAGS := -O1 $(LINES_ONLY)
$(EMULATED_OBJ): $(BUILD)/emulated/%.o: src/kernels/%.c tests/emulate_avx_vnni.h tests/emulate_amx.h
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC  $< (emulated)')
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA) -Itests -DEMULATE_AVX_VNNI -DEMULATE_AMX -c -o $@ $<
$(EMULATED_OBJ): ISA = $(shell sed -n 's,^// ISA $(ARCH): *,,p' $<)
$(EMULATED): $(BUILD)/tests/%_emulated: tests/%.c $(EMULATED_OBJ) $(BUILD)/libgpt2.a
	$(if $(V),,@echo '  CC  $< (emulated)')
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -DEMULATED -o $@ $< $(EMULATED_OBJ) $(BUILD)/libgpt2.a $(shell $(PKG_CONFIG) --cflags --libs cmocka) $(ALL_LIBS) $(DL_LIBS) $(LDFLAGS) $(STATIC_LDFLAGS)

# Libraries to preload: one makes calls fail (tests/cli/faults.sh), one tries what is given up
# (tests/cli/sandbox.sh); not beside a sanitizer's own.
PRELOADED := $(if $(SANITIZE),,$(if $(filter linux,$(SYSTEM)),$(addprefix $(BUILD)/tests/,fault.so hole.so)))
$(PRELOADED): $(BUILD)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC  $<')
	$(Q)$(CC) -std=gnu17 -O1 -g -Wall -Wextra -fPIC -shared -o $@ $< -ldl

programs: all $(TESTS) $(EMULATED) $(FUZZ) $(BENCH) $(PRELOADED) ## build everything, run nothing

# The shared library is the same code once more, so the sanitizers go without.
check: all $(if $(SANITIZE),,shared) $(TESTS) $(EMULATED) $(FUZZ) $(PRELOADED) ## run all tests (CASE=name runs one; QUICK=1: fewer rounds; -j makes the build faster)
	@BUILD=$(BUILD) QUICK=$(if $(SANITIZE),1,$(QUICK)) tests/run.sh $(CASE)

torture: all $(PRELOADED) ## every call of every command fails; signals at 200 moments; 10,000 random drafts; all tests under clang's sanitizers (long; TORTURE_LOG=FILE: goes on where it was)
	@BUILD=$(BUILD) TORTURE=1 tests/run.sh faults
	@BUILD=$(BUILD) TORTURE=1 tests/run.sh crowded
	@BUILD=$(BUILD) GPT2_TEST_RUNS=10000 tests/run.sh test_generator
	@! command -v clang >/dev/null || $(MAKE) -s BUILD=$(BUILD)/clang CC=clang sanitize # clang's UBSan sees more

fuzz-coverage: ## what share of each parser's lines the fuzz targets reach (clang, llvm-cov; some minutes)
	@$(MAKE) -s BUILD=$(BUILD)/coverage CC=clang CFLAGS='-Og -g -fprofile-instr-generate -fcoverage-mapping' \
	    LDFLAGS='-fprofile-instr-generate' fuzz-programs
	@BUILD=$(BUILD)/coverage tests/fuzz_coverage.sh $(VARIATIONS)

fuzz: ## run each fuzz target by libFuzzer, under sanitizers, for MINUTES (30) of processor time; goes on where it was (clang; hours; ON='model gguf': these)
	@$(MAKE) -s BUILD=$(BUILD)/fuzzing CC=clang SANITIZE=1 CPPFLAGS=-DFUZZING CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' \
	    LDFLAGS='-fsanitize=fuzzer' fuzz-programs
	@BUILD=$(BUILD)/fuzzing tests/fuzz.sh $(ON)

fuzz-programs: $(FUZZ)

bench-tokenizer: $(BUILD)/tests/bench_tokenizer ## measure the tokenizer, MiB/s on one thread
	$<

bench-kernels: $(BUILD)/tests/test_kernels ## measure each kernel of each variant
	$< --bench

bench-pool: $(BUILD)/tests/bench_pool ## measure what handing out work costs, alone and beside a busy process
	$<

bench-startup: all $(BUILD)/tests/bench_startup ## measure from process start to first token, and memory (MODELS='DIR FILE ...'; default: the shipped one)
	@$(BUILD)/tests/bench_startup $(BUILD)/gpt2 $(or $(MODELS),models/tales)

everywhere: all ## build for other machines, at other levels, and run that under qemu (ON='aarch64 ...': only these; long)
	@BUILD=$(BUILD) tests/everywhere.sh $(ON)

syntax: ## check all files for macOS, FreeBSD and OpenBSD with clang, as far as that goes without these systems
	@tests/syntax.sh

spills: $(BUILD)/libgpt2.a ## list the vectors that the compiler keeps on the stack inside product loops
	@tests/spills.sh -v $(patsubst %.c,$(BUILD)/%.o,$(filter src/kernels/x86_% src/kernels/arm_%,$(LIB_SRC)))

sanitize: ## run all tests under AddressSanitizer and UBSan
	$(MAKE) BUILD=$(BUILD)/sanitize SANITIZE=1 check

tsan: ## run all tests under ThreadSanitizer (some minutes)
	$(MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread CFLAGS='-O1 -g' check

# What many threads use at once; all of it is `make tsan`.
CROWDED := test_crowd test_generator test_session_pool test_base
tsan-short: ## run the tests of sessions, generator and pool under ThreadSanitizer, as CI does
	@$(MAKE) -s BUILD=$(BUILD)/tsan SANITIZE=thread CFLAGS='-O1 -g' $(CROWDED:%=$(BUILD)/tsan/tests/%)
	@for test in $(CROWDED); do BUILD=$(BUILD)/tsan QUICK=1 tests/run.sh $$test || exit 1; done

soak: all ## 100,000 short records through one job: its speed and its memory from beginning to end (RECORDS=N)
	@GPT2=$(BUILD)/gpt2 tests/soak.sh $(RECORDS)

valgrind: all $(TESTS) $(FUZZ) ## run all tests under valgrind (slow)
	@BUILD=$(BUILD) VALGRIND=1 tests/run.sh $(CASE)

accuracy: $(BUILD)/tests/test_accuracy ## compare with the fp64 reference at 124M shape (needs numpy)
	@BUILD=$(BUILD) tests/accuracy.sh

goldens: $(BUILD)/tests/test_accuracy ## regenerate tests/data (needs numpy)
	@BUILD=$(BUILD) tests/accuracy.sh goldens

lint: $(BUILD)/libgpt2.a ## check format, include direction, public headers, exported names
	@BUILD=$(BUILD) tests/lint.sh '$(CC)'

format: ## put all C files into the project's format
	clang-format -i $$(git ls-files --cached --others --exclude-standard '*.c' '*.h')

deps: ## install compiler, make and libraries through the system's package manager
	tools/setup --packages-only

MAN := $(BUILD)/man
# The program that man pages and completions are made with, which has to run here. A build for another
# machine takes one of this one, of the same version: NATIVE=build/gpt2.
NATIVE ?= $(BUILD)/gpt2
man: $(BUILD)/gpt2 ## make the man pages
	@$(NATIVE) version >/dev/null 2>&1 || \
	    { echo 'make: $(NATIVE) does not run here: NATIVE=FILE names a gpt2 that does, of this version' >&2; exit 1; }
	@tools/make_man $(NATIVE) $(MAN)

# Where gpt2.py goes under PREFIX: a folder that the system's python3 looks in; empty where there is
# no python3, and then it is not installed.
PYTHON_DIR ?= $(shell python3 -c 'import sys; dist = any(p.endswith("dist-packages") for p in sys.path); \
    print("lib/python3/dist-packages" if dist and "$(PREFIX)" == "/usr" else \
    "lib/python%d.%d/%s-packages" % (*sys.version_info[:2], "dist" if dist else "site"))' 2>/dev/null)

PYTHON_SCRIPTS := $(filter-out %/gpt2.py,$(wildcard tools/python/*.py))

# PREFIX and DESTDIR may have spaces. LIBDIR is under PREFIX: lib/x86_64-linux-gnu for Debian's packages.
LIBDIR ?= lib
D = $(DESTDIR)$(PREFIX)
STRIP ?= $(TOOL)strip
STRIP_SHARED  := $(if $(filter darwin,$(SYSTEM)),-x,--strip-unneeded)
STRIP_ARCHIVE := $(if $(filter darwin,$(SYSTEM)),-S,--strip-debug)
DOCS := LICENSE CHANGELOG.md
JOB_TOOLS := tools/slurm-job tools/kubernetes-job
# What `make install` writes by redirection: its mode is not the umask's.
WRITTEN = $(LIBDIR)/pkgconfig/gpt2.pc share/bash-completion/completions/gpt2 \
    share/zsh/site-functions/_gpt2 share/fish/vendor_completions.d/gpt2.fish
$(if $(filter install,$(MAKECMDGOALS)),$(if $(filter-out /%,$(firstword $(PREFIX))),$(error PREFIX: expected an absolute path, got $(PREFIX))))
install: all shared $(EMBED) man ## install program, library, headers, man pages, the shipped model, scripts for Slurm and Kubernetes and, where there is a python3, gpt2.py under PREFIX (STRIP=: keeps debug information)
	install -d $(foreach folder,bin $(LIBDIR)/pkgconfig include/gpt2 share/gpt2/models/tales share/gpt2/tools share/man/man1 share/man/man5 \
	    share/man/man7 share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d \
	    share/doc/gpt2,"$D/$(folder)")
	install -m 755 $(BUILD)/gpt2 "$D/bin/gpt2"
	install -m 644 $(EMBED) $(BUILD)/$(SO) "$D/$(LIBDIR)/"
	$(or $(STRIP),:) "$D/bin/gpt2" && $(or $(STRIP),:) $(STRIP_SHARED) "$D/$(LIBDIR)/$(SO)" && \
	    $(or $(STRIP),:) $(STRIP_ARCHIVE) "$D/$(LIBDIR)/libgpt2.a"
	ln -sf $(SO) "$D/$(LIBDIR)/$(SO_ABI)" && ln -sf $(SO_ABI) "$D/$(LIBDIR)/$(SO_LINK)"
	install -m 644 include/gpt2/*.h "$D/include/gpt2/"
	install -m 644 models/tales/* "$D/share/gpt2/models/tales/"
	install -m 755 $(JOB_TOOLS) "$D/share/gpt2/tools/"
	install -m 644 $(DOCS) "$D/share/doc/gpt2/"
	$(foreach section,1 5 7,install -m 644 $(MAN)/*.$(section) "$D/share/man/man$(section)/" &&) true
	$(NATIVE) completions bash >"$D/share/bash-completion/completions/gpt2"
	$(NATIVE) completions zsh >"$D/share/zsh/site-functions/_gpt2"
	$(NATIVE) completions fish >"$D/share/fish/vendor_completions.d/gpt2.fish"
	$(if $(PYTHON_DIR),install -d "$D/$(PYTHON_DIR)" "$D/share/gpt2/python")
	$(if $(PYTHON_DIR),install -m 644 tools/python/gpt2.py "$D/$(PYTHON_DIR)/")
	$(if $(PYTHON_DIR),install -m 755 $(PYTHON_SCRIPTS) "$D/share/gpt2/python/")
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/$(LIBDIR)' 'includedir=$${prefix}/include' \
	    'Name: gpt2' 'Description: GPT-2 on the CPU' 'Version: $(VERSION)' $(if $(HOME_PAGE),'URL: $(HOME_PAGE)') \
	    'Cflags: -I"$${includedir}"' 'Libs: -L"$${libdir}" -lgpt2' \
	    'Requires.private: $(DEPS)' 'Libs.private: -lm -pthread $(DL_LIBS)' >"$D/$(LIBDIR)/pkgconfig/gpt2.pc"
	cd "$D" && chmod 644 $(WRITTEN)
	{ cat "$D/share/gpt2/installed" 2>/dev/null; printf '%s\n' bin/gpt2 \
	    $(addprefix $(LIBDIR)/,libgpt2.a $(SO) $(SO_ABI) $(SO_LINK)) $(wildcard include/gpt2/*.h) $(WRITTEN) \
	    $(addprefix share/gpt2/,$(wildcard models/tales/*) $(JOB_TOOLS)) $(addprefix share/doc/gpt2/,$(DOCS)) \
	    $(if $(PYTHON_DIR),$(PYTHON_DIR)/gpt2.py $(PYTHON_SCRIPTS:tools/%=share/gpt2/%)); \
	    for section in 1 5 7; do (cd $(MAN) && ls *.$$section) | sed "s,^,share/man/man$$section/,"; done; \
	} | sort -u >$(BUILD)/installed && install -m 644 $(BUILD)/installed "$D/share/gpt2/installed"

uninstall: ## remove what install put under PREFIX, and nothing else
	@[ -f "$D/share/gpt2/installed" ] || { echo 'make: nothing of gpt2 is installed under $D' >&2; exit 1; }
	cd "$D" && while read -r file; do rm -f "$$file"; done <share/gpt2/installed
	@cd "$D" && { sed 's,/[^/]*$$,,' share/gpt2/installed && echo share/gpt2; } | sort -ru >$(abspath $(BUILD))/folders && \
	    rm share/gpt2/installed
	@cd "$D" && while read -r folder; do \
	    while [ "$$folder" != . ] && rmdir "$$folder" 2>/dev/null; do folder=$$(dirname "$$folder"); done; \
	done <$(abspath $(BUILD))/folders

# The same commit makes the same bytes. With URL, where the tarball will be, also what Homebrew and
# Arch Linux need (tools/packaging). HOME_PAGE is where people read about gpt2; it stands nowhere else.
HOME_PAGE ?=
dist: ## make the source tarball of HEAD with its checksum, build/dist/ (URL=... HOME_PAGE=...: also the recipes of packagers)
	@tools/make_dist $(BUILD)/dist '$(URL)' '$(HOME_PAGE)'

BUILDFLAGS := DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --get
deb: ## make Debian packages, build/deb/*.deb: gpt2, the library, -dev, gpt2-model-tales, python3-gpt2 (HOME_PAGE=... MAINTAINER='NAME <ADDRESS>')
	rm -rf $(BUILD)/deb/stage && rm -f $(BUILD)/deb/*.deb
	$(MAKE) BUILD=$(BUILD)/deb PREFIX=/usr LIBDIR=lib/$$(dpkg-architecture -qDEB_HOST_MULTIARCH) \
	    PYTHON_DIR=lib/python3/dist-packages DESTDIR=$(abspath $(BUILD))/deb/stage install \
	    CFLAGS="$$($(BUILDFLAGS) CFLAGS) $$($(BUILDFLAGS) CPPFLAGS)" LDFLAGS="$$($(BUILDFLAGS) LDFLAGS)"
	tools/make_deb $(BUILD)/deb/stage $(VERSION) $(SOVERSION) $(BUILD)/deb $(HOME_PAGE)

clean: ## remove everything built (checkpoints of a training run in build/train are kept)
	@if [ -d $(BUILD) ]; then find $(BUILD) -mindepth 1 -maxdepth 1 ! -name train -exec rm -rf {} +; fi

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: FORCE all soak tsan-short fuzz fuzz-coverage fuzz-programs programs everywhere syntax spills check accuracy goldens torture bench-tokenizer bench-kernels bench-pool bench-startup sanitize tsan valgrind lint format deps shared man dist deb install uninstall clean help
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(EMULATED_OBJ:.o=.d) $(EMULATED:=.d) $(TESTS:=.d) $(BENCH:=.d) $(FUZZ:=.d)
