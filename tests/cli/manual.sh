# Man pages: whole, without a warning, and about everything that the program reads of its environment.
. tests/cli/cases.inc

: >"$err"
tools/make_man "$GPT2" "$tmp/man" >"$out" 2>"$err"
status=$?
expect "man pages are made" exits 0
for command in $(commands); do
    page=$tmp/man/gpt2-$command.1
    for heading in NAME SYNOPSIS DESCRIPTION EXAMPLES '"EXIT STATUS"' '"SEE ALSO"'; do
        expect "gpt2-$command(1) has $heading" grep -qxE "\.SH \"?$(echo "$heading" | tr -d '"')\"?" "$page"
    done
done
for command in $(commands_with "--model "); do
    for heading in ENVIRONMENT FILES; do
        expect "gpt2-$command(1) has $heading" grep -qx "\.SH \"$heading\"" "$tmp/man/gpt2-$command.1"
    done
done
for topic in $(topics); do
    expect "gpt2-$topic has a page" test -s "$(ls "$tmp/man/gpt2-$topic".[57])"
done
grep -rhoE 'getenv\("[A-Z0-9_]+"' src | cut -d'"' -f2 >"$tmp/names"
sed -nE 's/.*"((HF|HUGGING_?FACE|TRANSFORMERS|XDG)_[A-Z_]+)".*/\1/p' src/hub/*.c | cut -d'"' -f1 >>"$tmp/names"
expect "there are variables" test "$(wc -l <"$tmp/names")" -gt 10
sed 's/\\f[BRI]/ /g' "$tmp/man/gpt2.1" >"$tmp/plain"
for name in $(sort -u "$tmp/names"); do
    expect "gpt2(1) has \$$name" grep -qE "(^|[^A-Z_])$name([^A-Z_]|$)" "$tmp/plain"
done
sed 's/\\f[BRI]/ /g' "$tmp/man/gpt2-environment.7" >"$tmp/topic"
run help environment
for variable in $(sort -u "$tmp/names"); do
    expect "help environment has \$$variable" grep -qE "(^|[^A-Z_])$variable([^A-Z_]|$)" "$out"
    expect "gpt2-environment(7) has it" grep -qE "(^|[^A-Z_])$variable([^A-Z_]|$)" "$tmp/topic"
done
# A page that another page names is there.
sed -nE 's/^\.BR (gpt2[a-z\\-]*) \(([157])\).*/\1.\2/p' "$tmp"/man/* | tr -d '\\' | sort -u >"$tmp/named"
expect "pages name others" test -s "$tmp/named"
for page in $(cat "$tmp/named"); do
    expect "$page is there" test -s "$tmp/man/$page"
done
if command -v mandoc >/dev/null; then
    mandoc -T lint "$tmp"/man/* >"$err" 2>&1
    expect "mandoc finds nothing" test ! -s "$err"
else
    skip "mandoc -T lint" "it is not installed"
fi
if command -v man >/dev/null && man --warnings -l "$tmp/man/gpt2.1" >/dev/null 2>&1; then
    for page in "$tmp"/man/*; do
        LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l "$page" 2>"$err" >/dev/null
        expect "man has no warning about ${page##*/}" test ! -s "$err"
    done
else
    skip "man --warnings" "there is no such man"
fi
