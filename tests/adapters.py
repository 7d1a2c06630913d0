#!/usr/bin/env python3
"""Write random LoRA adapters as PEFT saves them, and merge adapters in float64, for cli/lora.sh.

    adapters.py write MODEL OUT [--targets c_attn,wte,...] [--rank 4] [--alpha 8] [--rslora]
                      [--fan-out] [--rank-pattern K=R] [--alpha-pattern K=A] [--save NAME,...]
                      [--bias all|lora_only] [--lora-bias] [--bin] [--dtype F16] [--old-names]
                      [--set KEY=JSON] [--drop PART]
    adapters.py merge MODEL OUT ADAPTER[:SCALE]...

Written from PEFT's definitions; shares no code with the program. The files are safetensors, with
--bin torch.save's zip with a pickle. MODEL is a directory with model.safetensors.
"""

import argparse
import json
import math
import os
import pickle
import re
import shutil
import struct
import sys
import zipfile

import numpy as np

NUMPY = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
LINEAR = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]


def read(path):
    """{name: array in its own type}, in the file's order; bf16 as float32."""
    with open(path, "rb") as file:
        n = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(n))
        data = file.read()
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        a, b = t["data_offsets"]
        if t["dtype"] == "BF16":
            bits = np.frombuffer(data[a:b], "<u2").astype("<u4") << 16
            out[name] = bits.view("<f4").reshape(t["shape"])
        else:
            out[name] = np.frombuffer(data[a:b], NUMPY[t["dtype"]]).reshape(t["shape"])
    return out


def write(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    kinds = {np.dtype(v): k for k, v in NUMPY.items()}
    for name, a in tensors.items():
        header[name] = {"dtype": kinds[a.dtype], "shape": list(a.shape),
                        "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for a in tensors.values():
            file.write(np.ascontiguousarray(a).tobytes())


# What a pickle of torch.save refers to, by name alone: no torch is needed to write one.
class Global:
    def __init__(self, name):
        self.name = name


class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        return value[1:] if isinstance(value, tuple) and value[:1] == ("persistent",) else None

    def save_global_by_name(self, value):
        self.write(b"c" + value.name.encode() + b"\n")

    dispatch = dict(pickle._Pickler.dispatch)
    dispatch[Global] = save_global_by_name


class Call:
    def __init__(self, function, *args):
        self.function, self.args = function, args


def save_call(self, value):
    self.save(value.function)
    self.save(value.args)
    self.write(b"R")


Pickler.dispatch[Call] = save_call


def write_bin(path, tensors):
    storages = {np.dtype("<f4"): "FloatStorage", np.dtype("<f2"): "HalfStorage"}
    state = {}
    for i, (name, a) in enumerate(tensors.items()):
        storage = ("persistent", "storage", Global("torch\n" + storages[a.dtype]), str(i), "cpu",
                   a.size)
        strides = tuple(int(s // a.itemsize) for s in np.ascontiguousarray(a).strides)
        state[name] = Call(Global("torch._utils\n_rebuild_tensor_v2"), storage, 0, a.shape, strides,
                           False, Call(Global("collections\nOrderedDict")))
    import io
    body = io.BytesIO()
    Pickler(body, 2).dump(state)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", body.getvalue())
        for i, a in enumerate(tensors.values()):
            archive.writestr("archive/data/%d" % i, np.ascontiguousarray(a).tobytes())
        archive.writestr("archive/version", "3\n")


def strip(name):
    for prefix in ("base_model.model.", "transformer."):
        if name.startswith(prefix):
            name = name[len(prefix):]
    return name


def ends(module, name):
    return module == name or module.endswith("." + name)


def modules(model):
    """Of the layers that LoRA can be on: {module: (inputs, outputs)}; of embeddings (rows, n_embd)."""
    out = {}
    for name, a in model.items():
        module = name[:-len(".weight")]
        if a.ndim == 2 and name.endswith(".weight"):
            out[module] = a.shape if module != "lm_head" else a.shape[::-1]
    if "lm_head" not in out:
        out["lm_head"] = out["wte"][::-1]
    return out


def pattern(table, module, default):
    for key, value in table.items():
        if re.match(r"(.*\.)?(%s)$" % key, module):
            return value
    return default


def write_adapter(args):
    rng = np.random.default_rng(7)
    model = {strip(k): v for k, v in read(os.path.join(args.model, "model.safetensors")).items()}
    targets = [t for t in args.targets.split(",") if t]
    saved = [s for s in args.save.split(",") if s]
    ranks = {k: int(v) for k, v in (p.split("=") for p in args.rank_pattern)}
    alphas = {k: float(v) for k, v in (p.split("=") for p in args.alpha_pattern)}
    dtype = NUMPY[args.dtype]
    tensors = {}
    shapes = modules(model)
    def full(module):
        return module if module == "lm_head" else "transformer." + module

    def add(name, shape):
        tensors["base_model.model." + name] = (rng.standard_normal(shape) * 0.3).astype(dtype)
    layer = ".base_layer" if args.old_names else ""
    for module, (n_in, n_out) in shapes.items():
        if not any(ends(module, t) for t in targets):
            continue
        r, name = pattern(ranks, full(module), args.rank), full(module)
        if module in ("wte", "wpe"):
            add(name + ".lora_embedding_A", (r, n_in))
            add(name + ".lora_embedding_B", (n_out, r))
            continue
        add(name + ".lora_A.weight", (r, n_in))
        add(name + ".lora_B.weight", (n_out, r))
        if args.lora_bias:
            add(name + ".lora_B.bias", (n_out,))
        if args.bias == "lora_only" and module != "lm_head":
            add(name + layer + ".bias", (n_out,))
    if args.bias == "all":
        for name, a in model.items():
            module = name.rsplit(".", 1)[0]
            if not name.endswith(".bias") or a.ndim != 1 or any(ends(module, s) for s in saved):
                continue
            wrapped = layer if any(ends(module, t) for t in targets) else ""
            add("transformer." + module + wrapped + ".bias", a.shape)
    for module in saved:
        wrapper = ".modules_to_save" if args.old_names else ""
        if module == "lm_head" and "lm_head.weight" not in model:
            add(full(module) + wrapper + ".weight", model["wte.weight"].shape)
        for name, a in model.items():
            if ends(name.rsplit(".", 1)[0], module):
                parent, leaf = full(name).rsplit(".", 1)
                add(parent + wrapper + "." + leaf, a.shape)
    for part in args.drop:
        tensors = {k: v for k, v in tensors.items() if part not in k}
    config = {
        "alpha_pattern": alphas, "base_model_name_or_path": "some/base", "bias": args.bias,
        "fan_in_fan_out": not args.fan_out, "inference_mode": True, "init_lora_weights": True,
        "lora_alpha": args.alpha, "lora_bias": args.lora_bias, "lora_dropout": 0.0,
        "modules_to_save": args.save.split(",") if args.save else None, "peft_type": "LORA",
        "r": args.rank, "rank_pattern": ranks, "target_modules": targets,
        "task_type": "CAUSAL_LM", "use_dora": False, "use_rslora": args.rslora,
    }
    for pair in args.set:
        key, value = pair.split("=", 1)
        config[key] = json.loads(value)
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "adapter_config.json"), "w") as file:
        json.dump(config, file)
    if args.bin:
        write_bin(os.path.join(args.out, "adapter_model.bin"), tensors)
    else:
        write(os.path.join(args.out, "adapter_model.safetensors"), tensors)


def read_bin(path):
    """The tensors of write_bin, as torch.load would give them."""
    archive = zipfile.ZipFile(path)

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "_rebuild_tensor_v2":
                return lambda storage, offset, size, stride, *rest: storage.reshape(size)
            return {"OrderedDict": dict, "FloatStorage": "<f4", "HalfStorage": "<f2"}[name]

        def persistent_load(self, pid):
            return np.frombuffer(archive.read("archive/data/" + pid[2]), pid[1])
    import io
    return Reader(io.BytesIO(archive.read("archive/data.pkl"))).load()


def merge(args):
    model = {strip(k): v for k, v in read(os.path.join(args.model, "model.safetensors")).items()}
    model = {k: v for k, v in model.items() if not (v.ndim == 4 or v.ndim == 0)}
    for item in args.adapters:
        path, _, scale = item.partition(":") if not os.path.exists(item) else (item, "", "")
        scale = float(scale or 1)
        with open(os.path.join(path, "adapter_config.json")) as file:
            config = json.load(file)
        file = os.path.join(path, "adapter_model.safetensors")
        loaded = read(file) if os.path.exists(file) else read_bin(file[:-11] + "bin")
        adapter = {}
        for name, a in loaded.items():
            name = name.replace(".base_layer", "").replace(".modules_to_save", "")
            adapter[name[len("base_model.model."):]] = a
        names = {strip(k) for k in adapter}
        if any(n.startswith(("wte.", "lm_head.")) for n in names) and "lm_head.weight" not in model:
            model["lm_head.weight"] = model["wte.weight"]
        for name, a in adapter.items():
            if strip(name) in model:
                model[strip(name)] = a.astype("<f4")
        for name, a in adapter.items():
            module, _, kind = name.partition(".lora_")
            if kind not in ("A.weight", "embedding_A", "B.bias"):
                continue
            if kind == "B.bias":
                r = adapter[module + ".lora_A.weight"].shape[0]
            else:
                r = a.shape[0]
            assert r == pattern(config["rank_pattern"], module, config["r"])
            alpha = pattern(config["alpha_pattern"], module, config["lora_alpha"])
            c = scale * (alpha / (math.sqrt(r) if config["use_rslora"] else r))
            if kind == "B.bias":
                key = strip(module) + ".bias"
                delta = a.astype("f8")
            else:
                key = strip(module) + ".weight"
                other = kind.replace("A", "B")
                A, B = a.astype("f8"), adapter[module + ".lora_" + other].astype("f8")
                delta = np.zeros((B.shape[0], A.shape[1]))
                for j in range(r):
                    delta = delta + np.outer(B[:, j], A[j])
                if module != "lm_head":
                    delta = delta.T  # Conv1D is [in, out], an embedding [rows, n_embd]
            model[key] = (model[key].astype("f8") + c * delta).astype("<f4")
    os.makedirs(args.out, exist_ok=True)
    write(os.path.join(args.out, "model.safetensors"), model)
    with open(os.path.join(args.model, "config.json")) as file:
        config = json.load(file)
    config["tie_word_embeddings"] = "lm_head.weight" not in model
    with open(os.path.join(args.out, "config.json"), "w") as file:
        json.dump(config, file)
    for name in ("vocab.json", "merges.txt"):
        if os.path.exists(os.path.join(args.model, name)):
            shutil.copy(os.path.join(args.model, name), args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("write")
    p.set_defaults(run=write_adapter)
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("--targets", default="c_attn")
    p.add_argument("--rank", type=int, default=4)
    p.add_argument("--alpha", type=float, default=8)
    p.add_argument("--rank-pattern", action="append", default=[])
    p.add_argument("--alpha-pattern", action="append", default=[])
    p.add_argument("--save", default="")
    p.add_argument("--bias", default="none")
    p.add_argument("--dtype", default="F32")
    p.add_argument("--set", action="append", default=[])
    p.add_argument("--drop", action="append", default=[])
    for flag in ("--rslora", "--fan-out", "--lora-bias", "--bin", "--old-names"):
        p.add_argument(flag, action="store_true")
    p = commands.add_parser("merge")
    p.set_defaults(run=merge)
    p.add_argument("model")
    p.add_argument("out")
    p.add_argument("adapters", nargs="+")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    sys.exit(main())
