/* vocab_entry.h - what the readers of vocabulary files share: ids, and names in messages. */
#ifndef TEXT_VOCAB_ENTRY_H
#define TEXT_VOCAB_ENTRY_H

#include "base/json.h"

/* The length to print of a name that may be very long: whole characters, at most 60 bytes. */
int vocab_shown(const char *text, size_t len);

/* Reads the id of entry number `entry` (from 1), which is called `text`, of a file. `node` may be
 * NULL. False: it is not an integer from 0 to VOCAB_MAX_ID. */
bool vocab_read_id(int64_t *id, const struct json *node, const char *file, size_t entry,
                   const char *text, struct gpt2_error *err);

#endif
