/* bench_kernels.h - `test_kernels --bench [VARIANT]`: each op of each variant, or of that one, as a
 * share of its limit.
 *
 * Arithmetic is compared with the variant's loop of fused multiply-adds, streaming with its loops
 * that only read the same buffer (kernels/peak.h). Limits and ops take turns in every round, as the
 * speed of a shared machine varies from second to second. Medians are printed. One thread. */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include "base/os.h"
#include "kernels/kernels.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_ROUNDS 7
#define BENCH_BYTES  ((size_t)256 << 20) /* larger than any cache */

/* 512 rows meet a block once for each so many bytes that others read. */
#define BENCH_GEMM_EVERY ((size_t)32 << 20)

static volatile uint64_t bench_sink;

/* Operations per nanosecond of the variant's multiply-adds. */
static double bench_fma(const struct kernels *kernels) {
    float x = 0.5f;
    uint64_t start = os_now_ns();
    double operations = kernels->peak_fma(&x, 200000);
    return operations / (double)(os_now_ns() - start);
}

/* The same of its four-way int8 products. */
static double bench_dot4(const struct kernels *kernels) {
    int32_t x = 1;
    uint64_t start = os_now_ns();
    double operations = kernels->peak_dot4(&x, 200000);
    return operations / (double)(os_now_ns() - start);
}

/* Bytes per nanosecond of the fastest way of reading the buffer once. */
static double bench_read_limit(const struct kernels *kernels, const void *data) {
    double best = 0;
    for (int way = 0; way < PEAK_WAYS; way++) {
        uint64_t start = os_now_ns();
        bench_sink ^= kernels->peak_read(data, BENCH_BYTES, way);
        double rate = (double)BENCH_BYTES / (double)(os_now_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

enum {
    BENCH_GEMM,
    BENCH_GEMV,
    BENCH_GEMM_NT,
    BENCH_PANELS,
    BENCH_KEYS,
    BENCH_VALUES,
    BENCH_VECTOR
};

/* What is measured: `rows` rows of x against streamed weights, or 512 rows against a block that
 * stays in the cache. */
static const struct {
    const char *name;
    int op;
    enum dtype dtype;
    int rows;
} benches[] = {
    {"gemm  512 rows", BENCH_GEMM, DTYPE_F32, 512},
    {"gemm  512 rows", BENCH_GEMM, DTYPE_Q8, 512},
    {"gemm  512 rows", BENCH_GEMM, DTYPE_Q4, 512},
    {"panels 1 row", BENCH_PANELS, DTYPE_F32, 1},
    {"panels 1 row", BENCH_PANELS, DTYPE_F16, 1},
    {"panels 1 row", BENCH_PANELS, DTYPE_BF16, 1},
    {"panels 1 row", BENCH_PANELS, DTYPE_Q8, 1},
    {"panels 1 row", BENCH_PANELS, DTYPE_Q4, 1},
    {"panels 2 rows", BENCH_PANELS, DTYPE_F32, 2},
    {"panels 2 rows", BENCH_PANELS, DTYPE_F16, 2},
    {"panels 2 rows", BENCH_PANELS, DTYPE_Q8, 2},
    {"panels 2 rows", BENCH_PANELS, DTYPE_Q4, 2},
    {"panels 4 rows", BENCH_PANELS, DTYPE_F32, 4},
    {"panels 4 rows", BENCH_PANELS, DTYPE_F16, 4},
    {"panels 4 rows", BENCH_PANELS, DTYPE_Q8, 4},
    {"panels 4 rows", BENCH_PANELS, DTYPE_Q4, 4},
    {"panels 8 rows", BENCH_PANELS, DTYPE_F32, 8},
    {"panels 8 rows", BENCH_PANELS, DTYPE_F16, 8},
    {"panels 8 rows", BENCH_PANELS, DTYPE_Q8, 8},
    {"panels 8 rows", BENCH_PANELS, DTYPE_Q4, 8},
    {"panels 16 rows", BENCH_PANELS, DTYPE_F32, 16},
    {"panels 16 rows", BENCH_PANELS, DTYPE_F16, 16},
    {"panels 16 rows", BENCH_PANELS, DTYPE_Q8, 16},
    {"panels 16 rows", BENCH_PANELS, DTYPE_Q4, 16},
    {"gemv  1 row", BENCH_GEMV, DTYPE_F32, 1},
    {"gemv  1 row", BENCH_GEMV, DTYPE_F16, 1},
    {"gemv  1 row", BENCH_GEMV, DTYPE_BF16, 1},
    {"gemv 16 rows", BENCH_GEMV, DTYPE_F32, 16},
    {"gemv 16 rows", BENCH_GEMV, DTYPE_BF16, 16},
    {"gemm_nt 1 row", BENCH_GEMM_NT, DTYPE_F32, 1},
    {"gemm_nt 1 row", BENCH_GEMM_NT, DTYPE_F16, 1},
    {"gemm_nt 1 row", BENCH_GEMM_NT, DTYPE_BF16, 1},
    {"gemm_nt 2 rows", BENCH_GEMM_NT, DTYPE_F32, 2},
    {"gemm_nt 2 rows", BENCH_GEMM_NT, DTYPE_F16, 2},
    {"gemm_nt 4 rows", BENCH_GEMM_NT, DTYPE_F16, 4},
    {"gemm_nt 8 rows", BENCH_GEMM_NT, DTYPE_F16, 8},
    {"gemm_nt 16 rows", BENCH_GEMM_NT, DTYPE_F32, 16},
    {"gemm_nt 16 rows", BENCH_GEMM_NT, DTYPE_BF16, 16},
    {"keys    1 row", BENCH_KEYS, DTYPE_Q8, 1},
    {"values  1 row", BENCH_VALUES, DTYPE_Q8, 1},
    {"layer_norm  768", BENCH_VECTOR, DTYPE_F32, 1},
    {"softmax    1024", BENCH_VECTOR, DTYPE_F32, 1},
    {"gelu_new   3072", BENCH_VECTOR, DTYPE_F32, 1},
    {"gelu       3072", BENCH_VECTOR, DTYPE_F32, 1},
    {"quantize   3072", BENCH_VECTOR, DTYPE_Q8, 1},
};

#define N_BENCHES     ((int)(sizeof benches / sizeof *benches))
#define BENCH_N_EMBD  768
#define BENCH_N_INNER 3072
#define BENCH_STRIDE  (BENCH_N_INNER + 16) /* rows not at a power of two, as sessions have them */

struct bench {
    char *w;            /* BENCH_BYTES */
    float *x, *y, *v;   /* room for 512 rows of BENCH_STRIDE; a vector and its parameters */
    struct quantized q; /* x, as far as whole groups go */
};

static void bench_vector(const struct bench *b, const struct kernels *kernels, const char *name) {
    size_t n = (size_t)atoi(strchr(name, ' '));
    for (int i = 0; i < 100; i++) {
        memcpy(b->y, b->v, n * sizeof *b->y); // the same values each time
        if (strncmp(name, "quant", 5) == 0)
            kernels->quantize((int8_t *)(uintptr_t)b->q.q, (float *)(uintptr_t)b->q.scale,
                              (int32_t *)(uintptr_t)b->q.sum, b->x, n, GROUP);
        else if (strncmp(name, "layer", 5) == 0)
            kernels->layer_norm(b->y, b->y, b->v, b->v, n, 1e-5f);
        else if (strncmp(name, "softmax", 7) == 0)
            kernels->softmax(b->y, n, 0.125f);
        else
            kernels_activation(kernels, strncmp(name, "gelu_", 5) ? "gelu" : "gelu_new")(b->y, n);
    }
}

/* y += x . w for four panels with K inputs, `apart` panels from one to the next. */
static void bench_strip(const struct bench *b, const struct kernels *kernels, enum dtype dtype,
                        const void *w, int m, int K, size_t apart) {
    size_t ps = apart * panel_bytes(dtype, K);
    if (dtype_is_quantized(dtype))
        kernels->gemm_quantized[dtype](b->y, BENCH_STRIDE, b->q, w, ps, m, STRIP,
                                       panels_groups(dtype, K));
    else
        kernels->gemm[dtype](b->y, BENCH_STRIDE, b->x, BENCH_STRIDE, w, PANEL,
                             ps / dtype_size(dtype), m, STRIP, K);
}

/* One query and all heads of KV_STREAMS pages, heads of KV_GROUP features: n_bytes in all. */
static void bench_blocks(const struct bench *b, const struct kernels *kernels, int op,
                         size_t n_bytes) {
    const size_t page = n_bytes / KV_STREAMS, panel = panel_bytes(KV_PANELS, KV_GROUP);
    const size_t block = op == BENCH_KEYS ? KV_BLOCK / PANEL * panel : KV_BLOCK * KV_GROUP;
    struct kv_weights w[KV_STREAMS] = {{{0}, 1}};
    for (size_t at = 0; at + block <= page; at += block) {
        const void *blocks[KV_STREAMS];
        for (size_t i = 0; i < KV_STREAMS; i++)
            blocks[i] = b->w + i * page + at;
        if (op == BENCH_KEYS)
            kernels->scores_q8(b->y, b->q, blocks, panel, KV_STREAMS, KV_BLOCK, 1);
        else
            kernels->mix_q8(b->y, 0, w, blocks, KV_STREAMS, 1, KV_GROUP, KV_BLOCK);
    }
}

/* Runs bench i over `total` bytes of weights; returns multiply-adds and bytes. */
static double bench_run(const struct bench *b, const struct kernels *kernels, int i, size_t total,
                        double *bytes) {
    enum dtype dtype = benches[i].dtype;
    int m = benches[i].rows, K = benches[i].op == BENCH_GEMM ? 384 : BENCH_N_EMBD;
    size_t strip = STRIP / PANEL * panel_bytes(dtype, K), at = 0;
    size_t matrix = (size_t)BENCH_N_EMBD * BENCH_N_INNER * dtype_size(dtype);
    *bytes = 0;
    switch (benches[i].op) {
    case BENCH_GEMM: // one strip, as matmul.c has it, again and again
        for (; at < total; at += BENCH_GEMM_EVERY)
            bench_strip(b, kernels, dtype, b->w, m, K, 1);
        return (double)m * K * STRIP * (double)(at / BENCH_GEMM_EVERY);
    case BENCH_PANELS: // as matmul.c walks through them: four streams, each with a quarter
        for (; at + strip <= total; at += strip)
            bench_strip(b, kernels, dtype, b->w + at / (STRIP / PANEL), m, K, total / strip);
        *bytes = (double)at;
        return (double)m * K * STRIP * (double)(at / strip);
    case BENCH_KEYS:
    case BENCH_VALUES:
        bench_blocks(b, kernels, benches[i].op, total);
        *bytes = (double)total;
        return (double)total;
    case BENCH_VECTOR:
        bench_vector(b, kernels, benches[i].name);
        return 0;
    }
    for (; at + matrix <= total; at += matrix) {
        if (benches[i].op == BENCH_GEMV)
            kernels->gemv[dtype](b->y, BENCH_STRIDE, b->x, BENCH_STRIDE, b->w + at, BENCH_N_INNER,
                                 m, BENCH_N_INNER, BENCH_N_EMBD);
        else
            kernels->gemm_nt[dtype](b->y, BENCH_STRIDE, b->x, BENCH_STRIDE, b->w + at, BENCH_N_EMBD,
                                    m, BENCH_N_INNER, BENCH_N_EMBD);
    }
    *bytes = (double)at;
    return (double)at / (double)dtype_size(dtype) * m;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bench_median(double values[BENCH_ROUNDS]) {
    qsort(values, BENCH_ROUNDS, sizeof *values, compare_doubles);
    return values[BENCH_ROUNDS / 2];
}

/* All benches of one variant. */
static void bench_variant(const struct bench *b, const struct kernels *kernels) {
    double rate[N_BENCHES][BENCH_ROUNDS], bandwidth[N_BENCHES][BENCH_ROUNDS];
    double time[N_BENCHES][BENCH_ROUNDS], fma[BENCH_ROUNDS], read[BENCH_ROUNDS];
    double dot4[BENCH_ROUNDS];
    bool slow = strcmp(kernels->name, "generic") == 0; // fmaf may be a function
    size_t total = slow ? (size_t)10 << 20 : BENCH_BYTES;
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        fma[round] = bench_fma(kernels);
        dot4[round] = bench_dot4(kernels);
        read[round] = bench_read_limit(kernels, b->w);
        for (int i = 0; i < N_BENCHES; i++) {
            double bytes;
            if (benches[i].op == BENCH_GEMM) // what it reads is in no cache after the others
                bench_run(b, kernels, i, BENCH_GEMM_EVERY, &bytes);
            uint64_t start = os_now_ns();
            double products = bench_run(b, kernels, i, total, &bytes);
            time[i][round] = (double)(os_now_ns() - start);
            rate[i][round] = 2 * products / time[i][round];
            bandwidth[i][round] = bytes / time[i][round];
        }
    }
    double fma_limit = bench_median(fma), read_limit = bench_median(read);
    double dot4_limit = bench_median(dot4);
    printf("%s: fma %.1f GFLOP/s, int8 %.1f GOP/s, read %.1f GB/s\n", kernels->name, fma_limit,
           dot4_limit, read_limit);
    for (int i = 0; i < N_BENCHES; i++) {
        printf("  %-16s", benches[i].name);
        if (benches[i].op == BENCH_VECTOR) {
            double n = 100 * atof(strchr(benches[i].name, ' '));
            printf("      %8.2f ns an element\n", bench_median(time[i]) / n);
            continue;
        }
        double gflops = bench_median(rate[i]), gbs = bench_median(bandwidth[i]);
        bool integers = dtype_is_quantized(benches[i].dtype);
        printf(" %-4s %8.1f %s", dtype_name(benches[i].dtype), gflops,
               integers ? "GOP/s  " : "GFLOP/s");
        printf(" %5.1f %%", 100 * gflops / (integers ? dot4_limit : fma_limit));
        if (gbs > 0)
            printf(" %8.1f GB/s %5.1f %%", gbs, 100 * gbs / read_limit);
        printf("\n");
    }
}

static int bench(const char *variant) {
    size_t n = (size_t)512 * BENCH_STRIDE;
    struct bench b = {
        .w = os_alloc_huge(BENCH_BYTES, "weights", NULL),
        .x = os_alloc(n, sizeof *b.x, "x", NULL),
        .y = os_alloc(n, sizeof *b.y, "y", NULL),
        .v = os_alloc(n, sizeof *b.v, "v", NULL),
    };
    const size_t most = BENCH_N_INNER / PANEL_MIN_GROUP; // groups of a row
    int8_t *q = os_alloc(512, BENCH_N_INNER, "q", NULL);
    float *scale = os_alloc(512, most * sizeof *scale, "scale", NULL);
    int32_t *sum = os_alloc(512, most * sizeof *sum, "sum", NULL);
    b.q = (struct quantized){q, scale, sum, BENCH_N_INNER, most};
    bool ok = b.w && b.x && b.y && b.v && q && scale && sum;
    if (ok) {
        memset(b.w, 0x2D, BENCH_BYTES); // an ordinary small number in every type
        for (size_t i = 0; i < n; i++)
            b.x[i] = b.v[i] = (float)(i % 29) * 0.1f - 1.4f;
        for (int r = 0; r < 512; r++)
            kernels_variant(0)->quantize(q + r * b.q.qs, scale + r * b.q.gs, sum + r * b.q.gs,
                                         b.x + r * BENCH_STRIDE, BENCH_N_INNER, PANEL_MIN_GROUP);
        for (int i = 0; kernels_variant(i); i++)
            if (!variant || strcmp(kernels_variant(i)->name, variant) == 0)
                bench_variant(&b, kernels_variant(i));
    }
    os_free(sum);
    os_free(scale);
    os_free(q);
    os_free_huge(b.w, BENCH_BYTES);
    os_free(b.x);
    os_free(b.y);
    os_free(b.v);
    return ok ? 0 : 1;
}

#endif
