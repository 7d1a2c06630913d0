# --speculate and --lookup: the same bytes and logits as without, in every form; what --stats says of
# it; and what is refused.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "speculation" "models/tales is not there"
    exit 0
fi

run quantize models/tales -o "$tmp/q4" --type q4
expect "a draft" exits 0
prompt='The wolf said to the goat, and the goat said to the wolf, and the wolf said to the'
"$GPT2" generate --speculate off --temp 0.4 -n 90 -p "$prompt" >"$tmp/text" 2>/dev/null

# alike NAME OPTIONS...: output and hash of the logits are the same with all kinds of guesses.
alike() {
    what=$1
    shift
    run generate "$@" -p "$prompt" --stats --speculate off
    sed 's/"timings".*//; s/"created":[0-9]*//' "$out" >"$tmp/plain"
    grep '^logits' "$err" >"$tmp/plain.hash"
    for guesses in auto lookup self "$tmp/q4" "lookup --lookup $tmp/text"; do
        # shellcheck disable=SC2086
        run generate "$@" -p "$prompt" --stats --speculate $guesses
        sed 's/"timings".*//; s/"created":[0-9]*//' "$out" >"$tmp/guessed"
        grep '^logits' "$err" >"$tmp/hash"
        expect "$what, $(basename "${guesses%% *}")" eval \
            'exits 0 && [ -s "$tmp/hash" ] && same "$tmp/plain" "$tmp/guessed" &&
             same "$tmp/plain.hash" "$tmp/hash"'
        [ -n "${VALGRIND:-}" ] && break
    done
}
alike "a text" --temp 0.4 -n 90
alike "a stop" --temp 0.7 -n 90 --stop goat --include-stop
alike "ids" --greedy -n 60 --format ids --repeat-penalty 1.2
if [ -z "${QUICK:-}" ]; then
    alike "healing" --heal -n 40 --until sentence
    alike "choices" -c 'goat,goat again,wolf'
    alike "JSON" --json --logprobs 2 --echo -n 40 --no-repeat-ngram 3
    alike "JSON by token" --jsonl --logprobs 0 -n 40 --kv q8
    alike "several texts" --num-samples 3 -n 40
    alike "a text that slides" --temp 0.3 --on-overflow slide --keep 4 -n 560
fi
right() { # guesses were made, and more tokens came than passes
    sed -n 's/^guesses \([0-9]*\) of .* right, \([0-9.]*\) tokens a pass.*/\1 \2/p' "$err" >"$tmp/n"
    read -r n rate <"$tmp/n" && [ "$n" -gt 0 ] && [ "${rate%.*}" -ge 1 ]
}
run generate --temp 0.4 -n 90 -p "$prompt" --stats --lookup "$tmp/text"
expect "a text that is known" right
expect "is the same" same "$out" "$tmp/text"
run generate --temp 0.4 -n 90 -p "$prompt" --stats --speculate "$tmp/q4"
expect "a smaller model guesses" right
expect "says what guesses" says 'guesses from Q'
run generate -n 2 -p a --stats --speculate off
expect "off" says 'guesses none: --speculate off'
run generate -n 2 -p a --stats --beams 2
expect "beams" says 'guesses none: beams are searched'
run generate -n 2 -p a --stats --num-samples 2
expect "several texts by default" says 'guesses none: several texts share each pass'

# A session guesses, too, and one text after the other.
printf '%s\n/again\n\n' "$prompt" >"$tmp/lines"
"$GPT2" generate -i -n 30 --temp 0.4 --speculate off <"$tmp/lines" >"$tmp/plain" 2>/dev/null
for guesses in lookup "$tmp/q4"; do
    "$GPT2" generate -i -n 30 --temp 0.4 --speculate "$guesses" <"$tmp/lines" >"$out" 2>"$err"
    status=$?
    expect "a session, ${guesses##*/}" same "$out" "$tmp/plain"
done

run generate -n 2 -p a --speculate "$tmp/q4" -m "$tmp/q4"
expect "a model is its own draft" exits 0
run generate -n 2 -p a --speculate self -m "$tmp/q4"
expect "nothing smaller" refuses 2 "expected weights of F32, F16 or BF16, the model's are Q4 already"
run generate -n 2 -p a --speculate none
expect "no such model" refuses 4 'model "none": neither a path nor a known name'
run generate -n 2 -p a --speculate self --lookup "$tmp/text"
expect "lookup beside a model" refuses 2 '--lookup has no effect with --speculate self'
run generate -n 2 -p a --lookup "$tmp/nothing"
expect "no such file" refuses 5 "$tmp/nothing"
run generate -n 2 --ids 1,2 --format ids --lookup "$tmp/text"
expect "a file beside ids" exits 0
run generate --input "$tmp/text" --speculate lookup
expect "many prompts" refuses 2 '--speculate and --input exclude each other'
mkdir "$tmp/other"
cp models/tales/config.json models/tales/merges.txt models/tales/model.safetensors "$tmp/other"
# two letters change places
a=$(sed 's/.*"A": *\([0-9]*\).*/\1/' models/tales/vocab.json | grep -x '[0-9]*')
b=$(sed 's/.*"B": *\([0-9]*\).*/\1/' models/tales/vocab.json | grep -x '[0-9]*')
sed "s/\"A\": *$a\\([,}]\\)/\"A\": $b\\1/; s/\"B\": *$b\\([,}]\\)/\"B\": $a\\1/" \
    models/tales/vocab.json >"$tmp/other/vocab.json"
run generate -n 2 -p a --speculate "$tmp/other"
expect "another vocabulary" refuses 4 "expected the model's vocabulary, found another token"
expect "what to do" says 'hint: a smaller model of the same family'
