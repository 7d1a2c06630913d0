#!/usr/bin/env bash
# syntax.sh [CLANG] - compiles every file of the library and the program for macOS, FreeBSD and OpenBSD, as far
# as that goes without these systems: clang checks the syntax and the types and makes no code. The C
# library's headers are those of musl, which has little but POSIX; what is asked of these systems
# only is declared below, as their manual pages have it. Kernels for arm64 are among the files. Then: hosts
# where it cannot work are refused in words, and what of these systems' files can be run.
#
# Prints `ok NAME`, `not ok NAME: why` or `skip NAME: why`, and fails if a file did.
set -u
cd "$(dirname "$0")/.."
clang=${1:-clang}
musl=$(echo /usr/include/*-linux-musl | cut -d' ' -f1)
[[ -e $musl/stdio.h ]] || musl=/usr/include # on Alpine
if ! command -v "$clang" >/dev/null; then
    echo "skip syntax: no $clang"
    exit 0
elif [[ $musl == /usr/include && ! -e /lib/ld-musl-$(uname -m).so.1 ]]; then
    echo "skip syntax: no headers of musl (Debian: musl-dev)"
    exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

mkdir -p "$tmp/libraries" "$tmp/darwin/mach-o" "$tmp/darwin/sys" "$tmp/freebsd/sys" "$tmp/openbsd/sys"
for library in libcjson libutf8proc; do
    folder=$(pkg-config --variable=includedir $library)
    cp -r "$folder"/utf8proc.h "$folder"/cjson "$tmp/libraries/" 2>/dev/null
done

cat >"$tmp/darwin/mach-o/dyld.h" <<'END'
#include <stdint.h>
int _NSGetExecutablePath(char *buf, uint32_t *bufsize);
END
cat >"$tmp/darwin/sys/random.h" <<'END'
#include <stddef.h>
int getentropy(void *buffer, size_t size);
END
cat >"$tmp/darwin/sys/sysctl.h" <<'END'
#include <stddef.h>
int sysctlbyname(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
END
cat >"$tmp/freebsd/sys/sysctl.h" <<'END'
#include <stddef.h>
#define CTL_KERN 1
#define CTL_HW 6
#define HW_MODEL 2
#define KERN_PROC 14
#define KERN_PROC_PATHNAME 12
int sysctl(const int *name, unsigned namelen, void *oldp, size_t *oldlenp, const void *newp, size_t newlen);
END
cp "$tmp/freebsd/sys/sysctl.h" "$tmp/openbsd/sys/"
cat >"$tmp/openbsd/unistd.h" <<'END'
#include_next <unistd.h>
int pledge(const char *promises, const char *execpromises);
int unveil(const char *path, const char *permissions);
END
cat >"$tmp/freebsd/sys/auxv.h" <<'END'
#define AT_HWCAP 25
#define AT_HWCAP2 26
#define HWCAP_ASIMDDP 0x00100000
#define HWCAP2_I8MM 0x00002000
int elf_aux_info(int aux, void *buf, int buflen);
END

# check NAME TARGET FOLDER DEFINES ... - all files of that system and processor.
check() {
    local name=$1 target=$2 folder=$3 arch=${2%%-*} files=0 file isa
    shift 3
    [[ $arch == arm64 ]] && arch=aarch64
    for file in src/*/*.c src/*/*/*.c; do
        case $file in
        src/base/os_*.c | src/base/confine_*.c) [[ $file == *_${folder/*bsd/bsd}.c ]] || continue ;;
        esac
        isa=$(sed -n "s,^// ISA $arch: *,,p" "$file")
        [[ -n $isa ]] || ! grep -q '^// ISA ' "$file" || continue
        files=$((files + 1))
        # shellcheck disable=SC2086
        "$clang" -target "$target" -fsyntax-only -std=c17 -Wall -Wextra -Wno-unused-parameter -Werror \
            -nostdlibinc -isystem "$tmp/$folder" -isystem "$tmp/libraries" -isystem "$tmp/libraries/cjson" -isystem "$musl" \
            -D_POSIX_C_SOURCE=200809L -DGPT2_DATADIR='"/usr/local/share/gpt2"' "$@" \
            -Iinclude -Isrc $isa "$file" >>"$tmp/log" 2>&1 || echo "$file" >>"$tmp/failed"
    done
    if [[ -s $tmp/failed ]]; then
        echo "not ok syntax of $name: $(wc -l <"$tmp/failed") of $files files"
        head -n 30 "$tmp/log"
        failed=1
    else
        echo "ok syntax of $name: $files files"
    fi
    rm -f "$tmp/failed" "$tmp/log"
}

# what _DARWIN_C_SOURCE and __BSD_VISIBLE show there, _BSD_SOURCE shows in musl's headers
check "macOS on arm64" arm64-apple-macos11 darwin -D_BSD_SOURCE
check "FreeBSD on x86-64" x86_64-unknown-freebsd13 freebsd -D_BSD_SOURCE
check "FreeBSD on arm64" aarch64-unknown-freebsd13 freebsd -D_BSD_SOURCE
check "OpenBSD on x86-64" x86_64-unknown-openbsd7 openbsd -D_BSD_SOURCE -Wno-format # musl has other types of 64 bits

# refused NAME TARGET WORDS FLAGS ... - what cannot work there is said while it is compiled. The headers of
# the compiler come first: musl's <float.h> is that of this machine.
refused() {
    local name=$1 target=$2 words=$3
    shift 3
    if "$clang" -target "$target" -fsyntax-only -std=c17 -nostdlibinc -isystem "$("$clang" -print-resource-dir)/include" \
        -isystem "$musl" -Iinclude -Isrc "$@" src/kernels/select.c >"$tmp/log" 2>&1; then
        echo "not ok $name is refused: it compiles"
        failed=1
    elif ! grep -qF "$words" "$tmp/log"; then
        echo "not ok $name is refused in words: $(grep -m 1 error: "$tmp/log")"
        failed=1
    else
        echo "ok $name is refused in words"
    fi
}
refused "a big-endian processor" s390x-linux-gnu "gpt2 runs on little-endian processors only"
refused "arithmetic of x87" i686-linux-gnu "gpt2 needs float arithmetic that rounds to float" -mno-sse

# What is said of a processor's name is tried by running it: the stand-in below refuses a buffer that is too
# small, as the systems do.
cat >"$tmp/name.c" <<'END'
#include "base/os.h"
#include <errno.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysctl.h>

static int answer(void *to, size_t *size) {
    static const char name[] = "A processor with a name";
    if (*size < sizeof name)
        return errno = ENOMEM, -1;
    memcpy(to, name, *size = sizeof name);
    return 0;
}
#ifdef DARWIN
int sysctlbyname(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen) {
    return answer(oldp, oldlenp);
}
int _NSGetExecutablePath(char *buf, uint32_t *bufsize) {
    return -1;
}
#else
int sysctl(const int *name, unsigned namelen, void *oldp, size_t *oldlenp, const void *newp, size_t newlen) {
    return answer(oldp, oldlenp);
}
#endif

int main(void) {
    char cut[5], whole[64];
    os_cpu_name(cut, sizeof cut);
    os_cpu_name(whole, sizeof whole);
    printf("%s|%s", cut, whole);
}
END

# cut_name FOLDER FILE FLAG ...
cut_name() {
    local folder=$1 file=$2 found
    shift 2
    found=$("$clang" -std=c17 -w -D_DEFAULT_SOURCE -isystem "$tmp/$folder" -idirafter "$tmp/darwin" -Iinclude -Isrc "$@" \
        -o "$tmp/name" "$tmp/name.c" "$file" 2>&1 && "$tmp/name")
    if [[ $found == "A pr|A processor with a name" ]]; then
        echo "ok $file: a processor's name is cut where its place ends"
    else
        echo "not ok $file: a processor's name is cut where its place ends: $found"
        failed=1
    fi
}
cut_name darwin src/base/os_darwin.c -DDARWIN
cut_name freebsd src/base/os_bsd.c

exit $failed
