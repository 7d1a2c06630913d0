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

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,   /* integer: 0 or 1                                             */
    PICKLE_INT,    /* integer                                                     */
    PICKLE_FLOAT,  /* number                                                      */
    PICKLE_STRING, /* text[0..len): in the pickle's bytes, no NUL after it       */
    PICKLE_TUPLE,  /* items: count of them                                        */
    PICKLE_LIST,
    PICKLE_DICT,      /* items: key, value, key, value ...; OrderedDict is one too */
    PICKLE_GLOBAL,    /* global: the place in the caller's list                    */
    PICKLE_CALL,      /* global, and one item: the tuple of arguments              */
    PICKLE_PERSISTENT /* one item                                                  */
};

struct pickle_value {
    enum pickle_kind kind;
    int global;
    union {
        int64_t integer;
        double number;
        const char *text;
        struct {
            uint32_t first, last; /* places in cells[] of its items; 0: none */
        };
    };
    uint32_t len; /* bytes of text, or items */
};

/* One item of a container: each is a chain of these. */
struct pickle_cell {
    uint32_t value, next;
};

struct pickle {
    struct pickle_value *values; /* [n_values] */
    struct pickle_cell *cells;   /* [n_cells]; the first is not used, so that 0 means none */
    uint32_t n_values, cap_values, n_cells, cap_cells;
    const struct pickle_value *root;
    size_t n_bytes; /* of the pickle: another may follow it */
};

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

/* Item i of a container, from 0; NULL if there are not so many or it is no container. Takes i
 * steps.
 */
const struct pickle_value *pickle_item(const struct pickle *pickle,
                                       const struct pickle_value *value, uint32_t i);

/* The value under a key of text in a dict, the last of several; NULL if it is not there or `value`,
 * which may be NULL, is no dict. */
const struct pickle_value *pickle_get(const struct pickle *pickle, const struct pickle_value *value,
                                      const char *key);

/* Walks along the items of a container: for (c = first(...); c; c = next(...)) item_of(...). */
const struct pickle_cell *pickle_first(const struct pickle *pickle,
                                       const struct pickle_value *value);
const struct pickle_cell *pickle_next(const struct pickle *pickle, const struct pickle_cell *cell);

const char *pickle_kind_name(const struct pickle_value *value); /* "a tuple", for messages */

#endif
