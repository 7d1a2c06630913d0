/* bulk.h - many prompts from a file or a pipe, one line of JSON for each, in their order.
 *
 * A line depends on the model, the options and the record alone: not on order, threads, shards or
 * restarts. Each carries `system_fingerprint`, a hash of what the model computes and of all options
 * that change a text; --resume goes on only where it is the same. */
#ifndef CLI_GENERATE_BULK_H
#define CLI_GENERATE_BULK_H

#include "cli/generate/settings.h"
#include <gpt2/generator.h>

enum input_format { INPUT_AUTO, INPUT_JSONL, INPUT_LINES };

struct bulk_options {
    const char *input, *output; /* "-": standard input, standard output */
    const char *shard;          /* "I/N"; NULL: everything              */
    int format;                 /* enum input_format                    */
    bool resume, fail_fast, progress_json, quiet;
};

/* What it works with, all borrowed. */
struct bulk {
    const struct bulk_options *options;
    const struct settings *settings; /* unresolved: records put theirs on top */
    const struct gpt2_model *model;
    const struct gpt2_tokenizer *tokenizer;
    struct gpt2_runtime *runtime;
    const char *model_name;
    enum gpt2_kv kv;
    int max_samples; /* in progress at once */
};

/* Runs the job; returns the exit code, errors are reported. */
int bulk_run(const struct bulk *bulk);

#endif
