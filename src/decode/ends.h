/* ends.h - where a sentence, line or paragraph ends, byte by byte (rules: gpt2/stops.h).
 *
 * Offsets count the bytes of the text from its beginning. */
#ifndef DECODE_ENDS_H
#define DECODE_ENDS_H

#include <gpt2/stops.h>
#include <stdint.h>

#define ENDS_NOWHERE SIZE_MAX

struct ends {
    enum gpt2_until until;
    size_t at;   /* bytes taken so far                                                */
    size_t hold; /* from here on the bytes may turn out to be after the end, or
                    ENDS_NOWHERE; unfinished characters are not counted                */
    size_t cut;  /* once the end is known: where the text ends ...                     */
    size_t past; /* ... and where it ends with what showed it                          */

    bool visible;   /* something other than whitespace was seen                 */
    int line_feeds; /* in the whitespace from `hold` on                         */
    enum { ENDS_OPEN, ENDS_MARK, ENDS_FULL } state; /* no mark; . or alike; ideographic one */
    unsigned char pending[4]; /* the beginning of a character                             */
    size_t n_pending;
};

void ends_init(struct ends *ends, enum gpt2_until until);

/* Takes the next byte. True: the end is known, `cut` and `past` are set. */
bool ends_byte(struct ends *ends, unsigned char byte);

#endif
