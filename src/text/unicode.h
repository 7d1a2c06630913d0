/* unicode.h - classes of code points: the four that GPT-2's pre-tokenizer knows, and others. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

enum unicode_class {
    UNICODE_LETTER, /* \p{L}: general categories Lu Ll Lt Lm Lo                            */
    UNICODE_NUMBER, /* \p{N}: Nd Nl No                                                     */
    UNICODE_SPACE,  /* \s: the 25 code points with the property White_Space                */
    UNICODE_OTHER   /* everything else, with marks (M*), controls and what is not assigned */
};

enum unicode_class unicode_class(uint32_t cp);

/* \w of Rust's regular expressions: letters, marks, decimal digits, connectors and joiners. */
bool unicode_is_word(uint32_t cp);

/* \w of Oniguruma's, which Hugging Face reads the patterns of Split and Replace with: without the
 * joiners U+200C and U+200D. The superscripts and fractions of Latin-1 belong to it where \w stands
 * by itself, and not within brackets. */
bool unicode_is_oniguruma_word(uint32_t cp);
bool unicode_is_oniguruma_word_in_brackets(uint32_t cp);

bool unicode_is_decimal(uint32_t cp);     /* Nd */
bool unicode_is_mark(uint32_t cp);        /* M* */
bool unicode_is_punctuation(uint32_t cp); /* P* */

#endif
