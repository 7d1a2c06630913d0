/* score_record.h - a line of `--input`: {"id": 7, "prompt": "...", "choices": ["a", "b"]} of
 * choose,
 * {"id": 7, "context": "...", "text": "..."} of score. */
#ifndef CLI_SCORE_SCORE_RECORD_H
#define CLI_SCORE_SCORE_RECORD_H

#include "base/buffer.h"

#include <gpt2/record.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member that a record may have, beside "id". */
struct score_member {
    const char *name;
    bool is_list;                   /* of strings, at least one; else a string */
    bool may_be_out;                /* it may be missing */
    const struct gpt2_field *field; /* what was found, what is in a list follows; NULL: nothing */
};

struct score_record {
    struct gpt2_record *json; /* owned; the members' fields are in it */
    struct buffer id;         /* as JSON: the record's, or the number of its line */
    bool has_id;              /* it is the record's                               */
};

/* Parses line[0..len), which is the `number`-th, from 0, with members[0..n). False: GPT2_ERR_INPUT,
 * with the id as far as it is known, or GPT2_ERR_MEMORY. Free it in any case. */
bool score_record_read(struct score_record *record, struct score_member *members, size_t n,
                       const char *line, size_t len, uint64_t number, struct gpt2_error *err);
void score_record_free(struct score_record *record); /* a zeroed struct is allowed */

#endif
