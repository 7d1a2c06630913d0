/* session.c - the KV cache as an object: create, store, rewind, fork. */
#include "model/session.h"
#include "base/error.h"
#include "base/os.h"
#include "model/weights.h"

#include <string.h>

struct gpt2_session *gpt2_session_create(const struct gpt2_model *model, int n_ctx,
                                         struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    if (n_ctx < 0 || n_ctx > config->n_ctx) {
        error_set(err, GPT2_ERR_USAGE, "context size: expected 0 to %d (the rows of wpe), got %d",
                  config->n_ctx, n_ctx);
        return NULL;
    }
    struct gpt2_session *session = os_alloc(1, sizeof *session, "a session", err);
    if (!session)
        return NULL;
    session->model = model;
    session->capacity = n_ctx ? n_ctx : config->n_ctx;
    session->head_dim = config->n_embd / config->n_head;
    session->n_blocks = (session->capacity + KEY_BLOCK - 1) / KEY_BLOCK;
    size_t row = (size_t)config->n_embd * sizeof(float); // one position of all heads
    size_t positions = (size_t)session->n_blocks * KEY_BLOCK;
    session->keys = os_alloc((size_t)config->n_layer * positions, row, "the KV cache", err);
    if (session->keys)
        session->values =
            os_alloc((size_t)config->n_layer * (size_t)session->capacity, row, "the KV cache", err);
    if (!session->values) {
        gpt2_session_free(session);
        return NULL;
    }
    return session;
}

void gpt2_session_free(struct gpt2_session *session) {
    if (!session)
        return;
    os_free(session->values);
    os_free(session->keys);
    os_free(session);
}

int gpt2_session_position(const struct gpt2_session *session) {
    return session->position;
}

int gpt2_session_capacity(const struct gpt2_session *session) {
    return session->capacity;
}

bool gpt2_session_rewind(struct gpt2_session *session, int position, struct gpt2_error *err) {
    if (position < 0 || position > session->position)
        return error_set(err, GPT2_ERR_USAGE, "rewind: expected a position from 0 to %d, got %d",
                         session->position, position);
    session->position = position;
    return true;
}

/* Which head of the whole model, counted through the layers. */
static size_t head_index(const struct gpt2_session *session, int layer, int head) {
    return (size_t)layer * (size_t)session->model->config.n_head + (size_t)head;
}

float *session_keys(const struct gpt2_session *session, int layer, int head) {
    size_t per_head = (size_t)session->n_blocks * KEY_BLOCK * (size_t)session->head_dim;
    return session->keys + head_index(session, layer, head) * per_head;
}

float *session_values(const struct gpt2_session *session, int layer, int head) {
    size_t per_head = (size_t)session->capacity * (size_t)session->head_dim;
    return session->values + head_index(session, layer, head) * per_head;
}

void session_store(const struct gpt2_session *session, int layer, int head, int position,
                   const float *key, const float *value) {
    size_t head_dim = (size_t)session->head_dim;
    size_t block = (size_t)position / KEY_BLOCK;
    float *column = session_keys(session, layer, head) + block * head_dim * KEY_BLOCK +
                    (size_t)position % KEY_BLOCK;
    for (size_t d = 0; d < head_dim; d++)
        column[d * KEY_BLOCK] = key[d];
    memcpy(session_values(session, layer, head) + (size_t)position * head_dim, value,
           head_dim * sizeof *value);
}

bool gpt2_session_fork(struct gpt2_session *session, const struct gpt2_session *source,
                       struct gpt2_error *err) {
    if (session->model != source->model)
        return error_set(err, GPT2_ERR_USAGE, "fork: the sessions are of different models");
    if (session->capacity < source->position)
        return error_set(err, GPT2_ERR_USAGE, "fork: %d tokens do not fit a session for %d",
                         source->position, session->capacity);
    const struct gpt2_config *config = &session->model->config;
    size_t blocks = ((size_t)source->position + KEY_BLOCK - 1) / KEY_BLOCK;
    size_t head_dim = (size_t)session->head_dim;
    for (int layer = 0; layer < config->n_layer; layer++) {
        for (int head = 0; head < config->n_head; head++) {
            memmove(session_keys(session, layer, head), session_keys(source, layer, head),
                    blocks * KEY_BLOCK * head_dim * sizeof(float));
            memmove(session_values(session, layer, head), session_values(source, layer, head),
                    (size_t)source->position * head_dim * sizeof(float));
        }
    }
    session->position = source->position;
    return true;
}
