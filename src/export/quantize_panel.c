/* quantize_panel.c - grids chosen by error, then integers.
 *
 * A group is GROUP inputs of PANEL outputs. Every output has a grid of its own there, but all
 * outputs are worked on side by side, in loops over [PANEL] that compilers turn into vectors. */
#include "export/quantize_panel.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* One group and the best grid so far of each output. */
struct group {
    float w[GROUP][PANEL];       /* zeros where outputs are filled up                       */
    float carried[GROUP][PANEL]; /* w[k] + carry w: what the metric makes of all of w       */
    const struct error_metric *metric;
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

/* y[0..PANEL) += sum over i < n of carry[i] * x[i][0..PANEL) */
static void add_carried(float *y, const float *carry, float x[][PANEL], int n) {
    for (int i = 0; i < n; i++)
        for (int c = 0; c < PANEL; c++)
            y[c] += carry[i] * x[i][c];
}

/* Weighted sums over the inputs of a group, for the least squares of a refit: with b what the
 * metric makes of the integers, a of the weights and o of 1, those of b b, b o, b a. */
struct panel_sums {
    float bb[PANEL], bo[PANEL], ba[PANEL];
};

/* The integers of a group on these grids, one input after the other, and their error. `q` and
 * `sums` may be NULL. */
static void round_group(const struct group *g, enum dtype type, const float *scale,
                        const float *min, float *error, signed char q[][PANEL],
                        struct panel_sums *sums) {
    const float least = least_integer(type), most = most_integer(type);
    const struct error_metric *metric = g->metric;
    float per_scale[PANEL], e[GROUP][PANEL];
    for (int c = 0; c < PANEL; c++)
        per_scale[c] = inverse(scale[c]);
    memset(error, 0, PANEL * sizeof *error);
    if (sums)
        memset(sums, 0, sizeof *sums);
    for (int k = 0; k < g->n_inputs; k++) {
        const float weight = metric->weight[k], one = metric->ones[k];
        float target[PANEL];
        memcpy(target, g->w[k], sizeof target);
        add_carried(target, metric->carry[k], e, k < metric->n_carry ? k : 0);
        for (int c = 0; c < PANEL; c++) {
            float integer = integer_of(target[c], per_scale[c], min[c], least, most);
            float value = integer * scale[c] + min[c];
            float off = target[c] - value;
            e[k][c] = g->w[k][c] - value;
            error[c] += weight * off * off;
            if (q)
                q[k][c] = (signed char)integer;
            if (sums) {
                float a = g->carried[k][c], b = ((a - off) - min[c] * one) * per_scale[c];
                sums->bb[c] += weight * b * b;
                sums->bo[c] += weight * b * one;
                sums->ba[c] += weight * b * a;
            }
        }
    }
}

/* Takes the grids that have less error than the best so far. */
static void try_grid(struct group *g, enum dtype type, const float *scale, const float *min,
                     struct panel_sums *sums) {
    float error[PANEL];
    round_group(g, type, scale, min, error, NULL, sums);
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
    for (int c = 0; c < PANEL; c++) {
        float max = 0;
        for (int k = 0; k < g->n_inputs; k++)
            max = fmaxf(max, fabsf(g->w[k][c]));
        base[c] = dtype_f32_to_f16(max / 127);
        scale[c] = dtype_f16_to_f32((uint16_t)base[c]);
    }
    try_grid(g, DTYPE_Q8, scale, min, NULL);
    for (int step = 1; step >= -8; step--) {
        for (int c = 0; c < PANEL; c++) {
            int bits = base[c] + step;
            scale[c] = dtype_f16_to_f32((uint16_t)(base[c] == 0 || bits < 0 ? 0 : bits));
        }
        try_grid(g, DTYPE_Q8, scale, min, NULL);
    }
}

/* Ranges from all of least..most down to a part of it, each followed by the grid that fits its
 * integers best (weighted least squares). */
#define RANGES 9
#define REFITS 2

static void choose_q4(struct group *g) {
    float low[PANEL], high[PANEL], scale[PANEL], min[PANEL], oa[PANEL] = {0}, oo = 0;
    struct panel_sums sums;
    for (int c = 0; c < PANEL; c++)
        low[c] = high[c] = g->w[0][c];
    for (int k = 0; k < g->n_inputs; k++) {
        const float one = g->metric->weight[k] * g->metric->ones[k];
        oo += one * g->metric->ones[k];
        for (int c = 0; c < PANEL; c++) {
            low[c] = fminf(low[c], g->w[k][c]);
            high[c] = fmaxf(high[c], g->w[k][c]);
            oa[c] += one * g->carried[k][c];
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
                float det = oo * sums.bb[c] - sums.bo[c] * sums.bo[c];
                if (det > 0) {
                    float fit = (oo * sums.ba[c] - sums.bo[c] * oa[c]) / det;
                    scale[c] = to_half(fit);
                    min[c] = to_half((oa[c] - scale[c] * sums.bo[c]) / oo);
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
    for (int c = 0; c < PANEL; c++) {
        store_half(out + 2 * c, g->scale[c]);
        if (type == DTYPE_Q4)
            store_half(out + 2 * (PANEL + c), g->min[c]);
    }
    out += type == DTYPE_Q4 ? 4 * PANEL : 2 * PANEL;
    memset(out, type == DTYPE_Q8 ? 128 : 0, (size_t)PANEL * GROUP / (type == DTYPE_Q4 ? 2 : 1));
    float error[PANEL];
    signed char q[GROUP][PANEL];
    round_group(g, type, g->scale, g->min, error, q, NULL);
    for (int k = 0; k < g->n_inputs; k++) {
        for (int c = 0; c < PANEL; c++) {
            int step = k / 4;
            if (type == DTYPE_Q8)
                out[(step * PANEL + c) * 4 + k % 4] = (unsigned char)(q[k][c] + 128);
            else if (step < GROUP / 8)
                out[(step * PANEL + c) * 4 + k % 4] |= (unsigned char)q[k][c];
            else
                out[((step - GROUP / 8) * PANEL + c) * 4 + k % 4] |= (unsigned char)(q[k][c] << 4);
        }
    }
}

bool quantize_panel(void *panel, enum dtype type, const float *w, size_t ws, int K, int n,
                    const struct error_metric *metrics) {
    assert(n <= PANEL);
    for (int k = 0; k < K; k++)
        for (int c = 0; c < n; c++)
            if (!(fabsf(w[(size_t)k * ws + (size_t)c]) <= QUANTIZE_PANEL_MAX))
                return false;
    struct error_metric plain;
    struct group g;
    unsigned char *out = panel;
    for (int first = 0; first < K; first += GROUP) {
        g.n_inputs = K - first < GROUP ? K - first : GROUP;
        if (!metrics)
            error_metric_plain(&plain, g.n_inputs);
        g.metric = metrics ? &metrics[first / GROUP] : &plain;
        memset(g.w, 0, sizeof g.w);
        for (int k = 0; k < g.n_inputs; k++)
            memcpy(g.w[k], w + (size_t)(first + k) * ws, (size_t)n * sizeof *w);
        for (int k = 0; k < g.n_inputs; k++) {
            memcpy(g.carried[k], g.w[k], sizeof g.w[k]);
            add_carried(g.carried[k], g.metric->carry[k], g.w, k < g.metric->n_carry ? k : 0);
        }
        for (int c = 0; c < PANEL; c++)
            g.error[c] = INFINITY;
        if (type == DTYPE_Q8)
            choose_q8(&g);
        else
            choose_q4(&g);
        store(out, &g, type);
        out += panel_group_bytes(type);
    }
    return true;
}
