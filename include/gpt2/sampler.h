/* sampler.h - from logits to the next token.
 *
 * Randomness is keyed, not streamed: the draw for one token depends on (seed, record, sample,
 * position) alone (Philox4x32-10, Salmon et al. 2011), so order, batching, sharding and resuming
 * never change anyone's text. Logits are f32, probabilities and sums f64 with our own exp, so the
 * choice is the same on every machine.
 *
 * Order, as Hugging Face has it: temperature, top-k, top-p, min-p, draw. Ties go to the lowest id
 * everywhere; top-k keeps exactly k tokens; top-p keeps the shortest prefix that reaches p; min-p
 * drops tokens less likely than min_p times the likeliest one. The draw walks the kept tokens in
 * the order of their ids. */
#ifndef GPT2_SAMPLER_H
#define GPT2_SAMPLER_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_sampler;

struct gpt2_sampler_options {
    float temperature; /* >= 0; 0 is greedy                                    */
    int top_k;         /* 0: off                                               */
    float top_p;       /* 0..1; 1: off. At least one token is always kept      */
    float min_p;       /* 0..1; 0: off                                         */
    uint64_t seed;
    const int32_t *banned; /* [n_banned] ids that are never chosen; copied          */
    int n_banned;
};

/* Which draw this is. */
struct gpt2_draw {
    uint64_t record;   /* index of the prompt in its job, from 0        */
    uint32_t sample;   /* index of the sample for that prompt, from 0   */
    uint32_t position; /* position that the drawn token will have       */
};

/* Creates a sampler that chooses among ids 0..n_vocab-1 (not more than the tokenizer has: padding
 * rows are never chosen). Owns its scratch; for one thread at a time. Fails with GPT2_ERR_USAGE
 * where an option is out of range (NaN included) or every id is banned. */
struct gpt2_sampler *gpt2_sampler_create(const struct gpt2_sampler_options *options, int n_vocab,
                                         struct gpt2_error *err);
void gpt2_sampler_free(struct gpt2_sampler *sampler); /* NULL is allowed */

/* The next id. `logits` is [n_vocab], finite, and is not changed. */
int32_t gpt2_sampler_next(struct gpt2_sampler *sampler, const float *logits, struct gpt2_draw draw);

#ifdef __cplusplus
}
#endif
#endif
