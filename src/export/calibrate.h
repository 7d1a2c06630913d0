/* calibrate.h - what the inputs of a model's products look like on a text.
 *
 * Where y = x . W, an error E in W becomes the error x . E in y, whose mean square over a text is
 * E^T second E with second = mean of x^T x. A constant error, mean . E, can be taken off the bias,
 * and what is left is E^T covariance E. Only inputs of the same group (kernels/panels.h) are set
 * against each other: that is the part which a group's integers can do something about, and K *
 * GROUP numbers in place of K * K.
 *
 * Sums are taken in the order of the tokens, threads divide groups: the same bits on every machine
 * and with any number of threads. */
#ifndef EXPORT_CALIBRATE_H
#define EXPORT_CALIBRATE_H

#include "model/weights.h"
#include <gpt2/runtime.h>

struct calibration;

/* Of one product's inputs x[0..K). Borrowed from the calibration. */
struct moments {
    int K;
    float *mean;   /* [K]                                                                       */
    float *second; /* [groups][GROUP][GROUP]: mean of x[k] x[j] within a group, padding included */
};

/* Called with the tokens read so far. False ends the work. */
typedef bool (*calibrate_progress)(void *user, size_t n_tokens);

/* Lets the model read ids[0..n), n >= 1, in windows of its context. The first position of a window
 * is left out of the sums: what a GPT-2 computes there is of another size than anywhere else, and
 * says nothing about text. Memory: 256 bytes for each input of each product, 16 MiB for 124M, 131
 * MiB for gpt2-xl. NULL: GPT2_ERR_USAGE for an id outside the vocabulary or where no position is
 * left, GPT2_ERR_MEMORY, GPT2_ERR_MODEL where logits are not finite, GPT2_ERR_RUNTIME where
 * `progress`, which may be NULL, returned false. */
struct calibration *calibrate(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                              const int32_t *ids, size_t n, calibrate_progress progress, void *user,
                              struct gpt2_error *err);
void calibrate_free(struct calibration *calibration); /* NULL is allowed */

/* Of the product with this matrix: a block's weight or the head. NULL for others. */
const struct moments *calibrate_moments(const struct calibration *calibration,
                                        const struct matrix *weight);

#endif
