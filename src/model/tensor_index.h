/* tensor_index.h - the tensors of a file under GPT-2's own names for them.
 *
 * Files saved from GPT2LMHeadModel say "transformer.wte.weight", from GPT2Model "wte.weight", and
 * training wrappers put more in front. All of that is stripped: "wte.weight". */
#ifndef MODEL_TENSOR_INDEX_H
#define MODEL_TENSOR_INDEX_H

#include "weights/tensors.h"

struct tensor_entry {
    const char *name;            /* GPT-2's; borrowed from the tensor where it is the end of it */
    const struct tensor *tensor; /* borrowed                                                     */
    bool bound;                  /* for the loader: it has a place in the model                  */
};

struct tensor_index {
    struct tensor_entry *entries; /* [count] sorted by name; owned */
    size_t count;
};

/* Fails with GPT2_ERR_MODEL where two tensors have the same name once stripped. */
bool tensor_index_build(struct tensor_index *names, const struct tensors *tensors,
                        struct gpt2_error *err);

struct tensor_entry *tensor_index_find(const struct tensor_index *names,
                                       const char *name); /* NULL if absent */

/* Gives an entry another name, which no other entry has and which outlives `names`. Moves entries:
 * pointers to them are void. */
void tensor_index_rename(struct tensor_index *names, struct tensor_entry *entry, const char *name);

void tensor_index_free(struct tensor_index *names); /* a zeroed struct is allowed */

#endif
