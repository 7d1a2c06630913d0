#!/usr/bin/env python3
"""GPT-2 in double precision, to check the program against.

It shares nothing with the program but the definition of the model: its own
reader of model.safetensors, every sum in float64 by numpy, no cache, the whole
text at once. `forward` below is the paper in thirty lines.

    reference.py MODEL --ids 1,2,3         logits after the last token
    reference.py MODEL --ids 1,2,3 --all   one line for each token
    reference.py MODEL --ids 1,2,3 --json  the same as a JSON object
    reference.py golden MODEL... [-n N]    what tests/test_accuracy.c reads
    reference.py score MODEL... [-n N]     what tests/test_score.c reads
                                           (make goldens makes both)

MODEL is a Hugging Face directory: config.json and model.safetensors.
Needs numpy (Debian: python3-numpy).
"""

import argparse
import json
import math
import os
import signal
import struct
import sys

try:
    import numpy as np
except ImportError:
    if not {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit("reference.py: needs numpy (Debian: apt-get install python3-numpy)")

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_safetensors(path):
    """The tensors of a file as arrays in their own type; BF16 is widened to float32."""
    with open(path, "rb") as file:
        data = file.read()
    (n_header,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + n_header]).items():
        if name == "__metadata__" or entry["dtype"] not in DTYPES:
            continue  # masks of other types have no part in the arithmetic
        begin, end = entry["data_offsets"]
        raw = data[8 + n_header + begin : 8 + n_header + end]
        array = np.frombuffer(raw, DTYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = array
    return tensors


class Model:
    """Configuration and weights; model["h.0.ln_1.weight"] is that tensor in float64."""

    def __init__(self, path):
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            config = json.load(file)

        def key(name, default, alias=None):
            value = config.get(name, config.get(alias))
            return default if value is None else value

        self.n_embd = key("n_embd", 768, "hidden_size")
        self.n_layer = key("n_layer", 12, "num_hidden_layers")
        self.n_head = key("n_head", 12, "num_attention_heads")
        self.epsilon = key("layer_norm_epsilon", 1e-5)
        self.activation = ACTIVATIONS[key("activation_function", "gelu_new")]
        self.scale_weights = key("scale_attn_weights", True)
        self.scale_by_layer = key("scale_attn_by_inverse_layer_idx", False)
        self.tensors = {
            name[len("transformer.") :] if name.startswith("transformer.") else name: array
            for name, array in read_safetensors(os.path.join(path, "model.safetensors")).items()
        }
        self.tensors.setdefault("lm_head.weight", self.tensors.get("wte.weight"))
        self.tensors.setdefault("wte.weight", self.tensors["lm_head.weight"])

    def __getitem__(self, name):
        return self.tensors[name].astype(np.float64)


def erf(x):
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2  # no overflow at either end


def gelu(x):
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def gelu_new(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_fast(x):
    return x / 2 * (1 + np.tanh(0.7978845608 * x * (1 + 0.044715 * x * x)))


def silu(x):
    return x * sigmoid(x)


ACTIVATIONS = {
    "gelu_new": gelu_new,
    "gelu_pytorch_tanh": gelu_new,
    "gelu_accurate": gelu_new,
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_fast": gelu_fast,
    "gelu_10": lambda x: np.clip(gelu(x), -10, 10),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
    "relu6": lambda x: np.clip(x, 0, 6),
    "silu": silu,
    "swish": silu,
    "sigmoid": sigmoid,
    "tanh": lambda x: np.tanh(x),
    "linear": lambda x: x,
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
}


def layer_norm(model, site, x):
    """Mean and biased variance over the features of each token, then the site's gain and bias."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    normal = (x - mean) / np.sqrt(variance + model.epsilon)
    return normal * model[site + ".weight"] + model[site + ".bias"]


def linear(model, name, x):
    """The block's matrices are [in, out]."""
    return x @ model[name + ".weight"] + model[name + ".bias"]


def attention(model, layer, x):
    n_tokens, head_size = len(x), model.n_embd // model.n_head
    scale = 1 / math.sqrt(head_size) if model.scale_weights else 1.0
    if model.scale_by_layer:
        scale /= layer + 1
    future = np.triu(np.ones((n_tokens, n_tokens), bool), k=1)

    queries, keys, values = np.split(linear(model, f"h.{layer}.attn.c_attn", x), 3, axis=-1)
    mixed = np.empty_like(queries)
    for head in range(model.n_head):
        part = slice(head * head_size, (head + 1) * head_size)
        scores = queries[:, part] @ keys[:, part].T * scale
        scores[future] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed[:, part] = weights @ values[:, part]
    return linear(model, f"h.{layer}.attn.c_proj", mixed)


def mlp(model, layer, x):
    hidden = model.activation(linear(model, f"h.{layer}.mlp.c_fc", x))
    return linear(model, f"h.{layer}.mlp.c_proj", hidden)


def forward(model, ids):
    """Logits [len(ids), n_vocab]: what comes after each token."""
    ids = np.asarray(ids)
    x = model.tensors["wte.weight"][ids].astype(np.float64) + model["wpe.weight"][: len(ids)]
    for layer in range(model.n_layer):
        x = x + attention(model, layer, layer_norm(model, f"h.{layer}.ln_1", x))
        x = x + mlp(model, layer, layer_norm(model, f"h.{layer}.ln_2", x))
    return layer_norm(model, "ln_f", x) @ model["lm_head.weight"].T


def parse_ids(text):
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected ids like 1,2,3, found '{text}'") from None


def some_ids(n_vocab, n):
    """A text for a model that has no words: spread over the vocabulary, first and last id in it."""
    return [0, n_vocab - 1] + [(i * 7919 + 13) % n_vocab for i in range(n - 2)]


def print_golden(path, n):
    """One model for tests/test_accuracy.c: its name, the ids, the logits of two rows."""
    model = Model(path)
    n = min(n, len(model.tensors["wpe.weight"]))
    ids = some_ids(len(model.tensors["wte.weight"]), n)
    logits = forward(model, ids)
    print("model", os.path.basename(os.path.normpath(path)))
    print("ids", *ids)
    for row in (n // 2, n - 1):
        print("row", row, *(f"{value:.9g}" for value in logits[row]))


def print_scores(path, n):
    """One model for tests/test_score.c: log-probability, entropy (nats) and rank of each token."""
    model = Model(path)
    n = min(n, len(model.tensors["wpe.weight"]))
    ids = some_ids(len(model.tensors["wte.weight"]), n)
    logits = forward(model, ids)
    logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    print("model", os.path.basename(os.path.normpath(path)))
    print("ids", *ids)
    for i in range(1, n):
        row = logprobs[i - 1]
        entropy = -(np.exp(row) * row).sum()
        print(f"token {i} {row[ids[i]]:.9g} {entropy:.9g} {(row > row[ids[i]]).sum()}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if sys.argv[1:2] in (["golden"], ["score"]):
        parser.add_argument("kind", help=argparse.SUPPRESS)
        parser.add_argument("models", nargs="+", metavar="MODEL")
        parser.add_argument("-n", type=int, default=40, help="tokens of the text, at most")
        args = parser.parse_args()
        for path in args.models:
            (print_golden if args.kind == "golden" else print_scores)(path, args.n)
        return
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--ids", type=parse_ids, required=True, metavar="1,2,3")
    parser.add_argument("--all", action="store_true", help="logits after every token")
    parser.add_argument("--json", action="store_true", help='{"ids": [...], "logits": [[...]]}')
    args = parser.parse_args()
    model = Model(args.model)
    n_ctx, n_vocab = len(model.tensors["wpe.weight"]), len(model.tensors["wte.weight"])
    if not 1 <= len(args.ids) <= n_ctx or not all(0 <= i < n_vocab for i in args.ids):
        parser.error(f"--ids: expected 1 to {n_ctx} ids from 0 to {n_vocab - 1}")
    logits = forward(model, args.ids)
    rows = logits if args.all else logits[-1:]
    if args.json:
        json.dump({"ids": args.ids, "logits": rows.tolist()}, sys.stdout)
        print()
    elif args.all:
        for row in rows:
            print(*(f"{value:.12g}" for value in row))
    else:
        for value in rows[0]:
            print(f"{value:.12g}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `reference.py ... | head` ends in silence
    try:
        main()
    except OSError as error:
        sys.exit(f"reference.py: {error}")
