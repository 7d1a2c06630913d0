# --max-memory: a run that would take more is refused, part by part, and one that is let in keeps to it.
. tests/cli/cases.inc

model=models/tales
if [ ! -f $model/model.safetensors ]; then
    skip "memory" "$model is not there"
    exit 0
fi
m="-m $model -t 2"
printf 'once\nupon a time\n' >"$tmp/lines"
echo '{"text":"once upon a time"}' >"$tmp/lambada"

named() {
    refuses 6 '--max-memory: expected at most 1.0 MiB, the run takes ' &&
        grep -qE 'weights [0-9.]+, KV cache [0-9.]+, batch [0-9.]+, prefix cache [0-9.]+, draft [0-9.]+ MiB' "$err"
}
tried=
try() {
    tried="$tried $1"
    run "$@" $m --max-memory 1M
    expect "refused: $*" named
}
try generate -p once -n 3
try generate -p once -n 3 --num-samples 4
try generate -p once -n 3 --speculate self
try generate --input "$tmp/lines" -n 3
try generate -i
try score -f "$tmp/lines"
try choose -p once -c upon -c over
try eval lambada "$tmp/lambada"
if "$GPT2" serve --help >/dev/null 2>&1; then
    try serve --port 0
fi
every_command() { commands_with --max-memory | all_in "$tried serve"; }
expect "every command that has the option" every_command

# part NAME: of the error, in tenths of MiB
part() { sed -n "s/.*$1 \([0-9]*\)\.\([0-9]\).*/\1\2/p" "$err" | sed 's/^0*\([0-9]\)/\1/'; }
run generate $m -p once -n 3 --max-memory 1M
weights=$(part weights) cache=$(part 'KV cache')
expect "the weights are those of the file" test "$weights" -ge \
    "$(($(wc -c <$model/model.safetensors) * 10 / 1048576))"
run generate $m -p once -n 3 --speculate self --max-memory 1M
expect "a draft is counted" test "$(part draft)" -gt 0
run generate $m -p once -n 3 --num-samples 7 --max-memory 1M
expect "each sample has a KV cache" test "$(part 'KV cache')" -ge "$((7 * cache))"
run generate $m --input "$tmp/lines" -n 3 --cache-memory 77M --max-memory 1M
expect "the prefix cache is what was asked for" test "$(part 'prefix cache')" -eq 770
run generate $m -p once -n 3 --max-memory 1G
expect "a run that fits" exits 0

# What a run takes at its most is no more than it said, and the program itself.
if [ -n "${VALGRIND:-}" ] || ! command -v python3 >/dev/null || "$GPT2" generate $m -p once -n 1 --stats 2>&1 |
    grep -q 'sandbox none: this build'; then
    skip "memory as measured" "needs python3, and a program that nothing watches"
    exit 0
fi
# measured LIMIT_MIB ARGS... : the peak is below the limit and 16 MiB.
measured() {
    most=$(python3 -c 'import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024 if code == 0 else 1 << 30)' "$GPT2" "$@")
    run "$@" --max-memory 1M
    said=$(sed -n 's/.*the run takes \([0-9]*\)\..*/\1/p' "$err")
    [ "$most" -le $((said + 16)) ] || { echo "said $said MiB, took $most" >"$err"; false; }
}
expect "a text takes what was said" measured generate $m -f "$tmp/lines" -n 100
expect "... with weights that are moved" measured generate $m -f "$tmp/lines" -n 100 --no-mmap
expect "... with a cache of F16" measured generate $m -f "$tmp/lines" -n 100 --kv f16 --num-samples 8
expect "many texts" measured generate $m --input "$tmp/lines" -n 30
expect "scores" measured score $m -f tests/README.md --lines
