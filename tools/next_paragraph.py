#!/usr/bin/env python3
"""Which of four paragraphs goes on with this one? A model's share of right answers.

    tools/next_paragraph.py HELD_OUT.txt [-m MODEL] [-n 150] [--same-tale]

HELD_OUT is a text of tales that `<|endoftext|>` divides. A question is a run of
paragraphs of at least 60 words; the answers are the paragraph that follows and
three others of at least 12 words, cut at 40 words: from other tales, or with
--same-tale from elsewhere in the same one. The answer is what `gpt2 choose --by
pmi` puts first: log p(answer | question) - log p(answer). Chance is 0.25. The
questions depend on the text and --seed alone. Uses the standard library only.
"""

import argparse
import random
import subprocess

WORDS, ANSWER, SHORTEST = 60, 40, 12


def tales(path):
    """Lists of paragraphs, of the tales that have enough of them."""
    with open(path, encoding="utf-8") as file:
        for tale in file.read().split("<|endoftext|>"):
            paragraphs = [" ".join(p.split()) for p in tale.split("\n\n") if p.strip()]
            if len(paragraphs) >= 8:
                yield paragraphs


def cut(paragraph):
    return " ".join(paragraph.split()[:ANSWER])


def questions(texts, count, same_tale, rng):
    """Yield (question, [right answer, three others])."""
    while count:
        tale = rng.choice(texts)
        at = rng.randrange(1, len(tale))
        begin, words = at, 0
        while begin and words < WORDS:
            begin -= 1
            words += len(tale[begin].split())
        if words < WORDS or len(tale[at].split()) < SHORTEST:
            continue
        others = []
        while len(others) < 3:
            other = tale if same_tale else rng.choice(texts)
            place = rng.randrange(len(other))
            if same_tale and begin <= place <= at or not same_tale and other is tale:
                continue
            answer = cut(other[place])
            if len(answer.split()) >= SHORTEST and answer not in others:
                others.append(answer)
        count -= 1
        yield "\n\n".join(tale[begin:at]), [cut(tale[at])] + others


def choose(args, question, answers):
    """The answer that comes first."""
    command = [args.gpt2, "choose", "--by", "pmi", "--best", "--separator", "\n\n"]
    command += ["-m", args.m] if args.m else []
    command += ["--prompt", question]
    lines = "\n".join(answers) + "\n"  # an answer has no line feed
    run = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return run.stdout.rstrip("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("-m")
    parser.add_argument("-n", type=int, default=150)
    parser.add_argument("--gpt2", default="build/gpt2")
    parser.add_argument("--same-tale", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    right = 0
    for question, answers in questions(list(tales(args.text)), args.n, args.same_tale, rng):
        right += choose(args, question, answers) == answers[0]
    print(f"{right / args.n:.3f} of {args.n} right")


if __name__ == "__main__":
    main()
