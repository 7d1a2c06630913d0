/* packed_form.h - how the header of a packed file (weights/packed.h) says what a quantized tensor's
 * panels are made of:
 *
 *     "group=64 bits=8 scale=f16"                          Q8
 *     "group=64 bits=4 scale=f16 min=f16"                  Q4
 *     "group=32 bits=4 scale=f32 min=f32 blocks=Q4_K"      the integers of a GGUF file's Q4_K
 *
 * group: the inputs that share a scale; bits: of an integer; scale and min: what these are
 * (kernels/panels.h has the layout); blocks: the type of the blocks that the integers and scales
 * were in, which say the same numbers and can be made of them again (weights/gguf/ggml_block.h). A
 * text is known as a whole or not at all. */
#ifndef MODEL_PACKED_FORM_H
#define MODEL_PACKED_FORM_H

#include "base/dtype.h"
#include "weights/gguf/ggml_type.h"

#define PACKED_FORM 80 /* bytes */

/* Of a quantized type; blocks: of a foreign one (dtype_is_foreign), else NULL. Returns `text`. */
const char *packed_form_print(char text[PACKED_FORM], enum dtype dtype,
                              const struct ggml_type *blocks);

/* What a text says; *blocks is NULL for Q8 and Q4. False: it is none of these. */
bool packed_form_find(enum dtype *dtype, const struct ggml_type **blocks, const char *text);

#endif
