# Each script of tools/ says what it is for, and refuses what it does not know.
. tests/cli/cases.inc

find tools -maxdepth 2 -type f -perm -100 ! -name '*.pyc' >"$tmp/scripts"
expect "there are scripts" test "$(wc -l <"$tmp/scripts")" -gt 15
while read -r script; do
    if head -n 1 "$script" | grep -q python && ! command -v python3 >/dev/null; then
        skip "$script" "python3 is not installed"
        continue
    fi
    # Without what it needs to work, too: no numpy, no library.
    COLUMNS=80 PYTHONNOUSERSITE=1 GPT2_LIBRARY=/nowhere "$script" --help >"$out" 2>"$err" </dev/null
    status=$?
    expect "$script --help" exits 0
    awk 'length > 80' "$out" >"$tmp/wide"
    expect "... has words for a terminal of 80 columns" test -s "$out" -a ! -s "$err" -a ! -s "$tmp/wide"
    expect "... says how it is called" grep -qE "(^usage: |^ +(tools/)?)(.*[ /])?$(basename "$script")( |$)" "$out"
    "$script" --no-such-option >"$out" 2>"$err" </dev/null
    status=$?
    expect "$script --no-such-option is refused" test "$status" -ne 0 -a -s "$err" -a ! -s "$out"
    expect "... and not by the shell or the interpreter" test -z \
        "$(grep -E 'Traceback|parameter not set|Illegal option|^[^:]*: [0-9]+: ' "$err")"
done <"$tmp/scripts"
