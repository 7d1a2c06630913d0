/* save_gguf.c - a model as one GGUF file (weights/gguf/gguf.h): linear layers are [out, in] there.
 */
#include <gpt2/save.h>

#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "export/save_file.h"
#include "model/generation_config.h"
#include "weights/gguf/ggml_type.h"
#include "weights/gguf/gguf.h"
#include "weights/gguf/gguf_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 32
#define BATCH 64 /* columns that are copied at a time: a cache line of most rows */

/* What the format has no key for; programs that read it take GPT-2's own. */
static bool check_config(const struct gpt2_model *model, struct gpt2_error *err) {
    const struct gpt2_config *c = &model->config;
    if (strcmp(c->activation, "gelu_new") != 0)
        error_set(err, GPT2_ERR_MODEL,
                  "%s: expected the activation \"gelu_new\", which GGUF means for gpt2, found "
                  "\"%s\"",
                  model->tensors.path, c->activation);
    else if (!c->scale_attn_weights || c->scale_attn_by_inverse_layer_idx)
        error_set(err, GPT2_ERR_MODEL,
                  "%s: expected attention scaled by 1 / sqrt(head size), which GGUF means for "
                  "gpt2, found another scale",
                  model->tensors.path);
    else
        return true;
    return error_hint(err, "convert it --to safetensors, whose config.json can say so");
}

/* The name in GGUF: h.N.attn.c_attn.weight is blk.N.attn_qkv.weight. */
static const struct gguf_name *translate(char out[SPEC_NAME], const struct tensor_spec *spec) {
    const char *rest = spec->name;
    char block[24] = "";
    if (strncmp(rest, "h.", 2) == 0) {
        const size_t digits = strspn(rest + 2, "0123456789");
        snprintf(block, sizeof block, "blk.%.*s.", (int)digits, rest + 2);
        rest += 2 + digits + 1;
    }
    for (const struct gguf_name *n = gguf_names; n->gguf; n++) {
        const size_t len = strlen(n->gpt2);
        if (n->in_block == (*block != 0) && strncmp(rest, n->gpt2, len) == 0 && rest[len] == '.') {
            snprintf(out, SPEC_NAME, "%s%s%s", block, n->gguf, rest + len);
            return n;
        }
    }
    return NULL; // tensor_schema.h and gguf_names do not agree: a test would have said so
}

/* Position embeddings are F32 in every GGUF file of GPT-2. */
static enum dtype written_dtype(const struct tensor_spec *spec) {
    return spec->kind == SPEC_POSITIONS ? DTYPE_F32 : weight_reader_dtype(spec);
}

static uint32_t type_id(enum dtype dtype) {
    return dtype == DTYPE_F32 ? 0 : dtype == DTYPE_F16 ? 1 : 30;
}

/* ---- before the data ---- */

static void put_u32(struct buffer *out, uint32_t value) {
    buffer_bytes(out, &value, sizeof value);
}

static void put_u64(struct buffer *out, uint64_t value) {
    buffer_bytes(out, &value, sizeof value);
}

static void put_string(struct buffer *out, const char *text) {
    put_u64(out, strlen(text));
    buffer_text(out, text);
}

static void put_key_u32(struct buffer *out, const char *key, uint32_t value) {
    put_string(out, key);
    put_u32(out, GGUF_U32);
    put_u32(out, value);
}

static void put_key_text(struct buffer *out, const char *key, const char *value) {
    put_string(out, key);
    put_u32(out, GGUF_STRING);
    put_string(out, value);
}

/* llama.cpp's numbers for "all F32", "mostly F16", "mostly BF16". */
static uint32_t file_type(const struct gpt2_model *model) {
    const enum dtype dtype = model->h[0].mlp.c_fc.weight.dtype;
    return dtype == DTYPE_F32 ? 0 : dtype == DTYPE_F16 ? 1 : 32;
}

/* What is recommended for drawing text, as llama.cpp reads it. Returns how many pairs there are. */
static uint64_t put_sampling(struct buffer *out, const struct gpt2_generation_config *config) {
    uint64_t n = 0;
    const struct generation_config_key *key;
    for (size_t i = 0; (key = generation_config_key(i)); i++)
        for (const struct gguf_sampling_key *k = gguf_sampling_keys; k->key; k++) {
            double value;
            if (strcmp(k->name, key->name) != 0 || !generation_config_get(key, config, &value))
                continue;
            const float real = (float)value;
            const int32_t number = k->is_float ? 0 : (int32_t)value;
            put_string(out, k->key);
            put_u32(out, k->is_float ? GGUF_F32 : GGUF_I32);
            buffer_bytes(out, k->is_float ? (const void *)&real : &number, 4);
            n++;
        }
    return n;
}

/* Returns how many pairs there are. */
static uint64_t put_pairs(struct buffer *out, const struct gpt2_model *model) {
    const struct gpt2_config *c = &model->config;
    put_key_text(out, "general.architecture", "gpt2");
    put_key_text(out, "general.name", "gpt2");
    put_key_u32(out, "general.file_type", file_type(model));
    put_key_u32(out, "gpt2.context_length", (uint32_t)c->n_ctx);
    put_key_u32(out, "gpt2.embedding_length", (uint32_t)c->n_embd);
    put_key_u32(out, "gpt2.feed_forward_length", (uint32_t)c->n_inner);
    put_key_u32(out, "gpt2.block_count", (uint32_t)c->n_layer);
    put_key_u32(out, "gpt2.attention.head_count", (uint32_t)c->n_head);
    put_string(out, "gpt2.attention.layer_norm_epsilon");
    put_u32(out, GGUF_F32);
    buffer_bytes(out, &c->layer_norm_epsilon, sizeof c->layer_norm_epsilon);
    if (c->bos_id >= 0)
        put_key_u32(out, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos_id);
    if (c->n_eos)
        put_key_u32(out, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos_ids[0]);
    return 9 + (c->bos_id >= 0) + (c->n_eos > 0) + put_sampling(out, &c->generation);
}

static void put_tensors(struct buffer *out, const struct gpt2_model *model) {
    uint64_t at = 0;
    for (size_t i = 0; i < weight_reader_count(model); i++) {
        const struct tensor_spec spec = weight_reader_at(model, i);
        char name[SPEC_NAME] = "";
        const struct gguf_name *n = translate(name, &spec);
        const bool vector = spec.kind == SPEC_VECTOR;
        const bool turned = n && n->is_linear && !vector;
        put_string(out, name);
        put_u32(out, vector ? 1 : 2);
        put_u64(out, (uint64_t)spec.shape[vector || turned ? 0 : 1]); // the fastest first
        if (!vector)
            put_u64(out, (uint64_t)spec.shape[turned ? 1 : 0]);
        put_u32(out, type_id(written_dtype(&spec)));
        put_u64(out, at);
        at += weight_reader_elements(&spec) * dtype_size(written_dtype(&spec));
        at = (at + ALIGN - 1) / ALIGN * ALIGN;
    }
}

static char *print_front(size_t *size, const struct gpt2_model *model,
                         const struct gpt2_gguf_pairs *tokenizer, struct gpt2_error *err) {
    struct buffer buffer = {0}, *out = &buffer;
    buffer_text(out, "GGUF");
    put_u32(out, 3);
    put_u64(out, weight_reader_count(model));
    put_u64(out, 0); // the number of pairs, below
    uint64_t n_pairs = put_pairs(out, model);
    if (tokenizer) {
        buffer_bytes(out, tokenizer->bytes, tokenizer->n_bytes);
        n_pairs += tokenizer->n_pairs;
    }
    put_tensors(out, model);
    buffer_pad(out, ALIGN, 0);
    char *text = buffer_take(out, size);
    if (!text) {
        error_memory(err, "the metadata", 0);
        return NULL;
    }
    memcpy(text + 16, &n_pairs, sizeof n_pairs);
    return text;
}

/* ---- the data ---- */

/* A linear layer, column after column: [out, in]. */
static bool write_turned(struct outfile *file, const struct tensor_spec *spec,
                         struct gpt2_error *err) {
    const size_t rows = (size_t)spec->shape[0], cols = (size_t)spec->shape[1];
    const size_t column = rows * dtype_size(weight_reader_dtype(spec));
    unsigned char *buffer = os_alloc(BATCH, column, "columns", err);
    bool ok = buffer != NULL;
    for (size_t i = 0; ok && i < cols; i += BATCH) {
        const size_t n = cols - i < BATCH ? cols - i : BATCH;
        weight_reader_columns(buffer, spec, i, n);
        ok = outfile_write(file, buffer, n * column, err);
    }
    os_free(buffer);
    return ok;
}

static bool write_straight(struct outfile *file, const struct tensor_spec *spec,
                           struct gpt2_error *err) {
    const bool vector = spec->kind == SPEC_VECTOR;
    const size_t rows = vector ? 1 : (size_t)spec->shape[0],
                 cols = weight_reader_elements(spec) / rows;
    const enum dtype from = weight_reader_dtype(spec), to = written_dtype(spec);
    unsigned char *buffer = os_alloc(cols, dtype_size(from), "a row", err);
    float *wide = buffer ? os_alloc(cols, sizeof *wide, "a row", err) : NULL;
    bool ok = wide != NULL;
    for (size_t i = 0; ok && i < rows; i++) {
        weight_reader_rows(buffer, spec, i, 1);
        if (from != to)
            dtype_to_f32(wide, buffer, from, cols);
        ok = outfile_write(file, from == to ? (void *)buffer : wide, cols * dtype_size(to), err);
    }
    os_free(buffer);
    os_free(wide);
    return ok;
}

static bool write_part(struct outfile *file, const struct tensor_spec *spec,
                       struct gpt2_error *err) {
    static const unsigned char zeros[ALIGN];
    char name[SPEC_NAME];
    const struct gguf_name *n = translate(name, spec);
    const size_t size = weight_reader_elements(spec) * dtype_size(written_dtype(spec));
    return (n && n->is_linear && spec->kind != SPEC_VECTOR ? write_turned(file, spec, err)
                                                           : write_straight(file, spec, err)) &&
           (size % ALIGN == 0 || outfile_write(file, zeros, ALIGN - size % ALIGN, err));
}

bool gpt2_model_save_gguf(const struct gpt2_model *model, const struct gpt2_gguf_pairs *tokenizer,
                          const char *path, gpt2_save_progress progress, void *user,
                          struct gpt2_error *err) {
    if (!weight_reader_check_plain(model, "its groups of 64 weights are none of GGUF's types",
                                   err) ||
        !check_config(model, err))
        return false;
    size_t n_front;
    char *front = print_front(&n_front, model, tokenizer, err);
    bool ok = front && save_file(model, path, front, n_front, write_part, progress, user, err);
    free(front);
    return ok;
}
