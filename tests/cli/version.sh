# gpt2 version: what a report of a fault needs.
. tests/cli/cases.inc

run version
cp "$out" "$tmp/short"
expect "gpt2 version is one line" grep -Eqx 'gpt2 [0-9]+\.[0-9]+\.[0-9]+' "$out"
run --version
expect "as gpt2 --version" same "$tmp/short" "$out"
run version --verbose
expect "--verbose begins with it" same "$tmp/short" "$(head -n 1 "$out" >"$tmp/first" && echo "$tmp/first")"
for name in library compiler architecture kernels 'this CPU' libedit libmicrohttpd; do
    expect "... and has $name" grep -Eq "^$name +[^ ]" "$out"
done
names=$(sed -n 's/^kernels *//p' "$out")
run generate --cpu abacus x
expect "the kernels are those of --cpu" says "expected one of $names"
run version --json
if command -v python3 >/dev/null; then
    expect "--json is one object" python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert set(d) == {"version", "abi", "compiler", "architecture", "cpu", "cpus", "kernels", "runs", "features"}
assert set(d["runs"]) <= set(d["kernels"]) and "generic" in d["runs"]' "$out"
fi
run version --json --verbose
expect "--json has it all already" refuses 2 '--verbose and --json exclude each other'
# One place has the number; what repeats it agrees.
version=$(sed -n 's/^gpt2 //p' "$tmp/short")
date=$(sed -n "s/^## \[$version\] - \([0-9-]*\)$/\1/p" CHANGELOG.md)
expect "CHANGELOG.md has this version and its date" test -n "$date"
expect "CITATION.cff has this version" grep -qx "version: $version" CITATION.cff
expect "CITATION.cff has its date" grep -qx "date-released: '$date'" CITATION.cff
# The number of the ABI is that of version.h. gpt2.py has it, as its structures are of these headers:
# who changes the one looks at the others.
abi=$(sed -n 's/^#define GPT2_ABI *//p' include/gpt2/version.h)
reserved=$(sed -n 's/^#define GPT2_RESERVED *//p' include/gpt2/version.h)
expect "gpt2.py is for this ABI" grep -qE "^_ABI = $abi( |$)" tools/python/gpt2.py
expect "... with as many reserved words" grep -qE "^_RESERVED = $reserved$" tools/python/gpt2.py
expect "no other file has a number of the ABI" test -z \
    "$(grep -rnE 'libgpt2(-|\.so\.|\.)[0-9]+([^0-9.]|$)' Makefile tools src include README.md CONTRIBUTING.md 2>/dev/null)"
# What the templates of issues ask for is there.
for template in fault speed; do
    file=.github/ISSUE_TEMPLATE/$template.yml
    for command in 'version --verbose' 'info --json'; do
        expect "$template.yml asks for gpt2 $command" grep -q "label: gpt2 $command" "$file"
        if [ -f models/tales/model.safetensors ]; then
            # shellcheck disable=SC2086 # words
            run $command
            expect "gpt2 $command" exits 0
        fi
    done
done
