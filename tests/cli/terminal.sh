# What a user sees on a terminal: bars that leave nothing behind, colours, hints.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "the terminal" "models/tales is not there"
    exit 0
fi
if ! command -v python3 >/dev/null; then
    skip "the terminal" "python3 is not installed"
    exit 0
fi
export TERM=xterm
unset NO_COLOR

# ---- bars ----

# A line that wraps cannot be written over: its pieces would stay on the screen.
clean() { ! grep -qE '^\[|#' "$screen"; }
drawn() { grep -q "$(printf '\r')\[[# ]\{20\}" "$raw"; }
for columns in 80 30; do
    play quantize -m models/tales --type q8 -o "$tmp/tales.q8" <<END
size 24 $columns
END
    expect "quantize, $columns columns: a bar" drawn
    expect "... that leaves nothing behind" clean
    play convert -m models/tales -o "$tmp/tales.gguf" <<END
size 24 $columns
END
    expect "convert, $columns columns: a bar" drawn
    expect "... that leaves nothing behind" clean
    play verify -m models/tales <<END
size 24 $columns
END
    expect "verify, $columns columns: a bar" drawn
    expect "... that leaves nothing behind" clean
    seq 60 | sed 's/^/Once upon a time number /' >"$tmp/prompts"
    play generate --input "$tmp/prompts" --output "$tmp/results" -n 8 <<END
size 24 $columns
END
    if [ $columns -eq 80 ]; then
        expect "a bulk job, $columns columns: a bar" drawn
    else
        expect "a bulk job, $columns columns: words, which take its room" grep -qE '%, [0-9]+ record' "$raw"
    fi
    expect "... that leaves nothing behind" clean
    expect "... but how it went" shows "gpt2: 60 records, 0 with"
    rm -f "$tmp/results"
done
TERM=dumb play quantize -m models/tales --type q8 -o "$tmp/tales.q8" </dev/null
expect "TERM=dumb: a bar" drawn
expect "... that leaves nothing behind" clean
expect "... and no escape sequences" not escapes
play quantize -m models/tales --type q8 -o "$tmp/tales.q8" <<END
signal INT
END
expect "interrupted, it is gone, too" clean
run quantize -m models/tales --type q8 -o "$tmp/tales.q8"
expect "without a terminal there is none" test "$(grep -c '#' "$err")" -eq 0

# ---- colours ----

text="The old man the boat. Héllo, 日本語
and 😀 he went."
# Escape sequences inside a character would show as U+FFFD; a colour at a line's end fills the line.
open_ended() { tr -d '\r' <"$raw" | grep -q "48;5;[0-9]*m[^$(printf '\033')]*\$"; }
readable() { grep -q "$(printf '\033')\[30;48;5;[0-9]*m" "$raw" && ! grep -q '48;5;[0-9]*m.*48;5;[0-9]*m.*\[38' "$raw"; }
play score --tint rank "$text" </dev/null
printf '%s\n' "$text" >"$tmp/text"
grep -v '^among the likeliest:' "$screen" >"$tmp/shown"
expect "score --tint rank shows the text, characters whole" same "$tmp/text" "$tmp/shown"
expect "... and what the colours mean" shows "among the likeliest:  10  100  1000  none of these"
expect "... on backgrounds with a foreground of their own" readable
expect "... that end with the line" not open_ended
run generate "Once upon a time" -n 60
cp "$out" "$tmp/tale"
play generate "Once upon a time" -n 60 --tint surprisal </dev/null
printf '%s\n' "$(fold -w 80 "$tmp/tale" | sed "s/  *$//")" >"$tmp/folded"
grep -v '^bits, from:' "$screen" >"$tmp/shown"
expect "--tint surprisal shows the text" same "$tmp/folded" "$tmp/shown"
expect "... and what the colours mean" shows "bits, from:  1  2.2  4.4  6.6  8.8"
expect "... on backgrounds with a foreground of their own" readable
expect "... that end with the line" not open_ended
for no in NO_COLOR=1 TERM=dumb; do
    export "$no"
    play score --tint rank "$text" </dev/null
    expect "$no: score --tint rank has none" not escapes
    play generate "Once upon a time" -n 60 --tint surprisal </dev/null
    expect "$no: --tint surprisal has none" not escapes
    unset NO_COLOR
    export TERM=xterm
done
run generate "Once upon a time" -n 60 --tint surprisal
expect "a pipe gets no colours" same "$tmp/tale" "$out"

# ---- hints ----

play generate "Once upon a " -n 2 </dev/null
expect "a prompt that ends in a space gets a hint" shows "hint: the prompt ends in a space"
play generate -n 1 "Once<|endoftext|>" </dev/null
expect "a prompt that spells a special token gets a hint" shows "hint: <|endoftext|> in the prompt"
play generate -n 1 --special "Once<|endoftext|>" </dev/null
expect "... but not with --special" not shows "hint: "
play generate -n 1 "Once<|endoftext|>" --compat hf </dev/null
expect "... nor with --compat hf" not shows "hint: "
cat >"$tmp/keys" <<'END'
expect "> "
send "Once<|endoftext|>\r"
expect "hint: <|endoftext|> is read as text; /set special true"
expect "> "
send "<|endoftext|>\r"
expect "> "
absent "hint: <|endoftext|>"
send "/quit\r"
END
play generate -i -n 1 --greedy <"$tmp/keys"
expect "a line of a session that spells one gets it once" exits 0
sed -i -e 's/^expect "hint.*/absent "hint: <|endoftext|>"/' "$tmp/keys"
play generate -i -n 1 --greedy --special <"$tmp/keys"
expect "... but not with --special" exits 0
play generate "Once upon a " -n 2 --heal </dev/null
expect "... but not with --heal" not shows "hint:"
run generate "Once upon a " -n 2
expect "... and none without a terminal" test ! -s "$err"
play generate --tmep 1 x </dev/null
expect "an error and its hint are two lines" test "$(wc -l <"$screen")" -eq 2
expect "... without escape sequences" not escapes
