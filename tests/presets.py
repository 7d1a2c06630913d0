#!/usr/bin/env python3
"""What `gpt2 generate --compat SYSTEM` has to say, computed another way.

    presets.py MODEL SYSTEM N_TOKENS ID [ID...] [--bias ID=F] [--penalty F]

prints the ids of each sample, one sample a line. The logits are those of tools/reference.py, in
double precision; rules, filters and defaults are written from the definitions of the four systems,
the random numbers from the definition of Philox4x32-10. Nothing is shared with the program.

--penalty is the system's own: hf and llama.cpp divide (repetition), openai subtracts (presence).
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import reference  # noqa: E402  (says what is missing where there is no numpy)

np = reference.np
MASK = 0xFFFFFFFF


class WideModel(reference.Model):
    """Its tensors widened once, not for each token."""

    def __init__(self, path):
        super().__init__(path)
        self.tensors = {name: array.astype(np.float64) for name, array in self.tensors.items()}

    def __getitem__(self, name):
        return self.tensors[name]


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def variates(seed, sample, position, n):
    """Each id's exponential variate for one draw, as src/sampling/race.h defines it."""
    r = philox((position, sample, 0, 0), (seed & MASK, seed >> 32))
    made = np.empty(n)
    blocks = {}
    for i in range(n):
        block = i // 256 * 64 + i % 64
        if block not in blocks:
            blocks[block] = [philox((block, half, r[2], r[3]), r[:2]) for half in (0, 1)]
        upper, lower = (words[i // 64 % 4] for words in blocks[block])
        made[i] = -np.log1p(-(2 * ((upper << 20) + (lower >> 12)) + 1) * 2.0**-53)
    return made


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def keep(logits, which):
    return np.where(which, logits, -np.inf)


def at_least_kth(logits, k):
    return keep(logits, logits >= np.sort(logits)[-k])


def top_p(logits, p):
    """Kept is what stands after less than p of the mass."""
    order = np.argsort(-logits, kind="stable")
    mass = softmax(logits)[order]
    which = np.zeros(len(logits), bool)
    which[order[np.cumsum(mass) - mass < p]] = True
    return keep(logits, which)


def min_p(logits, share):
    p = softmax(logits)
    return keep(logits, p >= share * p.max())


def repetition(logits, ids, penalty):
    for i in set(ids):
        logits[i] = logits[i] * penalty if logits[i] < 0 else logits[i] / penalty


def hf(logits, prompt, new, penalty, _draw):
    repetition(logits, prompt + new, penalty)
    return int(np.argmax(logits))  # generate() is greedy unless it is told otherwise


def openai(logits, _prompt, new, penalty, draw):
    for i in set(new):
        logits[i] -= penalty - 1
    return draw(logits)  # sample.py: temperature 1, every token


def llama_cpp(logits, prompt, new, penalty, draw):
    repetition(logits, (prompt + new)[-64:], penalty)
    return draw(min_p(top_p(at_least_kth(logits, 40), 0.95), 0.05) / 0.8)


def nanogpt(logits, _prompt, _new, _penalty, draw):
    return draw(at_least_kth(logits / 0.8, 200))


#          rule       samples  seed  ends at <|endoftext|>
SYSTEMS = {
    "hf": (hf, 1, 0, True),
    "openai": (openai, 1, 0, False),
    "llama.cpp": (llama_cpp, 1, 0, True),
    "nanogpt": (nanogpt, 10, 1337, False),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("n_tokens", type=int)
    parser.add_argument("ids", type=int, nargs="+")
    parser.add_argument("--bias", default="0=0")
    parser.add_argument("--penalty", type=float, default=1)
    args = parser.parse_args()
    model = WideModel(args.model)
    rule, n_samples, seed, ends = SYSTEMS[args.system]
    biased, bias = args.bias.split("=")
    for sample in range(n_samples):
        new = []
        while len(new) < args.n_tokens:
            ids = args.ids + new
            logits = np.array(reference.forward(model, ids)[-1], dtype=np.float64)
            logits[int(biased)] += float(bias)

            def draw(filtered):
                with np.errstate(divide="ignore"):
                    return int(np.argmin(variates(seed, sample, len(ids), len(logits)) / softmax(filtered)))

            chosen = rule(logits, args.ids, new, args.penalty, draw)
            if ends and chosen == len(logits) - 1:
                break
            new.append(chosen)
        print(" ".join(map(str, new)))


main()
