/* draft_lookup.h - where the last tokens of a text stood before: drafts by the longest match. */
#ifndef DECODE_DRAFT_LOOKUP_H
#define DECODE_DRAFT_LOOKUP_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOKUP_MATCH 32 /* tokens of a match that are looked at, at most */

/* An index over a text: each place that follows a gram of n tokens is found by a hash of the gram,
 * the latest first. Zeroed but for `gram`: empty. Appending a token and finding a match cost the
 * same however long the text is. */
struct draft_lookup {
    int gram;          /* tokens of the shortest match: 2 or more       */
    int32_t *ids;      /* [n]                                           */
    uint32_t *earlier; /* [n] 1 + the place before with the same hash   */
    uint32_t *heads;   /* [cap] 1 + the latest place; a power of two    */
    size_t n, cap;
};

/* Appends ids. False: GPT2_ERR_MEMORY, with those appended for which there was room. */
bool draft_lookup_push(struct draft_lookup *lookup, const int32_t *ids, size_t n,
                       struct gpt2_error *err);
void draft_lookup_clear(struct draft_lookup *lookup); /* memory is kept */
void draft_lookup_free(struct draft_lookup *lookup);

/* The place after the longest of the latest few matches of the end of ids [n], and in *length how
 * many tokens match, at least lookup->gram and at most LOOKUP_MATCH. Of equals the latest. `ids`
 * may be the index's own text. False: there is none. */
bool draft_lookup_find(const struct draft_lookup *lookup, const int32_t *ids, size_t n,
                       size_t *place, int *length);

/* The tokens from `place` on, at most `max`. Where the text ends there and `is_own`, it goes on
 * with what was copied, as a text that repeats does. Returns how many. */
int draft_lookup_copy(const struct draft_lookup *lookup, size_t place, bool is_own, int32_t *out,
                      int max);

#endif
