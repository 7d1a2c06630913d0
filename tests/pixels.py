"""pixels.py FILE.png - what is in a picture (8-bit RGB or RGBA, as rsvg-convert writes it).

Prints the colour of its first pixel as rrggbb, and the shares of pixels in percent: of that colour,
nearly black (all of red, green, blue below 64), and coloured (the greatest of the three at least 64
above the least).
"""
import struct
import sys
import zlib

data = open(sys.argv[1], "rb").read()
at, packed = 8, b""
while at < len(data):
    n, kind = struct.unpack(">I4s", data[at : at + 8])
    if kind == b"IHDR":
        width, height, depth, color = struct.unpack(">IIBB", data[at + 8 : at + 18])
    if kind == b"IDAT":
        packed += data[at + 8 : at + 8 + n]
    at += 12 + n
assert depth == 8 and color in (2, 6)
size = 4 if color == 6 else 3
lines, above, first = zlib.decompress(packed), bytearray(width * size), None
same = black = colored = 0
for y in range(height):
    start = y * (width * size + 1)
    kind, line = lines[start], bytearray(lines[start + 1 : start + 1 + width * size])
    for i in range(len(line)):  # PNG, section 9: filters
        left = line[i - size] if i >= size else 0
        corner = above[i - size] if i >= size else 0
        p = left + above[i] - corner
        paeth = min((abs(p - left), 0, left), (abs(p - above[i]), 1, above[i]), (abs(p - corner), 2, corner))[2]
        line[i] = (line[i] + (0, left, above[i], (left + above[i]) // 2, paeth)[kind]) & 255
    above = line
    for x in range(0, len(line), size):
        rgb = bytes(line[x : x + 3])
        first = first or rgb
        same += rgb == first
        black += max(rgb) < 64
        colored += max(rgb) - min(rgb) >= 64
total = width * height / 100
print("%s %d %d %d" % (first.hex(), same / total, black / total, colored / total))
