/* tensors.c - what owns the memory and the mappings of a table of tensors. */
#include "weights/tensors.h"
#include "base/error_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool tensors_open(struct tensors *out, const char *path, tensors_parse *parse,
                  struct gpt2_error *err) {
    struct os_file file;
    *out = (struct tensors){0};
    if (!os_map(&file, path, GPT2_ERR_MODEL, err))
        return false;
    if (!parse(out, file.data, file.size, path, err)) {
        os_unmap(&file);
        return false;
    }
    out->file = file;
    return true;
}

const struct os_file *tensors_map(struct tensors *tensors, const char *path,
                                  struct gpt2_error *err) {
    const size_t size = (tensors->n_more + 1) * sizeof *tensors->more;
    struct os_file *grown = realloc(tensors->more, size);
    if (!grown) {
        error_memory(err, "the list of files", size);
        return NULL;
    }
    tensors->more = grown;
    struct os_file *file = &grown[tensors->n_more];
    if (!os_map(file, path, GPT2_ERR_MODEL, err))
        return NULL;
    tensors->n_more++;
    return file;
}

bool tensors_adopt(struct tensors *tensors, void *memory, struct gpt2_error *err) {
    const size_t list_size = (tensors->n_copies + 1) * sizeof *tensors->copies;
    void **grown = realloc(tensors->copies, list_size);
    if (!grown)
        return error_memory(err, "the list of copies", list_size);
    tensors->copies = grown;
    grown[tensors->n_copies++] = memory;
    return true;
}

void *tensors_alloc(struct tensors *tensors, size_t count, size_t size, const char *what,
                    struct gpt2_error *err) {
    void *memory = os_alloc(count, size, what, err);
    if (memory && tensors_adopt(tensors, memory, err))
        return memory;
    os_free(memory);
    return NULL;
}

#define TILE 16 /* rows and columns at a time, so that both sides stay in the first cache */

/* out[b][a] = in[a][b] for elements of `size` bytes. */
static void transpose(unsigned char *out, const unsigned char *in, size_t rows, size_t cols,
                      size_t size) {
    for (size_t i0 = 0; i0 < rows; i0 += TILE)
        for (size_t k0 = 0; k0 < cols; k0 += TILE)
            for (size_t k = k0; k < cols && k < k0 + TILE; k++)
                for (size_t i = i0; i < rows && i < i0 + TILE; i++)
                    memcpy(out + (k * rows + i) * size, in + (i * cols + k) * size, size);
}

bool tensors_transpose(struct tensors *tensors, struct tensor *matrix, struct gpt2_error *err) {
    const size_t rows = (size_t)matrix->shape[0], cols = (size_t)matrix->shape[1];
    unsigned char *copy = tensors_alloc(tensors, matrix->n_bytes, 1, "a transposed matrix", err);
    if (!copy)
        return false;
    if (matrix->n_bytes) {
        const size_t size = matrix->n_bytes / (rows * cols);
        if (size == 4) // constants: memcpy becomes a move
            transpose(copy, matrix->data, rows, cols, 4);
        else if (size == 2)
            transpose(copy, matrix->data, rows, cols, 2);
        else
            transpose(copy, matrix->data, rows, cols, size);
    }
    matrix->data = copy;
    matrix->shape[0] = (int64_t)cols;
    matrix->shape[1] = (int64_t)rows;
    return true;
}

void tensors_close(struct tensors *tensors) {
    os_unmap(&tensors->file);
    for (size_t i = 0; i < tensors->n_more; i++)
        os_unmap(&tensors->more[i]);
    for (size_t i = 0; i < tensors->n_copies; i++)
        os_free(tensors->copies[i]);
    free(tensors->more);
    free(tensors->copies);
    free(tensors->config);
    os_free(tensors->items);
    os_free(tensors->storage);
    free((void *)(uintptr_t)tensors->path);
    *tensors = (struct tensors){0};
}
