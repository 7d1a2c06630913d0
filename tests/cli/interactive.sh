# generate -i: a session on a terminal of its own, played by tests/terminal.py.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "interactive" "models/tales is not there"
    exit 0
fi

# How the shipped model goes on: its first tokens, and a word of them.
first=$("$GPT2" generate "Once upon a time" -n 4)
word=$(printf '%s\n' "$first" | grep -oE '[a-z]{3,}' | head -n 1)
expect "the model goes on with a word" test "$word"
first=${first%%"$word"*}$word

# Lines on a pipe need no terminal: the same session, without prompts.
n=12
printf 'Once upon a time\n The king\n' >"$tmp/lines"
"$GPT2" generate -i -n $n <"$tmp/lines" >"$tmp/piped" 2>"$err"
status=$?
expect "lines on a pipe" exits 0
expect "... give the new text and nothing else" test ! -s "$err"

# whole_text LINE... : what `generate` alone says to the whole text, after each line.
whole_text() {
    : >"$tmp/whole"
    : >"$tmp/wanted"
    for line in "$@"; do
        printf '%s' "$line" >>"$tmp/whole"
        "$GPT2" generate -f "$tmp/whole" --keep-newline --stats $options >"$out" 2>"$tmp/figures"
        cat "$out" >>"$tmp/wanted"
        head -c -1 "$out" >>"$tmp/whole"
    done
    hash=$(sed -n 's/^logits *//p' "$tmp/figures")
}
options="-n $n"
whole_text "Once upon a time" " The king"
expect "... as generate -p gives it for the whole text" same "$tmp/wanted" "$tmp/piped"
printf '/seed 3\n//slash\n\nand \\\nmore' >"$tmp/lines"
"$GPT2" generate -i -n $n <"$tmp/lines" >"$tmp/piped" 2>"$err"
options="-n $n --seed 3"
whole_text "/slash" "" "$(printf 'and \nmore')"
expect "two slashes, an empty line, a backslash at a line's end" same "$tmp/wanted" "$tmp/piped"
printf '/bogus\n/set temp hot\n/set temp\n/set num-samples 2\n/set stop "x\n/seed\n/help me\n/undo\n' |
    "$GPT2" generate -i >"$out" 2>"$err"
status=$?
expect "refusals in a session do not end it" exits 0
expect "... an unknown command" says 'gpt2: error: unknown command "/bogus"'
expect "... a wrong value" says 'gpt2: error: temp: expected a number from 0 to 1e+06, got "hot"'
temp=$(sed -n 's/.*"temperature": *\([0-9.]*\).*/\1/p' models/tales/generation_config.json)
expect "... which changed nothing" grep -qx "temp  *${temp:-0.8}" "$err"
expect "... what has no meaning" says '"num-samples" has no meaning in a session'
expect "... half a string" says 'expected one string of JSON, got "x'
expect "... a missing value" says '/seed: expected N, got nothing'
expect "... a value too many" says '/help takes no value, got "me"'
expect "... nothing to undo" says 'there is no text yet'
"$GPT2" generate -i -p "Once" -n 0 </dev/null >"$out" 2>"$err"
status=$?
expect "-p is the first line" prints ""
for option in --json "--format ids" "--beams 2" "--ids 1" "-n 1 --num-samples 2" --echo; do
    # shellcheck disable=SC2086
    run generate -i $option
    expect "-i $option" refuses 2 '--interactive and --'
done
run generate -i -
expect "-i with the prompt on standard input" refuses 2 '--interactive reads lines from standard input'

if ! command -v python3 >/dev/null; then
    skip "a session on a terminal" "python3 is not installed"
    exit 0
fi

unset GPT2_HISTORY NO_COLOR
export XDG_STATE_HOME="$tmp/state" TERM=xterm HOME="$tmp"

count() { grep -cF -- "$1" "$screen"; }

# What is typed, and the bits it gives: every turn reads only what is new.
play generate <<END
stdout $tmp/typed
expect "error: no text given"
END
expect "without a prompt and -i both ends have to be a terminal" exits 2
play generate -i -n $n --stats <<END
stdout $tmp/typed
size 24 200
expect "> "
send "Once upon a time\\r"
expect "logits"
expect "> "
send " The king\\r"
expect "logits"
expect "> "
send "/undo\\r"
expect "> "
send " A queen\\r"
expect "logits"
expect "> "
send "\\x04"
END
expect "Ctrl-D leaves" exits 0
options="-n $n"
whole_text "Once upon a time" " A queen"
cp "$out" "$tmp/queen"
hash_queen=$hash
whole_text "Once upon a time" " The king"
cat "$tmp/queen" >>"$tmp/wanted"
expect "typed lines give what generate -p gives" same "$tmp/wanted" "$tmp/typed"
expect "... with the same logits" shows "logits $hash"
expect "... after /undo too" shows "logits $hash_queen"
expect "... and only new tokens are read" test "$(grep -c 'read [1-5] of 1[0-9] tokens' "$screen")" -eq 2

play generate -n $n --stats <<'END'
expect "Ctrl-D leaves"
expect "> "
send "Once upon a time\r"
expect "seed 0"
expect "> "
send "/again\r"
expect "seed 1"
expect "> "
send "/set temp 1.5\r"
expect "> "
send "/set n 5\r"
expect "> "
send "/set stop \".\"\r"
expect "> "
send "/set temp warm\r"
expect "error"
expect "> "
send "/set\r"
expect "temp               1.5"
expect "max-tokens         5"
expect "stop               \".\""
expect "> "
send "/unset temp\r"
expect "> "
send "/set temp\r"
expect "temp               0.8"
expect "> "
send "/new\r"
expect "the text is empty"
expect "> "
send "/quit\r"
END
expect "no arguments on a terminal: a session with a prompt, /set, /unset, /again, /new, /quit" exits 0
run generate -n $n --seed 1 "Once upon a time"
expect "/again is the next seed's text" shows "$(head -n 1 "$out")"
play generate -i --compat nanogpt <<'END'
expect "> "
send "/seed 7\r"
expect "> "
send "/unset seed\r"
expect "> "
send "/set seed\r"
expect "seed               1337"
expect "> "
send "/quit\r"
END
expect "/unset gives the seed back that --compat has" exits 0

play generate -i -n -1 --ignore-eos --cpu generic -t 1 <<END
expect "> "
send "Once upon a time\\r"
expect "$word"
send "\\x03"
expect "> "
absent "leaves"
send "\\x03"
expect "Ctrl-D or /quit leaves"
expect "> "
send "half a line"
expect "half a line"
send "\\x03"
expect "> "
send "/text\\r"
expect "Once upon a time$first"
absent "half a line"
expect "> "
signal INT
expect "leaves"
signal TERM
END
expect "Ctrl-C stops the text, drops a line, and never ends the session; SIGTERM does" exits 143

ctx=$("$GPT2" info | sed -n 's/^n_ctx *//p')
play generate -i -n 2 -p "$(yes "a" | head -n $((ctx / 2 - 1)))" <<'END'
expect "> "
send " a b c d e f g h i j\r"
expect "the model's context holds"
expect "/set on-overflow slide goes on"
expect "> "
send "/set on-overflow slide\r"
expect "> "
send " a b c d e f g h i j\r"
absent "context"
expect "> "
send "\x04"
END
expect "a full context is told, with what to do" exits 0

# A paste is one entry, however many lines it has.
play generate -i -n 0 <<'END'
expect "> "
send "one\ntwo\nthree"
expect "three"
send "\r"
expect "> "
send "/undo\r"
expect "the text is empty"
expect "> "
send "\x04"
END
expect "pasted lines are one entry" exits 0

# Editing, and the history of lines.
history=$tmp/state/gpt2/history
if grep -qx one "$history" 2>/dev/null; then
    expect "the history file is the user's alone" test "$(stat -c %a "$history" 2>/dev/null || stat -f %Lp "$history")" = 600
    seq 3000 | sed 's/^/line /' >>"$history"
    mv "$history" "$tmp/kept"
    ln -s "$tmp/kept" "$history"
    play generate -i -n 0 <<'END'
expect "> "
send "\x1b[A"
expect "line 3000"
send "\x01the \x05\x7f\x7f\u00e9 \u65e5\x7f\x7f!"
expect "!"
resize 10 30
signal CONT
send "?\r"
expect "> "
send "/text\r"
expect "the line 30\u00e9!?"
expect "> "
send "\x04"
END
    expect "arrow keys, editing, characters of several bytes, a window that changes" exits 0
    expect "the history is bounded" test "$(wc -l <"$history")" -lt 1100
    expect "... and has what was typed now" grep -qx 'the line 30é!?' "$history"
    expect "... and a link stays one, to a file that is the user's alone" test "$(readlink "$history") $(stat -c %a "$tmp/kept" 2>/dev/null || stat -f %Lp "$tmp/kept")" = "$tmp/kept 600"
    printf 'a\0b\n' >"$history"
    seq 2100 | sed 's/^/line /' >>"$history"
    GPT2_HISTORY=$history play generate -i -n 0 <<'END'
expect "> "
send "\x1b[A"
expect "line 2100"
send "\r"
expect "> "
send "\x04"
END
    expect "a history with a NUL byte" exits 0
    GPT2_HISTORY=/dev/zero play generate -i -n 0 <<'END'
expect "history: /dev/zero: expected a file of at most 64 MiB, found more"
expect "> "
send "\x04"
END
    expect "a history without end" exits 0
    GPT2_HISTORY="$tmp/no/such/place/file" play generate -i -n 0 -p "" <<'END'
expect "> "
send "one\r"
expect "> "
send "\x04"
END
    expect "GPT2_HISTORY is another file, folders are made" grep -qx one "$tmp/no/such/place/file"
    : >"$tmp/file"
    GPT2_HISTORY="$tmp/file/history" play generate -i -n 0 <<'END'
expect "note: history: cannot open"
expect "> "
send "one\r"
expect "> "
send "two\r"
expect "> "
send "\x04"
END
    expect "a history that cannot be is told once, and no more" test "$(count 'note: history:')" -eq 1
    rm -rf "$tmp/state"
    GPT2_HISTORY='' play generate -i -n 0 <<'END'
expect "> "
send "one\r"
expect "> "
send "\x04"
END
    expect "an empty GPT2_HISTORY is none" test ! -e "$tmp/state"
else
    skip "editing and history" "the program has no libedit"
fi

# The plain loop: a terminal that cannot move its cursor, as without libedit.
TERM=dumb play generate -i -n $n <<END
expect "> "
send "Once upon a time\\n"
expect "$word"
expect "> "
send "\\x03"
expect "leaves"
expect "> "
send "one\\ntwo\\n"
expect "> "
send "\\x04"
END
expect "TERM=dumb: plain lines" exits 0
expect "... without a single escape sequence" not escapes

play generate -i -n 8 --tint surprisal <<'END'
expect "> "
send "Once upon a time\r"
expect "\x1b[30;48;5;"
expect "> "
send "\x04"
END
expect "--color surprisal in a session" exits 0
NO_COLOR=1 play generate -i -n 8 --tint surprisal <<END
expect "> "
send "Once upon a time\\r"
expect "$word"
absent "\\x1b[30;48;5;"
expect "> "
send "\\x04"
END
expect "... not with NO_COLOR" exits 0

play generate -i -n 2 <<'END'
expect "> "
send "Once upon a \r"
expect "hint: the line ends in a space"
expect "> "
send "time\r"
expect "> "
send "/save /nowhere/file\r"
expect "error: /nowhere/file: cannot create"
expect "> "
send "\x04"
END
expect "hints on spaces, a file that cannot be written" exits 0
printf 'Once\n/save %s\n/text\n' "$tmp/saved" | "$GPT2" generate -i -n 3 >"$out" 2>"$err"
status=$?
{ printf Once; head -c -1 "$out"; } >"$tmp/text"
expect "/save writes the text" same "$tmp/text" "$tmp/saved"
