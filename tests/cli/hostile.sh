# Names, paths and texts from outside that would steer a terminal: no listing and no JSON has a
# control character of theirs, be it C0, DEL, or C1 as UTF-8 (U+009B) or as a byte (0x9B).
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "hostile names" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "hostile names" "too long under valgrind"
    exit 0
fi

LC_ALL=C
export LC_ALL
nasty=$(printf 'a\033[31mb\177c\302\233d\t\033]0;e')
bytes=$(printf '%s\233f' "$nasty")
mkdir "$tmp/models" "$tmp/models/$bytes" "$tmp/models/$nasty.partial"
for part in models/tales/*; do
    ln -s "$PWD/$part" "$tmp/models/$bytes"
done
model=$tmp/models/$bytes
rm "$model/config.json"
sed 's/"n_ctx": *[0-9]*/"n_ctx": 7/' models/tales/config.json >"$model/config.json"

# Neither stream has one, but for tabs and newlines; what is written is not empty.
tame() {
    cat "$out" "$err" | tr -d '\n\t' >"$tmp/shown"
    [ -s "$tmp/shown" ] && ! grep -q "$(printf '[\001-\037\177]\\|\302[\200-\237]')" "$tmp/shown" &&
        ! grep -q "$(printf '\(^\|[^\200-\377]\)[\200-\237]')" "$tmp/shown"
}
# tamed WORDS... runs it; the name must be there, escaped.
tamed() {
    run "$@"
    expect "$(printf %s "$*" | tr -cd " -~")" tame
}
GPT2_MODELS=$tmp/models
export GPT2_MODELS
for format in "" --json; do
    # shellcheck disable=SC2086 # nothing, or one word
    for command in "info" "verify" "info --tensors"; do
        tamed $command $format -m "$model"
        expect "$command $format shows it" grep -qF '31mb' "$out"
    done
    # shellcheck disable=SC2086
    tamed models $format
    expect "models $format shows it" grep -qF '31mb' "$out"
    # shellcheck disable=SC2086
    tamed compare $format models/tales "$model" -f tests/README.md
    expect "compare $format shows it" grep -qF '31mb' "$out"
done
tamed models --jsonl
tamed models --names
expect "models --names leaves it out" not grep -qF '31mb' "$out"
for format in --tsv --json --jsonl; do
    tamed choose $format "Once" -c "$nasty" -c "$bytes" -c yes
    expect "choose $format shows it" grep -qF '31mb' "$out"
done
tamed generate -m "$model" -n 2 --json "$bytes" --echo
expect "the JSON of generate has the name" grep -qF '31mb' "$out"
printf '{"prompt": "Once", "id": "\\u001b\\u007f\\u009b"}\n' >"$tmp/in"
tamed generate -m "$model" -n 2 --input "$tmp/in"
for by in token word line; do
    tamed score --by $by "$bytes"
    tamed score --by $by --json "$bytes"
done
tamed tokenize --json "$bytes"
for format in text tsv json; do
    tamed inspect layernorm --format $format "$bytes"
done
tamed info "$tmp/$bytes"
tamed "$bytes"
tamed info "--$bytes"
tamed generate -f "$tmp/$bytes"
tamed quantize -m "$model" --type q8 -o "$tmp/$bytes.q8"
tamed convert -m "$model" -o "$tmp/$bytes.gguf"
tamed rm "$bytes"
tamed info --json "$tmp/$bytes.gguf"

# JSON has them as \u00NN, whatever the reader makes of it.
run choose --jsonl Once -c "$nasty"
expect "JSON" grep -qF 'a\u001b[31mb\u007fc\u009bd' "$out"
