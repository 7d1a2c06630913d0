/* operands.h - the structs in which the templates pass the operands of a product. */
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

/* Panels of weights. Within a panel, `stride` bytes lead from one k to the next (quantized: from
 * one group to the next); `next` bytes lead from one panel to the next. */
struct panels {
    const char *w;
    size_t stride, next;
};

/* The offset of column c, where an element has `size` bytes. */
ALWAYS_INLINE size_t column_at(struct panels w, int c, size_t size) {
    return (size_t)(c / PANEL) * w.next + (size_t)(c % PANEL) * size;
}

/* The same operands, beginning at the given row, column or k. */
ALWAYS_INLINE struct y_rows y_from(struct y_rows y, int r, int c) {
    return (struct y_rows){y.p + ((size_t)r * y.stride + (size_t)c), y.stride};
}

ALWAYS_INLINE struct x_rows x_from(struct x_rows x, int r, int k) {
    return (struct x_rows){x.p + ((size_t)r * x.stride + (size_t)k), x.stride};
}

ALWAYS_INLINE struct panels panels_from(struct panels w, int k, int c, size_t size) {
    return (struct panels){w.w + (size_t)k * w.stride + column_at(w, c, size), w.stride, w.next};
}

/* Where the panels are that will be read after those of n columns, which have `size` bytes each:
 * the next n columns where panels follow each other, else, as there are several streams of them,
 * the panel after the first one. */
ALWAYS_INLINE struct panels panels_after(struct panels w, int n, size_t size) {
    w.w += w.next == size ? column_at(w, n, 0) : size;
    return w;
}

#endif
