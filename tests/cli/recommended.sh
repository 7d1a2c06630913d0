# generation_config.json: what a model recommends for drawing text, who wins over it, and that every
# container carries it.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "recommended" "models/tales is not there"
    exit 0
fi
model=$tmp/model
plain=$tmp/plain
mkdir "$model" "$plain"
for file in config.json model.safetensors vocab.json merges.txt; do
    cp "models/tales/$file" "$model/$file"
    cp "models/tales/$file" "$plain/$file"
done
cat >"$model/generation_config.json" <<'END'
{
  "do_sample": true, "temperature": 1.5, "top_k": 7, "top_p": 0.8, "repetition_penalty": 1.25,
  "repeat_last_n": 20, "min_p": 0.03125, "max_new_tokens": 33, "eos_token_id": [8191],
  "transformers_version": "4.40.0"
}
END
tell() { # tell FILE MODEL [OPTIONS]: a text, its ids alone
    told=$1 && shift
    seed="--seed 3"
    case $* in *--greedy*) seed= ;; esac
    # shellcheck disable=SC2086
    run generate Once --format ids $seed -m "$@"
    expect "a text by $1 $2 $3 $4" exits 0
    cp "$out" "$tmp/$told"
}
all="--temp 1.5 --top-k 7 --top-p 0.8 --repeat-penalty 1.25 --repeat-last-n 20 --min-p 0.03125"
tell said "$model"
# shellcheck disable=SC2086 # words
tell asked "$plain" $all -n 33
tell ours "$plain"
expect "a model's recommendation is what the options say" same "$tmp/asked" "$tmp/said"
expect "... and not what a model without it draws" not same "$tmp/ours" "$tmp/said"

# The command line, then --compat, then the model, then ours.
tell native "$model" --compat native
expect "--compat native is as if the model said nothing" same "$tmp/ours" "$tmp/native"
tell hf_said "$model" --compat hf
tell hf_plain "$plain" --compat hf
expect "--compat hf too" same "$tmp/hf_plain" "$tmp/hf_said"
for option in "--temp 0.9" "--top-k 3" "--top-p 0.5" "--repeat-penalty 2" "--min-p 0.2" "-n 9" "--greedy"; do
    # shellcheck disable=SC2086
    tell said "$model" $option
    rest=$(printf '%s -n 33 ' "$all" | sed "s/${option%% *} [0-9.]* //")
    case $option in
    -n*) rest=$all ;;
    --greedy) rest="-n 33 --repeat-penalty 1.25 --repeat-last-n 20" ;;
    esac
    # shellcheck disable=SC2086
    tell asked "$plain" $rest $option
    expect "$option on the command line wins" same "$tmp/asked" "$tmp/said"
done
printf '{"prompt": "Once", "seed": 3, "temperature": 0.9}\n{"prompt": "Once", "seed": 3}\n' >"$tmp/jobs"
run generate -m "$model" --input "$tmp/jobs" -o "$tmp/said.jsonl"
expect "a job has the model's defaults" exits 0
printf '{"prompt": "Once", "seed": 3, "temperature": 0.9}\n{"prompt": "Once", "seed": 3, "temperature": 1.5}\n' >"$tmp/jobs"
# shellcheck disable=SC2086
run generate -m "$plain" --input "$tmp/jobs" -o "$tmp/asked.jsonl" $(printf '%s' "$all" | sed 's/--temp 1.5//') -n 33
texts() { sed 's/.*"text"/"text"/; s/"model":"[^"]*"//; s/"system_fingerprint":"[^"]*"//' "$1"; }
texts "$tmp/said.jsonl" >"$tmp/a"
texts "$tmp/asked.jsonl" >"$tmp/b"
expect "... and a record's own values win" same "$tmp/a" "$tmp/b"

# do_sample: absent is not greedy, false is.
echo '{"do_sample": false}' >"$plain/generation_config.json"
tell said "$plain"
tell asked "$plain" --greedy
expect "do_sample false is greedy" same "$tmp/asked" "$tmp/said"
tell said "$plain" --temp 0.8
expect "... until an option says how to draw" same "$tmp/ours" "$tmp/said"
echo '{"eos_token_id": 8191}' >"$plain/generation_config.json"
tell said "$plain"
expect "an absent do_sample draws" same "$tmp/ours" "$tmp/said"

# Every container carries it.
tell said "$model"
run convert "$model" --to safetensors -o "$tmp/st"
run convert "$model" --to gguf -o "$tmp/x.gguf"
run quantize "$model" --type q8 -o "$tmp/x.q8"
run info "$model" --json
sed 's/.*"generation_config"/"generation_config"/; s/}.*/}/' "$out" >"$tmp/info"
expect "info --json lists it" grep -q '"temperature": 1.5, "top_k": 7' "$tmp/info"
for form in st x.q8; do
    run info "$tmp/$form" --json
    sed 's/.*"generation_config"/"generation_config"/; s/}.*/}/' "$out" >"$tmp/b"
    expect "$form carries it" same "$tmp/info" "$tmp/b"
done
tell again "$tmp/st"
expect "a saved directory tells the same" same "$tmp/said" "$tmp/again"
run info "$tmp/x.gguf"
expect "a GGUF file carries what it has keys for" grep -q "^recommended  *temperature 1.5, top_k 7, top_p 0.8, min_p 0.03125,$" "$out"
expect "... its penalty too" grep -q "^  *repetition_penalty 1.25, repeat_last_n 20$" "$out"
tell again "$tmp/x.gguf" -n 33
expect "... and tells the same" same "$tmp/said" "$tmp/again"
run generate -m "$model" Once -n 2 --stats
expect "--stats says what is drawn with" grep -q "^draws   temp 1.5, top-k 7, top-p 0.8.*repeat-penalty 1.25 (the model" "$err"

# A value out of range is said and not used.
echo '{"temperature": "hot", "top_k": 7}' >"$model/generation_config.json"
run generate -m "$model" Once -n 2
expect "a value that is none is named" grep -q 'generation_config.json: "temperature": expected a number from 0' "$err"
expect "... and the text comes" exits 0
