/* hypothesis.c - lists of hypotheses in one block of memory, and their growth. */
#include "decode/hypothesis.h"
#include "base/os.h"

#include <string.h>

bool hypothesis_list_init(struct hypothesis_list *list, int n, int n_tokens, int n_top,
                          struct gpt2_error *err) {
    size_t room = (size_t)n_tokens, all = (size_t)n * room, each = (size_t)n_top;
    list->hypotheses = os_alloc((size_t)n, sizeof *list->hypotheses, "beam search", err);
    list->ids = os_alloc(all, sizeof *list->ids, "beam search", err);
    list->logprobs = os_alloc(all, sizeof *list->logprobs, "beam search", err);
    list->top = os_alloc(all * each, sizeof *list->top, "beam search", err);
    if (!list->hypotheses || !list->ids || !list->logprobs || !list->top)
        return false;
    for (size_t i = 0; i < (size_t)n; i++) {
        list->hypotheses[i].ids = list->ids + i * room;
        list->hypotheses[i].logprobs = list->logprobs + i * room;
        list->hypotheses[i].top = list->top + i * room * each;
    }
    return true;
}

void hypothesis_list_free(struct hypothesis_list *list) {
    os_free(list->top);
    os_free(list->logprobs);
    os_free(list->ids);
    os_free(list->hypotheses);
    *list = (struct hypothesis_list){0};
}

static void copy(struct hypothesis *to, const struct hypothesis *from, int n_top) {
    size_t n = (size_t)from->n_ids;
    memcpy(to->ids, from->ids, n * sizeof *to->ids);
    memcpy(to->logprobs, from->logprobs, n * sizeof *to->logprobs);
    memcpy(to->top, from->top, n * (size_t)n_top * sizeof *to->top);
    to->n_ids = from->n_ids;
    to->n_read = from->n_read + 1;
    to->ended = to->stopped = false;
    to->end_id = 0;
}

void hypothesis_grow(struct hypothesis *to, const struct hypothesis *from, int32_t id,
                     double logprob, const struct gpt2_logprob *top, int n_top) {
    copy(to, from, n_top);
    to->ids[to->n_ids] = id;
    to->logprobs[to->n_ids] = logprob;
    memcpy(to->top + (size_t)to->n_ids * (size_t)n_top, top, (size_t)n_top * sizeof *top);
    to->n_ids++;
}

void hypothesis_end(struct hypothesis *to, const struct hypothesis *from, int32_t end_id,
                    int n_top) {
    copy(to, from, n_top);
    to->ended = true;
    to->end_id = end_id;
}
