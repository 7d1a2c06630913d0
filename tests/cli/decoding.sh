# The decoding options of generate, each by what it is to bring about on the shipped model.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "decoding" "models/tales is not there"
    exit 0
fi

gen() { # 40 tokens, unless -n says how many
    case " $* " in
    *" -n "*) run generate "Once upon a time" "$@" ;;
    *) run generate "Once upon a time" -n 40 "$@" ;;
    esac
}

gen --greedy
cp "$out" "$tmp/greedy"
for option in "--top-k 1" "--top-p 0.0001" "--min-p 1"; do
    # shellcheck disable=SC2086
    gen $option
    expect "$option leaves the likeliest token" same "$tmp/greedy" "$out"
done
for option in --mmap --no-mmap; do
    gen --greedy --stats $option
    expect "$option gives the same text" same "$tmp/greedy" "$out"
    expect "... from there" says "weights $([ $option = --mmap ] && echo in the mapped file || echo moved)"
done
gen --greedy --stop " was"
expect "--stop ends in front of the text" test "$(grep -c ' was' "$out")" -eq 0
expect "... and it is the beginning of the same text" test "$(head -c "$(($(wc -c <"$out") - 1))" "$tmp/greedy")" = "$(head -c -1 "$out")"
gen --greedy --stop " was" --include-stop
expect "--include-stop ends after it" test "$(tail -c 5 "$out")" = " was"
gen --greedy --until sentence
expect "--until sentence" test "$(tail -c 2 "$out")" = "."
gen --seed 4 --until sentence
cp "$out" "$tmp/sentence"
gen --seed 4 -n 400 --until sentence --min-tokens $(($("$GPT2" tokenize --count -f "$tmp/sentence") + 2))
expect "... and with --min-tokens a later one" test "$(wc -c <"$out")" -gt "$(wc -c <"$tmp/sentence")"
gen --seed 4 -n 400 --until sentence --min-tokens 30 --json
expect "... which ends" grep -q '"finish_reason":"stop","stop":"sentence"' "$out"
gen --until line
expect "--until line" test "$(wc -l <"$out")" -eq 1
gen --greedy --ban was --stop " was"
expect "--ban" test "$(grep -c ' was' "$tmp/greedy")$(grep -c ' was' "$out")" = 10
run tokenize " was"
id=$(cat "$out")
gen --greedy --format ids --logit-bias "$id-100"
expect "--logit-bias by id" test "$(tr ' ' '\n' <"$out" | grep -cx "$id")" -eq 0
gen --greedy -n 5 --format ids --logit-bias "' was'+100"
expect "--logit-bias by text" prints "$id $id $id $id $id"
gen --greedy --format ids --no-repeat-ngram 1
expect "--no-repeat-ngram 1: no id twice" test "$(tr ' ' '\n' <"$out" | sort | uniq -d | wc -l)" -eq 0
for option in "--repeat-penalty 3" "--presence-penalty 5" "--frequency-penalty 5"; do
    # shellcheck disable=SC2086
    gen --greedy -n 200 $option --repeat-last-n -1
    expect "$option changes the text" test "$(cmp -s "$tmp/greedy" "$out"; echo $?)" -eq 1
done
gen
cp "$out" "$tmp/drawn"
gen --typical-p 0.2
expect "--typical-p changes the text" test "$(cmp -s "$tmp/drawn" "$out"; echo $?)" -eq 1
gen --compat hf -n 12
cp "$out" "$tmp/hf"
gen --greedy --repeat-penalty 1 -n 12
expect "--compat hf is greedy" same "$tmp/hf" "$out"
run generate "Once" --compat hf --format ids --ignore-eos
expect "... and makes 20 tokens" test "$(wc -w <"$out")" -eq 20
run generate --special "<|endoftext|>" --greedy --logit-bias 0+100 -n 9 --min-tokens 3 --format ids
expect "--min-tokens" test "$(wc -w <"$out")" -ge 3
gen --max-time 0.000001 --format ids
expect "--max-time ends after a token" test "$(wc -w <"$out")" -eq 1
run generate "Is it? Say" --choices " yes, no"
expect "--choices gives one of them" grep -qxE ' (yes|no)' "$out"
gen --num-samples 3 -n 8
expect "--num-samples" test "$(grep -c '^==== SAMPLE [123] ====$' "$out")" -eq 3
sed -n 2p "$out" >"$tmp/first"
gen -n 8
expect "... the first of them is the text alone" same "$tmp/first" "$out"
gen --num-samples 2 --best-of 4 --json -n 8
expect "--best-of" test "$(grep -o '"index"' "$out" | wc -l)" -eq 2
gen --best-of 1 --num-samples 2
expect "--best-of below --num-samples" refuses 2 '--best-of: expected at least --num-samples, 2, got 1'
gen --beams 4 -n 8 --format ids
expect "--beams" test "$(wc -w <"$out")" -eq 8
cp "$out" "$tmp/beam"
gen --beams 4 -n 8 --format ids --num-samples 3
expect "--beams, the best three" test "$(grep -c '^==== SAMPLE' "$out")$(sed -n 2p "$out")" = "3$(cat "$tmp/beam")"
gen --beams 4 --format ids --no-repeat-ngram 1
expect "--beams with --no-repeat-ngram 1: no id twice" test "$(tr ' ' '\n' <"$out" | sort | uniq -d | wc -l)" -eq 0
gen --beams 4 --no-repeat-ngram 2
cp "$out" "$tmp/beam"
# a word of the text that is a token by itself, whatever the model says
for word in $(tr -cs '[:lower:]' '\n' <"$tmp/beam" | sort -u | grep -E '^...?$'); do
    [ "$("$GPT2" tokenize --count " $word")" -eq 1 ] && break
done
gen --beams 4 --no-repeat-ngram 2 --ban "$word"
expect "--beams without --ban has the word" grep -qw "$word" "$tmp/beam"
expect "--beams with --ban" not grep -qw "$word" "$out"
gen --beams 4 --no-repeat-ngram 2 --until sentence
expect "--beams with --until" test "$(tail -c 2 "$out")" = "."
gen --beams 4 --no-repeat-ngram 2 --stop ' a' --json
expect "--beams with --stop" grep -q '"finish_reason":"stop","stop":" a"' "$out"
expect "... the text ends in front of it" test "$(grep -c '"text":"[^"]* a' "$out")" -eq 0
run generate --special "<|endoftext|>" --beams 4 --logit-bias 0+100 -n 9 --min-tokens 3 --format ids
expect "--beams with --min-tokens" test "$(wc -w <"$out")" -ge 3
run generate "Is it? Say" --beams 4 --choices " yes, no, yes please"
expect "--beams with --choices" grep -qxE ' (yes|no|yes please)' "$out"
for penalty in -20 20; do
    run generate "Is it? Say" --beams 2 --choices " yes, no, yes please, no no no no no no" --length-penalty $penalty
    expect "--length-penalty $penalty" prints "$([ $penalty -lt 0 ] && echo ' no' || echo ' no no no no no no')"
done
# As many texts as there are beams end soon; only "never" goes on to look for a longer, better one,
# which some of these searches find, whatever the model.
longer=0
for beams in 2 3 4 5; do
    gen --beams $beams --stop . -n 60 --early-stopping true --format ids
    soon=$(wc -w <"$out")
    gen --beams $beams --stop . -n 60 --early-stopping never --format ids
    [ "$(wc -w <"$out")" -gt "$soon" ] && longer=$((longer + 1))
done
expect "--early-stopping never goes on where true ends" test $longer -gt 0
run generate Once --beams 2 --early-stopping sometimes
expect "--early-stopping refuses other words" refuses 2 'sometimes'
run generate "Once upon a t" --heal --beams 4 -n 1
expect "--beams with --heal" prints "ime"
gen --beams 4 -n 4 --json --logprobs 2
expect "--beams with --logprobs" grep -q '"token_logprobs":\[-[0-9.]*,-[0-9.]*,-[0-9.]*,-[0-9.]*\],"top_logprobs":\[{' "$out"
gen --beams 4 -n 4 --jsonl
expect "--beams with --jsonl" test "$(grep -c '^{"sample":0,"index":[0-3],"id":' "$out")" -eq 4
gen --beams 4 --max-time 0.000001 --format ids
expect "--beams with --max-time ends after a token" test "$(wc -w <"$out")" -eq 1
for bad in "--best-of 4" "--num-samples 5" "--on-overflow slide" "-n 0"; do
    # shellcheck disable=SC2086
    gen --beams 4 $bad
    expect "--beams with $bad is refused" refuses 2 '--beams'
done
run generate "Once upon a t" --heal --greedy -n 1
expect "--heal says the cut token again" prints "ime"

ctx=$("$GPT2" info | sed -n 's/^n_ctx *//p')
long=$(yes 5 | head -n $((ctx - 4)) | tr '\n' ' ')
run generate --ids "$long" --ignore-eos -n 40 --on-overflow error
expect "--on-overflow error" exits 5
run generate --ids "$long" --ignore-eos -n $((ctx + 9)) --on-overflow slide --keep 4 --format ids
expect "--on-overflow slide goes on" test "$(wc -w <"$out")" -eq $((ctx + 9))
longer=$(yes "long story" | head -n "$ctx")
run generate "$longer" -n 1 --truncate left
expect "--truncate left" exits 0
run generate "$longer" -n 0 --truncate right --echo --format ids
expect "--truncate right keeps the beginning" test "$(wc -w <"$out")" -eq "$ctx"

gen --json --logprobs 2 -n 4
expect "--json has the completions object's fields" grep -q '"object":"text_completion".*"choices":\[{"index":0,"text":.*"token_ids":\[.*"top_logprobs":\[{.*"finish_reason":"length".*"usage":{"prompt_tokens":4,"completion_tokens":4,"total_tokens":8},"seed":0,"timings":' "$out"
run generate "Zoë" --choices " né“" --json --logprobs 0
expect "text_offset counts characters from the start of the prompt" grep -q '"tokens":\[" n","bytes:..xc3","bytes:..xa9","bytes:..xe2","bytes:..x80","bytes:..x9c"\],.*"text_offset":\[3,5,5,6,6,6\]' "$out"
run generate "Once" --greedy -n 6 --stop " never ever" --json --logprobs 0
cp "$out" "$tmp/held"
run generate "Once" --greedy -n 6 --json --logprobs 0
expect "... also where a stop holds text back" test "$(grep -o '"text_offset":[^]]*' "$tmp/held")" = "$(grep -o '"text_offset":[^]]*' "$out")"
gen --jsonl -n 4
expect "--jsonl prints an object for each token" test "$(grep -c '^{"sample":0,"index":[0-3],"id":' "$out")" -eq 4
gen --tint surprisal
expect "--color does nothing on a pipe" same "$tmp/drawn" "$out"
gen -o "$tmp/file"
expect "-o writes the same to a file" same "$tmp/drawn" "$tmp/file"
expect "... and nothing to stdout" silent
expect "... and leaves nothing beside it" test "$(find "$tmp" -name 'file.*' | wc -l)" -eq 0
gen -o "$tmp/no/file"
expect "-o into a folder that is not there" refuses 1 "$tmp/no/file: cannot create: No such file"
run generate "Once" -n 4
cp "$out" "$tmp/four"
ln -s "$tmp/target" "$tmp/link"
: >"$tmp/target"
run generate "Once" -n 4 -o "$tmp/link"
expect "-o of a link replaces its target" same "$tmp/four" "$tmp/target"
expect "... and leaves the link" test -L "$tmp/link"
mkfifo "$tmp/pipe"
cat "$tmp/pipe" >"$tmp/piped" &
run generate "Once" -n 4 -o "$tmp/pipe"
wait $!
expect "-o of a pipe writes into it" same "$tmp/four" "$tmp/piped"
expect "... and leaves the pipe" test -p "$tmp/pipe"
"$GPT2" generate "Once" -n 4 -o /dev/stdout 2>"$err" | cat >"$out"
expect "-o of a pipe that has no path, /dev/stdout" same "$tmp/four" "$out"
for bad in "--logit-bias x" "--logit-bias 5" "--logit-bias 999999+1" "--ban xyzzyplugh" "--choices ,"; do
    # shellcheck disable=SC2086
    gen $bad
    expect "$bad is refused" refuses 2 "${bad%% *}"
done
run generate --help all
for option in repeat-penalty repeat-last-n presence-penalty frequency-penalty no-repeat-ngram \
    typical-p logit-bias ban min-tokens ignore-eos compat beams length-penalty early-stopping \
    num-samples best-of stop include-stop until max-time on-overflow keep truncate choices heal \
    json jsonl logprobs color out input resume shard fail-fast progress-json parallel; do
    expect "--help has --$option" grep -q -- "--$option" "$out"
done
