/* torch.c - from the pickle of a state dict to the table of tensors.
 *
 * A tensor is _rebuild_tensor_v2(storage, offset, shape, strides, ...), a view: element (i, j) is
 * element offset + i * strides[0] + j * strides[1] of the storage. A view that is row-major is used
 * where it lies; a transposed one, or any other that names no element twice, is copied in order.
 *
 * nanoGPT's linear layers are torch's, [out, in]; Hugging Face's are [in, out]. Both kinds of file
 * have the same names, so the shape of attn.c_attn decides: 3 n_embd are its outputs. Without
 * "bias", nanoGPT has none at all: those are zeros here. */
#include "weights/torch/torch.h"
#include "base/error_internal.h"
#include "weights/torch/torch_file.h"
#include "weights/torch/torch_nanogpt.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 100000u

/* What a tensor is before its data is put in order. */
struct torch_view {
    const struct torch_storage *storage;
    uint64_t offset; /* elements */
    int rank;
    int64_t shape[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK]; /* elements */
};

struct torch_reader {
    struct tensors *out;
    struct torch_file file;
    struct torch_view *views; /* [out->count] */
    size_t n_bytes;           /* of the file          */
    size_t n_copied;          /* of them, put in order */
    const char *name;
    struct gpt2_error *err;
};

/* NAME: tensor "...": ... */
__attribute__((format(printf, 3, 4))) static bool refuse(const struct torch_reader *r,
                                                         const char *tensor, const char *format,
                                                         ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(r->err, GPT2_ERR_MODEL, "%s: tensor \"%s\": %s", r->name, tensor, text);
}

/* ---- one tensor of the pickle ---- */

/* A tuple of at most TENSOR_MAX_RANK integers from 0. torch.Size((...)) counts as one. */
static bool read_sizes(int64_t *out, int *n, const struct torch_reader *r,
                       const struct pickle_value *tuple) {
    const struct pickle *p = &r->file.pickle;
    if (tuple && tuple->kind == PICKLE_CALL && tuple->global == TORCH_SIZE)
        tuple = pickle_item(p, pickle_item(p, tuple, 0), 0);
    if (!tuple || tuple->kind != PICKLE_TUPLE || tuple->len > TENSOR_MAX_RANK)
        return false;
    *n = 0;
    for (const struct pickle_cell *c = pickle_first(p, tuple); c; c = pickle_next(p, c)) {
        const struct pickle_value *size = &p->values[c->value];
        if (size->kind != PICKLE_INT || size->integer < 0)
            return false;
        out[(*n)++] = size->integer;
    }
    return true;
}

/* Every element lies in the storage, and there are not more of them than the storage has: a view
 * may stretch one element over any shape, which no weights do. */
static bool check_bounds(const struct torch_reader *r, const char *name,
                         const struct torch_view *v) {
    uint64_t count = 1, last = v->offset, step;
    bool overflow = false;
    for (int i = 0; i < v->rank; i++)
        overflow |= __builtin_mul_overflow(count, (uint64_t)v->shape[i], &count);
    for (int i = 0; i < v->rank && count > 0; i++) {
        overflow |=
            __builtin_mul_overflow((uint64_t)v->shape[i] - 1, (uint64_t)v->strides[i], &step);
        overflow |= __builtin_add_overflow(last, step, &last);
    }
    if (overflow)
        return refuse(r, name, "its number of elements overflows");
    if (count > 0 ? last >= v->storage->count : v->offset > v->storage->count)
        return refuse(r, name,
                      "its last element is number %" PRIu64 " of a storage that has %" PRIu64, last,
                      v->storage->count);
    return count <= v->storage->count ||
           refuse(r, name, "%" PRIu64 " elements are a view of only %" PRIu64, count,
                  v->storage->count);
}

static bool read_view(struct torch_view *v, const struct torch_reader *r, const char *name,
                      const struct pickle_value *value) {
    const struct pickle *p = &r->file.pickle;
    if (value->kind == PICKLE_CALL && value->global == TORCH_REBUILD_PARAMETER) {
        const struct pickle_value *data = pickle_item(p, pickle_item(p, value, 0), 0);
        if (data)
            value = data; // once: a parameter of a parameter is none
    }
    if (value->kind != PICKLE_CALL || value->global != TORCH_REBUILD_TENSOR) {
        refuse(r, name, "expected a tensor, found %s", pickle_kind_name(value));
        return error_hint(r->err, "expected is a state dict, or one under \"model\" or "
                                  "\"state_dict\": torch.save(model.state_dict(), ...)");
    }
    const struct pickle_value *args = pickle_item(p, value, 0);
    const struct pickle_value *offset = pickle_item(p, args, 1);
    int n_strides = 0;
    v->storage = torch_file_storage(&r->file, pickle_item(p, args, 0));
    if (!v->storage || !offset || offset->kind != PICKLE_INT || offset->integer < 0 ||
        !read_sizes(v->shape, &v->rank, r, pickle_item(p, args, 2)) ||
        !read_sizes(v->strides, &n_strides, r, pickle_item(p, args, 3)) || n_strides != v->rank)
        return refuse(r, name,
                      "expected a storage, an offset, and a shape and strides of at most "
                      "%d dimensions, found another thing",
                      TENSOR_MAX_RANK);
    v->offset = (uint64_t)offset->integer;
    return check_bounds(r, name, v);
}

/* ---- data in order ---- */

static uint64_t count_elements(const struct torch_view *v) {
    uint64_t count = 1;
    for (int i = 0; i < v->rank; i++)
        count *= (uint64_t)v->shape[i]; // check_bounds knows that it fits
    return count;
}

/* Dimensions of one element may have any stride. */
static bool is_row_major(const struct torch_view *v) {
    int64_t stride = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        if (v->shape[i] != 1 && v->strides[i] != stride)
            return false;
        stride *= v->shape[i];
    }
    return true;
}

static bool copy_in_order(struct tensor *t, const struct torch_reader *r,
                          const struct torch_view *v, uint64_t count) {
    const size_t size = v->storage->element;
    unsigned char *to = tensors_alloc(r->out, (size_t)count, size, "a tensor in order", r->err);
    if (!to)
        return false;
    int64_t index[TENSOR_MAX_RANK] = {0};
    t->data = to;
    for (uint64_t i = 0; i < count; i++, to += size) {
        uint64_t from = v->offset;
        for (int d = 0; d < v->rank; d++)
            from += (uint64_t)(index[d] * v->strides[d]);
        memcpy(to, v->storage->data + from * size, size);
        for (int d = v->rank - 1; d >= 0 && ++index[d] == v->shape[d]; d--)
            index[d] = 0;
    }
    return true;
}

static bool place(struct tensor *t, struct torch_reader *r, const struct torch_view *v) {
    const uint64_t count = count_elements(v);
    const size_t size = v->storage->element;
    t->dtype = v->storage->dtype;
    t->rank = v->rank;
    memcpy(t->shape, v->shape, sizeof t->shape);
    t->n_bytes = (size_t)count * size;
    t->data = v->storage->data + v->offset * size;
    if (count == 0 || is_row_major(v))
        return true;
    if (t->n_bytes > r->n_bytes - r->n_copied) // many views of one storage: memory without end
        return refuse(r, t->name,
                      "expected the views that are not row-major to have no more bytes "
                      "than the file");
    r->n_copied += t->n_bytes;
    if (v->rank == 2 && v->strides[0] == 1 && v->strides[1] == v->shape[0]) {
        t->shape[0] = v->shape[1]; // it lies there as the row-major other one
        t->shape[1] = v->shape[0];
        return tensors_transpose(r->out, t, r->err);
    }
    return copy_in_order(t, r, v, count);
}

/* ---- all tensors ---- */

/* Names move into one block of memory, each with a NUL after it. */
static bool read_names(const struct torch_reader *r, const struct pickle_value *dict) {
    const struct pickle *p = &r->file.pickle;
    const size_t count = dict->len / 2;
    size_t n_bytes = 0;
    if (count > MAX_TENSORS)
        return error_set(r->err, GPT2_ERR_MODEL, "%s: expected at most %u tensors, found %zu",
                         r->name, MAX_TENSORS, count);
    for (const struct pickle_cell *c = pickle_first(p, dict); c;
         c = pickle_next(p, pickle_next(p, c))) {
        const struct pickle_value *key = &p->values[c->value];
        if (key->kind != PICKLE_STRING || key->len > TORCH_MAX_NAME ||
            (key->len && memchr(key->text, 0, key->len)))
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: expected a dict of tensors by names of at most %u bytes, found "
                             "%s as a name",
                             r->name, TORCH_MAX_NAME,
                             key->kind == PICKLE_STRING ? "a longer one" : pickle_kind_name(key));
        n_bytes += key->len + 1;
    }
    r->out->items = os_alloc(count, sizeof *r->out->items, "the table of tensors", r->err);
    char *at = r->out->storage = os_alloc(n_bytes, 1, "tensor names", r->err);
    if (!r->out->items || !at)
        return false;
    for (const struct pickle_cell *c = pickle_first(p, dict); c;
         c = pickle_next(p, pickle_next(p, c))) {
        const struct pickle_value *key = &p->values[c->value];
        r->out->items[r->out->count++].name = at;
        if (key->len)
            memcpy(at, key->text, key->len);
        at += key->len + 1; // os_alloc zeroes
    }
    return true;
}

/* [out, in], as torch's own layers are. */
static bool is_out_in(const struct torch_reader *r) {
    for (size_t i = 0; i < r->out->count; i++) {
        const struct torch_view *v = &r->views[i];
        if (torch_ends_with(r->out->items[i].name, ".attn.c_attn.weight") && v->rank == 2)
            return v->shape[1] < INT64_MAX / 3 && v->shape[0] == 3 * v->shape[1];
    }
    return false;
}

static bool read_tensors(struct torch_reader *r, const struct pickle_value *dict) {
    const struct pickle *p = &r->file.pickle;
    if (!read_names(r, dict) ||
        !(r->views = os_alloc(r->out->count, sizeof *r->views, "the table of tensors", r->err)))
        return false;
    const struct pickle_cell *c = pickle_first(p, dict);
    for (size_t i = 0; i < r->out->count; i++) {
        c = pickle_next(p, c); // to the value
        if (!read_view(&r->views[i], r, r->out->items[i].name, &p->values[c->value]))
            return false;
        c = pickle_next(p, c);
    }
    const bool turn = is_out_in(r);
    for (size_t i = 0; i < r->out->count; i++) {
        struct torch_view *v = &r->views[i];
        if (turn && v->rank == 2 && torch_is_linear(r->out->items[i].name)) {
            const int64_t shape = v->shape[0], stride = v->strides[0];
            v->shape[0] = v->shape[1], v->shape[1] = shape;
            v->strides[0] = v->strides[1], v->strides[1] = stride;
        }
        if (!place(&r->out->items[i], r, v))
            return false;
    }
    return true;
}

/* ---- the object ---- */

/* The dict of tensors: what the file is, or has under one of the usual names. */
static const struct pickle_value *find_state(const struct pickle *p) {
    static const char *const keys[] = {"model", "state_dict", "model_state_dict"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct pickle_value *state = pickle_get(p, p->root, keys[i]);
        if (state && state->kind == PICKLE_DICT)
            return state;
    }
    return p->root;
}

static bool read_object(struct torch_reader *r) {
    const struct pickle *p = &r->file.pickle;
    const struct pickle_value *state = find_state(p), *args = NULL;
    if (state->kind != PICKLE_DICT) {
        error_set(r->err, GPT2_ERR_MODEL, "%s: expected a dict of tensors, found %s", r->name,
                  pickle_kind_name(state));
        return error_hint(r->err, "torch.save(model.state_dict(), ...) writes one");
    }
    if (!read_tensors(r, state))
        return false;
    if (state != p->root)
        args = pickle_get(p, p->root, "model_args");
    if (!args)
        return true;
    const struct pickle_value *bias = pickle_get(p, args, "bias");
    const bool without = bias && bias->kind == PICKLE_BOOL && !bias->integer;
    return torch_nanogpt_config(r->out, p, args, r->err) &&
           (!without || torch_nanogpt_biases(r->out, r->err));
}

bool torch_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                 struct gpt2_error *err) {
    *out = (struct tensors){0};
    if (!(out->path = strdup(name)))
        return error_memory(err, "a path", strlen(name) + 1);
    struct torch_reader r = {.out = out, .name = out->path, .n_bytes = n_bytes, .err = err};
    const bool ok = torch_file_parse(&r.file, bytes, n_bytes, r.name, err) && read_object(&r);
    os_free(r.views);
    torch_file_free(&r.file);
    if (!ok)
        tensors_close(out);
    return ok;
}

const struct container container_torch = {
    .what = "PyTorch weights",
    .name = "PyTorch (nanoGPT too)",
    .names = CONTAINER_NAMES("pytorch_model.bin", "ckpt.pt", "*.pt", "*.pth"),
    .variants = CONTAINER_NAMES("pytorch_model.*.bin"),
    .config = CONFIG_EITHER,
    .recognise = torch_file_recognise,
    .parse = torch_parse,
};
