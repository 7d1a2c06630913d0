/* encoding.c - tells UTF-16 and UTF-32 from UTF-8. */
#include "base/encoding.h"

#include <stdbool.h>
#include <string.h>

static bool begins(const unsigned char *s, size_t n, const char *mark, size_t n_mark) {
    return n >= n_mark && !memcmp(s, mark, n_mark);
}

const char *encoding_foreign(const unsigned char *s, size_t n, size_t *mark) {
    *mark = 0;
    if (begins(s, n, "\xEF\xBB\xBF", 3)) {
        *mark = 3;
        return NULL;
    }
    if (begins(s, n, "\xFF\xFE\0\0", 4) || begins(s, n, "\0\0\xFE\xFF", 4))
        return "UTF-32";
    if (begins(s, n, "\xFF\xFE", 2) || begins(s, n, "\xFE\xFF", 2))
        return "UTF-16";
    if (n < 4)
        return NULL;
    // which of the first four bytes are zero, the first one in the highest bit
    unsigned zeros = (unsigned)(!s[0]) << 3 | (unsigned)(!s[1]) << 2 | (unsigned)(!s[2]) << 1 |
                     (unsigned)(!s[3]);
    return zeros == 0x5 || zeros == 0xA ? "UTF-16" : zeros == 0x7 || zeros == 0xE ? "UTF-32" : NULL;
}

size_t encoding_needs(const unsigned char *s, size_t n) {
    if (n == 0)
        return 1;
    if (s[0] == 0xEF)
        return n == 1 || s[1] == 0xBB ? 3 : 2;
    if (s[0] == 0xFF || s[0] == 0xFE)
        return n > 1 && s[0] == 0xFF && s[1] == 0xFE ? 4 : 2; // UTF-32's mark begins as UTF-16's
    // a zero byte among the first two may be half a character
    if (n == 1)
        return s[0] == '\n' ? 1 : 2; // a line end alone may be all that comes for a while
    return !s[0] || !s[1] ? 4 : 2;
}
