#!/bin/sh
# everywhere.sh [NAME ...] - builds the program for other machines, with other compilers and at other
# levels, and runs it there: other machines are qemu's. What is not given is all of these:
#
#   aarch64 riscv64 ppc64le i686    cross-built with Debian's compiler and its packages of that machine; an
#                                   x86-64 machine runs i686 itself, as qemu 7.2 cannot start it
#   nehalem haswell                 what is in $BUILD, on x86-64 without AVX, and with AVX2 only
#   static                          one file for any Linux: musl, with Debian's sources of the libraries
#   levels, or some of: O0 O1 O3 Os lto clang address thread
#                                   all programs and tests with other flags: -O3 with -march=native, and
#                                   the sanitizers at -O1
#
# For each: builds without a warning; test_kernels and test_exactness (QUICK=1: all hashes, over all
# variants), the README's first command word for word, and the files that `quantize` writes byte for
# byte as $BUILD/gpt2 writes them; static has no tests, as there is no cmocka. Of aarch64 also: whether
# kernels spill, and what share of the loops are products. In $BUILD/everywhere/NAME is what was built
# and printed. Where ccache is, it helps: the kernels' flags are the same at most levels.
#
# SHORT=1 is for CI: of test_exactness the published hashes only, by each variant; of the levels Os only
# (`make sanitize` is O1), without test_kernels, as the kernels' flags are their own; on nehalem, where a
# multiply-add is a function, of the smallest shape only, and no tale.
#
# Prints `ok NAME: what`, `not ok NAME: what: why` or `skip NAME: why`; the last line is
# `N passed, N failed, N skipped`, the status 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-everywhere.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
unset GPT2_MODEL GPT2_MODELS
! [ -d /usr/lib/ccache ] || export PATH="/usr/lib/ccache:$PATH"
export LC_ALL=C MAKEFLAGS=
passed=0 failed=0 skipped=0

ok() { echo "ok $*" && passed=$((passed + 1)); }
skip() { echo "skip $*" && skipped=$((skipped + 1)); }
not_ok() { # not_ok WHAT [LOG]
    echo "not ok $1"
    [ $# -lt 2 ] || tail -n 20 "$2" | sed 's/^/    | /'
    failed=$((failed + 1))
}

# compiled NAME ARGS...: whether make builds that in $built.
compiled() {
    name=$1
    shift
    built=$BUILD/everywhere/$name
    mkdir -p "$built"
    if make -s -j"$jobs" WERROR=1 BUILD="$built" "$@" >"$built/make.log" 2>&1; then
        ok "$name: builds without a warning"
    else
        not_ok "$name: does not build" "$built/make.log"
        return 1
    fi
}

# The README's first command without its `tools/setup &&`, and the text that it shows.
first_command() { sed -n '/^tools\/setup && /{s///p;q;}' README.md; }
first_text() { awk '/^tools\/setup && / { seen = 1 } seen && /^```/ && ++fences == 3 { exit } fences == 2 && !/^```/' README.md; }
first_command >"$tmp/first"
first_text >"$tmp/tale"
if ! [ -s "$tmp/first" ] || ! [ -s "$tmp/tale" ]; then
    echo "everywhere.sh: README.md has no first command" >&2
    exit 1
fi

# quantized PROGRAM FOLDER
quantized() {
    mkdir -p "$2"
    "$1" quantize models/tales --type q8 -o "$2/q8" >"$2/log" 2>&1 &&
        "$1" quantize models/tales --type q4 -o "$2/q4" >>"$2/log" 2>&1
}

# runs NAME PROGRAM: the README's command and quantize's files by that program.
runs() {
    variants=$("$2" info -m models/tales 2>/dev/null | sed -n 's/.*this CPU can run: \(.*\))$/\1/p')
    sed "s,^build/gpt2,'$2'," "$tmp/first" >"$tmp/command"
    if [ -n "${SHORT:-}" ] && [ "$1" = nehalem ]; then
        skip "nehalem: README's first command: takes minutes (make everywhere)"
    elif sh "$tmp/command" >"$tmp/text" 2>"$tmp/log" && cmp -s "$tmp/text" "$tmp/tale"; then
        ok "$1: README's first command, word for word ($variants)"
    else
        diff "$tmp/tale" "$tmp/text" >>"$tmp/log"
        not_ok "$1: README's first command" "$tmp/log"
    fi
    rm -rf "$tmp/there"
    [ -s "$tmp/here/q4" ] || quantized "$BUILD/gpt2" "$tmp/here"
    if quantized "$2" "$tmp/there" && cmp "$tmp/here/q8" "$tmp/there/q8" >>"$tmp/there/log" 2>&1 &&
        cmp "$tmp/here/q4" "$tmp/there/q4" >>"$tmp/there/log" 2>&1; then
        ok "$1: what quantize writes, byte for byte"
    else
        not_ok "$1: what quantize writes" "$tmp/there/log"
    fi
}

# The tests that are run, and of test_exactness what: nothing is all of it.
all_tests="test_kernels test_exactness"
tests=$all_tests
hashes=
[ -z "${SHORT:-}" ] || hashes=each_variant_gives_the_published_bits

# started NAME RUN FOLDER TEST [CASE]: that test in FOLDER, started by the program RUN.
started() {
    QUICK=1 "$2" "$3/tests/$4" ${5:+"$5"} >"$BUILD/everywhere/$1/$4.log" 2>&1
    echo $? >"$tmp/$4.status"
}

# start_tests NAME RUN FOLDER: side by side.
start_tests() {
    mkdir -p "$BUILD/everywhere/$1"
    for test in $tests; do
        case $test in
        test_exactness) started "$1" "$2" "$3" "$test" $hashes & ;;
        *) started "$1" "$2" "$3" "$test" & ;;
        esac
    done
}

# end_tests NAME: waits for them.
end_tests() {
    wait
    for test in $tests; do
        log=$BUILD/everywhere/$1/$test.log
        count=$(sed -n 's/^\[=*\] \(tests: \)*\([1-9][0-9]* test(s)\) run.*/\2/p' "$log")
        if [ "$(cat "$tmp/$test.status")" -eq 0 ] && [ -n "$count" ]; then
            ok "$1: $test ($count)"
        else
            not_ok "$1: $test" "$log"
        fi
    done
}

# starter FILE COMMAND...: FILE becomes a program that starts its arguments by that command.
starter() {
    file=$1
    shift
    printf '#!/bin/sh\nexec %s "$@"\n' "$*" >"$file"
    chmod +x "$file"
}

# on NAME COMMAND...: all of it for what is in $built, started by the command.
on() {
    name=$1
    shift
    starter "$tmp/run" "$@"
    starter "$tmp/gpt2" "$@" "$PWD/$built/gpt2"
    start_tests "$name" "$tmp/run" "$built"
    runs "$name" "$tmp/gpt2"
    end_tests "$name"
}

# cross NAME CROSS ARCH QEMU [ARGS]: cross-built in $BUILD/everywhere/NAME.
cross() {
    name=$1 compiler=$2-gcc arch=$3 qemu=$4
    shift 4
    root=$BUILD/everywhere/$name/root
    for tool in "$compiler" "$qemu"; do
        command -v "$tool" >/dev/null || {
            skip "$name: no $tool (Debian: apt install gcc-${compiler%-gcc} libc6-dev-$arch-cross qemu-user)"
            return 1
        }
    done
    tools/debian_root "$arch" "$root" >"$tmp/log" 2>&1 || {
        skip "$name: $(head -n 1 "$tmp/log")"
        return 1
    }
    compiled "$name" CROSS="${compiler%-gcc}" CROSS_ROOT="$root" "$@" all \
        "$BUILD/everywhere/$name/tests/test_kernels" "$BUILD/everywhere/$name/tests/test_exactness" || return 1
    if [ "$name-$(uname -m)" = i686-x86_64 ]; then
        on i686 "$root/lib/ld-linux.so.2" --library-path "$root/usr/lib/i386-linux-gnu"
    else
        on "$name" "$qemu" -L "$root"
    fi
}

# Kernels for arm64 are judged by their instructions, as no such machine may be at hand.
arm_loops() {
    if make -s BUILD="$built" CROSS=aarch64-linux-gnu CROSS_ROOT="$built/root" spills >"$built/spills.log" 2>&1 &&
        grep -q "reloads in [0-9]* loops" "$built/spills.log"; then
        ok "aarch64: no kernel keeps vectors on the stack in a product loop"
    else
        not_ok "aarch64: a kernel keeps vectors on the stack in a product loop" "$built/spills.log"
    fi
    for kernels in arm_neon arm_neon_dotprod arm_neon_i8mm; do
        tests/spills.sh -c "$built/src/kernels/$kernels.o" | sed "s,^,  $kernels: ,"
    done
}

# x86 CPU: what is in $BUILD on another x86-64.
x86() {
    if [ "$(uname -m)" != x86_64 ] || ! command -v qemu-x86_64 >/dev/null; then
        skip "$1: needs an x86-64 machine and qemu-x86_64 (Debian: apt install qemu-user)"
        return
    fi
    make -s -j"$jobs" BUILD="$BUILD" "$BUILD/gpt2" "$BUILD/tests/test_kernels" "$BUILD/tests/test_exactness" >"$tmp/log" 2>&1 ||
        { not_ok "$1: does not build" "$tmp/log"; return; }
    built=$BUILD
    if [ -n "${SHORT:-}" ] && [ "$1" = nehalem ]; then export VALGRIND=1; fi # the tests are as short
    export UNGUARDED=1
    on "$1" qemu-x86_64 -cpu "$2"
    unset VALGRIND UNGUARDED
}

# level NAME ARGS...: everything there is, built here by make ARGS.
level() {
    compiled "$@" programs && on "$1" env
}

# linked NAME ARGS...: without the other tests, each of which would compile the library as it is linked.
linked() {
    compiled "$@" all shared "$BUILD/everywhere/$1/tests/test_kernels" "$BUILD/everywhere/$1/tests/test_exactness" && on "$1" env
}

# short_level NAME ARGS...: the same; kernels have the flags of $BUILD, so they are not tested again.
short_level() {
    [ -z "${SHORT:-}" ] || tests=test_exactness
    level "$@"
    tests=$all_tests
}

# sanitized NAME ARGS...: the same; `make sanitize` and `make tsan` run all tests.
sanitized() {
    hashes_were=$hashes
    hashes=each_variant_gives_the_published_bits
    level "$@"
    hashes=$hashes_were
}

# One file, which needs no other: the program by musl's compiler.
static() {
    command -v musl-gcc >/dev/null || {
        skip "static: no musl-gcc (Debian: apt install musl-tools)"
        return
    }
    root=$BUILD/everywhere/static/root
    tools/debian_root musl "$root" >"$tmp/log" 2>&1 || {
        skip "static: $(head -n 1 "$tmp/log")"
        return
    }
    built=$BUILD/everywhere/static
    compiled static STATIC=1 CC=musl-gcc CPPFLAGS="-isystem $root/usr/include" \
        PKG_CONFIG="env PKG_CONFIG_LIBDIR=$root/usr/lib/pkgconfig pkg-config" "$built/gpt2" || return
    if ! readelf -lW "$built/gpt2" | grep -Eq 'INTERP|DYNAMIC'; then
        strip -o "$tmp/gpt2" "$built/gpt2"
        ok "static: one file of $(($(wc -c <"$tmp/gpt2") / 1024)) KiB"
    else
        not_ok "static: needs libraries"
    fi
    tests=
    on static env
    tests=$all_tests
}

[ -x "$BUILD/gpt2" ] || { echo "everywhere.sh: $BUILD/gpt2 is not built (make)" >&2; exit 1; }
levels="O0 O1 O3 Os lto clang address thread"
[ -z "${SHORT:-}" ] || levels="Os"
[ $# -gt 0 ] || set -- aarch64 nehalem haswell levels static i686 riscv64 ppc64le
for target in "$@"; do
    # shellcheck disable=SC2086 # words
    [ "$target" != levels ] || set -- "$@" $levels
done
for target in "$@"; do
    case $target in
    aarch64) cross aarch64 aarch64-linux-gnu arm64 qemu-aarch64 && arm_loops ;;
    riscv64) cross riscv64 riscv64-linux-gnu riscv64 qemu-riscv64 ;;
    ppc64le) cross ppc64le powerpc64le-linux-gnu ppc64el qemu-ppc64le ;;
    i686) cross i686 i686-linux-gnu i386 qemu-i386 CFLAGS='-O2 -g -msse2 -mfpmath=sse' ;;
    nehalem) x86 nehalem Nehalem ;;
    haswell) x86 haswell Haswell ;;
    static) static ;;
    levels) ;; # they follow
    O0) level O0 CFLAGS='-O0 -g' ;;
    O1) short_level O1 CFLAGS='-O1 -g' ;;
    O3) level O3 CFLAGS='-O3 -march=native -g' ;;
    Os) short_level Os CFLAGS='-Os -g' ;;
    lto) linked lto CFLAGS='-O2 -g -flto=auto' AR=gcc-ar ;;
    clang)
        if command -v clang >/dev/null; then level clang CC=clang; else skip "clang: not installed"; fi ;;
    address) sanitized address SANITIZE=1 CFLAGS='-O1 -g' ;;
    thread) sanitized thread SANITIZE=thread CFLAGS='-O1 -g' ;;
    *) echo "everywhere.sh: unknown name '$target'" >&2 && exit 2 ;;
    esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
