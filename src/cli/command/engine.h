/* engine.h - what a command that reads text with the model holds: tokenizer, model, runtime. */
#ifndef CLI_COMMAND_ENGINE_H
#define CLI_COMMAND_ENGINE_H

#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/score.h>
#include <gpt2/tokenizer.h>

struct engine {
    char *path;
    struct gpt2_tokenizer *tokenizer; /* NULL where it may be missing and is */
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
};

/* Finds the model (files.h) and opens everything; notes of the loader go to standard error. A
 * tokenizer that cannot be opened is an error; that there is none at all is not with `ids_only`. */
bool engine_open(struct engine *engine, const char *model, int n_threads, const char *cpu,
                 bool ids_only, struct gpt2_error *err);
void engine_close(struct engine *engine); /* a zeroed struct is allowed */

/* A scorer over the ids that the tokenizer has; options.n_vocab is set here. NULL: err is set. */
struct gpt2_scorer *engine_scorer(const struct engine *engine, struct gpt2_scorer_options options,
                                  struct gpt2_error *err);

/* How many ids there are: rows of wte beyond the tokenizer's last id are padding. */
int engine_vocab(const struct engine *engine);

#endif
