/* weights_options.c - decides whether weights are moved to memory of our own. */
#include "cli/command/weights_options.h"
#include "cli/io/report.h"

bool weights_prepare(struct gpt2_model *model, const struct weights_options *options,
                     long long n_passes, struct gpt2_error *err) {
    if (options->no_mmap)
        return gpt2_model_move(model, NULL, err);
    if (!options->mmap && n_passes >= gpt2_model_move_passes(model))
        gpt2_model_move(model, NULL, NULL); // a failure only costs speed
    return true;
}
