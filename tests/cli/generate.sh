# generate on the shipped model: what is printed where, and that it is the same however it is run.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "generate" "models/tales is not there"
    exit 0
fi

# Under valgrind everything is short.
n=256
[ -n "${VALGRIND:-}" ] && n=8

run generate --prompt "Once upon a time" -n $n
expect "a tale" exits 0
expect "only the tale, on stdout" test ! -s "$err"
expect "of some length" test "$(wc -c <"$out")" -gt $((n * 2))
cp "$out" "$tmp/tale"
run generate "Once upon a time" --seed 0 -n $n
expect "the same again" same "$tmp/tale" "$out"
for threads in 1 2 3 5; do
    run generate "Once upon a time" -t $threads -n $n
    expect "the same with $threads threads" same "$tmp/tale" "$out"
done
run generate "Once upon a time" -n $((n / 4))
cp "$out" "$tmp/short"
run info
variants=$(sed -n 's/.*(this CPU can run: \(.*\))/\1/p' "$out")
expect "the kernel variants of this CPU" test "${variants%% *}" = generic
for variant in $variants; do
    run generate "Once upon a time" --cpu "$variant" -n $((n / 4))
    expect "the same with $variant kernels" same "$tmp/short" "$out"
done
run generate "Once upon a time" --seed 1 -n $n
expect "another seed, another tale" test "$(cmp -s "$tmp/tale" "$out"; echo $?)" -eq 1

# Seeds in JSON: JavaScript and jq keep whole numbers up to 2^53 (16 digits).
for i in 1 2 3; do "$GPT2" generate Once --seed random -n 1 --json 2>"$err"; done >"$out"
expect "random seeds are numbers that readers of JSON keep" test "$(grep -cE '"seed":[0-9]{1,16},' "$out")" -eq 3
run generate Once --seed 18446744073709551615 -n 8 --json
expect "a seed that they would round is a string" grep -q '"seed":"18446744073709551615",' "$out"
for seed in 9007199254740993 18446744073709551615 1.4e19; do
    printf '{"prompt": "Once", "seed": %s}\n' $seed >"$tmp/in"
    run generate --input "$tmp/in" -o - -q
    expect "a record's seed $seed is refused as it is written" grep -q "expected a whole number up to 9007199254740992, or a larger one as a string, got $seed\"" "$out"
done
printf '{"prompt": "Once", "seed": %s}\n' 9007199254740992 '"9007199254740993"' >"$tmp/in"
run generate --input "$tmp/in" -o - -q -n 8
expect "2^53 is exact, and a string may be larger" test "$(grep -c '"choices"' "$out")" -eq 2

printf 'Once upon a time\n' >"$tmp/prompt"
run generate -f "$tmp/prompt" -n $n
expect "a prompt file, less its newline" same "$tmp/tale" "$out"
"$GPT2" generate -n $n <"$tmp/prompt" >"$out" 2>"$err"
expect "a prompt on a pipe" same "$tmp/tale" "$out"
"$GPT2" generate -n $n - <"$tmp/prompt" >"$out" 2>"$err"
expect "- is standard input" same "$tmp/tale" "$out"
run generate -f "$tmp/prompt" --keep-newline -n $n
expect "--keep-newline keeps it" test "$(cmp -s "$tmp/tale" "$out"; echo $?)" -eq 1
run generate -p "Once upon a time" --max_new_tokens 5 --temperature=0.8 --top_k=40
cp "$out" "$tmp/five"
run generate -p "Once upon a time" -n5 --temp 0.8 --top-k 40
expect "aliases and underscores" same "$tmp/five" "$out"

run generate "Once upon a time" -n 20 --format ids
cp "$out" "$tmp/ids"
expect "-n counts tokens" test "$(wc -w <"$out")" -eq 20
run generate "Once upon a time" -n 20
head -c -1 "$out" >"$tmp/text"
run detokenize -f "$tmp/ids"
expect "ids and text are the same tokens" same "$tmp/text" "$out"
run tokenize "Once upon a time"
ids=$(cat "$out")
run generate --ids "$ids" -n 20 --format ids
expect "--ids is the same prompt" same "$tmp/ids" "$out"
run generate "Once upon a time" -n 20 --format ids --echo
expect "--echo prints the prompt first" prints "$ids $(cat "$tmp/ids")"
run generate "Once upon a time" -n 0 --echo
expect "-n 0 prints only the prompt" prints "Once upon a time"
run generate "Once upon a time" --greedy -n 12
cp "$out" "$tmp/greedy"
run generate "Once upon a time" --temp 0 -n 12
expect "temperature 0 is greedy" same "$tmp/greedy" "$out"
run generate "Once upon a time" --top-k 1 --seed 6 -n 12
expect "top-k 1 is greedy" same "$tmp/greedy" "$out"
run generate "" -n 20
expect "an empty prompt" exits 0
cp "$out" "$tmp/empty"
run generate --special "<|endoftext|>" -n 20
expect "starts from <|endoftext|>" same "$tmp/empty" "$out"

ctx=$("$GPT2" info | sed -n 's/^n_ctx *//p')
run generate -n -1 --ignore-eos "$(yes "a" | head -n $((ctx / 2 - 20)))" --format ids --echo
expect "-n -1 fills the context, and one more" test "$(wc -w <"$out")" -eq $((ctx + 1))
run generate "$(yes "long story" | head -n "$ctx")"
expect "a prompt too long" refuses 5 "the model's context holds $ctx"
run generate --ids 999999
expect "an id beyond the vocabulary" refuses 2 'token id 999999'

run generate "Once upon a time" -n 8 --stats
expect "--stats goes to stderr" says 'logits '
cp "$err" "$tmp/stats"
expect "--stats names what ended the text, by its long name, and the number" grep -qx 'stop    max-tokens, 8' "$tmp/stats"
"$GPT2" generate --help | tr -s ' \n' ' ' >"$tmp/line"
expect "--help says that a model may recommend another length" grep -qF 'default 256, or what the model recommends: gpt2 info' "$tmp/line"
expect "--stats names the seed" grep -q '^seed  *0$' "$tmp/stats"
hash=$(grep '^logits' "$tmp/stats")
run generate "Once upon a time" -n 8 --stats -t 3 --cpu generic
expect "the logits hash does not depend on threads and kernels" says "$hash"
expect "--stats names the type of the KV cache" grep -q '^cache  *f32$' "$tmp/stats"
for kv in f16 q8; do
    run generate "Once upon a time" -n 8 --stats --kv $kv
    expect "--kv $kv is used" grep -q "^cache  *$kv\$" "$err"
    expect "... and computes other logits" test "$(grep '^logits' "$err")" != "$hash"
    hash_kv=$(grep '^logits' "$err")
    run generate "Once upon a time" -n 8 --stats --kv $kv -t 3 --cpu generic
    expect "... the same ones with other threads and kernels" says "$hash_kv"
done
run generate "Once upon a time" --kv q9
expect "an unknown type of KV cache" refuses 2 'auto, f32, f16, q8'

"$GPT2" generate "Once upon a time" -n 400 --ignore-eos 2>"$err" | head -c 20 >/dev/null
expect "a closed pipe is no error message" died_quietly
# The generic variant is slow: head has gone long before the end, however busy the machine is.
(trap '' PIPE; "$GPT2" generate "Once" -n 400 --ignore-eos --cpu generic 2>"$err"; echo $? >"$tmp/status") | head -c 20 >/dev/null
expect "a closed pipe exits with 141 where SIGPIPE is ignored" test "$(cat "$tmp/status")" -eq 141
if [ -w /dev/full ]; then
    "$GPT2" generate "Once upon a time" >/dev/full 2>"$err"
    status=$?
    : >"$out"
    expect "a full disk" refuses 1 'cannot write to standard output: No space left'
fi
"$GPT2" generate "Once upon a time" >&- 2>"$err"
status=$?
expect "a closed stdout" test $status -eq 1

# interrupt CODE SIGNAL: sends it while a long text is made.
interrupt() {
    begin generate "Once" -n -1 --ignore-eos --cpu generic -t 1
    await test -s "$out"
    expect "SIG$2 meets a program that writes" test $? -eq 0
    kill -"$2" $pid
    finish
    expect "SIG$2 ends after the token, with $1" exits "$1"
    expect "SIG$2 leaves a whole line" test "$(tail -c 1 "$out" | od -An -c | tr -d ' ')" = '\n'
}
interrupt 143 TERM
# A shell starts background jobs with SIGINT ignored; env gives it back.
if env --default-signal=INT true 2>/dev/null; then
    real=$GPT2
    GPT2_REAL=$real
    printf '#!/bin/sh\nexec env --default-signal=INT "%s" "$@"\n' "$GPT2_REAL" >"$tmp/gpt2"
    chmod +x "$tmp/gpt2"
    GPT2=$tmp/gpt2
    interrupt 130 INT
    GPT2=$real
else
    skip "SIGINT" "this env has no --default-signal"
fi
# The model that a result names is the one that told it.
if [ -d models/tales ]; then
    ln -s "$PWD/models/tales" "$tmp/mine"
    GPT2_MODEL=$tmp/mine run generate --json -n 1 Once
    expect "\"model\" is that of GPT2_MODEL" grep -q "\"model\":\"$tmp/mine\"" "$out"
fi
