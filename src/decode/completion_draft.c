/* completion_draft.c - guesses for a completion's texts (speculation.h), with the rules,
 * constraints and keys by which their tokens are drawn. */
#include "decode/completion_internal.h"
#include "decode/speculation_internal.h"

/* Where guessing is: after ids that are only guessed, too. */
struct guessing {
    struct gpt2_completion *completion;
    int sample, position;
    bool ended; /* the text would end with what was guessed */
};

/* What would be drawn here, if these were the logits. */
static int32_t choose(void *user, const float *logits) {
    struct guessing *g = user;
    struct gpt2_completion *c = g->completion;
    if (g->ended)
        return -1;
    const struct gpt2_step step = {.sample = g->sample, .logits = logits, .n_ids = g->position++};
    struct constraints_step taken;
    const int32_t id = completion_draw(c, &c->probe, &step);
    if (id < 0 || completion_ends_with(c, id) || !constraints_take(&c->probe, id, &taken, NULL))
        return -1;
    g->ended = taken.chosen || taken.shown.stop != GPT2_STOP_NONE;
    return id;
}

bool completion_draft_begin(struct gpt2_completion *c, const struct constraints_options *options,
                            struct gpt2_error *err) {
    int n_kept;
    return !c->options.speculation ||
           (constraints_create(&c->probe, options, err) &&
            constraints_begin(&c->probe, c->prompt.data, (int)c->prompt.len, &n_kept, err));
}

int completion_draft(void *user, const struct gpt2_step *step, const struct gpt2_pass *last,
                     int32_t *draft, int max_draft) {
    struct gpt2_completion *c = user;
    struct guessing guessing = {.completion = c, .sample = step->sample, .position = step->n_ids};
    const struct draft_chooser chooser = {.choose = choose, .user = &guessing};
    if (c->options.speculation->options.model &&
        !constraints_copy(&c->probe, &c->samples[step->sample].constraints, NULL))
        return 0;
    return speculation_draft(c->options.speculation, step, last, c->config->n_vocab, &chooser,
                             draft, max_draft);
}

void completion_draft_end(struct gpt2_completion *c, int sample) {
    const struct gpt2_ids *made = &c->samples[sample].ids;
    struct gpt2_ids ids = {0};
    bool ok = true;
    for (int i = 0; ok && i < c->n_read; i++)
        ok = gpt2_ids_push(&ids, c->prompt.data[i], NULL);
    for (size_t i = 0; ok && i < made->len; i++)
        ok = gpt2_ids_push(&ids, made->data[i], NULL);
    if (ok)
        speculation_learn(c->options.speculation, sample, ids.data, (int)ids.len);
    gpt2_ids_free(&ids);
}
