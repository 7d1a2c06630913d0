/* beams.h - a completion whose texts are searched for instead of drawn. */
#ifndef CLI_GENERATE_BEAMS_H
#define CLI_GENERATE_BEAMS_H

#include "cli/generate/completion.h"

/* Makes completion->beams, by its settings. When the search is over the best beams are taken into
 * the samples, token by token, as if they had just been drawn; where there are fewer beams than
 * samples, these become fewer. */
bool beams_create(struct completion *completion, struct gpt2_error *err);

#endif
