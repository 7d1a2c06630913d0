/* ids.c - lists of token ids that grow by half, so that appending costs constant time. */
#include "text/ids.h"
#include "base/error_internal.h"

#include <stdlib.h>
#include <string.h>

bool ids_reserve(struct gpt2_ids *ids, size_t n, struct gpt2_error *err) {
    if (n <= ids->cap - ids->len)
        return true;
    size_t limit = SIZE_MAX / sizeof *ids->data;
    if (n > limit - ids->len || ids->cap > limit / 2)
        return error_memory(err, "token ids", SIZE_MAX);
    size_t need = ids->len + n, cap = ids->cap + ids->cap / 2 + 16;
    if (cap < need)
        cap = need;
    int32_t *data = realloc(ids->data, cap * sizeof *data);
    if (!data)
        return error_memory(err, "token ids", cap * sizeof *data);
    ids->data = data;
    ids->cap = cap;
    return true;
}

bool ids_append(struct gpt2_ids *ids, const int32_t *data, size_t n, struct gpt2_error *err) {
    if (!ids_reserve(ids, n, err))
        return false;
    if (n)
        memcpy(ids->data + ids->len, data, n * sizeof *data);
    ids->len += n;
    return true;
}

bool gpt2_ids_push(struct gpt2_ids *ids, int32_t id, struct gpt2_error *err) {
    return ids_append(ids, &id, 1, err);
}

void gpt2_ids_free(struct gpt2_ids *ids) {
    free(ids->data);
    *ids = (struct gpt2_ids){0};
}
