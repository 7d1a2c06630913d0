/* vocab_map.h - the bulk of a tokenizer's files: {token: id} and the merges, as arrays.
 *
 * A file of the usual form is read straight into it, in a quarter of the time that a tree of nodes
 * takes. Every other file goes through base/json.h, which alone decides what is refused and why. */
#ifndef TEXT_VOCAB_MAP_H
#define TEXT_VOCAB_MAP_H

#include "base/json.h"

struct vocab_map_entry {
    const char *text; /* [len], without escapes, NUL-ended */
    uint32_t len;
    int32_t id; /* -1: its value is not an id from 0 to VOCAB_MAX_ID */
};

/* Start from {0}. */
struct vocab_map {
    struct vocab_map_entry *entries; /* [n], in the order of the file */
    size_t n;
    char *storage; /* the texts, where they are not those of a tree */
};

/* Reads a whole file of the usual form: nothing but strings without surrogates and NUL, and ids
 * written as plain digits. False: it is not of that form, or there is no memory; the map is empty.
 */
bool vocab_map_read(struct vocab_map *map, const char *text, size_t len);

/* The same for the object that text[0..len) begins with, and the white space after it: *used bytes.
 */
bool vocab_map_read_first(struct vocab_map *map, const char *text, size_t len, size_t *used);

/* Makes one from a parsed object, which must outlive it. */
bool vocab_map_from_json(struct vocab_map *map, const struct json *object, struct gpt2_error *err);

void vocab_map_free(struct vocab_map *map); /* leaves {0} */

struct vocab_pair {
    uint16_t n_left, n_right; /* bytes of each half, not 0 */
};

/* Merges by rank: the halves stand one after the other in `bytes`, nothing between them, as the
 * bytes that their characters stand for (alphabet.h). Start from {0}. */
struct vocab_pairs {
    struct vocab_pair *pairs; /* [n] */
    size_t n;
    char *bytes;
};

/* Reads the array of merges that text[0..len) begins with, and the white space after it, *used
 * bytes: each merge "left right" or ["left", "right"], in strings as above of the alphabet's
 * characters. False: it has another form, or there is no memory; *out is empty. */
bool vocab_pairs_read_first(struct vocab_pairs *out, const char *text, size_t len, size_t *used);

void vocab_pairs_free(struct vocab_pairs *pairs); /* leaves {0} */

#endif
