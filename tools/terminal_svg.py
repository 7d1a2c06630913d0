#!/usr/bin/env python3
"""usage: terminal_svg.py [COLUMNS]

Draws what a terminal shows: text with escape sequences on standard input, a
picture on standard output. tools/renew_readme makes the README's first picture
with it.

Known are SGR sequences (0, 1, 30-37, 40-47, 38;5;N, 48;5;N); lines are broken
at COLUMNS (80). The picture has nothing in it but rectangles and text, and is
the same for the same input.
"""
import html
import re
import sys

if {"-h", "--help"} & set(sys.argv[1:]):
    print(__doc__)
    sys.exit()
if len(sys.argv) > 2 or not all(word.isdecimal() for word in sys.argv[1:]):
    sys.exit("terminal_svg.py: expected a number of columns")
COLUMNS = int(sys.argv[1]) if len(sys.argv) > 1 else 80
WIDTH, HEIGHT, MARGIN = 8.4, 18, 14  # of a cell, and around all of them
PAPER, INK = "#1b1d23", "#d8dee9"
BASIC = ["#000000", "#c01c28", "#26a269", "#a2734c", "#12488b", "#a347ba", "#2aa1b3", "#d0cfcc"]


def color(n):
    """The 256-colour palette of xterm."""
    if n < 16:
        return BASIC[n % 8]
    if n >= 232:
        return "#" + "%02x" % (8 + 10 * (n - 232)) * 3
    steps = [0, 95, 135, 175, 215, 255]
    n -= 16
    return "#%02x%02x%02x" % (steps[n // 36], steps[n // 6 % 6], steps[n % 6])


def apply(style, codes):
    front, back, bold = style
    codes = [int(c) for c in codes.split(";") if c] or [0]
    while codes:
        code = codes.pop(0)
        if code in (38, 48) and len(codes) > 1:
            value = color(codes[1])
            codes = codes[2:]
            front, back = (value, back) if code == 38 else (front, value)
        elif code == 0:
            front, back, bold = None, None, False
        elif code == 1:
            bold = True
        elif 30 <= code < 38:
            front = color(code - 30)
        elif 40 <= code < 48:
            back = color(code - 40)
    return front, back, bold


def cells(text):
    """Rows of (character, style)."""
    rows, style = [[]], (None, None, False)
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if part.startswith("\x1b["):
            style = apply(style, part[2:-1])
            continue
        for c in part:
            if c == "\n" or len(rows[-1]) == COLUMNS:
                rows.append([])
            if c != "\n":
                rows[-1].append((c, style))
    while rows and not rows[-1]:
        rows.pop()
    return rows


def runs(row):
    """(column, text, style) of neighbours that look alike."""
    start = 0
    for i in range(1, len(row) + 1):
        if i == len(row) or row[i][1] != row[start][1]:
            yield start, "".join(c for c, _ in row[start:i]), row[start][1]
            start = i


def main():
    rows = cells(sys.stdin.read())
    width, height = COLUMNS * WIDTH + 2 * MARGIN, len(rows) * HEIGHT + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
          f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">')
    print("<title>What gpt2 prints on a terminal</title>")
    print(f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>')
    print(f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="{INK}">')
    for y, row in enumerate(rows):
        for column, text, (front, back, bold) in runs(row):
            x, top, n = MARGIN + column * WIDTH, MARGIN + y * HEIGHT, len(text) * WIDTH
            if back:
                print(f'<rect x="{x:.1f}" y="{top}" width="{n:.1f}" height="{HEIGHT}" fill="{back}"/>')
            if text.strip():
                look = (f' fill="{front}"' if front else "") + (' font-weight="bold"' if bold else "")
                print(f'<text x="{x:.1f}" y="{top + 14}" textLength="{n:.1f}" '
                      f'xml:space="preserve"{look}>{html.escape(text)}</text>')
    print("</g>\n</svg>")


main()
