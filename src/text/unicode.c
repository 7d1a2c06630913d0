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

/* Alphabetic besides letters and marks: letters in circles and squares. */
static bool is_alphabetic_sign(uint32_t cp) {
    return (cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F149) ||
           (cp >= 0x1F150 && cp <= 0x1F169) || (cp >= 0x1F170 && cp <= 0x1F189);
}

bool unicode_is_word(uint32_t cp) {
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    case UTF8PROC_CATEGORY_SO:
        return is_alphabetic_sign(cp);
    default:
        return cp == 0x200C || cp == 0x200D;
    }
}

bool unicode_is_oniguruma_word(uint32_t cp) {
    return (cp < 0x100 && unicode_class(cp) == UNICODE_NUMBER) ||
           unicode_is_oniguruma_word_in_brackets(cp);
}

bool unicode_is_oniguruma_word_in_brackets(uint32_t cp) {
    return unicode_is_word(cp) && cp != 0x200C && cp != 0x200D;
}

bool unicode_is_decimal(uint32_t cp) {
    return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ND;
}

bool unicode_is_mark(uint32_t cp) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)cp);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_ME;
}

bool unicode_is_punctuation(uint32_t cp) {
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return true;
    default:
        return false;
    }
}
