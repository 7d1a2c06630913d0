/* weights_options.h - --mmap, --no-mmap: weights in the mapped file, or in memory of our own. */
#ifndef CLI_COMMAND_WEIGHTS_OPTIONS_H
#define CLI_COMMAND_WEIGHTS_OPTIONS_H

#include <gpt2/error.h>
#include <gpt2/model.h>

/* Neither: weights_prepare decides. */
struct weights_options {
    bool mmap, no_mmap;
};

/* Two entries of an option table. */
#define OPT_WEIGHTS(dest)                                                \
    OPT_FLAG("mmap", 0, &(dest)->mmap,                                   \
             "read the weights where the file is mapped, which\n"        \
             "starts at once (default for short runs)",                  \
             .not_with = "no-mmap"),                                     \
        OPT_FLAG("no-mmap", 0, &(dest)->no_mmap,                         \
                 "move them to 2 MiB pages with the first pass, which\n" \
                 "then goes faster (default for long runs)")

/* Has the weights moved to huge pages, each by the first pass that reads it (gpt2_model_move): with
 * --no-mmap always, without either option if `n_passes` passes are enough to pay for the move.
 * Fails if both options are given, or if --no-mmap finds no memory; a move that was not asked for
 * is left out if memory is short. */
bool weights_prepare(struct gpt2_model *model, const struct weights_options *options,
                     long long n_passes, struct gpt2_error *err);

#endif
