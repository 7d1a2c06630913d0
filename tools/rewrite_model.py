#!/usr/bin/env python3
"""Write a Hugging Face GPT-2 in other containers: the program's readers are checked with them.

It shares nothing with the program: its own reader and writers, by numpy. The
weights stay the same, bit for bit, but with --type, which rounds or replaces
them and then writes both the container and a directory with the very numbers
that are in it:

    rewrite_model.py MODEL OUT.gguf                       GGUF, tensors in their own types
    rewrite_model.py MODEL OUT.gguf --type q8_0 --plain DIR
    rewrite_model.py MODEL OUT --shards 3                 model-0000N-of-00003.safetensors + index
    rewrite_model.py MODEL OUT --head-only                lm_head.weight in the place of wte.weight
    rewrite_model.py MODEL OUT --pad 64                   rows of zeros up to a multiple of 64

    rewrite_model.py MODEL --fingerprint

With a quantized type the blocks of matrices are random bytes with small scales:
what is tested is how blocks are read, not how they are made. --keep-head writes
token_embd a second time, as output. Needs numpy (Debian: python3-numpy).
"""

import argparse
import hashlib
import json
import os
import shutil
import struct
import sys

try:
    import numpy as np
except ImportError:
    if not {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit("rewrite_model.py: needs numpy (Debian: apt-get install python3-numpy)")

TYPES = {"F64": ("<f8", 28), "F32": ("<f4", 0), "F16": ("<f2", 1), "BF16": ("<u2", 30)}


# ---- safetensors ----


def read_directory(path):
    """(config, {name: (dtype, array)}); BF16 stays as 16-bit integers."""
    with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    with open(os.path.join(path, "model.safetensors"), "rb") as file:
        data = file.read()
    (n_header,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + n_header]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            raw = data[8 + n_header + begin : 8 + n_header + end]
            array = np.frombuffer(raw, TYPES[entry["dtype"]][0]).reshape(entry["shape"])
            tensors[name.removeprefix("transformer.")] = (entry["dtype"], array)
    return config, tensors


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, (dtype, array) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def write_directory(out, source, config, tensors, n_shards=0):
    os.makedirs(out, exist_ok=True)
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
        if source and os.path.exists(os.path.join(source, name)):
            shutil.copy(os.path.join(source, name), out)
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    if not n_shards:
        write_safetensors(os.path.join(out, "model.safetensors"), tensors)
        return
    names = list(tensors)
    places = {name: f"model-{i % n_shards + 1:05}-of-{n_shards:05}.safetensors"
              for i, name in enumerate(names)}
    for file_name in sorted(set(places.values())):
        write_safetensors(os.path.join(out, file_name),
                          {n: tensors[n] for n in names if places[n] == file_name})
    total = sum(array.nbytes for _, array in tensors.values())
    with open(os.path.join(out, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": places}, file)


# ---- quantized blocks: random ones, and their values ----
# Each function takes blocks as uint8 [n, bytes] and gives float32 [n, elements].

f32 = "<f4"


def f16(blocks, at):
    return blocks[:, at : at + 2].copy().view("<f2").astype(f32)


def nibbles(qs):
    return np.concatenate([qs & 15, qs >> 4], axis=1).astype(np.int32)


def fifth_bits(qh):
    word = qh.copy().view("<u4").astype(np.int64)
    return ((word >> np.arange(32)) & 1).astype(np.int32) << 4


def six_bits(s):
    """scales and least values of Q4_K and Q5_K, each [n, 8]"""
    s = s.astype(np.int32)
    low, mid, high = s[:, 0:4], s[:, 4:8], s[:, 8:12]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    least = np.concatenate([mid & 63, (high >> 4) | ((mid >> 6) << 4)], axis=1)
    return scales.astype(f32), least.astype(f32)


def q2_bits(qs):
    """[n, 64] bytes to [n, 256] two-bit numbers"""
    halves = qs.reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    return (halves & 3).astype(np.int32).reshape(-1, 256)


def per_group(values, n):
    return np.repeat(values, n, axis=1)


def q4_0(b):
    return f16(b, 0) * (nibbles(b[:, 2:]) - 8).astype(f32)


def q4_1(b):
    return f16(b, 0) * nibbles(b[:, 4:]).astype(f32) + f16(b, 2)


def q5_0(b):
    return f16(b, 0) * ((nibbles(b[:, 6:]) | fifth_bits(b[:, 2:6])) - 16).astype(f32)


def q5_1(b):
    return f16(b, 0) * (nibbles(b[:, 8:]) | fifth_bits(b[:, 4:8])).astype(f32) + f16(b, 2)


def q8_0(b):
    return f16(b, 0) * b[:, 2:].view(np.int8).astype(f32)


def q2_k(b):
    scales = per_group((b[:, :16] & 15).astype(f32), 16)
    least = per_group((b[:, :16] >> 4).astype(f32), 16)
    return (f16(b, 80) * scales) * q2_bits(b[:, 16:80]).astype(f32) - f16(b, 82) * least


def q3_k(b):
    s = b[:, 96:108].astype(np.int32)
    low = np.concatenate([s[:, :8] & 15, s[:, :8] >> 4], axis=1)
    high = np.concatenate([(s[:, 8:12] >> shift) & 3 for shift in (0, 2, 4, 6)], axis=1)
    scales = per_group(((low | (high << 4)) - 32).astype(f32), 16)
    masks = np.concatenate([(b[:, :32] >> bit) & 1 for bit in range(8)], axis=1).astype(np.int32)
    q = q2_bits(b[:, 32:96]) - np.where(masks == 1, 0, 4)
    return (f16(b, 108) * scales) * q.astype(f32)


def q4_k(b):
    scales, least = six_bits(b[:, 4:16])
    q = b[:, 16:].reshape(-1, 4, 32)
    q = np.stack([q & 15, q >> 4], axis=2).reshape(-1, 256).astype(f32)
    return per_group(f16(b, 0) * scales, 32) * q - per_group(f16(b, 2) * least, 32)


def q5_k(b):
    scales, least = six_bits(b[:, 4:16])
    q = b[:, 48:].reshape(-1, 4, 32)
    q = np.stack([q & 15, q >> 4], axis=2).reshape(-1, 8, 32).astype(np.int32)
    bits = (b[:, None, 16:48] >> np.arange(8, dtype=np.uint8).reshape(1, 8, 1)) & 1
    q = (q + (bits.astype(np.int32) << 4)).reshape(-1, 256).astype(f32)
    return per_group(f16(b, 0) * scales, 32) * q - per_group(f16(b, 2) * least, 32)


def q6_k(b):
    out = np.zeros((len(b), 256), np.int32)
    for half in range(2):
        ql = b[:, half * 64 : half * 64 + 64].astype(np.int32)
        qh = b[:, 128 + half * 32 : 160 + half * 32].astype(np.int32)
        at = half * 128
        out[:, at : at + 32] = (ql[:, :32] & 15) | ((qh & 3) << 4)
        out[:, at + 32 : at + 64] = (ql[:, 32:] & 15) | (((qh >> 2) & 3) << 4)
        out[:, at + 64 : at + 96] = (ql[:, :32] >> 4) | (((qh >> 4) & 3) << 4)
        out[:, at + 96 : at + 128] = (ql[:, 32:] >> 4) | (((qh >> 6) & 3) << 4)
    scales = per_group(b[:, 192:208].view(np.int8).astype(f32), 16)
    return (f16(b, 208) * scales) * (out - 32).astype(f32)


#            id  elements bytes  where the half-precision scales are
BLOCKS = {
    "q4_0": (2, 32, 18, (0,), q4_0),
    "q4_1": (3, 32, 20, (0, 2), q4_1),
    "q5_0": (6, 32, 22, (0,), q5_0),
    "q5_1": (7, 32, 24, (0, 2), q5_1),
    "q8_0": (8, 32, 34, (0,), q8_0),
    "q2_k": (10, 256, 84, (80, 82), q2_k),
    "q3_k": (11, 256, 110, (108,), q3_k),
    "q4_k": (12, 256, 144, (0, 2), q4_k),
    "q5_k": (13, 256, 176, (0, 2), q5_k),
    "q6_k": (14, 256, 210, (208,), q6_k),
}


def random_blocks(rng, kind, shape):
    """(bytes of a tensor, its values as float32 of that shape)"""
    _, elements, size, scales, values = BLOCKS[kind]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // elements, size), np.uint8)
    for at in scales:
        small = rng.normal(0, 0.01 / (32 if elements == 32 else 512), len(blocks)).astype("<f2")
        blocks[:, at : at + 2] = small.view(np.uint8).reshape(-1, 2)
    return blocks.tobytes(), values(blocks).astype("<f4").reshape(shape)


# ---- GGUF ----

NAMES = [
    ("wte", "token_embd"), ("wpe", "position_embd"), ("ln_f", "output_norm"),
    ("lm_head", "output"), ("ln_1", "attn_norm"), ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"), ("ln_2", "ffn_norm"), ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
]
LINEAR = {"attn_qkv", "attn_output", "ffn_up", "ffn_down"}


def gguf_name(name):
    block, rest = "", name
    if name.startswith("h."):
        _, number, rest = name.split(".", 2)
        block = f"blk.{number}."
    base, end = rest.rsplit(".", 1)
    return block + dict(NAMES)[base] + "." + end


def string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key, kind, value):
    codes = {4: "I", 5: "i", 6: "f", 7: "?", 10: "Q"}
    body = string(value) if kind == 8 else struct.pack("<" + codes[kind], value)
    return string(key) + struct.pack("<I", kind) + body


def array(key, kind, values):
    body = b"".join(string(v) if kind == 8 else struct.pack("<i", v) for v in values)
    return string(key) + struct.pack("<IIQ", 9, kind, len(values)) + body


def tokenizer_pairs(source, n_vocab):
    with open(os.path.join(source, "vocab.json"), encoding="utf-8") as file:
        by_id = {i: t for t, i in json.load(file).items()}
    with open(os.path.join(source, "merges.txt"), encoding="utf-8") as file:
        merges = file.read().split("\n")
    merges = [m for m in (merges[1:] if merges[0].startswith("#version") else merges) if m]
    tokens = [by_id.get(i, f"[PAD{i}]") for i in range(n_vocab)]
    kinds = [5 if i not in by_id else 3 if by_id[i] == "<|endoftext|>" else 1
             for i in range(n_vocab)]
    return [pair("tokenizer.ggml.model", 8, "gpt2"), pair("tokenizer.ggml.pre", 8, "gpt-2"),
            array("tokenizer.ggml.tokens", 8, tokens),
            array("tokenizer.ggml.token_type", 5, kinds), array("tokenizer.ggml.merges", 8, merges)]


def write_gguf(path, args, config, tensors):
    """Returns the tensors as they are in the file."""
    rng = np.random.default_rng(args.seed)
    n_vocab = tensors["wte.weight"][1].shape[0]
    pairs = [
        pair("general.architecture", 8, "gpt2"),
        pair("gpt2.context_length", 10, config["n_positions"]),
        pair("gpt2.embedding_length", 4, config["n_embd"]),
        pair("gpt2.feed_forward_length", 4, 4 * config["n_embd"]),
        pair("gpt2.block_count", 4, config["n_layer"]),
        pair("gpt2.attention.head_count", 4, config["n_head"]),
        pair("gpt2.attention.layer_norm_epsilon", 6, config.get("layer_norm_epsilon", 1e-5)),
    ]
    for key in ("bos", "eos"):
        value = config.get(f"{key}_token_id")
        value = value[0] if isinstance(value, list) else value
        if value is not None:
            pairs.append(pair(f"tokenizer.ggml.{key}_token_id", 4, value))
    if args.alignment != 32:
        pairs.append(pair("general.alignment", 4, args.alignment))
    if os.path.exists(os.path.join(args.model, "vocab.json")):
        pairs += tokenizer_pairs(args.model, n_vocab)
    if args.keep_head:
        tensors = dict(tensors, **{"lm_head.weight": tensors["wte.weight"]})
    infos, data, kept = b"", b"", {}
    for name, (dtype, values) in tensors.items():
        out = gguf_name(name)
        turned = out.split(".")[-2] in LINEAR and values.ndim == 2
        stored = values.T if turned else values
        code = TYPES[dtype][1]
        if args.type and values.ndim == 2 and name != "wpe.weight":
            code = BLOCKS[args.type][0]
            raw, numbers = random_blocks(rng, args.type, stored.shape)
            kept[name] = ("F32", numbers.T if turned else numbers)
        else:
            raw = np.ascontiguousarray(stored).tobytes()
            kept[name] = (dtype, values)
        infos += string(out) + struct.pack("<I", stored.ndim)
        infos += b"".join(struct.pack("<Q", n) for n in reversed(stored.shape))
        infos += struct.pack("<IQ", code, len(data))
        data += raw + bytes(-len(raw) % args.alignment)
    head = b"GGUF" + struct.pack("<Iqq", args.version, len(tensors), len(pairs))
    head += b"".join(pairs) + infos
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % args.alignment) + data)
    return kept


def fingerprint(config, tensors):
    """What `gpt2 verify` prints, from its description in include/gpt2/save.h."""
    order = ["wte.weight", "wpe.weight"]
    for layer in range(config["n_layer"]):
        for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"):
            order += [f"h.{layer}.{part}.weight", f"h.{layer}.{part}.bias"]
    order += ["ln_f.weight", "ln_f.bias"]
    digest = hashlib.sha256()
    for name in order:
        _, values = convert(tensors[name], "F32")
        digest.update(name.encode() + b"\0" + struct.pack("<I", values.ndim))
        digest.update(struct.pack(f"<{values.ndim}Q", *values.shape) + values.tobytes())
    return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("out", metavar="OUT", nargs="?")
    parser.add_argument("--fingerprint", action="store_true", help="print it; write nothing")
    parser.add_argument("--type", choices=BLOCKS, metavar="TYPE", help=", ".join(BLOCKS))
    parser.add_argument("--plain", metavar="DIR", help="the same numbers as a directory")
    parser.add_argument("--version", type=int, default=3, help="of GGUF")
    parser.add_argument("--alignment", type=int, default=32, help="of GGUF")
    parser.add_argument("--keep-head", action="store_true")
    parser.add_argument("--shards", type=int, default=0)
    parser.add_argument("--head-only", action="store_true")
    parser.add_argument("--pad", type=int, default=0)
    parser.add_argument("--dtype", choices=["F32", "F16", "BF16"], help="of all tensors")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    config, tensors = read_directory(args.model)
    if args.fingerprint:
        print(fingerprint(config, tensors))
        return
    if not args.out:
        parser.error("expected OUT")
    if args.dtype:
        tensors = {name: convert(entry, args.dtype) for name, entry in tensors.items()}
    if args.pad:
        dtype, values = tensors["wte.weight"]
        more = np.zeros((-len(values) % args.pad, values.shape[1]), values.dtype)
        tensors["wte.weight"] = (dtype, np.concatenate([values, more]))
    if args.head_only:
        tensors["lm_head.weight"] = tensors.pop("wte.weight")
    if args.out.endswith(".gguf"):
        tensors = write_gguf(args.out, args, config, tensors)
        if args.plain:
            write_directory(args.plain, args.model, config, tensors)
    else:
        write_directory(args.out, args.model, config, tensors, args.shards)


def convert(entry, dtype):
    """To another type, exactly where it has the numbers, else rounded to nearest even."""
    old, values = entry
    if old == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    values = values.astype(np.float32)
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return dtype, ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
    return dtype, values.astype(TYPES[dtype][0])


main()
