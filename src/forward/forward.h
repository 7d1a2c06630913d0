/* forward.h - the forward pass over a handful of rows, one row per new token: GPT-2 as in
 * "Language Models are Unsupervised Multitask Learners" (Radford et al. 2019).
 *
 * Rows come in chunks: consecutive tokens of one session. Linear layers and layer norms treat every
 * row alike; only attention looks at the row's own session. Nothing here allocates or can fail. */
#ifndef FORWARD_FORWARD_H
#define FORWARD_FORWARD_H

#include "forward/ablate.h"
#include "forward/attention.h"
#include "forward/matmul.h"
#include "forward/rows.h"
#include "model/weights.h"

struct forward {
    const struct gpt2_model *model; /* borrowed */
    struct matmul mm;               /* threads and kernels */
    activation_fn act;

    struct activations x;   /* [max_rows, n_embd]     the residual stream                     */
    struct activations a;   /* [max_rows, n_embd]     a branch: its normalized input, its output */
    struct activations qkv; /* [max_rows, 3 n_embd]   query, key, value of all heads          */
    struct activations o;   /* [max_rows, n_embd]     what the heads read, side by side       */
    struct activations f;   /* [max_rows, n_inner]    the MLP's hidden layer                  */

    /* What rows still need, done when the next product reads them. */
    struct pending {
        bool add;                      /* x += a                  */
        const struct layer_norm *norm; /* a = norm(x); NULL: none */
    } pending;

    const struct chunk *chunks; /* [n_chunks] of this pass */
    int n_chunks;
    int n_rows; /* in all chunks */
    struct attention attention;
    const struct kernels *attention_kernels; /* borrowed */

    gpt2_tap tap; /* may be NULL */
    void *tap_user;
    struct ablation ablation; /* of layer norm; none but for experiments */
};

/* Runs the blocks over all rows of the chunks and stores their keys and values. Afterwards
 * f->x holds the residual stream after the last block. The sessions' positions are the caller's.
 */
void forward_blocks(struct forward *f, const struct chunk *chunks, int n_chunks);

/* logits[i, v] for the rows listed: ln_f, then the head.
 * logits [n, n_vocab]; rows [n] ascending, indices into the rows of the last forward_blocks. */
void forward_logits(struct forward *f, float *logits, const int *rows, int n);

/* row [n_embd] = the embedding at index i of wte, wpe or head. */
void forward_look_up(float *row, const struct kernels *kernels, const struct matrix *table,
                     size_t i);

#endif
