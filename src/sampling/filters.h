/* filters.h - the filters after top-k: each drops ids from a list of candidates (gpt2/sampler.h).
 *
 * filters.def lists them. Their options' ranges, defaults and command-line options follow from what
 * `struct filter` says. */
#ifndef SAMPLING_FILTERS_H
#define SAMPLING_FILTERS_H

#include "sampling/candidates.h"
#include <gpt2/sampler.h>
#include <stddef.h>

struct filter {
    struct gpt2_filter option;
    bool zero_is_off;        /* 0 means the same as option.off */
    bool first_in_llama_cpp; /* GPT2_COMPAT_LLAMA_CPP: comes before the others */
    size_t scratch;          /* bytes for each candidate */

    /* Keeps at least one of n >= 1 candidates, moved to the front, and returns how many.
     * `list` is in the order of the ids, with weights. `value` is on. scratch [n]. */
    int (*keep)(struct candidate *list, int n, double value, enum gpt2_compat compat,
                void *scratch);
};

#define FILTER(name) extern const struct filter filter_##name;
#include "sampling/filters.def"

/* Sets each filter's option to what leaves it off. */
void filters_set_off(struct gpt2_sampler_options *options);

/* False (GPT2_ERR_USAGE): an option is out of its range, or NaN. */
bool filters_check(const struct gpt2_sampler_options *options, struct gpt2_error *err);

/* True if any filter is on. */
bool filters_on(const struct gpt2_sampler_options *options);

/* Bytes of scratch for each candidate that filters_run needs. */
size_t filters_scratch(const struct gpt2_sampler_options *options);

/* Runs the filters that are on over list [n], n >= 1; returns how many candidates are kept. */
int filters_run(const struct gpt2_sampler_options *options, struct candidate *list, int n,
                void *scratch);

#endif
