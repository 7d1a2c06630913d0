/* unicode.c - classes from utf8proc's general categories.
 *
 * utf8proc finds a category through its own two-level table in about 6 ns; ASCII does not come
 * here (pretokenize.c has a table for it), so a second table of ours would only cost time when a
 * tokenizer is opened. */
#include "text/unicode.h"

#include <utf8proc.h>

enum unicode_class unicode_class(uint32_t cp) {
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return UNICODE_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return UNICODE_NUMBER;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return UNICODE_SPACE;
    case UTF8PROC_CATEGORY_CC: // six controls are White_Space: TAB LF VT FF CR, NEL
        return (cp >= 0x09 && cp <= 0x0D) || cp == 0x85 ? UNICODE_SPACE : UNICODE_OTHER;
    default:
        return UNICODE_OTHER;
    }
}
