# What a TAB does in real shells where models and files have names that a shell would run or expand:
# lines are typed, completed and entered, and a program in the place of gpt2 writes down the words
# that it is given.
. tests/cli/cases.inc
export GPT2_MODELS="$PWD/models" # the shipped model, wherever the program was built

: >"$err"
if ! command -v python3 >/dev/null; then
    skip "completions" "python3 is not installed"
    exit 0
fi
here=$tmp/here
mkdir -p "$tmp/bin" "$tmp/home" "$here/models" "$tmp/alone/models/\$(id>ran)"
: >"$tmp/alone/models/\$(id>ran)/config.json"
GPT2=$(realpath "$GPT2")
cat >"$tmp/bin/gpt2" <<END
#!/bin/sh
[ "\$1 \$2" != "models --names" ] || exec "$GPT2" "\$@"
{ printf '<%s> ' "\$@"; echo; } >>'$tmp/words'
END
chmod +x "$tmp/bin/gpt2"

cat >"$tmp/names" <<'END'
a1$(id>ran)
a2`id>ran`
a3 with spaces
a4it's
a5say"so"
a6*
a7back\slash
a8;id>ran
a9&id>ran
b1>ran
b2$HOME
b3{x,y}
b4#!~
b5${x[$(id>ran)]}
b6ünï
b7%s
b8[a-z]?
b9|id>ran
END
model() {
    mkdir "$here/models/$1"
    : >"$here/models/$1/config.json"
}
while IFS= read -r each; do
    model "$each"
    : >"$here/f$each"
done <"$tmp/names"
broken=$(printf 'c1\n$(id>ran)')
model "$broken"
: >"$here/g$(printf '1\n$(id>ran)')"
model "$(printf 'c2\tid>ran')"
model "$(printf 'c3\033[2J')"
model --help

names() {
    (cd "$here" && GPT2_MODELS='' HOME="$tmp/home" XDG_DATA_HOME='' HF_HOME="$tmp/home" "$GPT2" models "$@")
}
names --names >"$out" 2>"$err"
status=$?
expect "models --names leaves out what is not one line, or like an option" \
    test "$(grep -vx tales <"$out" | LC_ALL=C sort)" = "$(LC_ALL=C sort "$tmp/names")"
names >"$out" 2>"$err"
expect "models shows control characters as numbers" grep -qF 'c1\x0A$(id>ran) ' "$out"
expect "and never as they are" test "$(tr -d '\n' <"$out" | LC_ALL=C tr -cd '\000-\037\177' | wc -c)" -eq 0

# line KEYS WORDS: types KEYS, a TAB and Enter; the program is to be given WORDS.
line() {
    n=$((n + 1))
    printf 'send "%s\\t\\r"\nsend "echo a'"''"'t %d.\\r"\nexpect "at %d."\n' "$1" "$n" "$n" >>"$tmp/script"
    printf '%s\n' "$2" >>"$tmp/expected"
}

# Everything in one session of a shell: each is started once.
typed() {
    shell=$1
    shift
    "$GPT2" completions "$shell" >"$tmp/completions"
    rm -f "$here/ran" "$tmp/alone/ran" "$tmp/words"
    : >"$tmp/expected"
    n=0
    case $shell in
    bash) printf 'send "PS1=; source %s\\r"\n' "$tmp/completions" ;;
    zsh) printf 'send "PS1=; autoload -Uz compinit; compinit -u -d %s; source %s\\r"\n' "$tmp/dump" "$tmp/completions" ;;
    fish) printf 'send "function fish_prompt; end; source %s\\r"\n' "$tmp/completions" ;;
    esac >"$tmp/script"
    printf 'send "echo be""gun\\r"\nexpect "begun"\n' >>"$tmp/script"
    printf 'send "cd ../alone\\r"\n' >>"$tmp/script"
    line 'gpt2 info -m z' '<info> <-m> <z> ' # all names are looked at
    printf 'send "cd ../here\\r"\n' >>"$tmp/script"
    while IFS= read -r each; do
        line "gpt2 info -m $(printf '%.2s' "$each")" "<info> <-m> <$each> "
        line "gpt2 info -m f$(printf '%.2s' "$each")" "<info> <-m> <f$each> "
        line "gpt2 score -f f$(printf '%.2s' "$each")" "<score> <-f> <f$each> "
    done <"$tmp/names"
    line 'gpt2 rm a3' '<rm> <a3 with spaces> '
    line 'gpt2 info -m c1' '<info> <-m> <c1> ' # left out: it cannot be said on a line
    slash=/
    [ "$shell" != zsh ] || slash= # it takes it away where the line ends
    line 'gpt2 info -m models/a1' "<info> <-m> <models/a1\$(id>ran)$slash> "
    line 'gpt2 info -m ta' '<info> <-m> <tales> '
    line 'gpt2 quantize --type q8' '<quantize> <--type> <q8> '
    line 'gpt2 hel' '<help> '
    line 'gpt2 help detok' '<help> <detokenize> '
    line 'gpt2 help fb' '<help> <fb> ' # no file
    # Where there are several they are listed, or taken in turn.
    printf 'send "gpt2 info -m \\t\\t\\x03\\x15"\nsend "\\rexit\\r"\n' >>"$tmp/script"
    (cd "$here" && PATH="$tmp/bin:$PATH" HOME="$tmp/home" XDG_DATA_HOME='' XDG_CONFIG_HOME='' \
        HF_HOME="$tmp/home" TERM=dumb LC_ALL=C.UTF-8 TERMINAL_LIMIT="${TERMINAL_LIMIT:-30}" \
        python3 "$OLDPWD/tests/terminal.py" "$raw" "$screen" "$@" <"$tmp/script") >"$out" 2>"$err"
    status=$?
    expect "$shell goes through all lines" test "$status" -ne 99
    expect "$shell runs nothing that it completes" test ! -e "$here/ran" -a ! -e "$tmp/alone/ran"
    while IFS= read -r each; do
        expect "$shell: $each" grep -qxF -- "$each" "$tmp/words"
    done <"$tmp/expected"
}

for shell in bash zsh fish; do
    if ! command -v $shell >/dev/null; then
        skip "completions in $shell" "$shell is not installed"
        continue
    fi
    case $shell in
    bash) typed bash bash --norc --noprofile -i ;;
    zsh) typed zsh zsh -f -i ;;
    fish) typed fish fish --no-config -i ;;
    esac
done

# What bash and fish offer after "gpt2 COMMAND --" are the options that help lists. (zsh completes
# on a terminal only: tests/test_commands.c reads its script.)
offered_by_bash() {
    "$GPT2" completions bash >"$tmp/completions"
    bash --norc --noprofile -c '. "$1"; COMP_WORDS=("$2" "$3" --) COMP_CWORD=2; _gpt2; printf "%s\n" "${COMPREPLY[@]}"' \
        bash "$tmp/completions" "$GPT2" "$1"
}
offered_by_fish() {
    "$GPT2" completions fish >"$tmp/completions"
    HOME="$tmp/home" fish --no-config -c 'source $argv[1]; complete -C "gpt2 $argv[2] --"' \
        "$tmp/completions" "$1" | cut -f 1
}
commands_after_help_by_bash() {
    bash --norc --noprofile -c '. "$1"; COMP_WORDS=("$2" help "") COMP_CWORD=2; _gpt2; printf "%s\n" "${COMPREPLY[@]}"' \
        bash "$tmp/completions" "$GPT2"
}
commands_after_help_by_fish() {
    HOME="$tmp/home" fish --no-config -c 'source $argv[1]; complete -C "gpt2 help "' "$tmp/completions" |
        cut -f 1
}
commands >"$tmp/commands"
for shell in bash fish; do
    command -v $shell >/dev/null || continue # said above
    "$GPT2" completions $shell >"$tmp/completions"
    commands_after_help_by_$shell </dev/null | sort -u >"$tmp/offered"
    expect "$shell offers commands and topics after help" test "$({ cat "$tmp/commands"; topics; } | sort -u)" = "$(cat "$tmp/offered")"
    while read -r command; do
        "$GPT2" "$command" --help all | sed -n 's/^  \(-., \|    \)\(--[a-z-]*\).*/\2/p' |
            grep -v '^--help$' | sort >"$tmp/options"
        offered_by_$shell "$command" </dev/null | grep -v '^--help$' | sort >"$tmp/offered"
        expect "$shell offers the options of $command" same "$tmp/options" "$tmp/offered"
    done <"$tmp/commands"
done
