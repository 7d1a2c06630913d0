"""The files of `inspect dump` and `generate --logits` as numpy reads them, against tools/python/gpt2.py: every bit.

    dumped.py MODEL TEXT FILE.npz              every site, logits, attention and lens
    dumped.py MODEL TEXT FILE.npy SITE [LAYER]
    dumped.py MODEL TEXT FILE.npy "generated=IDS"    of `generate --logits --format ids`
"""

import json
import os
import sys
import zipfile

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "python"))
import gpt2  # noqa: E402


def same(a, b, what):
    assert a.dtype == np.float32, "%s: %s" % (what, a.dtype)
    assert a.shape == b.shape, "%s: %s, expected %s" % (what, a.shape, b.shape)
    assert a.tobytes() == b.astype(np.float32).tobytes(), what


def tensor(name):
    """[...] float64, of the model's safetensors file."""
    with open(os.path.join(sys.argv[1], "model.safetensors"), "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        entry = next(header[n] for n in (name, "transformer." + name) if n in header)
        begin, end = entry["data_offsets"]
        file.seek(8 + size + begin)
        data = file.read(end - begin)
    if entry["dtype"] == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(
            entry["shape"]).astype(float)
    return np.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[entry["dtype"]]).reshape(
        entry["shape"]).astype(float)


def check_all(model, ids, path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    file = np.load(path)
    names = set(file.files)
    for site in gpt2.SITES:
        if site in ("embedding", "ln_f"):
            same(file[site], model.hidden(ids, site), site)
            names.discard(site)
            continue
        rows = model.hidden(ids, site)
        for layer in range(model.n_layer):
            same(file["%s.%d" % (site, layer)], rows[layer], "%s.%d" % (site, layer))
            names.discard("%s.%d" % (site, layer))
    logits = model.logits(ids)
    same(file["logits"], logits, "logits")
    same(file["lens.%d" % (model.n_layer - 1)], logits, "the last lens")
    n, head_dim = len(ids), model.n_embd // model.n_head
    qkv = model.hidden(ids, "qkv").astype(float)
    for layer in range(model.n_layer):
        q, k, v = (qkv[layer][:, i * model.n_embd:(i + 1) * model.n_embd]
                   .reshape(n, model.n_head, head_dim).transpose(1, 0, 2) for i in range(3))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(head_dim)
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        found = file["attention.%d" % layer]
        assert found.shape == weights.shape and found.dtype == np.float32, found.shape
        assert np.allclose(found, weights, atol=1e-6), "attention.%d" % layer
        mixed = (found @ v).transpose(1, 0, 2).reshape(n, -1)
        assert np.allclose(mixed, file["heads.%d" % layer], atol=1e-3), "heads.%d" % layer
    gain, bias, wte = (tensor(name) for name in ("ln_f.weight", "ln_f.bias", "wte.weight"))
    for name, stream in [("lens.embedding", "embedding"), ("lens.0", "resid.0")]:
        x = file[stream].astype(float)
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        found = file[name]
        assert found.shape == (n, model.n_vocab) and found.dtype == np.float32, name
        assert np.allclose((x * gain + bias) @ wte.T, found, atol=1e-3), name
    names -= {"logits", "lens.embedding"}
    names -= {"%s.%d" % (kind, i) for kind in ("lens", "attention") for i in range(model.n_layer)}
    assert not names, names


def main():
    model = gpt2.Model(sys.argv[1])
    ids = model.tokenize(sys.argv[2])
    if sys.argv[3].endswith(".npz"):
        check_all(model, ids, sys.argv[3])
        return
    site = sys.argv[4]
    if site.startswith("generated="):
        more = np.array(site[10:].split(), np.int32)
        rows = model.logits(np.concatenate([ids, more]))
        same(np.load(sys.argv[3]), rows[len(ids) - 1:-1], "generated")
        return
    layer = int(sys.argv[5]) if len(sys.argv) > 5 else None
    right = model.logits(ids) if site == "logits" else model.hidden(ids, site, layer)
    same(np.load(sys.argv[3]), right, site)


main()
