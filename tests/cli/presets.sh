# --compat: what each of the four systems says of a prompt, by tests/presets.py, which computes it
# from the definitions in double precision and shares nothing with the program.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "presets" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "presets" "too long under valgrind"
    exit 0
fi

# Lengths and seeds that follow from the system alone.
count() { [ "$(grep -v '^====' "$out" | tr ' ' '\n' | grep -c .)" -eq "$1" ]; }
ctx=$("$GPT2" info | sed -n 's/^n_ctx *//p')
run generate Once --compat hf --format ids
expect "hf makes 20 tokens" count 20
# Each number about drawing, as --help lists them, makes hf draw.
run generate Once --compat hf --format ids --seed 5
cp "$out" "$tmp/greedy"
"$GPT2" generate --help all | sed -n '/^Sampling/,/^$/s/^ *--\([a-z-]*\) [A-Z]\{1,\}\( .*\)\{0,1\}$/\1/p' |
    grep -vx compat >"$tmp/numbers" # whatever the number is called
while read -r name; do
    case $name in
    top-k) value=5 ;;
    min-p) value=0.05 ;; # more leaves hardly anything but the likeliest
    *) value=0.9 ;;
    esac
    run generate Once --compat hf --format ids --seed 5 "--$name" "$value"
    expect "hf draws with --$name" not same "$tmp/greedy" "$out"
done <"$tmp/numbers"
expect "... which are five at least" test "$(wc -l <"$tmp/numbers")" -ge 5
run generate Once --compat openai --format ids
expect "openai makes half a context" count $((ctx / 2))
run generate Once --compat nanogpt --format ids -n 3
expect "nanogpt makes 10 samples" count 30
cp "$out" "$tmp/nanogpt"
run generate Once --compat nanogpt --format ids -n 3 --seed 1337
expect "... from the seed 1337" same "$tmp/nanogpt" "$out"
run generate Once --compat nanogpt --format ids -n 3 --seed 0
expect "... if it is told no other" test "$(cmp -s "$tmp/nanogpt" "$out"; echo $?)" -eq 1
if [ -z "${QUICK:-}" ]; then
    run generate Once --compat nanogpt --format ids --num-samples 1
    expect "... of 500 tokens" count 500
    run generate Once --compat llama.cpp --ignore-eos --format ids
    expect "llama.cpp goes on until the context is full" count "$ctx"
fi

# Texts in which <|endoftext|> is likely: after it two of the systems go on.
eos=$("$GPT2" info | sed -n 's/^end of text *//p')
for system in openai nanogpt; do
    run generate Once --compat $system -n 30 --num-samples 1 --logit-bias "$eos+10" --format ids
    expect "$system goes on after the end of a text" test "$(tr ' ' '\n' <"$out" | sed '$d' | grep -cx "$eos")" -gt 0
    expect "... as far as it was told" count 30
    run generate Once --compat $system -n 30 --num-samples 1 --logit-bias "$eos+10" --stop "<|endoftext|>" --json
    expect "... unless it is a stop" grep -q '"finish_reason":"stop","stop":"<|endoftext|>"' "$out"
done
for system in hf llama.cpp native; do
    run generate Once --compat $system -n 30 --logit-bias "$eos+12" --json
    expect "$system ends there" grep -q '"finish_reason":"stop","stop":"<|endoftext|>"' "$out"
done
run generate "Is it?" --compat nanogpt --num-samples 1 --choices " yes, yes sir"
expect "among choices the end token still ends" grep -qxE ' yes( sir)?' "$out"

python=
for p in python3 /usr/bin/python3; do
    [ -z "$python" ] && $p -c 'import numpy' 2>/dev/null && python=$p
done
if [ -z "$python" ]; then
    skip "texts of the four systems" "no python3 with numpy"
    exit 0
fi
run tokenize "Once upon a time there was a king, a king, a king"
prompt=$(cat "$out")
# told SYSTEM N [OPTIONS OF THE PROGRAM -- OPTIONS OF THE MODEL]
told() {
    system=$1 n=$2 options=
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do options="$options $1" && shift; done
    [ $# -gt 0 ] && shift
    # shellcheck disable=SC2086
    $python tests/presets.py models/tales "$system" "$n" $prompt "$@" >"$tmp/told" 2>"$tmp/why" || cat "$tmp/why" >>"$tmp/told"
    # shellcheck disable=SC2086
    run generate --ids "$prompt" --compat "$system" -n "$n" --format ids $options
    grep -v '^====' "$out" | grep . >"$tmp/ids"
    same "$tmp/told" "$tmp/ids"
}
expect "hf: the text" told hf 12
expect "... with its repetition penalty over the prompt, too" told hf 8 --repeat-penalty 1.4 -- --penalty 1.4
expect "... and its end" told hf 12 --logit-bias "$eos+10" -- --bias "$eos=10"
expect "openai: the text" told openai 12
expect "... with a penalty on what it said itself" told openai 16 --presence-penalty 3 --logit-bias "$eos+4" -- --penalty 4 --bias "$eos=4"
expect "llama.cpp: the text" told llama.cpp 12
expect "nanogpt: the texts" told nanogpt 4
expect "... on after the end" told nanogpt 3 --logit-bias "$eos+6" -- --bias "$eos=6"
# 63 tokens: the window of 64 leaves its first ones behind.
prompt="$prompt $(seq 300 348 | tr '\n' ' ')"
expect "llama.cpp: the penalty in its window" told llama.cpp 8 --repeat-penalty 1.4 --logit-bias "${prompt%% *}+9" -- --penalty 1.4 --bias "${prompt%% *}=9"
