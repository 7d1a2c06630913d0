# What the README shows is what its commands print, word for word; every command in it does something.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "the README's output" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "the README's output" "too long under valgrind"
    exit 0
fi
# Lines of a code block: .ci/run takes them from there.
expect "the first command stands in it" grep -q '^tools/setup && build/gpt2 generate ' README.md
expect "the tests' command stands in it" grep -qx 'make check' README.md
expect "it is short" test "$(wc -l <README.md)" -le 250
GPT2=$GPT2 tools/renew_readme >"$out" 2>"$err"
status=$?
expect "each command that is shown stands in the README" exits 0
diff README.md "$out" | head -20 >"$err"
expect "the README shows what its commands print (tools/renew_readme)" same README.md "$out"
if command -v python3 >/dev/null; then
    mkdir "$tmp/pictures"
    GPT2=$GPT2 tools/renew_readme --pictures "$tmp/pictures" >"$out" 2>"$err"
    for picture in tools/pictures/*.svg; do
        expect "$picture is what is drawn" same "$picture" "$tmp/pictures/${picture##*/}"
    done
else
    skip "the pictures" "python3 is not installed"
fi

# Links lead to files and to headings.
grep -oE '\]\([^)#]+' README.md | cut -c3- | grep -v '^http' | sort -u >"$tmp/links"
for link in $(cat "$tmp/links"); do expect "$link is there" test -e "$link"; done
sed -n 's/^##* //p' README.md | tr 'A-Z ' 'a-z-' >"$tmp/headings"
for anchor in $(grep -oE '\]\(#[^)]+' README.md | cut -c4-); do
    expect "#$anchor is a heading" grep -qx -- "$anchor" "$tmp/headings"
done

# The table of commands has each of them, and what the text names is there.
sed -n '/^## Commands/,/^## /p' README.md >"$tmp/section"
for command in $(commands); do
    [ "$command" = completions ] || expect "the table has $command" grep -qE "^\|.*\`gpt2 $command\`" "$tmp/section"
done
grep -oE '`gpt2 help [a-z]+`' README.md | tr -d '`' | sort -u >"$tmp/named"
expect "topics are named" test -s "$tmp/named"
while read -r line; do
    run ${line#gpt2 }
    expect "$line" exits 0
done <"$tmp/named"

# Every block is a script; the first needs the network.
awk -v folder="$tmp" '/^```(sh|python)$/ { n++; inside = 1; next } /^```/ { inside = 0 }
    inside { print >(folder "/block." n) }' README.md
grep -oE '`gpt2 (quantize|convert) [^`]*`' README.md | tr -d '`' >"$tmp/inline"
. tests/cli/examples.inc
for block in "$tmp"/block.*; do
    grep -q tools/setup "$block" && continue # shown above
    if grep -q '^jq ' "$block" && ! command -v jq >/dev/null; then
        skip "$(head -n 1 "$block")" "jq is not installed"
        continue
    fi
    does "$(head -n 1 "$block")" "$(cat "$block")"
done
while IFS= read -r line; do does "$line" "$line"; done <"$tmp/inline"
[ ! -e labels.jsonl ] || expect "labels have the best choice" test "$(grep -cE '"best": [01], .*"good".*"bad"' labels.jsonl)" -eq 2
expect "a line that reads like nothing is left out" not grep -q zzv kept.txt
expect "... and others stay" grep -q fox kept.txt
expect "surprisal has each word" test "$(grep -vc '^[#l]' surprisal.tsv)" -eq 12
"$GPT2" generate --input prompts.jsonl -o whole.jsonl -q 2>"$err"
expect "four machines write what one does" same whole.jsonl texts.jsonl
