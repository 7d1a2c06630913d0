/* unicode.h - the four classes of code points that GPT-2's pre-tokenizer knows. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdint.h>

enum unicode_class {
    UNICODE_LETTER, /* \p{L}: general categories Lu Ll Lt Lm Lo                            */
    UNICODE_NUMBER, /* \p{N}: Nd Nl No                                                     */
    UNICODE_SPACE,  /* \s: the 25 code points with the property White_Space                */
    UNICODE_OTHER   /* everything else, with marks (M*), controls and what is not assigned */
};

enum unicode_class unicode_class(uint32_t cp);

#endif
