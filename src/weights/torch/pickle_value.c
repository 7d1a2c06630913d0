/* pickle_value.c - looking at what a pickle has: items of containers, keys of dicts. */
#include "weights/torch/pickle_value.h"

#include <string.h>

static bool equals(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

const struct pickle_cell *pickle_first(const struct pickle *pickle,
                                       const struct pickle_value *value) {
    const bool scalar = value->kind < PICKLE_TUPLE || value->kind == PICKLE_GLOBAL;
    return scalar || !value->first ? NULL : &pickle->cells[value->first];
}

const struct pickle_cell *pickle_next(const struct pickle *pickle, const struct pickle_cell *cell) {
    return cell->next ? &pickle->cells[cell->next] : NULL;
}

const struct pickle_value *pickle_item(const struct pickle *pickle,
                                       const struct pickle_value *value, uint32_t i) {
    const struct pickle_cell *cell = pickle_first(pickle, value);
    while (cell && i-- > 0)
        cell = pickle_next(pickle, cell);
    return cell ? &pickle->values[cell->value] : NULL;
}

const struct pickle_value *pickle_get(const struct pickle *pickle, const struct pickle_value *value,
                                      const char *key) {
    const struct pickle_value *found = NULL;
    if (!value || value->kind != PICKLE_DICT)
        return NULL;
    for (const struct pickle_cell *c = pickle_first(pickle, value); c;) {
        const struct pickle_value *k = &pickle->values[c->value];
        c = pickle_next(pickle, c); // its value: they come in pairs
        if (k->kind == PICKLE_STRING && equals(k->text, k->len, key))
            found = &pickle->values[c->value];
        c = pickle_next(pickle, c);
    }
    return found;
}

const char *pickle_kind_name(const struct pickle_value *value) {
    static const char *const names[] = {
        [PICKLE_NONE] = "None",      [PICKLE_BOOL] = "a bool",         [PICKLE_INT] = "an integer",
        [PICKLE_FLOAT] = "a float",  [PICKLE_STRING] = "a string",     [PICKLE_TUPLE] = "a tuple",
        [PICKLE_LIST] = "a list",    [PICKLE_DICT] = "a dict",         [PICKLE_GLOBAL] = "a class",
        [PICKLE_CALL] = "an object", [PICKLE_PERSISTENT] = "a storage"};
    return names[value->kind];
}
