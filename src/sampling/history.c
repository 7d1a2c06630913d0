/* history.c - counts of a sliding window, and an index of n-grams, kept up token by token. */
#include "sampling/history.h"
#include "base/error_internal.h"
#include "base/os.h"

#include <string.h>

struct gpt2_history *history_create(struct history_needs needs, struct gpt2_error *err) {
    struct gpt2_history *history = os_alloc(1, sizeof *history, "a history", err);
    if (!history)
        return NULL;
    history->last_n = needs.last_n;
    history->generated_only = needs.generated_only;
    history->ngram = (size_t)needs.ngram;
    return history;
}

void gpt2_history_free(struct gpt2_history *history) {
    if (!history)
        return;
    os_free(history->counts);
    os_free(history->places);
    os_free(history->window);
    os_free(history->text);
    os_free(history->earlier);
    os_free(history->heads);
    os_free(history);
}

/* Makes room for `need` items of `size` bytes in *list; the new ones are zero. */
static bool grow(void **list, size_t *cap, size_t need, size_t size, struct gpt2_error *err) {
    if (need <= *cap)
        return true;
    size_t larger = *cap ? *cap : 64;
    while (larger < need)
        larger *= 2; // cannot overflow before memory is out: need grows by one
    void *moved = os_alloc(larger, size, "a history", err);
    if (!moved)
        return false;
    if (*cap)
        memcpy(moved, *list, *cap * size);
    os_free(*list);
    *list = moved;
    *cap = larger;
    return true;
}

static uint32_t mix(uint32_t hash) { // the finalizer of MurmurHash3
    hash = (hash ^ hash >> 16) * 0x85EBCA6Bu;
    hash = (hash ^ hash >> 13) * 0xC2B2AE35u;
    return hash ^ hash >> 16;
}

/* ---- counts ---- */

/* Where the id is in the table, or the free place where it would be. */
static size_t find_place(const struct gpt2_history *history, int32_t id) {
    size_t mask = history->n_places - 1, place = mix((uint32_t)id) & mask;
    while (history->places[place] && history->counts[history->places[place] - 1].id != id)
        place = (place + 1) & mask;
    return place;
}

static bool grow_counts(struct gpt2_history *history, struct gpt2_error *err) {
    void *counts = history->counts;
    bool ok =
        grow(&counts, &history->cap_counts, history->n_counts + 1, sizeof *history->counts, err);
    history->counts = counts;
    if (!ok)
        return false;
    if (history->n_places >= 2 * history->cap_counts)
        return true;
    int32_t *places = os_alloc(2 * history->cap_counts, sizeof *places, "a history", err);
    if (!places)
        return false;
    os_free(history->places);
    history->places = places;
    history->n_places = 2 * history->cap_counts;
    for (size_t i = 0; i < history->n_counts; i++)
        history->places[find_place(history, history->counts[i].id)] = (int32_t)i + 1;
    return true;
}

static bool count_up(struct gpt2_history *history, int32_t id, struct gpt2_error *err) {
    if (!grow_counts(history, err))
        return false;
    size_t place = find_place(history, id);
    if (!history->places[place]) {
        history->counts[history->n_counts++] = (struct history_count){.id = id};
        history->places[place] = (int32_t)history->n_counts;
    }
    history->counts[history->places[place] - 1].count++;
    return true;
}

/* Frees a place and moves up what stood after it only because it was taken. */
static void free_place(struct gpt2_history *history, size_t hole) {
    size_t mask = history->n_places - 1;
    for (size_t place = (hole + 1) & mask; history->places[place]; place = (place + 1) & mask) {
        int32_t id = history->counts[history->places[place] - 1].id;
        size_t home = mix((uint32_t)id) & mask;
        if (((place - home) & mask) >= ((place - hole) & mask)) {
            history->places[hole] = history->places[place];
            hole = place;
        }
    }
    history->places[hole] = 0;
}

static void count_down(struct gpt2_history *history, int32_t id) {
    size_t place = find_place(history, id);
    size_t index = (size_t)history->places[place] - 1;
    if (--history->counts[index].count > 0)
        return;
    free_place(history, place);
    size_t last = --history->n_counts;
    if (index != last) { // the list stays dense
        history->places[find_place(history, history->counts[last].id)] = (int32_t)index + 1;
        history->counts[index] = history->counts[last];
    }
}

static bool push_window(struct gpt2_history *history, int32_t id, struct gpt2_error *err) {
    if (!count_up(history, id, err))
        return false;
    if (history->last_n < 0)
        return true;
    size_t last_n = (size_t)history->last_n;
    if (history->n_window == history->cap_window && history->left >= last_n) {
        // half of the list or more has left: reuse it
        history->n_window -= history->left;
        memmove(history->window, history->window + history->left,
                history->n_window * sizeof *history->window);
        history->left = 0;
    }
    void *window = history->window;
    bool ok =
        grow(&window, &history->cap_window, history->n_window + 1, sizeof *history->window, err);
    history->window = window;
    if (!ok)
        return false;
    history->window[history->n_window++] = id;
    if (history->n_window - history->left > last_n)
        count_down(history, history->window[history->left++]);
    return true;
}

/* ---- n-grams ---- */

/* The chain of the n-1 ids before text[i]. */
static uint32_t *chain_of(const struct gpt2_history *history, size_t i) {
    uint32_t hash = 0;
    for (size_t k = i + 1 - history->ngram; k < i; k++)
        hash = mix(hash ^ (uint32_t)history->text[k]) + 0x9E3779B9u;
    return &history->heads[hash & (history->cap_text - 1)];
}

static void chain(struct gpt2_history *history, size_t i) {
    if (i + 1 < history->ngram)
        return;
    uint32_t *head = chain_of(history, i);
    history->earlier[i] = *head;
    *head = (uint32_t)i + 1;
}

static bool grow_text(struct gpt2_history *history, struct gpt2_error *err) {
    if (history->n_text < history->cap_text)
        return true;
    size_t cap_text = history->cap_text, cap_earlier = history->cap_text;
    void *text = history->text, *earlier = history->earlier;
    uint32_t *heads = os_alloc(cap_text ? 2 * cap_text : 64, sizeof *heads, "a history", err);
    bool ok = heads && grow(&text, &cap_text, history->n_text + 1, sizeof *history->text, err);
    history->text = text;
    ok = ok && grow(&earlier, &cap_earlier, history->n_text + 1, sizeof *history->earlier, err);
    history->earlier = earlier;
    if (!ok) {
        os_free(heads);
        return false;
    }
    os_free(history->heads);
    history->heads = heads;
    history->cap_text = cap_text;
    for (size_t i = 0; i < history->n_text; i++)
        chain(history, i);
    return true;
}

static bool push_text(struct gpt2_history *history, int32_t id, struct gpt2_error *err) {
    if (history->n_text >= UINT32_MAX / 2)
        return error_set(err, GPT2_ERR_MEMORY, "a history: more than %u tokens", UINT32_MAX / 2);
    if (!grow_text(history, err))
        return false;
    history->text[history->n_text++] = id;
    chain(history, history->n_text - 1);
    return true;
}

bool history_next_repeat(const struct gpt2_history *history, size_t *place, int32_t *id) {
    size_t n = history->ngram, end = history->n_text;
    if (n == 0 || end < n || *place > end)
        return false;
    // the chain of the token to come; it is the text's own, as text[end] itself is not looked at
    size_t at = *place ? history->earlier[*place - 1] : *chain_of(history, end);
    while (at && memcmp(&history->text[at - n], &history->text[end + 1 - n],
                        (n - 1) * sizeof *history->text) != 0)
        at = history->earlier[at - 1];
    if (!at)
        return false;
    *place = at;
    *id = history->text[at - 1];
    return true;
}

/* ---- the whole ---- */

bool gpt2_history_push(struct gpt2_history *history, const int32_t *ids, int n_ids, bool generated,
                       struct gpt2_error *err) {
    bool counted = history->last_n != 0 && (generated || !history->generated_only);
    for (int i = 0; i < n_ids; i++) {
        if (counted && !push_window(history, ids[i], err))
            return false;
        if (history->ngram && !push_text(history, ids[i], err))
            return false;
        history->n_generated += generated;
    }
    return true;
}

void gpt2_history_clear(struct gpt2_history *history) {
    history->n_generated = 0;
    history->n_counts = history->n_window = history->left = history->n_text = 0;
    if (history->n_places)
        memset(history->places, 0, history->n_places * sizeof *history->places);
    if (history->cap_text)
        memset(history->heads, 0, history->cap_text * sizeof *history->heads);
}

static void *copy_list(const void *list, size_t cap, size_t size, bool *ok,
                       struct gpt2_error *err) {
    if (!*ok || !cap)
        return NULL;
    void *copy = os_alloc(cap, size, "a history", err);
    if (!copy) {
        *ok = false;
        return NULL;
    }
    return memcpy(copy, list, cap * size);
}

bool gpt2_history_copy(struct gpt2_history *history, const struct gpt2_history *source,
                       struct gpt2_error *err) {
    if (history == source)
        return true;
    struct gpt2_history copy = *source;
    bool ok = true;
    copy.counts = copy_list(source->counts, source->cap_counts, sizeof *copy.counts, &ok, err);
    copy.places = copy_list(source->places, source->n_places, sizeof *copy.places, &ok, err);
    copy.window = copy_list(source->window, source->cap_window, sizeof *copy.window, &ok, err);
    copy.text = copy_list(source->text, source->cap_text, sizeof *copy.text, &ok, err);
    copy.earlier = copy_list(source->earlier, source->cap_text, sizeof *copy.earlier, &ok, err);
    copy.heads = copy_list(source->heads, source->cap_text, sizeof *copy.heads, &ok, err);
    struct gpt2_history old = *history;
    if (ok) {
        *history = copy;
        copy = old;
    }
    os_free(copy.counts);
    os_free(copy.places);
    os_free(copy.window);
    os_free(copy.text);
    os_free(copy.earlier);
    os_free(copy.heads);
    return ok;
}
