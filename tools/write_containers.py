#!/usr/bin/env python3
"""Write the weights of a Hugging Face directory in the formats of other programs.

    write_containers.py MODEL OUT --to KIND

OUT is a directory; the file in it has the name that its own program gives it.
Nothing but numpy is used, and no code of ours: the formats are written down
here a second time, from their definitions, so that the readers are checked
against other writers. It needs no framework either; where one is at hand,
--with-torch lets torch itself write the four formats of torch.

Tokenizer files are copied where the format keeps them beside, and written where
it has its own (llm.c). nanogpt has linear layers [out, in], an optimizer that
is not needed, and names with "_orig_mod."; with --no-bias the biases must be
zeros, and are left out.

Needs numpy (Debian: python3-numpy).
"""

import argparse
import json
import os
import pickle
import shutil
import struct
import sys
import zlib

try:
    import numpy as np
except ImportError:
    if not {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit("write_containers.py: needs numpy (Debian: apt-get install python3-numpy)")

LINEAR = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
NUMPY = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2"}


def read_model(path):
    """config.json and {name without prefix: (dtype, array)}; bf16 as its bits."""
    with open(os.path.join(path, "config.json")) as file:
        config = json.load(file)
    with open(os.path.join(path, "model.safetensors"), "rb") as file:
        (n,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(n)), file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in NUMPY:
            continue
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[begin:end], NUMPY[entry["dtype"]]).reshape(entry["shape"])
        tensors[name.removeprefix("transformer.")] = entry["dtype"], array
    return config, tensors


def to_bf16(array):
    """The bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(array, "<f4").view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def integer(config, *names):
    return next(config[name] for name in names if config.get(name) is not None)


def shape_of(config):
    return {
        "n_layer": integer(config, "n_layer", "num_hidden_layers"),
        "n_head": integer(config, "n_head", "num_attention_heads"),
        "n_embd": integer(config, "n_embd", "hidden_size"),
        "n_ctx": integer(config, "n_positions", "max_position_embeddings", "n_ctx"),
        "n_vocab": integer(config, "vocab_size"),
    }


# ---- pickle, protocol 2, as torch.save has it ----


class Pickler:
    """A writer of the few opcodes that a state dict needs. Puts everything into the memo, and
    takes globals and storages from it the second time, as Python's own does."""

    def __init__(self):
        self.out = bytearray(b"\x80\x02")
        self.memo = {}

    def put(self, key=None):
        n = len(self.memo)
        self.memo[key if key is not None else object()] = n
        self.out += b"q" + bytes([n]) if n < 256 else b"r" + struct.pack("<I", n)

    def again(self, key):
        n = self.memo.get(key)
        if n is None:
            return False
        self.out += b"h" + bytes([n]) if n < 256 else b"j" + struct.pack("<I", n)
        return True

    def named(self, module, name):
        if not self.again((module, name)):
            self.out += b"c" + module.encode() + b"\n" + name.encode() + b"\n"
            self.put((module, name))

    def value(self, v):
        if v is None or v is True or v is False:
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[v]
        elif isinstance(v, Tensor):
            v.save(self)
        elif isinstance(v, int):
            if 0 <= v < 256:
                self.out += b"K" + bytes([v])
            elif 0 <= v < 65536:
                self.out += b"M" + struct.pack("<H", v)
            elif -(2**31) <= v < 2**31:
                self.out += b"J" + struct.pack("<i", v)
            else:
                bits = v.to_bytes(v.bit_length() // 8 + 1, "little", signed=True)
                self.out += b"\x8a" + bytes([len(bits)]) + bits
        elif isinstance(v, float):
            self.out += b"G" + struct.pack(">d", v)
        elif isinstance(v, str):
            if not self.again(("text", v)):
                text = v.encode()
                self.out += b"X" + struct.pack("<I", len(text)) + text
                self.put(("text", v))
        elif isinstance(v, tuple) and len(v) < 4:
            for item in v:
                self.value(item)
            self.out += {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}[len(v)]
        elif isinstance(v, (tuple, list)):
            self.out += b"(" if isinstance(v, tuple) else b"]("
            for item in v:
                self.value(item)
            self.out += b"t" if isinstance(v, tuple) else b"e"
        elif isinstance(v, Ordered):
            self.named("collections", "OrderedDict")
            self.out += b")R"
            self.put()
            self.items(v)
            self.value({"_metadata": {"": {"version": 1}}})
            self.out += b"b"
        elif isinstance(v, dict):
            self.out += b"}"
            self.put()
            self.items(v)
        else:
            raise TypeError(type(v))

    def items(self, d):
        self.out += b"("
        for key, item in d.items():
            self.value(key)
            self.value(item)
        self.out += b"u"

    def finish(self, v):
        self.value(v)
        return bytes(self.out + b".")


class Ordered(dict):
    """OrderedDict with attributes, as a state_dict() is."""


class Storage:
    types = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage",
             "F64": "DoubleStorage"}

    def __init__(self, key, dtype, data):
        self.key, self.dtype, self.data = str(key), dtype, data


class Tensor:
    """A view of a storage."""

    legacy = False

    def __init__(self, storage, offset, shape, strides):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def save(self, p):
        p.named("torch._utils", "_rebuild_tensor_v2")
        s = self.storage
        p.out += b"(("
        p.value("storage")
        p.named("torch", s.types[s.dtype])
        p.value(s.key)
        p.value("cpu")
        p.value(s.data.size)
        if Tensor.legacy:
            p.value(None)
        p.out += b"tQ"
        p.value(self.offset)
        p.value(self.shape)
        p.value(self.strides)
        p.value(False)
        p.named("collections", "OrderedDict")
        p.out += b")RtR"


def row_major(shape):
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def as_state(tensors, prefix, turned):
    """A state dict; `turned` matrices are [out, in]. The head is the same storage as wte."""
    state, storages = Ordered(), []
    for name, (dtype, array) in tensors.items():
        if turned and name.endswith(LINEAR):
            array = array.T
        storage = Storage(len(storages), dtype, np.ascontiguousarray(array).ravel())
        storages.append(storage)
        full = name if name.startswith("lm_head") else prefix + "transformer." + name
        state[full] = Tensor(storage, 0, tuple(array.shape), row_major(array.shape))
    if "lm_head.weight" not in tensors and "wte.weight" in tensors:
        state[prefix + "lm_head.weight"] = state[prefix + "transformer.wte.weight"]
    return state, storages


def write_zip(path, entries):
    """Stored entries with data descriptors, data at multiples of 64, and zip64 records: torch's."""
    with open(path, "wb") as out:
        central = b""
        for name, data in entries:
            at, raw, crc = out.tell(), name.encode(), zlib.crc32(data)
            pad = -(at + 30 + len(raw) + 4) % 64
            extra = struct.pack("<2sH", b"FB", pad) + b"Z" * pad
            out.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 8, 0, 0, 0, 0, 0, 0, len(raw),
                                  len(extra)) + raw + extra + data)
            out.write(struct.pack("<4sIQQ", b"PK\7\x08", crc, len(data), len(data)))
            central += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0, 45, 8, 0, 0, 0, crc,
                                   len(data), len(data), len(raw), 0, 0, 0, 0, 0, at) + raw
        at = out.tell()
        out.write(central)
        out.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, len(entries),
                              len(entries), len(central), at))
        out.write(struct.pack("<4sIQI", b"PK\6\7", 0, at + len(central), 1))
        out.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, min(len(entries), 65535),
                              min(len(entries), 65535), len(central), at, 0))


def write_torch(path, root, storages, legacy):
    Tensor.legacy = legacy
    data = Pickler().finish(root)
    if not legacy:
        write_zip(path, [("archive/data.pkl", data), ("archive/byteorder", b"little")]
                  + [("archive/data/" + s.key, s.data.tobytes()) for s in storages]
                  + [("archive/version", b"3\n")])
        return
    with open(path, "wb") as out:
        out.write(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
        out.write(pickle.dumps(1001, 2))
        out.write(pickle.dumps({"protocol_version": 1001, "little_endian": True,
                                "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2))
        out.write(data)
        order = sorted(storages, key=lambda s: s.key[::-1])  # any order will do
        out.write(pickle.dumps([s.key for s in order], 2))
        for s in order:
            out.write(struct.pack("<q", s.data.size) + s.data.tobytes())


def model_args(config, bias):
    s = shape_of(config)
    return {"n_layer": s["n_layer"], "n_head": s["n_head"], "n_embd": s["n_embd"],
            "block_size": s["n_ctx"], "bias": bias, "vocab_size": s["n_vocab"], "dropout": 0.0}


def without_bias(tensors):
    for name, (_, array) in tensors.items():
        if name.endswith(".bias") and array.any():
            sys.exit("write_containers.py: --no-bias: %s is not all zeros" % name)
    return {n: t for n, t in tensors.items() if not n.endswith(".bias")}


def to_torch(args, config, tensors, legacy):
    n = args.shards
    places = {}
    for part in range(n):  # what shares a storage stays together
        names = [name for i, name in enumerate(tensors) if i % n == part]
        mine = {name: tensors[name] for name in names}
        root, storages = as_state(mine, "", False)
        name = "pytorch_model.bin"
        if n > 1:
            name = "pytorch_model-%05d-of-%05d.bin" % (part + 1, n)
        places.update({key: name for key in root})
        write_torch(os.path.join(args.out, name), root, storages, legacy)
    if n > 1:
        total = sum(array.nbytes for _, array in tensors.values())
        with open(os.path.join(args.out, "pytorch_model.bin.index.json"), "w") as file:
            json.dump({"metadata": {"total_size": total}, "weight_map": places}, file)
    shutil.copy(os.path.join(args.model, "config.json"), args.out)


def to_nanogpt(args, config, tensors, legacy):
    tensors = without_bias(tensors) if args.no_bias else tensors
    state, storages = as_state(tensors, "_orig_mod.", True)
    adam = Storage(len(storages), "F32", np.zeros(6, "<f4"))
    storages.append(adam)
    root = {"model": state,
            "optimizer": {"state": {0: {"step": Tensor(adam, 0, (), ()),
                                        "exp_avg": Tensor(adam, 0, (2, 3), (3, 1))}},
                          "param_groups": [{"lr": 6e-4, "betas": (0.9, 0.95), "params": [0, 1]}]},
            "model_args": model_args(config, not args.no_bias),
            "iter_num": 600000, "best_val_loss": Tensor(adam, 5, (), ()),
            "config": {"out_dir": "out", "seed": -1, "wandb_log": False, "big": 2**40}}
    write_torch(os.path.join(args.out, "ckpt.pt"), root, storages, legacy)


def torch_itself(args, config, tensors):
    """The same objects by torch.save."""
    import collections

    import torch

    state = collections.OrderedDict()
    nano = args.to.startswith("nanogpt")
    if nano and args.no_bias:
        tensors = without_bias(tensors)
    for name, (dtype, array) in tensors.items():
        t = torch.from_numpy(np.array(array.view("<i2") if dtype == "BF16" else array))
        t = t.view(torch.bfloat16) if dtype == "BF16" else t
        if nano and name.endswith(LINEAR):
            t = t.t() if args.views else t.t().contiguous()
        state[("_orig_mod." if nano else "") + "transformer." + name] = t
    state["lm_head.weight"] = state[next(iter(k for k in state if k.endswith("wte.weight")))]
    root, name = state, "pytorch_model.bin"
    if nano:
        weight = torch.nn.Parameter(torch.zeros(3, 3))
        adam = torch.optim.AdamW([weight])
        weight.sum().backward()
        adam.step()
        root, name = {"model": state, "optimizer": adam.state_dict(),
                      "model_args": model_args(config, not args.no_bias), "iter_num": 7,
                      "best_val_loss": torch.tensor(1.5), "config": {"seed": 1}}, "ckpt.pt"
    else:
        shutil.copy(os.path.join(args.model, "config.json"), args.out)
    torch.save(root, os.path.join(args.out, name),
               _use_new_zipfile_serialization=not args.to.endswith("legacy"))


# ---- llm.c ----


def to_llmc(args, config, tensors):
    s = shape_of(config)
    n_padded = (s["n_vocab"] + 127) // 128 * 128
    header = np.zeros(256, "<i4")
    header[:8] = [20240326, 5 if args.bf16 else 3, s["n_ctx"], s["n_vocab"], s["n_layer"],
                  s["n_head"], s["n_embd"], n_padded]
    order = ["wte.weight", "wpe.weight"]
    for part in ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias",
                 "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias",
                 "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"):
        order += ["h.%d.%s" % (layer, part) for layer in range(s["n_layer"])]
    order += ["ln_f.weight", "ln_f.bias"]
    with open(os.path.join(args.out, "gpt2_124M_bf16.bin" if args.bf16 else "gpt2_124M.bin"),
              "wb") as out:
        out.write(header.tobytes())
        for name in order:
            dtype, array = tensors[name]
            if args.bf16 and dtype != "BF16":
                array = to_bf16(array)
            elif not args.bf16 and dtype == "BF16":
                array = (array.astype("<u4") << 16).view("<f4")
            else:
                array = array.astype("<u2" if args.bf16 else "<f4")
            if name == "wte.weight":
                array = np.pad(array, ((0, n_padded - s["n_vocab"]), (0, 0)))
            out.write(np.ascontiguousarray(array.T if name.endswith(LINEAR) else array).tobytes())
    vocab = os.path.join(args.model, "vocab.json")
    if os.path.exists(vocab):
        write_llmc_tokenizer(vocab, os.path.join(args.out, "gpt2_tokenizer.bin"))


def write_llmc_tokenizer(vocab, path):
    """Version 2: the bytes of every token, and no merges."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(b): b for b in plain}
    letters.update({chr(256 + i): b for i, b in enumerate(sorted(set(range(256)) - set(plain)))})
    with open(vocab, encoding="utf-8") as file:
        ids = json.load(file)
    end = ids["<|endoftext|>"]
    header = np.zeros(256, "<i4")
    header[:4] = [20240328, 2, len(ids), end]
    with open(path, "wb") as out:
        out.write(header.tobytes())
        for token, i in sorted(ids.items(), key=lambda item: item[1]):
            raw = token.encode() if i == end else bytes(letters[c] for c in token)
            out.write(bytes([len(raw)]) + raw)


# ---- TensorFlow's tensor bundle ----


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = crc32c_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, n):
    return varint(number << 3) + varint(n)


def message(number, raw):
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def block(entries, interval=16):
    """Keys share what they have in common with the one before, but for every 16th."""
    out, restarts, last = bytearray(), [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        last = key
    restarts = restarts or [0]
    return bytes(out) + struct.pack("<%dI" % (len(restarts) + 1), *restarts, len(restarts))


def write_table(path, entries, per_block=20):
    with open(path, "wb") as out:

        def put(raw):
            handle = varint(out.tell()) + varint(len(raw))
            out.write(raw + b"\0" + struct.pack("<I", masked_crc(raw + b"\0")))
            return handle

        index = []
        for i in range(0, len(entries), per_block):
            part = entries[i : i + per_block]
            index.append((part[-1][0], put(block(part))))
        footer = put(block([])) + put(block(index, 1))
        out.write(footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57))


def to_tensorflow(args, config, tensors):
    names = {"wte.weight": "model/wte", "wpe.weight": "model/wpe"}
    for name in tensors:
        path = name.split(".")
        if path[0] in ("h", "ln_f"):
            kind = "gb" if path[-2].startswith("ln_") else "wb"
            path[-1] = kind[path[-1] == "bias"]
            names[name] = "model/" + "/".join(path).replace("h/", "h", 1)
    shards = [open(os.path.join(args.out, "model.ckpt.data-%05d-of-%05d" % (i, args.shards)), "wb")
              for i in range(args.shards)]
    entries = [(b"", field(1, args.shards) + message(3, field(1, 1)))]
    for i, (name, tf_name) in enumerate(sorted(names.items(), key=lambda item: item[1])):
        dtype, array = tensors[name]
        raw, shape = array.tobytes(), list(array.shape)
        if tf_name.endswith("/w"):
            shape = [1] + shape
        out = shards[i % args.shards]
        entry = field(1, {"F32": 1, "F64": 2, "BF16": 14, "F16": 19}[dtype])
        entry += message(2, b"".join(message(2, field(1, n)) for n in shape))
        entry += field(3, i % args.shards) if i % args.shards else b""
        entry += field(4, out.tell()) if out.tell() else b""
        entry += field(5, len(raw)) + varint(6 << 3 | 5) + struct.pack("<I", masked_crc(raw))
        entries.append((tf_name.encode(), entry))
        out.write(raw)
    for out in shards:
        out.close()
    write_table(os.path.join(args.out, "model.ckpt.index"), entries)
    with open(os.path.join(args.out, "hparams.json"), "w") as file:
        json.dump({k: v for k, v in shape_of(config).items()}, file)
    with open(os.path.join(args.out, "checkpoint"), "w") as file:
        file.write('model_checkpoint_path: "model.ckpt"\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a directory with config.json and model.safetensors")
    parser.add_argument("out", help="a directory, made if need be")
    kinds = ["torch", "torch-legacy", "nanogpt", "nanogpt-legacy", "llmc", "tensorflow"]
    parser.add_argument("--to", required=True, choices=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument("--bf16", action="store_true", help="llmc: version 5")
    parser.add_argument("--no-bias", action="store_true", help="nanogpt: leave out biases of zeros")
    parser.add_argument("--with-torch", action="store_true", help="torch.save writes")
    parser.add_argument("--views", action="store_true", help="with torch: matrices as .t() views")
    parser.add_argument("--shards", type=int, default=1, help="torch, tensorflow: data files")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    config, tensors = read_model(args.model)
    legacy = args.to.endswith("legacy")
    if args.with_torch:
        torch_itself(args, config, tensors)
    elif args.to.startswith("torch"):
        to_torch(args, config, tensors, legacy)
    elif args.to.startswith("nanogpt"):
        to_nanogpt(args, config, tensors, legacy)
    elif args.to == "llmc":
        to_llmc(args, config, tensors)
    else:
        to_tensorflow(args, config, tensors)
    pairs = {"vocab.json": "encoder.json", "merges.txt": "vocab.bpe"}
    for name in ("vocab.json", "merges.txt", "generation_config.json", "tokenizer_config.json"):
        source = os.path.join(args.model, name)
        if args.to != "llmc" and os.path.exists(source):
            target = pairs.get(name, name) if args.to == "tensorflow" else name
            shutil.copyfile(source, os.path.join(args.out, target))


if __name__ == "__main__":
    main()
