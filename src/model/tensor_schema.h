/* tensor_schema.h - what a GPT-2 consists of: one table that names, places, shapes and documents
 * every tensor. Readers bind tensors by it, the writer of packed files walks along it. */
#ifndef MODEL_TENSOR_SCHEMA_H
#define MODEL_TENSOR_SCHEMA_H

#include "model/weights.h"

#define SPEC_NAME 64 /* bytes: "h.4095.attn.c_attn.weight" */

/* LINEAR is [in, out]; EMBEDDING and HEAD are [tokens, n_embd], POSITIONS [n_ctx, n_embd]. */
enum spec_kind { SPEC_VECTOR, SPEC_LINEAR, SPEC_EMBEDDING, SPEC_POSITIONS, SPEC_HEAD };

struct tensor_spec {
    char name[SPEC_NAME]; /* GPT-2's own, "h.0.ln_1.weight" */
    enum spec_kind kind;
    void *field;        /* in the model: const float ** of a vector, else struct matrix *  */
    int64_t shape[2];   /* of a vector the second is 1                                     */
    const char *dim[2]; /* the names of these in config.json; "" of a vector's second      */
    const char *what;   /* "position embeddings"                                           */
};

/* The number of tensors, and the i-th in the order of the forward pass: wte, wpe, the blocks, ln_f.
 * Needs the configuration; `field` is valid once model->h is there. lm_head, which a model may
 * have, is not among them. */
size_t tensor_schema_count(const struct gpt2_model *model);
struct tensor_spec tensor_schema_at(const struct gpt2_model *model, size_t i);
struct tensor_spec tensor_schema_head(const struct gpt2_model *model);

/* Of a matrix that a product reads: how many inputs k it has, and how many outputs. */
int tensor_schema_inputs(const struct tensor_spec *spec);
int tensor_schema_outputs(const struct tensor_spec *spec);

/* The entry that a bound tensor has for gpt2_model_tensor. `dtype` is static. */
struct gpt2_tensor_info tensor_schema_info(const struct tensor_spec *spec, const char *name,
                                           const char *dtype, size_t n_bytes);

/* Adds how products read a matrix whose integers are those of a GGUF file: its form, and whether it
 * is expanded. */
void tensor_schema_say_form(struct gpt2_tensor_info *info, const struct matrix *matrix);

#endif
