/* tensor_schema.c - the table of GPT-2's tensors. */
#include "model/tensor_schema.h"

#include <stdio.h>

enum dim { ONE, N_VOCAB, N_CTX, N_EMBD, N_EMBD_3, N_INNER };

struct schema_entry {
    const char *name;
    size_t offset; /* in struct gpt2_model or struct block */
    enum spec_kind kind;
    enum dim rows, cols;
    const char *what;
};

#define MODEL(member) offsetof(struct gpt2_model, member)
#define BLOCK(member) offsetof(struct block, member)
#define COUNT(array)  (sizeof(array) / sizeof *(array))

static const struct schema_entry front_entries[] = {
    {"wte.weight", MODEL(wte), SPEC_EMBEDDING, N_VOCAB, N_EMBD, "token embeddings"},
    {"wpe.weight", MODEL(wpe), SPEC_POSITIONS, N_CTX, N_EMBD, "position embeddings"},
};

/* Of each block, after "h.N.". Matrices are [in, out]. Those of nn.Linear would be [out, in]; in
 * such a file c_attn and the MLP's matrices have the wrong shape, which is how it is recognised:
 * attn.c_proj is square and would fit either way. */
static const struct schema_entry block_entries[] = {
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

static const struct schema_entry back_entries[] = {
    {"ln_f.weight", MODEL(ln_f.gain), SPEC_VECTOR, N_EMBD, ONE, "layer norm before the head: gain"},
    {"ln_f.bias", MODEL(ln_f.bias), SPEC_VECTOR, N_EMBD, ONE, "layer norm before the head: bias"},
};

static const struct schema_entry head_entry = {"lm_head.weight", MODEL(head), SPEC_HEAD,
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

/* The tensor of an entry; `base` is the model or a block. */
static struct tensor_spec spec_of(const struct gpt2_model *model, const struct schema_entry *entry,
                                  const void *base, const char *prefix) {
    struct tensor_spec spec = {
        .kind = entry->kind,
        .field = (char *)(uintptr_t)base + entry->offset,
        .shape = {dim_of(&model->config, entry->rows), dim_of(&model->config, entry->cols)},
        .dim = {dim_names[entry->rows], dim_names[entry->cols]},
        .what = entry->what,
    };
    snprintf(spec.name, sizeof spec.name, "%s%s", prefix, entry->name);
    return spec;
}

size_t tensor_schema_count(const struct gpt2_model *model) {
    return COUNT(front_entries) + (size_t)model->config.n_layer * COUNT(block_entries) +
           COUNT(back_entries);
}

struct tensor_spec tensor_schema_at(const struct gpt2_model *model, size_t i) {
    if (i < COUNT(front_entries))
        return spec_of(model, &front_entries[i], model, "");
    i -= COUNT(front_entries);
    size_t layer = i / COUNT(block_entries);
    if (layer == (size_t)model->config.n_layer)
        return spec_of(model, &back_entries[i - layer * COUNT(block_entries)], model, "");
    char prefix[16];
    snprintf(prefix, sizeof prefix, "h.%d.", (int)layer);
    return spec_of(model, &block_entries[i % COUNT(block_entries)], &model->h[layer], prefix);
}

struct tensor_spec tensor_schema_head(const struct gpt2_model *model) {
    return spec_of(model, &head_entry, model, "");
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

void tensor_schema_say_form(struct gpt2_tensor_info *info, const struct matrix *matrix) {
    info->form = dtype_name(matrix->dtype);
    info->expanded = !dtype_is_quantized(matrix->dtype);
}
