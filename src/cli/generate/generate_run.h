/* generate_run.h - what a run of `gpt2 generate` is given and holds. */
#ifndef CLI_GENERATE_GENERATE_RUN_H
#define CLI_GENERATE_GENERATE_RUN_H

#include "base/os.h"
#include "cli/command/memory_limit.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/command/speculate.h"
#include "cli/command/weights_options.h"
#include "cli/generate/bulk_job.h"
#include "cli/generate/logits_file.h"
#include "cli/generate/settings.h"
#include "cli/io/output.h"
#include "cli/io/prompt_source.h"
#include "cli/terminal/color.h"

enum generate_format { FORMAT_TEXT, FORMAT_IDS, FORMAT_JSON, FORMAT_JSONL };

struct generate_arguments {
    struct text_source source;
    const char *ids;
    const char *model;
    struct model_options opening;
    struct settings settings;
    struct weights_options weights;
    struct speculate_arguments speculate;
    bool stats, interactive;
    const char *output;          /* NULL or "-": standard output */
    int format, kv, tint, color; /* enum generate_format; tint: 0 is none */
    int threads;
    const char *cpu;
    int parallel;
    size_t cache_memory;
    struct bulk_options bulk;
    struct sandbox sandbox;
    const char *logits;                                     /* logits_file.h */
    const char *load_session, *save_session, *prompt_cache; /* session_file.h */
};

/* Everything a run holds; freed in one place. */
struct generate_run {
    struct generate_arguments args;
    char *path;
    struct gpt2_tokenizer *tokenizer; /* NULL where only ids go in and out */
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct decoding decoding;
    struct speculate speculate;
    struct gpt2_completion *completion;
    bool logprobs, shows; /* the completion has them; its text is shown as it comes */
    struct text prompt;
    struct gpt2_ids ids; /* the prompt's */

    /* session_file.h */
    struct gpt2_session *session; /* NULL: no file is named                           */
    struct gpt2_ids saved;        /* what the file has                                */
    int n_reused;                 /* tokens of the prompt that were there             */
    int n_generated;              /* the last ones of the prompt, by the run before   */

    struct output out; /* standard output, or the file of --output */
    struct logits_file logits;
    bool colors; /* --tint, and colours are wanted (--color) */
    struct color_text color_text;

    /* for --stats and timings */
    uint64_t load_ns, start_ns, prompt_ns, decode_ns, hash;
    bool seen; /* the first logits */
};

#endif
