/* record_id.h - the id of a record of --input, in generate, choose and score alike. */
#ifndef CLI_IO_RECORD_ID_H
#define CLI_IO_RECORD_ID_H

#include "base/buffer.h"

#include <gpt2/record.h>
#include <stdbool.h>
#include <stdint.h>

/* Sets *id to the field as JSON: a string, or a whole number between -2^53 and 2^53, as JSON's
 * numbers have no more digits in many programs, this one among them. Anything else is
 * GPT2_ERR_INPUT, and *id is as it was. */
bool record_id_take(struct buffer *id, const struct gpt2_field *field, struct gpt2_error *err);

/* Sets *id to "id" or "custom_id" of the record, to `number` where it has none that could be taken
 * or `record` is NULL. */
void record_id_find(struct buffer *id, const struct gpt2_record *record, uint64_t number);

#endif
