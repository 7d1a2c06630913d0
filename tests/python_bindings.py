#!/usr/bin/env python3
"""tools/python/gpt2.py against the program, for cli/python.sh.

    python_bindings.py PROGRAM MODEL TEST

Each test prints nothing where all is right.
"""

import ctypes
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools", "python"))
import numpy as np  # noqa: E402

import gpt2  # noqa: E402

PROGRAM, PATH = sys.argv[1:3]
TEXT = "Once upon a time there was an old man, who lived alone with his wife and three sons."


def program(*arguments, stderr=False):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.stderr.decode())
    return (done.stderr if stderr else done.stdout).decode()


def same(a, b, what):
    if a != b:
        sys.exit("%s: %r, not %r" % (what, a, b))


def structures(model):
    """The sizes that test_options_abi.c pins."""
    with open(os.path.join(os.path.dirname(__file__), "test_options_abi.c")) as file:
        pinned = {k: int(v) for k, v in re.findall(r"PINNED\((\w+), (\d+)\)", file.read())}
    seen = 0
    for name, size in pinned.items():
        made = getattr(gpt2, "_" + "".join(p.capitalize() for p in name.split("_")), None)
        if made:
            seen += 1
            same(ctypes.sizeof(made), size, name)
    assert seen >= 8, seen
    config = json.loads(program("info", "-m", PATH, "--json"))
    for key in ("n_vocab", "n_ctx", "n_embd", "n_layer", "n_head", "n_inner", "eos_ids"):
        same(getattr(model, key), config[key], key)


def tokenize(model):
    for text in (TEXT, "", " a\0b", "na\u00efve \U0001f600<|endoftext|>"):
        ids = model.tokenize(text)
        same(model.detokenize(ids), text, "there and back")
    printed = program("tokenize", "-m", PATH, TEXT).split()
    same([str(i) for i in model.tokenize(TEXT)], printed, "ids")
    same(len(model.tokenize("<|endoftext|>", special=True)), 1, "special")


def raises(kind, words, run):
    try:
        run()
    except kind as error:
        assert words in str(error), error
    else:
        sys.exit("expected %s: %s" % (kind.__name__, words))


def spellings(model):
    """Every other name that the program has for an option of generate()."""
    own = {name for name, _ in gpt2._SamplerOptions._fields_} | {"max_tokens", "stop", "until"}
    page, seen = program("generate", "--help", "all"), 0
    for entry in re.split(r"\n(?=  (?:-\w, |    )--)", page)[1:]:
        entry = " ".join(entry.split())
        names = [re.match(r"(?:-\w, )?--([\w-]+)", entry).group(1)]
        also = re.search(r"\(also (--[^)]*)\)", entry)
        names += [n.strip(" -") for n in also.group(1).split(",")] if also else []
        names = [n.replace("-", "_") for n in names]
        plain = gpt2._SPELLINGS.get(names[0], names[0])
        if plain in own:
            seen += 1
            for name in names:
                same(gpt2._SPELLINGS.get(name, name), plain, "what %s means" % name)
    assert seen >= 15, seen


def generate(model):
    for options in ({"seed": 7}, {"greedy": True}, {"temperature": 1.3, "top_k": 0, "seed": 3},
                    {"seed": 1, "repeat_penalty": 1.2}, {"seed": 4, "stop": [".", " and"]},
                    {"seed": 5, "until": "sentence"}, {"seed": 2, "max_tokens": 5}):
        options = {"max_tokens": 40, **options}
        line = []
        for key, value in options.items():
            name = "--" + key.replace("_", "-").replace("temperature", "temp")
            for item in value if isinstance(value, list) else [value]:
                line += [name] if item is True else [name, str(item)]
        right = program("generate", "-m", PATH, "-p", TEXT[:40], "--json", *line)
        right = json.loads(right)["choices"][0]["text"]
        pieces = list(model.generate(TEXT[:40], **options))
        same("".join(pieces), right, str(options))
        assert len(pieces) > 1, options
        same("".join(model.generate(model.tokenize(TEXT[:40]), **options)), right, "by ids")
    samples = json.loads(program("generate", "-m", PATH, "-p", "One", "-n", "9", "--num-samples",
                                 "2", "--json"))["choices"]
    same("".join(model.generate("One", max_tokens=9, sample=1)), samples[1]["text"], "second sample")
    right = "".join(model.generate("One", temperature=1.3, max_tokens=9, seed=3))
    same("".join(model.generate("One", temp=1.3, max_new_tokens=9, random_seed=3)), right, "spellings")
    for wrong in ({"temp": 1, "temperature": 1}, {"length": 3, "max_tokens": 3}, {"stop": ".", "stop_token": "."}):
        raises(TypeError, "which are one option", lambda: list(model.generate("One", **wrong)))
    for seed in (-1, 1 << 64):
        raises(ValueError, "seed: expected", lambda: list(model.generate("One", seed=seed)))
    assert all(0 <= model._seed("random") < 1 << 53 for _ in range(50))
    assert "".join(model.generate("One", seed="random", max_tokens=3))
    pieces = model.generate("One", max_tokens=-1)
    next(pieces)
    pieces.close()  # an iterator that is left early
    same("".join(model.generate("", max_tokens=4)),
         json.loads(program("generate", "-m", PATH, "-p", "", "-n", "4", "--json"))["choices"][0]["text"],
         "without a prompt")


def score(model):
    long = TEXT * 20
    for text, arguments, options in ((TEXT, [], {}), (TEXT, ["--no-bos"], {"bos": False}),
                                     (long, ["-c", "40", "--protocol", "stride=10"],
                                      {"context": 40, "stride": 10, "bos": False})):
        scores = model.score(text, **options)
        rows = [json.loads(line) for line in program(
            "score", "-m", PATH, "-p", text, "--jsonl", "--no-header", *arguments).splitlines()]
        same(len(rows), len(scores.ids), "rows")
        for i, row in enumerate(rows):
            same(int(scores.ids[i]), row["id"], "id")
            if row["logprob"] is None:
                assert np.isnan(scores.logprob[i])
            else:
                same("%.6f" % scores.logprob[i], "%.6f" % row["logprob"], "logprob of token %d" % i)
                same(int(scores.rank[i]), row["rank"], "rank of token %d" % i)
    same(len(model.score("").ids), 0, "empty")
    assert abs(model.score(TEXT).bits.sum() * np.log(2) + model.score(TEXT).total) < 1e-9


def logits(model):
    ids = model.tokenize(TEXT)
    rows = model.logits(ids)
    same(rows.shape, (len(ids), model.n_vocab), "shape")
    assert np.array_equal(rows[-1], model.logits(ids, last=True))
    value = 0xCBF29CE484222325  # what --stats prints: FNV-1a over the bits
    for word in rows[-1].view(np.uint32).tolist():
        value = (value ^ word) * 0x100000001B3 & (1 << 64) - 1
    printed = program("generate", "-m", PATH, "-p", TEXT, "-n", "1", "--stats", stderr=True)
    same("%016x" % value, re.search(r"logits +(\w+)", printed).group(1), "the logits' hash")
    many = np.resize(ids, 100).astype(np.int32)  # several groups of rows
    assert np.array_equal(model.logits(many)[:len(ids)], rows)


def hidden(model):
    ids = model.tokenize(TEXT)
    n = len(ids)
    stream = model.hidden(ids, "embedding")
    same(stream.shape, (n, model.n_embd), "embedding")
    attn, mlp = model.hidden(ids, "attn"), model.hidden(ids, "mlp")
    resid, middle = model.hidden(ids), model.hidden(ids, "resid_mid")
    same(resid.shape, (model.n_layer, n, model.n_embd), "resid")
    for layer in range(model.n_layer):
        assert np.array_equal(stream + attn[layer], middle[layer]), "attention of %d" % layer
        assert np.array_equal(middle[layer] + mlp[layer], resid[layer]), "MLP of %d" % layer
        stream = resid[layer]
    for site, (_, width) in gpt2.SITES.items():
        columns = {"n_embd": model.n_embd, "3 n_embd": 3 * model.n_embd,
                   "n_inner": model.n_inner}[width]
        same(model.hidden(ids, site).shape[-1], columns, site)
    assert np.array_equal(model.hidden(ids, "mlp", -1), mlp[-1])
    last = resid[-1].astype(float)  # ln_f normalizes it: gain and bias are one line for all tokens
    normal = (last - last.mean(1, keepdims=True)) / last.std(1, keepdims=True)
    out = model.hidden(ids, "ln_f").astype(float)
    for k in (0, model.n_embd // 2):
        slope, offset = np.polyfit(normal[:, k], out[:, k], 1)
        assert np.abs(normal[:, k] * slope + offset - out[:, k]).max() < 1e-3, "ln_f"
    same(model.embed(TEXT).shape, (model.n_embd,), "embed")
    assert np.array_equal(model.embed(TEXT, pool="last"), resid[-1][-1])


def embed(model):
    for pool in ("mean", "last"):
        for layer in (0, model.n_layer - 1):
            printed = json.loads(program("embed", "-m", PATH, TEXT, "--pool", pool, "--layer",
                                         str(layer)))["embedding"]
            assert np.array_equal(model.embed(TEXT, layer=layer, pool=pool),
                                  np.array(printed, np.float32)), (pool, layer)


def errors(model):
    for run, status, words in ((lambda: gpt2.Model("/nowhere"), 4, "no such file"),
                               (lambda: model.logits([model.n_vocab]), 2, "rows of wte"),
                               (lambda: list(model.generate("a", temperature=-1)), 2, "temperature"),
                               (lambda: model.logits(np.zeros(model.n_ctx + 1)), 5, ""),
                               (lambda: gpt2.Model(PATH, lora=["/nowhere"]), 4, "no such file")):
        try:
            run()
        except gpt2.Error as error:
            same(error.status, status, "status of: %s" % error)
            assert words in error.message, error.message
        else:
            sys.exit("expected an error: %d %s" % (status, words))
    raises(gpt2.Error, "hint: expected a path", lambda: gpt2.Model("gpt2"))
    try:
        list(model.generate("a", no_such_option=1))
    except TypeError as error:
        assert "no_such_option" in str(error)
    else:
        sys.exit("expected a TypeError")


def threads(model):
    ids = model.tokenize(TEXT)
    with gpt2.Model(PATH, threads=1, cpu="generic") as other:
        assert np.array_equal(model.logits(ids), other.logits(ids))


with gpt2.Model(PATH) as opened:
    globals()[sys.argv[3]](opened)
