#!/usr/bin/env python3
"""Counts what can be counted of how tales read.

    gpt2 generate -n 500 --num-samples 20 --json Once | tools/tale_counts.py
    tools/tale_counts.py HELD_OUT.txt

Reads objects of `gpt2 generate --json` or --input (every choice is a tale, and
ends where its finish_reason is "stop"), or a text of tales that `<|endoftext|>`
divides. Only the first 400 words of a tale are counted, so that long tales and
short ones compare. No figure is good or bad alone: the measure is held-out
tales that people wrote.

    distinct words      of the first 200 words, the share that differ
    repeated 4-grams    share of runs of four words that the tale has had before
    linked sentences    share of sentences that share a word of five letters or
                        more with the one before
    names               capitalised words inside sentences, told apart, a tale
    words a sentence
    quotes that close   share of paragraphs whose double quotation marks are
                        even in number
    ends                share of generated tales that end by themselves
"""

import json
import re
import sys

WORDS = 400


def read(stream):
    """Yield (text, whether it ended by itself)."""
    data = stream.read()
    if data.lstrip().startswith("{"):
        for line in data.splitlines():
            for choice in json.loads(line)["choices"]:
                yield choice["text"], choice["finish_reason"] == "stop"
        return
    for tale in data.split("<|endoftext|>"):
        if tale.strip():
            yield tale, True


def words_of(text):
    return re.findall(r"[A-Za-z][A-Za-z']*", text)


def beginning(text):
    """The text as far as its first WORDS words."""
    for n, word in enumerate(re.finditer(r"[A-Za-z][A-Za-z']*", text), 1):
        if n == WORDS:
            return text[: word.end()]
    return text


def sentences_of(text):
    parts = re.split(r"(?<=[.!?])[\"']?\s+|\n+", text)
    return [part for part in parts if words_of(part)]


def names_in(sentences):
    found = set()
    for sentence in sentences:
        inner = re.findall(r"(?<=[a-z,;] )[A-Z][a-z]+", sentence)
        found.update(word for word in inner if word not in ("I", "Mr", "Mrs", "God"))
    return len(found)


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else float("nan")


def count(text):
    text = beginning(text)
    words = [word.lower() for word in words_of(text)]
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    sentences = sentences_of(text)
    long_words = [{w.lower() for w in words_of(s) if len(w) >= 5} for s in sentences]
    pairs = list(zip(long_words, long_words[1:]))
    paragraphs = [p for p in text.split("\n") if '"' in p]
    return {
        "distinct words": len(set(words[:200])) / max(1, len(words[:200])),
        "repeated 4-grams": 1 - len(set(grams)) / max(1, len(grams)),
        "linked sentences": mean(bool(a & b) for a, b in pairs),
        "names": names_in(sentences),
        "words a sentence": len(words) / max(1, len(sentences)),
        "quotes that close": mean(p.count('"') % 2 == 0 for p in paragraphs[:-1]),
    }


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__.strip())
        return
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1].startswith("-")):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") if len(sys.argv) == 2 else sys.stdin as stream:
        tales = list(read(stream))
    if not tales:
        sys.exit("tale_counts.py: expected tales, found none")
    counts = [count(text) for text, _ in tales]
    print(f"{'tales':20} {len(tales)}")
    for name in counts[0]:
        values = [c[name] for c in counts if c[name] == c[name]]
        print(f"{name:20} {mean(values):.3f}")
    print(f"{'ends':20} {mean(ended for _, ended in tales):.3f}")


main()
