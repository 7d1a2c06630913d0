/* weights.h - the model struct: every weight of a GPT-2 under GPT-2's own name.
 *
 *   x[t]  = wte[id] + wpe[position]            (Radford et al. 2019; OpenAI's model.py)
 *   block:  x += attn.c_proj( attention( attn.c_attn( ln_1(x) ) ) )
 *           x += mlp.c_proj( act( mlp.c_fc( ln_2(x) ) ) )
 *   logits = ln_f(x) . head^T                                             head is wte when tied
 *
 * Matrices of the blocks are [in, out], as OpenAI and Hugging Face store them (Conv1D): a row of
 * the file holds one input's weight to all outputs. wte, wpe and head are [rows, n_embd]. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/dtype.h"
#include "model/warnings.h"
#include "weights/tensors.h"
#include <gpt2/model.h>
#include <stdatomic.h>
#include <stdbool.h>

/* LAYOUT_ROWS: [rows, cols], row-major without gaps, at any alignment, as most files have them.
 * LAYOUT_COLUMNS: [cols, rows], its transpose: the outputs of a linear layer one after the other,
 * as GGUF and llm.c have them. Only of the blocks' matrices. LAYOUT_PANELS: panels of outputs
 * (kernels/panels.h), at a multiple of 64 bytes. For a linear layer's [in, out] K is rows and the
 * outputs are columns; wte and head as panels have K = n_embd and one output for each token, so
 * `rows` outputs of `cols` inputs. Quantized types are always panels.
 */
enum layout { LAYOUT_ROWS, LAYOUT_COLUMNS, LAYOUT_PANELS };

struct matrix {
    const void *data;
    enum dtype dtype; /* DTYPE_F32, DTYPE_F16, DTYPE_BF16, or a quantized one     */
    enum layout layout;
    int rows, cols;
    struct matrix_copy *copy; /* where it is moved to (relocate.h), or NULL; owned by the model */
    const struct ggml_type *blocks; /* of a foreign type (dtype.h): what its integers were in */
};

/* The same weights in faster memory. Code that reads a matrix asks matrix_now() where it is. */
struct matrix_copy {
    struct matrix matrix;
    void *data;                 /* matrix.data, to be written                    */
    size_t n_bytes;             /* there                                         */
    const struct os_file *file; /* where the matrix is moved from, if from there */
    atomic_bool ready;          /* everything is there: once true it stays true  */
};

static inline const struct matrix *matrix_now(const struct matrix *m) {
    return m->copy && atomic_load_explicit(&m->copy->ready, memory_order_acquire) ? &m->copy->matrix
                                                                                  : m;
}

/* y = x . weight + bias */
struct linear {
    struct matrix weight; /* [in, out] */
    const float *bias;    /* [out]     */
};

/* One site of layer normalization: what is learned. The statistics are each token's own. */
struct layer_norm {
    const float *gain; /* [n_embd] "weight" in the files */
    const float *bias; /* [n_embd]                       */
};

struct block {
    struct layer_norm ln_1; /* before attention */
    struct {
        struct linear c_attn; /* [n_embd, 3 n_embd]: query, key, value side by side */
        struct linear c_proj; /* [n_embd, n_embd]                                   */
    } attn;
    struct layer_norm ln_2; /* before the MLP */
    struct {
        struct linear c_fc;   /* [n_embd, n_inner] */
        struct linear c_proj; /* [n_inner, n_embd] */
    } mlp;
};

struct gpt2_model {
    struct gpt2_config config;

    struct matrix wte;       /* [n_vocab, n_embd] token embeddings            */
    struct matrix wpe;       /* [n_ctx, n_embd] position embeddings           */
    struct block *h;         /* [n_layer]                                     */
    struct layer_norm ln_f;  /* before the head                               */
    struct matrix head;      /* [n_vocab, n_embd]; may be the same as wte     */
    int tie;                 /* whether it is: enum head_tie (tie.h)          */
    atomic_int head_is_copy; /* of HEAD_NOT_COMPARED: 1, -1; 0 until then    */

    struct tensors tensors; /* owns the mapping                         */
    void **converted;       /* [n_converted] owned copies               */
    size_t n_converted;
    void
        *made; /* [n_made] matrices made of a file's blocks (blocks.h); of os_alloc_huge, or NULL */
    size_t n_made;
    struct gpt2_tensor_info *infos; /* [n_infos] in the order of the pass    */
    size_t n_infos;
    struct warnings notes;
    struct relocation *move;        /* copies of matrices in faster memory (relocate.h), or NULL */
    struct adaptation *adaptations; /* [n_adaptations] adapters merged into it (adapt.h); owned */
    size_t n_adaptations;
    struct block_check *check; /* of a file with checksums that was opened lazily, or NULL */
};

/* A model of the bytes of a packed file (weights/packed.h) in memory of os_alloc, which the model
 * owns from now on, also where this fails. `name` is for messages. */
struct gpt2_model *model_open_packed(void *bytes, size_t n_bytes, const char *name,
                                     struct gpt2_error *err);

#endif
