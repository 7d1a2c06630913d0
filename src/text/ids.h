/* ids.h - growing lists of token ids, inside the library (public part: gpt2/tokenizer.h). */
#ifndef TEXT_IDS_H
#define TEXT_IDS_H

#include <gpt2/tokenizer.h>

#define VOCAB_MAX_ID 9999999 /* ids fit 24 bits; the largest real vocabularies have 256k */

/* Looks at a list that grows, and may hand its ids on and empty it. False, with *err set: no more
 * ids are wanted. */
struct ids_drain {
    bool (*run)(void *user, struct gpt2_error *err);
    void *user;
};

/* Makes room for n more ids. False: out of memory, the list is unchanged. */
bool ids_reserve(struct gpt2_ids *ids, size_t n, struct gpt2_error *err);

/* Appends n ids. False: out of memory, the list is unchanged. */
bool ids_append(struct gpt2_ids *ids, const int32_t *data, size_t n, struct gpt2_error *err);

#endif
