/* filters.c - the table of filters, and running those that are on. */
#include "sampling/filters.h"
#include "base/error_internal.h"

#include <string.h>

static const struct filter *const filters[] = {
#define FILTER(name) &filter_##name,
#include "sampling/filters.def"
};

enum { N_FILTERS = sizeof filters / sizeof *filters };

const struct gpt2_filter *gpt2_filter_at(size_t i) {
    return i < N_FILTERS ? &filters[i]->option : NULL;
}

static float value_of(const struct filter *filter, const struct gpt2_sampler_options *options) {
    float value;
    memcpy(&value, (const char *)options + filter->option.offset, sizeof value);
    return value;
}

static bool is_on(const struct filter *filter, const struct gpt2_sampler_options *options) {
    float value = value_of(filter, options);
    return value != filter->option.off && !(filter->zero_is_off && value == 0);
}

void filters_set_off(struct gpt2_sampler_options *options) {
    for (int i = 0; i < N_FILTERS; i++)
        memcpy((char *)options + filters[i]->option.offset, &filters[i]->option.off, sizeof(float));
}

bool filters_check(const struct gpt2_sampler_options *options, struct gpt2_error *err) {
    for (int i = 0; i < N_FILTERS; i++) {
        const struct gpt2_filter *o = &filters[i]->option;
        float value = value_of(filters[i], options);
        if (!(value >= o->min && value <= o->max)) // NaN fails
            return error_set(err, GPT2_ERR_USAGE, "%s: expected %g to %.10g, got %g", o->name,
                             (double)o->min, (double)o->max, (double)value);
    }
    return true;
}

bool filters_on(const struct gpt2_sampler_options *options) {
    for (int i = 0; i < N_FILTERS; i++)
        if (is_on(filters[i], options))
            return true;
    return false;
}

size_t filters_scratch(const struct gpt2_sampler_options *options) {
    size_t most = 0;
    for (int i = 0; i < N_FILTERS; i++)
        if (is_on(filters[i], options) && filters[i]->scratch > most)
            most = filters[i]->scratch;
    return most;
}

int filters_run(const struct gpt2_sampler_options *options, struct candidate *list, int n,
                void *scratch) {
    for (int pass = 0; pass < 2; pass++) // those that come first, then the others
        for (int i = 0; i < N_FILTERS; i++) {
            const struct filter *filter = filters[i];
            bool first = options->compat == GPT2_COMPAT_LLAMA_CPP && filter->first_in_llama_cpp;
            if (first == (pass == 0) && is_on(filter, options))
                n = filter->keep(list, n, (double)value_of(filter, options), options->compat,
                                 scratch);
        }
    return n;
}
