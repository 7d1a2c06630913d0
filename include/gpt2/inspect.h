/* inspect.h - what happens inside the forward pass, as numbers.
 *
 * An inspector runs the model over a text with the tap of session.h and looks at the data of each
 * site:
 *
 *     struct gpt2_inspector *i = gpt2_inspector_create(model, runtime, 0, NULL, &err);
 *     struct gpt2_norm *norms = calloc(gpt2_norm_sites(model) * n, sizeof *norms);
 *     gpt2_inspect_norms(i, ids, n, norms, &err);
 *
 * Every call reads its text from the beginning. Keys and values are kept in f32. Statistics are
 * computed in double from the f32 numbers of the pass. Results do not depend on the runtime. An
 * inspector is for one thread at a time.
 *
 * `ids` are [n], n is 1 to the model's context; an id outside the vocabulary is GPT2_ERR_USAGE, too
 * many are GPT2_ERR_INPUT. Arrays for results are the caller's, of the size that is said. No call
 * keeps `ids`. */
#ifndef GPT2_INSPECT_H
#define GPT2_INSPECT_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_inspector;

/* Borrows model and runtime. `ablations` and `deviations` (borrowed, too): under which everything
 * runs, as gpt2_batch_set_ablations takes them; 0 and NULL: the model as it is. */
struct gpt2_inspector *gpt2_inspector_create(const struct gpt2_model *model,
                                             struct gpt2_runtime *runtime, unsigned ablations,
                                             const float *deviations, struct gpt2_error *err);

/* Bytes of an inspector, before it is made, and of what its functions take meanwhile: all but some
 * MiB. */
uint64_t gpt2_inspector_bytes(const struct gpt2_model *model, const struct gpt2_runtime *runtime);
void gpt2_inspector_free(struct gpt2_inspector *inspector); /* NULL is allowed */

/* ---- layer normalization ---- */

/* Sites are counted in the order of the pass: 2 l is ln_1 of block l, 2 l + 1 its ln_2, and the
 * last one, 2 n_layer, is ln_f. */
int gpt2_norm_sites(const struct gpt2_model *model);

/* GPT-2's own name of a site: "h.0.ln_1", "ln_f". */
void gpt2_norm_name(const struct gpt2_model *model, int site, char name[32]);

/* How one token's vector is spread over its n = n_embd features. */
struct gpt2_spread {
    double mean;      /* sum(x) / n                                                            */
    double deviation; /* sqrt(sum((x - mean)^2) / n), nothing added to the variance            */
    double norm;      /* sqrt(sum(x^2))                                                        */
    double largest;   /* the coordinate with the largest |x|, with its sign                    */
    int feature;      /* which one it is; of equals the first                                  */
    double kurtosis;  /* mean((x - mean)^4) / deviation^4: 3 for a normal distribution, n for a
                         single spike; 0 where the deviation is 0                               */
    double spike;     /* max|x| / RMS: 1 where all are alike, sqrt(n) for a single spike        */
};

/* One token at one site. */
struct gpt2_norm {
    struct gpt2_spread stream;     /* before: the residual stream                               */
    struct gpt2_spread normalized; /* (x - mean) / sqrt(deviation^2 + epsilon)                  */
    struct gpt2_spread branch;     /* after gain and bias: what the branch (or the head) reads  */
    double cosine_stream;          /* between stream and normalized: less than 1 by the offset  */
    double cosine_branch;          /* between normalized and branch: what gain and bias turn    */
    double change;                 /* |branch - normalized| / |normalized|                      */
    double error; /* the largest difference between what the pass gave the branch and the formula
                     with this one mean and this one deviation: rounding, if nothing else entered */
};

/* norms [sites][n]. Under an ablation `branch` is what the branch really reads, and `error` is
 * against the formula without the ablated parts. */
bool gpt2_inspect_norms(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                        struct gpt2_norm *norms, struct gpt2_error *err);

/* What was learned at a site, the same for every token. */
struct gpt2_learned {
    double least_gain, most_gain, mean_gain;
    double least_bias, most_bias, mean_bias;
    int least_gain_feature, most_gain_feature;
};

void gpt2_norm_learned(const struct gpt2_model *model, int site, struct gpt2_learned *learned);

/* Whether statistics are each token's own, by trying: the text is read again in other company, and
 * mean, deviation and the vector after the site are compared, bit for bit. */
struct gpt2_independence {
    int distinct;          /* different pairs (mean, deviation) among all sites and tokens     */
    int alone, alone_same; /* one token at a time, so that a pass never holds a second one     */
    int company, company_same; /* in one batch with another sequence                           */
    int before_change;         /* tokens before the place from which the text was changed */
    int change, change_same;   /* their pairs, with all later tokens replaced                  */
};

/* Where the text has one token, and room, one is added after it for the last trial. */
bool gpt2_inspect_independence(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                               struct gpt2_independence *result, struct gpt2_error *err);

/* ---- the next token ---- */

/* log_probs [n_vocab]: natural logarithms of the next token's probabilities. */
bool gpt2_inspect_next(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                       double *log_probs, struct gpt2_error *err);

/* Kullback-Leibler divergence of q from p in nats, sum of p (ln p - ln q), from logarithms. */
double gpt2_inspect_kl(const double *log_p, const double *log_q, int n);

/* ---- the numbers of the pass ---- */

/* Floats of a row at a site; whether each block has the site, or the model once (the embedding and
 * ln_f). */
int gpt2_site_width(const struct gpt2_model *model, enum gpt2_site site);
bool gpt2_site_has_layers(enum gpt2_site site);

/* What to keep: a site of session.h, its block where it has layers (else ignored), and where
 * to, [n][width]. */
struct gpt2_capture {
    enum gpt2_site site;
    int layer;
    float *data;
};

/* Reads the text once and copies what it has at the sites of captures [n_captures]. logits
 * [n][n_vocab], or NULL: row i predicts what follows token i. A site or a layer that is not there
 * is GPT2_ERR_USAGE. */
bool gpt2_inspect_capture(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                          const struct gpt2_capture *captures, int n_captures, float *logits,
                          struct gpt2_error *err);

/* logits [n][n_vocab] of rows of a stream, x [n][n_embd], as gpt2_batch_unembed has them: of the
 * stream after the last block they are the model's own. */
bool gpt2_inspect_unembed(struct gpt2_inspector *inspector, const float *x, int n, float *logits,
                          struct gpt2_error *err);

/* ---- logit lens (nostalgebraist 2020) ---- */

#define GPT2_LENS_TOP 5

/* The stream after one layer, read as if the model ended there. */
struct gpt2_lens {
    int32_t top[GPT2_LENS_TOP]; /* the likeliest tokens, of equals the lowest id; -1 after the
                                   end of a smaller vocabulary                                */
    double p[GPT2_LENS_TOP];    /* their probabilities                                        */
    int32_t next;               /* the token that follows in the text; after the last one, what
                                   the whole model holds likeliest                            */
    int rank;                   /* of `next`, from 1                                          */
    double p_next;
};

/* lens [n_layer + 1][n]: the embedding, then the stream after each block; the last are the model's
 * own predictions. */
bool gpt2_inspect_lens(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                       struct gpt2_lens *lens, struct gpt2_error *err);

/* ---- attention ---- */

/* One head, averaged over the tokens after the first (which can only look at itself). With a
 * single token all are that token's. */
struct gpt2_head {
    double first;    /* weight on position 0                                    */
    double previous; /* ... on the token before                                 */
    double own;      /* ... on the token itself                                 */
    double entropy;  /* of the weights, in bits                                 */
    double distance; /* weighted mean of how far back it looks, in tokens       */
};

/* heads [n_layer][n_head], or NULL. weights [n][n], or NULL: row t has the weights of token t of
 * (layer, head) on tokens 0..t, then zeros; they are computed from the pass's queries and keys. */
bool gpt2_inspect_attention(struct gpt2_inspector *inspector, const int32_t *ids, int n, int layer,
                            int head, struct gpt2_head *heads, double *weights,
                            struct gpt2_error *err);

/* The weights of all heads, rounded to f32: weights [layers][n_head][n][n], of one layer (layers
 * is 1), or where `layer` is -1 of each (n_layer). */
bool gpt2_inspect_weights(struct gpt2_inspector *inspector, const int32_t *ids, int n, int layer,
                          float *weights, struct gpt2_error *err);

/* ---- residual stream ---- */

/* The stream at one position is a sum: the embedding, then what each attention and each MLP added.
 * ln_f is linear once its deviation is known, so a logit is a sum too. Parts are counted in the
 * order of the pass: 0 the embedding, 1 + 2 l attention of block l, 2 + 2 l its MLP, and last, at
 * 2 n_layer + 1, what ln_f's bias adds whatever the text. */
struct gpt2_part {
    double norm;   /* of the vector that was added          */
    double stream; /* norm of the stream afterwards         */
};

int gpt2_residual_parts(const struct gpt2_model *model);

/* Contributions to the logits of `n_tokens` tokens at the last position. Logits count from their
 * mean over the vocabulary, since what raises all of them changes no probability. parts [parts];
 * contributions [n_tokens][parts]; logits [n_tokens]: the pass's own, less their mean, which the
 * contributions add up to but for rounding (of a quantized head also that of its input). */
bool gpt2_inspect_residual(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                           const int32_t *tokens, int n_tokens, struct gpt2_part *parts,
                           double *contributions, double *logits, struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
