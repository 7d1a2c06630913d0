/* session.c - the KV cache as an object: create, rewind, fork. */
#include "model/session.h"
#include "base/error.h"
#include "base/os.h"
#include "model/weights.h"

#include <string.h>

/* On 2 MiB pages as far as they are filled: the rest, or a small session, takes what it needs. */
static char *alloc_cache(size_t n_bytes, struct gpt2_error *err) {
    char *memory = os_alloc_huge(n_bytes, "the KV cache", err);
    size_t filled = n_bytes / OS_HUGE_PAGE * OS_HUGE_PAGE;
    if (memory && filled)
        os_small_pages(memory + filled, n_bytes - filled);
    return memory;
}

/* What AUTO stands for: with quantized weights the cache would be a large part of what a token
 * reads. */
static enum gpt2_kv choose_kv(const struct gpt2_model *model) {
    return dtype_is_quantized(model->h[0].attn.c_attn.weight.dtype) ? GPT2_KV_Q8 : GPT2_KV_F32;
}

struct gpt2_session *gpt2_session_create(const struct gpt2_model *model,
                                         const struct gpt2_session_options *options,
                                         struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    int n_ctx = options ? options->n_ctx : 0;
    enum gpt2_kv type = options ? options->kv : GPT2_KV_AUTO;
    if (n_ctx < 0 || n_ctx > config->n_ctx) {
        error_set(err, GPT2_ERR_USAGE, "context size: expected 0 to %d (the rows of wpe), got %d",
                  config->n_ctx, n_ctx);
        return NULL;
    }
    if ((int)type < GPT2_KV_AUTO || type > GPT2_KV_Q8) {
        error_set(err, GPT2_ERR_USAGE, "type of the KV cache: expected %d to %d, got %d",
                  GPT2_KV_AUTO, GPT2_KV_Q8, (int)type);
        return NULL;
    }
    struct gpt2_session *session = os_alloc(1, sizeof *session, "a session", err);
    if (!session)
        return NULL;
    session->model = model;
    session->capacity = n_ctx ? n_ctx : config->n_ctx;
    session->kv =
        kv_of(type == GPT2_KV_AUTO ? choose_kv(model) : type, config->n_embd / config->n_head);
    session->n_blocks = (session->capacity + KV_BLOCK - 1) / KV_BLOCK;
    size_t heads = (size_t)config->n_layer * (size_t)config->n_head;
    size_t blocks = heads * (size_t)session->n_blocks;
    session->n_key_bytes = blocks * kv_key_bytes(&session->kv);
    session->n_value_bytes = blocks * kv_value_bytes(&session->kv);
    session->keys = alloc_cache(session->n_key_bytes, err);
    if (session->keys)
        session->values = alloc_cache(session->n_value_bytes, err);
    if (!session->values) {
        gpt2_session_free(session);
        return NULL;
    }
    return session;
}

void gpt2_session_free(struct gpt2_session *session) {
    if (!session)
        return;
    os_free_huge(session->values, session->n_value_bytes);
    os_free_huge(session->keys, session->n_key_bytes);
    os_free(session);
}

int gpt2_session_position(const struct gpt2_session *session) {
    return session->position;
}

int gpt2_session_capacity(const struct gpt2_session *session) {
    return session->capacity;
}

enum gpt2_kv gpt2_session_kv(const struct gpt2_session *session) {
    return session->kv.type;
}

size_t gpt2_session_token_bytes(const struct gpt2_session *session) {
    const struct gpt2_config *config = &session->model->config;
    size_t block = kv_key_bytes(&session->kv) + kv_value_bytes(&session->kv);
    return (size_t)config->n_layer * (size_t)config->n_head * block / KV_BLOCK;
}

bool gpt2_session_rewind(struct gpt2_session *session, int position, struct gpt2_error *err) {
    if (position < 0 || position > session->position)
        return error_set(err, GPT2_ERR_USAGE, "rewind: expected a position from 0 to %d, got %d",
                         session->position, position);
    session->position = position;
    return true;
}

/* Which block of the session, counted through positions, layers and heads. */
static size_t block_index(const struct gpt2_session *session, int layer, int head, int block) {
    const struct gpt2_config *config = &session->model->config;
    size_t layers = (size_t)block * (size_t)config->n_layer + (size_t)layer;
    return layers * (size_t)config->n_head + (size_t)head;
}

void *session_keys(const struct gpt2_session *session, int layer, int head, int block) {
    return session->keys + block_index(session, layer, head, block) * kv_key_bytes(&session->kv);
}

void *session_values(const struct gpt2_session *session, int layer, int head, int block) {
    return session->values +
           block_index(session, layer, head, block) * kv_value_bytes(&session->kv);
}

bool gpt2_session_fork(struct gpt2_session *session, const struct gpt2_session *source,
                       struct gpt2_error *err) {
    if (session->model != source->model)
        return error_set(err, GPT2_ERR_USAGE, "fork: the sessions are of different models");
    if (session->kv.type != source->kv.type)
        return error_set(err, GPT2_ERR_USAGE,
                         "fork: the sessions keep keys and values in different types, %s and %s",
                         kv_name(source->kv.type), kv_name(session->kv.type));
    if (session->capacity < source->position)
        return error_set(err, GPT2_ERR_USAGE, "fork: %d tokens do not fit a session for %d",
                         source->position, session->capacity);
    const struct gpt2_config *config = &session->model->config;
    size_t blocks = ((size_t)source->position + KV_BLOCK - 1) / KV_BLOCK;
    blocks *= (size_t)config->n_layer * (size_t)config->n_head;
    memmove(session->keys, source->keys, blocks * kv_key_bytes(&session->kv));
    memmove(session->values, source->values, blocks * kv_value_bytes(&session->kv));
    session->position = source->position;
    return true;
}
