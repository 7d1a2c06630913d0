/* normalizer.h - what tokenizer.json's "normalizer" does to a text before it is cut into pieces.
 *
 * Each byte of the result knows the bytes of the text that it came from. Where the text is not
 * well-formed UTF-8, a stray byte stays as it is. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "base/json.h"

struct normalizer; /* immutable, may be shared by threads */

/* Reads a "normalizer" that is not null, called `name` in messages. NULL: GPT2_ERR_MODEL, a
 * component that is not known is named; GPT2_ERR_MEMORY. Borrows nothing. */
struct normalizer *normalizer_parse(const struct json *node, const char *name,
                                    struct gpt2_error *err);
void normalizer_free(struct normalizer *normalizer); /* NULL is allowed */

struct normalized {
    unsigned char *text; /* [n] */
    bool has_places;
    size_t *from, *to; /* [n], NULL without places: text[i] came from the bytes from[i]..to[i] of
                          the original; where it was put in, from[i] == to[i] is the place */
    size_t n, cap;
    size_t most;   /* that n may be                      */
    bool too_long; /* it would have been more than that  */
};

/* Normalizes text[0..n) into *out, with the places that its bytes came from if `places` (these take
 * sixteen times the memory of the text). Linear time. False: *out is {0}; GPT2_ERR_MEMORY, or
 * GPT2_ERR_MODEL where the result is longer than 64 times the text and 4096 bytes: replacements
 * that follow each other may double a text with each step. */
bool normalizer_run(const struct normalizer *normalizer, const unsigned char *text, size_t n,
                    bool places, struct normalized *out, struct gpt2_error *err);
void normalizer_free_text(struct normalized *text); /* leaves {0} */

#endif
