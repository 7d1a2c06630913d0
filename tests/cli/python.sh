#!/bin/sh
# python.sh - tools/python/gpt2.py: the same bits as the program; its three scripts; what is installed.
. tests/cli/cases.inc

library=$(shared_library)
python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ] || [ -z "$library" ] || [ -n "${VALGRIND:-}" ]; then
    skip "Python" "needs python3 with numpy and the shared library (make shared)"
    exit 0
fi
export GPT2_LIBRARY="$library" PYTHONDONTWRITEBYTECODE=1
if ! "$python" -c 'import ctypes, os; ctypes.CDLL(os.environ["GPT2_LIBRARY"])' 2>"$err"; then
    skip "Python" "the shared library is for another loader: $(tail -n 1 "$err")"
    exit 0
fi

py() {
    "$python" "$@" >"$out" 2>"$err"
    status=$?
}
for test in structures tokenize spellings generate score logits hidden embed errors threads; do
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

# A Mac's library has another name. What tells gpt2.py the system is changed after numpy is there.
mkdir -p "$tmp/prefix/lib/python3.9/site-packages" "$tmp/prefix/share/gpt2/python"
cp tools/python/gpt2.py "$tmp/prefix/lib/python3.9/site-packages/"
cp tools/python/surprisal.py tools/python/few_shot.py tools/python/neighbours.py "$tmp/prefix/share/gpt2/python/"
cp "$library" "$tmp/prefix/lib/libgpt2.0.dylib"
mac() { # mac SCRIPT ARGS...
    env -u GPT2_LIBRARY PYTHONPATH="$tmp/prefix/lib/python3.9/site-packages" "$python" -c \
        'import ctypes.util, runpy, sys, numpy; sys.platform = "darwin"; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")' \
        "$tmp/prefix/share/gpt2/python/$@" >"$out" 2>"$err"
    status=$?
}
mac surprisal.py models/tales "$tmp/frames" "$tmp/words"
expect "surprisal.py finds libgpt2.0.dylib on a Mac" test $status = 0 -a "$(wc -l <"$out")" -eq 7
mac few_shot.py models/tales "$tmp/shots" "$tmp/texts"
expect "few_shot.py does" test $status = 0 -a -s "$out"
mac neighbours.py models/tales "$tmp/texts"
expect "neighbours.py does" test $status = 0 -a -s "$out"
mv "$tmp/prefix/lib/libgpt2.0.dylib" "$tmp/prefix/lib/libgpt2.so.0"
mac neighbours.py models/tales "$tmp/texts"
expect "and no libgpt2.so there" grep -q 'ImportError: libgpt2.0.dylib: no such library' "$err"
