/* history.h - the tokens of a sequence, counted and indexed as the rules need them. */
#ifndef SAMPLING_HISTORY_H
#define SAMPLING_HISTORY_H

#include <gpt2/sampler.h>
#include <stddef.h>

/* How often an id stands in the window of the penalties. */
struct history_count {
    int32_t id;
    int32_t count; /* at least 1 */
};

struct gpt2_history {
    int last_n; /* the window; 0: no rule wants it, -1: all */
    bool generated_only;
    size_t ngram; /* 0: no rule wants it */
    int64_t n_generated;

    /* The counts of the window: a dense list, and a table that finds an id's place in it. */
    struct history_count *counts; /* [n_counts] in no particular order */
    int32_t *places;              /* [n_places] open addressing: 1 + index in counts, 0: free */
    size_t n_counts, cap_counts, n_places;
    int32_t *window; /* [n_window] the ids counted; the first `left` have left the window again.
                        Only kept where last_n > 0 */
    size_t n_window, cap_window, left;

    /* The text, where n-grams are asked for. Places of equal (n-1)-grams are chained through
     * `earlier`, the newest first: heads[hash of text[i-n+1 .. i-1]] = 1 + i, earlier[i] = the one
     * before it. Different grams may share a chain. */
    int32_t *text;     /* [n_text]   */
    uint32_t *earlier; /* [n_text]   */
    uint32_t *heads;   /* [cap_text], a power of two */
    size_t n_text, cap_text;
};

/* What the rules of a sampler need to know of a sequence. */
struct history_needs {
    int last_n;          /* the window of the penalties: 0: none looks back, -1: all */
    bool generated_only; /* the prompt is not in it */
    int ngram;           /* of no-repeat-ngram; 0: off */
};

/* An empty history. NULL: GPT2_ERR_MEMORY. */
struct gpt2_history *history_create(struct history_needs needs, struct gpt2_error *err);

/* Walks through the ids that would repeat an n-gram. Start with *place = 0; false at the end. An id
 * may come more than once. */
bool history_next_repeat(const struct gpt2_history *history, size_t *place, int32_t *id);

#endif
