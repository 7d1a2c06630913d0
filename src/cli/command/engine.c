/* engine.c - opens and closes the tokenizer, the model and the runtime of a command. */
#include "cli/command/engine.h"
#include "cli/io/find_model.h"
#include "cli/io/report.h"

#include <stdlib.h>

bool engine_open(struct engine *engine, const char *model, const struct model_options *options,
                 int n_threads, const char *cpu, bool ids_only, struct gpt2_error *err) {
    engine->path = find_model(model, err);
    if (!engine->path)
        return false;
    engine->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = n_threads, .cpu = cpu}, err);
    if (!engine->runtime)
        return false;
    engine->model = model_options_open(engine->path, options, engine->runtime, err);
    if (!engine->model)
        return false;
    if (ids_only ? !gpt2_tokenizer_open_if_any(&engine->tokenizer, engine->path, err)
                 : !(engine->tokenizer = gpt2_tokenizer_open(engine->path, err)))
        return false;
    for (size_t i = 0; gpt2_model_warning(engine->model, i); i++)
        report_note("%s", gpt2_model_warning(engine->model, i));
    return true;
}

void engine_close(struct engine *engine) {
    gpt2_runtime_free(engine->runtime);
    gpt2_model_close(engine->model);
    gpt2_tokenizer_close(engine->tokenizer);
    free(engine->path);
    *engine = (struct engine){0};
}

int engine_vocab(const struct engine *engine) {
    return gpt2_tokenizer_rows(engine->tokenizer, gpt2_model_config(engine->model)->n_vocab);
}

struct gpt2_scorer *engine_scorer(const struct engine *engine, struct gpt2_scorer_options options,
                                  struct gpt2_error *err) {
    options.n_vocab = engine_vocab(engine);
    return gpt2_scorer_create(engine->model, engine->runtime, &options, err);
}
