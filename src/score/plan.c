/* plan.c - which windows a protocol makes of a text (contract: gpt2/score.h).
 *
 * Windows are planned while the text is still coming in: one is given out as soon as its end is
 * known, so that a text of any length needs some contexts of memory. */
#include <gpt2/score.h>

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Positions in here count the bos token: a text with it is one token longer. */
static bool next_strided(struct gpt2_plan *plan, int64_t n_ids, bool finished, int stride,
                         struct gpt2_plan_window *window) {
    int64_t shift = plan->bos, n = n_ids + shift;
    int64_t begin = plan->n_windows * stride, end = min64(begin + plan->n_ctx, n);
    if (end < begin + plan->n_ctx && !finished)
        return false;
    int64_t first = max64(plan->scored + shift, begin + 1);
    plan->done = finished && end == n;
    if (first >= end)
        return false; // a text of nothing, or of one token
    *window = (struct gpt2_plan_window){
        .begin = max64(begin - shift, 0),
        .end = end - shift,
        .first = first - shift,
        .bos = plan->bos && begin == 0,
    };
    plan->keep = max64(begin + stride - shift, 0);
    return true;
}

static bool next_after_bos(struct gpt2_plan *plan, int64_t n_ids, bool finished,
                           struct gpt2_plan_window *window) {
    int64_t begin = plan->n_windows ? plan->scored : 0, end = min64(begin + plan->n_ctx, n_ids);
    if (end < begin + plan->n_ctx && !finished)
        return false;
    plan->done = finished && end == n_ids;
    if (plan->scored >= end)
        return false;
    *window = (struct gpt2_plan_window){begin, end, plan->scored, true};
    plan->keep = end;
    return true;
}

static bool next_llama_cpp(struct gpt2_plan *plan, int64_t n_ids, bool finished,
                           struct gpt2_plan_window *window) {
    int64_t w = plan->n_ctx, begin = plan->n_windows * w, end = begin + w;
    plan->done = finished && (end > n_ids || n_ids < 2 * w);
    if (end > n_ids || n_ids < 2 * w)
        return false;
    int64_t skipped = plan->bos;
    *window = (struct gpt2_plan_window){begin + skipped, end, begin + w / 2 + 1, plan->bos};
    plan->keep = end;
    return true;
}

static bool next_lm_eval(struct gpt2_plan *plan, int64_t n_ids, bool finished,
                         struct gpt2_plan_window *window) {
    int64_t w = plan->n_ctx, before = plan->n_windows ? plan->scored : 0;
    int64_t end = min64(before + w, n_ids);
    if (end < before + w && !finished)
        return false;
    plan->done = finished && end == n_ids;
    if (plan->n_windows == 0) // nothing before the text, but perhaps bos, or a context
        *window =
            (struct gpt2_plan_window){0, end, max64(plan->scored, plan->bos ? 0 : 1), plan->bos};
    else
        *window = (struct gpt2_plan_window){max64(end - w - 1, 0), end, plan->scored, false};
    plan->keep = max64(end - w, 0); // the last window may begin right after here
    return window->first < window->end;
}

bool gpt2_plan_next(struct gpt2_plan *plan, int64_t n_ids, bool finished,
                    struct gpt2_plan_window *window) {
    if (plan->done)
        return false;
    bool found = false;
    switch (plan->protocol) {
    case GPT2_PROTOCOL_STRIDE:
        found = next_strided(plan, n_ids, finished, plan->stride, window);
        break;
    case GPT2_PROTOCOL_DISJOINT:
        found = plan->bos ? next_after_bos(plan, n_ids, finished, window)
                          : next_strided(plan, n_ids, finished, plan->n_ctx, window);
        break;
    case GPT2_PROTOCOL_LLAMA_CPP:
        found = next_llama_cpp(plan, n_ids, finished, window);
        break;
    case GPT2_PROTOCOL_LM_EVAL:
        found = next_lm_eval(plan, n_ids, finished, window);
        break;
    }
    if (found) {
        plan->scored = window->end;
        plan->n_windows++;
    }
    return found;
}
