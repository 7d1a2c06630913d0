/* pickle.h - reads a Python pickle as data, and never runs it.
 *
 * A pickle is a program for a stack machine: "push a string", "push the function os.system", "call
 * it". Python's own reader does as it is told, so a file of weights can do anything. This one
 * builds a graph of values instead, and what was to be called is just one more value in it:
 *
 *     c torch._utils _rebuild_tensor_v2     a PICKLE_GLOBAL, if the caller's list has that name
 *     ( ... t R                             a PICKLE_CALL: which global, with which arguments
 *     ( ... t Q                             a PICKLE_PERSISTENT: the tuple that names a storage
 *
 * Names that are not in the list are refused at once, by name. So are the opcodes that torch.save
 * does not write: its files use protocol 2, and a pickle of another kind is not from there. */
#ifndef WEIGHTS_TORCH_PICKLE_H
#define WEIGHTS_TORCH_PICKLE_H

#include "weights/torch/pickle_value.h"
#include <gpt2/error.h>

/* What a pickle may name; `collections OrderedDict` needs no entry. An entry with a hint is refused
 * with that hint, since there is something better to say than of a stranger. A list ends with {0}.
 */
struct pickle_global {
    const char *module, *name, *hint;
};

/* Reads the pickle that begins at bytes[0]. The bytes are borrowed and must outlive it; `name`
 * stands for them in messages. Fails with GPT2_ERR_MODEL (malformed, too large, or something is
 * named that is not in `allowed`) or GPT2_ERR_MEMORY; then there is nothing to free. Values may
 * contain each other in circles: code that walks along them must bound its depth. */
bool pickle_parse(struct pickle *out, const unsigned char *bytes, size_t n_bytes,
                  const struct pickle_global *allowed, const char *name, struct gpt2_error *err);
void pickle_free(struct pickle *pickle); /* a zeroed struct is allowed */

#endif
