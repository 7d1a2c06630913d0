/* vocab_map.h - the bulk of a tokenizer's files: {token: id} as an array, and merges as lines.
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

/* Merges as merges.txt has them, without a header. Start from {0}. */
struct vocab_lines {
    char *text; /* [len] "left right\n" for each */
    size_t len;
};

/* Reads the array of merges that text[0..len) begins with, and the white space after it, *used
 * bytes: each merge "left right" or ["left", "right"], in strings as above. False: it has another
 * form, or there is no memory; the lines are empty. */
bool vocab_lines_read_first(struct vocab_lines *lines, const char *text, size_t len, size_t *used);

void vocab_lines_free(struct vocab_lines *lines); /* leaves {0} */

#endif
