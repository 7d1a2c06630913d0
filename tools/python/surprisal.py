#!/usr/bin/env python3
"""How surprising is each word of a list, in a sentence? For linguists.

    surprisal.py MODEL FRAMES.txt WORDS.txt >table.tsv

A line of FRAMES has a gap, "The ___ slept."; each word of WORDS is put in.
Printed are the bits of the word's tokens, of the whole sentence, and the rank
of the word's first token among all tokens. A word's probability here is that of
its tokens in a row: that it ends there is not in it (`gpt2 score --by word`
corrects for that).
"""

import sys

if len(sys.argv) != 4:  # --help, too, works without numpy and the library
    asked = sys.argv[1:] in (["-h"], ["--help"])
    print(__doc__.strip(), file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)

import gpt2


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


def main():
    with gpt2.Model(sys.argv[1]) as model:
        print("frame", "word", "tokens", "bits", "sentence_bits", "rank", sep="\t")
        for frame in lines(sys.argv[2]):
            before, gap, after = frame.partition("___")
            if not gap:
                sys.exit('surprisal.py: "%s": expected a gap, ___' % frame)
            for word in lines(sys.argv[3]):
                # a token has the space before its word: the word begins with it
                space = " " if before.endswith(" ") else ""
                start = model.tokenize(before[:len(before) - len(space)])
                inside = model.tokenize(space + word)
                scores = model.score([*start, *inside, *model.tokenize(after)])
                at = slice(len(start), len(start) + len(inside))
                print(frame, word, len(inside), "%.4f" % scores.bits[at].sum(),
                      "%.4f" % scores.bits.sum(), scores.rank[len(start)], sep="\t")


if __name__ == "__main__":
    main()
