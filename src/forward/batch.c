/* batch.c - checks what it is given, cuts it into passes, and owns their workspace.
 *
 * A run is validated as a whole before anything moves. Then its spans are cut into passes of at
 * most max_rows rows; a pass may hold chunks of several sessions. Where the cuts fall changes
 * nothing. */
#include "base/error_internal.h"
#include "base/math.h"
#include "base/os.h"
#include "forward/forward.h"
#include "machine/runtime_internal.h"

#include <inttypes.h>
#include <string.h>

#define DEFAULT_ROWS   512
#define DEFAULT_LOGITS 1
#define MAX_ROWS       65536

struct gpt2_batch {
    struct forward forward;
    int max_rows;
    int max_logits;
    float *logits;        /* [max_logits, n_vocab]                                  */
    int *rows;            /* [max_rows] the rows of a pass whose logits are wanted  */
    struct chunk *chunks; /* [max_rows] of a pass: each has at least one row        */

    gpt2_logits_reader reader; /* NULL: logits stay for gpt2_batch_logits */
    void *reader_user;

    int *first_logits; /* [max_rows] index of each span's first row of logits in the last run */
};

/* Floats from one row to the next: a whole number of cache lines, but no multiple of a large power
 * of two. */
static size_t stride_of(int n) {
    return ((size_t)n + 15) / 16 * 16 + 16;
}

/* Room for n_rows rows of n floats. */
static bool alloc_rows(struct activations *act, int n_rows, int n, struct gpt2_error *err) {
    act->stride = stride_of(n);
    act->max_rows = n_rows;
    act->n_bytes = (size_t)n_rows * act->stride * sizeof(float);
    act->data = os_alloc_huge(act->n_bytes, "activations", err);
    return act->data != NULL;
}

static void free_rows(struct activations *act) {
    os_free_huge(act->data, act->n_bytes);
}

/* What the options stand for. */
static bool plan(int *max_rows, int *max_logits, const struct gpt2_batch_options *options,
                 struct gpt2_error *err) {
    *max_rows = options && options->max_rows ? options->max_rows : DEFAULT_ROWS;
    *max_logits = options && options->max_logits ? options->max_logits : DEFAULT_LOGITS;
    if (options && !error_reserved(options->reserved, "gpt2_batch_options", err))
        return false;
    if (*max_rows < 1 || *max_rows > MAX_ROWS || *max_logits < 1)
        return error_set(err, GPT2_ERR_USAGE,
                         "batch: expected 1 to %d rows and at least 1 row of logits, got %d and %d",
                         MAX_ROWS, *max_rows, *max_logits);
    return true;
}

static int most_inputs(const struct gpt2_config *config) {
    return config->n_inner > config->n_embd ? config->n_inner : config->n_embd;
}

size_t gpt2_batch_bytes(const struct gpt2_model *model, const struct gpt2_runtime *runtime,
                        const struct gpt2_batch_options *options) {
    const struct gpt2_config *config = &model->config;
    int max_rows, max_logits;
    if (!plan(&max_rows, &max_logits, options, NULL))
        return 0;
    const size_t row =
        3 * stride_of(config->n_embd) + stride_of(3 * config->n_embd) + stride_of(config->n_inner);
    const size_t logits = (size_t)max_logits * (size_t)config->n_vocab;
    return ((size_t)max_rows * row + logits) * sizeof(float) +
           matmul_bytes(runtime->pool, max_rows, most_inputs(config)) +
           attention_bytes(config, runtime->pool);
}

struct gpt2_batch *gpt2_batch_create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                     const struct gpt2_batch_options *options,
                                     struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    int max_rows, max_logits;
    if (!plan(&max_rows, &max_logits, options, err))
        return NULL;
    struct gpt2_batch *batch = os_alloc(1, sizeof *batch, "a batch", err);
    if (!batch)
        return NULL;
    batch->max_rows = max_rows;
    batch->max_logits = max_logits;
    struct forward *f = &batch->forward;
    f->model = model;
    f->attention_kernels = runtime->attention_kernels;
    f->act = kernels_activation(runtime->kernels, config->activation);
    if (!matmul_init(&f->mm, runtime->pool, runtime->kernels, max_rows, most_inputs(config), err) ||
        !alloc_rows(&f->x, max_rows, config->n_embd, err) ||
        !alloc_rows(&f->a, max_rows, config->n_embd, err) ||
        !alloc_rows(&f->qkv, max_rows, 3 * config->n_embd, err) ||
        !alloc_rows(&f->o, max_rows, config->n_embd, err) ||
        !alloc_rows(&f->f, max_rows, config->n_inner, err) ||
        !attention_init(&f->attention, config, runtime->pool, max_rows, err))
        goto fail;
    batch->rows = os_alloc((size_t)max_rows, sizeof *batch->rows, "a batch", err);
    batch->chunks = os_alloc((size_t)max_rows, sizeof *batch->chunks, "a batch", err);
    batch->first_logits = os_alloc((size_t)max_rows, sizeof *batch->first_logits, "a batch", err);
    batch->logits =
        os_alloc((size_t)max_logits * (size_t)config->n_vocab, sizeof(float), "logits", err);
    if (!batch->rows || !batch->chunks || !batch->first_logits || !batch->logits)
        goto fail;
    return batch;
fail:
    gpt2_batch_free(batch);
    return NULL;
}

void gpt2_batch_free(struct gpt2_batch *batch) {
    if (!batch)
        return;
    struct forward *f = &batch->forward;
    os_free(batch->first_logits);
    os_free(batch->logits);
    os_free(batch->chunks);
    os_free(batch->rows);
    attention_free(&f->attention);
    free_rows(&f->f);
    free_rows(&f->o);
    free_rows(&f->qkv);
    free_rows(&f->a);
    free_rows(&f->x);
    matmul_free(&f->mm);
    os_free(batch);
}

void gpt2_batch_set_tap(struct gpt2_batch *batch, gpt2_tap tap, void *user) {
    batch->forward.tap = tap;
    batch->forward.tap_user = user;
}

void gpt2_batch_set_reader(struct gpt2_batch *batch, gpt2_logits_reader reader, void *user) {
    batch->reader = reader;
    batch->reader_user = user;
}

void gpt2_batch_set_ablations(struct gpt2_batch *batch, unsigned ablations,
                              const float *deviations) {
    batch->forward.ablation = (struct ablation){ablations, deviations};
}

static bool check_span(const struct gpt2_batch *batch, const struct gpt2_span *span, int index,
                       struct gpt2_error *err) {
    const struct gpt2_model *model = batch->forward.model;
    const struct gpt2_session *session = span->session;
    if (!session || session->model != model)
        return error_set(err, GPT2_ERR_USAGE, "span %d: its session is not of this model", index);
    if (session->in_batch)
        return error_set(err, GPT2_ERR_USAGE, "span %d: its session has another span in this run",
                         index);
    if (span->n_ids < 1 || span->n_logits < 0 || span->n_logits > span->n_ids)
        return error_set(err, GPT2_ERR_USAGE,
                         "span %d: expected at least 1 id and 0 to that many rows of logits, got "
                         "%d and %d",
                         index, span->n_ids, span->n_logits);
    if (span->n_ids > session->capacity - session->position)
        return error_set(err, GPT2_ERR_INPUT,
                         "%d tokens do not fit: the context holds %d and %d are in it", span->n_ids,
                         session->capacity, session->position);
    for (int i = 0; i < span->n_ids; i++)
        if (span->ids[i] < 0 || span->ids[i] >= model->config.n_vocab)
            return error_set(err, GPT2_ERR_USAGE,
                             "token id %" PRId32 ": expected 0 to %d, the rows of wte",
                             span->ids[i], model->config.n_vocab - 1);
    return true;
}

static bool check_run(struct gpt2_batch *batch, const struct gpt2_span *spans, int n_spans,
                      struct gpt2_error *err) {
    if (n_spans < 0 || n_spans > batch->max_rows)
        return error_set(err, GPT2_ERR_USAGE, "expected 0 to %d spans, got %d", batch->max_rows,
                         n_spans);
    long long n_logits = 0;
    bool ok = true;
    int checked = 0;
    for (; ok && checked < n_spans; checked++) {
        ok = check_span(batch, &spans[checked], checked, err);
        if (ok) {
            spans[checked].session->in_batch = true;
            n_logits += spans[checked].n_logits;
        }
    }
    for (int i = 0; i < (ok ? checked : checked - 1); i++)
        spans[i].session->in_batch = false;
    if (ok && !batch->reader && n_logits > batch->max_logits)
        ok = error_set(err, GPT2_ERR_USAGE,
                       "logits of %lld rows asked for: the batch was created for %d", n_logits,
                       batch->max_logits);
    return ok;
}

/* True if no element is NaN or infinite: those have all bits of the exponent, and adding its lowest
 * carries into the sign. A comparison of floats, which may raise exceptions, is not vectorized. */
static bool all_finite(const float *x, size_t n) {
    uint32_t carries = 0;
    for (size_t i = 0; i < n; i++)
        carries |= (math_bits(x[i]) & 0x7F800000u) + 0x00800000u;
    return !(carries & 0x80000000u);
}

static bool check_logits(const struct gpt2_batch *batch, int n, struct gpt2_error *err) {
    size_t n_vocab = (size_t)batch->forward.model->config.n_vocab;
    for (int i = 0; i < n; i++) {
        const float *row = batch->logits + (size_t)i * n_vocab;
        if (!all_finite(row, n_vocab)) {
            size_t bad = 0;
            while (all_finite(&row[bad], 1))
                bad++;
            error_set(err, GPT2_ERR_MODEL, "the logit of token %zu is %s: expected a finite number",
                      bad, row[bad] != row[bad] ? "NaN" : "infinite");
            return error_hint(err,
                              "the weights hold NaN, Inf or absurd values; is the file whole?");
        }
    }
    return true;
}

/* Remembers where each span's logits start. */
static void note_spans(struct gpt2_batch *batch, const struct gpt2_span *spans, int n_spans) {
    int n = 0;
    for (int i = 0; i < n_spans; i++) {
        batch->first_logits[i] = n;
        n += spans[i].n_logits;
    }
}

/* Logits of the pass's n wanted rows, a portion at a time; `first` have been read before them. */
static bool read_logits(struct gpt2_batch *batch, int first, int n, struct gpt2_error *err) {
    for (int at = 0; at < n; at += batch->max_logits) {
        int part = n - at < batch->max_logits ? n - at : batch->max_logits;
        forward_logits(&batch->forward, batch->logits, batch->rows + at, part);
        if (!check_logits(batch, part, err))
            return false;
        batch->reader(batch->reader_user, first + at, part, batch->logits);
    }
    return true;
}

bool gpt2_batch_run(struct gpt2_batch *batch, const struct gpt2_span *spans, int n_spans,
                    struct gpt2_error *err) {
    struct forward *f = &batch->forward;
    if (!check_run(batch, spans, n_spans, err))
        return false;
    for (int i = 0; i < n_spans; i++)
        if (!session_reserve(spans[i].session, spans[i].n_ids, err))
            return false;
    if (!weight_access_begin(&f->mm.access, f->model, batch->reader || f->tap, f->mm.pool, err))
        return false;
    note_spans(batch, spans, n_spans);
    size_t n_vocab = (size_t)f->model->config.n_vocab;
    int n_logits = 0;       // rows of logits computed so far
    int span = 0, done = 0; // the next token to read: spans[span].ids[done]
    bool ok = true;
    while (ok && span < n_spans) {
        int n_rows = 0, n_chunks = 0, n_wanted = 0;
        while (span < n_spans && n_rows < batch->max_rows) {
            const struct gpt2_span *s = &spans[span];
            int left = s->n_ids - done, room = batch->max_rows - n_rows;
            int n = left < room ? left : room;
            batch->chunks[n_chunks++] =
                (struct chunk){s->session, s->ids + done, n, s->session->position, n_rows};
            for (int r = 0; r < n; r++)
                if (done + r >= s->n_ids - s->n_logits)
                    batch->rows[n_wanted++] = n_rows + r;
            n_rows += n;
            done += n;
            if (done == s->n_ids) {
                span++;
                done = 0;
            }
        }
        forward_blocks(f, batch->chunks, n_chunks);
        if (batch->reader)
            ok = read_logits(batch, n_logits, n_wanted, err);
        else if (n_wanted > 0)
            forward_logits(f, batch->logits + (size_t)n_logits * n_vocab, batch->rows, n_wanted);
        n_logits += n_wanted;
        for (int i = 0; i < n_chunks; i++)
            batch->chunks[i].session->position += batch->chunks[i].n_rows;
    }
    if (!weight_access_end(&f->mm.access, f->model, f->mm.pool, ok ? err : NULL))
        return false;
    return ok && (batch->reader || check_logits(batch, n_logits, err));
}

bool gpt2_batch_unembed(struct gpt2_batch *batch, const float *x, size_t stride, int n,
                        struct gpt2_error *err) {
    struct forward *f = &batch->forward;
    if (n < 1 || n > batch->max_logits || n > batch->max_rows)
        return error_set(
            err, GPT2_ERR_USAGE, "expected 1 to %d rows of the residual stream, got %d",
            batch->max_logits < batch->max_rows ? batch->max_logits : batch->max_rows, n);
    for (int i = 0; i < n; i++) {
        memcpy(f->x.data + (size_t)i * f->x.stride, x + (size_t)i * stride,
               (size_t)f->model->config.n_embd * sizeof *x);
        batch->rows[i] = i;
    }
    f->n_chunks = 0; // no session has part in this
    batch->first_logits[0] = 0;
    forward_logits(f, batch->logits, batch->rows, n);
    return check_logits(batch, n, err);
}

const float *gpt2_batch_logits(const struct gpt2_batch *batch, int span, int i) {
    size_t row = (size_t)(batch->first_logits[span] + i);
    return batch->logits + row * (size_t)batch->forward.model->config.n_vocab;
}
