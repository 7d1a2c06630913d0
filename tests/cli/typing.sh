# Keys in a session: Tab, what is typed ahead, Ctrl-Z; quotes; a context that is full; progress that fits.
. tests/cli/cases.inc

if ! command -v python3 >/dev/null || [ ! -f models/tales/model.safetensors ]; then
    skip "typing" "needs python3 and models/tales"
    exit 0
fi
model=$PWD/models/tales

# ---- a session that is no terminal ----
cd "$tmp" || exit 1
printf 'Once upon\n/save "a b"\n/save c d\n/save "no end\n' | "$GPT2" generate -i -n 2 -m "$model" >"$out" 2>"$err"
status=$?
expect "/save \"a b\" writes a b" test -s "a b"
expect "... and c d needs no quotes" test -s "c d"
expect "... half a string is refused" says 'expected one string of JSON, got "no end'
n_ctx=$("$GPT2" info --json -m "$model" | sed -n 's/.*"n_ctx": \([0-9]*\).*/\1/p')
yes ' and the king said' | head -n "$n_ctx" | tr -d '\n' >long
printf ' and\n more\n' >lines
"$GPT2" generate -i -n 3 -m "$model" -f long --on-overflow slide <lines >"$out" 2>"$err"
status=$?
expect "a text longer than the context goes on where --on-overflow says slide" exits 0
expect "... without an error" not grep -q 'gpt2: error' "$err"
cp "$out" session.out
"$GPT2" generate -n 3 -m "$model" -f long --on-overflow slide --truncate left >"$out" 2>"$err"
expect "... as generate says with --truncate left" test "$(head -n 1 session.out)" = "$(cat "$out")"
"$GPT2" generate -i -n 3 -m "$model" -f long <lines >"$out" 2>"$err"
expect "without slide it is refused" says 'hint: /set on-overflow slide goes on without the beginning'

# What a hint advises works, for as many turns as there are, and is not advised again.
yes '' | head -n 40 >turns
wrote() { test "$(grep -c " wrote $1 in " "$err")" -eq "$2"; }
for way in "on-overflow slide" "truncate left"; do
    { echo "/set $way"; cat turns; } | "$GPT2" generate -i -n 20 --ignore-eos --stats -m "$model" \
        -f long >"$out" 2>"$err"
    expect "/set $way in a full session: whole turns" wrote 20 40
    expect "... and no context is full again" test "$(grep -c 'context' "$err")" -eq 1
done
awk '/ read /{ n += $3 } END { print n }' "$err" >sum
expect "... and most of it is read once" test "$(cat sum)" -lt $((4 * n_ctx))
"$GPT2" generate -i -n -1 --ignore-eos --stats --truncate left -m "$model" -f long <turns >"$out" 2>"$err"
expect "turns until the context is full have room, too" test -z "$(grep -o ' wrote [0-9][0-9]\{0,1\} in' "$err")"
expect "... and what is set already is not advised" test "$(grep -c 'is full; the next line goes on' "$err")" -eq 41
"$GPT2" generate -i -n 3 -m "$model" -f long --truncate right </dev/null >"$out" 2>"$err"
expect "a session that reads the beginning alone is told so" says '/set truncate left goes on'
"$GPT2" generate -i -n 3 -m "$model" -f long --truncate left --on-overflow error <turns >"$out" 2>"$err"
expect "... and --on-overflow error has what it asks for" not says 'is full'

# ---- progress ----
printf '{"prompt":"Once","max_tokens":1}\n' >one
"$GPT2" generate --input one -o one.out -m "$model" 2>"$err"
expect "one record is a record" says '1 record, '
for i in 1 2 3 4 5 6 7 8 9; do echo "{\"prompt\":\"Once upon a time $i\",\"max_tokens\":200}"; done >nine
cd - >/dev/null || exit 1
for width in 80 40; do
    play generate --input "$tmp/nine" --parallel 1 <<END
size 24 $width
stdout $tmp/nine.out
END
    expect "a job on $width columns" exits 0
    # the sentence at the end may wrap
    tr '\r' '\n' <"$raw" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | grep -v '^gpt2: 9 records' >"$tmp/bars"
    python3 tests/columns.py $width <"$tmp/bars" >"$err"
    status=$?
    expect "... whose progress fits" exits 0
    tr '\r' '\n' <"$raw" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | grep ' %, ' >"$tmp/shown"
    expect "... and says all it has to say" test -z "$(grep -v 'tok/s' "$tmp/shown")"
done

"$GPT2" generate -i </dev/null >"$out" 2>"$err"
if ! "$GPT2" version --verbose | grep -q '^libedit *yes'; then
    skip "Tab, Ctrl-Z" "built without libedit"
    exit 0
fi
export HOME="$tmp" GPT2_HISTORY=
touch "$tmp/unique-name.txt"
play generate -i -n 2 -m "$model" <<END
expect "> "
send "/aga\t\r"
expect "there is no text yet"
expect "> "
send "/set tem\t0.5\r"
expect "> "
send "/set temp\r"
expect "temp  "
expect "0.5"
expect "> "
send "/set until sen\t\r"
expect "> "
send "/set until\r"
expect "until  "
expect "sentence"
expect "> "
send "/set repeat-\t"
expect "repeat-last-n   repeat-penalty"
send "\x15/load-session $tmp/uniq\t\r"
expect "unique-name.txt"
expect "expected a saved session"
expect "> "
send "one\ttab\r"
expect "tab\r\n"
expect "> "
send "/save $tmp/tabbed\r"
expect "bytes in"
expect "> "
send "/quit\r"
END
expect "Tab completes commands, settings, values and files" exits 0
expect "... and is text elsewhere" grep -q "^one$(printf '\t')tab" "$tmp/tabbed"

# Lists are in columns, as ls has them: sorted, and no name broken at the terminal's edge.
mkdir "$tmp/shelf"
for name in pear apple quince "a fig that has a long name" cherry plum medlar; do : >"$tmp/shelf/$name"; done
for width in 80 40; do
    play generate -i -n 2 -m "$model" <<END
size 24 $width
expect "> "
send "/set \t"
expect "until"
send "\x15/\t"
expect "/unset"
send "\x15/save $tmp/shelf/\t"
expect "quince"
send "\x15/quit\r"
END
    expect "Tab lists on $width columns" exits 0
    tr '\r' '\n' <"$raw" | grep -v '/save ' >"$tmp/lines" # what is typed may be longer
    python3 tests/columns.py $width <"$tmp/lines" >"$err"
    status=$?
    expect "... fit" exits 0
    awk '/^> \/set/ { on = 1; next } /^>/ { on = 0 } on' "$screen" >"$tmp/list"
    tr -s ' ' '\n' <"$tmp/list" | grep . | LC_ALL=C sort >"$tmp/listed"
    echo /set | "$GPT2" generate -i -m "$model" 2>&1 | awk '/^[a-z-]+ / { print $1 }' | LC_ALL=C sort >"$tmp/all"
    expect "... have each setting, whole" same "$tmp/all" "$tmp/listed"
    expect "... sorted" sh -c "awk '{ print \$1 }' '$tmp/list' | LC_ALL=C sort -c"
    expect "... in columns" test "$(wc -l <"$tmp/list")" -lt "$(wc -l <"$tmp/all")"
    expect "... and of files the names alone" grep -q '^a fig that has a long name' "$screen"
done

# While the model writes (lines that come at once are one entry, a paste), keys are not echoed; they
# are there at the next prompt.
play generate -i -n 120 -m "$model" --ignore-eos <<'END'
expect "> "
send "Once upon a time\r"
expect "time\r\n"
expect " "
send "xqzxqz"
expect "> "
expect "xqzxqz"
send "\r"
expect "> "
send "/quit\r"
END
expect "what is typed ahead comes at the prompt" exits 0
expect "... once" test "$(grep -o xqzxqz "$screen" | wc -l)" -eq 1
expect "... and not within the text" grep -q '^> xqzxqz' "$screen"
play generate -i -n 120 -m "$model" --ignore-eos <<'END'
expect "> "
send "Once upon a time\r"
expect "time\r\n"
expect " "
send "x\x7f\x04"
END
expect "Ctrl-D that is typed ahead ends the session" exits 0

# A shell that stops it and goes on.
if command -v bash >/dev/null; then
    cat >"$tmp/script" <<END
expect "# "
send "$GPT2 generate -i -n 2 -m $model\r"
expect "> "
send "abc def"
expect "abc def"
send "\x1a"
expect "Stopped"
expect "# "
send "fg\r"
expect "generate -i"
expect "> abc def"
send "\r"
expect "> "
send "/save $tmp/resumed\r"
expect "bytes in"
expect "> "
send "/quit\r"
expect "# "
send "exit\r"
END
    PS1='# ' python3 tests/terminal.py "$raw" "$screen" env PS1='# ' bash --norc --noprofile -i <"$tmp/script" 2>"$err"
    status=$?
    expect "what was typed before Ctrl-Z is there after fg" exits 0
    expect "... and is the line" grep -q '^abc def' "$tmp/resumed"
else
    skip "Ctrl-Z" "bash is not installed"
fi
