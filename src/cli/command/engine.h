/* engine.h - tokenizer, model and runtime of a command that runs the model on text. */
#ifndef CLI_COMMAND_ENGINE_H
#define CLI_COMMAND_ENGINE_H

#include "cli/command/model_options.h"

#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/score.h>
#include <gpt2/tokenizer.h>

struct engine {
    char *path;
    struct gpt2_tokenizer *tokenizer; /* NULL: there is none, and ids_only */
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
};

/* Finds the model (find_model.h) and opens all three, the model as model_options_open does. The
 * model comes before its tokenizer: what is wrong with it is said first. The loader's warnings go
 * to standard error. With `ids_only` there may be no tokenizer; one that cannot be opened is an
 * error all the same. On failure err is set, and engine_close frees what was opened. */
bool engine_open(struct engine *engine, const char *model, const struct model_options *options,
                 int n_threads, const char *cpu, bool ids_only, struct gpt2_error *err);
void engine_close(struct engine *engine); /* a zeroed struct is allowed */

/* A scorer for the engine's vocabulary (engine_vocab), which replaces options.n_vocab. NULL: err is
 * set. The caller frees it before the engine. */
struct gpt2_scorer *engine_scorer(const struct engine *engine, struct gpt2_scorer_options options,
                                  struct gpt2_error *err);

/* The number of ids in use: rows of wte after the tokenizer's last id are padding. */
int engine_vocab(const struct engine *engine);

#endif
