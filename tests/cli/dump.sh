#!/bin/sh
# dump.sh - gpt2 inspect dump: arrays of every site, as NumPy reads them; shapes, names, refusals.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "dump" "models/tales is not there"
    exit 0
fi
exits() { test $status -eq "$1"; }
refuses() { test $status = "$1" && grep -qF -e "$2" "$err"; }
figure() { "$GPT2" info --json | sed "s/.*\"$1\": \([0-9]*\).*/\1/"; }
layers=$(figure n_layer) n_embd=$(figure n_embd) n_head=$(figure n_head)
text="the king and the queen"
n=$("$GPT2" tokenize --count -p "$text")
shaped() { grep -qaF "{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }" "$1"; }

# ---- one array ----
run inspect dump -p "$text" -o "$tmp/resid.npy"
expect "the stream after each block" exits 0
expect "is [layers, tokens, n_embd]" shaped "$tmp/resid.npy" "$layers, $n, $n_embd"
expect "that many numbers after a header of 128 bytes" \
    test "$(wc -c <"$tmp/resid.npy")" -eq $((128 + 4 * layers * n * n_embd))
run inspect dump "$text" --sites resid
expect "goes to standard output, too" cmp "$out" "$tmp/resid.npy"
run inspect dump "$text" --sites resid -t 1 --cpu generic
expect "is the same with other threads and kernels" cmp "$out" "$tmp/resid.npy"
run inspect dump "$text" --sites resid --layer 1 -o "$tmp/one.npy"
expect "of one layer" shaped "$tmp/one.npy" "$n, $n_embd"
run inspect dump "$text" --sites ln_f -o "$tmp/ln_f.npy"
expect "of a site without layers" shaped "$tmp/ln_f.npy" "$n, $n_embd"
run inspect dump "$text" --sites attention -o "$tmp/attention.npy"
expect "attention weights" shaped "$tmp/attention.npy" "$layers, $n_head, $n, $n"
run inspect dump "$text" --lens -o "$tmp/lens.npy"
expect "the lens alone" shaped "$tmp/lens.npy" "$((layers + 1)), $n, $(figure n_vocab)"
run inspect dump "$text" --ablate ln-gain -o "$tmp/ablated.npy"
differs() { ! cmp -s "$1" "$2"; }
expect "an ablation is another stream" differs "$tmp/ablated.npy" "$tmp/resid.npy"

# ---- several ----
sites=embedding,ln_1,qkv,heads,attn,resid_mid,ln_2,mlp_hidden,mlp,resid,ln_f,logits,attention
run inspect dump "$text" --sites $sites --lens -o "$tmp/all.npz"
expect "every site" exits 0
named() { grep -qaF "$2.npy" "$1"; }
expect "has a name for each layer" named "$tmp/all.npz" "resid.$((layers - 1))"
run inspect dump "$text" --sites $sites --lens
expect "is the same file each time" cmp "$out" "$tmp/all.npz"
run inspect dump "$text" -o "$tmp/single.npz"
expect "one site in a .npz" named "$tmp/single.npz" resid.0
run inspect dump "$text" --sites mlp,logits --layer 2 -o "$tmp/layer.npz"
expect "one layer and what has none" named "$tmp/layer.npz" mlp.2
expect "in one file" named "$tmp/layer.npz" logits

# ---- refusals ----
run inspect dump "$text" --sites resid,nonsense
expect "an unknown site" refuses 2 '--sites: expected a list of embedding, ln_1,'
run inspect dump "$text" --sites resid,
expect "half a list" refuses 2 'got ""'
run inspect dump "$text" --sites mlp,mlp
expect "a site twice" refuses 2 '--sites: mlp is given twice'
run inspect dump "$text" --sites mlp,resid -o "$tmp/two.npy"
expect "two sites in a .npy" refuses 2 'a .npy file has one array, and 2 sites are asked for'
expect "leave no file" test ! -e "$tmp/two.npy"
run inspect dump "$text" --layer "$layers"
expect "a layer that is not there" refuses 2 "--layer: expected 0 to $((layers - 1))"
run inspect dump "$text" --sites logits,ln_f --layer 0
expect "a layer of what has none" refuses 2 '--layer has no effect'
run inspect dump "$text" --json
expect "a form of views" refuses 2 '--json has no effect with `gpt2 inspect dump`'
run inspect lens "$text" --sites resid
expect "sites of a view" refuses 2 '--sites has an effect only with `gpt2 inspect dump`'
run inspect dump "$text" -o /no/such/folder/a.npz
expect "a file nowhere" refuses 1 '/no/such/folder/a.npz: cannot create: No such file'
if command -v python3 >/dev/null; then
    play inspect dump "$text" </dev/null
    expect "arrays are not for a terminal" grep -q "give -o FILE.npz" "$screen"
else
    skip "arrays are not for a terminal" "no python3"
fi

# ---- generate --logits ----
rows() { "$GPT2" generate -p "$text" --logits "$tmp/rows.npy" --format ids "$@" >"$out" 2>"$err"; status=$?; }
counted() { shaped "$tmp/rows.npy" "$(wc -w <"$out"), $(figure n_vocab)"; }
rows -n 8 --seed 3
expect "a row for each token" counted
cp "$tmp/rows.npy" "$tmp/eight.npy"
cp "$out" "$tmp/eight"
rows -n 8 --seed 3 --speculate off -t 1 --cpu generic
expect "the same whatever computes them" cmp "$tmp/rows.npy" "$tmp/eight.npy"
rows -n 60 --stop . --seed 1
expect "a text that a stop ends" counted
eos=$("$GPT2" info --json | sed 's/.*"eos_ids": \[\([0-9]*\).*/\1/')
rows -n 30 --logit-bias "$eos+1000" --min-tokens 3
expect "a text that the end token ends" counted
expect "has no row of the end token" \
    test "$(wc -c <"$tmp/rows.npy")" -eq $((128 + 4 * 3 * $(figure n_vocab)))
rows -n 0
expect "of no token" shaped "$tmp/rows.npy" "0, $(figure n_vocab)"
run generate -p "$text" --logits - -n 2
expect "not on standard output" refuses 2 '--logits: expected the name of a file'
run generate -p "$text" --logits "$tmp/a.npy" --compat nanogpt -n 2
expect "of one text" refuses 2 '--logits are of one text'
run generate -p "$text" --logits /no/such/folder/a.npy -n 2
expect "nowhere" refuses 1 '/no/such/folder/a.npy: cannot create: No such file'

# ---- NumPy's view ----
library=$(shared_library)
python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi
done
export GPT2_LIBRARY="$library" PYTHONDONTWRITEBYTECODE=1
if [ -z "$python" ] || [ -z "$library" ] || [ -n "${VALGRIND:-}" ] ||
    ! "$python" -c 'import ctypes, os; ctypes.CDLL(os.environ["GPT2_LIBRARY"])' 2>"$err"; then
    skip "arrays are gpt2.py's" "needs python3 with numpy and the shared library (make shared)"
    exit 0
fi
same() {
    "$python" tests/dumped.py models/tales "$text" "$@" >"$out" 2>"$err"
    status=$?
}
same "$tmp/all.npz"
expect "every array is gpt2.py's; attention and lens are numpy's own" exits 0
same "$tmp/resid.npy" resid
expect "the stream is gpt2.py's" exits 0
same "$tmp/one.npy" resid 1
expect "one layer is gpt2.py's" exits 0
same "$tmp/ln_f.npy" ln_f
expect "ln_f is gpt2.py's" exits 0
same "$tmp/eight.npy" "generated=$(cat "$tmp/eight")"
expect "the rows of a text are those of gpt2.py" exits 0
