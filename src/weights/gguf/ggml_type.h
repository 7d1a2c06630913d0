/* ggml_type.h - the types that tensors of a GGUF file have, and their exact values as f32.
 *
 * A quantized type keeps a row in blocks: some scales and n_elements small integers (ggml,
 * src/ggml-common.h and ggml-quants.c). */
#ifndef WEIGHTS_GGUF_GGML_TYPE_H
#define WEIGHTS_GGUF_GGML_TYPE_H

#include <stddef.h>
#include <stdint.h>

struct ggml_type {
    const char *name;
    uint32_t id;
    unsigned n_elements; /* of a block; 1: no blocks                          */
    size_t n_bytes;      /* of a block                                        */
    const char *dtype;   /* what tensors.h calls it; NULL where it is quantized */

    /* y[0..n_elements) = the values of one block at any address. Every value is the one that ggml
     * computes. NULL where dtype is not. */
    void (*dequantize)(float *y, const unsigned char *block);

    /* block[n_bytes] = the nearest to x[0..n_elements), as ggml's quantize_row_..._ref makes it.
     * NULL where blocks of the type are not written. */
    void (*quantize)(unsigned char *block, const float *x);
};

const struct ggml_type *ggml_type_find(uint32_t id); /* NULL: not read here             */
const char *ggml_type_name(uint32_t id);             /* "IQ4_XS"; "unknown": of none known */
const char *ggml_type_list(void);                    /* those that are read, for messages */

#endif
