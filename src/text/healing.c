/* healing.c - tokens by their bytes: which can say again what was taken off a prompt. */
#include <gpt2/healing.h>

#include "base/error_internal.h"
#include "base/os.h"

#include <stdlib.h>
#include <string.h>

struct healing_entry {
    const char *bytes;
    size_t n_bytes;
    int32_t id;
};

struct gpt2_healer {
    const struct gpt2_tokenizer *tokenizer;
    struct healing_entry *entries; /* [n_entries] ordinary tokens in the order of their bytes */
    size_t n_entries;
    size_t longest; /* bytes of the longest of them */
};

struct gpt2_heal {
    const struct gpt2_healer *healer;
    int kept;
    char *text; /* [n_text] what was taken off */
    size_t n_text, n_said;
    bool *sayable; /* [n_text + 1] can tokens say text[k..], going on after it or not */
    struct gpt2_ids allowed;
};

static int compare_bytes(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int by_bytes(const void *a, const void *b) {
    const struct healing_entry *x = a, *y = b;
    int order = compare_bytes(x->bytes, x->n_bytes, y->bytes, y->n_bytes);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

struct gpt2_healer *gpt2_healer_create(const struct gpt2_tokenizer *tokenizer,
                                       struct gpt2_error *err) {
    struct gpt2_healer *healer = os_alloc(1, sizeof *healer, "token healing", err);
    if (!healer)
        return NULL;
    int32_t n_ids = gpt2_tokenizer_size(tokenizer);
    healer->tokenizer = tokenizer;
    healer->entries = os_alloc((size_t)n_ids, sizeof *healer->entries, "token healing", err);
    if (!healer->entries) {
        gpt2_healer_free(healer);
        return NULL;
    }
    for (int32_t id = 0; id < n_ids; id++) {
        struct healing_entry entry = {.id = id};
        entry.bytes = gpt2_tokenizer_token(tokenizer, id, &entry.n_bytes);
        if (entry.n_bytes == 0 || gpt2_tokenizer_is_special(tokenizer, id))
            continue;
        healer->entries[healer->n_entries++] = entry;
        if (entry.n_bytes > healer->longest)
            healer->longest = entry.n_bytes;
    }
    qsort(healer->entries, healer->n_entries, sizeof *healer->entries, by_bytes);
    return healer;
}

void gpt2_healer_free(struct gpt2_healer *healer) {
    if (!healer)
        return;
    os_free(healer->entries);
    os_free(healer);
}

/* The first entry that does not stand before these bytes. All tokens that begin with them follow
 * it, and they themselves, where they are a token, come first. */
static size_t find(const struct gpt2_healer *healer, const char *bytes, size_t n_bytes) {
    size_t low = 0, high = healer->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct healing_entry *entry = &healer->entries[middle];
        if (compare_bytes(entry->bytes, entry->n_bytes, bytes, n_bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool begins_with(const struct gpt2_healer *healer, size_t at, const char *bytes,
                        size_t n_bytes) {
    if (at >= healer->n_entries)
        return false;
    const struct healing_entry *entry = &healer->entries[at];
    return entry->n_bytes >= n_bytes && memcmp(entry->bytes, bytes, n_bytes) == 0;
}

/* True if some token goes on after these bytes. */
static bool is_extended(const struct gpt2_healer *healer, const char *bytes, size_t n_bytes) {
    size_t at = find(healer, bytes, n_bytes);
    while (begins_with(healer, at, bytes, n_bytes) && healer->entries[at].n_bytes == n_bytes)
        at++; // the same bytes, perhaps under several ids
    return begins_with(healer, at, bytes, n_bytes);
}

/* ---- one prompt ---- */

/* Fills text with the bytes of the last tokens, as many as can be the beginning of a token; returns
 * where they begin. text is [longest], filled from its end. */
static char *find_boundary(struct gpt2_heal *heal, const int32_t *ids, int n_ids, int min_kept,
                           char *text) {
    const struct gpt2_healer *healer = heal->healer;
    char *end = text + healer->longest, *begin = end, *best = end;
    heal->kept = n_ids;
    for (int i = n_ids - 1; i >= 0 && i >= min_kept; i--) {
        size_t n;
        const char *bytes = gpt2_tokenizer_token(healer->tokenizer, ids[i], &n);
        if (n == 0 || n > (size_t)(begin - text) ||
            gpt2_tokenizer_is_special(healer->tokenizer, ids[i]))
            break;
        begin -= n;
        memcpy(begin, bytes, n);
        if (is_extended(healer, begin, (size_t)(end - begin))) {
            heal->kept = i;
            best = begin;
        }
    }
    return best;
}

static int by_id(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* True if a token has just these bytes. */
static bool is_token(const struct gpt2_healer *healer, const char *bytes, size_t n_bytes) {
    size_t at = find(healer, bytes, n_bytes);
    return begins_with(healer, at, bytes, n_bytes) && healer->entries[at].n_bytes == n_bytes;
}

/* A vocabulary need not have every byte, so that not every beginning leads to the end. */
static void find_sayable(struct gpt2_heal *heal) {
    const struct gpt2_healer *healer = heal->healer;
    heal->sayable[heal->n_text] = true;
    for (size_t k = heal->n_text; k-- > 0;) {
        const char *rest = heal->text + k;
        size_t n_rest = heal->n_text - k;
        heal->sayable[k] = begins_with(healer, find(healer, rest, n_rest), rest, n_rest);
        for (size_t n = 1; n < n_rest && !heal->sayable[k]; n++)
            heal->sayable[k] = heal->sayable[k + n] && is_token(healer, rest, n);
    }
}

/* The tokens that say what is left, or a beginning of it that leads on. */
static bool list_allowed(struct gpt2_heal *heal, struct gpt2_error *err) {
    const struct gpt2_healer *healer = heal->healer;
    const char *rest = heal->text + heal->n_said;
    size_t n_rest = heal->n_text - heal->n_said;
    heal->allowed.len = 0;
    for (size_t n = 1; n < n_rest; n++)
        for (size_t at = find(healer, rest, n);
             heal->sayable[heal->n_said + n] && begins_with(healer, at, rest, n) &&
             healer->entries[at].n_bytes == n;
             at++)
            if (!gpt2_ids_push(&heal->allowed, healer->entries[at].id, err))
                return false;
    for (size_t at = find(healer, rest, n_rest); n_rest && begins_with(healer, at, rest, n_rest);
         at++)
        if (!gpt2_ids_push(&heal->allowed, healer->entries[at].id, err))
            return false;
    if (heal->allowed.len)
        qsort(heal->allowed.data, heal->allowed.len, sizeof *heal->allowed.data, by_id);
    return true;
}

struct gpt2_heal *gpt2_heal_begin(const struct gpt2_healer *healer, const int32_t *ids, int n_ids,
                                  int min_kept, struct gpt2_error *err) {
    struct gpt2_heal *heal = os_alloc(1, sizeof *heal, "token healing", err);
    if (!heal)
        return NULL;
    heal->healer = healer;
    heal->text = os_alloc(healer->longest, 1, "token healing", err);
    heal->sayable = os_alloc(healer->longest + 1, sizeof *heal->sayable, "token healing", err);
    bool ok = heal->text && heal->sayable;
    if (ok) {
        char *begin = find_boundary(heal, ids, n_ids, min_kept, heal->text);
        heal->n_text = healer->longest - (size_t)(begin - heal->text);
        memmove(heal->text, begin, heal->n_text);
        find_sayable(heal);
    }
    if (ok && list_allowed(heal, err))
        return heal;
    gpt2_heal_free(heal);
    return NULL;
}

void gpt2_heal_free(struct gpt2_heal *heal) {
    if (!heal)
        return;
    gpt2_ids_free(&heal->allowed);
    os_free(heal->sayable);
    os_free(heal->text);
    os_free(heal);
}

int gpt2_heal_kept(const struct gpt2_heal *heal) {
    return heal->kept;
}

bool gpt2_heal_copy(struct gpt2_heal *heal, const struct gpt2_heal *source,
                    struct gpt2_error *err) {
    heal->n_said = source->n_said;
    return list_allowed(heal, err);
}

const char *gpt2_heal_rest(const struct gpt2_heal *heal, size_t *n_bytes) {
    *n_bytes = heal->n_text - heal->n_said;
    return heal->text + heal->n_said;
}

const int32_t *gpt2_heal_allowed(const struct gpt2_heal *heal, int *n) {
    *n = (int)heal->allowed.len;
    return heal->n_said < heal->n_text ? heal->allowed.data : NULL;
}

bool gpt2_heal_step(struct gpt2_heal *heal, int32_t id, size_t *n_new, struct gpt2_error *err) {
    size_t n_rest = heal->n_text - heal->n_said, n;
    const int32_t *allowed = heal->allowed.data;
    if (n_rest == 0 || !allowed ||
        !bsearch(&id, allowed, heal->allowed.len, sizeof *allowed, by_id))
        return error_set(err, GPT2_ERR_USAGE,
                         "token healing: id %d does not say what the prompt said", (int)id);
    gpt2_tokenizer_token(heal->healer->tokenizer, id, &n);
    size_t again = n < n_rest ? n : n_rest;
    *n_new = n - again;
    heal->n_said += again;
    return list_allowed(heal, err);
}
