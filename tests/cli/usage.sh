# Wrong usage: the answer names what was given, for which option, and what was expected.
. tests/cli/cases.inc

run --help
expect "help goes to stdout" exits 0
expect "help lists the commands" grep -q 'generate.*continue a text' "$out"
run
expect "no command shows the help" grep -q '^usage:' "$out"
run --version
expect "version" grep -Eq '^gpt2 [0-9]+\.[0-9]+\.[0-9]+$' "$out"
commands >"$tmp/commands"
expect "the list of commands is read" grep -qx generate "$tmp/commands"
while read -r command; do
    run $command --help
    expect "$command --help" exits 0
    expect "$command --help shows its usage" grep -q "^usage: gpt2 $command" "$out"
    expect "$command --help is quiet on stderr" test ! -s "$err"
    run $command --no-such-option
    expect "$command refuses an unknown option" refuses 2 'unknown option --no-such-option'
done <"$tmp/commands"
run generat
expect "unknown command" refuses 2 'unknown command "generat"'
expect "... with a suggestion" says 'did you mean generate?'
run genrate x
expect "a near miss of a command" says 'did you mean generate?'
for word in "" -m xy; do
    run "$word"
    expect "\"$word\" is near to nothing" exits 2
    expect "... and no command is suggested" not says 'did you mean'
done
run generate --hlep
expect "a near miss of --help" says 'did you mean --help?'
run xyzzy
expect "no suggestion from afar" says '`gpt2 --help` lists the commands'
run generate --help
cp "$out" "$tmp/help"
run help generate
expect "gpt2 help COMMAND" same "$tmp/help" "$out"
run --help
cp "$out" "$tmp/whole"
for words in "help help" "help --help" "help -h" "--help help" "-h help"; do
    # shellcheck disable=SC2086 # words
    run $words
    expect "gpt2 $words is the help" same "$tmp/whole" "$out"
done
run help help man
expect "gpt2 help help man is the man page" grep -q '^\.SH SYNOPSIS' "$out"
run help help generate
expect "gpt2 help help generate" same "$tmp/help" "$out"
# A long name after one dash is that name, not a letter and its value.
for word in help hlep prompt temperature format model=x max-tokens; do
    run generate -$word x
    expect "-$word" refuses 2 "unknown option -${word%=*}"
    case $word in hlep) name=help ;; max-tokens) name=max-tokens ;; temperature) name=temp ;; *) name=${word%=*} ;; esac
    expect "... is --$name" says "did you mean --$name?"
done
run generate -n0 -pOnce
expect "a letter with its value is one" exits 0
run generate -x
expect "an unknown letter" refuses 2 'unknown option -x'
# The names that other programs have: each leads to a command.
for pair in run:generate chat:generate list:models ls:models download:pull delete:rm; do
    run ${pair%:*} gpt2
    expect "${pair%:*} is ${pair#*:} here" says "did you mean ${pair#*:}?"
done
grep -o '{"[a-z]*", "[a-z]*"}' src/cli/main.c | tr -d '{",}' >"$tmp/synonyms"
expect "there are synonyms" test "$(wc -l <"$tmp/synonyms")" -ge 10
while read -r synonym command; do
    expect "$synonym: $command is a command" grep -qx "$command" "$tmp/commands"
    run "$synonym"
    expect "... and $synonym is none" says "did you mean $command?"
done <"$tmp/synonyms"
run help genrate
expect "... of an unknown one" refuses 2 'unknown command or topic "genrate"'
run help samplin
expect "a near miss of a topic" says 'did you mean sampling?'
run --prompt x
expect "options before the command" refuses 2 'expected a command before options, got "--prompt"'
run generate --tmep 1
expect "a near miss gets a suggestion" says 'did you mean --temp?'
run generate --temp hot x
expect "a word for a number" refuses 2 '--temp: expected a number from 0 to 1e+06, got "hot"'
run generate --temp -1 x
expect "a number out of range" refuses 2 '--temp: expected a number from 0 to 1e+06, got "-1"'
run generate --temp nan x
expect "NaN is no temperature" refuses 2 'got "nan"'
run generate --top-k 1.5 x
expect "a fraction for a whole number" refuses 2 '--top-k: expected a whole number'
run generate -n
expect "a missing value" refuses 2 '--max-tokens: expected N, got nothing'
run generate -n 99999999999 x
expect "a number too large" refuses 2 'got "99999999999"'
run generate --greedy=yes x
expect "a value for a flag" refuses 2 '--greedy takes no value, got "yes"'
run generate --format xml x
expect "an unknown choice" refuses 2 '--format: expected one of text, ids, json, jsonl, got "xml"'
run generate --seed -3 x
expect "a negative seed" refuses 2 '--seed: expected a whole number from 0 to 18446744073709551615'
run generate once upon
expect "a prompt without quotes" refuses 2 'unexpected argument "upon"'
run generate -p a b
expect "two prompts" refuses 2 'given more than once'
run detokenize --ids 1 2
expect "two lists of ids" refuses 2 'given more than once: expected an option or an argument, got both'
run tokenize -f - -
expect "standard input twice" refuses 2 'given more than once: expected --file or "-", got both'
for command in "generate --ids" "detokenize" "score --ids" "inspect lens --ids"; do
    # shellcheck disable=SC2086
    run $command 1,99999999
    expect "$command: an id that is none" refuses 2 'token id 99999999'
done
run generate --ids 1,x
expect "ids that are none" refuses 2 'expected token ids (whole numbers), found "x" at byte 2'
run generate --ids 1,2 text
expect "ids and a text" refuses 2 '--ids and a plain argument exclude each other'
run generate --cpu abacus x
expect "an unknown kernel variant" refuses 2 'kernel variant "abacus": expected one of generic'
names=$(sed -n 's/.*expected one of //p' "$err")
run generate --help all
tr -s ' \n' '  ' <"$out" >"$tmp/unfolded" && mv "$tmp/unfolded" "$out"
expect "--cpu's help has the same names" grep -qF -- "kernels: $names (default:" "$out"
run info
here=$(sed -n 's/.*(this CPU can run: \(.*\))/\1/p' "$out")
for variant in $(echo "$names" | tr -d ,); do
    run info --cpu "$variant"
    case " $here " in
    *" $variant "*) expect "--cpu $variant" grep -q "kernels $variant\$" "$out" ;;
    *) expect "--cpu $variant on a CPU without it" refuses 2 "\"$variant\": this CPU cannot run it" ;;
    esac
done
run generate -p "$(printf '\033[31m')" --temp "$(printf '\033[2J')"
expect "control bytes are shown, not obeyed" refuses 2 'got "\x1B[2J"'
run generate -f "$tmp/nothing"
expect "a missing prompt file" refuses 5 "cannot open $tmp/nothing: No such file"
run generate -f "$tmp"
expect "a directory as prompt file" refuses 5 "cannot read $tmp"

# Help fits a terminal of 80 columns, and what is no terminal.
for command in "" $(cat "$tmp/commands"); do
    for kind in "" all; do
        run $command --help $kind
        expect "help $kind of ${command:-gpt2} fits 80 columns" test -z "$(LC_ALL=C.UTF-8 awk 'length($0) > 80' "$out")"
    done
done
run halp
expect "help itself is suggested" says 'did you mean help?'
