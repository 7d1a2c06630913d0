# No command writes what it reads, or two things to one file: one line says which options do.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "the same file" "models/tales is not there"
    exit 0
fi
"$GPT2" quantize -m models/tales -o "$tmp/m.q4" --type q4 2>/dev/null
"$GPT2" generate -m models/tales hi -n 0 --save-session "$tmp/session" >/dev/null 2>&1
printf '{"prompt":"a","choices":["b","c"]}\n' >"$tmp/records"
printf '{"text":"a"}\n' >"$tmp/texts"
printf '1 2\n' >"$tmp/ids"
printf 'aa\nbb\n' >"$tmp/lines"
ln -s m.q4 "$tmp/link"

# refused MESSAGE WORDS...: before anything is read; no file changes, and none is made
sums() { (cd "$tmp" && cksum m.q4 session records texts ids lines link && ls new 2>/dev/null); }
refused() {
    message=$1
    shift
    sums >"$tmp/before"
    run "$@"
    expect "$*" refuses 2 "$message"
    expect "... and nothing changes" test "$(sums)" = "$(cat "$tmp/before")"
}
new=$tmp/new
refused 'output and --save-session are the same file' generate hi -n 1 --save-session "$new" -o "$new"
refused 'logits and --save-session are the same file' generate hi -n 1 --save-session "$new" --logits "$new"
refused 'output and --logits are the same file' generate hi -n 1 --logits "$new" -o "$new"
refused 'output and --svg are the same file' inspect layernorm hi --svg "$new" -o "$new"
for way in "--save-session" "--prompt-cache" "--logits" "--output"; do
    refused "is what --model reads" generate -m "$tmp/m.q4" hi -n 1 "$way" "$tmp/m.q4"
    refused "is what --model reads" generate -m "$tmp/link" hi -n 1 "$way" "$tmp/m.q4"
done
for command in info verify; do
    refused 'is what --model reads' $command "$tmp/m.q4" -o "$tmp/m.q4"
done
refused 'is what --load-session reads' generate --load-session "$tmp/session" -n 1 -o "$tmp/session"
refused 'output and --prompt-cache are the same file' generate hi -n 1 --prompt-cache "$tmp/session" -o "$tmp/session"
refused 'is what --lookup reads' generate hi -n 1 --lookup "$tmp/lines" -o "$tmp/lines"
refused 'is what --calibrate reads' quantize --type q8 --calibrate "$tmp/lines" -o "$tmp/lines"
refused 'is what --choices-file reads' choose hi --choices-file "$tmp/lines" -o "$tmp/lines"
refused 'is what --input reads' choose --input "$tmp/records" -o "$tmp/records"
refused 'is what --input reads' score --input "$tmp/texts" -o "$tmp/texts"
refused 'is what --file reads' tokenize -f "$tmp/lines" -o "$tmp/lines"
refused 'is what --file reads' embed -f "$tmp/lines" -o "$tmp/lines"
for option in --save-session --load-session --prompt-cache --logits; do
    refused "$option: expected the name of a file, got \"-\"" generate hi -n 1 "$option" -
    refused "$option: expected a file, got nothing" generate hi -n 1 "$option" ''
done

for command in generate choose; do
    sums >"$tmp/before"
    "$GPT2" $command --input - -o "$tmp/records" <"$tmp/records" >"$out" 2>"$err"
    status=$?
    expect "$command: standard input is the output" refuses 2 'is what --input reads'
    expect "... and nothing changes" test "$(sums)" = "$(cat "$tmp/before")"
done

# What is appended to would be read without end.
appended() {
    sums >"$tmp/before"
    timeout 20 "$GPT2" "$@" 2>"$err" >>"$file" <"$file"
    status=$?
    cp "$err" "$out"
    expect "$* >>FILE" test $status -eq 2 -a -n "$(grep 'standard output is what --.* reads' "$err")"
    expect "... and nothing changes" test "$(sums)" = "$(cat "$tmp/before")"
}
file=$tmp/records
appended choose --input "$tmp/records" -q
appended generate --input "$tmp/records" -q
appended generate --input "$tmp/records" -q -o -
appended choose --input - -q
appended generate --input - -q
file=$tmp/texts
appended score --input "$tmp/texts"
appended score --input -

# A session goes on where it was, and a pipe or a device may be named twice.
run generate --load-session "$tmp/session" -n 1 --save-session "$tmp/session"
expect "a session is written where it was read" exits 0
run score --input /dev/stdin -o /dev/stdout <"$tmp/texts"
expect "standard input and output" exits 0

# Ids of a file and ids that are given would be one number where they meet.
refused 'file and --ids exclude each other' detokenize -f "$tmp/ids" --ids 3
refused 'file and a plain argument exclude each other' detokenize -f "$tmp/ids" 3
refused 'ids has no effect with --file and a plain argument' score --ids -f "$tmp/ids" 3
refused 'file and a plain argument exclude each other' embed cc -f "$tmp/lines"
