# One grammar in every command: where the result goes, how it is written, which model.
. tests/cli/cases.inc

parses() { python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$1"; }
n_columns() { awk -v n="$2" 'END { exit length > n }' "$1"; }

# ---- names of formats, and options that were renamed ----

for given in "generate --output ids x" "generate -o json x" "bench -o json" "score -o tsv x" \
    "inspect lens -o text x"; do
    # shellcheck disable=SC2086
    run $given
    expect "$given" refuses 2 '--output: expected a file, got "'
    expect "... with a hint" says 'says how the result is written; ./'
done
for given in "quantize -o json" "generate -o md x"; do
    # shellcheck disable=SC2086
    run $given
    expect "$given" refuses 2 '--output: expected a file, got "'
    expect "... has no such format" not says '--format'
    expect "... with a hint" says 'hint: ./'
done
for given in "generate x" bench quantize "models"; do
    # shellcheck disable=SC2086
    run $given -o ""
    expect "$given -o with nothing" refuses 2 '--output: expected a file, got nothing'
done
run generate --out "$tmp/x" x
expect "--out has a new name" refuses 2 '--out is now --output'
run embed --input "$tmp/text"
expect "embed has no records, and says what reads lines" refuses 2 '--input is now -f: embed reads lines of text'
run generate --color surprisal x
expect "--color surprisal has a new name" says '--tint surprisal'
run score --color "text"
expect "score --color has a new name" says '--tint'
run generate --json --jsonl x
expect "--json --jsonl" refuses 2 '--json and --jsonl both say the format'
run generate --format json --jsonl x
expect "--format json --jsonl" refuses 2 '--format and --jsonl both say the format'
run generate --temp 1 --temperature 0.5 x
expect "one value, twice" refuses 2 '--temp is given twice'

# ---- options without an effect ----

for case in "generate --resume x=--resume" "generate --shard 0/2 x=--shard" "generate --logprobs 2 x=--logprobs" \
    "generate --length-penalty 1 x=--length-penalty" "generate --greedy --temp 1 x=--temp" \
    "generate --greedy --seed 1 x=--seed" "generate --temp 0 --best-of 3 x=--best-of" \
    "tokenize --count --json x=--count" "convert --to gguf -t 2 -o $tmp/g=--threads" \
    "models --names --json=--json" "inspect lens --layer 1 --head 1 x=--layer"; do
    # shellcheck disable=SC2086
    run ${case%=*}
    expect "${case%=*}" refuses 2 "${case##*=} "
    expect "... and why" grep -qE 'has (an effect only|no effect) with|exclude each other' "$err"
done

run tokenize --count --json x
expect "the option that excludes it is named as it was given" refuses 2 '--count and --json exclude each other'

# --color is the exception: each command takes it, and checks its value.
commands >"$tmp/commands"
while read -r command; do
    for value in auto always never; do
        run "$command" --color $value --no-such-option
        expect "$command --color $value" refuses 2 'unknown option --no-such-option'
    done
    run "$command" --colour=sometimes
    expect "$command --color sometimes" refuses 2 '--color: expected one of auto, always, never'
done <"$tmp/commands"
run models --names --color always
expect "models --color always" exits 0

if [ ! -f models/tales/model.safetensors ]; then
    skip "the grammar with a model" "models/tales is not there"
    exit 0
fi
# What the model recommends counts as if it was given.
run generate once -n 1 --repeat-last-n 5
expect "--repeat-last-n with the model's penalty" exits 0
run generate once -n 1 --repeat-last-n 5 --repeat-penalty 1
expect "... and without one" refuses 2 '--repeat-last-n has an effect only with --repeat-penalty'
printf 'Once\nTwice\n' >"$tmp/in"
run generate --input "$tmp/in" -o "$tmp/jobs" -q -n 2 --logprobs 1 --length-penalty 2 --greedy --temp 1
expect "with --input they are the records' defaults" exits 0
expect "generate --input F -o G writes G" test "$(grep -c '"choices"' "$tmp/jobs")" -eq 2
run generate --input "$tmp/in" -q -n 1 Once
expect "--input with a prompt" refuses 2 '--input and a plain argument exclude each other'
run generate --input "$tmp/in" -o - -q -n 2 --jsonl
expect "--jsonl is what a job writes" test "$(grep -c '"choices"' "$out")" -eq 2
run generate --input "$tmp/in" -o - -q -n 2 --json
expect "--json is not" refuses 2 '--json has no effect with --input'

# ---- where it goes, and as JSON ----

printf 'once upon a time there was\n' >"$tmp/text"
printf '{"text": "Once upon a time"}\n' >"$tmp/lambada"
cat >"$tmp/lines" <<END
generate once -n 2 --json
tokenize once --json
detokenize 1,2 --json
score once --json
score once --by doc --json
choose once -c a,b --json
eval lambada $tmp/lambada --json
inspect lens once --json
embed once --jsonl
info --json
info tales --tensors --json
verify --json
compare -f $tmp/text -n 4 --json
bench -p 2 -n 0 -r 1 --json
models --json
version --json
END
has_case() { commands_with "--json" | all_in "$(cut -d' ' -f1 "$tmp/lines")"; }
expect "every command with --json has a case" has_case
while read -r line; do
    # shellcheck disable=SC2086
    run $line
    expect "$line" exits 0
    command -v python3 >/dev/null && expect "... is JSON" parses "$out"
    sed 's/"[a-z_]*ms":[^,}]*//g; s/"created":[0-9]*//' "$out" >"$tmp/shown"
    # shellcheck disable=SC2086
    run $line -o "$tmp/file"
    expect "... -o FILE" exits 0
    expect "... and nothing on standard output" silent
    sed 's/"[a-z_]*ms":[^,}]*//g; s/"created":[0-9]*//' "$tmp/file" >"$tmp/written"
    case $line in
    bench*) ;;
    *) expect "... the same" same "$tmp/shown" "$tmp/written" ;;
    esac
    rm -f "$tmp/file"
done <"$tmp/lines"
run score once --format jsonl
expect "score --jsonl: an object a line" test "$(grep -c '^{.*}$' "$out")" -eq "$(wc -l <"$out")"
run detokenize 1,2 -o "$tmp/file"
expect "detokenize -o" test -s "$tmp/file"

# ---- which model ----

for command in $(commands_with "first plain argument"); do
    case $command in
    quantize) run $command no-such-model -o "$tmp/never" ;;
    convert) run $command no-such-model --to gguf -o "$tmp/never" ;;
    *) run "$command" no-such-model ;;
    esac
    expect "$command MODEL: the first word" refuses 4 'model "no-such-model"'
done
run info no-such-model -m tales
expect "... not beside -m" refuses 2 'unexpected argument "no-such-model"'
for command in info verify; do
    run $command models/tales
    cp "$out" "$tmp/word"
    run $command -m models/tales
    expect "$command MODEL, $command -m MODEL" same "$tmp/word" "$out"
done
run bench tales -p 2 -n 0 -r 1
expect "bench MODEL" exits 0
run convert models/tales --to gguf -o "$tmp/tales.gguf"
expect "convert MODEL" exits 0
run quantize models/tales -o "$tmp/q8"
expect "quantize MODEL" exits 0
run compare -f "$tmp/text" -n 4 tales "$tmp/q8" --json
cp "$out" "$tmp/words"
run compare -f "$tmp/text" -n 4 -m tales "$tmp/q8" --json
expect "compare REFERENCE MODEL, compare -m REFERENCE MODEL" same "$tmp/words" "$out"
expect "... the second is the model" grep -q '"models": \[{"model": "[^"]*/q8"' "$out"

# ---- choices ----

run choose "The cat sat on the" -c mat -c zebra --test mat # the last alone would be zebra
expect "choose: repeated -c accumulate" exits 0
run choose "The cat sat on the" -c zebra -c mat,dog
expect "... with commas, too" test "$(grep -cE '(zebra|mat|dog)' "$out")" -eq 3
run generate "The cat sat on the" -c zebra -c mat --greedy
cp "$out" "$tmp/two"
run generate "The cat sat on the" -c zebra,mat --greedy
expect "generate -c" exits 0
expect "generate: repeated -c accumulate" same "$tmp/two" "$out"
expect "... and a space stands before the choice" grep -qE '^ (mat|zebra)$' "$out"
run generate "The cat sat on the " -c zebra,mat --greedy
expect "... unless there is one" grep -qE '^(mat|zebra)$' "$out"
run generate "The cat sat on the" -c zebra,mat --greedy --separator "_"
expect "... or --separator says what" grep -qE '^_(mat|zebra)$' "$out"

# ---- escapes ----

run generate "Once upon a time" --stop '\n' -n 200
expect "--stop with a backslash and n is a line end" test "$(wc -l <"$out")" -eq 1
run generate "Once" --stop . --stop '' -n 2
expect "an empty --stop is named" refuses 2 '--stop: expected a text, got an empty one'
run generate "Once" --stop '\d' -n 2
expect "no other escapes" refuses 2 'got "\d"'
run choose "Once" -c 'a\,b,c\\,\x2c\,,d\x41' --json
expect "backslash and comma is a comma of a choice" test "$(grep -o '"choice": "[^"]*"' "$out" | tr -d ' ' | sort | tr '\n' ' ')" = '"choice":",," "choice":"a,b" "choice":"c\\" "choice":"dA" '
run generate "Once" -c 'a\,b\,c\,d,a\,b\,c\,e' --separator ''
expect "... in generate, too" grep -qx 'a,b,c,[de]' "$out"
printf '{"prompt": "Once", "choices": ["a,b", "a,b,c"], "separator": ""}\n' >"$tmp/in"
run generate --input "$tmp/in" -o - -q
expect "... and a text in a list of a record has its own" grep -qE '"text":"a,b(,c)?"' "$out"
for list in a,,b ,a a, 'a\,b,' ''; do
    run choose "Once" -c "$list"
    expect "\"$list\" has an empty choice" refuses 2 'a choice is empty'
    expect "... and the hint says how a comma is written" says 'a comma of a choice is \,; --choices-file'
    run generate "Once" -c "$list"
    expect "... in generate, too" refuses 2 'got an empty one'
done
run tokenize -e 'a\nb\x41\\n'
cp "$out" "$tmp/escaped"
run tokenize "$(printf 'a\nbA\\n')"
expect "-e reads the escapes of the text" same "$tmp/escaped" "$out"
run tokenize 'a\nb'
expect "... which it is without as it is" not same "$tmp/escaped" "$out"
run tokenize -e -f "$tmp/text"
expect "... and has none in a file" refuses 2 '--escape has an effect only with --prompt or a plain argument'

# ---- bytes that are not UTF-8 ----

run tokenize "$(printf 'caf\351')"
expect "a byte that is not UTF-8 is read as it is" test "$(tr ' ' '\n' <"$out" | tail -n 1)" = "$("$GPT2" tokenize -e '\xE9')"
run generate --help all
expect "... and help says so" sh -c 'tr -s " \n" " " <"$1" | grep -q "what is not are bytes as they stand"' sh "$out"

# ---- a text that begins with a hyphen ----

for command in $(commands_with "-p, --prompt TEXT"); do
    for text in "- item one" "-normal text" "--item one" "---"; do
        run "$command" "$text"
        expect "$command: the text \"$text\" is no option" exits 2
        expect "... and the hint says where it goes" says 'a text that begins with - goes in -p or after --'
    done
    run "$command" --help all
    expect "$command: -p - is a text, and help says so" sh -c 'tr -s " \n" " " <"$1" | grep -q -e "-p - is a text"' sh "$out"
done
run models "- item one"
expect "... where there is no text" says 'goes after --'
for text in "- item one" - ; do
    run tokenize --json -p "$text"
    expect "-p \"$text\" is that text" grep -qF '"tokens": ["-"' "$out"
done
run tokenize -- "- item one"
cp "$out" "$tmp/dashes"
run tokenize -p "- item one"
expect "... as after --" same "$tmp/dashes" "$out"
run generate --bogus=1
expect "an unknown option has no such hint" not says 'begins with'

# ---- token ids: the same refusals wherever they are taken ----

cat >"$tmp/taking" <<'END'
generate -n 1 --ids
detokenize --ids
score --ids
inspect lens --ids
inspect layernorm --ids
inspect attention --ids
inspect residual --ids
END
has_case() { commands_with " --ids" | all_in "$(cut -d' ' -f1 "$tmp/taking")"; }
expect "every command with --ids has a case" has_case
while read -r line; do
    for case in 8192=8192 99999999999=99999999999 1,x='"x"' 1.5='"1.5"' 0x1='"0x1"' 1,-2='"-2"'; do
        # shellcheck disable=SC2086
        run $line "${case%%=*}"
        expect "$line ${case%%=*}" refuses 2 "${case#*=}"
    done
done <"$tmp/taking"
printf '1 8192\n' >"$tmp/ids"
for line in "2 detokenize -f" "3 detokenize --lines -f" "2 score --ids -f" "3 score --ids --lines -f"; do
    # shellcheck disable=SC2086
    run ${line#* } "$tmp/ids"
    expect "${line#* }: a wrong id in a file" exits "${line%% *}"
    expect "... is named" says 'token id 8192'
done
for value in 8192+1 x+1 -1+1; do
    run generate -n 1 --logit-bias "$value" once
    expect "--logit-bias $value" refuses 2 "expected ID+F with an id from 0 to 8191, got \"$value\""
done
printf '{"ids":[1,8192]}\n{"prompt":[8192]}\n{"ids":[1.5]}\n{"ids":[1]}\n' >"$tmp/ids"
run generate --input "$tmp/ids" -q -n 1
expect "wrong ids in records are errors of these" exits 3
expect "... all three" test "$(grep -c '"error":{"code":"invalid_' "$out")" -eq 3
run inspect lens --ids ""
cp "$out" "$tmp/none"
run inspect lens ""
expect "no ids are an empty text" same "$tmp/none" "$out"
expect "... which is read from <|endoftext|>" exits 0

# ---- file and prompt; standard input ----

printf 'Once upon\n' >"$tmp/begin"
run generate "Once upon a time" -n 8
cp "$out" "$tmp/wanted"
run generate -f "$tmp/begin" " a time" -n 8
expect "a file and a prompt are joined, the file first" same "$tmp/wanted" "$out"
"$GPT2" generate -f - -p " a time" -n 8 <"$tmp/begin" >"$out" 2>"$err"
expect "... also standard input" same "$tmp/wanted" "$out"
"$GPT2" generate -f - -e '\nTL;DR:' --echo -n 0 <"$tmp/begin" >"$out" 2>"$err"
printf 'Once upon\nTL;DR:\n' >"$tmp/wanted"
expect "... and escapes" same "$tmp/wanted" "$out"
for command in "generate -n 1" tokenize "score --by doc" "choose -c a,b" "inspect lens"; do
    # shellcheck disable=SC2086
    printf 'x\ny\nz\n' | { "$GPT2" $command "Once" >"$out" 2>"$err"; cat; } >"$tmp/rest"
    expect "$command does not read standard input when a text is given" test "$(wc -l <"$tmp/rest")" -eq 3
done
for command in $(commands_with "-p, --prompt TEXT") detokenize compare; do
    for page in --help --help=man; do
        run "$command" $page
        expect "$command $page says when it reads standard input" \
            sh -c 'tr -s " \n" " " <"$1" | grep -q "a pipe if nothing is given, is standard input"' sh "$out"
    done
done

# ---- the best of several; the prompt's log-probabilities ----

run generate "Once upon a time" -n 12 --best-of 5 --num-samples 5 --json
cp "$out" "$tmp/five"
for m in 1 2; do
    run generate "Once upon a time" -n 12 --best-of 5 --num-samples $m --json
    cp "$out" "$tmp/best.json"
    run generate "Once upon a time" -n 12 --best-of 5 --num-samples $m
    expect "--best-of as text" exits 0
    if command -v python3 >/dev/null; then
        expect "... is the $m best" python3 - "$tmp/best.json" "$out" <<'END'
import json, sys
texts = [c["text"] for c in json.load(open(sys.argv[1]))["choices"]]
said = open(sys.argv[2]).read()
if len(texts) == 1:
    assert said == texts[0] + "\n", (said, texts)
else:
    assert said == "\n".join(f"==== SAMPLE {i + 1} ====\n{t}" for i, t in enumerate(texts)) + "\n"
END
    fi
done
run generate "Once upon a time" -n 12 --best-of 5
expect "... of one there is no heading" not grep -q '==== SAMPLE' "$out"

if command -v python3 >/dev/null; then
    printf '{"prompt": "Once upon a time", "echo": true, "logprobs": 2}\n{"prompt": "Once upon"}\n' >"$tmp/echo"
    run generate --input "$tmp/echo" -q -n 6 --greedy -o "$tmp/echo.out"
    run generate "Once upon a time" -n 6 --greedy --echo --logprobs 2 --json
    cp "$out" "$tmp/echo.json"
    run generate "Once upon a time" -n 0 --echo --logprobs 2 --json
    cp "$out" "$tmp/none.json"
    ids=$("$GPT2" tokenize "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["choices"][0]["text"])' "$tmp/echo.json")")
    "$GPT2" score --ids "$ids" --no-bos --jsonl --no-header --top 2 >"$tmp/scores" 2>"$err"
    "$GPT2" score --ids "$ids" --no-bos --jsonl --no-header --by doc >>"$tmp/scores" 2>"$err"
    expect "echo has the prompt's log-probabilities, as score has them" python3 - "$tmp/echo.json" "$tmp/echo.out" "$tmp/none.json" "$tmp/scores" <<'END'
import json, sys
one, job, none = [json.loads(open(p).readline())["choices"][0] for p in sys.argv[1:4]]
rows = [json.loads(line) for line in open(sys.argv[4])]
whole = rows.pop()
p = one["logprobs"]
assert job["logprobs"] == p
assert p["token_logprobs"][0] is None and p["top_logprobs"][0] is None
assert len(p["tokens"]) == len(p["token_logprobs"]) == len(p["top_logprobs"]) == len(p["text_offset"]) == len(rows)
assert "".join(p["tokens"]) == one["text"] and p["text_offset"][0] == 0
total = 0
for token, value, top, row in zip(p["tokens"], p["token_logprobs"], p["top_logprobs"], rows):
    assert token == row["token"], (token, row)
    if value is None:
        continue
    assert float("%.6f" % value) == float("%.6f" % row["logprob"]), (value, row)
    assert list(top)[0] == row["top"][0]["token"]
    total += value
assert whole["tokens"] == len(rows) and whole["scored"] == len(rows) - 1
assert "%.6f" % total == "%.6f" % whole["logprob"], (total, whole)
n = len(none["logprobs"]["tokens"])
assert none["logprobs"]["token_logprobs"] == p["token_logprobs"][:n] and n == 4
END
fi
for case in "length --greedy -n 2" "stop --greedy --until sentence" "time --max-time 0.000001"; do
    # shellcheck disable=SC2086
    run generate "Once upon a time" --json ${case#* }
    expect "finish_reason ${case%% *}" grep -q "\"finish_reason\":\"${case%% *}\"" "$out"
done
begin generate "Once upon a time" --json -n -1 --ignore-eos --on-overflow slide --cpu generic
sleep 0.5
kill -TERM $pid
finish
expect "finish_reason abort" grep -q '"finish_reason":"abort"' "$out"
expect "... and the signal's exit code" exits 143

# What prints a result takes --json; these print none, or a text.
for command in $(commands); do
    case $command in
    serve | quantize | convert | pull | rm | completions) continue ;;
    esac
    expect "$command takes --json" sh -c "'$GPT2' $command --help all | grep -q '^ *--json '"
done

# ---- a record that cannot be answered: one shape in every command that reads records ----

if command -v python3 >/dev/null; then
    for record in 'no JSON' '{"prompt": 5, "text": 5}' '[]'; do
        echo "$record" >"$tmp/record"
        for command in $(commands_with '--input FILE'); do
            case $command in bench | compare) continue ;; esac # a text
            run "$command" --input "$tmp/record" --input-format jsonl
            [ "$status" -ne 2 ] || run "$command" --input "$tmp/record"
            expect "$command answers $record with an error" exits 3
            python3 -c 'import json, sys
for line in open(sys.argv[1]):
    error = json.loads(line)["error"]
    assert list(error) == ["code", "message", "line"] and error["line"] == 1 and error["code"] in ("invalid_record", "invalid_option"), error
    print(error["message"].split(":")[0])' "$out" >"$tmp/error.$command" 2>"$err"
            expect "... that has a code, a message and, as it has no id, a line" test -s "$tmp/error.$command"
        done
    done
fi
