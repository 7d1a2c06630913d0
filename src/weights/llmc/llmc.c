/* llmc.c - a model of llm.c is a header of 256 little-endian int32 and then all numbers of one
 * type, each kind of tensor for all layers, one after the other (B is 4 for version 3, 2 for
 * version 5):
 *
 *     [0] 20240326  [1] version  [2] n_ctx  [3] n_vocab  [4] n_layer  [5] n_head  [6] n_embd
 *     [7] n_vocab padded to a multiple of 128
 *     wte [padded, C], wpe [n_ctx, C], ln_1.weight [n_layer, C], ln_1.bias ... (kinds[] below)
 *
 * The file's size follows from the header and must be exactly that. Matrices are [out, in]. */
#include "weights/llmc/llmc.h"
#include "base/error_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 1024u
#define MAGIC       20240326
#define MAX_LAYERS  4096 /* as config.c */
#define NAME_SIZE   48   /* "h.4095.attn.c_attn.weight" */

/* A dimension as multiples of n_embd. */
static const struct llmc_kind {
    const char *name;
    int out, in; /* [out C, in C]; a vector's `in` is 0 */
} kinds[] = {
    {"ln_1.weight", 1, 0},      {"ln_1.bias", 1, 0},          {"attn.c_attn.weight", 3, 1},
    {"attn.c_attn.bias", 3, 0}, {"attn.c_proj.weight", 1, 1}, {"attn.c_proj.bias", 1, 0},
    {"ln_2.weight", 1, 0},      {"ln_2.bias", 1, 0},          {"mlp.c_fc.weight", 4, 1},
    {"mlp.c_fc.bias", 4, 0},    {"mlp.c_proj.weight", 1, 4},  {"mlp.c_proj.bias", 1, 0},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

struct llmc_header {
    int64_t version, n_ctx, n_vocab, n_layer, n_head, n_embd, n_padded;
};

struct llmc_reader {
    struct tensors *out;
    const unsigned char *at; /* where the next tensor begins */
    size_t size;             /* bytes of an element          */
    const char *dtype, *name;
    char (*names)[NAME_SIZE];
    struct gpt2_error *err;
};

static int64_t load(const unsigned char *p) {
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                     (uint32_t)p[3] << 24);
}

static bool recognise(const unsigned char *head, size_t n) {
    return n >= 4 && load(head) == MAGIC;
}

/* ---- header ---- */

static bool check_range(const char *path, const char *field, int64_t value, int64_t max,
                        struct gpt2_error *err) {
    return (value >= 1 && value <= max) ||
           error_set(err, GPT2_ERR_MODEL,
                     "%s: %s: expected 1 to %" PRId64 ", found %" PRId64 ": damaged", path, field,
                     max, value);
}

static bool read_header(struct llmc_header *h, const unsigned char *bytes, size_t n_bytes,
                        const char *path, struct gpt2_error *err) {
    if (n_bytes < HEADER_SIZE || !recognise(bytes, n_bytes))
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected a model of llm.c, which begins with %d and a header of %u "
                         "bytes, found %s",
                         path, MAGIC, HEADER_SIZE,
                         recognise(bytes, n_bytes) ? "it truncated" : "another thing");
    *h =
        (struct llmc_header){load(bytes + 4),  load(bytes + 8),  load(bytes + 12), load(bytes + 16),
                             load(bytes + 20), load(bytes + 24), load(bytes + 28)};
    if (h->version != 3 && h->version != 5) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: expected version 3 (F32) or 5 (BF16) of llm.c's models, found %" PRId64,
                  path, h->version);
        return error_hint(err, "write it again with llm.c's train_gpt2.py of April 2024 or later");
    }
    // in these ranges no product of two with an element's size and n_layer overflows
    if (!check_range(path, "n_ctx", h->n_ctx, 1 << 20, err) ||
        !check_range(path, "n_vocab", h->n_vocab, 1 << 24, err) ||
        !check_range(path, "n_layer", h->n_layer, MAX_LAYERS, err) ||
        !check_range(path, "n_head", h->n_head, 1 << 16, err) ||
        !check_range(path, "n_embd", h->n_embd, 1 << 16, err) ||
        !check_range(path, "padded n_vocab", h->n_padded, 1 << 24, err))
        return false;
    if (h->n_padded < h->n_vocab)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected at least %" PRId64 " rows of wte, found %" PRId64, path,
                         h->n_vocab, h->n_padded);
    return true;
}

/* Elements after the header. */
static uint64_t count_elements(const struct llmc_header *h) {
    const uint64_t c = (uint64_t)h->n_embd;
    uint64_t layer = 0;
    for (size_t k = 0; k < N_KINDS; k++)
        layer += (uint64_t)kinds[k].out * c * (kinds[k].in ? (uint64_t)kinds[k].in * c : 1);
    return ((uint64_t)h->n_padded + (uint64_t)h->n_ctx) * c + (uint64_t)h->n_layer * layer + 2 * c;
}

static bool write_config(struct tensors *out, const struct llmc_header *h, struct gpt2_error *err) {
    const size_t size = 400;
    out->config = malloc(size);
    if (!out->config)
        return error_memory(err, "the configuration", size);
    snprintf(out->config, size,
             "{\"model_type\": \"gpt2\", \"n_layer\": %" PRId64 ", \"n_head\": %" PRId64
             ", \"n_embd\": %" PRId64 ", \"n_positions\": %" PRId64 ", \"vocab_size\": %" PRId64
             "}",
             h->n_layer, h->n_head, h->n_embd, h->n_ctx, h->n_vocab);
    out->config_len = strlen(out->config);
    out->config_name = "configuration";
    return true;
}

/* ---- tensors ---- */

/* The next tensor of the file, [rows, cols]; a vector's cols is 0. Returns it. */
static struct tensor *take(struct llmc_reader *r, const char *prefix, const char *name,
                           int64_t rows, int64_t cols) {
    struct tensor *t = &r->out->items[r->out->count];
    char *text = r->names[r->out->count++];
    snprintf(text, NAME_SIZE, "%s%s", prefix, name);
    *t = (struct tensor){.name = text,
                         .dtype = r->dtype,
                         .rank = cols ? 2 : 1,
                         .shape = {rows, cols},
                         .data = r->at,
                         .n_bytes = (size_t)rows * (size_t)(cols ? cols : 1) * r->size};
    r->at += t->n_bytes;
    return t;
}

static void take_all(struct llmc_reader *r, const struct llmc_header *h) {
    const int64_t c = h->n_embd;
    struct tensor *wte = take(r, "", "wte.weight", h->n_vocab, c);
    r->at = (const unsigned char *)wte->data + (size_t)h->n_padded * (size_t)c * r->size;
    take(r, "", "wpe.weight", h->n_ctx, c);
    for (size_t k = 0; k < N_KINDS; k++) {
        for (int64_t layer = 0; layer < h->n_layer; layer++) {
            char prefix[16];
            snprintf(prefix, sizeof prefix, "h.%d.", (int)layer);
            struct tensor *t = take(r, prefix, kinds[k].name, kinds[k].out * c, kinds[k].in * c);
            if (kinds[k].in)
                tensors_turn(t);
        }
    }
    take(r, "", "ln_f.weight", c, 0);
    take(r, "", "ln_f.bias", c, 0);
}

static bool parse(struct llmc_reader *r, const unsigned char *bytes, size_t n_bytes) {
    struct llmc_header h = {0};
    if (!read_header(&h, bytes, n_bytes, r->name, r->err))
        return false;
    r->size = h.version == 3 ? 4 : 2;
    r->dtype = h.version == 3 ? "F32" : "BF16";
    const uint64_t expected = HEADER_SIZE + count_elements(&h) * r->size;
    if (expected != n_bytes)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: expected %" PRIu64 " bytes by its header, found %zu: %s", r->name,
                         expected, n_bytes,
                         n_bytes < expected ? "the file is truncated" : "not of this version");
    const size_t count = 4 + N_KINDS * (size_t)h.n_layer;
    r->out->items = os_alloc(count, sizeof *r->out->items, "the table of tensors", r->err);
    r->names = r->out->storage = os_alloc(count, NAME_SIZE, "tensor names", r->err);
    r->at = bytes + HEADER_SIZE;
    if (!r->out->items || !r->names)
        return false;
    take_all(r, &h);
    return write_config(r->out, &h, r->err);
}

bool llmc_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                struct gpt2_error *err) {
    *out = (struct tensors){0};
    if (!(out->path = strdup(name)))
        return error_memory(err, "a path", strlen(name) + 1);
    struct llmc_reader r = {.out = out, .name = out->path, .err = err};
    if (parse(&r, bytes, n_bytes))
        return true;
    tensors_close(out);
    return false;
}

const struct container container_llmc = {
    .what = "a model of llm.c",
    .name = "llm.c",
    .names = CONTAINER_NAMES("gpt2_124M.bin", "gpt2_124M_bf16.bin"),
    .config = CONFIG_INSIDE,
    .recognise = recognise,
    .parse = llmc_parse,
    .tokenizer = llmc_tokenizer,
};
