/* prompt_scores.c - scores the tokens of prompts. */
#include "cli/generate/prompt_scores.h"
#include "cli/io/report.h"

#include <stdlib.h>

static int vocab_of(const struct prompt_scorer *s) {
    return gpt2_tokenizer_rows(s->tokenizer, gpt2_model_config(s->model)->n_vocab);
}

/* A scorer with so many alternatives: the last one, or a new one in its place. */
static bool prepare(struct prompt_scorer *s, int n_top, struct gpt2_error *err) {
    if (s->scorer && s->n_top == n_top)
        return true;
    prompt_scorer_free(s);
    s->n_top = n_top;
    s->scorer = gpt2_scorer_create(
        s->model, s->runtime,
        &(struct gpt2_scorer_options){
            .n_vocab = vocab_of(s), .n_top = n_top, .kv = s->kv, .prefix_bytes = s->cache_memory},
        err);
    return s->scorer != NULL;
}

bool prompt_scores_make(struct prompt_scores *scores, struct prompt_scorer *scorer,
                        const struct gpt2_completion *completion, int n_top,
                        struct gpt2_error *err) {
    int n_prompt, n_ids, size = vocab_of(scorer);
    const int32_t *ids = gpt2_completion_prompt(completion, &n_prompt, &n_ids);
    n_top = n_top < size ? n_top : size;
    size_t n = n_ids > 1 ? (size_t)n_ids - 1 : 0;
    *scores = (struct prompt_scores){.n_top = n_top};
    if (n == 0)
        return true;
    scores->scores = calloc(n, sizeof *scores->scores);
    scores->top = n_top ? calloc(n * (size_t)n_top, sizeof *scores->top) : NULL;
    if (!scores->scores || (n_top && !scores->top)) {
        prompt_scores_free(scores);
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a prompt's scores");
    }
    const struct gpt2_window window = {.ids = ids, .n_ids = n_ids, .first = 1};
    if (prepare(scorer, n_top, err) &&
        gpt2_scorer_run(scorer->scorer, &window, 1, scores->scores, scores->top, err))
        return true;
    prompt_scorer_free(scorer); // nothing is known of what it keeps
    prompt_scores_free(scores);
    return false;
}

void prompt_scores_free(struct prompt_scores *scores) {
    free(scores->scores);
    free(scores->top);
    *scores = (struct prompt_scores){0};
}

void prompt_scorer_free(struct prompt_scorer *scorer) {
    gpt2_scorer_free(scorer->scorer);
    scorer->scorer = NULL;
}
