/* alphabet.c - from the vocabulary files' characters to bytes and back. */
#include "text/alphabet.h"
#include "base/utf8.h"

/* The byte that a code point stands for, or -1. */
static int byte_of(uint32_t cp) {
    if ((cp >= 0x21 && cp <= 0x7E) || (cp >= 0xA1 && cp <= 0xAC) || (cp >= 0xAE && cp <= 0xFF))
        return (int)cp;
    if (cp >= 0x100 && cp <= 0x120) // bytes 00-20
        return (int)cp - 0x100;
    if (cp >= 0x121 && cp <= 0x142) // bytes 7F-A0
        return (int)cp - 0x121 + 0x7F;
    return cp == 0x143 ? 0xAD : -1;
}

bool alphabet_decode(unsigned char *out, size_t *n_bytes, const char *text, size_t len) {
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        if (s[i] > 0x20 && s[i] < 0x7F) { // most stand for themselves
            out[n++] = s[i++];
            continue;
        }
        uint32_t cp;
        int n_cp = 2;
        if ((s[i] == 0xC4 || s[i] == 0xC5) && len - i > 1 && (s[i + 1] & 0xC0) == 0x80)
            cp = (s[i] & 0x1Fu) << 6 | (s[i + 1] & 0x3Fu); // U+0100 to U+017F, the space above all
        else
            n_cp = utf8_decode(&cp, s + i, len - i);
        int byte = n_cp ? byte_of(cp) : -1;
        if (byte < 0)
            return false;
        out[n++] = (unsigned char)byte;
        i += (size_t)n_cp;
    }
    *n_bytes = n;
    return true;
}

static uint32_t code_point(unsigned char byte) {
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 0x121u + byte - 0x7F;
    return byte == 0xAD ? 0x143 : byte;
}

size_t alphabet_encode(char *out, const unsigned char *bytes, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += utf8_encode(out + n, code_point(bytes[i])); // below U+0800: one byte or two
    return n;
}
