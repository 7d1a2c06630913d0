/* save_gguf.c - a model as one GGUF file (weights/gguf/gguf.h): linear layers are [out, in] there,
 * and matrices of the type that is asked for. */
#include <gpt2/save.h>

#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "export/save_file.h"
#include "kernels/panels.h"
#include "model/blocks.h"
#include "model/generation_config.h"
#include "weights/gguf/ggml_type.h"
#include "weights/gguf/gguf.h"
#include "weights/gguf/gguf_model.h"

#include <math.h>
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

/* ---- which tensors, and their types ---- */

struct gguf_writer {
    const struct gpt2_model *model;
    struct gpt2_gguf_options options;
    size_t n_tensors; /* the first ones of weight_reader_at: after a tied wte its head, or not */
};

static bool is_turned(const struct tensor_spec *spec) {
    return spec->kind == SPEC_LINEAR; // [out, in] in the file
}

/* Weights of a row of the file. */
static size_t row_of(const struct tensor_spec *spec) {
    const bool first = spec->kind == SPEC_VECTOR || is_turned(spec);
    return (size_t)spec->shape[first ? 0 : 1];
}

enum { ID_F32 = 0, ID_F16 = 1, ID_Q4_0 = 2, ID_Q8_0 = 8, ID_BF16 = 30 };

/* The blocks that a matrix was in, where it is written in them again; else NULL. */
static const struct ggml_type *blocks_of(const struct gguf_writer *w,
                                         const struct tensor_spec *spec) {
    return w->options.type == GPT2_GGUF_AS_IS && spec->kind != SPEC_VECTOR
               ? ((const struct matrix *)spec->field)->blocks
               : NULL;
}

static const struct ggml_type *type_of(const struct gguf_writer *w,
                                       const struct tensor_spec *spec) {
    if (blocks_of(w, spec))
        return blocks_of(w, spec);
    const enum dtype dtype = weight_reader_dtype(spec);
    uint32_t id = dtype == DTYPE_F32 ? ID_F32 : dtype == DTYPE_F16 ? ID_F16 : ID_BF16;
    switch (w->options.type) {
    case GPT2_GGUF_AS_IS:
        break;
    case GPT2_GGUF_F32:
        id = ID_F32;
        break;
    case GPT2_GGUF_F16:
        id = ID_F16;
        break;
    case GPT2_GGUF_BF16:
        id = ID_BF16;
        break;
    case GPT2_GGUF_Q8_0:
        id = ID_Q8_0;
        break;
    case GPT2_GGUF_Q4_0: // what the head is wrong by goes straight into the logits
        id = is_turned(spec) ? ID_Q4_0 : ID_Q8_0;
        break;
    }
    const bool f32 = spec->kind == SPEC_VECTOR || spec->kind == SPEC_POSITIONS;
    return ggml_type_find(f32 ? ID_F32 : id); // so they are in every GGUF file of GPT-2
}

static size_t bytes_of_row(const struct ggml_type *type, size_t n) {
    return n / type->n_elements * type->n_bytes;
}

static bool check_rows(const struct gguf_writer *w, struct gpt2_error *err) {
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct tensor_spec spec = weight_reader_at(w->model, i);
        const struct ggml_type *type = type_of(w, &spec);
        if (row_of(&spec) % type->n_elements == 0)
            continue;
        error_set(err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected rows of a multiple of %u weights for %s, found %zu",
                  w->model->tensors.path, spec.name, type->n_elements, type->name, row_of(&spec));
        return error_hint(err, "--type f16 or bf16 takes rows of any length");
    }
    return true;
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

/* The type of which most of the file is. */
static const struct ggml_type *main_type(const struct gguf_writer *w) {
    const struct tensor_spec spec = tensor_schema_at(w->model, 4); // h.0.attn.c_attn.weight
    return type_of(w, &spec);
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

/* The file's bos_token_id: what the model names, or what its tokenizer puts before each text; -1:
 * neither. */
static int bos_id(const struct gguf_writer *w) {
    const int id = w->model->config.bos_id;
    return id < 0 && w->options.tokenizer ? w->options.tokenizer->bos_id : id;
}

static bool check_bos(const struct gguf_writer *w, struct gpt2_error *err) {
    const struct gpt2_gguf_pairs *tokenizer = w->options.tokenizer;
    if (!tokenizer || tokenizer->bos_id < 0 || tokenizer->bos_id == bos_id(w))
        return true;
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected the tokenizer to put the model's token %d before each text, as a GGUF "
              "file has one bos_token_id for both, found %d",
              w->model->tensors.path, bos_id(w), tokenizer->bos_id);
    return error_hint(err, "--to packed keeps both; --no-tokenizer leaves the tokenizer out");
}

/* Returns how many pairs there are. */
static uint64_t put_pairs(struct buffer *out, const struct gguf_writer *w) {
    const struct gpt2_config *c = &w->model->config;
    const bool blocks = main_type(w)->take != NULL;
    put_key_text(out, "general.architecture", "gpt2");
    put_key_text(out, "general.name", w->options.name ? w->options.name : "gpt2");
    put_key_u32(out, "general.file_type", main_type(w)->file_type);
    if (blocks)
        put_key_u32(out, "general.quantization_version", 2);
    put_key_u32(out, "gpt2.context_length", (uint32_t)c->n_ctx);
    put_key_u32(out, "gpt2.embedding_length", (uint32_t)c->n_embd);
    put_key_u32(out, "gpt2.feed_forward_length", (uint32_t)c->n_inner);
    put_key_u32(out, "gpt2.block_count", (uint32_t)c->n_layer);
    put_key_u32(out, "gpt2.attention.head_count", (uint32_t)c->n_head);
    put_string(out, "gpt2.attention.layer_norm_epsilon");
    put_u32(out, GGUF_F32);
    buffer_bytes(out, &c->layer_norm_epsilon, sizeof c->layer_norm_epsilon);
    if (bos_id(w) >= 0)
        put_key_u32(out, "tokenizer.ggml.bos_token_id", (uint32_t)bos_id(w));
    if (c->n_eos)
        put_key_u32(out, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos_ids[0]);
    return 9 + blocks + (bos_id(w) >= 0) + (c->n_eos > 0) + put_sampling(out, &c->generation);
}

static void put_tensors(struct buffer *out, const struct gguf_writer *w) {
    uint64_t at = 0;
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct tensor_spec spec = weight_reader_at(w->model, i);
        const struct ggml_type *type = type_of(w, &spec);
        const size_t n = row_of(&spec), rows = weight_reader_elements(&spec) / n;
        char name[SPEC_NAME] = "";
        translate(name, &spec);
        put_string(out, name);
        put_u32(out, spec.kind == SPEC_VECTOR ? 1 : 2);
        put_u64(out, n); // the fastest first
        if (spec.kind != SPEC_VECTOR)
            put_u64(out, rows);
        put_u32(out, type->id);
        put_u64(out, at);
        at += rows * bytes_of_row(type, n);
        at = (at + ALIGN - 1) / ALIGN * ALIGN;
    }
}

static char *print_front(size_t *size, const struct gguf_writer *w, struct gpt2_error *err) {
    const struct gpt2_gguf_pairs *tokenizer = w->options.tokenizer;
    struct buffer buffer = {0}, *out = &buffer;
    buffer_text(out, "GGUF");
    put_u32(out, 3);
    put_u64(out, w->n_tensors);
    put_u64(out, 0); // the number of pairs, below
    uint64_t n_pairs = put_pairs(out, w);
    if (tokenizer) {
        buffer_bytes(out, tokenizer->bytes, tokenizer->n_bytes);
        n_pairs += tokenizer->n_pairs;
    }
    put_tensors(out, w);
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

/* Rows of the file while they are written. */
struct row_buffers {
    unsigned char *from; /* [BATCH] rows in the model's type */
    float *wide;         /* a row                            */
    unsigned char *to;   /* a row in the file's type         */
};

/* out = wide[n] in the type. False: a number does not fit. */
static bool encode(unsigned char *out, const struct ggml_type *type, const float *wide, size_t n) {
    if (type->id == ID_F32) {
        memcpy(out, wide, n * sizeof *wide);
        return true;
    }
    bool fits = true;
    for (size_t i = 0; type->quantize && i < n; i += type->n_elements) {
        float back[32];
        unsigned char *block = out + i / type->n_elements * type->n_bytes;
        for (size_t k = 0; k < type->n_elements; k++)
            fits = fits && isfinite(wide[i + k]);
        if (!fits)
            return false;
        type->quantize(block, wide + i);
        ggml_type_dequantize(back, type, block);
        for (size_t k = 0; k < type->n_elements; k++)
            fits = fits && isfinite(back[k]); // the scale is F16
    }
    for (size_t i = 0; !type->quantize && i < n; i++) {
        const bool f16 = type->id == ID_F16;
        const uint16_t bits = f16 ? dtype_f32_to_f16(wide[i]) : dtype_f32_to_bf16(wide[i]);
        float back;
        memcpy(out + 2 * i, &bits, sizeof bits);
        dtype_to_f32(&back, &bits, f16 ? DTYPE_F16 : DTYPE_BF16, 1);
        fits = fits && (isfinite(back) || !isfinite(wide[i]));
    }
    return fits;
}

static bool write_rows(struct outfile *file, const struct gguf_writer *w,
                       const struct tensor_spec *spec, const struct row_buffers *b,
                       struct gpt2_error *err) {
    const struct ggml_type *type = type_of(w, spec);
    const enum dtype from = weight_reader_dtype(spec);
    const size_t n = row_of(spec), rows = weight_reader_elements(spec) / n;
    const bool as_is = type->dtype && strcmp(type->dtype, dtype_name(from)) == 0;
    for (size_t i = 0; i < rows; i += BATCH) {
        const size_t n_rows = rows - i < BATCH ? rows - i : BATCH;
        if (is_turned(spec))
            weight_reader_columns(b->from, spec, i, n_rows);
        else
            weight_reader_rows(b->from, spec, i, n_rows);
        for (size_t k = 0; k < n_rows; k++) {
            const unsigned char *row = b->from + k * n * dtype_size(from);
            if (!as_is) {
                dtype_to_f32(b->wide, row, from, n);
                if (!encode(b->to, type, b->wide, n))
                    return error_set(err, GPT2_ERR_MODEL,
                                     "%s: tensor \"%s\": expected weights that fit %s, found some "
                                     "that are too large or not finite",
                                     w->model->tensors.path, spec->name, type->name);
                row = b->to;
            }
            if (!outfile_write(file, row, bytes_of_row(type, n), err))
                return false;
        }
    }
    return true;
}

/* Blocks as they were in a file, made again from the panels that hold their integers. */
static bool write_blocks(struct outfile *file, const struct gguf_writer *w,
                         const struct tensor_spec *spec, unsigned char *row,
                         struct gpt2_error *err) {
    const struct ggml_type *type = blocks_of(w, spec);
    const size_t n = row_of(spec), rows = weight_reader_elements(spec) / n;
    const size_t n_blocks = n / type->n_elements;
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < n_blocks; k++) {
            if (blocks_restore(row + k * type->n_bytes, spec->field, (int)n, (int)i, k))
                continue;
            error_set(err, GPT2_ERR_MODEL,
                      "%s: tensor \"%s\": expected integers and scales of %s, found others in "
                      "output %zu, weights %zu to %zu",
                      w->model->tensors.path, spec->name, type->name, i, k * type->n_elements,
                      (k + 1) * type->n_elements - 1);
            return error_hint(err, "--type f32 or f16 writes the numbers, whatever they are");
        }
        if (!outfile_write(file, row, n_blocks * type->n_bytes, err))
            return false;
    }
    return true;
}

static bool write_part(struct outfile *file, const struct tensor_spec *spec, const void *writer,
                       struct gpt2_error *err) {
    static const unsigned char zeros[ALIGN];
    const struct gguf_writer *w = writer;
    const size_t n = row_of(spec), rows = weight_reader_elements(spec) / n;
    const size_t size = rows * bytes_of_row(type_of(w, spec), n);
    struct row_buffers b = {0};
    bool ok = (b.from = os_alloc(BATCH * n, sizeof(float), "rows", err)) &&
              (b.wide = os_alloc(n, sizeof(float), "a row", err)) &&
              (b.to = os_alloc(n, sizeof(float), "a row", err)) &&
              (blocks_of(w, spec) ? write_blocks(file, w, spec, b.to, err)
                                  : write_rows(file, w, spec, &b, err)) &&
              (size % ALIGN == 0 || outfile_write(file, zeros, ALIGN - size % ALIGN, err));
    os_free(b.from);
    os_free(b.wide);
    os_free(b.to);
    return ok;
}

bool gpt2_model_save_gguf(const struct gpt2_model *model, const struct gpt2_gguf_options *options,
                          const char *path, struct gpt2_error *err) {
    struct gguf_writer w = {.model = model};
    if (options)
        w.options = *options;
    if (!error_reserved(w.options.reserved, "gpt2_gguf_options", err))
        return false;
    if (w.options.type > GPT2_GGUF_Q4_0)
        return error_set(err, GPT2_ERR_USAGE, "gpt2_gguf_options: expected a type, got %d",
                         (int)w.options.type);
    w.n_tensors = weight_reader_count(model) + (gpt2_model_head_is_tied(model) && !w.options.tied);
    if (!weight_reader_check_plain(model, "its groups of 64 weights are none of GGUF's types",
                                   err) ||
        !check_config(model, err) || !check_rows(&w, err) || !check_bos(&w, err))
        return false;
    size_t n_front;
    char *front = print_front(&n_front, &w, err);
    const struct save_contents contents = {.model = model,
                                           .front = front,
                                           .n_front = n_front,
                                           .n_tensors = w.n_tensors,
                                           .write = write_part,
                                           .writer = &w,
                                           .progress = w.options.progress,
                                           .user = w.options.user};
    bool ok = front && save_file(&contents, path, err);
    free(front);
    return ok;
}
