/* choose_record.h - a line of `gpt2 choose --input`: {"id": 7, "prompt": "...", "choices": ["a",
 * "b"]}
 */
#ifndef CLI_SCORE_CHOOSE_RECORD_H
#define CLI_SCORE_CHOOSE_RECORD_H

#include "base/buffer.h"

#include <gpt2/record.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choose_record {
    struct gpt2_record *json; /* owned; the texts below are in it */
    struct buffer id;         /* as JSON: the record's, or the number of its line */
    const char *prompt;
    const struct gpt2_field *choices; /* the list; what is in it follows */
};

/* Parses line[0..len), which is the `number`-th, from 0. False: GPT2_ERR_INPUT, with the id as far
 * as it is known, or GPT2_ERR_MEMORY. Free it in any case. */
bool choose_record_read(struct choose_record *record, const char *line, size_t len, uint64_t number,
                        struct gpt2_error *err);
void choose_record_free(struct choose_record *record); /* a zeroed struct is allowed */

#endif
