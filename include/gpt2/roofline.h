/* roofline.h - what this machine can reach at best, measured beside what is to be judged.
 *
 * Decoding is bounded by how fast memory can be read, prompting by how fast numbers can be
 * multiplied. Both bounds move from second to second on a shared machine, so they are measured in
 * rounds that take turns with the work itself:
 *
 *     struct gpt2_roofline *roofline = gpt2_roofline_create(runtime, bytes_of_weights, n, &err);
 *     for (int i = 0; i < n; i++) {
 *         gpt2_roofline_round(roofline);
 *         ... the work, timed ...
 *     }
 *     gpt2_roofline_rates(roofline, &rates);
 *
 * The loops use all threads of the runtime and the instructions of its kernel variant. */
#ifndef GPT2_ROOFLINE_H
#define GPT2_ROOFLINE_H

#include <gpt2/error.h>
#include <gpt2/runtime.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_roofline;

/* Each is the median over the rounds of the fastest of several loops. */
struct gpt2_rates {
    double read_small; /* bytes read a second from a buffer on the system's ordinary pages       */
    double read_huge;  /* the same on 2 MiB pages; 0: the system gave none                       */
    double fma;        /* f32 operations a second, a fused multiply-add counting as two          */
    double dot4;       /* int8 operations a second, a multiply-add into int32 counting as two    */
};

/* Allocates and fills the two buffers of n_bytes each (rounded up to 4 KiB); the data that work
 * reads should be as large, for a small buffer is read from cache. Borrows the runtime. Medians are
 * over the last n_rounds rounds. Fails with GPT2_ERR_USAGE where n_rounds is below 1, or
 * GPT2_ERR_MEMORY. */
struct gpt2_roofline *gpt2_roofline_create(struct gpt2_runtime *runtime, size_t n_bytes,
                                           int n_rounds, struct gpt2_error *err);
void gpt2_roofline_free(struct gpt2_roofline *roofline); /* NULL is allowed */

/* Measures everything once. Not while the runtime is in use elsewhere. */
void gpt2_roofline_round(struct gpt2_roofline *roofline);

/* The medians so far; all 0 before the first round. */
void gpt2_roofline_rates(const struct gpt2_roofline *roofline, struct gpt2_rates *rates);

#ifdef __cplusplus
}
#endif
#endif
