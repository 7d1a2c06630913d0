/* escape.c - characters as a terminal, a table and JSON may have them. */
#include "base/escape.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_control(uint32_t cp) {
    return cp < 0x20 || (cp >= 0x7F && cp < 0xA0);
}

static size_t copy(char *out, const unsigned char *s, size_t n) {
    memcpy(out, s, n);
    out[n] = 0;
    return n;
}

static size_t hex(char *out, unsigned char byte) {
    snprintf(out, 5, "\\x%02X", byte);
    return 1;
}

size_t escape_message(char out[ESCAPE_BYTES], const unsigned char *s, size_t n) {
    uint32_t cp;
    int len = utf8_decode(&cp, s, n);
    if (len == 0) // a byte of another encoding: the same 32 are controls in all that ISO made
        return is_control(*s) ? hex(out, *s) : copy(out, s, 1);
    if (!is_control(cp))
        return copy(out, s, (size_t)len);
    for (int i = 0; i < len; i++)
        hex(out + 4 * i, s[i]);
    return (size_t)len;
}

bool escape_has_control(const char *text) {
    char form[ESCAPE_BYTES];
    for (size_t n = strlen(text), used; n > 0; text += used, n -= used) {
        used = escape_message(form, (const unsigned char *)text, n);
        if (memcmp(form, text, used) != 0)
            return true;
    }
    return false;
}

size_t escape_field(char out[ESCAPE_BYTES], const unsigned char *s, size_t n) {
    uint32_t cp;
    int len = utf8_decode(&cp, s, n);
    const char *known = *s < 0x20 || *s == '\\' ? memchr("\tt\nn\rr\\\\", *s, 8) : NULL;
    if (known) {
        snprintf(out, ESCAPE_BYTES, "\\%c", known[1]);
        return 1;
    }
    bool shown = len > 0 && !is_control(cp) && cp != 0xFFFE && cp != 0xFFFF;
    return shown ? copy(out, s, (size_t)len) : hex(out, *s);
}

size_t escape_json(char out[ESCAPE_BYTES], const unsigned char *s, size_t n) {
    uint32_t cp;
    int len = utf8_decode(&cp, s, n);
    if (len == 0)
        snprintf(out, ESCAPE_BYTES, "\xEF\xBF\xBD");
    else if (*s == '"' || *s == '\\')
        snprintf(out, ESCAPE_BYTES, "\\%c", *s);
    else if (is_control(cp))
        snprintf(out, ESCAPE_BYTES, "\\u%04x", (unsigned)cp);
    else
        return copy(out, s, (size_t)len);
    return len > 0 ? (size_t)len : 1;
}
