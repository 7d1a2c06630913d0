#!/usr/bin/env python3
"""Write a large GPT-2 that computes the same function as a small one.

    grow_model.py models/tales OUT --like gpt2           the shape of 124M
    grow_model.py models/tales OUT --like gpt2-large     of 774M
    grow_model.py models/tales OUT --n-embd 512 --n-layer 6 --n-vocab 9000

It is for measuring: such a model has the memory traffic and the arithmetic of
its shape, and yet says something. How often a draft is accepted, or what
quantization does to a text, can be measured on it as on a trained one.

The width must be r times the small one's. Then the r copies of every feature
lie side by side:

    residual stream   [x, x, ..., x]: mean and variance are those of x, so layer
                      norms stay what they are, with gains and biases repeated
    wte, wpe          [w, w, ..., w]
    matrices          stacked r times and divided by r, as what they read is
                      there r times; their outputs are repeated: heads, inner
                      features, features
    ln_f              gain and bias divided by r, as the head sums r copies
    more blocks       copies of the first ones whose projections onto the stream
                      are zero
    more vocabulary   rows t / gain of ln_f. The normalized features sum to 0,
                      so the logit of such a row is t times the sum of
                      bias / gain, whatever the text: t makes it -100

So logits are equal up to rounding. The context stays as long as it is, and the
files of the tokenizer are copied. Shapes of heads stay, too: n_head becomes r
times as many.

Needs numpy (Debian: python3-numpy).
"""

import argparse
import json
import os
import shutil
import struct
import sys

try:
    import numpy as np
except ImportError:
    if not {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit("grow_model.py: needs numpy (Debian: apt-get install python3-numpy)")

#                  n_layer n_embd
SHAPES = {
    "distilgpt2": (6, 768),
    "gpt2": (12, 768),
    "gpt2-medium": (24, 1024),
    "gpt2-large": (36, 1280),
    "gpt2-xl": (48, 1600),
}
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")
FAR_BELOW = -100.0


def die(message):
    sys.exit(f"grow_model.py: {message}")


class Small:
    """A model as a directory has it; a tensor is read when it is asked for, as float32."""

    def __init__(self, path):
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        self.path = os.path.join(path, "model.safetensors")
        with open(self.path, "rb") as file:
            (n,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(n))
        self.start = 8 + n
        self.entries = {k.removeprefix("transformer."): v for k, v in header.items()}

    def __contains__(self, name):
        return name in self.entries

    def __getitem__(self, name):
        if name not in self:
            die(f"{self.path}: there is no tensor {name}")
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        with open(self.path, "rb") as file:
            file.seek(self.start + begin)
            values = np.frombuffer(file.read(end - begin), TYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32).reshape(entry["shape"])


def table(small, name, args, rest):
    """An embedding: r copies side by side, then rows `rest()` that no token has."""
    values = np.tile(small[name], (1, args.r))
    more = max(args.n_vocab - len(values), 0)
    return np.concatenate([values, np.tile(rest(), (more, args.r))]) if more else values


def row_of_no_token(small):
    """Its logit is FAR_BELOW for every text, where the head is this table."""
    gain, bias = small["ln_f.weight"].astype(np.float64), small["ln_f.bias"].astype(np.float64)
    total = (bias / gain).sum() if gain.all() else 0.0
    if abs(total) < 0.05:
        die("the biases of ln_f are too small for rows of no token: leave --n-vocab as it is")
    return (FAR_BELOW / total / gain).astype(np.float32)


def linear(small, name, r, parts=1, zero=False):
    """weight [in, out] and bias [out], whose outputs are `parts` vectors side by side, as q, k, v."""
    weight, bias = small[name + ".weight"], small[name + ".bias"]
    n_in, n_out = weight.shape
    tall = np.tile(weight.reshape(n_in, parts, 1, n_out // parts), (r, 1, r, 1)) / np.float32(r)
    wide = np.tile(bias.reshape(parts, 1, -1), (1, r, 1)).reshape(-1)
    keep = np.float32(0 if zero else 1)
    return tall.reshape(r * n_in, r * n_out) * keep, wide * keep


def tensors(small, args):
    """(name, how to make it, its shape) in the order of the forward pass."""
    r, config = args.r, small.config
    n_embd, n_layer = config["n_embd"], config["n_layer"]
    n_inner = config.get("n_inner") or 4 * n_embd
    tied = "lm_head.weight" not in small
    width, inner = r * n_embd, r * n_inner

    def vector(name, divide=1):
        return name, lambda: np.tile(small[name], r) / np.float32(divide), (width,)

    def both(block, from_block, name, rows, cols, parts=1, zero=False):
        make = lambda: linear(small, from_block + name, r, parts, zero)
        yield block + name + ".weight", lambda: make()[0], (rows, cols)
        yield block + name + ".bias", lambda: make()[1], (cols,)

    rest = lambda: row_of_no_token(small) if tied else np.zeros(n_embd, np.float32)
    n_vocab = max(args.n_vocab, config["vocab_size"])
    yield "wte.weight", lambda: table(small, "wte.weight", args, rest), (n_vocab, width)
    n_ctx = small.entries["wpe.weight"]["shape"][0]
    yield "wpe.weight", lambda: np.tile(small["wpe.weight"], (1, r)), (n_ctx, width)
    for layer in range(args.n_layer):
        block, source, more = f"h.{layer}.", f"h.{layer % n_layer}.", layer >= n_layer

        def norm(name):
            name_, make, shape = vector(source + name)
            return block + name, make, shape

        yield norm("ln_1.weight")
        yield norm("ln_1.bias")
        yield from both(block, source, "attn.c_attn", width, 3 * width, parts=3)
        yield from both(block, source, "attn.c_proj", width, width, zero=more)
        yield norm("ln_2.weight")
        yield norm("ln_2.bias")
        yield from both(block, source, "mlp.c_fc", width, inner)
        yield from both(block, source, "mlp.c_proj", inner, width, zero=more)
    yield vector("ln_f.weight", r)
    yield vector("ln_f.bias", r)
    if not tied:
        yield ("lm_head.weight",
               lambda: table(small, "lm_head.weight", args, lambda: row_of_no_token(small)),
               (n_vocab, width))


def write_config(small, args):
    r, config = args.r, dict(small.config)
    config.update(n_embd=r * config["n_embd"], n_layer=args.n_layer, n_head=r * config["n_head"],
                  vocab_size=max(args.n_vocab, config["vocab_size"]),
                  torch_dtype="float16" if args.dtype == "f16" else "float32")
    if config.get("n_inner"):
        config["n_inner"] *= r
    with open(os.path.join(args.out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def write_weights(small, args):
    """A tensor at a time: of 774M only the largest has to fit into memory."""
    dtype, size = ("F16", 2) if args.dtype == "f16" else ("F32", 4)
    plan = [(name, shape) for name, _, shape in tensors(small, args)]
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in plan:
        n_bytes = int(np.prod(shape)) * size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64)
    with open(os.path.join(args.out, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, make, shape in tensors(small, args):
            values = make()
            if values.shape != tuple(shape):
                die(f"{name}: made {values.shape}, planned {shape}")
            file.write(values.astype(TYPES[dtype]).tobytes())
    return at // size


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="directory of the small one")
    parser.add_argument("out", metavar="OUT", help="directory to write, made if need be")
    parser.add_argument("--like", choices=SHAPES, default="gpt2", metavar="SHAPE",
                        help=", ".join(SHAPES) + " (default: gpt2)")
    parser.add_argument("--n-embd", type=int, metavar="N", help="instead of the shape's")
    parser.add_argument("--n-layer", type=int, metavar="N", help="instead of the shape's")
    parser.add_argument("--n-vocab", type=int, default=50257, metavar="N", help="default: 50257")
    parser.add_argument("--dtype", choices=["f32", "f16"], default="f32", help="default: f32")
    args = parser.parse_args()
    small = Small(args.model)
    n_layer, n_embd = SHAPES[args.like]
    args.n_layer = args.n_layer or n_layer
    args.r, rest = divmod(args.n_embd or n_embd, small.config["n_embd"])
    if args.r < 1 or rest:
        die(f"n_embd {args.n_embd or n_embd} is no multiple of the small model's "
            f"{small.config['n_embd']}")
    if args.n_layer < small.config["n_layer"]:
        die(f"{args.n_layer} layers: expected at least the small model's "
            f"{small.config['n_layer']}")
    os.makedirs(args.out, exist_ok=True)
    for name in TOKENIZER:
        if os.path.exists(os.path.join(args.model, name)):
            shutil.copy(os.path.join(args.model, name), args.out)
    write_config(small, args)
    n = write_weights(small, args)
    print(f"{args.out}: {n:,} parameters in {args.dtype}", file=sys.stderr)


if __name__ == "__main__":
    main()
