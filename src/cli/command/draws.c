/* draws.c - names how the tokens of a text are drawn. */
#include "cli/command/draws.h"

#include <string.h>

void draws_print(struct buffer *out, const struct gpt2_sampler_options *o) {
    const struct gpt2_filter *filter;
    const bool greedy = o->greedy || o->temperature <= 0;
    if (greedy)
        buffer_format(out, "greedy");
    else
        buffer_format(out, "temp %.7g, top-k %d", (double)o->temperature, o->top_k);
    for (size_t i = 0; !greedy && (filter = gpt2_filter_at(i)); i++) {
        float set;
        memcpy(&set, (const char *)o + filter->offset, sizeof set);
        if (set != filter->off)
            buffer_format(out, ", %s %.7g", filter->name, (double)set);
    }
    if (o->repeat_penalty != 1)
        buffer_format(out, ", repeat-penalty %.7g", (double)o->repeat_penalty);
}
