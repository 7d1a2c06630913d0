# choose and eval: rankings, exit codes for `if`, records of benchmarks.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "choose" "models/tales is not there"
    exit 0
fi

choices() { sed 1d "$out" | cut -f 4 | tr '\n' ' '; }

run choose "The cat sat on the" --choices refrigerator,mat,zebra
expect "a ranking, likeliest first" test "$(choices | cut -d ' ' -f 1)" = mat
expect "probabilities add up to 1" test "$(sed 1d "$out" | awk '{ p += $1 } END { print (p > 0.99999 && p < 1.00001) }')" -eq 1
cp "$out" "$tmp/ranking"
printf 'refrigerator\nmat\nzebra\n' | "$GPT2" choose -p "The cat sat on the" >"$out" 2>"$err"
expect "choices on standard input" same "$tmp/ranking" "$out"
printf 'refrigerator\nmat\nzebra\n' >"$tmp/list"
printf 'The cat sat on the\n' | "$GPT2" choose --choices-file "$tmp/list" >"$out" 2>"$err"
expect "choices in a file, the prompt on standard input" same "$tmp/ranking" "$out"
run choose "The cat sat on the " --choices refrigerator,mat,zebra
expect "a space at the prompt's end goes to the choices" same "$tmp/ranking" "$out"
run choose "The cat sat on the" --choices refrigerator,mat,zebra -t 1 --cpu generic
expect "the same with one thread and generic kernels" same "$tmp/ranking" "$out"
run choose "The cat sat on the" --choices " refrigerator, mat, zebra" --separator ""
expect "--separator" test "$(cut -f 1-3 "$out")" = "$(cut -f 1-3 "$tmp/ranking")"

# The score is what `score` says of the same tokens.
run score --no-header --no-bos "The cat sat on the refrigerator"
want=$(tail -n +6 "$out" | awk -F '\t' '{ s += $5 } END { printf "%.3f", s }')
expect "the sum is that of score" test "$(awk -F '\t' '$4 == "refrigerator" { printf "%.3f", $2 }' "$tmp/ranking")" = "$want"
n=$(awk -F '\t' '$4 == "refrigerator" { print $3 }' "$tmp/ranking")
run choose "The cat sat on the" --choices refrigerator,mat,zebra --by mean
# Both are rounded, at 6 and at 3 digits.
by_mean() { awk -F '\t' -v n="$n" -v sum="$want" '$4 == "refrigerator" { d = $2 * n - sum; ok = d < 0.001 && d > -0.001 } END { exit !ok }' "$out"; }
expect "--by mean divides by the tokens" by_mean
run choose "The cat sat on the" --choices mat,zebra --by pmi
cp "$out" "$tmp/pmi"
run choose "" --choices mat,zebra --separator " "
prior=$(awk -F '\t' '$4 == "mat" { print $2 }' "$out")
sum=$(awk -F '\t' '$4 == "mat" { print $2 }' "$tmp/ranking")
expect "--by pmi takes away what the choice has without the prompt" test "$(awk -F '\t' '$4 == "mat" { printf "%.4f", $2 }' "$tmp/pmi")" = "$(awk -v a="$sum" -v b="$prior" 'BEGIN { printf "%.4f", a - b }')"
run choose "The cat sat on the" --choices mat,zebra --by pmi --premise "The cat sat on the"
expect "--premise: after itself the prompt says nothing" test "$(cut -f 1,2 "$out" | sed 1d | tr '\n\t' '  ')" = "0.500000 0.000000 0.500000 0.000000 "
run choose "The cat sat on the" -c zebra,mat --best
expect "--best" prints mat
run choose "The cat sat on the" -c zebra,mat --jsonl
expect "--jsonl" grep -q '^{"choice": "mat", "p": 0\.[0-9]*, "score": -[0-9.]*, "tokens": 1}$' "$out"

run choose "The cat sat on the" -c zebra,mat --test mat
expect "--test: yes" exits 0
expect "... in silence" silent
run choose "The cat sat on the" -c zebra,mat --test zebra
expect "--test: no" exits 1
expect "... which is no error" test ! -s "$err"
run choose "The cat sat on the" -c zebra,mat --test dog
expect "--test: none of them" refuses 2 '"dog" is none of the choices'
run choose "The cat" -c sat,sat
expect "a choice given twice" refuses 2 'given twice'
run choose "The cat" -c sat,,on
expect "an empty choice" refuses 2 'a choice is empty'
run choose "The cat" -c sat,
expect "an empty choice at the end" refuses 2 'a choice is empty'
run choose "The cat"
expect "no choices" refuses 2 'no choices given'
run choose
expect "nothing at all" exits 2
run choose "The cat" -c sat --by luck
expect "an unknown measure" refuses 2 'sum, mean, pmi'
run choose "The cat" -c sat --premise x
expect "a premise without pmi" refuses 2 '--premise has an effect only with --by pmi'
run choose "$(yes word | head -n 600)" -c a,b
expect "a prompt beyond the context" refuses 5 "the model's context holds 512"
run choose h --separator '' -c e
expect "a choice that is no token of its own" refuses 5 "found that it and the context are one token together"

# Many prompts that begin alike: each has the answer that it has alone.
common=$(yes "One day the little cat sat on the mat and saw a big dog." | head -n 12 | tr '\n' ' ')
for i in 1 2 3 4 5 6 7 8; do printf '%sThe cat had %d\n' "$common" $i; done >"$tmp/prompts"
for more in "--cache-memory 0" "" "--cache-memory 2M" "-t 1"; do
    # shellcheck disable=SC2086
    "$GPT2" choose --lines -f "$tmp/prompts" -c "mice,dogs,a big red ball" --jsonl $more >"$tmp/lines${more%% *}" 2>"$err"
    expect "choose --lines ${more}" test "$(grep -c '^{"choice": ' "$tmp/lines${more%% *}")" -eq 8
    expect "... says the same" same "$tmp/lines--cache-memory" "$tmp/lines${more%% *}"
done
while read -r prompt; do
    printf '{"id": "r%d", "prompt": "%s", "choices": ["mice", "dogs", " a big red ball"]}\n' "${#prompt}" "$prompt"
done <"$tmp/prompts" >"$tmp/records"
"$GPT2" choose --input - <"$tmp/records" >"$tmp/answers" 2>"$err"
expect "choose --input: a line for each" test "$(grep -c '^{"id": "r[0-9]*", "best": [0-2], "choices": \[{"choice": "mice", "p": ' "$tmp/answers")" -eq 8
run choose --input "$tmp/records" --cache-memory 0 -t 1
expect "... the same without what is shared" same "$tmp/answers" "$out"
run choose "$(head -n 1 "$tmp/prompts")" -c "mice,dogs, a big red ball" --jsonl
expect "... and what the prompt has alone" grep -qF "$(sed -n '1s/}$//p' "$out")" "$tmp/answers"
run choose --input "$tmp/records" -o "$tmp/out" --by mean
expect "--input with --output and --by" test "$(wc -l <"$tmp/out")" -eq 8
run choose --input "$tmp/records" --by pmi --premise "The"
expect "--input with --by pmi" test "$(grep -c '"greedy": ' "$out")" -eq 8
cat >"$tmp/bad" <<'END'
{"prompt": "The cat", "choices": ["sat", "sat"]}
{"prompt": "The cat", "choices": []}

{"id": 7, "prompt": "The cat", "choices": ["sat"], "n": 1}
{"prompt": 5, "choices": ["sat"]}
not JSON
{"prompt": "", "choices": ["Once"]}
END
run choose --input "$tmp/bad"
expect "--input: bad records are answered, the others too" exits 3
expect "... in their places" test "$(cut -c 1-15 "$out" | tr '\n' ' ')" = '{"id": 0, "erro {"id": 1, "erro {"id": 7, "erro {"id": 4, "erro {"id": 5, "erro {"id": 6, "best '
expect "... by name" grep -qF '"error": {"code": "invalid_record", "message": "unknown member \"n\""}' "$out"
run choose --input "$tmp/records" -c a,b
expect "--input and --choices" refuses 2 "--input"
run choose --input "$tmp/none"
expect "--input that is not there" exits 5

# Killed and started again.
cat "$tmp/records" "$tmp/bad" >"$tmp/job"
run choose --input "$tmp/job" -o "$tmp/whole"
expect "a job" exits 3
n=$(wc -l <"$tmp/whole")
resumes() {
    run choose --input "$tmp/job" -o "$tmp/part" --resume "$@"
    exits 3 && same "$tmp/whole" "$tmp/part"
}
for lines in 0 1 7 8 "$((n - 1))" "$n"; do
    head -n "$lines" "$tmp/whole" >"$tmp/part"
    expect "--resume after $lines lines: the same file" resumes
    head -n "$lines" "$tmp/whole" >"$tmp/part"
    sed -n "$((lines + 1))p" "$tmp/whole" | head -c 40 >>"$tmp/part"
    expect "... and a torn one" resumes --cache-memory 0 -t 1
done
rm "$tmp/part"
expect "... from nothing" resumes
head -n 3 "$tmp/whole" >"$tmp/part"
run choose --input "$tmp/job" -o "$tmp/part" --resume --by mean
expect "--resume with another option" refuses 2 'was made with another model or other options'
expect "... changes nothing" test "$(wc -l <"$tmp/part")" -eq 3
run choose --input "$tmp/bad" -o "$tmp/part" --resume
expect "--resume with another input" refuses 2 "part, line 1, does not answer $tmp/bad, line 1: expected id 0 and input "
expect "... and which it found" grep -qE 'found id "r[0-9]+" and input [0-9a-f]{16}$' "$err"
sed '2s/"choices"/ &/' "$tmp/job" >"$tmp/edited"
run choose --input "$tmp/edited" -o "$tmp/part" --resume
expect "--resume with an edited input" refuses 2 "part, line 2, does not answer $tmp/edited, line 2"
head -n 2 "$tmp/job" >"$tmp/edited"
run choose --input "$tmp/edited" -o "$tmp/part" --resume
expect "--resume with fewer records than lines" refuses 2 "$tmp/part has 3, the input 2"
expect "... changes nothing" test "$(wc -l <"$tmp/part")" -eq 3
cp "$tmp/prompts" "$tmp/part"
run choose --input "$tmp/job" -o "$tmp/part" --resume
expect "--resume of another file" refuses 2 'found another file'
expect "... changes nothing" same "$tmp/prompts" "$tmp/part"
run choose --input "$tmp/job" --resume
expect "--resume without --output" refuses 2 'resume'
cp "$tmp/job" "$tmp/part"
run choose --input "$tmp/part" -o "$tmp/part"
expect "the output is the input" refuses 2 'is what --input reads'

printf '{"text": "Once upon a time"}\n\n{"text": "Once upon a zebra"}\n' >"$tmp/lambada"
run eval lambada "$tmp/lambada"
expect "lambada: two records" grep -q '^# gpt2 eval: lambada, form lm-eval, 2 items$' "$out"
expect "lambada: one of them right" grep -q '^acc.0\.500000.0\.500000$' "$out"
run score --no-header --no-bos "Once upon a time"
a=$(tail -n +4 "$out" | awk -F '\t' '{ s += $5 } END { print s }')
run score --no-header --no-bos "Once upon a zebra"
b=$(tail -n +4 "$out" | awk -F '\t' '{ s += $5 } END { print s }')
run eval lambada --json "$tmp/lambada"
expect "lambada: ppl is that of the last words" awk -v a="$a" -v b="$b" -v ppl="$(sed 's/.*"ppl": \([0-9.]*\).*/\1/' "$out")" '
    BEGIN { d = ppl / exp(-(a + b) / 2) - 1; exit !(d < 1e-4 && d > -1e-4) }' # the sums were rounded
run eval lambada -n 1 "$tmp/lambada"
expect "--limit" grep -q '^acc.1\.000000.NA$' "$out"
printf '%s\n' '{"ctx": "Once upon a", "ctx_a": "Once", "ctx_b": "upon a", "activity_label": "Tale", "endings": ["xylophone", "time there was a girl"], "label": 1}' >"$tmp/swag"
for form in lm-eval llm.c; do
    run eval hellaswag --form $form "$tmp/swag"
    expect "hellaswag, $form" grep -q '^acc_norm.1\.000000.NA$' "$out"
done
run eval hellaswag "$tmp/lambada"
expect "records of another benchmark" refuses 5 'line 1: "ctx_a": expected a string'
run eval lambada --form llm.c "$tmp/lambada"
expect "a form that is not there" refuses 2 'no form of lambada'
run eval
expect "no task" refuses 2 'expected lambada or hellaswag, got nothing'
expect "... with an example" says 'hint: for example: gpt2 eval lambada'
run eval lambda "$tmp/lambada"
expect "a task with a slip" says 'hint: did you mean lambada?'
run eval chess "$tmp/lambada"
expect "an unknown benchmark" refuses 2 'lambada or hellaswag, got "chess"'
run eval lambada /dev/null
expect "no records" refuses 5 'no records'
run eval lambada "$tmp/none"
expect "a missing file" exits 5
