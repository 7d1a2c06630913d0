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

/* ---- turning ---- */

/* Squares of N x N elements are turned in vectors of 16 bytes, which every 64-bit CPU has: the rows
 * i and i + N/2 are zipped, log2(N) times over. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define ZIP(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef ZIP
#define ZIP(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif

typedef uint32_t words __attribute__((vector_size(16)));
typedef uint16_t halves __attribute__((vector_size(16)));

#define WORDS_LOW(a, b)   ZIP(words, a, b, 0, 4, 1, 5)
#define WORDS_HIGH(a, b)  ZIP(words, a, b, 2, 6, 3, 7)
#define HALVES_LOW(a, b)  ZIP(halves, a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HALVES_HIGH(a, b) ZIP(halves, a, b, 4, 12, 5, 13, 6, 14, 7, 15)

/* turn_NAME: the square at from, whose rows are `stride` bytes apart, to a panel. */
#define TURN_SQUARE(name, vec, N, rounds, LOW, HIGH)                                       \
    static inline void name(unsigned char *to, const unsigned char *from, size_t stride) { \
        const size_t size = sizeof(vec) / (N);                                             \
        vec a[N], b[N];                                                                    \
        for (size_t i = 0; i < (N); i++)                                                   \
            memcpy(&a[i], from + i * stride, sizeof a[i]);                                 \
        for (int round = 0; round < (rounds); round++) {                                   \
            for (size_t i = 0; i < (N) / 2; i++) {                                         \
                b[2 * i] = LOW(a[i], a[i + (N) / 2]);                                      \
                b[2 * i + 1] = HIGH(a[i], a[i + (N) / 2]);                                 \
            }                                                                              \
            memcpy(a, b, sizeof a);                                                        \
        }                                                                                  \
        for (size_t i = 0; i < (N); i++)                                                   \
            memcpy(to + i * PANEL * size, &a[i], sizeof a[i]);                             \
    }
TURN_SQUARE(turn_words, words, 4, 2, WORDS_LOW, WORDS_HIGH)
TURN_SQUARE(turn_halves, halves, 8, 3, HALVES_LOW, HALVES_HIGH)

/* Inputs in a block: a cache line of each output is read once, and the block of the panel stays in
 * the first cache. */
#define TURN 16

static inline void turn_block(unsigned char *to, const unsigned char *from, size_t stride,
                              size_t size) {
    const size_t n = 16 / size; // elements of a vector
    for (size_t c = 0; c < PANEL; c += n)
        for (size_t k = 0; k < TURN; k += n) {
            unsigned char *square = to + (k * PANEL + c) * size;
            const unsigned char *at = from + c * stride + k * size;
            size == 4 ? turn_words(square, at, stride) : turn_halves(square, at, stride);
        }
}

/* What is no whole block. */
static void turn_rest(unsigned char *to, const unsigned char *from, size_t stride, size_t size,
                      int n_k, int n) {
    for (int c = 0; c < n; c++, from += stride)
        for (int k = 0; k < n_k; k++)
            memcpy(to + (size_t)(k * PANEL + c) * size, from + (size_t)k * size, size);
}

void panels_turn(void *panel, const void *from, size_t stride, size_t size, int n_k, int n) {
    assert(size == 4 || size == 2);
    unsigned char *to = panel;
    const unsigned char *at = from;
    for (int k = 0; k < n_k; k += TURN, to += TURN * PANEL * size, at += TURN * size) {
        if (n_k - k < TURN || n < PANEL)
            turn_rest(to, at, stride, size, n_k - k < TURN ? n_k - k : TURN, n);
        else // the size becomes a constant
            size == 4 ? turn_block(to, at, stride, 4) : turn_block(to, at, stride, 2);
    }
}
