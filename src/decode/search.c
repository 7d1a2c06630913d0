/* search.c - requests that compare their samples with each other (generator_internal.h). */
#include "base/error_internal.h"
#include "decode/beam_reorder.h"
#include "decode/generator_internal.h"

#include <string.h>

bool search_start(struct gpt2_generator *g, struct request *request, bool *started,
                  struct gpt2_error *err) {
    int n = request->asked.n_samples, before = g->n_samples;
    bool alone = before == 0; // no other sample would make room
    *started = alone || before + n <= g->max_samples;
    for (int i = 0; *started && i < n; i++) { // the first one reads the prompt
        if (!generator_start(g, request, NULL, alone, started, err))
            return false;
        if (i > 0 && *started) {
            g->samples[before + i].asleep = true;
            g->samples[before + i].n_pending = 0;
        }
    }
    if (*started)
        return true;
    while (g->n_samples > before)
        generator_drop(g, &g->samples[--g->n_samples]);
    g->n_waiting += request->n_started;
    request->n_started = 0;
    return true;
}

static bool check(const struct gpt2_branch *next, int n_next, int n, int n_vocab,
                  const struct gpt2_request *asked, struct gpt2_error *err) {
    if (n_next < 0 || n_next > asked->n_samples)
        return error_set(err, GPT2_ERR_USAGE, "a search goes on with %d samples: expected 0 to %d",
                         n_next, asked->n_samples);
    for (int i = 0; i < n_next; i++)
        if (next[i].parent < 0 || next[i].parent >= n || next[i].id < 0 || next[i].id >= n_vocab)
            return error_set(err, GPT2_ERR_USAGE,
                             "a search goes on from sample %d with token id %d: expected 0 to %d "
                             "and 0 to %d",
                             next[i].parent, (int)next[i].id, n - 1, n_vocab - 1);
    return true;
}

/* Gives `to` the tokens of `from`, read and unread. */
static bool copy_text(struct generator_sample *to, const struct generator_sample *from,
                      struct gpt2_error *err) {
    to->ids.len = 0;
    for (size_t i = 0; i < from->ids.len; i++)
        if (!gpt2_ids_push(&to->ids, from->ids.data[i], err))
            return false;
    return gpt2_session_fork(to->session, from->session, err);
}

/* Puts the samples where they grow to; each has one token to read then. */
static bool move_on(struct gpt2_generator *g, struct generator_sample *group, int n_next,
                    struct gpt2_error *err) {
    const struct gpt2_branch *next = g->branches;
    int n = group->request->asked.n_samples;
    beam_reorder(next, n_next, n, g->slots);
    for (int i = 0; i < n_next; i++)
        if (g->slots[i] != next[i].parent &&
            !copy_text(&group[g->slots[i]], &group[next[i].parent], err))
            return false;
    for (int i = 0; i < n; i++)
        g->moved[i] = group[g->slots[i]];
    memcpy(group, g->moved, (size_t)n * sizeof *group);
    for (int i = 0; i < n; i++) {
        group[i].index = i;
        group[i].asleep = i >= n_next;
        group[i].n_pending = !group[i].asleep;
        if (!group[i].asleep && !gpt2_ids_push(&group[i].ids, next[i].id, err))
            return false;
    }
    return true;
}

static void end(struct generator_sample *group, enum gpt2_end why) {
    struct request *request = group->request;
    for (int i = 0; i < request->asked.n_samples; i++)
        group[i].done = true;
    request->n_ended = request->asked.n_samples;
    if (request->asked.ended)
        request->asked.ended(request->asked.user, 0, why);
}

bool search_advance(struct gpt2_generator *g, int first, struct gpt2_error *err) {
    struct generator_sample *group = &g->samples[first];
    const struct gpt2_request *asked = &group->request->asked;
    int n = 0;
    for (; n < asked->n_samples && !group[n].asleep; n++) {
        g->steps[n] = (struct gpt2_step){.sample = n,
                                         .logits = generator_logits(g, first + n),
                                         .ids = group[n].ids.data,
                                         .n_ids = (int)group[n].ids.len,
                                         .n_prompt = asked->n_ids};
        if (!g->steps[n].logits)
            return true;
    }
    int n_next = asked->advance(asked->user, g->steps, n, g->branches);
    if (n_next == 0) {
        end(group, GPT2_END_CHOSEN);
        return true;
    }
    if (!check(g->branches, n_next, n, g->config->n_vocab, asked, err) ||
        !move_on(g, group, n_next, err))
        return false;
    if ((int)group->ids.len - asked->n_ids == asked->max_tokens)
        end(group, GPT2_END_LIMIT);
    else if (gpt2_session_position(group->session) == g->config->n_ctx)
        end(group, GPT2_END_CONTEXT);
    return true;
}
