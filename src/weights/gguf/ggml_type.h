/* ggml_type.h - the types that tensors of a GGUF file have: their integers, and their exact values
 * as f32.
 *
 * A quantized type keeps a row in blocks: some scales and n_elements small integers (ggml,
 * src/ggml-common.h and ggml-quants.c). */
#ifndef WEIGHTS_GGUF_GGML_TYPE_H
#define WEIGHTS_GGUF_GGML_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GGML_BLOCK_MOST 256 /* elements of a block, and */
#define GGML_GROUPS     16  /* groups of one, at most   */

/* A block of a quantized type. Element i is of group g = i / group:
 *
 *     value = q[i] * scale[g]            or q[i] * scale[g] + min[g]
 *
 * where the product is exact in f32 or, in the K types without mins, rounded once. */
struct ggml_block {
    int8_t q[GGML_BLOCK_MOST];
    float scale[GGML_GROUPS], min[GGML_GROUPS]; /* min: only where the type has mins */
};

struct ggml_type {
    const char *name;
    uint32_t id;
    unsigned n_elements; /* of a block; 1: no blocks                          */
    size_t n_bytes;      /* of a block                                        */
    const char *dtype;   /* what tensors.h calls it; NULL where it is quantized */

    /* Of a quantized type, else 0 (file_type aside). */
    int group;       /* elements that share a scale                               */
    int bits;        /* 4: integers are 0..15 where there are mins, else -8..7; else 8 */
    int scale_bytes; /* that hold a scale and a min exactly: 2, f16, or 4, f32    */
    bool mins;
    uint32_t file_type; /* llama.cpp's number of a file that is mostly of it (enum llama_ftype) */

    /* Reads one block at any address. NULL where dtype is not. */
    void (*take)(struct ggml_block *out, const unsigned char *block);

    /* block[n_bytes] = the nearest to x[0..n_elements), as ggml's quantize_row_..._ref makes it.
     * NULL where blocks of the type are not written. */
    void (*quantize)(unsigned char *block, const float *x);
};

/* y[0..n_elements) = the values of one block of a quantized type: those that ggml computes. */
void ggml_type_dequantize(float *y, const struct ggml_type *type, const unsigned char *block);

const struct ggml_type *ggml_type_at(size_t i); /* of those that are read; NULL past the last */
const struct ggml_type *ggml_type_find(uint32_t id); /* NULL: not read here             */
const char *ggml_type_name(uint32_t id);             /* "IQ4_XS"; "unknown": of none known */
const char *ggml_type_list(void);                    /* those that are read, for messages */

#endif
