/* score.h - reading a given text with the model: how likely was each token?
 *
 * Three parts. A scorer turns windows of token ids into log-probabilities; a plan (gpt2_plan) says
 * which windows a protocol makes of a long text; and two functions do exp and log as everything
 * here does.
 *
 *     struct gpt2_scorer *scorer = gpt2_scorer_create(model, runtime, NULL, &err);
 *     struct gpt2_window window = {.ids = ids, .n_ids = n, .first = 1};
 *     struct gpt2_score *scores = ...;                       // [n - 1]
 *     gpt2_scorer_run(scorer, &window, 1, scores, NULL, &err);
 *
 * Probabilities are the softmax of the model's unmodified logits, summed in f64 with our own exp
 * and log and in one fixed order: the same bits for any number of threads, any company of windows,
 * and any kernel variant. */
#ifndef GPT2_SCORE_H
#define GPT2_SCORE_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- windows to probabilities ---- */

struct gpt2_scorer;

struct gpt2_scorer_options {
    int n_vocab; /* only ids below it count, as the tokenizer's size: rows of wte beyond it are
                    padding. 0: all rows                                                       */
    int n_top;   /* how many alternatives to list at each token, 0..n_vocab                    */
    const unsigned char *marked; /* [n_vocab] nonzero: the id is of a set whose probability is
                                    wanted (gpt2_score.marked); copied. NULL: none             */
    enum gpt2_kv kv;
    int max_windows; /* how many windows are read side by side. 0: 32                          */
    size_t prefix_bytes; /* of what prefixes and contexts begin with, kept for later ones
                            (prefix_cache.h); 0: nothing is. No score depends on it            */
    uint64_t reserved[GPT2_RESERVED - 1]; /* 0 (version.h) */
};

/* What the model thought of one token when it had read what is before it. */
struct gpt2_score {
    int32_t id;
    int32_t rank;    /* how many tokens were likelier, 0: none. Equals count by their id      */
    double logprob;  /* natural logarithm of its probability                                  */
    double entropy;  /* of the whole distribution, in nats                                    */
    double marked;   /* log of the probability of all marked ids together; -inf without any   */
    double unmarked; /* ... and of all others                                                 */
};

/* One of the likeliest tokens at a place. */
struct gpt2_alternative {
    int32_t id;
    double logprob;
};

/* Borrows model and runtime; options may be NULL. Memory is bounded by the context and the width
 * of the model and by some rows of logits, not by how much is scored. Fails with GPT2_ERR_USAGE
 * where an option is out of range, or GPT2_ERR_MEMORY. For one thread at a time. */
struct gpt2_scorer *gpt2_scorer_create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                       const struct gpt2_scorer_options *options,
                                       struct gpt2_error *err);
void gpt2_scorer_free(struct gpt2_scorer *scorer); /* NULL is allowed */

/* All windows from now on continue these tokens, which are read once. n_ids 0: none again. Fails
 * with GPT2_ERR_USAGE for an id outside the vocabulary of the options, or as gpt2_batch_run. */
bool gpt2_scorer_prefix(struct gpt2_scorer *scorer, const int32_t *ids, int n_ids,
                        struct gpt2_error *err);

/* What `session` has read of ids [n_ids], at least 1, is not read again where a window, or a prefix
 * from now on, begins so (gpt2_prefix_keep). False (GPT2_ERR_USAGE): there is no id, the session is
 * of another model or type of cache, or options.prefix_bytes is 0; or GPT2_ERR_MEMORY. */
bool gpt2_scorer_keep(struct gpt2_scorer *scorer, const struct gpt2_session *session,
                      const int32_t *ids, int n_ids, struct gpt2_error *err);

/* Some tokens that are read together, with nothing but the prefix before them. The first `first`
 * of them are only context. With P tokens of prefix, n_ids may be up to n_ctx - P + 1, as the last
 * token is predicted but not read. */
struct gpt2_window {
    const int32_t *ids; /* [n_ids], borrowed for the call */
    int n_ids;
    int first; /* 1..n_ids: scored are ids[first..n_ids) */
};

/* Scores all windows. scores[] gets n_ids - first entries for each, one window after the other;
 * top[] gets n_top for each entry, likeliest first, of equals the lowest id; it may be NULL where
 * n_top is 0. Fails with GPT2_ERR_USAGE for a bad window or id, GPT2_ERR_INPUT where a window does
 * not fit the context, GPT2_ERR_MODEL where logits are not finite. */
bool gpt2_scorer_run(struct gpt2_scorer *scorer, const struct gpt2_window *windows, int n_windows,
                     struct gpt2_score *scores, struct gpt2_alternative *top,
                     struct gpt2_error *err);

/* ---- a long text to windows ---- */

/* How a text that is longer than the context is cut, which decides how much of the text a token is
 * predicted from, and with that every figure. W is the context, n the number of tokens. */
enum gpt2_protocol {
    /* Windows of W tokens start at 0, S, 2S, ... up to the first that reaches the end. Scored is
     * what no earlier window scored, but never a window's first token (Hugging Face, "Perplexity
     * of fixed-length models"; S = `stride`, 1..W). With bos it is one more token at the front. */
    GPT2_PROTOCOL_STRIDE,
    /* The same with S = W; with bos, every window begins with it and W tokens of the text follow.
     */
    GPT2_PROTOCOL_DISJOINT,
    /* n / W whole windows and no rest; scored are the positions W/2 + 1 ... W - 1 of each; with
     * bos, it takes the place of a window's first token. Needs 2 W tokens (llama-perplexity). */
    GPT2_PROTOCOL_LLAMA_CPP,
    /* Each window predicts the next W tokens, from one token before them on; the last, where fewer
     * are left, sees W tokens all the same (loglikelihood_rolling of lm-evaluation-harness). */
    GPT2_PROTOCOL_LM_EVAL
};

/* Where the windows of one text lie. Fill in the upper part and zero the rest. */
struct gpt2_plan {
    enum gpt2_protocol protocol;
    int n_ctx;  /* W, 2 or more */
    int stride; /* S            */
    bool bos;   /* the text's first token is predicted from the bos token */

    int64_t scored;    /* tokens before this one are done. More than 0 at the beginning: the
                          text's first tokens are a context, which is read and not scored. It
                          has less than n_ctx tokens, with bos less than n_ctx - 1, and not
                          with GPT2_PROTOCOL_LLAMA_CPP */
    int64_t n_windows; /* so far                                                 */
    int64_t keep;      /* tokens before this one will not be asked for any more  */
    bool done;
};

/* Tokens [begin, end) of the text, after the bos token where `bos`; scored are [first, end). */
struct gpt2_plan_window {
    int64_t begin, end, first;
    bool bos;
};

/* The next window (of llama.cpp with W = 2 one that scores nothing) of a text of which n_ids tokens
 * are known; `finished`: and those are all. False: there is none, or more tokens must be known
 * first. */
bool gpt2_plan_next(struct gpt2_plan *plan, int64_t n_ids, bool finished,
                    struct gpt2_plan_window *window);

/* ---- arithmetic ---- */

/* e^x and ln x, the same bits with every C library. */
double gpt2_exp(double x);
double gpt2_log(double x);

#ifdef __cplusplus
}
#endif
#endif
