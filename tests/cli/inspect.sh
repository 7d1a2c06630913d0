# inspect: every kind in every form, what it claims, refusals. The numbers: tests/test_inspect.c.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "inspect" "models/tales is not there"
    exit 0
fi

run inspect
expect "no kind" refuses 2 'expected one of layernorm, compare, lens, attention, residual, dump'
run inspect layernrom x
expect "an unknown kind" refuses 2 'got "layernrom"'
expect "... near to one" says 'hint: did you mean layernorm?'
run inspect "Once upon a time"
expect "... near to none" says 'hint: the first word says what to look at'
run inspect compare x
expect "nothing to compare with" refuses 2 'compare: expected 2 to 4 texts'
expect "... with the remedy" says 'hint: give each with -p'
run inspect compare a b c d e
expect "too many texts" refuses 2 'compare: expected 2 to 4 texts (-p "ok" -p "hatred"), got 5'
run inspect lens once upon
expect "a text without quotes" says 'hint: put a text with spaces in quotes'
run inspect lens -p a b
expect "two texts for a lens" refuses 2 'expected one text, got 2'
run inspect lens --ids 1 -f b
expect "ids and a file" refuses 2 '--ids and --file exclude each other'
run inspect lens a --ablate ln_gain
expect "an unknown ablation" refuses 2 '--ablate: expected ln-gain, ln-bias, ln-scale'
run inspect lens a --ablate ln-gain,
expect "half a list of ablations" refuses 2 'got "ln-gain,"'
run inspect lens a --layer 1
expect "a layer for a lens" refuses 2 '--layer has an effect only with `gpt2 inspect attention` and --head or `gpt2 inspect dump`'
run inspect attention a --layer 1
expect "a layer without a head" refuses 2 '--layer has an effect only with `gpt2 inspect attention` and --head or `gpt2 inspect dump`'
layers=$("$GPT2" info | sed -n 's/^n_layer *//p')
run inspect attention a --layer "$layers" --head 0
expect "a layer too far" refuses 2 "layer $layers: the model has layers 0 to $((layers - 1))"
run inspect attention a --layer 0 --head 4
expect "a head too far" refuses 2 'head 4: a layer has heads 0 to 3'
run inspect residual a --token 'no such token'
expect "a token that is none" refuses 2 'is not one token of this vocabulary'
run inspect lens a --token b
expect "a token for a lens" refuses 2 '--token has an effect only with `gpt2 inspect residual`'
run inspect lens a --tsv --json
expect "two forms" refuses 2 '--tsv and --json both say the format'
run inspect lens a --bos --no-bos
expect "with and without a start" refuses 2 '--bos and --no-bos exclude each other'
run inspect lens --ids 1,x
expect "ids that are none" refuses 2 'found "x"'
run inspect lens --ids 1,8192
expect "an id beyond the vocabulary" refuses 2 "token id 8192 is not in the vocabulary (0 to 8191)"
run inspect lens a --color sometimes
expect "an unknown colour" refuses 2 '--color: expected one of auto, always, never'
run inspect lens a -m no-such-model
expect "an unknown model" refuses 4 'model "no-such-model"'
run inspect lens -f /no/such/file
expect "an unknown file" refuses 5 '/no/such/file'
run inspect lens a --svg /no/such/folder/a.svg
expect "a picture nowhere" refuses 1 '/no/such/folder/a.svg: cannot create: No such file'
yes "once upon a time" | head -c 4000 >"$tmp/long"
run inspect lens -f "$tmp/long"
expect "a text beyond the context" refuses 5 'tokens, the model'

# the answer to the question, with this prompt's numbers
run inspect layernorm "war violence hate fear"
expect "layernorm" exits 0
expect "is quiet on stderr" test ! -s "$err"
tokens=$("$GPT2" tokenize --count "war violence hate fear")
tr '\n' ' ' <"$out" | sed 's/  */ /g' >"$tmp/line"
sites=$((2 * layers + 1))
pairs=$((sites * tokens))
expect "counts the pairs" grep -q "$sites sites (ln_1 and ln_2 of $layers blocks, and ln_f) x $tokens tokens = $pairs pairs, each taken over that token's own 256 features" "$tmp/line"
expect "all of them different" grep -q "$pairs of the $pairs pairs are different" "$tmp/line"
expect "alone the same bits" grep -q "one token at a time, $pairs of $pairs pairs and what they gave are the same bits; in one batch with another sequence, $pairs of $pairs; with every token after position [0-9]* changed, \([0-9]*\) of the \1 up" "$tmp/line"
expect "each token in three stages" test "$(grep -Ec '^(h\.[0-9]\.ln_[12]|ln_f) +(stream|normalized|branch) ' "$out")" -eq $((3 * pairs))
expect "no control codes in a pipe" test "$(tr -d '\n\040-\176\200-\377' <"$out" | wc -c)" -eq 0
expect "fits 80 columns" test "$(LC_ALL=C.UTF-8 wc -L <"$out")" -le 80
# what the words say follows from the table: which block grows, and whether position 0 is another kind
"$GPT2" inspect layernorm "war violence hate fear" --tsv >"$tmp/table"
awk -F'\t' -v layers="$layers" '
    NF < 11 || $4 != "stream" { next }
    !($3 in seen) { seen[$3] = n_sites++ }
    $1 == 0 && $11 > spike { spike = $11; feature = $9; name = $3; largest = $8 }
    $1 > 0 { norm[seen[$3]] += $7 }
    END {
        for (b = 0; b < layers; b++) {
            grown = norm[2 * b + 2] / norm[2 * b]
            if (grown > most) { most = grown; block = b }
        }
        for (b = 0; b < layers; b++)
            if (b != block) {
                grown = norm[2 * b + 2] / norm[2 * b]
                low = low && low < grown ? low : grown
                high = high > grown ? high : grown
            }
        printf "x %.3g in block %d, where it grows most, and x %.3g to x %.3g in the others\n", most, block, low, high
        printf "Its largest coordinate stands out most before %s: feature %d is %.4g there, %.3g times its RMS.\n", name, feature, largest, spike
    }' "$tmp/table" >"$tmp/said"
while read -r words; do
    expect "the table has what is said: $words" grep -qF "$words" "$tmp/line"
done <"$tmp/said"
expect "... twice" test "$(grep -c . "$tmp/said")" -eq 2
expect "no massive activations where there are none" grep -q 'In this model position 0 is not of another kind: its norm is at most [12]\.' "$tmp/line"
expect "the offset and the scale are still in the stream" grep -q 'Both numbers are still in the stream x' "$tmp/line"
run inspect layernorm --json --threads 1 --cpu generic "war violence hate fear"
cp "$out" "$tmp/one"
run inspect layernorm --json --threads 2 "war violence hate fear"
expect "the same for any machine" same "$tmp/one" "$out"
run inspect layernorm ""
expect "an empty text starts from the end of one" grep -q 'token <|endoftext|>' "$out"
expect "... and says so" says 'gpt2: note: the text is empty: what is shown is <|endoftext|>'
run inspect lens
expect "... of standard input, too" says 'gpt2: note: the text is empty'
run inspect lens --ids ""
expect "... and of no ids" says 'gpt2: note: the text is empty'
run inspect lens --bos ""
expect "... unless it was asked for" test ! -s "$err"
printf 'once upon\n' | "$GPT2" inspect lens --tsv >"$out" 2>"$err"
"$GPT2" inspect lens --tsv "once upon" >"$tmp/one"
expect "standard input" same "$tmp/one" "$out"
run inspect lens --tsv --ids "$("$GPT2" tokenize "once upon")"
expect "the same as ids" same "$tmp/one" "$out"

python=
command -v python3 >/dev/null && python=python3
for kind in layernorm compare lens attention 'attention --layer 1 --head 2' residual \
    'lens --ablate ln-bias' 'layernorm --ablate ln-gain,ln-scale' 'residual --ablate ln-scale' \
    'compare --ablate ln-scale --no-bos'; do
    # a control character, what XML and TSV must escape, a byte that is no character
    weird=$(printf 'a<b>&"c"\t\\d\001 \377 caf\303\251')
    case $kind in compare*) set -- -p "$weird" -p " king" ;; *) set -- -p "$weird" ;; esac
    run inspect $kind "$@" --svg "$tmp/picture.svg"
    expect "$kind: text" exits 0
    expect "$kind: says something in words" grep -q '^In words$' "$out"
    expect "$kind: fits 80 columns" test "$(LC_ALL=C.UTF-8 wc -L <"$out")" -le 80
    expect "$kind: no control codes" test "$(tr -d '\n\040-\176\200-\377' <"$out" | wc -c)" -eq 0
    run inspect $kind "$@" --svg -
    expect "$kind: a picture on standard output is the same" same "$tmp/picture.svg" "$out"
    expect "$kind: knows dark and light" grep -q 'prefers-color-scheme:dark' "$out"
    expect "$kind: needs nothing else" test "$(grep -Ec '<script|href|url\(|@import' "$out")" -eq 0
    if command -v xmllint >/dev/null; then
        expect "$kind: is XML" xmllint --noout "$out"
    elif [ "$python" ]; then
        expect "$kind: is XML" $python -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$out"
    else
        skip "$kind: is XML" "no xmllint, no python3"
    fi
    run inspect $kind "$@"
    expect "$kind: nothing of colours where there are none" test -z "$(grep -iE 'colou?r|logarithmic|scale of its own' "$out")"
    run inspect $kind "$@" --tsv
    expect "$kind: TSV has all fields on each line" test "$(awk -F '\t' 'NF == 0 { n = 0; next } !n { n = NF } NF != n' "$out" | wc -l)" -eq 0
    run inspect $kind "$@" --json
    if [ "$python" ]; then
        expect "$kind: JSON" $python -c 'import json, sys
d = json.load(open(sys.argv[1], encoding="utf-8"))
assert d["inspect"] == sys.argv[2] and d["model"] == "tales" and d["summary"] and d["facts"]
tables = [v for k, v in d.items() if k not in ("inspect", "model", "summary", "facts")]
assert tables and all(t and all(r.keys() == t[0].keys() for r in t) for t in tables)' "$out" "${kind%% *}"
    else
        skip "$kind: JSON" "no python3"
    fi
done

run inspect lens "once upon" --color always
expect "... and says what the colours are" grep -q '^Colours: the rank of what follows, from 1, on a logarithmic scale' "$out"
expect "--color always paints" grep -q "$(printf '\033\\[48;5;')" "$out"
if script -qec true /dev/null >/dev/null 2>&1; then
    TERM=xterm script -qec "'$GPT2' inspect lens 'once upon'" /dev/null >"$out" 2>"$err" </dev/null
    expect "a terminal gets colours" grep -q "$(printf '\033\\[48;5;')" "$out"
    TERM=xterm NO_COLOR=1 script -qec "'$GPT2' inspect lens 'once upon'" /dev/null >"$out" 2>"$err" </dev/null
    expect "not with NO_COLOR" test "$(grep -c "$(printf '\033')" "$out")" -eq 0
else
    skip "a terminal gets colours" "no script(1) of util-linux"
fi

echo old >"$tmp/picture.svg"
run inspect lens a --svg "$tmp/picture.svg"
expect "a picture replaces what was there" grep -q '<svg' "$tmp/picture.svg"
expect "and leaves nothing beside it" test "$(ls "$tmp" | grep -c 'picture.svg')" -eq 1
(head -c 1200 "$tmp/long" | "$GPT2" inspect layernorm --tsv; echo $? >"$tmp/status") 2>"$err" | head -1 >"$out"
expect "a closed pipe is no error message" died_quietly
expect "and ends it with 141" grep -Eqx '141|0' "$tmp/status"

# what the README shows of it (its words: cli/readme.sh)
run inspect layernorm "war violence hate fear" --svg -
expect "its picture of norms is what is drawn" same tools/pictures/layernorm.svg "$out"
if [ "$python" ] && command -v rsvg-convert >/dev/null; then
    # white paper, little black (letters and lines), coloured cells
    rsvg-convert -w 400 -o "$tmp/picture.png" "$out" 2>"$err"
    $python tests/pixels.py "$tmp/picture.png" >"$tmp/pixels" 2>"$err"
    expect "... which librsvg draws in its colours" awk '
        { exit !($1 == "ffffff" && $2 > 50 && $3 < 5 && $4 > 5) }' "$tmp/pixels"
else
    skip "a picture as librsvg draws it" "there is no rsvg-convert (librsvg2-bin) or no python3"
fi
run inspect compare -p " good" -p " hate" --svg -
expect "its picture of two tokens, too" same tools/pictures/compare.svg "$out"
sed -nE 's/^\| \[`([^`]*)`\]\((src[^#]*)#L([0-9]+)\).*/\2 \3 \1/p' README.md >"$tmp/links"
expect "the README points to lines" test -s "$tmp/links"
while read -r file line code; do
    expect "line $line of $file has: $code" sh -c 'sed -n "$2p" "$1" | grep -qF -- "$3"' sh "$file" "$line" "$code"
done <"$tmp/links"

# What is said of layer norm is what it does: normalized tokens are equally long, what branches read need not be.
run inspect compare -p " good" -p " hate" --words
expect "compare's words are its numbers" grep -q 'normalized, by up to x 1\.000' "$out"
