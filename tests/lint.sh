#!/bin/sh
# lint.sh [CC] - what a compiler does not check: format, who may include whom, headers that stand
# alone, text hygiene, names of exported symbols. One line for each check; status 1 if any fails.
# BUILD says where libgpt2.a is.
set -u
cd "$(dirname "$0")/.." || exit 1

CC=${1:-${CC:-cc}}
BUILD=${BUILD:-build}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-lint.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C
failures=0

# Checked are the files of the next commit: tracked ones and new ones that are not ignored. Outside
# a git checkout it is everything that is not built.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard
else
    find . \( -path "./$BUILD" -o -path ./.git \) -prune -o -type f -print | sed 's,^\./,,'
fi | while read -r file; do [ -f "$file" ] && echo "$file"; done | sort >"$tmp/files"
grep '\.[ch]$' "$tmp/files" >"$tmp/c_files"

# check NAME FUNCTION: the function prints the offenders, one `file:line: what` each.
check() {
    "$2" >"$tmp/offenders"
    if [ -s "$tmp/offenders" ]; then
        echo "lint: $1: FAILED"
        sed 's/^/  /' "$tmp/offenders"
        failures=$((failures + 1))
    else
        echo "lint: $1: ok"
    fi
}

bad_format() {
    xargs clang-format --dry-run -Werror <"$tmp/c_files" 2>&1 |
        sed -nE 's,^([^ ]+:[0-9]+):[0-9]+: error:.*,\1: not as clang-format has it (make format),p' | uniq
}

# The layers of the project: what each folder may include, as patterns of the text between the
# brackets or quotes, in $allowed. Standard headers are free; the few that are not come further down.
may_include() {
    case $1 in
    include/gpt2/*)   allowed='gpt2/*' ;;
    src/base/*)       allowed='base/* gpt2/error.h gpt2/version.h' ;;
    src/kernels/*)    allowed='kernels/* base/*' ;;
    src/weights/*)    allowed='weights/* base/* gpt2/*' ;;
    src/text/*)       allowed='text/* weights/* base/* gpt2/*' ;; # a packed file has a tokenizer inside
    src/sampling/*)   allowed='sampling/* base/* gpt2/*' ;;
    src/machine/*)    allowed='machine/* kernels/* base/* gpt2/*' ;;
    src/model/*)      allowed='model/* machine/* weights/* kernels/* base/* gpt2/*' ;;
    src/forward/*)    allowed='forward/* model/* machine/* weights/* kernels/* base/* gpt2/*' ;;
    src/export/*)     allowed='export/* model/* machine/* weights/* kernels/* base/* gpt2/*' ;;
    src/inspect/*)    allowed='inspect/* forward/* model/* machine/* kernels/* base/* gpt2/*' ;;
    src/decode/*)     allowed='decode/* base/* gpt2/*' ;; # above model and sampling, by their public side
    src/score/*)      allowed='score/* machine/runtime_internal.h base/* gpt2/*' ;; # the pool of the runtime
    src/hub/*)        allowed='hub/* base/* gpt2/*' ;;
    src/cli/io/*)       allowed='cli/io/* base/* gpt2/*' ;;
    src/cli/terminal/*) allowed='cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/command/*)  allowed='cli/command/* cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/generate/*) allowed='cli/generate/* cli/command/* cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/score/*)    allowed='cli/score/* cli/command/* cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/inspect/*)  allowed='cli/inspect/* cli/command/* cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/serve/*)    allowed='cli/serve/* cli/generate/* cli/command/* cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/bench/*)    allowed='cli/bench/* cli/command/* cli/terminal/* cli/io/* base/* gpt2/*' ;;
    src/cli/*)          allowed='cli/* base/* gpt2/*' ;;
    *)                  allowed='*' ;; # tests see everything
    esac
}

# Libraries and intrinsics have one home each: $home.
home_of() {
    case $1 in
    cJSON.h | cjson/*)        home=src/base/json.c ;;
    utf8proc.h)                home='src/text/*' ;;
    histedit.h | editline/*)   home=src/cli/terminal/line_editor.c ;;
    microhttpd.h)              home=src/cli/serve/http_server.c ;;
    immintrin.h | x86intrin.h | arm_neon.h) home='src/kernels/*' ;;
    sys/prctl.h)               home='src/base/*_linux.c' ;;
    sys/sysctl.h | sys/auxv.h | asm/hwcap.h | mach-o/*) home='src/base/os_*' ;;
    *)                         home='*' ;;
    esac
}

# is_one_of NAME PATTERN...
is_one_of() {
    name=$1
    shift
    for pattern; do
        # shellcheck disable=SC2254
        case $name in $pattern) return 0 ;; esac
    done
    return 1
}

bad_includes() {
    set -f # patterns are no names of files
    grep -E '^(include|src)/' "$tmp/c_files" | xargs grep -HnE '^[[:space:]]*#[[:space:]]*include' |
        sed -E 's/^([^:]*):([0-9]+):[^<"]*([<"])([^>"]*).*/\1 \2 \3 \4/' |
        while read -r file line quote header; do
            may_include "$file"
            case $header in
            base/* | cli/* | decode/* | export/* | forward/* | gpt2/* | hub/* | inspect/* | kernels/* | machine/* | model/* | sampling/* | score/* | text/* | weights/*)
                # shellcheck disable=SC2086 # patterns
                is_one_of "$header" $allowed || echo "$file:$line: must not include $header" ;;
            */*)
                [ "$quote" = '<' ] ||
                    echo "$file:$line: write the path from src: $header" ;;
            esac
            home_of "$header"
            is_one_of "$file" "$home" || echo "$file:$line: only $home includes $header"
            case $file:$header in
            src/forward/forward.c:stdio.h | src/forward/forward.c:stdlib.h)
                echo "$file:$line: the forward pass knows no $header" ;;
            esac
        done
    set +f
}

# Which system it is, only the files that are chosen by it may ask.
bad_systems() {
    grep '^\(src\|include\)/' "$tmp/c_files" | grep -v '^src/base/\(os\|confine\)_' |
        xargs grep -nE '__(linux|APPLE|FreeBSD|OpenBSD|NetBSD|DragonFly)__|__unix__|/proc/self/exe' |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: asks which system it is: that is for base\/os_*.c, confine_*.c/'
}

# macOS and the BSDs have other options, or no such command. A line that has another way for them (||)
# may use it, and so may tests of what is on Linux only.
bad_gnu() {
    grep -nE '^[^#]*(\<(timeout [0-9]+ [a-z]|sha256sum|stat -c)|\<sed -i( -[nE])* +["'"'"']|date \+%s%N[^|]*$)' tests/cli/* tests/run.sh tools/make_* |
        grep -vE '\|\||command -v|=sha256sum$|^tests/cli/(faults|engines)\.sh:' |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: has a command as only GNU has it/'
}

# Reads "FROM TO" lines and prints the circles among them: circles WHAT SUFFIX.
circles() {
    awk -v what="$1" -v suffix="$2" '
        function visit(unit,    i, n, next_units, circle, at) {
            state[unit] = 1
            path[++depth] = unit
            n = split(leads[unit], next_units, " ")
            for (i = 1; i <= n; i++) {
                if (!state[next_units[i]])
                    visit(next_units[i])
                else if (state[next_units[i]] == 1) {
                    circle = next_units[i]
                    for (at = depth; path[at] != next_units[i]; at--)
                        circle = path[at] " -> " circle
                    print "src/" next_units[i] suffix ":1: a circle of " what ": " next_units[i] " -> " circle
                }
            }
            depth--
            state[unit] = 2
        }
        NF == 2 && $1 != $2 { leads[$1] = leads[$1] " " $2 }
        END { for (unit in leads) if (!state[unit]) visit(unit) }'
}

# What includes what has no circle. A file and its header are one: b.h may not include a.h where a.c
# includes b.h.
bad_circles() {
    grep '^src/' "$tmp/c_files" | xargs grep -HE '^[[:space:]]*#[[:space:]]*include "' |
        sed -E 's,^src/([^:]*)\.[ch]:[^"]*"([^"]*)\.[ch]".*,\1 \2,' | circles includes .h
}

# Nor has what calls what, by the symbols of the objects. The entries of a list (containers.def and
# the like) are not called by it.
bad_calls() {
    grep '^src/.*\.c$' "$tmp/c_files" | sed "s,^\(.*\)\.c\$,$BUILD/\1.o," |
        while read -r object; do [ ! -e "$object" ] || echo "$object"; done |
        xargs nm -A -P -g | awk -v build="$BUILD/src/" '
            { unit = $1; sub(/\.o:$/, "", unit); unit = substr(unit, length(build) + 1) }
            $2 ~ /^(command|container|filter|topic)_/ && $3 ~ /^[DRdr]$/ { next }
            $3 == "U" { n++; user[n] = unit; symbol[n] = $2; next }
            $3 ~ /^[TDBRVW]$/ { owner[$2] = unit }
            END { for (i = 1; i <= n; i++) if (symbol[i] in owner) print user[i], owner[symbol[i]] }' |
        sort -u | circles calls .c
}

# A name of a struct, union or enum says whose it is: no two files of src have the same.
bad_tags() {
    grep '^src/' "$tmp/c_files" | xargs grep -HnE '^(static |const )*(struct|union|enum) [a-z0-9_]+ \{' |
        sed -E 's/^([^:]*:[0-9]+):(static |const )*(struct|union|enum) ([a-z0-9_]+) .*/\4 \1/' | sort |
        awk '$1 == name { print $2 ": " $1 " is also in " place } { name = $1; place = $2 }'
}

# A file that can do without its library has the same functions then. The developer has the library,
# so nothing else would say so before a build without it does not link.
bad_optional() {
    grep '^src/.*\.c$' "$tmp/c_files" | xargs grep -HnE '^#if.*HAVE_' | sed 's/:#if[^H]*/ /' |
        while read -r place macro; do
            for wanted in 0 1; do
                flag=-U$macro
                [ $wanted = 0 ] || flag="-D$macro $("${PKG_CONFIG:-pkg-config}" --cflags libedit libmicrohttpd 2>/dev/null)"
                # shellcheck disable=SC2086
                if $CC -std=c17 -D_POSIX_C_SOURCE=200809L -Iinclude -Isrc $flag -c "${place%:*}" -o "$tmp/optional.o" 2>"$tmp/messages"; then
                    nm -g --defined-only "$tmp/optional.o" | sed 's/.* //' | sort >"$tmp/optional.$wanted"
                elif [ $wanted = 0 ]; then
                    echo "$place: does not compile without $macro: $(grep -m 1 error "$tmp/messages")"
                    continue 2
                else
                    continue 2 # its library is not here
                fi
            done
            comm -3 "$tmp/optional.0" "$tmp/optional.1" | tr -d '\t' |
                sed "s,.*,$place: & is not both with and without $macro,"
        done
}

# Every public header is C17 by itself, and C++ where there is a C++ compiler.
bad_headers() {
    cxx=$(command -v g++ || command -v clang++ || command -v c++)
    grep '^include/' "$tmp/c_files" | while read -r header; do
        echo "#include <${header#include/}>" >"$tmp/alone.c"
        $CC -std=c17 -Wall -Wextra -Werror -pedantic -Iinclude -fsyntax-only "$tmp/alone.c" \
            >"$tmp/messages" 2>&1 || echo "$header:1: not C17 by itself: $(grep -m 1 error "$tmp/messages")"
        [ -z "$cxx" ] || "$cxx" -x c++ -std=c++17 -Wall -Wextra -Werror -pedantic -Iinclude \
            -fsyntax-only "$tmp/alone.c" >"$tmp/messages" 2>&1 ||
            echo "$header:1: not C++ by itself: $(grep -m 1 error "$tmp/messages")"
    done
}

# A struct of options can grow only into what it has reserved (gpt2/version.h).
bad_options() {
    grep '^include/' "$tmp/c_files" | while read -r header; do
        awk '/^struct gpt2_[a-z_]*_options \{/ { name = $2; line = NR; last = "" }
             name && /^};/ { if (last !~ /reserved\[GPT2_RESERVED( - [123])?\]/)
                                 print FILENAME ":" line ": " name " does not end in reserved[GPT2_RESERVED]"
                             name = "" }
             { last = $0 }' "$header"
    done
}

# An entry of an option table takes a destination of its own type and no other.
bad_option_types() {
    while read -r entry fits; do
        for member in flag string number numbers strings real seed size; do
            printf '%s\n' '#include "cli/command/options.h"' \
                'static struct { bool flag; const char *string; int number; struct int_list numbers;' \
                '    struct string_list strings; float real; struct seed seed; size_t size; } to;' \
                'extern const struct option *table;' \
                'static const char *const words[] = {"a", NULL};' \
                "const struct option *table = (const struct option[]){$entry, OPT_END};" |
                sed "s/DEST/\&to.$member/" >"$tmp/entry.c"
            $CC -std=c17 -Iinclude -Isrc -fsyntax-only "$tmp/entry.c" >"$tmp/messages" 2>&1
            compiles=$?
            [ "$member" = "$fits" ] || compiles=$((!compiles))
            [ $compiles -eq 0 ] || echo "src/cli/command/options.h:1: ${entry%%(*} of &$member:" \
                "expected $fits alone to compile: $(grep -m 1 error "$tmp/messages")"
        done
    done <<'END'
OPT_FLAG("a",0,DEST,"help") flag
OPT_STRING("a",0,DEST,"S","help") string
OPT_STRINGS("a",0,DEST,"S","help") strings
OPT_INT("a",0,DEST,0,1,"N","help") number
OPT_INTS("a",0,DEST,0,1,"N","help") numbers
OPT_FLOAT("a",0,DEST,0,1,"F","help") real
OPT_SEED("a",0,DEST,"N","help") seed
OPT_SIZE("a",0,DEST,"SIZE","help") size
OPT_CHOICE("a",0,DEST,words,"WORD","help") number
END
}

# A command, a filter of the sampler or a format of weights that is not listed would be compiled and
# never found: unlisted KIND LIST.
unlisted() {
    macro=$(echo "$1" | tr '[:lower:]' '[:upper:]')
    grep '^src/' "$tmp/c_files" | xargs grep -nE "^const struct $1 $1_[a-z0-9_]+ = " |
        sed -E "s/^([^:]*:[0-9]+):const struct $1 $1_([a-z0-9_]+) .*/\\1 \\2/" |
        while read -r place name; do
            grep -qx "$macro($name)" "$2" || echo "$place: expected $macro($name) in $2"
        done
}
bad_commands() { unlisted command src/cli/command/commands.def; }
bad_filters() { unlisted filter src/sampling/filters.def; }
bad_topics() { unlisted topic src/cli/command/topics.def; }
bad_containers() { unlisted container src/weights/containers.def; }

# What is printed goes through io/output.h, which notices a full disk.
bad_printing() {
    grep -E '^src/.*\.c$' "$tmp/c_files" |
        xargs grep -HnE '(^|[^a-z_])(v?printf|puts|putchar)\(|(^|[^a-z_])(fprintf|fputs|fputc|fwrite|putc|vfprintf)\(([^;]*, *)?stdout' |
        sed -E 's,^([^:]*:[0-9]+):.*,\1: results go through io/output.h,'
}

# What an errno means for the status, and that an error of memory has no hint, is known in one place.
bad_errors() {
    grep -E '^src/.*\.[ch]$' "$tmp/c_files" | grep -v '^src/base/error\.c$' |
        xargs grep -HnE '[^_]strerror\(|printf\(err(->|\.)hint' | grep -v '^src/cli/io/report\.c:' |
        sed -E 's,^([^:]*:[0-9]+):.*,\1: error_errno and error_hint of base/error_internal.h,'
}

# Where "nothing is there" is told from "the system could not look". A handler of signals has no choice.
bad_looking() {
    grep -E '^src/.*\.[ch]$' "$tmp/c_files" | grep -vE '^src/(base/look|cli/io/fatal)\.c$' |
        xargs grep -HnE '(^|[^a-z_])(l?stat|fstatat|f?access(at)?)\(' |
        sed -E 's,^([^:]*:[0-9]+):.*,\1: base/look.h looks at paths,'
}

# The first line of a file says its name; of a .c file also what it does, and not where to look.
bad_banners() {
    grep -E '^(include|src)/' "$tmp/c_files" | xargs awk '
        FNR == 1 { name = FILENAME; sub(/.*\//, "", name); found = 0 }
        FNR == 1 && FILENAME ~ /^src\/.*\.c$/ {
            if (index($0, "/* " name " - ") != 1) print FILENAME ":1: expected \"/* " name " - what it does\""
            if ($0 ~ / - see [a-z0-9_]+\.h/) print FILENAME ":1: a banner says what the file does"
        }
        FNR <= 3 && !found && match($0, /^\/[*\/] [a-z0-9_]+\.[ch] -/) {
            if (index($0, name " -") != 4) print FILENAME ":" FNR ": a banner of another file"
            found = 1
        }'
}

# Tabs (but in Makefiles), blanks at line ends, a missing newline at the end. The shipped model's
# files are data, and so are test inputs.
bad_text() {
    grep -vE '^models/[^/]+/|^tests/data/|^tests/fuzz/corpus/' "$tmp/files" >"$tmp/all"
    xargs grep -lI . <"$tmp/all" >"$tmp/texts" # none is empty or binary
    xargs grep -HnE '[[:blank:]]$' <"$tmp/texts" | sed 's,^\([^:]*:[0-9]*\):.*,\1: blank at the end of the line,'
    grep -vx Makefile "$tmp/texts" | xargs grep -Hn "$(printf '\t')" | sed 's,^\([^:]*:[0-9]*\):.*,\1: tab,'
    # the last bytes of all: newlines, or it is looked for
    xargs tail -q -c 1 <"$tmp/texts" | tr -d '\n' | grep -q . || return
    while read -r file; do
        [ -z "$(tail -c 1 "$file")" ] ||
            echo "$file:$(($(wc -l <"$file") + 1)): no newline at the end of the file"
    done <"$tmp/texts"
}

# Words that are not plain technical English here: what comes after is not "behind" (but a file may
# be left behind), and the subject of a sentence is a thing. `models` has tales, and so has README.
bad_english() {
    grep -E '^(src|include|tools|tests)/|^(Makefile|CONTRIBUTING\.md|README\.md)$' "$tmp/files" |
        grep -vE '^tests/(data|fuzz/corpus|lint\.sh)' |
        xargs grep -HnIwiE 'behind|who(m)?ever|nobody|somebody|everybody|may lack|under ?way|is his' |
        grep -viE '(leav|left|nothing|far).*behind' |
        sed -E 's,^([^:]*:[0-9]+):.*,\1: plain English (CONTRIBUTING.md): after; the thing itself,'
}

# A file that a command left in the checkout is not added by mistake.
bad_top_level() {
    grep -v / "$tmp/files" | grep -vxE '\.clang-format|\.gitignore|CHANGELOG\.md|CITATION\.cff|CONTRIBUTING\.md|LICENSE|Makefile|README\.md|SECURITY\.md' |
        sed 's,$,:1: is not one of the files at the top,'
}

bad_scripts() {
    xargs grep -lI '^#!' <"$tmp/files" | xargs awk 'FNR == 1 && /^#!/ { print FILENAME, $0 }' |
        while read -r file interpreter; do
            case $interpreter in
            '#!/bin/sh'*) sh -n "$file" 2>&1 ;;
            '#!'*bash*) bash -n "$file" 2>&1 ;;
            esac >"$tmp/wrong"
            [ ! -s "$tmp/wrong" ] || sed "s,^,$file:1: ," "$tmp/wrong"
        done
    # What `play` leaves in $status stays in the subshell of a pipe.
    grep -nE '[^|]\| *(play|run|peak) ' tests/cli/*.sh | sed 's/$/: at the end of a pipe/'
}

# "1 tokens": a count in what commands print has its noun's end from base/plural.h. What is "at most"
# or "1 to" so many is a bound, and more than one.
bad_plurals() {
    grep -nE '%[0-9.*]*(d|zu|" *PRI[du]64 *") (token|thread|text|sample|record|item|tensor|block|pair|processor|prompt|round|feature|byte)s([^a-z]|$)' \
        $(grep -E '^src/cli/' "$tmp/files") |
        grep -vE '(most|least|to|of|than|expected|vocabulary of|windows of|depth|--speculate:) %[0-9.*]*(d|zu|" *PRI[du]64 *") [a-z]+s' |
        grep -vE '"--|%12zu bytes|has %zu tokens|[=] %d pairs|the %d pairs|2 x %d tokens|text has %d tokens|have %zu tokens' | sed 's/$/: plural()/'
}

# Other programs link the library: what it exports must start with gpt2_ or a module's name.
bad_symbols() {
    modules=$(sed -nE 's,^src/(base|decode|export|forward|hub|inspect|kernels|machine|model|sampling|score|text|weights|weights/[a-z]+)/([a-z0-9_]+)\.[ch]$,\2,p' "$tmp/files" |
        sort -u | tr '\n' '|')
    nm -g --defined-only "$BUILD/libgpt2.a" | awk -v known="^_?(gpt2|${modules}kernels|container)(_|\$)" '
        /^[^ ]+\.o:$/ { object = $1; next }
        NF == 3 && $2 !~ /[VvWwu]/ && $3 !~ known && $3 !~ /^_?_(asan|odr|ubsan|_)/ {
            print object "1: exports " $3
        }'
}

# A function that other files can call is called by one of them, or by a test; else it is static.
bad_scope() {
    find "$BUILD/src" -name '*.o' -exec nm -A {} + | awk '
        $(NF - 1) == "T" && $NF !~ /^_?(gpt2_|main$)/ { where[$NF] = $1 }
        $(NF - 1) == "U"                              { used[$NF] }
        END { for (name in where) if (!(name in used)) print name, where[name] }' |
        while read -r name object; do
            source=${object#"$BUILD"/} source=${source%.o:*}.c
            [ -e "$source" ] || continue # of a file that is gone
            # Other machines' files, which are not compiled here, and tests may call it.
            git grep -lw "${name#_}" -- src/ tests/ | grep -v "^${source%.c}\.[ch]\$" | grep -q . ||
                echo "$source:1: $name can be static"
        done
}

# Product loops keep their vectors in registers. The first lines see to it that a spill is found.
bad_spills() {
    printf '%s\n' 'gemm_q8:' '1: vmovaps %ymm1, 32(%rsp)' 'vfmadd231ps %ymm2, %ymm3, %ymm1' \
        'dec %eax' 'jne 1b' 'ret' | $CC -c -x assembler -o "$tmp/spill.o" - &&
        tests/spills.sh "$tmp/spill.o" | grep -q 'gemm_q8 at 0: 1 spills, 0 reloads' ||
        echo "tests/spills.sh:1: does not find a spill where there is one"
    tests/spills.sh "$BUILD"/src/kernels/x86_*.o || [ $? -eq 1 ] || echo "tests/spills.sh:1: failed"
}

if command -v clang-format >/dev/null; then
    check "clang-format" bad_format
else
    echo "lint: clang-format: skipped: clang-format not installed"
fi
check "include direction" bad_includes
check "one place for what differs by system" bad_systems
check "commands that every system has" bad_gnu
check "no circle of includes" bad_circles
check "one owner of a tag" bad_tags
check "public headers alone" bad_headers
check "options that can grow" bad_options
check "optional libraries" bad_optional
check "typed option tables" bad_option_types
check "commands in their list" bad_commands
check "topics in their list" bad_topics
check "containers in their list" bad_containers
check "filters in their list" bad_filters
check "output of commands" bad_printing
check "errors of the system" bad_errors
check "looking at paths" bad_looking
check "banners" bad_banners
check "plain English" bad_english
check "plurals" bad_plurals
check "top level" bad_top_level
check "tabs, blanks, final newlines" bad_text
check "shell syntax" bad_scripts
if [ -e "$BUILD/libgpt2.a" ]; then
    check "exported symbols" bad_symbols
    check "no circle of calls" bad_calls
    check "scope of functions" bad_scope
    if [ -e "$BUILD/src/kernels/x86_avx2.o" ] && command -v objdump >/dev/null; then
        check "vectors on the stack in product loops" bad_spills
    else
        echo "lint: vectors on the stack in product loops: skipped: not x86-64, or no objdump"
    fi
else
    echo "lint: exported symbols: skipped: $BUILD/libgpt2.a is not built"
fi
[ "$failures" -eq 0 ]
