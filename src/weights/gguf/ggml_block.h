/* ggml_block.h - blocks of a quantized type from their integers and scales: what ggml_type.h's
 * `take` reads, the other way. */
#ifndef WEIGHTS_GGUF_GGML_BLOCK_H
#define WEIGHTS_GGUF_GGML_BLOCK_H

#include "weights/gguf/ggml_type.h"

/* block[type->n_bytes] = a block of which `take` reads these very integers, scales and mins. It is
 * the only one, but that a K type's scales are products, of a half-precision number and small
 * integers: of the several ways to have them the one with the largest integers is taken, as ggml's
 * own quantizers have it. False: there is no such block. */
bool ggml_block_put(unsigned char *block, const struct ggml_type *type,
                    const struct ggml_block *in);

#endif
