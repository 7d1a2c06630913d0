/* weight_access.h - what has to be done around the reading of weights, apart from the products.
 *
 * A run may have two things to do with weights that it reads anyway: to compare a file that was
 * opened lazily with its checksums, and to copy matrices to faster memory (model/relocate.h). Both
 * cost least while the weights are in a cache, so they are done task by task. The products
 * (matmul.h) do neither themselves; they say what they read:
 *
 *     weight_access_begin       a run begins
 *       weights_product_begin      a product begins: where its weights are read
 *         weights_acquire           a task is about to read some of them
 *         weights_release           it has read them
 *       weights_product_end        all tasks of the product have ended
 *     weight_access_end         the run ends
 *
 * acquire and release may be called by any thread, each for outputs of its own; the rest by the
 * thread that owns the batch. */
#ifndef FORWARD_WEIGHT_ACCESS_H
#define FORWARD_WEIGHT_ACCESS_H

#include "base/pool.h"
#include "model/weights.h"
#include <gpt2/error.h>
#include <stdbool.h>

/* What a run does with weights. All zero: it only reads them. */
struct weight_access {
    struct block_check *check; /* compares with checksums what is read; or NULL */
    bool moving;               /* copies matrices to where relocate.h wants them */
};

/* `exposed`: intermediate results or logits are shown before the run ends. Then a file that was
 * opened lazily is compared here, as a whole, so that no number made of damaged weights is seen.
 * False: the file is damaged (GPT2_ERR_MODEL), and there is nothing to end. */
bool weight_access_begin(struct weight_access *access, const struct gpt2_model *model, bool exposed,
                         struct pool *pool, struct gpt2_error *err);

/* Compares what no product has read. False: the file is damaged. To be called after every
 * weight_access_begin that succeeded. */
bool weight_access_end(struct weight_access *access, const struct gpt2_model *model,
                       struct pool *pool, struct gpt2_error *err);

/* What an output's weights are in a matrix. */
enum weight_outputs {
    OUTPUTS_ARE_COLUMNS, /* a linear layer, [in, out]    */
    OUTPUTS_ARE_ROWS     /* the head, [n_vocab, n_embd]  */
};

/* The weights of one product. */
struct weight_product {
    const struct matrix *matrix; /* where they are read from                      */
    int n_in, n_out;
    enum weight_outputs outputs;
    struct block_check *check; /* as above                                       */
    struct matrix_copy *copy;  /* where this product copies them to, or NULL     */
};

struct weight_product weights_product_begin(const struct weight_access *access,
                                            const struct matrix *matrix,
                                            enum weight_outputs outputs);
void weights_product_end(const struct weight_product *product);

/* Outputs of a product, in `n_stretches` stretches of n_outputs, each `apart` outputs after the
 * one before. In panels `output` and `apart` are multiples of PANEL. */
struct weight_part {
    int output, n_outputs;
    int n_stretches, apart;
};

/* One stretch. */
static inline struct weight_part weight_part(int output, int n_outputs) {
    return (struct weight_part){output, n_outputs, 1, 0};
}

/* Returns the matrix to read these outputs from; no others are valid in it. */
struct matrix weights_acquire(const struct weight_product *product, struct weight_part part);

/* The outputs have been read, in one call for each acquire or piece by piece, as soon as no more
 * of a piece is read. */
void weights_release(const struct weight_product *product, struct weight_part part);

#endif
