/* encode_some.c - the first or the last ids of a text, and how many it has. */
#include "text/ids.h"

#include <string.h>

/* What is kept. */
struct some_ids {
    struct gpt2_ids *ids;
    size_t before; /* ids that were there */
    size_t max, n_all;
    bool last;
};

/* Leaves the last `max`, at the front. */
static void trim(struct some_ids *some) {
    const size_t have = some->ids->len - some->before;
    if (have <= some->max)
        return;
    int32_t *front = some->ids->data + some->before;
    memmove(front, front + (have - some->max), some->max * sizeof *front);
    some->ids->len = some->before + some->max;
}

static bool take(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                 struct gpt2_error *err) {
    struct some_ids *some = user;
    const size_t have = some->ids->len - some->before;
    some->n_all += n;
    if (!some->last)
        return ids_append(some->ids, ids, n < some->max - have ? n : some->max - have, err);
    if (have / 2 >= some->max) // so that each id is moved about once
        trim(some);
    return ids_append(some->ids, ids, n, err);
}

bool gpt2_tokenizer_encode_some(const struct gpt2_tokenizer *tokenizer, const char *text,
                                size_t n_bytes, unsigned flags, size_t max, bool last,
                                struct gpt2_ids *ids, size_t *n_all, struct gpt2_error *err) {
    struct some_ids some = {.ids = ids, .before = ids->len, .max = max, .last = last};
    const struct gpt2_encode_sink sink = {take, &some, false};
    const bool ok = gpt2_tokenizer_encode_parts(tokenizer, text, n_bytes, flags, &sink, err);
    if (ok)
        trim(&some);
    else
        ids->len = some.before;
    *n_all = some.n_all;
    return ok;
}
