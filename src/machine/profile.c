/* profile.c - tables of kernels that measure themselves: how often each kind runs, and how long.
 *
 * A kernel has no argument that could lead to a profile, so there is one in a process. A runtime
 * that is not profiled has the plain tables and pays nothing. */
#include "base/os.h"
#include "machine/runtime_internal.h"

#include <assert.h>
#include <stdatomic.h>

/* Products with weights are counted by their type: 0 .. DTYPE_COUNT - 1. */
enum {
    HEAD = DTYPE_COUNT,
    ATTENTION,
    SOFTMAX,
    QUANTIZE,
    LAYER_NORM,
    ACTIVATION,
    ADD,
    CONVERT,
    N_KINDS
};

static const char *const kind_names[N_KINDS] = {
    [HEAD] = "rows by rows", [ATTENTION] = "attention", [SOFTMAX] = "softmax",
    [QUANTIZE] = "quantize", [LAYER_NORM] = "norm",     [ACTIVATION] = "activation",
    [ADD] = "add and scale", [CONVERT] = "convert",
};

static const struct kernels *plain; /* of the runtime that is profiled */
static struct kernels products, in_attention;
static _Atomic uint64_t n_calls[N_KINDS], spent_ns[N_KINDS];

static void count(int kind, uint64_t start) {
    atomic_fetch_add_explicit(&spent_ns[kind], os_now_ns() - start, memory_order_relaxed);
    atomic_fetch_add_explicit(&n_calls[kind], 1, memory_order_relaxed);
}

#define COUNTED(kind, call)           \
    do {                              \
        uint64_t start = os_now_ns(); \
        call;                         \
        count(kind, start);           \
    } while (0)

#define FLOAT_PRODUCTS(type, dtype)                                                             \
    static void gemm_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,      \
                            size_t ws, size_t ps, int m, int n, int K) {                        \
        COUNTED(dtype, plain->gemm[dtype](y, ys, x, xs, w, ws, ps, m, n, K));                   \
    }                                                                                           \
    static void attention_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                                 size_t ws, size_t ps, int m, int n, int K) {                   \
        COUNTED(ATTENTION, plain->gemm[dtype](y, ys, x, xs, w, ws, ps, m, n, K));               \
    }                                                                                           \
    static void gemv_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,      \
                            size_t ws, int m, int n, int K) {                                   \
        COUNTED(dtype, plain->gemv[dtype](y, ys, x, xs, w, ws, m, n, K));                       \
    }                                                                                           \
    static void gemm_nt_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,   \
                               size_t ws, int m, int n, int K) {                                \
        COUNTED(HEAD, plain->gemm_nt[dtype](y, ys, x, xs, w, ws, m, n, K));                     \
    }                                                                                           \
    static void to_f32_##type(float *dst, const void *src, size_t n) {                          \
        COUNTED(CONVERT, plain->to_f32[dtype](dst, src, n));                                    \
    }
FLOAT_PRODUCTS(f32, DTYPE_F32)
FLOAT_PRODUCTS(f16, DTYPE_F16)
FLOAT_PRODUCTS(bf16, DTYPE_BF16)

#define QUANTIZED_PRODUCTS(dtype, form)                                                         \
    static void gemm_##form(float *y, size_t ys, struct quantized x, const void *panels,        \
                            size_t ps, int m, int n, int n_groups) {                            \
        COUNTED(dtype, plain->gemm_quantized[dtype](y, ys, x, panels, ps, m, n, n_groups));     \
    }                                                                                           \
    static void attention_##form(float *y, size_t ys, struct quantized x, const void *panels,   \
                                 size_t ps, int m, int n, int n_groups) {                       \
        COUNTED(ATTENTION, plain->gemm_quantized[dtype](y, ys, x, panels, ps, m, n, n_groups)); \
    }
PANEL_TYPES(QUANTIZED_PRODUCTS)

static void quantize(int8_t *q, float *scale, int32_t *sum, const float *x, size_t n, int group) {
    COUNTED(QUANTIZE, plain->quantize(q, scale, sum, x, n, group));
}

static void scores_q8(float *y, struct quantized x, const void *const *keys, size_t ps,
                      int n_blocks, int n, int n_groups) {
    COUNTED(ATTENTION, plain->scores_q8(y, x, keys, ps, n_blocks, n, n_groups));
}

static void mix_q8(float *y, size_t ys, const struct kv_weights *w, const void *const *values,
                   int n_blocks, int m, int n, int positions) {
    COUNTED(ATTENTION, plain->mix_q8(y, ys, w, values, n_blocks, m, n, positions));
}

static void quantize16(struct kv_weights *w, const float *weights, const float *scales, int n) {
    COUNTED(QUANTIZE, plain->quantize16(w, weights, scales, n));
}

static void layer_norm(float *y, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon) {
    COUNTED(LAYER_NORM, plain->layer_norm(y, x, gain, bias, n, epsilon));
}

static float softmax(float *x, size_t n, float scale) {
    float sum;
    COUNTED(SOFTMAX, sum = plain->softmax(x, n, scale));
    return sum;
}

static void add(float *y, const float *x, size_t n) {
    COUNTED(ADD, plain->add(y, x, n));
}

static void scale(float *y, float factor, size_t n) {
    COUNTED(ADD, plain->scale(y, factor, n));
}

/* An activation is known by its place in the table alone. */
// clang-format off
#define PLACES(PLACE)                                                                 \
    PLACE(0) PLACE(1) PLACE(2) PLACE(3) PLACE(4) PLACE(5) PLACE(6) PLACE(7)           \
    PLACE(8) PLACE(9) PLACE(10) PLACE(11) PLACE(12) PLACE(13) PLACE(14) PLACE(15)     \
    PLACE(16) PLACE(17) PLACE(18) PLACE(19) PLACE(20) PLACE(21) PLACE(22) PLACE(23)
// clang-format on
#define PLACE(i)                                             \
    static void activation_##i(float *x, size_t n) {         \
        COUNTED(ACTIVATION, plain->activations[i].fn(x, n)); \
    }
PLACES(PLACE)
#undef PLACE

static const activation_fn activation_fns[] = {
#define PLACE(i) activation_##i,
    PLACES(PLACE)
#undef PLACE
};

#define MOST_ACTIVATIONS (sizeof activation_fns / sizeof *activation_fns)
static struct activation counted_activations[MOST_ACTIVATIONS + 1]; /* ends with a NULL name */

void gpt2_runtime_profile(struct gpt2_runtime *runtime) {
    if (runtime->attention_kernels != runtime->kernels)
        return;
    plain = runtime->kernels;
    size_t n = 0;
    for (; plain->activations[n].name; n++) {
        assert(n < MOST_ACTIVATIONS);
        counted_activations[n] = (struct activation){plain->activations[n].name, activation_fns[n]};
    }
    counted_activations[n] = (struct activation){0};
    products = *plain;
#define FLOAT(type, dtype)                    \
    products.gemm[dtype] = gemm_##type;       \
    products.gemv[dtype] = gemv_##type;       \
    products.gemm_nt[dtype] = gemm_nt_##type; \
    products.to_f32[dtype] = to_f32_##type;
    FLOAT(f32, DTYPE_F32)
    FLOAT(f16, DTYPE_F16)
    FLOAT(bf16, DTYPE_BF16)
#define QUANTIZED(dtype, form) products.gemm_quantized[dtype] = gemm_##form;
    PANEL_TYPES(QUANTIZED)
    products.quantize = quantize;
    products.scores_q8 = scores_q8;
    products.mix_q8 = mix_q8;
    products.quantize16 = quantize16;
    products.layer_norm = layer_norm;
    products.softmax = softmax;
    products.add = add;
    products.scale = scale;
    products.activations = counted_activations;
    in_attention = products;
    in_attention.gemm[DTYPE_F32] = attention_f32;
    in_attention.gemm[DTYPE_F16] = attention_f16;
    in_attention.gemm[DTYPE_BF16] = attention_bf16;
#define IN_ATTENTION(dtype, form) in_attention.gemm_quantized[dtype] = attention_##form;
    PANEL_TYPES(IN_ATTENTION)
    runtime->kernels = &products;
    runtime->attention_kernels = &in_attention;
}

bool gpt2_profile_kind(int i, struct gpt2_profile *kind) {
    if (i < 0 || i >= N_KINDS)
        return false;
    kind->name = i < DTYPE_COUNT ? dtype_name((enum dtype)i) : kind_names[i];
    kind->calls = atomic_load(&n_calls[i]);
    kind->seconds = (double)atomic_load(&spent_ns[i]) * 1e-9;
    return true;
}

void gpt2_profile_clear(void) {
    for (int i = 0; i < N_KINDS; i++) {
        atomic_store(&n_calls[i], 0);
        atomic_store(&spent_ns[i], 0);
    }
}
