/* names.h - the tensors of a file under GPT-2's own names for them.
 *
 * Files saved from GPT2LMHeadModel say "transformer.wte.weight", from GPT2Model "wte.weight", and
 * training wrappers put more in front. All of that is stripped: "wte.weight". */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

#include "weights/tensors.h"

struct entry {
    const char *name;            /* GPT-2's; borrowed from the tensor where it is the end of it */
    const struct tensor *tensor; /* borrowed                                                     */
    bool bound;                  /* for the loader: it has a place in the model                  */
};

struct names {
    struct entry *entries; /* [count] sorted by name; owned */
    size_t count;
};

/* Fails with GPT2_ERR_MODEL where two tensors have the same name once stripped. */
bool names_index(struct names *names, const struct tensors *tensors, struct gpt2_error *err);

struct entry *names_find(const struct names *names, const char *name); /* NULL if absent */

/* Gives an entry another name, which no other entry has and which outlives `names`. Moves entries:
 * pointers to them are void. */
void names_rename(struct names *names, struct entry *entry, const char *name);

void names_free(struct names *names); /* a zeroed struct is allowed */

#endif
