#!/usr/bin/env python3
"""Classify texts by a few examples: which label would the model write after them?

    few_shot.py MODEL EXAMPLES.tsv TEXTS.txt >labels.tsv

EXAMPLES has lines "text TAB label". For each text the labels are compared by
the log-probability that the model gives them after all examples and the text,
less the one that they have after the examples alone, as some words are likelier
than others whatever is asked (Zhao et al. 2021).
"""

import sys

if len(sys.argv) != 4:  # --help, too, works without numpy and the library
    asked = sys.argv[1:] in (["-h"], ["--help"])
    print(__doc__.strip(), file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)

import gpt2


def log_probability(model, prompt, label):
    start, end = model.tokenize(prompt), model.tokenize(label)
    return model.score([*start, *end]).logprob[len(start):].sum()


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        examples = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    with open(sys.argv[3], encoding="utf-8") as file:
        texts = [line.rstrip("\n") for line in file if line.strip()]
    labels = sorted({label for _, label in examples})
    shots = "".join("Text: %s\nLabel: %s\n\n" % (text, label) for text, label in examples)
    with gpt2.Model(sys.argv[1]) as model:
        ask = shots + "Text: %s\nLabel:"
        usual = {label: log_probability(model, ask % "", " " + label) for label in labels}
        for text in texts:
            scores = {label: log_probability(model, ask % text, " " + label) - usual[label]
                      for label in labels}
            best = max(labels, key=scores.get)
            print(text, best, *("%s=%.3f" % (k, v) for k, v in scores.items()), sep="\t")


if __name__ == "__main__":
    main()
