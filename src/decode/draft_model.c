/* draft_model.c - keeps the small model's session beside a text, and guesses token by token. */
#include "decode/draft_model.h"
#include "base/os.h"

#include <string.h>

#define MAX_ROWS  128 /* of a pass that reads a prompt */
#define FAR_BELOW (-1e30f)
#define CATCH_UP  4    /* tokens that may have to be read besides, for a time to count */
#define NEW_PART  0.25 /* of an estimate that is taken from a new measurement */

bool draft_model_create(struct draft_model *draft, const struct gpt2_model *model,
                        struct gpt2_runtime *runtime, enum gpt2_kv kv, struct gpt2_error *err) {
    *draft = (struct draft_model){
        .model = model, .kv = kv, .n_vocab = gpt2_model_config(model)->n_vocab};
    draft->batch =
        gpt2_batch_create(model, runtime, &(struct gpt2_batch_options){.max_rows = MAX_ROWS}, err);
    return draft->batch != NULL;
}

void draft_model_free(struct draft_model *draft) {
    gpt2_batch_free(draft->batch);
    os_free(draft->wide);
    *draft = (struct draft_model){0};
}

void draft_model_forget(struct draft_reader *reader) {
    gpt2_session_free(reader->session);
    gpt2_ids_free(&reader->read);
    *reader = (struct draft_reader){0};
}

/* Room for n_vocab logits, where that is more than this model has. */
static bool widen(struct draft_model *draft, int n_vocab, struct gpt2_error *err) {
    if (n_vocab <= draft->n_vocab || n_vocab == draft->n_wide)
        return true;
    os_free(draft->wide);
    draft->n_wide = 0;
    draft->wide = os_alloc((size_t)n_vocab, sizeof *draft->wide, "logits", err);
    if (!draft->wide)
        return false;
    draft->n_wide = n_vocab;
    for (int i = 0; i < n_vocab; i++)
        draft->wide[i] = FAR_BELOW;
    return true;
}

static const float *logits_of(const struct draft_model *draft, int n_vocab) {
    const float *logits = gpt2_batch_logits(draft->batch, 0, 0);
    if (n_vocab <= draft->n_vocab)
        return logits;
    return memcpy(draft->wide, logits, (size_t)draft->n_vocab * sizeof *logits);
}

/* Makes the session forget what is no beginning of the text, and begin anew where the text and
 * `max` guesses do not fit its context: with the later half of what does. At least the last token
 * is left to read. */
static bool follow(struct draft_model *draft, struct draft_reader *reader, const int32_t *ids,
                   int n_ids, int max, struct gpt2_error *err) {
    const int n_ctx = gpt2_model_config(draft->model)->n_ctx;
    if (!reader->session)
        reader->session =
            gpt2_session_create(draft->model, &(struct gpt2_session_options){.kv = draft->kv}, err);
    if (!reader->session)
        return false;
    int base = reader->base < n_ids ? reader->base : 0;
    if (n_ids - base + max > n_ctx)
        base = n_ids > n_ctx / 2 ? n_ids - n_ctx / 2 : 0;
    size_t same = 0;
    const size_t most = (size_t)(n_ids - base - 1);
    while (base == reader->base && same < most && same < reader->read.len &&
           reader->read.data[same] == ids[(size_t)base + same])
        same++;
    reader->base = base;
    reader->read.len = same;
    return gpt2_session_rewind(reader->session, (int)same, err);
}

/* Reads n ids, and has the logits after the last one. */
static bool read_ids(struct draft_model *draft, struct draft_reader *reader, const int32_t *ids,
                     int n, struct gpt2_error *err) {
    for (int i = 0; i < n; i++)
        if (!gpt2_ids_push(&reader->read, ids[i], err))
            return false;
    struct gpt2_span span = {.session = reader->session, .ids = ids, .n_ids = n, .n_logits = 1};
    return gpt2_batch_run(draft->batch, &span, 1, err);
}

bool draft_model_guess(struct draft_model *draft, struct draft_reader *reader, const int32_t *ids,
                       int n_ids, int n_vocab, const struct draft_chooser *chooser, int32_t *out,
                       int max, int *n, struct gpt2_error *err) {
    *n = 0;
    if (max < 1)
        return true;
    if (!widen(draft, n_vocab, err) || !follow(draft, reader, ids, n_ids, max, err))
        return false;
    const int known = reader->base + (int)reader->read.len;
    uint64_t start = os_now_ns();
    if (!read_ids(draft, reader, ids + known, n_ids - known, err))
        return false;
    while (*n < max) {
        int32_t id = chooser->choose(chooser->user, logits_of(draft, n_vocab));
        if (id < 0)
            break;
        out[(*n)++] = id;
        if (id >= draft->n_vocab || *n == max)
            break;
        if (!read_ids(draft, reader, &id, 1, err))
            return false;
    }
    if (*n > 0 && n_ids - known <= CATCH_UP) {
        double ns = (double)(os_now_ns() - start) / *n;
        draft->guess_ns += (draft->guess_ns > 0 ? NEW_PART : 1) * (ns - draft->guess_ns);
    }
    return true;
}
