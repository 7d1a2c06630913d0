/* saved_session.c - writes a session to a file, and maps it from there. */
#include <gpt2/saved_session.h>

#include "base/checksum.h"
#include "base/error_internal.h"
#include "base/fnv.h"
#include "base/os.h"
#include "base/outfile.h"
#include "forward/saved_session_file.h"
#include "forward/session_internal.h"
#include "model/weights.h"

#include <string.h>

struct gpt2_saved_session {
    const struct gpt2_model *model; /* borrowed */
    char *path;
    struct page_file *file;
    struct saved_session_header header;
    const int32_t *ids; /* in the file */
};

static size_t round_up(size_t n) {
    return (n + SAVED_SESSION_ALIGN - 1) / SAVED_SESSION_ALIGN * SAVED_SESSION_ALIGN;
}

static size_t ids_end(size_t n_ids) {
    return round_up(sizeof(struct saved_session_header) + n_ids * sizeof(int32_t));
}

static size_t n_pages(size_t n_read) {
    return (n_read + KV_BLOCK - 1) / KV_BLOCK;
}

static size_t file_bytes(size_t n_ids, size_t n_read, size_t page_bytes) {
    return ids_end(n_ids) + n_pages(n_read) * round_up(page_bytes);
}

static int readable(const struct gpt2_session *session, int n_ids) {
    return n_ids < session->capacity ? n_ids : session->capacity;
}

size_t gpt2_session_file_bytes(const struct gpt2_session *session, int n_ids) {
    return file_bytes((size_t)n_ids, (size_t)readable(session, n_ids), session_page_bytes(session));
}

/* What the model says after the tokens: reads from the session's position on, the last one anew. */
static bool hash_logits(struct gpt2_session *session, struct gpt2_batch *batch, const int32_t *ids,
                        int n, uint64_t *hash, struct gpt2_error *err) {
    if (session->position == n)
        session->position--;
    struct gpt2_span span = {session, ids + session->position, n - session->position, 1};
    if (!gpt2_batch_run(batch, &span, 1, err))
        return false;
    *hash = fnv_bytes(FNV_START, gpt2_batch_logits(batch, 0, 0),
                      (size_t)session->model->config.n_vocab * sizeof(float));
    return true;
}

/* ---- writing ---- */

static struct saved_session_header make_header(const struct gpt2_session *session, int n_ids,
                                               int n_prompt, int n_read) {
    const struct gpt2_config *config = &session->model->config;
    struct saved_session_header header = {.version = SAVED_SESSION_VERSION,
                                          .kv = (uint32_t)session->kv.type,
                                          .n_layer = (uint32_t)config->n_layer,
                                          .n_head = (uint32_t)config->n_head,
                                          .head_dim = (uint32_t)session->kv.head_dim,
                                          .n_vocab = (uint32_t)config->n_vocab,
                                          .n_ids = (uint32_t)n_ids,
                                          .n_prompt = (uint32_t)n_prompt,
                                          .n_read = (uint32_t)n_read,
                                          .page_bytes = session_page_bytes(session)};
    memcpy(header.magic, SAVED_SESSION_MAGIC, sizeof header.magic);
    header.n_bytes = file_bytes((size_t)n_ids, (size_t)n_read, header.page_bytes);
    return header;
}

/* The cells after the session's position hold what was there before: no part of the file. */
static void clear_rest(const struct gpt2_session *session, char *data, int from) {
    size_t n = (size_t)session->model->config.n_layer * (size_t)session->model->config.n_head;
    char *values = data + n * kv_key_bytes(&session->kv);
    for (size_t i = 0; i < n; i++)
        kv_clear(&session->kv, data + i * kv_key_bytes(&session->kv),
                 values + i * kv_value_bytes(&session->kv), from);
}

/* All that follows the header. */
static void fill_body(const struct gpt2_session *session, char *file, const int32_t *ids,
                      const struct saved_session_header *header) {
    memcpy(file + sizeof *header, ids, header->n_ids * sizeof *ids);
    size_t at = ids_end(header->n_ids), step = round_up(header->page_bytes);
    for (size_t i = 0; i < n_pages(header->n_read); i++, at += step) {
        memcpy(file + at, session->pages[i]->data, header->page_bytes);
        if ((i + 1) * KV_BLOCK > header->n_read)
            clear_rest(session, file + at, (int)(header->n_read % KV_BLOCK));
    }
}

static bool write_file(const char *path, const char *data, size_t n_bytes, struct gpt2_error *err) {
    struct outfile out = {0};
    return outfile_open(&out, path, OUTFILE_PRIVATE, err) &&
           outfile_write(&out, data, n_bytes, err) && outfile_commit(&out, err);
}

bool gpt2_session_save(struct gpt2_session *session, struct gpt2_batch *batch, const int32_t *ids,
                       int n_ids, int n_prompt, const char *path, struct gpt2_error *err) {
    if (n_ids < 1 || n_ids > session->model->config.n_ctx + 1 || session->position > n_ids ||
        n_prompt < 0 || n_prompt > n_ids)
        return error_set(err, GPT2_ERR_USAGE,
                         "save a session: expected 1 to %d ids and no more that were read or are a "
                         "prompt, got %d, %d and %d",
                         session->model->config.n_ctx + 1, n_ids, session->position, n_prompt);
    for (int i = 0; i < n_ids; i++)
        if (ids[i] < 0 || ids[i] >= session->model->config.n_vocab)
            return error_set(err, GPT2_ERR_USAGE, "save a session: token id %d: expected 0 to %d",
                             (int)ids[i], session->model->config.n_vocab - 1);
    int n_read = readable(session, n_ids);
    struct saved_session_header header = make_header(session, n_ids, n_prompt, n_read);
    if (!hash_logits(session, batch, ids, n_read, &header.logits, err))
        return false;
    char *file = os_alloc_huge(header.n_bytes, "the saved session", err);
    if (!file)
        return false;
    fill_body(session, file, ids, &header);
    saved_session_seal(&header, file + sizeof header);
    memcpy(file, &header, sizeof header);
    bool ok = write_file(path, file, header.n_bytes, err);
    os_free_huge(file, header.n_bytes);
    return ok;
}

/* ---- reading ---- */

static bool check_shape(const struct saved_session_header *h, const struct gpt2_model *model,
                        const char *path, struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    uint32_t head_dim = (uint32_t)(config->n_embd / config->n_head);
    if (h->n_layer != (uint32_t)config->n_layer || h->n_head != (uint32_t)config->n_head ||
        h->head_dim != head_dim || h->n_vocab != (uint32_t)config->n_vocab)
        return error_set(err, GPT2_ERR_INPUT,
                         "%s: is of a model with %u layers, %u heads of %u and %u ids: expected "
                         "%d, %d of %u and %d",
                         path, h->n_layer, h->n_head, h->head_dim, h->n_vocab, config->n_layer,
                         config->n_head, head_dim, config->n_vocab);
    struct kv kv = kv_of((enum gpt2_kv)h->kv, (int)head_dim);
    size_t page = (size_t)h->n_layer * h->n_head * (kv_key_bytes(&kv) + kv_value_bytes(&kv));
    if (h->page_bytes != page || h->n_ids > (uint32_t)config->n_ctx + 1 ||
        h->n_read > (uint32_t)config->n_ctx || h->n_bytes != file_bytes(h->n_ids, h->n_read, page))
        return error_set(err, GPT2_ERR_INPUT, "%s: is damaged: its lengths contradict each other",
                         path);
    return true;
}

static bool check_ids(const struct gpt2_saved_session *saved, struct gpt2_error *err) {
    for (uint32_t i = 0; i < saved->header.n_ids; i++)
        if (saved->ids[i] < 0 || saved->ids[i] >= saved->model->config.n_vocab)
            return error_set(err, GPT2_ERR_INPUT, "%s: is damaged: token %u has the id %d",
                             saved->path, i, (int)saved->ids[i]);
    return true;
}

static bool open_file(struct gpt2_saved_session *saved, struct gpt2_error *err) {
    const struct os_file *mapped = &saved->file->mapped;
    if (!saved_session_parse(&saved->header, mapped->data, mapped->size, saved->path, err) ||
        !check_shape(&saved->header, saved->model, saved->path, err))
        return false;
    saved->ids = (const int32_t *)(const void *)(mapped->data + sizeof saved->header);
    return check_ids(saved, err);
}

struct gpt2_saved_session *gpt2_saved_session_open(const char *path, const struct gpt2_model *model,
                                                   struct gpt2_error *err) {
    struct gpt2_saved_session *saved = os_alloc(1, sizeof *saved, "a saved session", err);
    if (!saved)
        return NULL;
    saved->model = model;
    saved->path = os_alloc(strlen(path) + 1, 1, "a path", err);
    saved->file = os_alloc(1, sizeof *saved->file, "a saved session", err);
    if (saved->file)
        atomic_init(&saved->file->n_users, 1);
    if (saved->path && saved->file) {
        memcpy(saved->path, path, strlen(path) + 1);
        if (os_map(&saved->file->mapped, path, GPT2_ERR_INPUT, err) && open_file(saved, err))
            return saved;
    }
    gpt2_saved_session_close(saved);
    return NULL;
}

void gpt2_saved_session_close(struct gpt2_saved_session *saved) {
    if (!saved)
        return;
    page_file_release(saved->file);
    os_free(saved->path);
    os_free(saved);
}

const int32_t *gpt2_saved_session_ids(const struct gpt2_saved_session *saved, int *n_ids,
                                      int *n_prompt) {
    *n_ids = (int)saved->header.n_ids;
    *n_prompt = (int)saved->header.n_prompt;
    return saved->ids;
}

enum gpt2_kv gpt2_saved_session_kv(const struct gpt2_saved_session *saved) {
    return (enum gpt2_kv)saved->header.kv;
}

static bool put_pages(const struct gpt2_saved_session *saved, struct gpt2_session *session,
                      struct gpt2_error *err) {
    size_t at = ids_end(saved->header.n_ids), step = round_up(saved->header.page_bytes);
    for (size_t i = 0; i < n_pages(saved->header.n_read); i++, at += step) {
        struct page *page = page_create_in(saved->file, at, err);
        if (!page)
            return false;
        session_put_page(session, (int)i, page);
        page_release(page);
    }
    session->position = (int)saved->header.n_read;
    return true;
}

static bool check_session(const struct gpt2_saved_session *saved,
                          const struct gpt2_session *session, struct gpt2_error *err) {
    enum gpt2_kv kv = (enum gpt2_kv)saved->header.kv;
    if (session->model != saved->model)
        return error_set(err, GPT2_ERR_USAGE, "restore: the session is of another model");
    if (session->kv.type != kv) {
        error_set(err, GPT2_ERR_INPUT, "%s: keeps keys and values as %s: expected %s", saved->path,
                  kv_name(kv), kv_name(session->kv.type));
        return error_hint(err, "--kv %s", kv_name(kv));
    }
    if ((uint32_t)session->capacity < saved->header.n_read)
        return error_set(err, GPT2_ERR_INPUT, "%s: has %u tokens: expected at most %d", saved->path,
                         saved->header.n_read, session->capacity);
    return true;
}

bool gpt2_saved_session_restore(const struct gpt2_saved_session *saved,
                                struct gpt2_session *session, struct gpt2_batch *batch,
                                struct gpt2_error *err) {
    uint64_t hash = 0;
    session->position = 0;
    if (!check_session(saved, session, err))
        return false;
    bool ok = put_pages(saved, session, err) &&
              hash_logits(session, batch, saved->ids, (int)saved->header.n_read, &hash, err);
    if (ok && hash != saved->header.logits) {
        error_set(err, GPT2_ERR_INPUT, "%s: was made with another model: its logits differ",
                  saved->path);
        ok = error_hint(err, "give the model, and the adapters, that it was saved with");
    }
    if (!ok)
        session->position = 0;
    return ok;
}
