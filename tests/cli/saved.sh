# Saved sessions: a text goes on as if never stopped, a longer prompt reads only its rest, and a file
# that is not the right one is refused by name.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "saved sessions" "models/tales is not there"
    exit 0
fi

s=$tmp/session
mode() { stat -c %a "$1" 2>/dev/null || stat -f %Lp "$1"; }

# Each option of sampling and repetition, in two parts and in one.
while read -r more; do
    # shellcheck disable=SC2086
    "$GPT2" generate -p "Once upon a time" -n 40 $more >"$tmp/whole" 2>"$err"
    # shellcheck disable=SC2086
    "$GPT2" generate -p "Once upon a time" -n 17 $more --save-session "$s" >"$tmp/first" 2>"$err"
    # shellcheck disable=SC2086
    "$GPT2" generate --load-session "$s" -n 23 $more >"$tmp/second" 2>>"$err" </dev/null
    { head -c -1 "$tmp/first" && cat "$tmp/second"; } >"$tmp/both"
    expect "goes on as if never stopped ${more:+with $more}" same "$tmp/whole" "$tmp/both"
done <<'END'

--temp 0
--seed 7 --temp 1.2 --top-k 0
--kv f16 --top-p 0.8
--kv q8 --min-p 0.1
--repeat-penalty 1.4 --repeat-last-n 20
--presence-penalty 0.9 --frequency-penalty 0.3 --repeat-last-n -1
--no-repeat-ngram 2
--typical-p 0.7 --logit-bias 262-3
--min-tokens 30 --ban cat
--ignore-eos -t 1
END
expect "the file is private" test "$(mode "$s")" = 600
run generate --load-session "$s" -n 3 -t 1 --cpu generic
cp "$out" "$tmp/first"
run generate --load-session "$s" -n 3
expect "the same with one thread and generic kernels" same "$tmp/first" "$out"

# A longer prompt.
long="Once upon a time there was a little girl who had a dog. The dog was big, and it had a ball."
run generate -p "$long" -n 0 --save-session "$s" --stats
expect "-n 0 saves the prompt" exits 0
expect "--stats says the size first" grep -qE '^saves +[0-9]+ tokens, [0-9]+ bytes in ' "$err"
expect "... which it is" test "$(sed -n 's/^saves.* \([0-9]*\) bytes.*/\1/p' "$err")" -eq "$(wc -c <"$s")"
run generate -p "$long" -e -n 0 --save-session "$tmp/again" -t 1 --cpu generic
expect "the same text, the same file" cmp -s "$s" "$tmp/again"
n=$("$GPT2" tokenize --count "$long")
run generate -p "$long One day" -n 12
cp "$out" "$tmp/whole"
run generate -p "$long One day" -n 12 --load-session "$s" --stats
expect "a longer prompt says the same" same "$tmp/whole" "$out"
expect "... and reads only its rest" grep -q "^reused  $n of these tokens" "$err"
run generate -p "$long" -n 12
cp "$out" "$tmp/whole"
run generate -p "$long" -n 12 --load-session "$s"
expect "so does the prompt itself" same "$tmp/whole" "$out"
run generate -p "Once upon a table" -n 3 --load-session "$s"
expect "another prompt is refused, where it differs" refuses 5 'session has the token " time" at 3, the prompt has " table"'
run generate -p "Once upon" -n 3 --load-session "$s"
expect "a shorter one too" refuses 5 'has the token " a" at 2, where the prompt ends'
run generate --ids 1,2,3 -n 3 --load-session "$s"
expect "ids too" refuses 5 'at 0, the prompt has'

# --prompt-cache: what is common, whatever that is.
c=$tmp/cache
ln -s linked "$tmp/link"
run generate -p "$long" -n 1 --prompt-cache "$tmp/link"
expect "--prompt-cache: a link to nothing is written through" test -f "$tmp/linked"
run generate -p "$long" -n 12 --prompt-cache "$c" --stats
expect "--prompt-cache: nothing is there yet" grep -q "^reused  0 of" "$err"
expect "... the text is the same" same "$tmp/whole" "$out"
cp "$c" "$tmp/kept"
run generate -p "$long" -n 12 --prompt-cache "$c" --stats
expect "... then all but one token is" grep -q "^reused  $((n - 1)) of" "$err"
expect "... and the text" same "$tmp/whole" "$out"
expect "... and the file stays" cmp -s "$tmp/kept" "$c"
run generate -p "Once upon a time there was a king" -n 9
cp "$out" "$tmp/whole"
run generate -p "Once upon a time there was a king" -n 9 --prompt-cache "$c" --stats
expect "... of another prompt what is common" grep -qE "^reused  7 of" "$err"
expect "... which changes no text" same "$tmp/whole" "$out"
run generate -p "Once upon a time there was a king" -n 500 --on-overflow slide --max-time 60 --prompt-cache "$tmp/slid"
run generate -p "Once upon a time there was a king" -n 9 --prompt-cache "$tmp/slid" --stats
expect "... also after a slide" same "$tmp/whole" "$out"

# What score and choose make of it: the numbers that they have without.
tail=' and a little red house. One day'
run score --context "$long" "$tail"
cp "$out" "$tmp/whole"
run score --load-session "$s" "$tail"
expect "score: the saved text is the context" same "$tmp/whole" "$out"
run score --load-session "$s" --context "$long" "$tail" --save-session "$tmp/more"
expect "... and so is the context that it begins" same "$tmp/whole" "$out"
expect "... which is saved as generate does" cmp -s "$s" "$tmp/more"
run score --load-session "$s" --context "$long$tail" " he" --no-header --save-session "$tmp/more"
cp "$out" "$tmp/after"
run score --context "$long$tail" " he" --no-header
expect "score: a longer context reads the rest" same "$out" "$tmp/after"
run generate -p "$long$tail" -n 0 --save-session "$tmp/again"
expect "... and saves it" cmp -s "$tmp/again" "$tmp/more"
printf ' he\n she had a dog\n' >"$tmp/ends"
run score --by line --context "$long" -f "$tmp/ends"
cp "$out" "$tmp/whole"
run score --by line --load-session "$s" -f "$tmp/ends"
expect "score: before each line" same "$tmp/whole" "$out"
run score --load-session "$s" --context "Once upon a table" " he"
expect "score: another context is refused" refuses 5 'has the token " time" at 3, the context has " table"'
run score --load-session "$s" --kv q8 " he"
expect "... and another type of cache" refuses 5 'expected q8'
run choose "$long" -c "One day,The end"
cp "$out" "$tmp/whole"
run choose --load-session "$s" -c "One day,The end"
expect "choose: the saved text is the prompt" same "$tmp/whole" "$out"
run choose "$long" --load-session "$s" -c "One day,The end" --save-session "$tmp/more"
expect "... and so is the prompt that it begins" same "$tmp/whole" "$out"
expect "... which is saved as generate does" cmp -s "$s" "$tmp/more"
run choose "$long$tail" -c "he,she" --by pmi
cp "$out" "$tmp/whole"
run choose "$long$tail" -c "he,she" --by pmi --load-session "$s"
expect "choose: a longer prompt" same "$tmp/whole" "$out"
printf '%s\n' "$long$tail" "Once upon a table" >"$tmp/prompts"
run choose --lines -f "$tmp/prompts" -c "he,she" --jsonl
cp "$out" "$tmp/whole"
run choose --lines -f "$tmp/prompts" -c "he,she" --jsonl --load-session "$s"
expect "choose: of many prompts those that begin so" same "$tmp/whole" "$out"
run choose "Once upon a table" --load-session "$s" -c a,b
expect "choose: another prompt is refused" refuses 5 'the prompt has " table"'
run generate --ids "$("$GPT2" tokenize t),$("$GPT2" tokenize h),$("$GPT2" tokenize e)" -n 0 --save-session "$tmp/more"
run choose --load-session "$tmp/more" -c a,b
expect "choose: tokens that are not those of their text" refuses 5 'has other tokens than the tokenizer makes'
run choose "" -c a,b --save-session "$tmp/more"
expect "choose: nothing to save" refuses 5 'a context of 1 to 512 tokens, got 0'

# In a session.
printf 'Once upon a time\n/save-session %s\n' "$tmp/turn" | "$GPT2" generate -i -n 8 >"$tmp/turns" 2>"$err"
expect "/save-session" grep -qE '^gpt2: note: [0-9]+ tokens, [0-9]+ bytes in ' "$err"
printf 'Once upon a time\n and so\n' | "$GPT2" generate -i -n 8 2>"$err" | tail -n 1 >"$tmp/whole"
printf '/load-session %s\n and so\n' "$tmp/turn" | "$GPT2" generate -i -n 8 2>"$err" | tail -n 1 >"$tmp/again"
expect "/load-session: the next turn is the same" same "$tmp/whole" "$tmp/again"
expect "... and says where the text ends" grep -q '^gpt2: note: the text ends "' "$err"
printf '/load-session %s\n/quit\n' "$tmp/none" | "$GPT2" generate -i >"$out" 2>"$err"
expect "/load-session of nothing" grep -q '^gpt2: error: ' "$err"

# Files that are not the right ones.
run generate --load-session "$tmp/none" -n 3
expect "a file that is not there" refuses 5 "$tmp/none"
run generate --load-session models/tales/config.json -n 3
expect "another file" refuses 5 'config.json: expected a saved session, found another file'
head -c 5000 "$s" >"$tmp/cut"
run generate --load-session "$tmp/cut" -n 3
expect "a cut file" refuses 5 "cut: is damaged: expected $(wc -c <"$s" | tr -d ' ') bytes, found 5000"
{ head -c 5000 "$s" && printf 'x' && tail -c +5002 "$s"; } >"$tmp/bad"
run generate --load-session "$tmp/bad" -n 3
expect "a damaged file" refuses 5 'bad: is damaged: its checksum differs'
expect "... with a hint" grep -q '^hint: save it again$' "$err"
run generate --prompt-cache "$tmp/bad" -p "$long" -n 3
expect "a damaged cache" refuses 5 'bad: is damaged'
run generate --load-session "$s" --kv q8 -n 3
expect "another type of cache" refuses 5 'keeps keys and values as f32: expected q8'
expect "... with a hint" grep -q '^hint: --kv f32$' "$err"
"$GPT2" quantize models/tales --type q8 -o "$tmp/q8" 2>"$err"
run generate -m "$tmp/q8" --kv f32 --load-session "$s" -n 3
expect "another model" refuses 5 'session: was made with another model: its logits differ'
run generate -p "Once" -n 3 --save-session "$tmp/no/such"
expect "a folder that is not there" exits 1
expect "... is named" grep -q "^gpt2: error: $tmp/no/such: cannot create: " "$err"
expect "... before there is a text" test ! -s "$out"
for command in "generate -p Once -n 1" "score Once --context a" "choose Once -c a,b"; do
    # shellcheck disable=SC2086
    run $command --save-session "$tmp"
    expect "${command%% *}: a folder is no file, and that is said first" refuses 1 "$tmp: expected a file to write, found a directory"
    expect "..." test ! -s "$out"
done
for option in --prompt-cache --logits; do
    run generate -p Once -n 1 $option "$tmp/no/such"
    expect "... nor can $option" exits 1
    expect "..." test ! -s "$out"
done

# A cache that has all of the prompt is read alone, in a folder of others, too.
mkdir "$tmp/others"
run generate -p "Once upon a time" -n 1 --prompt-cache "$tmp/others/cache"
expect "a cache is made" exits 0
chmod 0555 "$tmp/others"
drop=
if [ -w "$tmp/others" ]; then drop="setpriv --inh-caps=-all --bounding-set=-all"; fi
if $drop true 2>/dev/null && ! $drop test -w "$tmp/others"; then
    # shellcheck disable=SC2034
    $drop "$GPT2" generate -p "Once upon a time" -n 1 --prompt-cache "$tmp/others/cache" >"$out" 2>"$err"
    status=$?
    expect "... and read in a folder that may not be written" exits 0
else
    skip "a cache in a folder that may not be written" "this user can write to every folder (setpriv is missing)"
fi
chmod 0755 "$tmp/others"

# A text that has filled the context.
run generate -p "Once upon a time" -n -1 --ignore-eos --save-session "$tmp/full"
expect "a text that fills the context is saved" exits 0
run generate --load-session "$tmp/full" -n 2
expect "... and says why it does not go on" refuses 5 "--load-session: the text of $tmp/full has 513 tokens, the model's context holds 512"
expect "... and how it does" grep -q '^hint: --truncate left --on-overflow slide' "$err"
run generate --load-session "$tmp/full" -n 2 --truncate left --on-overflow slide
expect "... which works" exits 0
run generate -p Once --save-session "$s" --num-samples 2
expect "one text" refuses 2 "a saved session has one text"
run generate -p Once --save-session "$s" --on-overflow slide
expect "no sliding" refuses 2 "--save-session"
run generate -p Once --prompt-cache "$s" --load-session "$s"
expect "a cache is no saved text" refuses 2 "--load-session"
