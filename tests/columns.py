#!/usr/bin/env python3
"""columns.py WIDTH [FILE] - prints the lines of a text (standard input) that are wider than WIDTH,
and is 1 where there are any. Escape sequences take no room, neither does what is overstruck; a line
ends at "\\r" too. With a FILE the text must be the same as it, white space aside."""
import re
import sys

text = sys.stdin.buffer.read().decode("utf-8", "replace")
text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|.\x08", "", text)
wide = [line for line in re.split(r"[\r\n]+", text) if len(line) > int(sys.argv[1])]
for line in wide:
    print(len(line), line)
same = True
if len(sys.argv) > 2:
    with open(sys.argv[2], encoding="utf-8", errors="replace") as file:
        same = "".join(file.read().split()) == "".join(text.split())
    if not same:
        print("another text than " + sys.argv[2])
sys.exit(bool(wide) or not same)
