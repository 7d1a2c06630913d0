# tokenize and detokenize: exact bytes in, exact bytes out.
. tests/cli/cases.inc

if [ ! -f models/tales/vocab.json ]; then
    skip "tokenize" "models/tales is not there"
else
    run tokenize "Once upon a time"
    expect "ids on one line" grep -Eqx '[0-9]+( [0-9]+)*' "$out"
    run tokenize --count "Once upon a time"
    expect "a count" grep -Eqx '[0-9]+' "$out"
    run tokenize ""
    expect "nothing has no ids" prints ""
    head -c 20000 /dev/urandom >"$tmp/bytes"
    "$GPT2" tokenize --keep-newline <"$tmp/bytes" | "$GPT2" detokenize >"$out" 2>"$err"
    expect "any bytes come back" same "$tmp/bytes" "$out"
    printf 'a\0b\r\n\n\xff\xc3' >"$tmp/bytes"
    "$GPT2" tokenize --keep-newline -f "$tmp/bytes" | "$GPT2" detokenize - >"$out" 2>"$err"
    expect "NUL, CR and broken UTF-8 come back" same "$tmp/bytes" "$out"
    run tokenize "<|endoftext|>"
    expect "a special token is text" test "$(wc -w <"$out")" -gt 1
    run tokenize --special "<|endoftext|>"
    expect "unless asked for" test "$(wc -w <"$out")" -eq 1
    run tokenize --json 'é"x'
    expect "--json is JSON" grep -Eqx '\{"ids": \[.*\], "tokens": \[.*\], "offsets": \[\[0, .*\]\]\}' "$out"
    if command -v python3 >/dev/null; then
        expect "--json parses" python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert len(d["ids"])==len(d["tokens"])==len(d["offsets"]); assert d["offsets"][-1][1]==4' "$out"
    fi
    printf '1\nx\n99999999\n1\n' >"$tmp/lines"
    run detokenize --lines -f "$tmp/lines"
    expect "lines of ids that are none: the others are answered" exits 3
    expect "... they are named" says "lines, line 2: expected token ids"
    expect "... by what is wrong" says "lines, line 3: token id 99999999 is not in the vocabulary"
    expect "... each has its line" test "$(wc -l <"$out")" -eq 4
    run detokenize 1,2
    cp "$out" "$tmp/joined"
    run detokenize 1 2
    expect "ids without quotes" same "$tmp/joined" "$out"
    # shellcheck disable=SC2046 # ids are words
    run detokenize $("$GPT2" tokenize "Once upon a time")
    expect "... as tokenize prints them" test "$(cat "$out")" = "Once upon a time"
    run detokenize 1 x
    expect "... and what is none among them" refuses 2 'found "x"'
    run detokenize 1 -
    expect "... nor is standard input" refuses 2 'found "-"'
    run detokenize 99999999
    expect "an id that is not in the vocabulary" refuses 2 'token id 99999999 is not in the vocabulary'
    run detokenize "1 -2"
    expect "a negative id" refuses 2 'found "-2"'
    (yes 'many words here ' | head -c 3000000) | "$GPT2" tokenize 2>"$err" | head -c 5 >/dev/null
    expect "a closed pipe is no error message" died_quietly
fi

# A vocabulary of the 256 bytes and a few words, for directories made here.
tiny() {
    awk 'BEGIN {
        printf "{"
        for (b = 0; b < 256; b++) {
            cp = b < 33 ? 256 + b : b < 127 ? b : b < 161 ? 162 + b : b == 173 ? 323 : b
            printf "\"\\u%04x\": %d, ", cp, b
        }
        printf "\"he\": 256, \"ll\": 257, \"hell\": 258, \"hello\": 259, \"<|endoftext|>\": 260}"
    }'
}
merges='"h e", "l l", "he ll", "hell o"'
bytelevel='{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}'
end='{"id": 260, "content": "<|endoftext|>", "special": true}'
tokenizer_json() { # DIRECTORY, MORE ADDED TOKENS, OTHER MEMBERS
    printf '{"added_tokens": [%s%s], "pre_tokenizer": %s, %s"model": {"vocab": %s, "merges": [%s]}}' \
        "$end" "$2" "${pre_tokenizer:-$bytelevel}" "$3" "$(tiny)" "$merges" >"$1/tokenizer.json"
}
pair() { # DIRECTORY
    tiny >"$1/vocab.json"
    printf 'h e\nl l\nhe ll\nhell o\n' >"$1/merges.txt"
}

m=$tmp/m
mkdir -p "$m"
pair "$m"
tokenizer_json "$m" ', {"id": 261, "content": "<|user|>", "special": true}' ''
run tokenize -m "$m" --special "<|user|>hello"
expect "tokenizer.json counts where a pair is beside it" prints "261 259"
run detokenize -m "$m" "261,259"
expect "and back" test "$(cat "$out")" = "<|user|>hello"
run tokenize -m "$m/vocab.json" --special "<|user|>hello"
expect "a pair that is named counts" test "$(wc -w <"$out")" -eq 9
pre_tokenizer='{"type": "ByteLevel", "add_prefix_space": true, "use_regex": true}'
tokenizer_json "$m" '' ''
run tokenize -m "$m" hello
expect "... its add_prefix_space" prints "32 259"
pre_tokenizer="{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, $pre_tokenizer]}"
tokenizer_json "$m" '' ''
run tokenize -m "$m" 12
expect "... its cutting of digits" prints "32 49 32 50"
unset pre_tokenizer
tokenizer_json "$m" '' '"normalizer": {"type": "Lowercase"}, "truncation": {"max_length": 1}, "padding": {"strategy": {"Fixed": 9}}, '
run tokenize -m "$m" HELLOhello
expect "... its normalizer, and no setting of a call" prints "259 259"
tokenizer_json "$m" ', {"id": 261, "content": "covid19", "special": false}' '"normalizer": {"type": "NFC"}, '
run tokenize -m "$m" "a covid19"
expect "an added token that is not special is always cut out" prints "97 32 261"
run tokenize --json -m "$m" "$(printf 'e\314\201 covid19')"
expect "offsets are those of the text, not of what it is normalized to" \
    grep -q '"offsets": \[\[0, 3\], \[0, 3\], \[3, 4\], \[4, 11\]\]' "$out"
# A normalizer makes many ids of a short text: none is taken before a byte without a token is found.
tokenizer_json "$m" '' '"normalizer": {"type": "Replace", "pattern": {"String": "q"}, "content": "xj vkz xj vkz xj vkz"}, '
sed 's/"\\u005a": 90, //' "$m/tokenizer.json" >"$m/other" && mv "$m/other" "$m/tokenizer.json"
{ head -c 300 /dev/zero | tr '\0' q && printf 'Z\nhi\n'; } >"$tmp/many"
run tokenize -m "$m" --lines -f "$tmp/many"
expect "a byte without a token, after what a normalizer made longer" test "$(cat "$out")" = "$(printf '\n104 105')" -a $status -eq 3
run tokenize -m "$m" --lines --count -f "$tmp/many"
expect "... counted" test "$(cat "$out")" = "$(printf '\n2')"
tokenizer_json "$m" '' '"normalizer": {"type": "Nmt"}, '
run tokenize -m "$m" "hello"
expect "a component that is not known is named" refuses 4 'Strip, Sequence), found "Nmt"'
rm "$m/tokenizer.json"
echo '{"add_bos_token": true}' >"$m/tokenizer_config.json"
run tokenize -m "$m" "hello"
expect "add_bos_token" prints "260 259"
tokenizer_json "$m" '' '"normalizer": {"type": "NFC"}, '
run tokenize -m "$m" "$(printf 'e\314\201hello')"
expect "add_bos_token beside a tokenizer.json" prints "260 195 169 259"
echo '{"add_bos_token": true, "add_eos_token": true}' >"$m/tokenizer_config.json"
run tokenize -m "$m" "hello"
expect "add_eos_token beside a tokenizer.json" prints "260 259 260"
template='{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|endoftext|>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<|endoftext|>": {"ids": [260]}}}'
tokenizer_json "$m" '' "\"post_processor\": $template, "
run tokenize -m "$m" "hello"
expect "and one that says so itself" prints "260 259 260"
echo '{"add_bos_token": false}' >"$m/tokenizer_config.json"
run tokenize -m "$m" "hello"
expect "false takes nothing away" prints "260 259"
rm "$m/tokenizer_config.json"
echo '{"model": {}}' >"$m/tokenizer.json"
run tokenize -m "$m" "hello"
expect "the pair is not taken in silence" refuses 4 'tokenizer.json: '
expect "but named" grep -q "hint: -m $m/vocab.json uses it with merges.txt" "$err"

# A model with more rows than the tokenizer has tokens: the others are never chosen.
if [ ! -f models/tales/model.safetensors ]; then
    skip "ids that are no token" "models/tales is not there"
else
    m=$tmp/rows
    mkdir -p "$m"
    pair "$m"
    cp models/tales/config.json "$m"
    ln -s "$PWD/models/tales/model.safetensors" "$m"
    run generate -m "$m" -n 8 --greedy --format ids "hello"
    cp "$out" "$tmp/text"
    expect "ids of text are tokens" awk '{ for (i = 1; i <= NF; i++) if ($i > 260) exit 1 }' "$out"
    run generate -m "$m" -n 8 --greedy --format ids --ids 259
    expect "--ids gives what the text gives" same "$tmp/text" "$out"
    run generate -m "$m" -n 1 --logit-bias 300+5 "hello"
    expect "a bias of one has no effect" refuses 2 '--logit-bias: token id 300 has no text'
    # They have no share in probabilities, either, in any command.
    for how in --greedy "--beams 3"; do
        command -v python3 >/dev/null || break
        # shellcheck disable=SC2086 # words
        run generate -m "$m" -n 8 $how --echo --logprobs 3 --json "hello"
        cp "$out" "$tmp/generated"
        ids=$(sed 's/.*"token_ids":\[\([^]]*\)\].*/259,\1/' "$out")
        "$GPT2" score -m "$m" --ids "$ids" --no-bos --jsonl --no-header --top 3 >"$tmp/scores" 2>"$err"
        expect "log-probabilities of generate $how are those of score" python3 - "$tmp/generated" "$tmp/scores" <<'END'
import json, sys
said = json.load(open(sys.argv[1]))["choices"][0]["logprobs"]
rows = [json.loads(line) for line in open(sys.argv[2])]
assert len(said["token_logprobs"]) == len(rows) == 9
for i, row in enumerate(rows[1:], 1):
    assert "%.6f" % said["token_logprobs"][i] == "%.6f" % row["logprob"], (i, row)
    assert [round(p, 6) for p in said["top_logprobs"][i].values()] == [t["logprob"] for t in row["top"]]
END
    done
    prompt_tokens() { grep -q "\"prompt_tokens\":$1," "$out"; }
    run generate -m "$m" -n 1 --json "hello<|endoftext|>"
    expect "a special token in a prompt is text" prompt_tokens 14
    run generate -m "$m" -n 1 --json --compat hf "hello<|endoftext|>"
    expect "--compat hf reads it" prompt_tokens 2
    printf '{"prompt": "hello<|endoftext|>"}\n{"prompt": "hello", "special": false}\n' >"$tmp/lines"
    run generate -m "$m" -n 1 --compat hf -q --input "$tmp/lines"
    expect "... in records, too" prompt_tokens 2
    expect "... and refuses one that wants text" grep -q '"id":1,.*special: expected true' "$out"
    echo '{"add_bos_token": true}' >"$m/tokenizer_config.json"
    for form in gguf packed; do
        run convert "$m" -o "$tmp/bos.$form" --to $form
        [ $form = packed ] ||
            expect "add_bos_token of another token than the model's" refuses 4 " before each text, as a GGUF"
        sed 's/"bos_token_id": [0-9]*/"bos_token_id": 260/' "$m/config.json" >"$tmp/config"
        mv "$tmp/config" "$m/config.json"
        run convert "$m" -o "$tmp/bos.$form" --to $form
        run tokenize -m "$tmp/bos.$form" "hello"
        expect "add_bos_token in $form" prints "260 259"
    done
    sed 's/tokenizer.ggml.bos_token_id/tokenizer.ggml.xos_token_id/' "$tmp/bos.gguf" >"$tmp/no.gguf"
    run tokenize -m "$tmp/no.gguf" "hello"
    expect "add_bos_token of GGUF without a token" refuses 4 \
        '"tokenizer.ggml.bos_token_id": expected a token id below 8192, as add_bos_token is true, found none'
    sed 's/tokenizer.ggml.add_bos_token/tokenizer.ggml.add_eos_token/' "$tmp/bos.gguf" >"$tmp/eos.gguf"
    run tokenize -m "$tmp/eos.gguf" "hello"
    expect "add_eos_token of GGUF" refuses 4 'add_eos_token: expected "eos_token" to be a token'
    run convert "$tmp/bos.gguf" -o "$tmp/bos.folder" --to safetensors
    run tokenize -m "$tmp/bos.folder" "hello"
    expect "add_bos_token of GGUF in a directory" prints "260 259"
    # What a form cannot say is refused as that form's, with a way that works.
    rm "$m/tokenizer_config.json"
    tokenizer_json "$m" '' '"normalizer": {"type": "NFC"}, '
    for case in "gguf=a GGUF file" "safetensors=vocab.json and merges.txt"; do
        run convert "$m" -o "$tmp/normal.${case%%=*}" --to "${case%%=*}"
        expect "a normalizer, for ${case%%=*}" refuses 4 "normalizes text, which ${case#*=} cannot say"
        expect "... with a hint" says '--no-tokenizer leaves it out'
        run convert "$m" -o "$tmp/normal.${case%%=*}" --to "${case%%=*}" --no-tokenizer
        expect "... that works" exits 0
    done
    cp "$m/tokenizer.json" "$tmp/normal.safetensors"
    run tokenize -m "$tmp/normal.safetensors" "$(printf 'e\314\201hello')"
    expect "... with the file beside the weights" prints "195 169 259"
    run convert "$m" -o "$tmp/normal.packed" --to packed
    run tokenize -m "$tmp/normal.packed" "$(printf 'e\314\201hello')"
    expect "a packed file keeps it" prints "195 169 259"
    rm "$m/tokenizer.json"
    sed 's/"\\u0023": 35, //' "$m/vocab.json" >"$tmp/vocab" && mv "$tmp/vocab" "$m/vocab.json"
    run generate -m "$m" -n 1 "a#b"
    expect "a byte that no token has is an error of the text" refuses 5 'no token for the byte 0x23'
    run generate -m "$m" -n 1 --json --compat hf "hello#"
    expect "--compat hf drops it" prompt_tokens 1
    printf 'hello\na#b\nhello\n' >"$tmp/lines"
    run generate -m "$m" -n 1 --greedy -q --input "$tmp/lines"
    expect "a bulk job goes on after it" test "$(grep -c '"choices"' "$out")" -eq 2
    expect "... with a record error" grep -q '"code":"invalid_record"' "$out"
    # Commands that read line by line go on too: each line is answered, the fault is named.
    faulty() { exits 3 && says "$tmp/lines, line 2: the vocabulary has no token for the byte 0x23"; }
    for given in "score --by line --no-header" "score --by line --json" "score --by doc --lines" \
        "score --by line --jsonl --no-header" "score --lines --json" "score --lines" \
        "score --filter bytes>0" "score --tint rank --lines" "choose -c a,b --lines" \
        "choose -c a,b --lines --jsonl" "tokenize --lines" "tokenize --lines --json" \
        "tokenize --lines --count"; do
        # shellcheck disable=SC2086 # words
        run $given -m "$m" -f "$tmp/lines"
        expect "$given goes on after it" faulty
        # shellcheck disable=SC2086
        run $given -m "$m" -f "$tmp/lines" -o "$tmp/written"
        expect "$given writes it" exits 3
        case $given in
        *--filter*) expect "$given leaves it out" test "$(tr '\n' , <"$tmp/written")" = hello,hello, ;;
        *--json*) expect "$given says so" grep -q '"error": {"code": "invalid_record", "message": "the vocabulary has no' "$tmp/written" ;;
        "score --lines") expect "$given has rows of others" grep -q "^3$(printf '\t')" "$tmp/written" ;;
        *--tint*) expect "$given prints it plain" grep -q '^a#b$' "$tmp/written" ;;
        score*) expect "$given has no numbers" grep -q "^2$(printf '\t3\tNA\tNA\tNA\tNA\tNA\tNA\tNA')\$" "$tmp/written" ;;
        *) expect "$given answers each" test "$(wc -l <"$tmp/written")" -eq 3 ;;
        esac
    done
    run score --by line --no-header -m "$m" -f "$tmp/lines"
    expect "in their order" test "$(cut -f 1 "$out" | tr -d '\n')" = 123
    printf '{"text": "hello hello"}\n{"text": "a# hello"}\n{"text": "hello hello"}\n' >"$tmp/lines"
    run eval lambada "$tmp/lines" -m "$m"
    expect "eval goes on after it" faulty
    expect "eval counts it" grep -q ' 2 items, 1 left out$' "$out"
    run eval lambada "$tmp/lines" -m "$m" --json
    expect "eval --json counts it" grep -q '"items": 2, "errors": 1,' "$out"
fi

# What lies in place of a file that was not fetched is named, whatever the file.
lfs='version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n'
page='\n<!DOCTYPE html>\n<html><head></head></html>\n'
m=$tmp/not_fetched
mkdir -p "$m"
for file in tokenizer.json x.gguf model.safetensors pytorch_model.bin config.json; do
    for body in "$lfs" "$page"; do
        rm -f "$m"/*
        case $file in
        *.safetensors | *.bin) echo '{"model_type": "gpt2", "n_embd": 2, "n_head": 1, "n_layer": 1, "n_ctx": 4, "vocab_size": 5}' >"$m/config.json" ;;
        config.json) : >"$m/model.safetensors" ;;
        esac
        printf "$body" >"$m/$file"
        case $file in
        tokenizer.json) run tokenize -m "$m" hello ;;
        *) run info -m "$m" ;;
        esac
        case $body in
        "$lfs") expect "$file: a Git LFS pointer" refuses 4 "found a Git LFS pointer" ;;
        *) expect "$file: an HTML page" refuses 4 "found an HTML page" ;;
        esac
    done
done

# Instructions are the same in every run. Where valgrind cannot run the program to its end
# (sanitizers, a CPU that it does not know) it counts what came before: only a right answer's count
# is one.
counted() { # ANSWER ARGS...
    wanted=$1
    shift
    answer=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$tmp/counted" \
        "$GPT2" tokenize "$@" 2>/dev/null)
    [ "$answer" = "$wanted" ] && sed -n 's/^==.*refs: *//p' "$tmp/counted" | tr -d ,
}

# Marks that are out of order: twice as many cost twice as much.
m=$tmp/marks
mkdir -p "$m"
tokenizer_json "$m" '' '"normalizer": {"type": "NFC"}, '
marks() { awk -v n="$1" 'BEGIN { printf "x"; for (i = 0; i < n; i++) printf "\314\201\314\243" }' >"$m/$1"; }
marks 2000
marks 4000
if [ -n "${VALGRIND:-}" ] || ! some=$(counted 8001 --count -m "$m" -f "$m/2000") || [ -z "$some" ]; then
    skip "the cost of marks" "valgrind cannot run the program here"
else
    more=$(counted 16001 --count -m "$m" -f "$m/4000")
    expect "a normalizer takes time in proportion to the text" \
        test "$some" -gt 1000000 -a "$more" -lt $((some * 5 / 2))
fi

data=${GPT2_TEST_DATA:-../shared/data}/gpt2
if [ ! -d "$data" ]; then
    skip "GPT-2's own vocabulary" "$data is not there"
    exit 0
fi
run tokenize -m "$data" "Hello, world. Is this-- a test?"
expect "GPT-2's own vocabulary" prints "15496 11 995 13 1148 428 438 257 1332 30"
run tokenize -m "$data" --special "hello <|endoftext|>"
expect "with a special token" prints "31373 220 50256"
run detokenize -m "$data" "15496,11 995"
expect "and back" test "$(cat "$out")" = "Hello, world"

# A program's start costs its tokenizer. tokenizer.json, in each form that it is saved in, may cost
# no more than the two files did that counted before it.
mkdir -p "$tmp/pair" "$tmp/whole"
cp "$data/vocab.json" "$data/merges.txt" "$tmp/pair"
cp "$data/tokenizer.json" "$tmp/whole"
if [ -n "${VALGRIND:-}" ] || ! pair=$(counted 31373 -m "$tmp/pair" hello) || [ -z "$pair" ]; then
    skip "the cost of tokenizer.json" "valgrind cannot run the program here"
else
    whole=$(counted 31373 -m "$tmp/whole" hello)
    expect "tokenizer.json costs no more than vocab.json and merges.txt" \
        test "$pair" -gt 50000000 -a "$whole" -le "$pair"
fi
