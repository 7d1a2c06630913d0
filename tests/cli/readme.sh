# What the README shows is what its commands print: word for word.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "the README's output" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "the README's output" "too long under valgrind"
    exit 0
fi
GPT2=$GPT2 tools/renew_readme >"$out" 2>"$err"
status=$?
expect "each command that is shown stands in the README" exits 0
diff README.md "$out" | head -20 >"$err"
expect "the README shows what its commands print (tools/renew_readme)" same README.md "$out"
