# The README's first screen shows what its commands print: word for word.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "the README's tale" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "the README's tale" "too long under valgrind"
    exit 0
fi
command=$(sed -n 's/^tools\/setup && build\/gpt2 //p' README.md)
expect "the README has the command" test "$command" = 'generate --prompt "Once upon a time"'
run generate --prompt "Once upon a time"
awk '/^tools\/setup/ { seen = 1 }
     seen && tale && /^```/ { exit }
     tale { print }
     seen && /^```text/ { tale = 1 }' README.md >"$tmp/shown"
expect "the README shows the tale that is told" same "$tmp/shown" "$out"
