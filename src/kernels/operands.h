/* operands.h - the operands of a product, as the templates pass them. */
#ifndef KERNELS_OPERANDS_H
#define KERNELS_OPERANDS_H

#include "kernels/always_inline.h"
#include "kernels/panels.h"
#include <stddef.h>

/* Rows of y: element (r, c) is p[r * stride + c]. */
struct y_rows {
    float *p;
    size_t stride;
};

/* Rows of x: element (r, k) is p[r * stride + k]. */
struct x_rows {
    const float *p;
    size_t stride;
};

/* Panels of weights; distances are in bytes. `stride` is that from one k to the next within a panel
 * (quantized: from one group of them to the next), `next` that from one panel to the next. */
struct panels {
    const char *w;
    size_t stride, next;
};

/* Where column c of an element type of `size` bytes begins, from column 0. */
ALWAYS_INLINE size_t column_at(struct panels w, int c, size_t size) {
    return (size_t)(c / PANEL) * w.next + (size_t)(c % PANEL) * size;
}

/* The same operands from row r and column c, or row r and step k, or step k and column c on. */
ALWAYS_INLINE struct y_rows y_from(struct y_rows y, int r, int c) {
    return (struct y_rows){y.p + ((size_t)r * y.stride + (size_t)c), y.stride};
}

ALWAYS_INLINE struct x_rows x_from(struct x_rows x, int r, int k) {
    return (struct x_rows){x.p + ((size_t)r * x.stride + (size_t)k), x.stride};
}

ALWAYS_INLINE struct panels panels_from(struct panels w, int k, int c, size_t size) {
    return (struct panels){w.w + (size_t)k * w.stride + column_at(w, c, size), w.stride, w.next};
}

#endif
