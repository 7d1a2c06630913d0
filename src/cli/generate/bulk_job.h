/* bulk_job.h - what a bulk job is given: its files, its options, and what works for it. */
#ifndef CLI_GENERATE_BULK_JOB_H
#define CLI_GENERATE_BULK_JOB_H

#include "cli/command/sandbox.h"
#include "cli/generate/settings.h"
#include <gpt2/generator.h>

enum input_format { INPUT_AUTO, INPUT_JSONL, INPUT_LINES };

struct bulk_options {
    const char *input, *output; /* "-": standard input, standard output */
    const char *shard;          /* "I/N"; NULL: everything              */
    int format;                 /* enum input_format                    */
    bool resume, fail_fast, progress_json, quiet;
};

/* Everything is borrowed. */
struct bulk_job {
    const struct bulk_options *options;
    const struct settings *settings; /* unresolved: records put theirs on top */
    const struct gpt2_model *model;
    const struct gpt2_tokenizer *tokenizer;
    struct gpt2_runtime *runtime;
    const char *model_name;
    enum gpt2_kv kv;
    int max_samples;     /* in progress at once                  */
    size_t cache_memory; /* for what prompts begin with; 0: none */
    const struct sandbox *sandbox;
    size_t max_memory; /* 0: no limit */
};

#endif
