# bench: the shape of what it prints, the sweep, refusals. Never how fast anything is.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "bench" "models/tales is not there"
    exit 0
fi

run bench -p abc
expect "a word for a number" refuses 2 '--n-prompt: expected whole numbers from 0 to 1000000, separated by commas, got "abc"'
for list in 8, ,8 8,,9 8x 8,-1 '' 99999999999; do
    run bench -p "$list"
    expect "a list that is none: $list" refuses 2 "got \"$list\""
done
run bench -n "$(seq -s, 33)"
expect "a list too long" refuses 2 '--n-gen: expected at most 32 numbers'
run bench -t 0
expect "no threads" refuses 2 '--threads: expected whole numbers from 1 to 1024'
run bench -b 1,0
expect "an empty batch" refuses 2 '--batch: expected whole numbers from 1'
run bench -r 0
expect "no rounds" refuses 2 '--repetitions: expected a whole number from 1'
run bench --format xml
expect "an unknown format" refuses 2 '--format: expected one of md, csv, json, got "xml"'
run bench -p 0 -n 0
expect "nothing to measure" refuses 2 'nothing to measure'
run bench -p 513
expect "a prompt beyond the context" refuses 2 '--n-prompt: 513 tokens at depth 0 do not fit the model'
run bench -p 0 -n 13 -d 500
expect "decoding beyond the context" refuses 2 '--n-gen: 13 tokens at depth 500 do not fit'
run bench -d 0,512
expect "a depth without room" refuses 2 '--n-depth: 512 tokens leave no room'
run bench --cpu abacus -p 1 -n 0
expect "an unknown kernel variant" refuses 2 'kernel variant "abacus"'
run bench -m no-such-model
expect "an unknown model" refuses 4 'model "no-such-model"'

run bench -p 8 -n 0 -r 1 -t 1
tr '\n' ' ' <"$out" >"$tmp/line"
expect "the legend says of what a share is" grep -qF 'of read: of the read limit on the faster of the two page sizes.' "$tmp/line"

run bench --speculate lookup -r 1 -n 9 -t 1
expect "guesses" exits 0
expect "how many were right" grep -qE '^\| lookup \| 1 \|.* \| [0-9.]+ % \| [0-9.]+ \| [0-9.]+ % \|$' "$out"
run bench --speculate lookup -r 1 -n 9 -t 1 --temp 0.5 --top-k 7
expect "drawn as it was asked" grep -qF 'in turns; temp 0.5, top-k 7' "$out"
run bench --speculate lookup -r 1 -n 9 -t 1 --greedy
expect "the likeliest token" grep -qF 'in turns; greedy' "$out"
run bench --temp 0.5
expect "a temperature without a text" refuses 2 '--temp has an effect only with --speculate'
run bench --speculate lookup --greedy --top-k 3
expect "draws of the likeliest token" refuses 2 'exclude each other'
run bench --speculate self -r 1 -n 9 -t 1
expect "guesses of its own" grep -q '^| self | 1 |' "$out"
run bench --speculate lookup -n 510
expect "more than the context" refuses 2 '--speculate: 510 tokens after a prompt of 4 do not fit'
run bench --speculate lookup -p 3
expect "guesses for a prompt" refuses 2 '--speculate and --n-prompt exclude each other'
run bench --speculate lookup -t 1,2
expect "two numbers of threads" refuses 2 'expected one number of threads and one of tokens'

small="-p 3 -n 2 -r 1"
run bench $small
expect "a table" exits 0
expect "and nothing on stderr where that is no terminal" test ! -s "$err"
expect "names version and machine" grep -Eq '^gpt2 [0-9.]+ on .+, [0-9]+ processors$' "$out"
expect "has one row of limits" test "$(grep -Ec 'GB/s \|.* GFLOP/s \|' "$out")" -eq 1
expect "a prompt is a share of the peak" grep -Eq '^\| pp3 +\| +[0-9]+ \|( +[0-9.]+ \|){3} +\| +\| +[0-9.]+ \| +[0-9.]+ % \|$' "$out"
expect "decoding is a share of the read limit" grep -Eq '^\| tg2 +\| +[0-9]+ \|( +[0-9.]+ \|){4} +[0-9.]+ % \| +\| +\|$' "$out"
expect "columns are aligned" test "$(grep '^|' "$out" | awk '/^\| limits|^\| test/ { n = length } length != n' | wc -l)" -eq 0

expect "the limits name the instruction of int8 products" grep -Eq '^\| [a-z0-9_]+ +\| +[0-9]+ \|( +([0-9.]+ GB/s|unavailable) \|){3} +[0-9.]+ GFLOP/s \| +[0-9.]+ GOP/s (v?[a-z0-9]+|plain C) \|$' "$out"

[ -n "${VALGRIND:-}" ] && exit 0 # the rest is more of the same, and takes minutes

run bench -p 2,3 -n 1,2 -b 1,2 -d 0,4 -t 1,2 -r 1 --format csv
expect "lists are tried in every combination" test "$(wc -l <"$out")" -eq $((1 + 2 * 2 * (2 + 2 * 2)))
expect "each line has all fields" test "$(sed 's/"[^"]*"//g' "$out" | awk -F, '{ print NF }' | sort -u | wc -l)" -eq 1
for test in pp2 pp3@d4 tg1 'tg1 b2' 'tg2@d4 b2'; do
    expect "$test with one thread and with two" test "$(grep -c "^\"$test\"," "$out")" -eq 2
done
expect "a batch is judged both ways" test "$(grep '^"tg1 b2"' "$out" | awk -F, '$11 > 0 && $12 > 0 && $13 > 0 && $14 > 0' | wc -l)" -eq 2
expect "medians lie between least and most" test "$(awk -F, 'NR > 1 && !($9 <= $8 && $8 <= $10 && $9 > 0)' "$out" | wc -l)" -eq 0

run bench $small --format json -t 1 --cpu generic --kv f16
expect "JSON" exits 0
if command -v python3 >/dev/null; then
    expect "is what JSON readers read" python3 - "$out" <<'END'
import json, sys
prompt, decode = json.load(open(sys.argv[1]))
assert (prompt["test"], decode["test"]) == ("pp3", "tg2")
assert prompt["n_prompt"] == 3 and prompt["n_gen"] == 0 and decode["n_gen"] == 2
assert prompt["gb_s"] is None and decode["peak_percent"] is None
for r in prompt, decode:
    assert r["kernels"] == "generic" and r["threads"] == 1 and r["kv"] == "f16" and r["rounds"] == 1
    assert r["cpu"] and r["version"] and r["n_cpus"] >= 1 and r["model"].endswith("tales")
    assert r["tok_s"] > 0 and r["limit_read_4k_gb_s"] > 0 and r["limit_fma_gflop_s"] > 0
# tok/s and GB/s are two views of one time: bytes a token, weights and on average half a token of cache
assert 0 < decode["gb_s"] * 1e9 / decode["tok_s"] - decode["weight_bytes"] < 1e5
# operations a token: blocks 12 n_embd^2 each, and a third of the head, since one row of three wants logits
n = 2 * (12 * prompt["n_layer"] * prompt["n_embd"] ** 2 + prompt["n_vocab"] * prompt["n_embd"] / 3)
for r in prompt, decode:
    assert r["limit_int8_instruction"] == "plain C"
    assert r["limit_read_far_gb_s"] > 0 and r["limit_read_far_bytes"] >= 4 * r["weight_bytes"]
    shares = [r[k] for k in ("read_percent", "peak_percent") if r[k] is not None]
    assert (r["doubt"] is not None) == any(s > 102 for s in shares)  # one round has no spread
near = lambda a, b: abs(a / b - 1) < 1e-3
assert near(prompt["gop_s"] * 1e9 / prompt["tok_s"], n)
assert near(prompt["peak_percent"], 100 * prompt["gop_s"] / prompt["limit_fma_gflop_s"])
limit = max(decode["limit_read_4k_gb_s"], decode["limit_read_2m_gb_s"] or 0)
assert near(decode["read_percent"], 100 * decode["gb_s"] / limit)
END
else
    skip "is what JSON readers read" "no python3"
fi
run bench $small --profile
expect "a profile of each test" test "$(grep -Ec '^\| profile of (pp3|tg2) ' "$out")" -eq 2
for kind in 'B*F[0-9][0-9]' attention softmax norm activation 'not in kernels'; do
    expect "with $kind in it" test "$(grep -c "^| $kind  *|.* % |\$" "$out")" -eq 2
done
expect "its shares are those of the whole" test "$(awk -F'|' '/^\| profile of/ { on = 1; next } /^$/ { if (on && (sum < 99 || sum > 101)) bad++; on = sum = 0 } on { sum += $6 } END { print bad + 0 }' "$out")" -eq 0
run bench $small --profile --json
expect "and fields of programs" grep -q '"profile_attention_percent": [0-9]' "$out"
run bench $small -p 0 models/tales
expect "no profile without --profile" test "$(grep -c 'profile' "$out")" -eq 0
expect "-p 0 leaves prompts out" test "$(grep -c '^| pp' "$out")" -eq 0
run bench $small -n 0
expect "-n 0 leaves decoding out" test "$(grep -c '^| tg' "$out")" -eq 0
run bench -d 500 -r 1
expect "defaults shrink to what fits" grep -q '^| pp12@d500 ' "$out"

"$GPT2" bench -r 1000 >"$out" 2>"$err" &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
status=$?
expect "SIGTERM ends it with 143" exits 143
expect "without half a table" silent
