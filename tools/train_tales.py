#!/usr/bin/python3
"""Train the small GPT-2 of models/tales on a text of tales.

Everything a reader of the model needs is made here: the byte-level BPE, the
weights, and the files of the Hugging Face layout.  A corpus is a text file
whose documents are separated by lines holding only <|endoftext|>.

    train_tales.py clean CORPUS... --held-out TEXT... -o FOLDER
                                     straighten quotes, take out what is held out
    train_tales.py tokenizer CORPUS...     learn the BPE: vocab.json, merges.txt
    train_tales.py train CORPUS...         the main run, going on from its checkpoint
    train_tales.py decay CORPUS... --steps N    a branch of it, the rate falling to zero
    train_tales.py export main|branch      checkpoint -> config.json, model.safetensors
    train_tales.py average FOLDER...       the mean of exported models
    train_tales.py evaluate TEXT           bits per byte of the exported model
    train_tales.py sample --seed 1         tell a tale

Training uses the CPU: matrix products in bfloat16, everything that adds up
(weights, residual stream, normalization, loss) in float32.  The matrices of
the blocks are trained by Muon, the rest by Adam.  The main run keeps its rate
and an average of its weights, so that it can be stopped and continued at any
time; the model to ship is a branch whose rate falls to zero.  Each thread works
on windows of its own, so that no thread waits for another that lost its core
within a product.  `train --from FOLDER` begins with the weights of an exported
model, where the checkpoint is gone.

Needs Debian's python3-torch, python3-numpy and python3-regex.
"""

import argparse
import collections
import concurrent.futures
import heapq
import json
import math
import os
import signal
import struct
import sys
import time

import numpy as np
import regex
import torch
import torch.nn.functional as F

END_OF_TEXT = "<|endoftext|>"
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


def paragraphs(document):
    return [p.strip() for p in document.split("\n\n") if p.strip()]


def word_runs(document):
    """Every run of 13 words of the document, whatever its capitals."""
    words = regex.findall(r"[a-z0-9']+", document.lower())
    return [" ".join(words[i : i + 13]) for i in range(len(words) - 12)]


def clean(args):
    """Straight quotation marks, nothing twice, and nothing of what is held out.

    A paragraph identical to a held-out one is dropped, and so is a whole
    document of whose 13-word runs more than a tenth are held out: the same
    tale in another edition.  What is left in common is counted.  A document
    most of which stands in one before it, of this or an earlier corpus, is
    dropped, and of others the paragraphs that do.
    """
    straight = {ord(c): "'" for c in "‘’‚‛"}
    straight.update({ord(c): '"' for c in "“”„‟"})
    held_out = [d.translate(straight) for path in args.held_out for d in read_documents(path)]
    known_paragraphs = {p for d in held_out for p in paragraphs(d)}
    known_runs = {r for d in held_out for r in word_runs(d)}
    earlier = set()  # hashes of paragraphs; a short one may well come twice
    os.makedirs(args.output, exist_ok=True)
    for path in args.corpus:
        kept, dropped_paragraphs, dropped_documents, shared = [], 0, 0, set()
        repeated_paragraphs, repeated_documents = 0, 0
        for document in read_documents(path):
            document = document.translate(straight)
            before = paragraphs(document)
            left = [p for p in before if p not in known_paragraphs]
            dropped_paragraphs += len(before) - len(left)
            new = [p for p in left if len(p) < 60 or hash(p) not in earlier]
            if 2 * len("".join(new)) < len("".join(left)):
                repeated_documents += 1
                continue
            repeated_paragraphs += len(left) - len(new)
            left = new
            earlier.update(hash(p) for p in left)
            document = "\n\n".join(left) + "\n"
            runs = word_runs(document)
            common = [r for r in runs if r in known_runs]
            if not left or 10 * len(common) > len(runs):
                dropped_documents += bool(left)
                continue
            shared.update(common)
            kept.append(document)
        text = f"{END_OF_TEXT}\n".join(kept)
        replace_file(os.path.join(args.output, os.path.basename(path)), text)
        print(
            f"{path}: {len(kept)} documents, {len(text.encode())} bytes; dropped "
            f"{dropped_paragraphs} paragraphs and {dropped_documents} documents, as repeated "
            f"{repeated_paragraphs} and {repeated_documents}; "
            f"{len(shared)} of {len(known_runs)} held-out 13-word runs are left"
        )


def token_documents(path, tokenizer, cache):
    """The documents as arrays of ids, <|endoftext|> first; kept in a file."""
    if not os.path.exists(cache):
        ids = []
        for document in read_documents(path):
            ids.append(tokenizer.end_of_text)
            ids += tokenizer.encode(document)
        np.asarray(ids, dtype="<u2").tofile(cache)
    stream = np.fromfile(cache, dtype="<u2")
    return np.split(stream, np.flatnonzero(stream == tokenizer.end_of_text)[1:])


class Windows:
    """Endless shuffled windows of context + 1 tokens, pass after pass.

    Each pass puts the documents in a new order, with another half of those
    that are halved, and cuts the whole into windows.  A window in which a
    document begins is moved, every second time, to start there: a reader of
    the model begins a tale at position 0, so the model must have seen tales
    begin there.

    Few windows show how a tale ends, and fewer a whole tale.  So every tale of
    at most two windows is told `whole` times more in windows of its own, one
    that begins with it and, where one is too short, one that ends with it; the
    room after a tale is filled with other such tales.

    The pass and the place in it are all the state there is.
    """

    def __init__(self, documents, halved, context, seed, whole, place=(0, 0)):
        self.documents, self.halved = documents, halved
        self.context, self.seed, self.whole = context, seed, whole
        self.end_of_text = documents[0][0]
        self.tales = [d for d in documents if len(d) <= 2 * context]
        self.number, self.position = place
        self.shuffle()

    def shuffle(self):
        rng = np.random.default_rng([self.seed, self.number])
        half = rng.permutation(len(self.halved))[: len(self.halved) // 2]
        chosen = self.documents + [self.halved[i] for i in half]
        chosen = [chosen[i] for i in rng.permutation(len(chosen))]
        stream = np.concatenate(chosen + [[self.end_of_text]]).astype("<u2")
        rows = [row for _ in range(self.whole) for row in self.tale_windows(rng)]
        last = len(stream) - self.context - 1
        starts = np.arange(rng.integers(self.context), last + 1, self.context)
        openings = np.flatnonzero(stream[:-1] == self.end_of_text)
        following = np.searchsorted(openings, starts)
        following = openings[np.minimum(following, len(openings) - 1)]
        inside = (following > starts) & (following < starts + self.context) & (following <= last)
        starts = np.where(inside & (rng.random(len(starts)) < 0.5), following, starts)
        own = len(stream) + (self.context + 1) * np.arange(len(rows))
        self.stream = np.concatenate([stream, *rows])
        self.starts = rng.permutation(np.concatenate([starts, own]))

    def tale_windows(self, rng):
        order = rng.permutation(len(self.tales))
        size = self.context + 1
        for i, number in enumerate(order):
            tale = self.tales[number]
            row = [tale, [self.end_of_text]]
            if len(tale) >= size:
                yield np.concatenate(row)[-size:].astype("<u2")
            while sum(map(len, row[:-1])) < size:
                i = (i + 1) % len(order)
                row.insert(-1, self.tales[order[i]])
            yield np.concatenate(row)[:size].astype("<u2")

    def take(self, count):
        """`count` windows as (inputs, targets)."""
        if self.position + count > len(self.starts):
            self.number, self.position = self.number + 1, 0
            self.shuffle()
        starts = self.starts[self.position : self.position + count]
        self.position += count
        rows = self.stream[starts[:, None] + np.arange(self.context + 1)].astype(np.int64)
        rows = torch.from_numpy(rows)
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


def hidden_states(p, config, tokens, dtype, dropout=0.0):
    """Final hidden states [batch * length, width] in `dtype`.

    `dropout` is the share of what a block adds to the stream that is left out.
    """
    batch, length = tokens.shape
    width, epsilon = config["n_embd"], config["layer_norm_epsilon"]

    def norm(x, name):
        y = F.layer_norm(x, (width,), p[name + ".weight"], p[name + ".bias"], epsilon)
        return y.to(dtype)

    def linear(x, name):
        return torch.addmm(p[name + ".bias"].to(dtype), x, p[name + ".weight"].to(dtype))

    def thinned(x):
        return F.dropout(x, dropout) if dropout else x

    x = (F.embedding(tokens, p["wte.weight"]) + p["wpe.weight"][:length]).view(-1, width)
    for layer in range(config["n_layer"]):
        h = f"h.{layer}."
        qkv = linear(norm(x, h + "ln_1"), h + "attn.c_attn").view(batch, length, -1)
        mixed = CausalAttention.apply(qkv, config["n_head"]).view(-1, width)
        x = x + thinned(linear(mixed, h + "attn.c_proj"))
        inner = Gelu.apply(linear(norm(x, h + "ln_2"), h + "mlp.c_fc"))
        x = x + thinned(linear(inner, h + "mlp.c_proj"))
    return norm(x, "ln_f")


def training_loss(p, config, inputs, targets, dropout=0.0):
    x = hidden_states(p, config, inputs, torch.bfloat16, dropout)
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


def checkpoint_path(args, name):
    return os.path.join(args.work, name + ".pt")


def save_checkpoint(path, state):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def longer_context(p, context):
    """Positions that were never trained begin as the last ones known."""
    wpe = p["wpe.weight"]
    known = len(wpe)
    if context > known:
        p["wpe.weight"] = torch.cat([wpe] + [wpe[-1:]] * (context - known))


class Training:
    """The weights, the state of both optimisers and the place in the text."""

    def __init__(self, config, p):
        self.config = config
        self.p = {name: w.clone().requires_grad_() for name, w in p.items()}
        self.average = {name: w.clone() for name, w in p.items()}
        self.muon = Muon(self.p)
        others = [w for name, w in self.p.items() if name not in self.muon.weights]
        self.adam = torch.optim.Adam(others, betas=(0.9, 0.99))
        self.step, self.tokens, self.seconds, self.place = 0, 0, 0.0, (0, 0)

    @classmethod
    def load(cls, path):
        state = torch.load(path)
        training = cls(state["config"], state["parameters"])
        training.average = state["average"]
        training.muon.momentum = state["muon"]
        training.adam.load_state_dict(state["adam"])
        training.step, training.tokens, training.seconds = state["progress"]
        training.place = state["place"]
        return training

    def save(self, path):
        state = {"config": self.config, "average": self.average}
        state["parameters"] = {name: w.detach() for name, w in self.p.items()}
        state.update(muon=self.muon.momentum, adam=self.adam.state_dict())
        state.update(progress=(self.step, self.tokens, self.seconds), place=self.place)
        save_checkpoint(path, state)

    def learn(self, windows, args, factor, pool):
        """One step at the rates times `factor`; the mean loss."""
        parts = [windows.take(args.micro) for _ in range(args.batch // args.micro)]
        self.place = (windows.number, windows.position)

        def one(part):
            loss = training_loss(self.p, self.config, *part, args.dropout)
            (loss / len(parts)).backward()
            return loss.item()

        losses = list(pool.map(one, parts))
        torch.nn.utils.clip_grad_norm_(self.p.values(), 1.0)
        self.muon.step(args.muon_rate * factor, pool)
        self.adam.param_groups[0]["lr"] = args.adam_rate * factor
        self.adam.step()
        for w in self.p.values():
            w.grad = None
        self.step += 1
        self.tokens += args.batch * windows.context
        keep = min(args.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, w in self.p.items():
                self.average[name].lerp_(w, 1 - keep)
        return sum(losses) / len(losses)


def run(training, path, windows, args, factor, last):
    """Learn until step `last`; `factor(step)` scales the rates.

    A checkpoint is written now and then, at the end, and when the program is
    told to stop (SIGTERM, SIGINT).
    """
    stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(True))
    torch.set_num_threads(1)
    pool = concurrent.futures.ThreadPoolExecutor(
        args.threads, initializer=torch.set_num_threads, initargs=(1,)
    )
    saved, losses, logged = training.seconds, [], (training.seconds, training.tokens)
    while training.step < last and not stopped:
        began = time.monotonic()
        losses.append(training.learn(windows, args, factor(training.step), pool))
        training.seconds += time.monotonic() - began
        if training.step % args.log_every == 0:
            speed = (training.tokens - logged[1]) / (training.seconds - logged[0])
            print(
                f"step {training.step} tokens {training.tokens} pass {windows.number} "
                f"seconds {training.seconds:.0f} rate {factor(training.step - 1):.3f} "
                f"loss {sum(losses) / len(losses):.4f} tokens/s {speed:.0f}",
                flush=True,
            )
            losses, logged = [], (training.seconds, training.tokens)
        if training.seconds - saved > args.save_every:
            training.save(path)
            saved = training.seconds
    training.save(path)


def text_windows(args, halved, context, whole, place):
    tokenizer = Tokenizer.load(args.model)

    def documents(paths):
        return [
            document
            for path in paths
            for document in token_documents(
                path, tokenizer, os.path.join(args.work, os.path.basename(path) + ".u2")
            )
        ]

    return Windows(documents(args.corpus), documents(halved), context, args.seed, whole, place)


def train(args):
    """The main run: a constant rate after the warm-up, for as long as it is let."""
    os.makedirs(args.work, exist_ok=True)
    path = checkpoint_path(args, "main")
    if os.path.exists(path):
        training = Training.load(path)
    else:
        tokenizer = Tokenizer.load(args.model)
        if args.start:
            p, config = load_model(args.start)
            longer_context(p, args.context)
            config["n_positions"] = config["n_ctx"] = len(p["wpe.weight"])
        else:
            config = model_config(args, tokenizer)
            p = new_parameters(config, args.seed)
        assert config["vocab_size"] == tokenizer.end_of_text + 1, "another vocabulary"
        training = Training(config, p)
    context = min(args.context, training.config["n_positions"])
    windows = text_windows(args, args.half, context, args.whole, training.place)
    last = args.steps or sys.maxsize
    run(training, path, windows, args, lambda step: min(1.0, (step + 1) / args.warm_up), last)


def decay(args):
    """A branch: from the main run's checkpoint on, the rate falls to zero.

    The branch has a checkpoint of its own; the main run's stays as it is.
    """
    path = checkpoint_path(args, "branch")
    if os.path.exists(path):
        training = Training.load(path)
    else:
        training = Training.load(checkpoint_path(args, "main"))
        training.config["branch"] = training.step
        training.place = (0, 0)
    first = training.config["branch"]
    context = min(args.context, training.config["n_positions"])
    windows = text_windows(args, [], context, args.whole, training.place)
    run(training, path, windows, args, lambda step: 1 - (step - first) / args.steps, first + args.steps)


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
        "n_positions": args.context,
        "n_ctx": args.context,
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
    """Write a checkpoint's weights: the last ones of a branch, the average of a main run."""
    state = torch.load(checkpoint_path(args, args.which))
    weights = state["parameters" if args.which == "branch" else "average"]
    config = {name: value for name, value in state["config"].items() if name != "branch"}
    replace_file(os.path.join(args.model, "config.json"), json.dumps(config, indent=2) + "\n")
    replace_file(os.path.join(args.model, "model.safetensors"), safetensors(weights))
    print("step {} tokens {} seconds {:.0f}".format(*state["progress"]))


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


def average(args):
    """Write the mean of exported models of one shape.

    Models that went on from the same weights lie in one valley of the loss:
    their mean is better than each of them (Wortsman et al., Model soups,
    arXiv 2203.05482).
    """
    models = [load_model(folder) for folder in args.folder]
    first, config = models[0]
    for folder, (weights, its) in zip(args.folder, models):
        if its != config or weights.keys() != first.keys():
            sys.exit(f"train_tales.py: {folder}: expected the shape of {args.folder[0]}")
    mean = {name: sum(w[name] for w, _ in models) / len(models) for name in first}
    replace_file(os.path.join(args.model, "config.json"), json.dumps(config, indent=2) + "\n")
    replace_file(os.path.join(args.model, "model.safetensors"), safetensors(mean))


# ------------------------------------------------------------------ reading


def evaluate(args):
    """Bits per byte: all tokens of the text / bytes of the text.

    Each document is read from <|endoftext|> on, in windows of the full
    context; a later window begins with the last token of the one before.
    """
    torch.set_num_threads(args.threads)
    p, config = load_model(args.model)
    tokenizer = Tokenizer.load(args.model)
    context = min(args.context, config["n_positions"])
    bits, count, size = 0.0, 0, 0
    for document in read_documents(args.text):
        ids = torch.tensor([tokenizer.end_of_text] + tokenizer.encode(document))
        for start in range(0, len(ids) - 1, context):
            window = ids[start : start + context + 1]
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
            x = hidden_states(p, config, torch.tensor([ids[-config["n_positions"] :]]), torch.float32)
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("tokenizer", help="learn the BPE")
    command.add_argument("corpus", nargs="+")
    command.set_defaults(run=learn_tokenizer)

    command = commands.add_parser("clean", help="take what is held out out of the corpora")
    command.add_argument("corpus", nargs="+")
    command.add_argument("--held-out", nargs="+", required=True)
    command.add_argument("-o", "--output", required=True, help="folder of the cleaned corpora")
    command.set_defaults(run=clean)

    def learning_options(command, whole):
        command.add_argument("corpus", nargs="+")
        command.add_argument("--context", type=int, default=512)
        command.add_argument("--whole", type=int, default=whole, help="extra times short tales are told")
        command.add_argument("--batch", type=int, default=16, help="windows per step")
        command.add_argument("--micro", type=int, default=2, help="windows at a time")
        command.add_argument("--muon-rate", type=float, default=0.02)
        command.add_argument("--adam-rate", type=float, default=0.005)
        command.add_argument("--dropout", type=float, default=0.0)
        command.add_argument("--average", type=float, default=0.999, help="kept of the average each step")
        command.add_argument("--log-every", type=int, default=50, help="steps")
        command.add_argument("--save-every", type=float, default=240, help="seconds")
        command.add_argument("--seed", type=int, default=1)

    command = commands.add_parser("train", help="train, going on from the checkpoint")
    learning_options(command, whole=1)
    command.add_argument("--half", nargs="+", default=[], help="corpora of which a pass takes half")
    command.add_argument("--from", dest="start", help="begin with the weights of this model")
    command.add_argument("--steps", type=int, help="stop after this step; else when told to")
    command.add_argument("--warm-up", type=int, default=200, help="steps")
    command.add_argument("--layers", type=int, default=7)
    command.add_argument("--heads", type=int, default=4)
    command.add_argument("--width", type=int, default=256)
    command.set_defaults(run=train)

    command = commands.add_parser("decay", help="branch off the checkpoint, the rate falling to zero")
    learning_options(command, whole=2)
    command.add_argument("--steps", type=int, required=True, help="steps until the rate is zero")
    command.set_defaults(run=decay)

    command = commands.add_parser("export", help="write the model's files")
    command.add_argument("which", choices=("branch", "main"))
    command.set_defaults(run=export)

    command = commands.add_parser("average", help="the mean of exported models")
    command.add_argument("folder", nargs="+")
    command.set_defaults(run=average)

    command = commands.add_parser("evaluate", help="bits per byte of a text")
    command.add_argument("text")
    command.add_argument("--context", type=int, default=512)
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
