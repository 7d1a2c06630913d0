/* roofline.h - the limits of this machine, measured in turn with the work that is compared with
 * them.
 *
 * Generating is limited by how fast memory can be read, reading a prompt by how fast numbers can be
 * multiplied. On a shared machine both limits vary from second to second, so they are measured in
 * rounds, each next to a round of the work:
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
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_roofline;

/* Each rate is that of the fastest of several loops, as the median over the rounds. */
struct gpt2_rates {
    double read_small;  /* bytes read per second from a buffer on ordinary pages                */
    double read_huge;   /* the same on 2 MiB pages; 0: the system provided none                  */
    double fma;         /* f32 operations per second; a fused multiply-add counts as two         */
    double dot4;        /* int8 operations per second; a multiply-add into int32 counts as two   */
    double read_far;    /* as read_small or read_huge, from a buffer of far_bytes                */
    uint64_t far_bytes; /* 4 * n_bytes, at most 1 GiB but not below n_bytes. Where this buffer  */
                        /* is slower, one of n_bytes is read from a cache                       */
    const char *dot4_name; /* the instruction of dot4, as "vpdpbusd"; a static string            */
};

/* Allocates and fills a buffer of n_bytes, rounded up to 4 KiB, and one of far_bytes, of which the
 * beginning is that of huge pages. n_bytes should be the number of bytes that the work reads, as a
 * smaller buffer may be read from a cache. Medians are over the last n_rounds rounds. Borrows the
 * runtime. Returns NULL with GPT2_ERR_USAGE if n_rounds is below 1 or with GPT2_ERR_MEMORY. */
struct gpt2_roofline *gpt2_roofline_create(struct gpt2_runtime *runtime, size_t n_bytes,
                                           int n_rounds, struct gpt2_error *err);
void gpt2_roofline_free(struct gpt2_roofline *roofline); /* NULL is allowed */

/* Bytes of the buffers, before they are made. */
uint64_t gpt2_roofline_bytes(size_t n_bytes);

/* Measures everything once. The runtime must not be in use meanwhile. */
void gpt2_roofline_round(struct gpt2_roofline *roofline);

/* The medians of the rounds so far; all 0 before the first one. */
void gpt2_roofline_rates(const struct gpt2_roofline *roofline, struct gpt2_rates *rates);

#ifdef __cplusplus
}
#endif
#endif
