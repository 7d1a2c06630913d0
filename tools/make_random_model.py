#!/usr/bin/env python3
"""Write a random GPT-2 as a Hugging Face directory, of any shape.

    make_random_model.py OUT --like gpt2       124M, as initialised for training
    make_random_model.py OUT --like gpt2-xl --dtype f16
    make_random_model.py OUT --n-embd 192 --n-head 3 --n-layer 2 --spread

The weights are those a training would start from: N(0, 0.02^2), the projections
onto the residual stream smaller by sqrt(2 n_layer), biases 0, gains 1. With
--spread they are livelier, so that logits differ by several units and no bias
or gain can be forgotten unnoticed: that is for tests. The same arguments give
the same bytes (with the same numpy). The model has no tokenizer: talk to it
with `gpt2 generate -m OUT --ids 1,2,3 --output ids`.

Needs numpy (Debian: python3-numpy).
"""

import argparse
import json
import math
import os
import struct
import sys

try:
    import numpy as np
except ImportError:
    if not {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit("make_random_model.py: needs numpy (Debian: apt-get install python3-numpy)")

#                  n_layer n_head n_embd
SHAPES = {
    "distilgpt2": (6, 12, 768),
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}
DTYPES = {"f64": ("F64", 8), "f32": ("F32", 4), "f16": ("F16", 2), "bf16": ("BF16", 2)}


def encode(values, dtype):
    """float32 values as the bytes of a tensor, rounded to nearest even."""
    if dtype == "bf16":
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()
    return values.astype({"f64": "<f8", "f32": "<f4", "f16": "<f2"}[dtype]).tobytes()


def tensors(args):
    """(name, shape, mean, deviation) of every tensor, in the order of the forward pass."""
    n_embd, n_inner = args.n_embd, args.n_inner or 4 * args.n_embd

    def layer_norm(name):
        yield name + ".weight", (n_embd,), 1.0, 0.2 if args.spread else 0.0
        yield name + ".bias", (n_embd,), 0.0, 0.1 if args.spread else 0.0

    def linear(name, rows, cols, residual=False):
        deviation = 0.02 / math.sqrt(2 * args.n_layer) if residual else 0.02
        # --spread: what comes out is as wide as what goes in
        yield name + ".weight", (rows, cols), 0.0, 1.2 / math.sqrt(rows) if args.spread else deviation
        yield name + ".bias", (cols,), 0.0, 0.1 if args.spread else 0.0

    unit = 1 / math.sqrt(n_embd)
    yield "wte.weight", (args.n_vocab, n_embd), 0.0, 2 * unit if args.spread else 0.02
    yield "wpe.weight", (args.n_ctx, n_embd), 0.0, unit if args.spread else 0.02
    for layer in range(args.n_layer):
        block = f"h.{layer}."
        yield from layer_norm(block + "ln_1")
        yield from linear(block + "attn.c_attn", n_embd, 3 * n_embd)
        yield from linear(block + "attn.c_proj", n_embd, n_embd, residual=True)
        yield from layer_norm(block + "ln_2")
        yield from linear(block + "mlp.c_fc", n_embd, n_inner)
        yield from linear(block + "mlp.c_proj", n_inner, n_embd, residual=True)
    yield from layer_norm("ln_f")
    if args.untied:
        yield "lm_head.weight", (args.n_vocab, n_embd), 0.0, 2 * unit if args.spread else 0.02


def write_config(args):
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": args.n_vocab,
        "n_positions": args.n_ctx,
        "n_embd": args.n_embd,
        "n_layer": args.n_layer,
        "n_head": args.n_head,
        "n_inner": args.n_inner,
        "activation_function": args.activation,
        "layer_norm_epsilon": args.epsilon,
        "scale_attn_weights": not args.no_attn_scale,
        "scale_attn_by_inverse_layer_idx": args.inverse_layer_scale,
        "tie_word_embeddings": not args.untied,
        "bos_token_id": args.n_vocab - 1,
        "eos_token_id": args.n_vocab - 1,
    }
    with open(os.path.join(args.out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def write_weights(args):
    rng = np.random.default_rng(args.seed)
    dtype, size = DTYPES[args.dtype]
    plan = list(tensors(args))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _, _ in plan:
        begin, end = end, end + math.prod(shape) * size
        full = name if name == "lm_head.weight" else args.prefix + name
        header[full] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(args.out, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, mean, deviation in plan:
            if deviation:
                values = rng.standard_normal(shape, np.float32)
                values *= np.float32(deviation)
                values += np.float32(mean)
            else:
                values = np.full(shape, mean, np.float32)
            file.write(encode(values, args.dtype))
    return sum(math.prod(shape) for _, shape, _, _ in plan)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", help="directory to write, made if need be")
    parser.add_argument("--like", choices=SHAPES, default="gpt2", metavar="SHAPE",
                        help=", ".join(SHAPES) + " (default: gpt2)")
    for name in ("n-layer", "n-head", "n-embd"):
        parser.add_argument("--" + name, type=int, metavar="N", help="instead of the shape's")
    parser.add_argument("--n-inner", type=int, metavar="N", help="default: 4 n_embd")
    parser.add_argument("--n-vocab", type=int, default=50257, metavar="N", help="default: 50257")
    parser.add_argument("--n-ctx", type=int, default=1024, metavar="N", help="default: 1024")
    parser.add_argument("--activation", default="gelu_new", metavar="NAME", help="default: gelu_new")
    parser.add_argument("--epsilon", type=float, default=1e-5, help="of layer norm, default: 1e-5")
    parser.add_argument("--no-attn-scale", action="store_true", help="scale_attn_weights: false")
    parser.add_argument(
        "--inverse-layer-scale", action="store_true", help="scale_attn_by_inverse_layer_idx: true"
    )
    parser.add_argument("--untied", action="store_true", help="with an lm_head.weight of its own")
    parser.add_argument("--prefix", default="", help="of the tensors' names, e.g. transformer.")
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="default: f32")
    parser.add_argument("--spread", action="store_true", help="livelier weights, for tests")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    args = parser.parse_args()
    n_layer, n_head, n_embd = SHAPES[args.like]
    args.n_layer = args.n_layer or n_layer
    args.n_head = args.n_head or n_head
    args.n_embd = args.n_embd or n_embd
    if args.n_embd % args.n_head:
        parser.error(f"n_embd {args.n_embd} is not a multiple of n_head {args.n_head}")

    os.makedirs(args.out, exist_ok=True)
    write_config(args)
    n_parameters = write_weights(args)
    print(f"{args.out}: {n_parameters:,} parameters in {args.dtype}", file=sys.stderr)


if __name__ == "__main__":
    main()
