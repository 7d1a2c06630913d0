/* panels.c - a panel from outputs that lie one after the other; the weights of one of its outputs.
 */
#include "kernels/panels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Element i of the scales or mins that begin a group. */
static float scale_at(const unsigned char *at, struct panel_form form, int i) {
    float value;
    uint16_t bits;
    at += i * form.scale_bytes;
    if (form.scale_bytes == PANEL_F32) {
        memcpy(&value, at, sizeof value);
        return value;
    }
    memcpy(&bits, at, sizeof bits);
    return dtype_f16_to_f32(bits);
}

/* Integer i of a group; w: the first byte of the output. */
static int integer_at(const unsigned char *w, struct panel_form form, int i) {
    if (form.bits == 8)
        return w[i / 4 * PANEL * 4 + i % 4] - 128;
    int step = i / 4 % (form.group / 8), shift = i < form.group / 2 ? 0 : 4;
    return (w[step * PANEL * 4 + i % 4] >> shift & 15) - (form.mins ? 0 : 8);
}

void panels_column(float *out, const void *panel, enum dtype dtype, int column, int K) {
    const unsigned char *group = panel;
    if (!dtype_is_quantized(dtype)) {
        size_t size = dtype_size(dtype);
        for (int k = 0; k < K; k++)
            dtype_to_f32(out + k, group + ((size_t)k * PANEL + (size_t)column) * size, dtype, 1);
        return;
    }
    const struct panel_form form = panel_form(dtype);
    for (int k = 0; k < K; k += form.group, group += panel_form_bytes(form)) {
        int n = K - k < form.group ? K - k : form.group;
        float scale = scale_at(group, form, column);
        float min = form.mins ? scale_at(group, form, PANEL + column) : 0;
        const unsigned char *w = group + panel_form_head(form) + 4 * column;
        for (int i = 0; i < n; i++) {
            float integer = (float)integer_at(w, form, i);
            out[k + i] = form.mins ? fmaf(integer, scale, min) : integer * scale;
        }
    }
}

float panels_weight(const void *panel, enum dtype dtype, int column, int k) {
    const struct panel_form form = panel_form(dtype);
    const unsigned char *group =
        (const unsigned char *)panel + (size_t)(k / form.group) * panel_form_bytes(form);
    const unsigned char *w = group + panel_form_head(form) + 4 * column;
    const float integer = (float)integer_at(w, form, k % form.group),
                scale = scale_at(group, form, column);
    return form.mins ? fmaf(integer, scale, scale_at(group, form, PANEL + column))
                     : integer * scale;
}

/* Inputs in a block: a cache line of each output is read once, and the block of the panel stays in
 * the first cache. */
#define TURN 16

/* One block for a constant size. */
static inline void turn_block(unsigned char *to, const unsigned char *from, size_t stride,
                              size_t size, int n_k, int n) {
    for (int c = 0; c < n; c++, from += stride)
        for (int k = 0; k < n_k; k++)
            memcpy(to + (size_t)(k * PANEL + c) * size, from + (size_t)k * size, size);
}

void panels_turn(void *panel, const void *from, size_t stride, size_t size, int n_k, int n) {
    assert(size == 4 || size == 2);
    unsigned char *to = panel;
    const unsigned char *at = from;
    for (int k = 0; k < n_k; k += TURN, to += TURN * PANEL * size, at += TURN * size) {
        if (n_k - k < TURN || n < PANEL) // memcpy becomes a move where sizes are constants
            size == 4 ? turn_block(to, at, stride, 4, n_k - k < TURN ? n_k - k : TURN, n)
                      : turn_block(to, at, stride, 2, n_k - k < TURN ? n_k - k : TURN, n);
        else if (size == 4)
            turn_block(to, at, stride, 4, TURN, PANEL);
        else
            turn_block(to, at, stride, 2, TURN, PANEL);
    }
}
