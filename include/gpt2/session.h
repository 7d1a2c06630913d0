/* session.h - the mutable half: one timeline of tokens, and the pass that moves timelines forward.
 *
 * A session is one text as the model has read it: its position and its KV cache. A batch is the
 * workspace of the forward pass. It takes spans of new tokens for one or more sessions at once and
 * yields logits for the rows that were asked for:
 *
 *     struct gpt2_session *s = gpt2_session_create(model, NULL, &err);
 *     struct gpt2_batch *b = gpt2_batch_create(model, runtime, NULL, &err);
 *     struct gpt2_span span = {.session = s, .ids = ids, .n_ids = n, .n_logits = 1};
 *     gpt2_batch_run(b, &span, 1, &err);
 *     const float *logits = gpt2_batch_logits(b, 0, 0);      // [n_vocab], of the last token
 *
 * The same tokens give the same logits, bit for bit, whether they come in one span or one by one,
 * alone or beside other sessions, with any number of threads and any kernel variant.
 *
 * A batch allocates all its memory when it is created, a session as it reads, 64 tokens at a time.
 * Either is for one thread at a time. */
#ifndef GPT2_SESSION_H
#define GPT2_SESSION_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_session;
struct gpt2_batch;

/* How a session keeps keys and values. They are rounded when they are stored, so the type is part
 * of what is computed: within each type everything said above holds. */
enum gpt2_kv {
    GPT2_KV_AUTO, /* Q8 with quantized weights, else F32                                       */
    GPT2_KV_F32,  /* as computed                                                               */
    GPT2_KV_F16,  /* half the memory; values above 65504 become infinite: the run is refused   */
    GPT2_KV_Q8    /* a quarter of it: 8-bit integers with a scale for each position and head   */
};

struct gpt2_session_options {
    int n_ctx; /* the most tokens it can hold; 0: the model's context */
    enum gpt2_kv kv;
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Creates an empty timeline. Borrows the model; `options` may be NULL. Fails with GPT2_ERR_USAGE
 * where n_ctx is outside 0..config.n_ctx or kv is none of the above, or GPT2_ERR_MEMORY. */
struct gpt2_session *gpt2_session_create(const struct gpt2_model *model,
                                         const struct gpt2_session_options *options,
                                         struct gpt2_error *err);
void gpt2_session_free(struct gpt2_session *session); /* NULL is allowed */

const struct gpt2_model *gpt2_session_model(const struct gpt2_session *session); /* its model */
int gpt2_session_position(const struct gpt2_session *session);    /* tokens read so far   */
int gpt2_session_capacity(const struct gpt2_session *session);    /* tokens it can hold   */
enum gpt2_kv gpt2_session_kv(const struct gpt2_session *session); /* never GPT2_KV_AUTO  */

/* Bytes of one token's keys and values, their scales included: what each later token reads of it.
 */
size_t gpt2_session_token_bytes(const struct gpt2_session *session);

/* Bytes of a session's keys and values when it is full, before it is made; `options` may be NULL. 0
 * where gpt2_session_create would refuse them. */
size_t gpt2_session_bytes(const struct gpt2_model *model,
                          const struct gpt2_session_options *options);

/* Forgets everything from `position` on, as if it had never been read.
 * False (GPT2_ERR_USAGE) unless 0 <= position <= gpt2_session_position. */
bool gpt2_session_rewind(struct gpt2_session *session, int position, struct gpt2_error *err);

/* Makes `session` a copy of `source`, at next to no cost: what both have read is kept once, and
 * only the last 64 tokens at most are copied when one of them reads on. They may be in different
 * threads from then on, and either may be freed first. False (GPT2_ERR_USAGE) if they are of
 * different models or types of KV cache, or the capacity is too small for source's tokens. */
bool gpt2_session_fork(struct gpt2_session *session, const struct gpt2_session *source,
                       struct gpt2_error *err);

/* Gives a session memory of its own for all that it has read, as if it had not been forked: to
 * measure texts that have nothing in common. False: GPT2_ERR_MEMORY, the session still shares. */
bool gpt2_session_unshare(struct gpt2_session *session, struct gpt2_error *err);

struct gpt2_batch_options {
    int max_rows;   /* tokens per pass over the weights; longer spans take several. 0: 512 */
    int max_logits; /* rows of logits one run may ask for, over all its spans. 0: 1        */
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Borrows model and runtime. `options` may be NULL. */
struct gpt2_batch *gpt2_batch_create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                     const struct gpt2_batch_options *options,
                                     struct gpt2_error *err);
void gpt2_batch_free(struct gpt2_batch *batch); /* NULL is allowed */

/* Bytes of such a batch, before it is made: all but some KiB. 0 where gpt2_batch_create would
 * refuse the options. */
size_t gpt2_batch_bytes(const struct gpt2_model *model, const struct gpt2_runtime *runtime,
                        const struct gpt2_batch_options *options);

/* New tokens for one session, and for how many of the last ones logits are wanted. */
struct gpt2_span {
    struct gpt2_session *session;
    const int32_t *ids; /* [n_ids], borrowed for the call */
    int n_ids;          /* at least 1                     */
    int n_logits;       /* 0..n_ids                       */
};

/* Reads all spans, at most max_rows of them; every session moves forward by its n_ids. Sessions
 * must be distinct and of the batch's model. Fails without touching any session: GPT2_ERR_USAGE for
 * a bad argument or an id outside the vocabulary, GPT2_ERR_INPUT where a session would exceed its
 * capacity, GPT2_ERR_MEMORY. Fails with GPT2_ERR_MODEL if a logit is not finite (NaN or Inf
 * weights), or a lazily opened file is damaged; sessions have then moved on. */
bool gpt2_batch_run(struct gpt2_batch *batch, const struct gpt2_span *spans, int n_spans,
                    struct gpt2_error *err);

/* Logits of the i-th asked row of a span in the last run: [n_vocab], valid until the next run. */
const float *gpt2_batch_logits(const struct gpt2_batch *batch, int span, int i);

/* Takes logits as they are made: those of rows first..first + n - 1 of all that the run asks for,
 * counted through its spans, [n, n_vocab], finite. Borrowed for the call. */
typedef void (*gpt2_logits_reader)(void *user, int first, int n, const float *logits);

/* With a reader, a run may ask for any number of rows of logits. They come in order, at most
 * max_logits at a time, on the thread that runs the batch, and gpt2_batch_logits has none of them.
 * NULL removes the reader. What is computed stays the same. */
void gpt2_batch_set_reader(struct gpt2_batch *batch, gpt2_logits_reader reader, void *user);

/* Where the forward pass can be watched. The layer-norm sites show what goes in (the residual
 * stream, which is never normalized itself) and what comes out (what the branch sees). */
enum gpt2_site {
    GPT2_SITE_EMBEDDING, /* wte + wpe                         [rows, n_embd]                     */
    GPT2_SITE_LN_1,      /* ln_1's output                     [rows, n_embd]                     */
    GPT2_SITE_QKV,       /* query, key, value of all heads    [rows, 3 n_embd]                   */
    GPT2_SITE_HEADS,     /* what the heads read, side by side [rows, n_embd]: c_proj's input     */
    GPT2_SITE_ATTN,      /* what attention adds to the stream [rows, n_embd]                     */
    GPT2_SITE_RESID_MID, /* the stream after attention        [rows, n_embd]                     */
    GPT2_SITE_LN_2,      /* ln_2's output                     [rows, n_embd]                     */
    GPT2_SITE_HIDDEN,    /* the MLP's hidden layer            [rows, n_inner]: c_proj's input    */
    GPT2_SITE_MLP,       /* what the MLP adds to the stream   [rows, n_embd]                     */
    GPT2_SITE_RESID,     /* the stream after the block        [rows, n_embd]                     */
    GPT2_SITE_LN_F       /* ln_f's output, only for the rows whose logits are asked for          */
};

/* One call per span, site and layer, on the thread that runs the batch. Row r is the token at
 * `position + r` of `session`; it has `width` floats, and rows are `stride` floats apart. Data is
 * borrowed for the call. */
typedef void (*gpt2_tap)(void *user, enum gpt2_site site, int layer,
                         const struct gpt2_session *session, int position, int n_rows,
                         const float *data, int width, size_t stride);

/* NULL removes the tap. Watching does not change what is computed. */
void gpt2_batch_set_tap(struct gpt2_batch *batch, gpt2_tap tap, void *user);

/* Parts of layer normalization that can be taken away, at every site at once, to see what they are
 * good for. Bits of a set. */
enum gpt2_ablation {
    GPT2_ABLATE_LN_GAIN = 1 << 0, /* the learned gain is 1                                  */
    GPT2_ABLATE_LN_BIAS = 1 << 1, /* the learned bias is 0                                  */
    GPT2_ABLATE_LN_SCALE = 1 << 2 /* a token is not divided by its own deviation, but by one
                                     number that is the same for all: its scale stays        */
};

/* From now on the batch runs with these; 0: as the model was made. `deviations`: for LN_SCALE what
 * each site divides by, [2 n_layer + 1] in the order of the pass (ln_1 and ln_2 of each block, then
 * ln_f), borrowed while it is set; NULL: 1. What sessions read meanwhile stays in their caches: use
 * fresh ones for each setting. */
void gpt2_batch_set_ablations(struct gpt2_batch *batch, unsigned ablations,
                              const float *deviations);

/* The logits that the model would give if it ended here (the "logit lens"): ln_f and the head over
 * `n` rows of any residual stream, x [n, n_embd] with rows `stride` floats apart. They are then at
 * gpt2_batch_logits(batch, 0, 0..n-1). Of the stream after the last block these are the model's
 * own logits, the same bits. No session is touched, the tap is not called. False with
 * GPT2_ERR_USAGE where n is not 1 to max_logits and max_rows, or GPT2_ERR_MODEL as gpt2_batch_run.
 */
bool gpt2_batch_unembed(struct gpt2_batch *batch, const float *x, size_t stride, int n,
                        struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
