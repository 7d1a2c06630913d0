/* ggml_type.c - block layouts as in ggml-common.h of ggml. All products of a half-precision scale
 * and the small integers are exact in f32, so that a weight is rounded once where there is a least
 * value, and a K type's scale of a group is exact. */
#include "weights/gguf/ggml_type.h"
#include "base/dtype.h"

#include <math.h>
#include <string.h>

typedef unsigned char byte;

static float half(const byte *at) {
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return dtype_f16_to_f32(bits);
}

/* ---- blocks of 32 ---- */

/* The low halves of 16 bytes are elements 0 to 15, the high ones those from 16 on. */
static void nibbles(int8_t *q, const byte *qs, int less) {
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)((qs[i] & 15) - less);
        q[i + 16] = (int8_t)((qs[i] >> 4) - less);
    }
}

/* The same, and the fifth bit of element i is bit i of the 32 at qh. */
static void fives(int8_t *q, const byte *qh, const byte *qs, int less) {
    nibbles(q, qs, less);
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)(q[i] + ((qh[i / 8] >> i % 8 & 1) << 4));
}

/* d, qs[16] */
static void q4_0(struct ggml_block *out, const byte *b) {
    out->scale[0] = half(b);
    nibbles(out->q, b + 2, 8);
}

/* d, m, qs[16] */
static void q4_1(struct ggml_block *out, const byte *b) {
    out->scale[0] = half(b);
    out->min[0] = half(b + 2);
    nibbles(out->q, b + 4, 0);
}

/* d, qh[4], qs[16] */
static void q5_0(struct ggml_block *out, const byte *b) {
    out->scale[0] = half(b);
    fives(out->q, b + 2, b + 6, 16);
}

/* d, m, qh[4], qs[16] */
static void q5_1(struct ggml_block *out, const byte *b) {
    out->scale[0] = half(b);
    out->min[0] = half(b + 2);
    fives(out->q, b + 4, b + 8, 0);
}

/* d, qs[32] */
static void q8_0(struct ggml_block *out, const byte *b) {
    out->scale[0] = half(b);
    memcpy(out->q, b + 2, 32);
}

/* ---- blocks of 256 ---- */

/* Two bits of element i: within each half of 128 the four groups of 32 share 32 bytes. */
static int two(const byte *qs, int i) {
    return qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

/* scales[16], qs[64], d, dmin: a scale byte has 4 bits of scale and 4 of least value */
static void q2_k(struct ggml_block *out, const byte *b) {
    const float d = half(b + 80), dmin = half(b + 82);
    for (int k = 0; k < 16; k++) {
        out->scale[k] = d * (float)(b[k] & 15);
        out->min[k] = -(dmin * (float)(b[k] >> 4));
    }
    for (int i = 0; i < 256; i++)
        out->q[i] = (int8_t)two(b + 16, i);
}

/* hmask[32], qs[64], scales[12], d: a third bit of each element, and six bits of 16 scales */
static void q3_k(struct ggml_block *out, const byte *b) {
    const float d = half(b + 108);
    const byte *scales = b + 96;
    for (int k = 0; k < 16; k++) {
        const int low = scales[k % 8] >> (k < 8 ? 0 : 4) & 15,
                  high = scales[8 + k % 4] >> k / 4 * 2 & 3;
        out->scale[k] = d * (float)((low | high << 4) - 32);
    }
    for (int i = 0; i < 256; i++) {
        const int bit = i / 128 * 4 + i % 128 / 32;
        out->q[i] = (int8_t)(two(b + 32, i) - (b[i % 32] >> bit & 1 ? 0 : 4));
    }
}

/* The six-bit scale and least value of group k (0..7), packed into s[12]. */
static void scale_of(int *scale, int *least, const byte *s, int k) {
    if (k < 4) {
        *scale = s[k] & 63;
        *least = s[k + 4] & 63;
    } else {
        *scale = (s[k + 4] & 15) | s[k - 4] >> 6 << 4;
        *least = s[k + 4] >> 4 | s[k] >> 6 << 4;
    }
}

/* Groups of 32; two of them share 32 bytes, the first has the low halves. qh is NULL, or has bit k
 * of group k. */
static void q45_k(struct ggml_block *out, const byte *b, const byte *qh, const byte *qs) {
    const float d = half(b), dmin = half(b + 2);
    for (int k = 0; k < 8; k++) {
        int scale, least;
        scale_of(&scale, &least, b + 4, k);
        out->scale[k] = d * (float)scale;
        out->min[k] = -(dmin * (float)least);
        for (int i = 0; i < 32; i++) {
            const int low = qs[k / 2 * 32 + i] >> k % 2 * 4 & 15;
            const int high = qh ? (qh[i] >> k & 1) << 4 : 0;
            out->q[k * 32 + i] = (int8_t)(low | high);
        }
    }
}

/* d, dmin, scales[12], qs[128] */
static void q4_k(struct ggml_block *out, const byte *b) {
    q45_k(out, b, NULL, b + 16);
}

/* d, dmin, scales[12], qh[32], qs[128] */
static void q5_k(struct ggml_block *out, const byte *b) {
    q45_k(out, b, b + 16, b + 48);
}

/* ql[128], qh[64], scales[16], d: in each half of 128 four groups of 32, the low four bits of two
 * of them in one byte of ql, the high two bits of all four in one of qh */
static void q6_k(struct ggml_block *out, const byte *b) {
    const float d = half(b + 208);
    for (int k = 0; k < 16; k++)
        out->scale[k] = d * (float)(int8_t)b[192 + k];
    for (int i = 0; i < 256; i++) {
        const int h = i / 128, group = i % 128 / 32, k = i % 32;
        const int low = b[h * 64 + group % 2 * 32 + k] >> (group < 2 ? 0 : 4) & 15;
        const int high = b[128 + h * 32 + k] >> group * 2 & 3;
        out->q[i] = (int8_t)((low | high << 4) - 32);
    }
}

void ggml_type_dequantize(float *y, const struct ggml_type *type, const unsigned char *block) {
    struct ggml_block b;
    type->take(&b, block);
    const int n = (int)type->n_elements;
    for (int g = 0, i = 0; i < n; g++)
        for (const int end = i + type->group; i < end; i++) {
            y[i] = b.scale[g] * (float)b.q[i];
            if (type->mins)
                y[i] += b.min[g];
        }
}

/* ---- making blocks ---- */

static void put_half(byte *at, float value) {
    const uint16_t bits = dtype_f32_to_f16(value);
    memcpy(at, &bits, sizeof bits);
}

/* The scale puts the largest magnitude at 127; integers are the nearest, halves away from 0. They
 * are of the scale as it was, not as it is kept. */
static void make_q8_0(byte *b, const float *x) {
    float most = 0;
    for (int i = 0; i < 32; i++)
        most = fmaxf(most, fabsf(x[i]));
    const float d = most / 127, inverse = d != 0 ? 1 / d : 0;
    put_half(b, d);
    for (int i = 0; i < 32; i++)
        b[2 + i] = (byte)(int8_t)roundf(x[i] * inverse);
}

/* The scale puts the element of largest magnitude, the first of equals, at -8. */
static void make_q4_0(byte *b, const float *x) {
    float most = 0;
    for (int i = 0; i < 32; i++)
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    const float d = most / -8, inverse = d != 0 ? 1 / d : 0;
    put_half(b, d);
    for (int i = 0; i < 16; i++) {
        const int low = (int)(x[i] * inverse + 8.5f), high = (int)(x[i + 16] * inverse + 8.5f);
        b[2 + i] = (byte)((low < 15 ? low : 15) | (high < 15 ? high : 15) << 4);
    }
}

/* ---- the table ---- */

static const struct ggml_type types[] = {
    {"F32", 0, 1, 4, "F32", 0, 0, 0, false, 0, NULL, NULL},
    {"F16", 1, 1, 2, "F16", 0, 0, 0, false, 1, NULL, NULL},
    {"BF16", 30, 1, 2, "BF16", 0, 0, 0, false, 32, NULL, NULL},
    {"F64", 28, 1, 8, "F64", 0, 0, 0, false, 0, NULL, NULL},
    {"Q4_0", 2, 32, 18, NULL, 32, 4, 2, false, 2, q4_0, make_q4_0},
    {"Q4_1", 3, 32, 20, NULL, 32, 4, 2, true, 3, q4_1, NULL},
    {"Q5_0", 6, 32, 22, NULL, 32, 8, 2, false, 8, q5_0, NULL},
    {"Q5_1", 7, 32, 24, NULL, 32, 8, 2, true, 9, q5_1, NULL},
    {"Q8_0", 8, 32, 34, NULL, 32, 8, 2, false, 7, q8_0, make_q8_0},
    {"Q2_K", 10, 256, 84, NULL, 16, 4, 4, true, 10, q2_k, NULL},
    {"Q3_K", 11, 256, 110, NULL, 16, 4, 4, false, 12, q3_k, NULL},
    {"Q4_K", 12, 256, 144, NULL, 32, 4, 4, true, 15, q4_k, NULL},
    {"Q5_K", 13, 256, 176, NULL, 32, 8, 4, true, 17, q5_k, NULL},
    {"Q6_K", 14, 256, 210, NULL, 16, 8, 4, false, 18, q6_k, NULL},
};

static const char *const other_names[] = {
    [4] = "Q4_2",    [5] = "Q4_3",     [9] = "Q8_1",   [15] = "Q8_K",   [16] = "IQ2_XXS",
    [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",
    [22] = "IQ2_S",  [23] = "IQ4_XS",  [24] = "I8",    [25] = "I16",    [26] = "I32",
    [27] = "I64",    [29] = "IQ1_M",   [34] = "TQ1_0", [35] = "TQ2_0",  [39] = "MXFP4",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const struct ggml_type *ggml_type_at(size_t i) {
    return i < COUNT(types) ? &types[i] : NULL;
}

const struct ggml_type *ggml_type_find(uint32_t id) {
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

const char *ggml_type_name(uint32_t id) {
    const struct ggml_type *type = ggml_type_find(id);
    if (type)
        return type->name;
    return id < COUNT(other_names) && other_names[id] ? other_names[id] : "unknown";
}

const char *ggml_type_list(void) {
    return "F32, F16, BF16, F64, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K";
}
