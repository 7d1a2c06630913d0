# make install, what it puts where, a C and a C++ program against it, make uninstall.
# alone
. tests/cli/cases.inc

if ! command -v make >/dev/null || [ -z "$(shared_library)" ]; then
    skip "make install" "needs make and the shared library (make shared)"
    exit 0
fi
: >"$err"
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR="$tmp/root" PREFIX="${PREFIX:-/usr/local}" install >"$out" 2>"$err"
status=$?
root=$tmp/root${PREFIX:-/usr/local}
expect "make install" exits 0
[ "$status" -eq 0 ] || exit 0
expect "man page for each command" test -s "$root/share/man/man1/gpt2-generate.1" -a -s "$root/share/man/man1/gpt2-rm.1"
if command -v mandoc >/dev/null; then
    expect "man pages without a warning" test -z "$(mandoc -T lint -W warning "$root"/share/man/man?/* 2>&1)"
else
    skip "man pages without a warning" "mandoc is not installed"
fi
nm -D --defined-only "$root/lib/libgpt2.so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >"$tmp/exported"
expect "the shared library exports something" test -s "$tmp/exported"
grep -ohE 'gpt2_[a-z0-9_]+\(' "$root"/include/gpt2/*.h | tr -d '(' | sort -u >"$tmp/declared"
expect "and nothing that no header declares" test -z "$(comm -23 "$tmp/exported" "$tmp/declared")"
for shell in bash zsh fish; do
    case $shell in
    bash) file=bash-completion/completions/gpt2 ;;
    zsh) file=zsh/site-functions/_gpt2 ;;
    fish) file=fish/vendor_completions.d/gpt2.fish ;;
    esac
    if command -v $shell >/dev/null; then
        expect "$shell reads its completions" $shell -n "$root/share/$file"
        expect "$shell completions know an option" grep -qE 'calibrate' "$root/share/$file"
    else
        skip "$shell completions" "$shell is not installed"
    fi
done
for tool in slurm-job kubernetes-job; do
    expect "$tool, which gpt2-bulk(5) names" test -x "$root/share/gpt2/tools/$tool"
    expect "... and which says what it is for" grep -q '^usage: ' <<END
$("$root/share/gpt2/tools/$tool" --help)
END
done
expect "gpt2-bulk(5) says where they are" grep -q 'share/gpt2/tools' "$root/share/man/man5/gpt2-bulk.5"
module=$(find "$root/lib" -name gpt2.py)
if command -v python3 >/dev/null; then
    expect "gpt2.py is where python3 looks" test -f "$module"
    expect "with its scripts" test -x "$root/share/gpt2/python/surprisal.py"
else
    expect "no gpt2.py without python3" test -z "$module"
fi
for p in python3 /usr/bin/python3; do
    if [ -n "$module" ] && "$p" -c 'import numpy' 2>/dev/null; then
        expect "$p: gpt2.py finds its library" env PYTHONDONTWRITEBYTECODE=1 \
            PYTHONPATH="$(dirname "$module")" "$p" -c 'import gpt2'
        break
    fi
done
complete() { # the words completed for a command line
    bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gpt2; echo "${COMPREPLY[*]}"' \
        "$root/share/bash-completion/completions/gpt2" "$@" >"$out"
}
if command -v bash >/dev/null; then
    complete gpt2 quantize --type ""
    expect "bash completes choices" prints "f16 bf16 q8 q4"
    complete gpt2 quantize --cal
    expect "bash completes options" prints "--calibrate"
fi
if command -v bash >/dev/null; then
    complete gpt2 inspect la
    expect "bash completes first words" prints layernorm
fi
if command -v fish >/dev/null; then
    fished() { # what fish offers for a line, without descriptions
        HOME=$tmp PATH="$root/bin:$PATH" fish --no-config -c \
            "source '$root/share/fish/vendor_completions.d/gpt2.fish'; complete -C '$1'" \
            2>"$err" | cut -f 1 >"$out"
        expect "fish completes \"$1\" without a complaint" test ! -s "$err"
    }
    fished 'gpt2 gen'
    expect "fish completes commands" prints generate
    fished 'gpt2 generate --te'
    expect "fish completes options" prints --temp
    fished 'gpt2 quantize --type q'
    expect "fish completes choices" prints "$(printf 'q4\nq8')"
    fished 'gpt2 generate -p score --by'
    expect "fish completes options of the command alone" silent
    fished 'gpt2 inspect la'
    expect "fish completes first words" prints layernorm
    fished 'gpt2 rm tal'
    expect "fish completes models to remove" prints tales
    fished 'gpt2 rm Make'
    expect "... and no files" silent
    fished 'gpt2 generate -m tal'
    expect "fish completes models" prints tales
else
    skip "what fish completes" "fish is not installed"
fi
if command -v zsh >/dev/null && zsh -f -c 'zmodload zsh/zpty' 2>/dev/null; then
    mkdir "$tmp/zsh"
    cat >"$tmp/zsh/.zshrc" <<EOF
fpath=('$root/share/zsh/site-functions' \$fpath) path=('$root/bin' \$path)
autoload -Uz compinit
compinit -u -d '$tmp/zsh/dump'
compadd() { # notes what is offered
    local -a found
    case " \${@[1,(i)(-|--)]} " in
    *" -O "* | *" -A "* | *" -D "*) ;;
    *) builtin compadd -A found "\$@"; print -rl -- \$found >>'$tmp/zsh/offers' ;;
    esac
    builtin compadd "\$@"
}
zle-line-init() { touch '$tmp/zsh/ready'; } # what is typed sooner goes elsewhere
zle -N zle-line-init
EOF
    cat >"$tmp/zsh/type" <<'EOF'
# Types a line and a tab into an interactive zsh.
zmodload zsh/zpty
TERM=dumb zpty z zsh -i
for ((i = 0; i < 200; i++)); do [[ -e $ZDOTDIR/ready ]] && break; sleep 0.05; done
zpty -w -n z "$1"$'\t'
zpty -w -n z $'\x15'"touch '$ZDOTDIR/done'"$'\n' # after the tab's work
for ((i = 0; i < 200; i++)); do [[ -e $ZDOTDIR/done ]] && break; sleep 0.05; done
zpty -d z
EOF
    zshed() {
        rm -f "$tmp/zsh/ready" "$tmp/zsh/done" "$tmp/zsh/offers"
        ZDOTDIR=$tmp/zsh zsh -f "$tmp/zsh/type" "$1" >"$err" 2>&1
        grep . "$tmp/zsh/offers" 2>>"$err" | sort -u >"$out"
        expect "zsh completes \"$1\" without a complaint" test ! -s "$err"
    }
    zshed 'gpt2 gen'
    expect "zsh completes commands" prints generate
    zshed 'gpt2 generate --te'
    expect "zsh completes options" prints --temp
    zshed 'gpt2 quantize --type q'
    expect "zsh completes choices" prints "$(printf 'q4\nq8')"
    zshed 'gpt2 inspect la'
    expect "zsh completes first words" prints layernorm
    zshed 'gpt2 generate -m tal'
    expect "zsh completes models" prints tales
else
    skip "what zsh completes" "zsh with zsh/zpty is not installed"
fi
if nm "$root/lib/libgpt2.a" 2>/dev/null | grep -qE '__(asan|tsan)'; then
    skip "programs against the library" "it is built for a sanitizer"
else
    export PKG_CONFIG_PATH="$root/lib/pkgconfig" LD_LIBRARY_PATH="$root/lib"
    flags="$(pkg-config --cflags --libs --define-variable=prefix="$root" gpt2)"
    # shellcheck disable=SC2086
    layers=$("$GPT2" info -m models/tales | sed -n 's/^n_layer *//p')
    for compiler in cc "c++ -x c++"; do
        command -v "${compiler%% *}" >/dev/null || continue
        $compiler -o "$tmp/open" tools/examples/open.c $flags 2>"$err" &&
            "$tmp/open" models/tales >"$out" 2>"$err"
        status=$?
        expect "ten lines, ${compiler%% *}" prints "$layers layers, 256 features"
        # The program's defaults are the library's: the same tale.
        $compiler -o "$tmp/generate" tools/examples/generate.c $flags 2>"$err" &&
            "$tmp/generate" models/tales "The wolf" >"$out" 2>"$err"
        status=$?
        expect "a tale in ten lines, ${compiler%% *}" \
            prints "$("$root/bin/gpt2" generate -m models/tales -p "The wolf" -n 256 2>/dev/null)"
    done
    # A program that is linked statically keeps its own names. The library's object files have
    # functions of these names too.
    cat >"$tmp/embedder.c" <<'END'
#include <gpt2/model.h>
#include <gpt2/version.h>
#include <stdio.h>
#include <string.h>
int json_parse(void) { return 1; }
int os_alloc(void) { return 2; }
int error_set(void) { return 4; }
int main(void) {
    struct gpt2_error err;
    struct gpt2_model *model = gpt2_model_open("models/tales", &err);
    int n = model ? gpt2_model_config(model)->n_layer : 0;
    gpt2_model_close(model);
    printf("%d %d %s\n", json_parse() + os_alloc() + error_set(), n,
           strcmp(gpt2_version(), GPT2_VERSION) ? "other" : "same");
    return 0;
}
END
    static="$root/lib/libgpt2.a $(pkg-config --libs-only-l --static --define-variable=prefix="$root" gpt2 | sed 's/-lgpt2//')"
    # shellcheck disable=SC2086
    cc -pthread -I"$root/include" -o "$tmp/embedder" "$tmp/embedder.c" $static 2>"$err" && "$tmp/embedder" >"$out" 2>>"$err"
    status=$?
    expect "an embedder keeps its own json_parse" prints "7 $layers same"
    expect "gpt2.pc has what a static link needs" test \
        "$(pkg-config --static --libs-only-l gpt2 | tr ' ' '\n' | grep -cxE -e '-l(gpt2|cjson|utf8proc|m)')" -ge 4
    expect "... and a shared one needs the library alone" test "$(pkg-config --libs-only-l gpt2 | xargs)" = -lgpt2
    expect "... not how this machine finds the others" not grep -qE '^Libs.*-l(cjson|utf8proc)|-L/' "$root/lib/pkgconfig/gpt2.pc"
    expect "pkg-config --cflags has the folder of the headers first" \
        test "$(pkg-config --cflags --define-variable=prefix="$root" gpt2 | xargs -n 1 | head -n 1)" = "-I$root/include"
fi
# What an embedder has: names of its own, and no headers of ours but the public ones.
expect "the archive exports gpt2_* and nothing else" \
    test -z "$(nm -g --defined-only "$root/lib/libgpt2.a" | awk 'NF == 3 && $3 !~ /^gpt2_/')"
expect "the archive exports what the headers declare" \
    test -z "$(nm -g --defined-only "$root/lib/libgpt2.a" | awk 'NF == 3 { print $3 }' | sort | comm -3 - "$tmp/exported")"
# With -flto an object has no names yet. Two files of the library are enough.
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    lto=$tmp/lto-$compiler/embed/libgpt2.a
    MAKEFLAGS='' make -s BUILD="$tmp/lto-$compiler" CC=$compiler CFLAGS='-O1 -flto' \
        LIB_SRC='src/base/path.c src/machine/version.c' "$lto" >"$out" 2>"$err"
    status=$?
    if [ "$status" -eq 0 ] || [ $compiler = gcc ]; then
        expect "$compiler -flto: the archive exports gpt2_version and nothing else" \
            test "$(nm -g --defined-only "$lto" | awk 'NF == 3 { print $3 }')" = gpt2_version
    else
        expect "$compiler -flto: no archive, and it says why" test ! -e "$lto" -a -n "$(grep -- '-flto' "$err")"
    fi
done
expect "what is installed has no debug information" \
    test -z "$(for file in "$root/bin/gpt2" "$root/lib/libgpt2.so" "$root/lib/libgpt2.a"; do
        objdump -h "$file" | grep '\.debug_info'; done)"
mkdir -p "$root/share/gpt2/models/mine"
: >"$root/share/gpt2/models/mine/config.json"
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR="$tmp/root" PREFIX="${PREFIX:-/usr/local}" uninstall >"$out" 2>"$err"
status=$?
expect "make uninstall" exits 0
expect "leaves what is not its own, and nothing else" \
    test "$(find "$tmp/root" -type f)" = "$root/share/gpt2/models/mine/config.json"
# A folder with a space.
spaced="$tmp/a root/of mine"
(umask 077 && MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR= PREFIX="$spaced" install) >"$out" 2>"$err"
status=$?
expect "make install PREFIX=\"/path with space\"" exits 0
expect "... puts all files there" test -x "$spaced/bin/gpt2" -a -s "$spaced/share/man/man7/gpt2-sampling.7"
expect "... whose program finds its model" test "$(cd "$tmp" && "$spaced/bin/gpt2" generate -n 2 Once 2>&1)" = "$("$GPT2" generate -n 2 Once)"
export PKG_CONFIG_PATH="$spaced/lib/pkgconfig"
if ! nm "$spaced/lib/libgpt2.a" 2>/dev/null | grep -qE '__(asan|tsan)'; then
    for kind in shared static; do
        case $kind in
        shared) flags=$(pkg-config --cflags --libs gpt2) ;;
        static) flags=$(pkg-config --static --cflags --libs gpt2 | sed 's/-lgpt2/-l:libgpt2.a/') ;;
        esac
        # pkg-config escapes for a shell
        eval "cc -o '$tmp/spaced_$kind' tools/examples/open.c $flags" 2>"$err" &&
            LD_LIBRARY_PATH="$spaced/lib" "$tmp/spaced_$kind" models/tales >"$out" 2>>"$err"
        expect "... a program links the $kind library there" prints "$layers layers, 256 features"
    done
    expect "... the static one has it inside" test -z "$(ldd "$tmp/spaced_static" | grep libgpt2)"
fi
expect "... pkg-config has the library's folder" test "$(pkg-config --variable=libdir gpt2)" = "$spaced/lib"
expect "... pkg-config says where, too" test "$(pkg-config --cflags gpt2 | xargs -n 1 | head -n 1)" = "-I$spaced/include"
expect "... readable for all, whatever the umask" test -z "$(find "$spaced" -type f ! -perm -444)"
# A file of the user's own beside them, then another installation.
echo mine >"$spaced/share/gpt2/models/tales/notes.txt"
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR= PREFIX="$spaced" install >"$out" 2>"$err"
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR= PREFIX="$spaced" uninstall >"$out" 2>"$err"
status=$?
expect "... and make uninstall takes them away" \
    test "$status" -eq 0 -a "$(find "$spaced" -type f)" = "$spaced/share/gpt2/models/tales/notes.txt"
expect "... with their folders" test "$(find "$spaced" -type d | wc -l)" -eq 5
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR= PREFIX="$spaced" uninstall >"$out" 2>"$err"
status=$?
expect "a second time there is nothing" test "$status" -ne 0 -a "$(grep -c 'nothing of gpt2 is installed under' "$err")" -eq 1
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR= PREFIX=of/mine install >"$out" 2>"$err"
status=$?
expect "a PREFIX that is not absolute is refused" test "$status" -ne 0 -a ! -e of/mine -a \
    "$(grep -c 'PREFIX: expected an absolute path, got of/mine' "$err")" -eq 1
printf '#!/bin/sh\nexit 126\n' >"$tmp/foreign"
chmod +x "$tmp/foreign"
MAKEFLAGS='' make -s BUILD="$BUILD" NATIVE="$tmp/foreign" man >"$out" 2>"$err"
status=$?
expect "a program of another machine is told" test "$status" -ne 0 -a "$(grep -c 'NATIVE=FILE names a gpt2 that does' "$err")" -eq 1
MAKEFLAGS='' make -s BUILD="$BUILD" DESTDIR="$tmp/plain" PREFIX=/usr STRIP= install >"$out" 2>"$err"
status=$?
expect "make install STRIP= strips nothing" test "$status" -eq 0 -a -s "$tmp/plain/usr/share/doc/gpt2/LICENSE" -a \
    "$(wc -c <"$tmp/plain/usr/bin/gpt2")" -eq "$(wc -c <"$BUILD/gpt2")"
MAKEFLAGS='' make -s BUILD="$tmp/none" PKG_CONFIG=/nowhere all >"$out" 2>"$err"
status=$?
expect "without the libraries it says what is missing" test "$status" -ne 0 -a ! -s "$out" -a \
    "$(grep -c 'does not find libcjson libutf8proc$' "$err")" -eq 1 -a "$(wc -l <"$err")" -le 4
MAKEFLAGS='' make -s BUILD="$tmp/none" PKG_CONFIG=/nowhere help >"$out" 2>"$err"
expect "... and make help needs none" test ! -s "$err"
expect "CPPFLAGS are used" sh -c "MAKEFLAGS='' make -n BUILD='$tmp/none' CPPFLAGS=-DFOR_A_TEST all | grep -q 'DFOR_A_TEST'"
# The next build is for the old prefix again.
MAKEFLAGS='' make -s BUILD="$BUILD" PREFIX="${PREFIX:-/usr/local}" all >"$out" 2>"$err"
