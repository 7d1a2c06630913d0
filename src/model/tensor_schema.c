#include "model/tensor_schema.h"

#include <stdio.h>

enum dim { ONE, N_VOCAB, N_CTX, N_EMBD, N_EMBD_3, N_INNER };

struct row {
    const char *name;
    size_t offset; /* in struct gpt2_model or struct block */
    enum spec_kind kind;
    enum dim rows, cols;
    const char *what;
};

#define MODEL(member) offsetof(struct gpt2_model, member)
#define BLOCK(member) offsetof(struct block, member)
#define COUNT(array)  (sizeof(array) / sizeof *(array))

static const struct row front_rows[] = {
    {"wte.weight", MODEL(wte), SPEC_EMBEDDING, N_VOCAB, N_EMBD, "token embeddings"},
    {"wpe.weight", MODEL(wpe), SPEC_POSITIONS, N_CTX, N_EMBD, "position embeddings"},
};

/* Of each block, behind "h.N.". Matrices are [in, out]. Those of nn.Linear would be [out, in]; in
 * such a file c_attn and the MLP's matrices have the wrong shape, which is how it is recognised:
 * attn.c_proj is square and would fit either way. */
static const struct row block_rows[] = {
    {"ln_1.weight", BLOCK(ln_1.gain), SPEC_VECTOR, N_EMBD, ONE,
     "layer norm before attention: gain"},
    {"ln_1.bias", BLOCK(ln_1.bias), SPEC_VECTOR, N_EMBD, ONE, "layer norm before attention: bias"},
    {"attn.c_attn.weight", BLOCK(attn.c_attn.weight), SPEC_LINEAR, N_EMBD, N_EMBD_3,
     "query, key and value"},
    {"attn.c_attn.bias", BLOCK(attn.c_attn.bias), SPEC_VECTOR, N_EMBD_3, ONE,
     "bias of query, key and value"},
    {"attn.c_proj.weight", BLOCK(attn.c_proj.weight), SPEC_LINEAR, N_EMBD, N_EMBD,
     "what the heads read, mixed"},
    {"attn.c_proj.bias", BLOCK(attn.c_proj.bias), SPEC_VECTOR, N_EMBD, ONE,
     "bias of attention's output"},
    {"ln_2.weight", BLOCK(ln_2.gain), SPEC_VECTOR, N_EMBD, ONE, "layer norm before the MLP: gain"},
    {"ln_2.bias", BLOCK(ln_2.bias), SPEC_VECTOR, N_EMBD, ONE, "layer norm before the MLP: bias"},
    {"mlp.c_fc.weight", BLOCK(mlp.c_fc.weight), SPEC_LINEAR, N_EMBD, N_INNER,
     "into the MLP's hidden layer"},
    {"mlp.c_fc.bias", BLOCK(mlp.c_fc.bias), SPEC_VECTOR, N_INNER, ONE, "bias of the hidden layer"},
    {"mlp.c_proj.weight", BLOCK(mlp.c_proj.weight), SPEC_LINEAR, N_INNER, N_EMBD,
     "out of the hidden layer"},
    {"mlp.c_proj.bias", BLOCK(mlp.c_proj.bias), SPEC_VECTOR, N_EMBD, ONE,
     "bias of the MLP's output"},
};

static const struct row back_rows[] = {
    {"ln_f.weight", MODEL(ln_f.gain), SPEC_VECTOR, N_EMBD, ONE, "layer norm before the head: gain"},
    {"ln_f.bias", MODEL(ln_f.bias), SPEC_VECTOR, N_EMBD, ONE, "layer norm before the head: bias"},
};

static const struct row head_row = {"lm_head.weight", MODEL(head), SPEC_HEAD,
                                    N_VOCAB,          N_EMBD,      "the head"};

static const char *const dim_names[] = {
    [ONE] = "",          [N_VOCAB] = "vocab_size", [N_CTX] = "n_positions",
    [N_EMBD] = "n_embd", [N_EMBD_3] = "3 n_embd",  [N_INNER] = "n_inner",
};

static int64_t dim_of(const struct gpt2_config *config, enum dim dim) {
    switch (dim) {
    case N_VOCAB:
        return config->n_vocab;
    case N_CTX:
        return config->n_ctx;
    case N_EMBD:
        return config->n_embd;
    case N_EMBD_3:
        return 3 * (int64_t)config->n_embd;
    case N_INNER:
        return config->n_inner;
    case ONE:
        break;
    }
    return 1;
}

/* The part of a row; `base` is the model or a block. */
static struct tensor_spec part_of(const struct gpt2_model *model, const struct row *row,
                                  const void *base, const char *prefix) {
    struct tensor_spec spec = {
        .kind = row->kind,
        .field = (char *)(uintptr_t)base + row->offset,
        .shape = {dim_of(&model->config, row->rows), dim_of(&model->config, row->cols)},
        .dim = {dim_names[row->rows], dim_names[row->cols]},
        .what = row->what,
    };
    snprintf(spec.name, sizeof spec.name, "%s%s", prefix, row->name);
    return spec;
}

size_t tensor_schema_count(const struct gpt2_model *model) {
    return COUNT(front_rows) + (size_t)model->config.n_layer * COUNT(block_rows) + COUNT(back_rows);
}

struct tensor_spec tensor_schema_at(const struct gpt2_model *model, size_t i) {
    if (i < COUNT(front_rows))
        return part_of(model, &front_rows[i], model, "");
    i -= COUNT(front_rows);
    size_t layer = i / COUNT(block_rows);
    if (layer == (size_t)model->config.n_layer)
        return part_of(model, &back_rows[i - layer * COUNT(block_rows)], model, "");
    char prefix[16];
    snprintf(prefix, sizeof prefix, "h.%d.", (int)layer);
    return part_of(model, &block_rows[i % COUNT(block_rows)], &model->h[layer], prefix);
}

struct tensor_spec tensor_schema_head(const struct gpt2_model *model) {
    return part_of(model, &head_row, model, "");
}

int tensor_schema_inputs(const struct tensor_spec *spec) {
    return (int)spec->shape[spec->kind == SPEC_LINEAR ? 0 : 1];
}

int tensor_schema_outputs(const struct tensor_spec *spec) {
    return (int)spec->shape[spec->kind == SPEC_LINEAR ? 1 : 0];
}

struct gpt2_tensor_info tensor_schema_info(const struct tensor_spec *spec, const char *name,
                                           const char *dtype, size_t n_bytes) {
    return (struct gpt2_tensor_info){
        .name = name,
        .dtype = dtype,
        .rank = spec->kind == SPEC_VECTOR ? 1 : 2,
        .shape = {spec->shape[0], spec->shape[1]},
        .n_bytes = n_bytes,
    };
}
