#!/usr/bin/python3
"""Train the small GPT-2 of models/tales on a text of tales.

Everything a reader of the model needs is made here: the byte-level BPE, the
weights, and the files of the Hugging Face layout.  A corpus is a text file
whose documents are separated by lines holding only <|endoftext|>.

    train_tales.py tokenizer CORPUS...          learn the BPE: vocab.json, merges.txt
    train_tales.py train CORPUS... --minutes N  train, going on from a checkpoint
    train_tales.py export                       checkpoint -> config.json, model.safetensors
    train_tales.py evaluate TEXT                bits per byte of the exported model
    train_tales.py sample --seed 1              tell a tale

Training uses the CPU: matrix products in bfloat16, everything that adds up
(weights, residual stream, normalisation, loss) in float32.  The matrices of
the blocks are trained by Muon, the rest by Adam.  The learning rate follows
the share of the allowed time that is used up, so that a run on a busy machine
still ends with the rate at zero.  Each thread works on windows of its own, so
that no thread waits for another that lost its core within a product.  When
more than one corpus is given, the first is the one that matters: the others
are left out once the rate falls.

Needs Debian's python3-torch, python3-numpy and python3-regex.
"""

import argparse
import collections
import concurrent.futures
import heapq
import json
import math
import os
import struct
import sys
import time

import numpy as np
import regex
import torch
import torch.nn.functional as F

END_OF_TEXT = "<|endoftext|>"
CONTEXT = 512
VOCABULARY = 8192
PIECE = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)


# ---------------------------------------------------------------- tokenizer


def byte_alphabet():
    """GPT-2's printable character for each byte, in the order of the ids."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    letters = {b: chr(b) for b in printable}
    letters.update({b: chr(0x100 + i) for i, b in enumerate(others)})
    return letters


ALPHABET = byte_alphabet()


def piece_symbols(piece):
    return [ALPHABET[b] for b in piece.encode("utf-8")]


def learn_merges(counts, wanted):
    """Learn `wanted` merges from {piece: count}; the most frequent pair first.

    The heap holds (-count, left, right); an entry whose count is out of date
    is put back with the right one when it comes up.
    """
    words = [(piece_symbols(piece), n) for piece, n in counts.items()]
    pair_count = collections.Counter()
    pair_words = collections.defaultdict(set)
    for index, (symbols, n) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pair_count[pair] += n
            pair_words[pair].add(index)
    heap = [(-n, pair) for pair, n in pair_count.items()]
    heapq.heapify(heap)
    merges = []
    while heap and len(merges) < wanted:
        stale, pair = heapq.heappop(heap)
        if -stale != pair_count[pair]:
            if pair_count[pair] > 0:
                heapq.heappush(heap, (-pair_count[pair], pair))
            continue
        merges.append(pair)
        changed = set()
        for index in pair_words.pop(pair):
            symbols, n = words[index]
            for old in zip(symbols, symbols[1:]):
                pair_count[old] -= n
            symbols[:] = merge_pair(symbols, pair)
            for new in zip(symbols, symbols[1:]):
                pair_count[new] += n
                pair_words[new].add(index)
                changed.add(new)
        for new in changed:
            heapq.heappush(heap, (-pair_count[new], new))
    return merges


def merge_pair(symbols, pair):
    """The symbols with every occurrence of the pair joined, from the left."""
    out, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


class Tokenizer:
    """Byte-level BPE: 256 bytes, then one id per merge, <|endoftext|> last."""

    def __init__(self, merges):
        tokens = list(ALPHABET.values()) + [a + b for a, b in merges] + [END_OF_TEXT]
        self.merges = merges
        self.rank = {pair: r for r, pair in enumerate(merges)}
        self.id_of = {token: i for i, token in enumerate(tokens)}
        assert len(self.id_of) == len(tokens), "two merges give the same token"
        self.end_of_text = len(tokens) - 1
        byte_of = {letter: b for b, letter in ALPHABET.items()}
        self.bytes_of = [bytes(byte_of[c] for c in t) for t in tokens[:-1]]
        self.bytes_of.append(END_OF_TEXT.encode())
        self.known = {}

    @classmethod
    def load(cls, folder):
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as file:
            lines = file.read().split("\n")[1:]
        return cls([tuple(line.split(" ")) for line in lines if line])

    def save(self, folder):
        lines = ["#version: 0.2"] + [f"{a} {b}" for a, b in self.merges]
        replace_file(os.path.join(folder, "merges.txt"), "\n".join(lines) + "\n")
        vocab = json.dumps(self.id_of, ensure_ascii=False, separators=(",", ":"))
        replace_file(os.path.join(folder, "vocab.json"), vocab + "\n")

    def encode(self, text):
        ids = []
        for piece in PIECE.findall(text):
            if piece not in self.known:
                self.known[piece] = self.encode_piece(piece)
            ids += self.known[piece]
        return ids

    def encode_piece(self, piece):
        symbols = piece_symbols(piece)
        while len(symbols) > 1:
            pairs = zip(symbols, symbols[1:])
            best = min(pairs, key=lambda pair: self.rank.get(pair, math.inf))
            if best not in self.rank:
                break
            symbols = merge_pair(symbols, best)
        return [self.id_of[s] for s in symbols]

    def decode(self, ids):
        return b"".join(self.bytes_of[i] for i in ids).decode("utf-8", "replace")


# --------------------------------------------------------------------- text


def read_documents(path):
    """The documents of a corpus, each with its final newline."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    documents = [d.removeprefix("\n") for d in text.split(END_OF_TEXT)]
    return [d for d in documents if d.strip()]


def token_stream(path, tokenizer, cache):
    """The corpus as ids, <|endoftext|> before each document; kept in a file."""
    if not os.path.exists(cache):
        ids = []
        for document in read_documents(path):
            ids.append(tokenizer.end_of_text)
            ids += tokenizer.encode(document)
        ids.append(tokenizer.end_of_text)
        np.asarray(ids, dtype="<u2").tofile(cache)
    return np.fromfile(cache, dtype="<u2").astype(np.int64)


class Windows:
    """Endless shuffled windows of CONTEXT + 1 tokens, epoch after epoch.

    Each epoch cuts the stream at another phase.  A window in which a document
    begins is moved, every second time, to start there: a reader of the model
    begins a tale at position 0, so the model must have seen tales begin there.
    The epoch and the place in it are all the state there is.
    """

    def __init__(self, stream, end_of_text, place=(0, 0)):
        self.stream = stream
        self.openings = np.flatnonzero(stream[:-1] == end_of_text)
        self.epoch, self.position = place
        self.shuffle()

    def shuffle(self):
        rng = np.random.default_rng(self.epoch)
        last = len(self.stream) - CONTEXT - 1
        starts = np.arange(rng.integers(CONTEXT), last + 1, CONTEXT)
        following = np.searchsorted(self.openings, starts)
        following = self.openings[np.minimum(following, len(self.openings) - 1)]
        inside = (following > starts) & (following < starts + CONTEXT) & (following <= last)
        starts = np.where(inside & (rng.random(len(starts)) < 0.5), following, starts)
        self.starts = rng.permutation(starts)

    def take(self, count):
        """`count` windows as (inputs, targets)."""
        if self.position + count > len(self.starts):
            self.epoch, self.position = self.epoch + 1, 0
            self.shuffle()
        starts = self.starts[self.position : self.position + count]
        self.position += count
        rows = torch.from_numpy(self.stream[starts[:, None] + np.arange(CONTEXT + 1)])
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


# -------------------------------------------------------------------- model


class CausalAttention(torch.autograd.Function):
    """softmax(q k' / sqrt(d)) v, by blocks of queries that skip later keys."""

    BLOCK = 128

    @staticmethod
    def forward(ctx, qkv, n_head):
        batch, length, width = qkv.shape
        size = width // 3 // n_head
        heads = qkv.view(batch, length, 3, n_head, size).permute(2, 0, 3, 1, 4)
        q, k, v = heads.reshape(3, batch * n_head, length, size)
        q = q * size**-0.5
        out = torch.empty_like(q)
        weights = []
        for start in range(0, length, CausalAttention.BLOCK):
            end = min(start + CausalAttention.BLOCK, length)
            scores = torch.bmm(q[:, start:end], k[:, :end].transpose(1, 2))
            rows = end - start
            hidden = torch.full((rows, rows), -math.inf, dtype=qkv.dtype).triu_(1)
            scores[:, :, start:] += hidden
            weights.append(torch.softmax(scores, -1))
            out[:, start:end] = torch.bmm(weights[-1], v[:, :end])
        ctx.save_for_backward(q, k, v, *weights)
        ctx.shape = batch, length, n_head, size
        return out.view(batch, n_head, length, size).transpose(1, 2).reshape(batch, length, -1)

    @staticmethod
    def backward(ctx, grad):
        q, k, v, *weights = ctx.saved_tensors
        batch, length, n_head, size = ctx.shape
        grad = grad.view(batch, length, n_head, size).transpose(1, 2).reshape(q.shape)
        dqkv = torch.zeros(3, *q.shape, dtype=q.dtype)
        dq, dk, dv = dqkv
        for p, start in zip(weights, range(0, length, CausalAttention.BLOCK)):
            end = start + p.shape[1]
            block = grad[:, start:end]
            dv[:, :end] += torch.bmm(p.transpose(1, 2), block)
            dp = torch.bmm(block, v[:, :end].transpose(1, 2))
            dscores = torch._softmax_backward_data(dp, p, -1, p.dtype)
            dq[:, start:end] = torch.bmm(dscores, k[:, :end])
            dk[:, :end] += torch.bmm(dscores.transpose(1, 2), q[:, start:end])
        dq *= size**-0.5
        dqkv = dqkv.view(3, batch, n_head, length, size).permute(1, 3, 0, 2, 4)
        return dqkv.reshape(batch, length, -1), None


class Gelu(torch.autograd.Function):
    """GPT-2's gelu_new, x * sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3).

    Several times faster than torch's own in bfloat16: a few rows at a time
    stay in the cache, and the slope is kept for the way back.
    """

    ROWS = 256
    A = 2 * math.sqrt(2 / math.pi)
    B = A * 0.044715

    @staticmethod
    def forward(ctx, x):
        out, slope = torch.empty_like(x), torch.empty_like(x)
        for i in range(0, len(x), Gelu.ROWS):
            part = slice(i, i + Gelu.ROWS)
            t = x[part].float()
            square = t * t
            s = torch.sigmoid((square * Gelu.B).add_(Gelu.A).mul_(t))
            y = t.mul_(s)
            out[part] = y
            square.mul_(3 * Gelu.B).add_(Gelu.A)
            slope[part] = torch.addcmul(s, y.addcmul_(y, s, value=-1), square)
        ctx.save_for_backward(slope)
        return out

    @staticmethod
    def backward(ctx, grad):
        (slope,) = ctx.saved_tensors
        return grad * slope


class HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of x @ wte' against the targets, some rows at a time.

    The gradients are made along with the loss, so that the logits of the
    whole batch never exist at once.
    """

    ROWS = 256

    @staticmethod
    def forward(ctx, x, wte, targets):
        dx, dwte = torch.empty_like(x), torch.zeros(wte.shape)
        loss = 0.0
        for i in range(0, len(x), HeadLoss.ROWS):
            part = slice(i, i + HeadLoss.ROWS)
            target = targets[part, None]
            p = torch.softmax((x[part] @ wte.t()).float(), -1)
            p_target = p.gather(1, target)
            loss -= p_target.log().sum().item()
            p.scatter_(1, target, p_target - 1)
            dlogits = p.mul_(1 / len(x)).to(x.dtype)
            torch.mm(dlogits, wte, out=dx[part])
            dwte += torch.mm(dlogits.t(), x[part])
        ctx.save_for_backward(dx, dwte.to(wte.dtype))
        return torch.tensor(loss / len(x))

    @staticmethod
    def backward(ctx, grad):
        dx, dwte = ctx.saved_tensors
        return dx * grad, dwte * grad, None


def new_parameters(config, seed):
    """Fresh weights: residual projections start at zero."""
    torch.manual_seed(seed)
    width, layers = config["n_embd"], config["n_layer"]

    def normal(*shape, std):
        return torch.randn(shape) * std

    p = {
        "wte.weight": normal(config["vocab_size"], width, std=0.02),
        "wpe.weight": normal(config["n_positions"], width, std=0.01),
    }
    for layer in range(layers):
        h = f"h.{layer}."
        for norm in ("ln_1", "ln_2"):
            p[h + norm + ".weight"] = torch.ones(width)
            p[h + norm + ".bias"] = torch.zeros(width)
        p[h + "attn.c_attn.weight"] = normal(width, 3 * width, std=0.5 * width**-0.5)
        p[h + "attn.c_attn.bias"] = torch.zeros(3 * width)
        p[h + "attn.c_proj.weight"] = torch.zeros(width, width)
        p[h + "attn.c_proj.bias"] = torch.zeros(width)
        p[h + "mlp.c_fc.weight"] = normal(width, 4 * width, std=0.5 * width**-0.5)
        p[h + "mlp.c_fc.bias"] = torch.zeros(4 * width)
        p[h + "mlp.c_proj.weight"] = torch.zeros(4 * width, width)
        p[h + "mlp.c_proj.bias"] = torch.zeros(width)
    p["ln_f.weight"] = torch.ones(width)
    p["ln_f.bias"] = torch.zeros(width)
    return p


def hidden_states(p, config, tokens, dtype):
    """Final hidden states [batch * length, width] in `dtype`."""
    batch, length = tokens.shape
    width, epsilon = config["n_embd"], config["layer_norm_epsilon"]

    def norm(x, name):
        y = F.layer_norm(x, (width,), p[name + ".weight"], p[name + ".bias"], epsilon)
        return y.to(dtype)

    def linear(x, name):
        return torch.addmm(p[name + ".bias"].to(dtype), x, p[name + ".weight"].to(dtype))

    x = (F.embedding(tokens, p["wte.weight"]) + p["wpe.weight"][:length]).view(-1, width)
    for layer in range(config["n_layer"]):
        h = f"h.{layer}."
        qkv = linear(norm(x, h + "ln_1"), h + "attn.c_attn").view(batch, length, -1)
        mixed = CausalAttention.apply(qkv, config["n_head"]).view(-1, width)
        x = x + linear(mixed, h + "attn.c_proj")
        inner = Gelu.apply(linear(norm(x, h + "ln_2"), h + "mlp.c_fc"))
        x = x + linear(inner, h + "mlp.c_proj")
    return norm(x, "ln_f")


def training_loss(p, config, inputs, targets):
    x = hidden_states(p, config, inputs, torch.bfloat16)
    return HeadLoss.apply(x, p["wte.weight"].to(torch.bfloat16), targets.view(-1))


# ---------------------------------------------------------------- optimiser


def orthogonalise(m):
    """Newton-Schulz iteration: all singular values of each matrix near 1."""
    m = m.to(torch.bfloat16)
    m = m / (m.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(m.dtype)
    for _ in range(5):
        a = m @ m.transpose(1, 2)
        m = 3.4445 * m + torch.bmm(-4.7750 * a + 2.0315 * (a @ a), m)
    return m.float()


class Muon:
    """Momentum whose step is orthogonalised, for the matrices of the blocks.

    c_attn is three matrices side by side; the tall ones are turned so that
    rows <= columns.  Matrices of one shape go through together, TOGETHER at a
    time, the groups shared out among the threads of the pool.
    """

    TOGETHER = 5

    MOMENTUM = 0.95
    DECAY = 0.05

    def __init__(self, p):
        names = [n for n in p if n.startswith("h.") and p[n].dim() == 2]
        self.weights = {n: p[n] for n in names}
        self.momentum = {n: torch.zeros_like(p[n]) for n in names}

    def step(self, rate, pool):
        views = collections.defaultdict(list)
        for name, weight in self.weights.items():
            momentum = self.momentum[name].lerp_(weight.grad, 1 - self.MOMENTUM)
            update = weight.grad.lerp(momentum, self.MOMENTUM)
            weight.data.mul_(1 - rate * self.DECAY)
            thirds = 3 if "c_attn" in name else 1
            for w, u in zip(weight.data.chunk(thirds, 1), update.chunk(thirds, 1)):
                if u.shape[0] > u.shape[1]:
                    w, u = w.t(), u.t()
                views[u.shape].append((w, u))
        groups = [
            pairs[i : i + self.TOGETHER]
            for pairs in views.values()
            for i in range(0, len(pairs), self.TOGETHER)
        ]
        stacks = [torch.stack([u for _, u in group]) for group in groups]
        for group, updates in zip(groups, pool.map(orthogonalise, stacks)):
            for (w, _), u in zip(group, updates):
                w.sub_(u, alpha=rate * math.sqrt(u.shape[1] / u.shape[0]))


# ----------------------------------------------------------------- training


def rate_factor(step, warm_up, used, decay):
    """Warm-up by steps, constant, then linear to zero over the last `decay`."""
    return min(1.0, (step + 1) / warm_up, (1 - used) / decay)


def save_checkpoint(path, state):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def train(args):
    os.makedirs(args.work, exist_ok=True)
    os.makedirs(args.model, exist_ok=True)
    torch.set_num_threads(1)
    pool = concurrent.futures.ThreadPoolExecutor(
        args.threads, initializer=torch.set_num_threads, initargs=(1,)
    )
    if not os.path.exists(os.path.join(args.model, "merges.txt")):
        learn_tokenizer(args)
    tokenizer = Tokenizer.load(args.model)
    streams = [
        token_stream(path, tokenizer, os.path.join(args.work, os.path.basename(path) + ".u2"))
        for path in args.corpus
    ]
    config = model_config(args, tokenizer)
    p = {name: w.requires_grad_() for name, w in new_parameters(config, args.seed).items()}
    muon = Muon(p)
    adam = torch.optim.Adam(
        [w for name, w in p.items() if name not in muon.weights], betas=(0.9, 0.99)
    )
    step, tokens, seconds = 0, 0, 0.0
    places = {"all": (0, 0), "first": (0, 0)}
    path = os.path.join(args.work, "checkpoint.pt")
    if os.path.exists(path):
        state = torch.load(path)
        with torch.no_grad():
            for name, w in p.items():
                w.copy_(state["parameters"][name])
        muon.momentum = state["muon"]
        adam.load_state_dict(state["adam"])
        step, tokens, seconds = state["step"], state["tokens"], state["seconds"]
        places = state["places"]
    windows = {
        "all": Windows(np.concatenate(streams), tokenizer.end_of_text, places["all"]),
        "first": Windows(streams[0], tokenizer.end_of_text, places["first"]),
    }

    def checkpoint():
        state = {"config": config, "parameters": {n: w.detach() for n, w in p.items()}}
        state.update(muon=muon.momentum, adam=adam.state_dict())
        state.update(step=step, tokens=tokens, seconds=seconds)
        state["places"] = {n: (w.epoch, w.position) for n, w in windows.items()}
        save_checkpoint(path, state)

    def learn(part):
        loss = training_loss(p, config, *part)
        (loss * (args.micro / args.batch)).backward()
        return loss.item()

    saved, losses, logged = seconds, [], (seconds, tokens)
    while True:
        used = step / args.steps if args.steps else seconds / (60 * args.minutes)
        if used >= 1:
            break
        began = time.monotonic()
        factor = rate_factor(step, args.warm_up, used, args.decay)
        source = windows["first" if used > 1 - args.decay else "all"]
        parts = [source.take(args.micro) for _ in range(args.batch // args.micro)]
        losses += pool.map(learn, parts)
        torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        muon.step(args.muon_rate * factor, pool)
        adam.param_groups[0]["lr"] = args.adam_rate * factor
        adam.step()
        adam.zero_grad(set_to_none=True)
        for w in muon.weights.values():
            w.grad = None
        step += 1
        tokens += args.batch * CONTEXT
        seconds += time.monotonic() - began
        if step % args.log_every == 0:
            speed = (tokens - logged[1]) / (seconds - logged[0])
            print(
                f"step {step} tokens {tokens} seconds {seconds:.0f} used {used:.3f} "
                f"rate {factor:.3f} loss {sum(losses) / len(losses):.4f} tokens/s {speed:.0f}",
                flush=True,
            )
            losses, logged = [], (seconds, tokens)
        if seconds - saved > args.save_every:
            checkpoint()
            saved = seconds
    checkpoint()


# -------------------------------------------------------------------- files


def replace_file(path, data):
    """Write a file under another name first, so that no reader sees half of it."""
    with open(path + ".new", "wb") as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)
    os.replace(path + ".new", path)


def model_config(args, tokenizer):
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": tokenizer.end_of_text + 1,
        "n_positions": CONTEXT,
        "n_ctx": CONTEXT,
        "n_embd": args.width,
        "n_layer": args.layers,
        "n_head": args.heads,
        "n_inner": None,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-05,
        "initializer_range": 0.02,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": tokenizer.end_of_text,
        "eos_token_id": tokenizer.end_of_text,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
    }


def safetensors(tensors):
    """The bytes of a safetensors file with the tensors rounded to F16."""
    header, chunks, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        half = tensor.numpy().astype("<f2")
        assert np.isfinite(half).all(), f"{name} does not fit F16"
        data = half.tobytes()
        header[name] = {
            "dtype": "F16",
            "shape": list(half.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(chunks)


def export(args):
    state = torch.load(os.path.join(args.work, "checkpoint.pt"))
    config = json.dumps(state["config"], indent=2) + "\n"
    replace_file(os.path.join(args.model, "config.json"), config)
    replace_file(os.path.join(args.model, "model.safetensors"), safetensors(state["parameters"]))
    print(f"step {state['step']} tokens {state['tokens']} seconds {state['seconds']:.0f}")


def load_model(folder):
    """The exported model: (weights in float32, config)."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        data = file.read()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    p = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            half = np.frombuffer(data[8 + size + begin : 8 + size + end], "<f2")
            p[name] = torch.from_numpy(half.astype(np.float32)).view(entry["shape"])
    return p, config


# ------------------------------------------------------------------ reading


def evaluate(args):
    """Bits per byte: all tokens of the text / bytes of the text.

    Each document is read from <|endoftext|> on, in windows of the full
    context; a later window begins with the last token of the one before.
    """
    torch.set_num_threads(args.threads)
    p, config = load_model(args.model)
    tokenizer = Tokenizer.load(args.model)
    bits, count, size = 0.0, 0, 0
    for document in read_documents(args.text):
        ids = torch.tensor([tokenizer.end_of_text] + tokenizer.encode(document))
        for start in range(0, len(ids) - 1, CONTEXT):
            window = ids[start : start + CONTEXT + 1]
            with torch.no_grad():
                x = hidden_states(p, config, window[None, :-1], torch.float32)
                log_p = torch.log_softmax(x @ p["wte.weight"].t(), -1)
            bits -= log_p.gather(1, window[1:, None]).double().sum().item() / math.log(2)
        count += len(ids) - 1
        size += len(document.encode("utf-8"))
        if args.bytes and size >= args.bytes:
            break
    print(
        f"{bits / size:.4f} bits per byte, {bits / count * math.log(2):.4f} nats per token, "
        f"{size} bytes, {count} tokens"
    )


def sample(args):
    """Tell a tale: temperature, then the top k; ends at <|endoftext|>."""
    torch.set_num_threads(args.threads)
    p, config = load_model(args.model)
    tokenizer = Tokenizer.load(args.model)
    random = torch.Generator().manual_seed(args.seed)
    ids = [tokenizer.end_of_text] + tokenizer.encode(args.prompt)
    for _ in range(args.tokens):
        with torch.no_grad():
            x = hidden_states(p, config, torch.tensor([ids[-CONTEXT:]]), torch.float32)
            logits = x[-1] @ p["wte.weight"].t()
        top = torch.topk(logits / args.temperature, args.top_k)
        choice = torch.multinomial(torch.softmax(top.values, -1), 1, generator=random)
        ids.append(top.indices[choice].item())
        if ids[-1] == tokenizer.end_of_text:
            break
    print(tokenizer.decode(i for i in ids if i != tokenizer.end_of_text))


def learn_tokenizer(args):
    counts = collections.Counter()
    for path in args.corpus:
        for document in read_documents(path):
            counts.update(PIECE.findall(document))
    os.makedirs(args.model, exist_ok=True)
    Tokenizer(learn_merges(counts, VOCABULARY - 257)).save(args.model)


def keep_memory():
    """Start again with a malloc that keeps large buffers: a tenth faster."""
    settings = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
    if not settings.keys() <= os.environ.keys():
        os.environ.update(settings)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="models/tales", help="folder of the model")
    parser.add_argument("--work", default="build/train", help="folder of the checkpoint")
    parser.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("tokenizer", help="learn the BPE")
    command.add_argument("corpus", nargs="+")
    command.set_defaults(run=learn_tokenizer)

    command = commands.add_parser("train", help="train, going on from a checkpoint")
    command.add_argument("corpus", nargs="+")
    command.add_argument("--minutes", type=float, default=110, help="training time in all")
    command.add_argument("--steps", type=int, help="number of steps, instead of the time")
    command.add_argument("--layers", type=int, default=5)
    command.add_argument("--heads", type=int, default=4)
    command.add_argument("--width", type=int, default=256)
    command.add_argument("--batch", type=int, default=16, help="windows per step")
    command.add_argument("--micro", type=int, default=2, help="windows at a time")
    command.add_argument("--muon-rate", type=float, default=0.02)
    command.add_argument("--adam-rate", type=float, default=0.005)
    command.add_argument("--warm-up", type=int, default=100, help="steps")
    command.add_argument("--decay", type=float, default=0.45, help="last share of the run")
    command.add_argument("--log-every", type=int, default=50, help="steps")
    command.add_argument("--save-every", type=float, default=240, help="seconds")
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(run=train)

    command = commands.add_parser("export", help="write the model's files")
    command.set_defaults(run=export)

    command = commands.add_parser("evaluate", help="bits per byte of a text")
    command.add_argument("text")
    command.add_argument("--bytes", type=int, help="stop after the document that reaches this")
    command.set_defaults(run=evaluate)

    command = commands.add_parser("sample", help="tell a tale")
    command.add_argument("--prompt", default="Once upon a time")
    command.add_argument("--tokens", type=int, default=400)
    command.add_argument("--temperature", type=float, default=0.8)
    command.add_argument("--top-k", type=int, default=40)
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(run=sample)

    args = parser.parse_args()
    keep_memory()
    args.run(args)


if __name__ == "__main__":
    main()
