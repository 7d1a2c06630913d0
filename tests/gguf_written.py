#!/usr/bin/env python3
"""Read a GGUF file that the program wrote and compare it, bit for bit, with what ggml would have
made of the model: types, shapes, order, offsets, blocks. For cli/containers.sh.

    gguf_written.py MODEL FILE.gguf TYPE NAME [--tied] PLAIN
    gguf_written.py --large MODEL OUT       a copy of MODEL with one weight of 1e30

Prints what is wrong, or "right", and writes the numbers that the file has as a directory PLAIN of
F32. The layouts are written down here from ggml's (ggml-common.h, ggml-quants.c); no code of ours
is shared.
"""

import json
import os
import shutil
import struct
import sys

import numpy as np

f32 = np.float32
IDS = {0: ("f32", 1, 4), 1: ("f16", 1, 2), 30: ("bf16", 1, 2), 2: ("q4_0", 32, 18), 8: ("q8_0", 32, 34)}
FTYPE = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "bf16": 32}
NAMES = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output",
         "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
         "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}


def read_model(path):
    with open(os.path.join(path, "model.safetensors"), "rb") as file:
        n = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(n))
        data = file.read()
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        a, b = t["data_offsets"]
        raw = data[a:b]
        if t["dtype"] == "BF16":
            array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[t["dtype"]]).astype("<f4")
        name = name.removeprefix("transformer.")
        if len(t["shape"]) in (1, 2):
            out[name] = (t["dtype"].lower(), array.reshape(t["shape"]))
    return out


def write_model(path, source, tensors):
    os.makedirs(path, exist_ok=True)
    for name in os.listdir(source):
        if name != "model.safetensors":
            shutil.copy(os.path.join(source, name), path)
    header, at = {}, 0
    for name, a in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for a in tensors.values():
            file.write(a.astype("<f4").tobytes())


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def get(self, form):
        out = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return out

    def text(self):
        n = self.get("Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, n = self.get("I"), self.get("Q")
            return [self.value(kind) for _ in range(n)]
        return self.get("BbHhIifBxQqd".replace("x", "")[kind if kind < 8 else kind - 2])


def quantize(x, kind):
    """The bytes of rows x, as ggml's reference quantizers make them, and their values."""
    if kind == "f32":
        return x.tobytes(), x
    if kind == "f16":
        y = x.astype("<f2")
        return y.tobytes(), y.astype(f32)
    if kind == "bf16":
        bits = np.ascontiguousarray(x).view("<u4").astype(np.uint64)
        y = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
        return y.tobytes(), (y.astype("<u4") << 16).view("<f4").reshape(x.shape)
    b = x.reshape(-1, 32)
    if kind == "q8_0":
        d = np.abs(b).max(1) / f32(127)
    else:
        d = b[np.arange(len(b)), np.abs(b).argmax(1)] / f32(-8)
    inverse = np.where(d != 0, f32(1) / np.where(d != 0, d, f32(1)), f32(0)).astype(f32)
    scaled = b * inverse[:, None]
    half = d.astype("<f2")
    if kind == "q8_0":  # half away from zero
        q = (np.sign(scaled) * np.floor(np.abs(scaled).astype("f8") + 0.5)).astype(np.int8)
        blocks = np.concatenate([half.view(np.uint8).reshape(-1, 2), q.view(np.uint8)], 1)
        return blocks.tobytes(), (half.astype(f32)[:, None] * q.astype(f32)).reshape(x.shape)
    q = np.minimum(15, (scaled + f32(8.5)).astype(np.int8)).astype(np.uint8)
    packed = q[:, :16] | q[:, 16:] << 4
    blocks = np.concatenate([half.view(np.uint8).reshape(-1, 2), packed], 1)
    return blocks.tobytes(), (half.astype(f32)[:, None] * (q.astype(f32) - 8)).reshape(x.shape)


def main():
    if sys.argv[1] == "--large":
        tensors = {k: v.copy() for k, (_, v) in read_model(sys.argv[2]).items()}
        tensors["h.0.mlp.c_fc.weight"][1, 2] = 1e30
        write_model(sys.argv[3], sys.argv[2], tensors)
        return
    model, path, kind, name, *tied, plain = sys.argv[1:]
    tensors = read_model(model)
    with open(path, "rb") as file:
        r = Reader(file.read())
    assert r.data[:4] == b"GGUF", "magic"
    r.at = 4
    assert r.get("I") == 3, "version"
    n_tensors, n_pairs = r.get("Q"), r.get("Q")
    pairs = {}
    for _ in range(n_pairs):
        key = r.text()
        assert key not in pairs, "key twice: " + key
        pairs[key] = r.value(r.get("I"))
    infos = []
    for _ in range(n_tensors):
        n = r.text()
        ne = [r.get("Q") for _ in range(r.get("I"))]
        infos.append((n, ne, r.get("I"), r.get("Q")))
    start = (r.at + 31) // 32 * 32
    assert not any(r.data[r.at:start]), "padding"
    blocks = "h.0.attn.c_attn.weight"
    mostly = kind if kind != "as-is" else tensors[blocks][0]
    assert pairs["general.name"] == name, "general.name: " + pairs["general.name"]
    assert pairs["general.architecture"] == "gpt2"
    assert pairs["general.file_type"] == FTYPE[mostly], "general.file_type"
    assert ("general.quantization_version" in pairs) == (mostly[0] == "q"), "quantization_version"
    right = {}
    for ours in list(tensors) + ([] if tied or "lm_head.weight" in tensors else ["lm_head.weight"]):
        dtype, a = tensors[ours if ours in tensors else "wte.weight"]
        part = ours.split(".")
        block = "blk.%s." % part[1] if part[0] == "h" else ""
        stem = ".".join(part[2 if block else 0:-1])
        matrix = part[-1] == "weight" and a.ndim == 2
        turned = matrix and block != ""
        to = "f32"
        if matrix and stem != "wpe":
            to = dtype if kind == "as-is" else kind
            if kind == "q4_0" and not turned:
                to = "q8_0"
        right[block + NAMES[stem] + "." + part[-1]] = (ours, a, to, turned)
    assert {i[0] for i in infos} == set(right), "tensors: %s" % ({i[0] for i in infos} ^ set(right))
    at, values = 0, {}
    for n, ne, type_id, offset in infos:
        ours, a, to, turned = right[n]
        a = a.T if turned else a
        found, _, _ = IDS[type_id]
        assert found == to, "%s: type %s, not %s" % (n, found, to)
        assert ne == list(a.shape[::-1]), "%s: shape %s" % (n, ne)
        assert offset == at, "%s: offset %d, not %d" % (n, offset, at)
        raw, y = quantize(np.ascontiguousarray(a), to)
        is_ = r.data[start + at:start + at + len(raw)]
        assert is_ == raw, "%s: bytes differ, first at %d" % (
            n, next(i for i in range(len(raw)) if is_[i] != raw[i]))
        at += (len(raw) + 31) // 32 * 32
        if ours in tensors:
            values[ours] = y.T if turned else y
    assert len(r.data) == start + at, "size"
    write_model(plain, model, values)
    print("right")


main()
