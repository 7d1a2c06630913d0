#!/bin/sh
# run.sh [NAME] - runs what `make check` built and sums it up.
#
#   tests/test_*.c        cmocka programs; every single test in them is counted
#   test_*_emulated       some of them over kernels whose instructions are loops of C
#   tests/fuzz/fuzz_*.c   each replays its corpus, tests/fuzz/corpus/*, and what it makes itself; one
#                         program, one test
#   tests/cli/*.sh        scripts that drive $GPT2 and print `ok NAME`, `not ok NAME: why` or
#                         `skip NAME: why`; every line is counted
#
# NAME runs only the programs and scripts whose name contains it. BUILD says where the programs are,
# VALGRIND=1 runs them under valgrind. QUICK=1 asks for fewer rounds of what is done over and over (a
# job is killed 8 times and not 50): the sanitizers have it so. The last line is
# `N passed, N failed, N skipped`; the status is 1 if any test failed or none ran. What a program
# prints is kept in $BUILD/tests/*.log and shown only if it fails. JOBS says how many run at a time
# (default: the number of processors, at most 8).
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
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export TMPDIR="$tmp" CMOCKA_MESSAGE_OUTPUT=STDOUT LC_ALL=C
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}"

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

# Where python3 is a shim that looks for the interpreter at each start, the interpreter: a shim takes
# several times as long as what most tests start it for.
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null)
case $python in
/*/python3*) [ "$(command -v python3)" = "${python%/*}/python3" ] || PATH=${python%/*}:$PATH ;;
esac

# count NAME STATUS READER SECONDS: adds up the log of one program. READER turns the log into lines
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
        printf '%-24s %s passed%s, %s s\n' "$1" "$p" "$([ "$s" -gt 0 ] && echo ", $s skipped")" "$4"
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

# run NAME COMMAND...: runs one program with a folder for its files, as soon as one of the $JOBS
# places is free, and goes on. Results are shown as programs end.
started=
run() {
    selected "$1" || return 0
    name=$1
    shift
    read -r place <&3
    show_finished
    started="$started $name"
    rm -f "$logs/$name.log" "$logs/$name.status"
    (
        begin=$(date +%s)
        mkdir "$tmp/$name"
        TMPDIR=$tmp/$name "$@" >"$logs/$name.log" 2>&1 </dev/null 3>&-
        status=$?
        echo "$status $(($(date +%s) - begin))" >"$logs/$name.new"
        mv "$logs/$name.new" "$logs/$name.status"
        rm -rf "${tmp:?}/$name"
        echo "$place" >&3
    ) &
}

# Counts the programs that have ended since.
show_finished() {
    running=
    for shown in $started; do
        if ! [ -f "$logs/$shown.status" ]; then
            running="$running $shown"
            continue
        fi
        read -r status seconds <"$logs/$shown.status"
        case $shown in
        cli_*) count "$shown" "$status" read_script "$seconds" ;;
        fuzz_*) count "$shown" "$status" read_fuzz "$seconds" ;;
        *) count "$shown" "$status" read_cmocka "$seconds" ;;
        esac
    done
    started=$running
}

JOBS=${JOBS:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
[ "$JOBS" -le 8 ] || JOBS=8
mkfifo "$tmp/places"
exec 3<>"$tmp/places"
i=0
while [ $((i += 1)) -le "$JOBS" ]; do echo $i >&3; done

for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    [ -e "$source" ] && run "$name" $wrap "$BUILD/tests/$name"
done

# Quick ones: an instruction is a loop of C.
for program in "$BUILD"/tests/test_*_emulated; do
    [ -e "$program" ] && run "$(basename "$program")" env QUICK=1 $wrap "$program"
done

for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    set -- "tests/fuzz/corpus/${name#fuzz_}"/*
    if ! [ -e "$1" ] && grep -q 'define REPLAY_SEEDS' "$source"; then
        run "$name" $wrap "$BUILD/tests/fuzz/$name" # what it makes itself
        continue
    fi
    if [ -e "$1" ]; then
        run "$name" $wrap "$BUILD/tests/fuzz/$name" "$@"
    else
        run "$name" sh -c 'echo "$1 is empty"; exit 1' "$name" "tests/fuzz/corpus/${name#fuzz_}"
    fi
done

# Scripts that make the program anew (`# alone` on a line of its own) come last, one at a time.
for script in tests/cli/*.sh; do
    [ -e "$script" ] && ! grep -qx '# alone' "$script" && run "cli_$(basename "$script" .sh)" sh "$script"
done
wait
for script in tests/cli/*.sh; do
    if [ -e "$script" ] && grep -qx '# alone' "$script"; then
        run "cli_$(basename "$script" .sh)" sh "$script"
        wait
    fi
done
show_finished

[ $((passed + failed + skipped)) -gt 0 ] || echo "run.sh: nothing in tests/ has a name with '$only'" >&2
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
