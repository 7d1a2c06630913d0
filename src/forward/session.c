/* session.c - the KV cache as an object: create, rewind, fork; who has which page (session.h). */
#include "base/error_internal.h"
#include "base/os.h"
#include "forward/session_internal.h"
#include "model/weights.h"

#include <assert.h>
#include <string.h>

/* What AUTO stands for: with quantized weights the cache would be a large part of what a token
 * reads. */
static enum gpt2_kv choose_kv(const struct gpt2_model *model) {
    return dtype_is_quantized(model->h[0].attn.c_attn.weight.dtype) ? GPT2_KV_Q8 : GPT2_KV_F32;
}

/* Checks the options and fills *session, which has no pages yet. */
static bool plan(struct gpt2_session *session, const struct gpt2_model *model,
                 const struct gpt2_session_options *options, struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    int n_ctx = options ? options->n_ctx : 0;
    enum gpt2_kv type = options ? options->kv : GPT2_KV_AUTO;
    if (options && !error_reserved(options->reserved, "gpt2_session_options", err))
        return false;
    if (n_ctx < 0 || n_ctx > config->n_ctx)
        return error_set(err, GPT2_ERR_USAGE,
                         "context size: expected 0 to %d (the rows of wpe), got %d", config->n_ctx,
                         n_ctx);
    if ((int)type < GPT2_KV_AUTO || type > GPT2_KV_Q8)
        return error_set(err, GPT2_ERR_USAGE, "type of the KV cache: expected %d to %d, got %d",
                         GPT2_KV_AUTO, GPT2_KV_Q8, (int)type);
    session->model = model;
    session->capacity = n_ctx ? n_ctx : config->n_ctx;
    session->kv =
        kv_of(type == GPT2_KV_AUTO ? choose_kv(model) : type, config->n_embd / config->n_head);
    session->n_blocks = (session->capacity + KV_BLOCK - 1) / KV_BLOCK;
    return true;
}

struct gpt2_session *gpt2_session_create(const struct gpt2_model *model,
                                         const struct gpt2_session_options *options,
                                         struct gpt2_error *err) {
    struct gpt2_session planned = {0};
    if (!plan(&planned, model, options, err))
        return NULL;
    struct gpt2_session *session = os_alloc(1, sizeof *session, "a session", err);
    if (!session)
        return NULL;
    *session = planned;
    session->pages = os_alloc((size_t)session->n_blocks, sizeof(void *), "the KV cache", err);
    if (session->pages)
        return session;
    gpt2_session_free(session);
    return NULL;
}

/* Blocks of a page: one of keys and one of values for each. */
static size_t n_heads(const struct gpt2_session *session) {
    const struct gpt2_config *config = &session->model->config;
    return (size_t)config->n_layer * (size_t)config->n_head;
}

size_t session_page_bytes(const struct gpt2_session *session) {
    return n_heads(session) * (kv_key_bytes(&session->kv) + kv_value_bytes(&session->kv));
}

size_t gpt2_session_bytes(const struct gpt2_model *model,
                          const struct gpt2_session_options *options) {
    struct gpt2_session planned = {0};
    return plan(&planned, model, options, NULL)
               ? (size_t)planned.n_blocks * page_bytes(session_page_bytes(&planned))
               : 0;
}

/* Lets go of pages[block]. The last who has it keeps it for what comes next, or frees it. */
static void release(struct gpt2_session *session, int block) {
    struct page *page = session->pages[block];
    session->pages[block] = NULL;
    if (page && !session->spare && page_is_own(page))
        session->spare = page;
    else
        page_release(page);
}

/* Makes pages[block] the session's own, with what is in it where `keep`. */
static bool own(struct gpt2_session *session, int block, bool keep, struct gpt2_error *err) {
    struct page *old = session->pages[block];
    if (old && page_is_own(old))
        return true;
    struct page *page = session->spare;
    session->spare = NULL;
    if (!page)
        page = page_create(session_page_bytes(session), err);
    if (!page)
        return false;
    if (old && keep)
        memcpy(page->data, old->data, session_page_bytes(session));
    release(session, block);
    session->pages[block] = page;
    return true;
}

void session_put_page(struct gpt2_session *session, int block, struct page *page) {
    assert(block < session->n_blocks);
    page_share(page);
    release(session, block);
    session->pages[block] = page;
}

bool session_reserve(struct gpt2_session *session, int n, struct gpt2_error *err) {
    int end = session->position + n;
    for (int block = session->position / KV_BLOCK; block * KV_BLOCK < end; block++)
        if (!own(session, block, block * KV_BLOCK < session->position, err))
            return false;
    return true;
}

bool gpt2_session_unshare(struct gpt2_session *session, struct gpt2_error *err) {
    for (int block = 0; block * KV_BLOCK < session->position; block++)
        if (!own(session, block, true, err))
            return false;
    return true;
}

void gpt2_session_free(struct gpt2_session *session) {
    if (!session)
        return;
    for (int block = 0; session->pages && block < session->n_blocks; block++)
        release(session, block);
    page_release(session->spare);
    os_free(session->pages);
    os_free(session);
}

int gpt2_session_position(const struct gpt2_session *session) {
    return session->position;
}

int gpt2_session_capacity(const struct gpt2_session *session) {
    return session->capacity;
}

const struct gpt2_model *gpt2_session_model(const struct gpt2_session *session) {
    return session->model;
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

/* Which head of the whole model, counted through the layers. */
static size_t head_index(const struct gpt2_session *session, int layer, int head) {
    return (size_t)layer * (size_t)session->model->config.n_head + (size_t)head;
}

void *session_keys(const struct gpt2_session *session, int layer, int head, int block) {
    assert(block < session->n_blocks && session->pages[block]);
    return session->pages[block]->data +
           head_index(session, layer, head) * kv_key_bytes(&session->kv);
}

void *session_values(const struct gpt2_session *session, int layer, int head, int block) {
    assert(block < session->n_blocks && session->pages[block]);
    return session->pages[block]->data + n_heads(session) * kv_key_bytes(&session->kv) +
           head_index(session, layer, head) * kv_value_bytes(&session->kv);
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
    session->position = source->position;
    for (int block = 0; session != source && block < session->n_blocks; block++) {
        struct page *page = block * KV_BLOCK < source->position ? source->pages[block] : NULL;
        if (page)
            session_put_page(session, block, page);
        else
            release(session, block);
    }
    return true;
}
