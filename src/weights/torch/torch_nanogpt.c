/* torch_nanogpt.c - configuration and missing biases of a nanoGPT checkpoint. */
#include "weights/torch/torch_nanogpt.h"
#include "base/error_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The integer model_args[key]. */
static bool read_arg(int64_t *value_out, const struct tensors *out, const struct pickle *p,
                     const struct pickle_value *args, const char *key, struct gpt2_error *err) {
    const struct pickle_value *value = pickle_get(p, args, key);
    if (!value || value->kind != PICKLE_INT)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: model_args: \"%s\": expected an integer, found %s", out->path, key,
                         value ? pickle_kind_name(value) : "none");
    *value_out = value->integer;
    return true;
}

/* The activation is GELU by the error function (nn.GELU()), whatever the weights began as. */
bool torch_nanogpt_config(struct tensors *out, const struct pickle *p,
                          const struct pickle_value *args, struct gpt2_error *err) {
    int64_t n_layer = 0, n_head = 0, n_embd = 0, n_ctx = 0, n_vocab = 0;
    if (!read_arg(&n_layer, out, p, args, "n_layer", err) ||
        !read_arg(&n_head, out, p, args, "n_head", err) ||
        !read_arg(&n_embd, out, p, args, "n_embd", err) ||
        !read_arg(&n_ctx, out, p, args, "block_size", err) ||
        !read_arg(&n_vocab, out, p, args, "vocab_size", err))
        return false;
    const size_t size = 400;
    if (!(out->config = malloc(size)))
        return error_memory(err, "the configuration", size);
    snprintf(out->config, size,
             "{\"model_type\": \"gpt2\", \"n_layer\": %" PRId64 ", \"n_head\": %" PRId64
             ", \"n_embd\": %" PRId64 ", \"n_positions\": %" PRId64 ", \"vocab_size\": %" PRId64
             ", \"activation_function\": \"gelu\"}",
             n_layer, n_head, n_embd, n_ctx, n_vocab);
    out->config_len = strlen(out->config);
    out->config_name = "configuration";
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool wants_bias(const char *name) {
    return torch_is_linear(name) || torch_ends_with(name, ".ln_1.weight") ||
           torch_ends_with(name, ".ln_2.weight") || torch_ends_with(name, "ln_f.weight");
}

/* The name of the bias that belongs to a weight. */
static void bias_name(char bias[TORCH_MAX_NAME + 1], const char *weight) {
    const size_t n = strlen(weight) - strlen("weight");
    memcpy(bias, weight, n);
    strcpy(bias + n, "bias");
}

/* Biases of zeros for what has none, all views of one stretch of zeros. */
bool torch_nanogpt_biases(struct tensors *out, struct gpt2_error *err) {
    const size_t count = out->count;
    size_t n_missing = 0, n_zeros = 0;
    const char **names = tensors_alloc(out, count, sizeof *names, "tensor names", err);
    char(*added)[TORCH_MAX_NAME + 1] =
        tensors_alloc(out, count, sizeof *added, "tensor names", err);
    struct tensor *items = os_alloc(2 * count, sizeof *items, "the table of tensors", err);
    if (!names || !added || !items) {
        os_free(items);
        return false;
    }
    memcpy(items, out->items, count * sizeof *items);
    os_free(out->items);
    out->items = items;
    for (size_t i = 0; i < count; i++)
        names[i] = items[i].name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = &items[i];
        const char *bias = added[n_missing];
        if (t->rank < 1 || !wants_bias(t->name))
            continue;
        bias_name(added[n_missing], t->name);
        if (bsearch(&bias, names, count, sizeof *names, by_name))
            continue;
        const int64_t size = t->shape[t->rank - 1];
        items[count + n_missing++] = (struct tensor){.name = bias,
                                                     .dtype = "F32",
                                                     .rank = 1,
                                                     .shape = {size},
                                                     .n_bytes = (size_t)size * sizeof(float)};
        n_zeros = (size_t)size > n_zeros ? (size_t)size : n_zeros;
    }
    const float *zeros = tensors_alloc(out, n_zeros, sizeof *zeros, "biases", err);
    for (size_t i = 0; zeros && i < n_missing; i++)
        items[count + i].data = zeros;
    out->count += zeros ? n_missing : 0;
    return zeros != NULL;
}
