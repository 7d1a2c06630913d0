/* quantize_panel.c - grids chosen by error, then integers.
 *
 * A group is GROUP inputs of PANEL outputs. Every output has a grid of its own there, but all
 * outputs are worked on side by side, in loops over [PANEL] that compilers turn into vectors. */
#include "model/quantize_panel.h"

#include <math.h>
#include <string.h>

/* One group and the best grid so far of each output. */
struct group {
    float w[GROUP][PANEL];   /* zeros where inputs or outputs are filled up */
    float importance[GROUP]; /* 0 where inputs are filled up                */
    int n_inputs;
    float scale[PANEL], min[PANEL]; /* values that an f16 has */
    float error[PANEL];
};

/* To the nearest integer, ties to even, for |x| < 2^22: the sum has no bits for fractions. */
static inline float to_integer(float x) {
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

static inline float limit(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

static float to_half(float x) {
    return dtype_f16_to_f32(dtype_f32_to_f16(x));
}

static float inverse(float scale) {
    return scale != 0 ? 1 / scale : 0;
}

/* The integer of a weight on its output's grid. */
static inline float integer_of(float w, float per_scale, float min, float least, float most) {
    return limit(to_integer(limit((w - min) * per_scale, -0x1p20f, 0x1p20f)), least, most);
}

static float least_integer(enum dtype type) {
    return type == DTYPE_Q8 ? -127 : 0;
}

static float most_integer(enum dtype type) {
    return type == DTYPE_Q8 ? 127 : 15;
}

/* Takes the grids that have less error than the best so far. With `sums`, also gathers what a
 * refit needs: importance-weighted sums of q, q^2 and q w over the group. */
struct sums {
    float q[PANEL], qq[PANEL], qw[PANEL];
};

static void try_grid(struct group *g, enum dtype type, const float *scale, const float *min,
                     struct sums *sums) {
    float least = least_integer(type), most = most_integer(type);
    float per_scale[PANEL], error[PANEL] = {0};
    for (int c = 0; c < PANEL; c++)
        per_scale[c] = inverse(scale[c]);
    memset(sums, 0, sizeof *sums);
    for (int k = 0; k < g->n_inputs; k++) {
        float importance = g->importance[k];
        for (int c = 0; c < PANEL; c++) {
            float w = g->w[k][c];
            float q = integer_of(w, per_scale[c], min[c], least, most);
            float off = (q * scale[c] + min[c]) - w;
            error[c] += importance * off * off;
            sums->q[c] += importance * q;
            sums->qq[c] += importance * q * q;
            sums->qw[c] += importance * q * w;
        }
    }
    for (int c = 0; c < PANEL; c++) {
        if (error[c] < g->error[c]) {
            g->error[c] = error[c];
            g->scale[c] = scale[c];
            g->min[c] = min[c];
        }
    }
}

/* Scales next to max / 127 in f16: one a little larger, so that nothing is cut off, and smaller
 * ones, whose finer steps may outweigh what they cut off. */
static void choose_q8(struct group *g) {
    float scale[PANEL], min[PANEL] = {0};
    int base[PANEL];
    struct sums sums;
    for (int c = 0; c < PANEL; c++) {
        float max = 0;
        for (int k = 0; k < g->n_inputs; k++)
            max = fmaxf(max, fabsf(g->w[k][c]));
        base[c] = dtype_f32_to_f16(max / 127);
        scale[c] = dtype_f16_to_f32((uint16_t)base[c]);
    }
    try_grid(g, DTYPE_Q8, scale, min, &sums);
    for (int step = 1; step >= -8; step--) {
        for (int c = 0; c < PANEL; c++) {
            int bits = base[c] + step;
            scale[c] = dtype_f16_to_f32((uint16_t)(base[c] == 0 || bits < 0 ? 0 : bits));
        }
        try_grid(g, DTYPE_Q8, scale, min, &sums);
    }
}

/* Ranges from all of least..most down to a part of it, each followed by the grid that fits its
 * integers best (weighted least squares). */
#define RANGES 9
#define REFITS 2

static void choose_q4(struct group *g) {
    float low[PANEL], high[PANEL], scale[PANEL], min[PANEL], sum_w[PANEL] = {0};
    struct sums sums;
    float sum = 0;
    for (int c = 0; c < PANEL; c++)
        low[c] = high[c] = g->w[0][c];
    for (int k = 0; k < g->n_inputs; k++) {
        sum += g->importance[k];
        for (int c = 0; c < PANEL; c++) {
            low[c] = fminf(low[c], g->w[k][c]);
            high[c] = fmaxf(high[c], g->w[k][c]);
            sum_w[c] += g->importance[k] * g->w[k][c];
        }
    }
    for (int range = 0; range < RANGES; range++) {
        float part = 1 - 0.05f * (float)range;
        for (int c = 0; c < PANEL; c++) {
            float width = (high[c] - low[c]) * part;
            scale[c] = to_half(width / 15);
            min[c] = to_half((low[c] + high[c] - width) * 0.5f);
        }
        try_grid(g, DTYPE_Q4, scale, min, &sums);
        for (int refit = 0; refit < REFITS; refit++) {
            for (int c = 0; c < PANEL; c++) {
                float det = sum * sums.qq[c] - sums.q[c] * sums.q[c];
                if (det > 0) {
                    float fit = (sum * sums.qw[c] - sums.q[c] * sum_w[c]) / det;
                    scale[c] = to_half(fit);
                    min[c] = to_half((sum_w[c] - scale[c] * sums.q[c]) / sum);
                }
            }
            try_grid(g, DTYPE_Q4, scale, min, &sums);
        }
    }
}

static void store_half(unsigned char *at, float value) {
    uint16_t bits = dtype_f32_to_f16(value);
    memcpy(at, &bits, sizeof bits);
}

/* Writes the group's grids and integers in the order of panels.h. */
static void store(unsigned char *out, const struct group *g, enum dtype type) {
    float least = least_integer(type), most = most_integer(type);
    for (int c = 0; c < PANEL; c++) {
        store_half(out + 2 * c, g->scale[c]);
        if (type == DTYPE_Q4)
            store_half(out + 2 * (PANEL + c), g->min[c]);
    }
    out += type == DTYPE_Q4 ? 4 * PANEL : 2 * PANEL;
    memset(out, type == DTYPE_Q8 ? 128 : 0, (size_t)PANEL * GROUP / (type == DTYPE_Q4 ? 2 : 1));
    for (int c = 0; c < PANEL; c++) {
        float per_scale = inverse(g->scale[c]);
        for (int k = 0; k < g->n_inputs; k++) {
            int q = (int)integer_of(g->w[k][c], per_scale, g->min[c], least, most);
            int step = k / 4;
            if (type == DTYPE_Q8)
                out[(step * PANEL + c) * 4 + k % 4] = (unsigned char)(q + 128);
            else if (step < GROUP / 8)
                out[(step * PANEL + c) * 4 + k % 4] |= (unsigned char)q;
            else
                out[((step - GROUP / 8) * PANEL + c) * 4 + k % 4] |= (unsigned char)(q << 4);
        }
    }
}

bool quantize_panel(void *panel, enum dtype type, const float *w, size_t ws, int K, int n,
                    const float *importance) {
    for (int k = 0; k < K; k++)
        for (int c = 0; c < n; c++)
            if (!(fabsf(w[(size_t)k * ws + (size_t)c]) <= QUANTIZE_PANEL_MAX))
                return false;
    struct group g;
    unsigned char *out = panel;
    for (int first = 0; first < K; first += GROUP) {
        g.n_inputs = K - first < GROUP ? K - first : GROUP;
        memset(g.w, 0, sizeof g.w);
        for (int k = 0; k < g.n_inputs; k++) {
            memcpy(g.w[k], w + (size_t)(first + k) * ws, (size_t)n * sizeof *w);
            g.importance[k] = importance ? importance[first + k] : 1;
        }
        for (int c = 0; c < PANEL; c++)
            g.error[c] = INFINITY;
        if (type == DTYPE_Q8)
            choose_q8(&g);
        else
            choose_q4(&g);
        store(out, &g, type);
        out += type == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
    }
    return true;
}
