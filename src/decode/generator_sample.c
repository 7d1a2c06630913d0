/* generator_sample.c - a sample of a generator's request begins and ends: its session, and what of
 * its prompt has been read already. */
#include "decode/generator_internal.h"

/* Tokens that the session of a sample will have to hold: the last one chosen is never read. */
static int session_need(const struct gpt2_generator *g, const struct gpt2_request *asked) {
    int n_ctx = g->config->n_ctx;
    return asked->max_tokens > n_ctx - asked->n_ids ? n_ctx : asked->n_ids + asked->max_tokens - 1;
}

bool generator_take_prefix(struct generator_sample *sample, struct gpt2_error *err) {
    sample->waits = gpt2_prefix_waits(sample->prefix);
    if (sample->waits)
        return true;
    if (!gpt2_prefix_take(sample->prefix, sample->session, err))
        return false;
    sample->n_pending = (int)sample->ids.len - gpt2_session_position(sample->session);
    return true;
}

static bool begin_prefix(struct gpt2_generator *g, struct generator_sample *sample,
                         struct gpt2_error *err) {
    const struct gpt2_request *asked = &sample->request->asked;
    if (!g->prefixes || asked->session)
        return true;
    sample->prefix = gpt2_prefix_begin(g->prefixes, asked->ids, asked->n_ids, err);
    return sample->prefix && generator_take_prefix(sample, err);
}

void generator_end_prefix(struct generator_sample *sample) {
    gpt2_prefix_end(sample->prefix);
    sample->prefix = NULL;
}

bool generator_start(struct gpt2_generator *g, struct request *request,
                     const struct gpt2_session *source, bool must, bool *started,
                     struct gpt2_error *err) {
    struct gpt2_session *session = request->asked.session;
    *started = false;
    if (!session &&
        !session_pool_take(&g->sessions, session_need(g, &request->asked), must, &session, err))
        return false;
    if (!session)
        return true;
    struct generator_sample *sample = &g->samples[g->n_samples];
    *sample = (struct generator_sample){
        .request = request, .index = request->n_started, .session = session};
    g->n_samples++; // from here on it is freed with the others
    if (source && !gpt2_session_fork(session, source, err))
        return false;
    for (int i = 0; i < request->asked.n_ids; i++)
        if (!gpt2_ids_push(&sample->ids, request->ids[i], err))
            return false;
    sample->n_pending = source ? 0 : request->asked.n_ids - gpt2_session_position(session);
    request->n_started++;
    g->n_waiting--;
    *started = true;
    bool reads = !source && !(request->asked.advance && sample->index > 0);
    return !reads || begin_prefix(g, sample, err);
}

void generator_drop(struct gpt2_generator *g, struct generator_sample *sample) {
    generator_end_prefix(sample);
    if (!sample->request->asked.session)
        session_pool_give(&g->sessions, sample->session);
    gpt2_ids_free(&sample->ids);
}

const float *generator_logits(const struct gpt2_generator *g, int sample) {
    bool read = g->span_of[sample] >= 0 && g->samples[sample].n_pending == 0;
    return read ? gpt2_batch_logits(g->batch, g->span_of[sample], 0) : NULL;
}
