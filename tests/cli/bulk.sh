# Bulk jobs on the shipped model: the same bytes however they are run, stopped and cut.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "bulk" "models/tales is not there"
    exit 0
fi

n=200 kills=50 long=1G
[ -n "${QUICK:-}" ] && n=60 kills=8 long=64M
[ -n "${VALGRIND:-}" ] && n=9 kills=2

# Records of all kinds: ids that are strings and numbers, options of their own, bad ones.
awk -v n=$n 'BEGIN {
    split("Once upon a time there was little girl who had dog and the big red ball", word, " ")
    for (i = 0; i < n; i++) {
        prompt = "Once"
        for (k = 0; k < (i * 7) % 19; k++) prompt = prompt " " word[(i * 5 + k * 3) % 15 + 1]
        line = sprintf("{\"id\": %s, \"prompt\": \"%s\", \"max_tokens\": %d", i % 3 ? "\"r" i "\"" : i, prompt, i * 11 % 23)
        if (i % 7 == 0) line = line ", \"temperature\": 0.5, \"stop\": [\".\", \" the\"]"
        if (i % 11 == 0) line = line ", \"n\": 3"
        if (i % 17 == 3 && i % 7 && i % 11 && i % 13) line = line ", \"num_beams\": 4, \"n\": 2, \"stop\": [\" was\", \"!\"], \"logprobs\": 2, \"length_penalty\": 0.5"
        if (i % 23 == 5) line = line ", \"beams\": 9"
        if (i % 13 == 0) line = line ", \"repetition_penalty\": 1.3, \"logprobs\": 1"
        if (i % 50 == 8) line = line ", \"bogus\": 1"
        print line "}"
    }
}' >"$tmp/in"

run generate --input "$tmp/in" --output "$tmp/whole"
expect "a job with bad records ends with 3" exits 3
expect "... and a summary" says "$n records"
expect "a line for each record" test "$(wc -l <"$tmp/whole")" -eq "$n"
expect "in the order of the input" grep -q '^{"id":"r1",' "$tmp/whole"
expect "a bad record becomes an error" grep -q '^{"id":"r8","error":{"code":"invalid_option","message":"unknown option' "$tmp/whole"
printf '{"prompt":"Once"}\n' >"$tmp/one"
run generate --input "$tmp/one" --output - -n 3 --input-format jsonl
expect "--input-format jsonl: the prompt in the record" grep -q '"prompt_tokens":1,' "$out"
run generate --input "$tmp/one" --output - -n 3 --input-format lines
expect "--input-format lines: the line is the prompt" grep -qE '"prompt_tokens":[0-9]{1,2},' "$out"
expect "... all of it" test "$(grep -c '"prompt_tokens":1,' "$out")" -eq 0

for more in "-t 1" "-t 2 --parallel 5" "--parallel 1"; do
    # shellcheck disable=SC2086
    run generate --input "$tmp/in" --output "$tmp/again" -q $more
    expect "the same bytes with $more" same "$tmp/whole" "$tmp/again"
done
# The generic variant takes a hundred times as long.
head -n 12 "$tmp/in" >"$tmp/few"
head -n 12 "$tmp/whole" >"$tmp/few.whole"
run generate --input "$tmp/few" --output "$tmp/again" -q --cpu generic
expect "the same bytes with generic kernels" same "$tmp/few.whole" "$tmp/again"
"$GPT2" generate --input - --output - -q <"$tmp/in" >"$tmp/again" 2>"$err"
expect "the same bytes through pipes" same "$tmp/whole" "$tmp/again"
for i in 0 1 2; do
    run generate --input "$tmp/in" --output "$tmp/shard$i" -q --shard $i/3
done
paste -d '\n' "$tmp/shard0" "$tmp/shard1" "$tmp/shard2" | grep . >"$tmp/again"
expect "the same bytes as three shards" same "$tmp/whole" "$tmp/again"
: >"$tmp/again"
while read -r line; do
    printf '%s\n' "$line" | "$GPT2" generate --input - -q >>"$tmp/again" 2>/dev/null
done <"$tmp/in"
expect "the same bytes one record at a time" same "$tmp/whole" "$tmp/again"

# Prompts that begin alike are read once, whatever is asked of each.
awk 'BEGIN {
    common = "Once upon a time there was a little girl who had a dog, and the dog was big and red."
    for (i = 0; i < 3; i++) common = common " " common
    split(",\"n\":3|,\"beams\":3,\"n\":2|,\"echo\":true,\"logprobs\":1|,\"repeat_penalty\":1.2|,\"presence_penalty\":1|" \
          ",\"stop\":\"the\"|,\"choices\":[\"good\",\"bad\"]|,\"heal\":true|,\"no_repeat_ngram\":2|,\"top_k\":0", more, "|")
    for (i = 0; i < 30; i++)
        printf "{\"id\":%d,\"prompt\":\"%s %s\",\"max_tokens\":%d%s}\n", i,
            substr(common, 1, i % 3 ? length(common) : 400), i % 5 ? "It was " i : "", 2 + i % 4, more[i % 10 + 1]
}' >"$tmp/alike"
"$GPT2" generate --input "$tmp/alike" -q --cache-memory 0 --parallel 1 >"$tmp/read" 2>"$err"
expect "a job of prompts that begin alike, each read by itself" test "$(grep -c '"choices"' "$tmp/read")" -eq 30
for more in "" "--cache-memory 1M" "--parallel 1" "--parallel 3 --cache-memory 5M" "-t 1"; do
    # shellcheck disable=SC2086
    run generate --input "$tmp/alike" -o "$tmp/again" -q $more
    expect "the same bytes where they are read once ${more:+with $more}" same "$tmp/read" "$tmp/again"
done
for kv in f16 q8; do
    run generate --input "$tmp/alike" -o "$tmp/read.$kv" -q --kv $kv --cache-memory 0
    run generate --input "$tmp/alike" -o "$tmp/again" -q --kv $kv
    expect "... with a cache of $kv" same "$tmp/read.$kv" "$tmp/again"
done
head -c 9000 "$tmp/read" >"$tmp/again"
run generate --input "$tmp/alike" -o "$tmp/again" -q --resume --cache-memory 3M
expect "... resumed with another bound" same "$tmp/read" "$tmp/again"
for i in 0 1; do run generate --input "$tmp/alike" -o "$tmp/shard$i" -q --shard $i/2; done
paste -d '\n' "$tmp/shard0" "$tmp/shard1" | grep . >"$tmp/again"
expect "... as two shards" same "$tmp/read" "$tmp/again"
run generate "Once" --cache-memory 1M
expect "--cache-memory belongs to jobs" refuses 2 "--cache-memory"
run generate --input "$tmp/alike" --cache-memory lots
expect "--cache-memory takes a size" refuses 2 '--cache-memory: expected bytes, as a whole number with or without K, M, G or T after it, got "lots"'

# Killed at many moments, each time resumed; slow enough to be met on its way.
rm -f "$tmp/again"
killed=0
for i in $(seq $kills); do
    "$GPT2" generate --input "$tmp/in" --output "$tmp/again" --resume -q --parallel 4 2>"$err" &
    pid=$!
    sleep "0.0$((i * 37 % 90 + 9))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null
done
run generate --input "$tmp/in" --output "$tmp/again" --resume -q
expect "killed $kills times at any moment and resumed, nothing is lost or repeated" same "$tmp/whole" "$tmp/again"
expect "... it was killed" test $killed -gt 0

head -c $(($(wc -c <"$tmp/whole") / 2)) "$tmp/whole" >"$tmp/again"
run generate --input "$tmp/in" --output "$tmp/again" --resume -q
expect "a torn last line is made again" same "$tmp/whole" "$tmp/again"
run generate --input "$tmp/in" --output "$tmp/again" --resume -q
expect "a finished job stays as it is" same "$tmp/whole" "$tmp/again"
expect "... and still ends with 3" exits 3
run generate --input "$tmp/in" --output "$tmp/again" --resume
expect "... and says how many of its records have errors" says "gpt2: $(wc -l <"$tmp/in" | tr -d ' ') records, $(grep -c '"error":{' "$tmp/whole") with errors"
run generate --input "$tmp"
expect "an input that cannot be read is one error, and no count of records" sh -c "! grep records '$err'"
run generate --input "$tmp/in" --output "$tmp/again" --resume -q --seed 1
expect "other options are refused" refuses 2 'made with another model or other options'

# An option without effect is as bad in a record as on the command line, whichever of the two makes it so.
bad_record() { # bad_record MEMBERS MESSAGE [OPTIONS]
    printf '{"prompt":"Once","max_tokens":2,%s}\n' "$1" >"$tmp/record"
    message=$2
    shift 2
    run generate --input "$tmp/record" -q "$@"
    expect "a record with $(cut -d, -f3- "$tmp/record") $*" grep -qF "\"code\":\"invalid_option\",\"message\":\"$message\"" "$out"
}
good_record() { # good_record MEMBERS [OPTIONS]
    printf '{"prompt":"Once","max_tokens":2,%s}\n' "$1" >"$tmp/record"
    shift
    run generate --input "$tmp/record" -q "$@"
    expect "... but with $(cut -d, -f3- "$tmp/record") $*" grep -q '"choices"' "$out"
}
bad_record '"greedy":true,"temperature":1' 'temperature and greedy exclude each other'
bad_record '"temp":0,"top_k":3' 'top_k and temp 0 exclude each other'
bad_record '"beams":2,"top_p":0.5' 'top_p and beams exclude each other'
bad_record '"beams":2,"best_of":2' 'best_of and beams exclude each other'
bad_record '"length_penalty":2' 'length_penalty has an effect only with --beams'
bad_record '"include_stop":true' 'include_stop has an effect only with --stop, --until sentence, --until line or --until paragraph'
bad_record '"keep":3' 'keep has an effect only with --on-overflow slide'
bad_record '"separator":" "' 'separator has an effect only with --choices'
bad_record '"choices":"a,b","until":"line"' 'until and choices exclude each other'
bad_record '"ignore_eos":true,"min_tokens":1' 'min_tokens and ignore_eos exclude each other'
bad_record '"top_k":4' 'top_k and --greedy exclude each other' --greedy
bad_record '"seed":4' 'seed and --beams exclude each other' --beams 2
good_record '"greedy":false,"temperature":1'
good_record '"greedy":true' --temp 0.5
good_record '"beams":1,"top_p":0.5'
good_record '"stop":["x"],"include_stop":true'
good_record '"keep":3' --on-overflow slide
good_record '"logprobs":1,"echo":true'
printf '{"ids":[1],"special":true}\n{"prompt":["a"],"special":true,"max_tokens":1}\n' >"$tmp/record"
run generate --input "$tmp/record" -q
expect "special tokens are looked for in texts alone" grep -q '"message":"special has no effect with token ids"' "$out"
expect "..." test "$(grep -c '"choices"' "$out")" -eq 1
printf '{"custom_id":"a","body":{"prompt":"a","temperature":0,"top_p":1,"seed":3,"max_tokens":1}}\n' >"$tmp/record"
run generate --input "$tmp/record" -q
expect "a batch line may have what its client sends always" grep -q '"status_code":200' "$out"

# Each option that changes a text, as --help lists them, with a value that its own message names.
"$GPT2" generate --help all | sed -n '/^Sampling/,/^Output/s/^  \(-., \|    \)--\([a-z-]*\)\( .*\)*$/\2 \3/p' |
    sed 's/   .*//' >"$tmp/options"
printf 'Once upon\nA dog\n' >"$tmp/two"
run generate --input "$tmp/two" --output "$tmp/two.out" -n 2 -q
cp "$tmp/two.out" "$tmp/kept"
n_options=0
while read -r name argument; do
    set -- "--$name"
    if [ -n "$argument" ]; then
        run generate -p x "--$name" '?'
        case $(cat "$err") in
        *"expected one of "*) value=$(sed -n 's/.*expected one of .*, \([^,]*\), got.*/\1/p' "$err") ;;
        *"expected a whole number"*) value=7 ;;
        *"expected a number"*) value=0.25 ;;
        *"expected ID+F"* | *logit-bias*) value=5+1 ;;
        *) value=dog ;;
        esac
        set -- "--$name" "$value"
    fi
    [ "$name" != max-tokens ] || set -- -n 3
    [ "$name" = max-tokens ] || set -- "$@" -n 2
    run generate --input "$tmp/two" --output "$tmp/two.out" --resume -q "$@"
    expect "--resume with another --$name" refuses 2 'made with another model or other options'
    n_options=$((n_options + 1))
done <"$tmp/options"
expect "... and the output is as it was" same "$tmp/kept" "$tmp/two.out"
expect "... for all of $n_options options" test "$n_options" -ge 30

# What is no output of a job is left alone.
printf 'notes of mine\n' >"$tmp/foreign.txt"
printf '{"text": "my data"}\n' >"$tmp/foreign.jsonl"
printf 'no line break, [1]' >"$tmp/foreign.short"
head -c 5000 "$GPT2" >"$tmp/foreign.bin"
for kind in txt jsonl short bin; do
    cp "$tmp/foreign.$kind" "$tmp/kept"
    run generate --input "$tmp/two" --output "$tmp/foreign.$kind" --resume -n 2 -q
    expect "--resume onto a file that no job wrote ($kind)" refuses 2 'expected the output of such a job'
    expect "... leaves it alone" same "$tmp/kept" "$tmp/foreign.$kind"
done
for n_bytes in 1 6 7 30; do
    head -c $n_bytes "$tmp/two.out" >"$tmp/torn"
    run generate --input "$tmp/two" --output "$tmp/torn" --resume -n 2 -q
    expect "--resume after $n_bytes bytes of the first line" same "$tmp/two.out" "$tmp/torn"
done

# Memory that runs out ends the job; it is no fault of the record.
if nm "$GPT2" 2>/dev/null | grep -qE '__(asan|tsan)'; then
    skip "out of memory" "sanitizers reserve all addresses"
else
    {
        printf '{"id":"a","prompt":"Once upon"}\n{"custom_id":"b","body":{"prompt":"A dog","user":['
        head -c 262000 /dev/zero | tr '\0' 1 | sed 's/1/1,/g'
        printf '1]}}\n{"id":"c","prompt":"The end"}\n'
    } >"$tmp/large"
    run generate --input "$tmp/large" --output "$tmp/large.whole" -n 2 -q
    expect "a record of 262,000 numbers" exits 0
    within() { # KiB ARGS...
        (ulimit -v "$1" && shift && exec "$GPT2" generate "$@" -n 2 -q -t 1 --parallel 1) >"$out" 2>"$err" </dev/null
        status=$?
    }
    least=60000 # KiB: enough for other records
    while
        within $least --input "$tmp/one"
        [ $status -ne 0 ] && [ $least -lt 400000 ]
    do least=$((least + 2500)); done
    for limit in $((least + 2500)) $((least + 12500)); do # while its JSON is read, and after that
        rm -f "$tmp/large.out"
        within $limit --input "$tmp/large" --output "$tmp/large.out"
        expect "out of memory for a record ends the job" refuses 6 'out of memory'
        expect "... with nothing written for it" not grep -qs '"custom_id":"b"' "$tmp/large.out"
        run generate --input "$tmp/large" --output "$tmp/large.out" --resume -n 2 -q
        expect "... which --resume reads again" same "$tmp/large.whole" "$tmp/large.out"
    done
fi

head -n 5 "$tmp/whole" >"$tmp/five"
tail -n +2 "$tmp/in" >"$tmp/other"
run generate --input "$tmp/other" --output "$tmp/five" --resume -q
expect "another input is refused" refuses 2 "five, line 1, does not answer $tmp/other, line 1: expected id \"r1\" and input "
expect "... and the output is as it was" test "$(wc -l <"$tmp/five")" -eq 5

# An input that was edited: each line that is there is compared with the one that it answers.
head -n 5 "$tmp/in" >"$tmp/in5"
# refuses_as STATUS REGEX
refuses_as() { refuses "$1" "gpt2: error: " && grep -qE -- "$2" "$err"; }
edited() { # NAME LINE: $tmp/edited is refused at that line of the output
    cp "$tmp/five" "$tmp/kept"
    printf 'torn' >>"$tmp/five"
    run generate --input "$tmp/edited" --output "$tmp/five" --resume -q
    expect "--resume: $1" refuses_as 2 "five, line $2, does not answer $tmp/edited, line $2: expected id [\"r0-9]* and input [0-9a-f]{16}, found id [\"r0-9]* and input [0-9a-f]{16}"
    expect "... changes nothing" test "$(cat "$tmp/five")" = "$(cat "$tmp/kept" && printf torn)"
    cp "$tmp/kept" "$tmp/five"
}
sed '2s/Once/Twice/' "$tmp/in5" >"$tmp/edited"
edited "another prompt under the same id" 2
sed '4s/"max_tokens": /&1/' "$tmp/in5" >"$tmp/edited"
edited "another max_tokens" 4
{ head -n 1 "$tmp/in5" && cat "$tmp/in5"; } >"$tmp/edited"
edited "a line put in front" 2
sed '1!G;h;$!d' "$tmp/in5" >"$tmp/edited"
edited "the input reversed" 1
{ cat "$tmp/in5" && printf '{"id":"new","prompt":"A dog"}\n'; } | sed 's/$/\r/' >"$tmp/edited"
run generate --input "$tmp/edited" --output "$tmp/five" --resume -q
expect "--resume: a line more at the end, and other line ends, are the same job" test "$(wc -l <"$tmp/five")" -eq 6
head -n 4 "$tmp/in" >"$tmp/edited"
cp "$tmp/five" "$tmp/kept"
run generate --input "$tmp/edited" --output "$tmp/five" --resume -q
expect "--resume: more lines than records" refuses 2 "the output has more lines than the input has records: $tmp/five has 6, the input 4"
expect "... changes nothing" same "$tmp/kept" "$tmp/five"
sed 's/,"input":"[0-9a-f]*"//' "$tmp/kept" >"$tmp/five"
run generate --input "$tmp/in" --output "$tmp/five" --resume -q
expect "--resume of a file of version 0.1.0" refuses_as 2 'expected "input" in its lines.* found none, as versions up to 0.1.0'
run generate --input "$tmp/in" --output "$tmp/kept" --resume -q -s random
expect "--resume with a random seed" refuses 2 '--seed random draws another seed in each run'
run generate --input "$tmp/in" --output "$tmp/kept" --resume -q -n 3
expect "--resume names both fingerprints" refuses_as 2 'expected system_fingerprint gpt2_[0-9a-f]{16}, found gpt2_[0-9a-f]{16}'
run generate --input "$tmp/in" --output "$tmp/shard1" -q --shard 2/3 --resume
expect "--resume of another shard" refuses 2 "shard1, line 1, does not answer $tmp/in, line 3"
expect "each line has a hash of its own line of the input" test "$(grep -o '"input":"[0-9a-f]\{16\}"' "$tmp/whole" | sort -u | wc -l)" -eq "$(sort -u "$tmp/in" | wc -l)"
expect "... 64 bits of FNV-1a" test "$(printf 'a\r\n' | "$GPT2" generate --input - -q -n 1 --input-format lines | grep -c '"input":"af63dc4c8601ec8c"')" -eq 1

# A file that is there is as it was until the first line is there.
printf '\377\376O\0n\0' >"$tmp/utf16"
for command in "generate -q" choose; do
    echo kept >"$tmp/kept"
    # shellcheck disable=SC2086
    run $command --input "$tmp/utf16" -o "$tmp/kept"
    expect "${command% *} --input of UTF-16" refuses 5 'expected UTF-8, found UTF-16'
    expect "... leaves the output as it was" test "$(cat "$tmp/kept")" = kept
    # shellcheck disable=SC2086
    run $command --input "$tmp/two" -o "$tmp/kept" -m "$tmp/no-model"
    expect "${command% *} --input without a model" exits 4
    expect "... leaves the output as it was" test "$(cat "$tmp/kept")" = kept
    : >"$tmp/empty"
    # shellcheck disable=SC2086
    run $command --input "$tmp/empty" -o "$tmp/kept"
    expect "${command% *} --input of nothing ends well" exits 0
    expect "... with an empty output" test ! -s "$tmp/kept"
done

head -n 40 "$tmp/in" >"$tmp/few"
run generate --input "$tmp/few" --output "$tmp/beams" -q --beams 3 --no-repeat-ngram 3
expect "a job of beam searches" test "$(grep -c '"choices":\[{"index":0,' "$tmp/beams")" -gt $((n < 40 ? n / 2 : 20))
run generate --input "$tmp/few" --output "$tmp/again" -q --beams 3 --no-repeat-ngram 3 --parallel 2 -t 1
expect "... the same bytes with fewer at once than beams" same "$tmp/beams" "$tmp/again"
run generate --input "$tmp/few" --output "$tmp/again" --resume -q --beams 2 --no-repeat-ngram 3
expect "... beams are among the options that must be the same" refuses 2 'made with another model or other options'

printf 'Once upon\n\nA dog\n' >"$tmp/lines"
run generate --input "$tmp/lines" -n 3 -q
expect "plain lines, the empty one too" test "$(wc -l <"$out")" -eq 3
expect "... with the line's number as id" grep -q '^{"id":2,' "$out"
{ printf '\n \t\r\n\n' && head -n 2 "$tmp/in"; } >"$tmp/blank"
head -n 2 "$tmp/whole" >"$tmp/two.whole"
for how in '-t 1' '--parallel 1'; do
    # shellcheck disable=SC2086
    run generate --input "$tmp/blank" -q $how
    expect "blank lines in front of JSON are skipped" same "$tmp/two.whole" "$out"
done
"$GPT2" generate --input - -q <"$tmp/blank" >"$out" 2>"$err"
expect "... through a pipe, too" same "$tmp/two.whole" "$out"
run generate --input "$tmp/blank" -q --shard 1/2
expect "... and counted, as others are" test "$(cat "$out")" = "$(head -n 1 "$tmp/two.whole")"
printf '\n \nOnce upon\n{"prompt":"A dog"}\n' >"$tmp/blank"
run generate --input "$tmp/blank" -q -n 3
cp "$out" "$tmp/auto"
run generate --input "$tmp/blank" -q -n 3 --input-format lines
expect "blank lines in front of plain text are prompts, and so is what looks like JSON" \
    test "$(sed 's/"system_fingerprint":"[^"]*"//' "$tmp/auto")" = "$(sed 's/"system_fingerprint":"[^"]*"//' "$out")"
expect "... four of them" test "$(grep -c '"text":' "$tmp/auto")" -eq 4
printf '\n\n ' >"$tmp/blank"
run generate --input "$tmp/blank" -q -n 3
expect "nothing but blank lines: each is a prompt" test "$(grep -c '^{"id":[012],.*"text":' "$out")" -eq 3
head -c 17000000 /dev/zero | tr '\0' '\n' >"$tmp/blank"
run generate --input "$tmp/blank" -q -n 3
expect "16 MiB of blank lines" refuses 5 "expected a line that is not blank in the first 16 MiB, found none"
printf '{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"model":"x","prompt":"Once","max_tokens":4,"logit_bias":{"13":-100}}}\n' >"$tmp/batch"
run generate --input "$tmp/batch" -q
expect "OpenAI batch lines" grep -q '^{"custom_id":"a","response":{"status_code":200,"body":{.*"error":null}$' "$out"
printf '{"id":1,"prompt":"a"\n{"id":2,"prompt":"b","max_tokens":2}\n{"id":2.5,"prompt":"b"}\n{"id":3}\n{"id":4,"prompt":["a",1]}\n' >"$tmp/bad"
run generate --input "$tmp/bad" -q
expect "lines that are no records" exits 3
expect "... each has its error" test "$(grep -c '"error":{"code":"invalid_record"' "$out")" -eq 4
# One rule for ids, whichever command reads them.
for id in 8.5 1e300 9007199254740993 true null; do
    for command in generate:prompt choose:prompt score:text; do
        printf '{"id": %s, "%s": "Once", "choices": ["a"]}\n' $id "${command#*:}" >"$tmp/id"
        [ "$command" = choose:prompt ] || sed -i.old 's/, "choices.*]//' "$tmp/id"
        run "${command%:*}" --input "$tmp/id"
        expect "${command%:*}: the id $id" grep -qE '"message": ?"id: expected a string or a whole number below 2\^53, got (8.5|1e300|9007199254740993|true or false|null)"' "$out"
    done
done
for id in 0 -7 9007199254740991 '"8.5"'; do
    for command in generate:prompt choose:prompt score:text; do
        printf '{"id": %s, "%s": "Once", "choices": ["a"]}\n' $id "${command#*:}" >"$tmp/id"
        [ "$command" = choose:prompt ] || sed -i.old 's/, "choices.*]//' "$tmp/id"
        run "${command%:*}" --input "$tmp/id"
        expect "${command%:*}: the id $id" grep -qE "^\{\"id\": ?$id," "$out"
    done
done
# Bad records are said on standard error, in their order, by line; where a record has no id that
# could be read, its error has the line, as the number that stands for the id may be that of another.
for command in generate:prompt choose:prompt score:text; do
    member=${command#*:} command=${command%:*} choices=
    [ $command != choose ] || choices=', "choices": ["a"]'
    cat >"$tmp/faulty" <<END
{"id": "named", "$member": 5$choices}
{"id": 2, "$member": "Once"$choices}

not JSON
{"$member": 7$choices}
END
    run $command --input "$tmp/faulty"
    expect "$command: bad records" exits 3
    expect "... each is said" test "$(grep -c "^gpt2: error: $tmp/faulty, line [145]: " "$err")" -eq 3
    expect "... in order" test "$(sed -n "s,^gpt2: error: $tmp/faulty\, line \([0-9]*\): .*,\1,p" "$err" | tr '\n' ' ')" = "1 4 5 "
    cp "$out" "$tmp/faulty.out"
    run $command --input "$tmp/faulty" -q
    expect "$command -q: they are not" test ! -s "$err"
    expect "... and the answers are the same" same "$tmp/faulty.out" "$out"
    expect "... with 3" exits 3
    expect "... with the line where there is no id" test "$(sed 's/ //g' "$out" | sed -n 's/.*"line":\([0-9]*\)}.*/\1/p' | tr '\n' ' ')" = "4 5 "
    run $command --input "$tmp/faulty" --jsonl
    expect "$command --input --jsonl is what --input writes" same "$tmp/faulty.out" "$out"
    run $command --input "$tmp/faulty" --json
    expect "$command --input --json is refused" refuses 2 '--json has no effect with --input'
done
run generate --input "$tmp/faulty" --progress-json
expect "--progress-json: nothing but JSON" test "$(grep -vc '^{"records":' "$err")" -eq 0
run choose "Once" -c a,b -q
expect "-q belongs to --input" refuses 2 '--quiet has an effect only with --input'
# A list of prompts: choices go on from one to the next, and so do draws.
once=$("$GPT2" tokenize Once | tr ' ' ,) dog=$("$GPT2" tokenize "A dog" | tr ' ' ,)
cat >"$tmp/lists" <<END
{"id":9,"prompt":"Once","n":2,"max_tokens":4}
{"id":9,"prompt":["Once","A dog"],"n":2,"max_tokens":4}
{"id":9,"prompt":[[$once],[$dog]],"n":2,"max_tokens":4}
{"id":9,"prompt":["A dog"],"n":1,"max_tokens":4,"temperature":0}
{"id":9,"prompt":["Once","A dog"],"n":1,"max_tokens":4,"temperature":0}
END
run generate --input "$tmp/lists" -q
# choices LINE FROM TO: their texts
choices() { sed -n "$1p" "$out" | grep -o '"text":"[^"]*"' | sed -n "$2,$3p"; }
expect "a list of prompts" test "$(sed -n 2p "$out" | grep -o '"index":[0-9]' | tr '\n' ' ')" = '"index":0 "index":1 "index":2 "index":3 '
expect "... the first is what it is alone" test "$(choices 1 1 2)" = "$(choices 2 1 2)"
expect "... the second, too" test "$(choices 4 1 1)" = "$(choices 5 2 2)"
expect "... lists of token ids are the same" test "$(choices 2 1 4)" = "$(choices 3 1 4)"
expect "... usage counts all of them" grep -q '"prompt_tokens":3,"completion_tokens":16,' "$out"
cat >"$tmp/bad2" <<'END'
{"id":1,"prompt":["a",["b"]]}
{"id":2,"prompt":[["a"]]}
{"id":3,"prompt":[[1],2]}
{"id":4,"prompt":7}
{"id":5,"prompt":"a","ids":[1]}
{"id":6,"prompt":["a","b","c"],"n":2000}
END
run generate --input "$tmp/bad2" -q
expect "mixed lists and too many samples are refused" test "$(grep -c '"error":{"code":"invalid_' "$out")" -eq 6

# A line without end is refused in bounded memory, and the next one is read.
endless() {
    [ -n "${QUICK:-}${VALGRIND:-}" ] || ulimit -v 300000 # sanitizers take more from the start
    { head -c "$long" /dev/zero | tr '\0' a; printf '\nOnce\n'; } | "$GPT2" generate --input - -q -n 3 -t 1
}
(endless) >"$out" 2>"$err"
status=$?
expect "a line of $long" exits 3
expect "... is an error" grep -q '^{"id":0,"error":{"code":"invalid_record","message":"a line of [0-9]* bytes: expected at most 16777216"' "$out"
expect "... and the job goes on" grep -q '^{"id":1,.*"text":' "$out"

# ---- the memory of a record is bounded by the length of its line ----

if command -v python3 >/dev/null; then
    python3 - "$tmp" <<'END'
import random, sys
def write(name, *lines):
    with open(f"{sys.argv[1]}/{name}", "w") as file:
        file.writelines(line + "\n" for line in lines)
n = 16_000_000
most = 1 << 18  # values of a record: the object, the list and the ids
ids = lambda k: '{"prompt":[' + "1," * (k - 1) + "1]}"
write("ids", ids(n // 2), '{"prompt":"Once"}')
write("strings", '{"prompt":[' + '"",' * (n // 3) + '""]}', '{"prompt":"Once"}')
write("members", '{"x":{' + '"":1,' * (n // 5) + '"":1}}', '{"prompt":"Once"}')
write("nested", '{"x":[' + "{}," * (n // 3) + "{}]}", '{"prompt":"Once"}')
write("text", '{"prompt":"' + "once upon a time " * (n // 17) + '"}', '{"prompt":"Once"}')
random.seed(1) # no two of these merge: a token for each byte, and no place to cut
signs = "".join(random.choice("#~@^|{}") for _ in range(1 << 16)) * (n >> 16)
write("signs", '{"prompt":"' + signs + '"}', '{"prompt":"Once"}')
write("signs.txt", signs)
write("signs.left", '{"truncate":"left","prompt":"' + signs + '"}')
write("signs.context", '{"context":"' + signs + '","text":"a"}')
write("signs.text", '{"text":"' + signs + '"}')
write("signs.lambada", '{"text":"' + signs + ' a"}')
write("signs.hellaswag", '{"ctx_a":"' + signs + '","ctx_b":"b","activity_label":"c","endings":["d","e"],"label":0}')
write("signs.choices", '{"prompt":"' + signs + '","choices":["a","b"]}')
write("most", ids(most - 2), ids(most - 1))
write("many", *[ids(most - 2)] * 24)
END
    [ -z "${VALGRIND:-}${SANITIZE:-}" ] || skip "the memory of a record" "checkers take their own"
    peak generate --input "$tmp/one" -q -n 2
    base=$peak
    bounded() { # NAME MiB
        [ -n "${VALGRIND:-}${SANITIZE:-}" ] ||
            expect "$1: $peak MiB, at most $base + $2" test "$peak" -le $((base + $2))
    }
    for kind in ids strings members nested text signs; do
        [ -z "${VALGRIND:-}" ] || continue
        peak generate --input "$tmp/$kind" -q -n 2
        expect "16 MB of $kind in a record" exits 3
        case $kind in
        text | signs) expect "... an error" grep -q '^{"id":0,.*"the prompt has [0-9]* tokens, the model.s context holds' "$out" ;;
        *) expect "... an error that names limit and number" grep -Eq \
            '^\{"id":0,"error":\{"code":"invalid_record","message":"record: expected JSON of at most 262144 values, found [0-9]{7,}"' "$out" ;;
        esac
        expect "... and the job goes on" grep -q '^{"id":1,.*"text":' "$out"
        bounded "... four times the line" 64
    done
    # A token for each byte, in each command: the ids, of four bytes each, are never all there.
    while read -r code line; do
        [ -z "${VALGRIND:-}" ] || continue
        # shellcheck disable=SC2086
        peak $line
        expect "a token a byte: $(echo "$line" | sed "s|$tmp/||g")" exits "$code"
        bounded "... four times the line" 64
    done <<END
0 tokenize -f $tmp/signs.txt
0 tokenize --count -f $tmp/signs.txt
0 tokenize --lines -f $tmp/signs.txt
0 tokenize --json -f $tmp/signs.txt
0 tokenize --json --lines -f $tmp/signs.txt
5 generate -f $tmp/signs.txt
3 generate -q --input $tmp/signs.txt
3 score --input $tmp/signs.context
3 choose --input $tmp/signs.choices
0 eval lambada $tmp/signs.lambada
0 eval hellaswag $tmp/signs.hellaswag
3 embed -f $tmp/signs.txt
5 inspect lens -f $tmp/signs.txt
END
    if [ -z "${VALGRIND:-}" ]; then
        peak generate --input "$tmp/signs.left" -q -n 2
        expect "... cut to its end" grep -q '^{"id":0,.*"text":' "$out"
        bounded "... four times the line" 64
    fi
    # All of it is scored, which takes hours: its peak is at the beginning.
    if [ -r /proc/self/status ] && [ -z "${VALGRIND:-}${SANITIZE:-}" ]; then
        begin score --input "$tmp/signs.text" -q -t 1
        worked() { [ "$(cut -d' ' -f14 "/proc/$pid/stat")" -ge 150 ]; } # ticks
        expect "a token a byte: score" await worked
        peak=$(($(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status") / 1024))
        kill -KILL "$pid"
        finish 2>/dev/null
        bounded "... four times the line" 64
    fi
    peak generate --input "$tmp/most" -q -n 2
    expect "as many values as a record may have" grep -q '^{"id":0,.*"the prompt has 262142 tokens' "$out"
    expect "... and one more" grep -q '^{"id":1,.*expected JSON of at most 262144 values, found 262145"' "$out"
    bounded "... the fewest bytes for them" 64
    peak generate --input "$tmp/many" -q -n 2
    expect "many such records" test "$(grep -c '"the prompt has 262142 tokens' "$out")" -eq 24
    bounded "... are not held at once" 160
else
    skip "the memory of a record" "there is no python3"
fi

run generate --input "$tmp/bad" -q --fail-fast
expect "--fail-fast ends with the first" test "$(wc -l <"$out")" -eq 1
run generate --input "$tmp/lines" -n 3 --progress-json
expect "--progress-json" grep -q '^{"records":3,"errors":0,' "$err"
run generate --input "$tmp/lines" -q --shard 3/3
expect "a shard that is none" refuses 2 '--shard: expected I/N'
cp "$tmp/lines" "$tmp/self"
run generate --input "$tmp/self" --output "$tmp/self"
expect "the input is not overwritten" refuses 2 'is what --input reads'
expect "... it is as it was" same "$tmp/lines" "$tmp/self"
run generate --input "$tmp/nothing"
expect "a missing input" refuses 5 'cannot open'
run generate --input "$tmp/lines" --resume
expect "--resume without a file" refuses 2 '--resume has an effect only with --input and --output'

if [ -z "${VALGRIND:-}" ]; then
    for i in 1 2 3 4 5; do cat "$tmp/in"; done >"$tmp/long"
    begin generate --input "$tmp/long" --output "$tmp/term" -q --cpu generic --parallel 2
    await test -s "$tmp/term"
    expect "SIGTERM meets a job that writes" test $? -eq 0
    kill -TERM $pid
    finish
    expect "SIGTERM ends with 143" exits 143
    expect "... with whole lines" test "$(tail -c 1 "$tmp/term" | od -An -c | tr -d ' ')" = '\n'
fi

if command -v parallel >/dev/null; then
    parallel --pipe -k -N 20 "$GPT2" generate --input - -q <"$tmp/in" >"$tmp/again" 2>"$err"
    expect "the same bytes through GNU parallel" same "$tmp/whole" "$tmp/again"
else
    skip "GNU parallel" "parallel is not installed"
fi
# What is wrong is named as the record names it; what the command line says as that does.
printf '%s\n' '{"prompt": "Once", "temperature": "hot"}' '{"prompt": "Once", "n": 3, "best_of": 2}' '{"prompt": "Once", "n": 3}' >"$tmp/named"
run generate --input "$tmp/named" --best-of 1 --num-samples 1 --max-tokens 1
expect "a record's option has the record's name" grep -q '"message":"temperature: expected a number' "$out"
expect "... each of them" grep -q '"message":"best_of: expected at least n, 3, got 2"' "$out"
expect "... one of the command line its own" grep -q '"message":"--best-of: expected at least n, 3, got 1"' "$out"
