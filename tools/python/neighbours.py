#!/usr/bin/env python3
"""The nearest texts to each line of a file, by the cosine of their embeddings.

    neighbours.py MODEL TEXTS.txt [LAYER] >neighbours.tsv

An embedding is the mean of the residual stream after a block (default: the
middle one, which is better at this than the last) over a text's tokens. A few
features of GPT-2's stream are hundreds of times larger than the others and
would decide every cosine: features are standardised over the texts first
(Timkey & van Schijndel 2021).
"""

import sys

if len(sys.argv) not in (3, 4):  # --help, too, works without numpy and the library
    asked = sys.argv[1:] in (["-h"], ["--help"])
    print(__doc__.strip(), file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)

import numpy as np

import gpt2


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        texts = [line.strip() for line in file if line.strip()]
    with gpt2.Model(sys.argv[1]) as model:
        layer = int(sys.argv[3]) if len(sys.argv) > 3 else model.n_layer // 2
        vectors = np.stack([model.embed(text, layer=layer) for text in texts])
    vectors = (vectors - vectors.mean(0)) / (vectors.std(0) + 1e-9)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    for i, text in enumerate(texts):
        for k in np.argsort(-cosines[i], kind="stable")[:3]:
            if k != i:
                print(text, texts[k], "%.4f" % cosines[i, k], sep="\t")


if __name__ == "__main__":
    main()
