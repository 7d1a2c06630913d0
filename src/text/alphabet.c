/* alphabet.c - from the vocabulary files' characters to bytes and back. */
#include "text/alphabet.h"

int alphabet_byte(uint32_t cp) {
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
    size_t n = 0, n_used;
    for (size_t i = 0; i < len; i += n_used) {
        while (i < len && s[i] > 0x20 && s[i] < 0x7F) // most stand for themselves
            out[n++] = s[i++];
        if (i == len)
            break;
        const int byte = alphabet_next(s + i, len - i, &n_used);
        if (byte < 0)
            return false;
        out[n++] = (unsigned char)byte;
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
