#!/bin/sh
# python.sh - tools/python/gpt2.py: the same bits as the program; its three scripts; what is installed.
. tests/cli/cases.inc

library=$(ls "${BUILD:-/nowhere}"/libgpt2.so.*.*.* 2>/dev/null | head -n 1)
python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ] || [ -z "$library" ] || [ -n "${VALGRIND:-}" ]; then
    skip "Python" "needs python3 with numpy and the shared library (make shared)"
    exit 0
fi
case $library in /*) ;; *) library=$PWD/$library ;; esac
export GPT2_LIBRARY="$library" PYTHONDONTWRITEBYTECODE=1
if ! "$python" -c 'import ctypes, os; ctypes.CDLL(os.environ["GPT2_LIBRARY"])' 2>"$err"; then
    skip "Python" "the shared library is for another loader: $(tail -n 1 "$err")"
    exit 0
fi

py() {
    "$python" "$@" >"$out" 2>"$err"
    status=$?
}
for test in structures tokenize generate score logits hidden embed errors threads; do
    py tests/python_bindings.py "$GPT2" models/tales $test
    expect "$test" test $status = 0
done

printf 'The old ___ slept.\nOnce there was a ___ who had sons.\n' >"$tmp/frames"
printf 'man\nking\nelectron\n' >"$tmp/words"
py tools/python/surprisal.py models/tales "$tmp/frames" "$tmp/words"
expect "surprisal of a word list" test $status = 0 -a "$(wc -l <"$out")" -eq 7
bits() { awk -F '\t' -v w="$1" '$1 ~ /sons/ && $2 == w { print int($4) }' "$out"; }
expect "a king is less surprising in a tale than an electron" test "$(bits king)" -lt "$(bits electron)"
printf 'he wept\tsad\nshe laughed\tglad\n' >"$tmp/shots"
printf 'they cried\nthey danced\n' >"$tmp/texts"
py tools/python/few_shot.py models/tales "$tmp/shots" "$tmp/texts"
expect "few-shot classification" test $status = 0 -a "$(grep -cE 'sad=.*|glad=.*' "$out")" -eq 2
printf 'the king and the queen\nthe queen and the king\na loaf of bread\nsome bread and butter\n' >"$tmp/texts"
py tools/python/neighbours.py models/tales "$tmp/texts"
expect "nearest neighbours" test $status = 0 -a "$(head -n 1 "$out" | cut -f 2)" = "the queen and the king"
py tools/python/neighbours.py
expect "scripts say how they are used" grep -q 'neighbours.py MODEL TEXTS.txt' "$err"
