#!/bin/sh
# run.sh [NAME] - runs what `make check` built and sums it up.
#
#   tests/test_*.c        cmocka programs; every single test in them is counted
#   test_*_emulated       some of them over kernels whose instructions are loops of C
#   tests/fuzz/fuzz_*.c   each replays its corpus, tests/fuzz/corpus/*; one program, one test
#   tests/cli/*.sh        scripts that drive $GPT2 and print `ok NAME`, `not ok NAME: why` or
#                         `skip NAME: why`; every line is counted
#
# NAME runs only the programs and scripts whose name contains it. BUILD says where the programs are,
# VALGRIND=1 runs them under valgrind. QUICK=1 asks for fewer rounds of what is done over and over (a
# job is killed 8 times and not 50): the sanitizers have it so. The last line is
# `N passed, N failed, N skipped`; the status is 1 if any test failed or none ran. What a program
# prints is kept in $BUILD/tests/*.log and shown only if it fails.
set -u
cd "$(dirname "$0")/.." || exit 1

only=${1:-}
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
logs=$BUILD/tests
mkdir -p "$logs" || exit 1
passed=0 failed=0 skipped=0

# What a test leaves behind goes into one folder, and the folder goes away.
tmp=$(mktemp -d "${TMPDIR:-/tmp}/gpt2-tests.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export TMPDIR="$tmp" CMOCKA_MESSAGE_OUTPUT=STDOUT LC_ALL=C
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"

GPT2=$BUILD/gpt2
wrap=
if [ -n "${VALGRIND:-}" ]; then
    command -v valgrind >/dev/null || { echo "run.sh: VALGRIND=1 needs valgrind" >&2; exit 1; }
    wrap='valgrind -q --fair-sched=yes --error-exitcode=99 --leak-check=full'
    # Scripts call the program by its path, so they get one that starts it under valgrind.
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$wrap" "$GPT2" >"$tmp/gpt2"
    chmod +x "$tmp/gpt2"
    GPT2=$tmp/gpt2
fi
export GPT2

# count NAME STATUS READER: adds up the log of one program. READER turns the log into lines
# `pass`, `fail WHY` or `skip WHY`, one for each test; a failed program's log is shown.
count() {
    "$3" "$2" <"$logs/$1.log" >"$tmp/results"
    p=$(grep -c '^pass' "$tmp/results")
    f=$(grep -c '^fail' "$tmp/results")
    s=$(grep -c '^skip' "$tmp/results")
    if [ "$f" -gt 0 ]; then
        printf '%-24s FAILED (log: %s)\n' "$1" "$logs/$1.log"
        sed 's/^/    | /' "$logs/$1.log"
    else
        printf '%-24s %s passed%s\n' "$1" "$p" "$([ "$s" -gt 0 ] && echo ", $s skipped")"
    fi
    sed -n -e 's/^skip /  skipped: /p' -e 's/^fail /  FAILED: /p' "$tmp/results"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# cmocka prints `[ RUN      ] name`, the test's own lines, then its verdict. The last own line of a
# skipped test is its reason. A verdict that never comes, or tests that were announced but did not
# run, mean that the program died on the way.
read_cmocka() {
    awk -v status="$1" '
        /\[=+\] Running [0-9]+ test/  { sub(/.*Running /, ""); announced += $1; next }
        /^\[ RUN      \] /            { name = substr($0, 14); own = ""; next }
        name == ""                    { next }
        index($0, "[       OK ] ")    { print "pass"; seen++; name = ""; next }
        index($0, "[  FAILED  ] ")    { print "fail " name; seen++; failed++; name = ""; next }
        index($0, "[  SKIPPED ] ")    { print "skip " name (own ? ": " own : ""); seen++; name = ""; next }
        NF                            { own = $0 }
        END {
            if (name != "") print "fail " name ": the program ended in this test, status " status
            else if (seen < announced) print "fail " announced - seen " tests did not run, status " status
            else if (announced == 0) print "fail no test ran, status " status
            else if (status != 0 && !failed) print "fail status " status " though every test passed"
        }'
}

read_fuzz() {
    [ "$1" -eq 0 ] && echo pass || echo "fail status $1"
}

read_script() {
    awk -v status="$1" '
        /^ok /     { print "pass"; n++ }
        /^not ok / { sub(/^not ok /, ""); print "fail " $0; n++; failed++ }
        /^skip /   { print; n++ }
        END {
            if (status != 0 && !failed) print "fail the script ended with status " status
            else if (n == 0) print "fail the script reported no test"
        }'
}

selected() {
    case $1 in *"$only"*) return 0 ;; *) return 1 ;; esac
}

for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    if ! [ -e "$source" ] || ! selected "$name"; then continue; fi
    $wrap "$BUILD/tests/$name" >"$logs/$name.log" 2>&1
    count "$name" $? read_cmocka
done

# Quick ones: an instruction is a loop of C.
for program in "$BUILD"/tests/test_*_emulated; do
    name=$(basename "$program")
    if ! [ -e "$program" ] || ! selected "$name"; then continue; fi
    QUICK=1 $wrap "$program" >"$logs/$name.log" 2>&1
    count "$name" $? read_cmocka
done

for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    if ! [ -e "$source" ] || ! selected "$name"; then continue; fi
    set -- "tests/fuzz/corpus/${name#fuzz_}"/*
    [ -e "$1" ] || set --
    if [ $# -eq 0 ]; then
        echo "tests/fuzz/corpus/${name#fuzz_} is empty" >"$logs/$name.log"
        count "$name" 1 read_fuzz
        continue
    fi
    $wrap "$BUILD/tests/fuzz/$name" "$@" >"$logs/$name.log" 2>&1
    count "$name" $? read_fuzz
done

for script in tests/cli/*.sh; do
    name=cli_$(basename "$script" .sh)
    # lib.sh is what the scripts share.
    case $name in cli_lib | "cli_*") continue ;; esac
    selected "$name" || continue
    sh "$script" >"$logs/$name.log" 2>&1 </dev/null
    count "$name" $? read_script
done

[ $((passed + failed + skipped)) -gt 0 ] || echo "run.sh: nothing in tests/ has a name with '$only'" >&2
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
