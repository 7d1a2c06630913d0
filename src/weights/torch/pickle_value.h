/* pickle_value.h - the graph of values that a pickle becomes, and walking along it. */
#ifndef WEIGHTS_TORCH_PICKLE_VALUE_H
#define WEIGHTS_TORCH_PICKLE_VALUE_H

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
