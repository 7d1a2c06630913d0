/* prompt_scores.c - scores the tokens of prompts. */
#include "cli/generate/prompt_scores.h"
#include "cli/io/report.h"

#include <stdlib.h>

bool prompt_scores_make(struct prompt_scores *scores, const struct gpt2_model *model,
                        struct gpt2_runtime *runtime, const struct gpt2_scorer_options *options,
                        const int32_t *ids, int n_ids, struct gpt2_error *err) {
    size_t n = n_ids > 1 ? (size_t)n_ids - 1 : 0, n_top = (size_t)options->n_top;
    *scores = (struct prompt_scores){.n_top = options->n_top};
    if (n == 0)
        return true;
    scores->scores = calloc(n, sizeof *scores->scores);
    scores->top = n_top ? calloc(n * n_top, sizeof *scores->top) : NULL;
    if (!scores->scores || (n_top && !scores->top)) {
        prompt_scores_free(scores);
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a prompt's scores");
    }
    struct gpt2_scorer *scorer = gpt2_scorer_create(model, runtime, options, err);
    const struct gpt2_window window = {.ids = ids, .n_ids = n_ids, .first = 1};
    bool ok = scorer && gpt2_scorer_run(scorer, &window, 1, scores->scores, scores->top, err);
    gpt2_scorer_free(scorer);
    if (!ok)
        prompt_scores_free(scores);
    return ok;
}

void prompt_scores_free(struct prompt_scores *scores) {
    free(scores->scores);
    free(scores->top);
    *scores = (struct prompt_scores){0};
}
