# Every example of help, man pages and topics does something without an error.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "examples" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "examples" "too long under valgrind"
    exit 0
fi
. tests/cli/examples.inc

n=0
for command in $(commands); do
    "$GPT2" help "$command" examples | grep -v '^# ' >"$tmp/examples"
    expect "$command has examples" test "$(wc -l <"$tmp/examples")" -ge 3
    while IFS= read -r line; do
        does "$line" "$line"
        n=$((n + 1))
    done <"$tmp/examples"
done
"$GPT2" help examples | grep -v '^# ' >"$tmp/examples"
while IFS= read -r line; do
    does "$line" "$line"
    n=$((n + 1))
done <"$tmp/examples"

# Lines of topics that begin with a program; one may go on after a backslash.
for topic in $(topics); do
    rm -rf gpt2-hf merged
    "$GPT2" help "$topic" | sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' |
        sed -nE 's/^    ((gpt2|parallel|paste|sbatch) .*)/\1/p' >"$tmp/lines"
    while IFS= read -r line; do
        does "$topic: $line" "$line"
        n=$((n + 1))
    done <"$tmp/lines"
done
expect "$n examples" test $n -gt 80
