/* weights_options.h - where a command reads the weights: in the mapped file, or in memory of our
 * own. */
#ifndef CLI_COMMAND_WEIGHTS_OPTIONS_H
#define CLI_COMMAND_WEIGHTS_OPTIONS_H

#include <gpt2/error.h>
#include <gpt2/model.h>

/* What the user asked for; neither: by how many tokens are expected. */
struct weights_options {
    bool mmap, no_mmap;
};

/* Two entries of an option table. */
#define OPT_WEIGHTS(dest)                                                \
    OPT_FLAG("mmap", 0, &(dest)->mmap,                                   \
             "read the weights where the file is mapped, which\n"        \
             "starts at once (default for short runs)"),                 \
        OPT_FLAG("no-mmap", 0, &(dest)->no_mmap,                         \
                 "move them to 2 MiB pages with the first pass, which\n" \
                 "then goes faster (default for long runs)")

/* Moves the weights to huge pages (gpt2_model_move) where that is wanted, each with the first pass
 * that reads it. By itself it does so where n_passes pay for it, and goes on without where memory
 * is short. Fails where both options are given, or --no-mmap finds no memory. */
bool weights_prepare(struct gpt2_model *model, const struct weights_options *options,
                     long long n_passes, struct gpt2_error *err);

#endif
