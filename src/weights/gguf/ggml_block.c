/* ggml_block.c - writes the blocks that ggml_type.c reads, and looks whether they are read as what
 * was meant. */
#include "weights/gguf/ggml_block.h"
#include "base/dtype.h"

#include <math.h>
#include <string.h>

typedef unsigned char byte;

static void put_half(byte *at, float value) {
    const uint16_t bits = dtype_f32_to_f16(value);
    memcpy(at, &bits, sizeof bits);
}

static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

/* ---- blocks of 32: a scale, perhaps a min, and bits of integers from `less` below 0 on ---- */

static void put_nibbles(byte *qs, const int8_t *q, int less) {
    for (int i = 0; i < 16; i++)
        qs[i] = (byte)(((q[i] + less) & 15) | (q[i + 16] + less) << 4);
}

static void put_fifth_bits(byte *qh, const int8_t *q, int less) {
    memset(qh, 0, 4);
    for (int i = 0; i < 32; i++)
        qh[i / 8] |= (byte)((q[i] + less) >> 4 << i % 8);
}

static bool put_q4_0(byte *b, const struct ggml_block *in) {
    put_half(b, in->scale[0]);
    put_nibbles(b + 2, in->q, 8);
    return true;
}

static bool put_q4_1(byte *b, const struct ggml_block *in) {
    put_half(b, in->scale[0]);
    put_half(b + 2, in->min[0]);
    put_nibbles(b + 4, in->q, 0);
    return true;
}

static bool put_q5_0(byte *b, const struct ggml_block *in) {
    put_half(b, in->scale[0]);
    put_fifth_bits(b + 2, in->q, 16);
    put_nibbles(b + 6, in->q, 16);
    return true;
}

static bool put_q5_1(byte *b, const struct ggml_block *in) {
    put_half(b, in->scale[0]);
    put_half(b + 2, in->min[0]);
    put_fifth_bits(b + 4, in->q, 0);
    put_nibbles(b + 8, in->q, 0);
    return true;
}

static bool put_q8_0(byte *b, const struct ggml_block *in) {
    put_half(b, in->scale[0]);
    memcpy(b + 2, in->q, 32);
    return true;
}

/* ---- K types: scales are products ---- */

/* d, one half, and s[n], integers from least to most, whose products they are: scale[k] = d * s[k],
 * every bit. */
struct factors {
    float d;
    int s[GGML_GROUPS];
};

/* Whether d does it. Of d = 0 any integer of the right sign does: 0 or the least, as in a block of
 * zeros. */
static bool divide_by(struct factors *out, float d, const float *scale, int n, int least,
                      int most) {
    out->d = d;
    if (!same(dtype_f16_to_f32(dtype_f32_to_f16(d)), d))
        return false;
    for (int k = 0; k < n; k++) {
        const float s = d != 0                            ? roundf(scale[k] / d)
                        : signbit(scale[k]) != signbit(d) ? (float)least
                                                          : 0;
        if (!(s >= (float)least && s <= (float)most))
            return false;
        out->s[k] = (int)s;
        if (!same(d * (float)out->s[k], scale[k]))
            return false;
    }
    return true;
}

/* least <= 0 < most. False: they are no such products. */
static bool factorize(struct factors *out, const float *scale, int n, int least, int most) {
    int largest = 0;
    for (int k = 1; k < n; k++)
        if (fabsf(scale[k]) > fabsf(scale[largest]))
            largest = k;
    const float value = scale[largest];
    if (!(fabsf(value) > 0)) // all of them; or one is no number, which nothing divides
        return divide_by(out, 0.0F, scale, n, least, most) ||
               divide_by(out, -0.0F, scale, n, least, most);
    for (int s = -least > most ? -least : most; s > 0; s--)
        if ((-s >= least && divide_by(out, value / (float)-s, scale, n, least, most)) ||
            (s <= most && divide_by(out, value / (float)s, scale, n, least, most)))
            return true;
    return false;
}

/* The same of mins, which are subtracted. */
static bool factorize_mins(struct factors *out, const float *min, int n, int most) {
    float less[GGML_GROUPS];
    for (int k = 0; k < n; k++)
        less[k] = -min[k];
    return factorize(out, less, n, 0, most);
}

/* Two bits of each element. */
static void put_twos(byte *qs, const int8_t *q, int less) {
    memset(qs, 0, 64);
    for (int i = 0; i < 256; i++)
        qs[i / 128 * 32 + i % 32] |= (byte)(((q[i] + less) & 3) << i % 128 / 32 * 2);
}

static bool put_q2_k(byte *b, const struct ggml_block *in) {
    struct factors scale, min;
    if (!factorize(&scale, in->scale, 16, 0, 15) || !factorize_mins(&min, in->min, 16, 15))
        return false;
    for (int k = 0; k < 16; k++)
        b[k] = (byte)(scale.s[k] | min.s[k] << 4);
    put_twos(b + 16, in->q, 0);
    put_half(b + 80, scale.d);
    put_half(b + 82, min.d);
    return true;
}

static bool put_q3_k(byte *b, const struct ggml_block *in) {
    struct factors scale;
    if (!factorize(&scale, in->scale, 16, -32, 31))
        return false;
    memset(b, 0, 110);
    for (int i = 0; i < 256; i++)
        b[i % 32] |= (byte)((in->q[i] >= 0) << (i / 128 * 4 + i % 128 / 32));
    put_twos(b + 32, in->q, 4);
    for (int k = 0; k < 16; k++) {
        const int s = scale.s[k] + 32;
        b[96 + k % 8] |= (byte)((s & 15) << (k < 8 ? 0 : 4));
        b[96 + 8 + k % 4] |= (byte)(s >> 4 << k / 4 * 2);
    }
    put_half(b + 108, scale.d);
    return true;
}

/* Six bits each of 8 scales and 8 mins. */
static void put_sixes(byte *s, const struct factors *scale, const struct factors *min) {
    for (int k = 0; k < 4; k++) {
        const int high = scale->s[k + 4], high_min = min->s[k + 4];
        s[k] = (byte)(scale->s[k] | high >> 4 << 6);
        s[k + 4] = (byte)(min->s[k] | high_min >> 4 << 6);
        s[k + 8] = (byte)((high & 15) | (high_min & 15) << 4);
    }
}

/* qh: NULL, or for the fifth bits. */
static bool put_q45_k(byte *b, byte *qh, byte *qs, const struct ggml_block *in) {
    struct factors scale, min;
    if (!factorize(&scale, in->scale, 8, 0, 63) || !factorize_mins(&min, in->min, 8, 63))
        return false;
    put_half(b, scale.d);
    put_half(b + 2, min.d);
    put_sixes(b + 4, &scale, &min);
    if (qh)
        memset(qh, 0, 32);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 32; i++) {
            const int q = in->q[k * 32 + i];
            byte *at = qs + k / 2 * 32 + i;
            *at = (byte)(k % 2 ? *at | (q & 15) << 4 : q & 15);
            if (qh)
                qh[i] |= (byte)(q >> 4 << k);
        }
    return true;
}

static bool put_q4_k(byte *b, const struct ggml_block *in) {
    return put_q45_k(b, NULL, b + 16, in);
}

static bool put_q5_k(byte *b, const struct ggml_block *in) {
    return put_q45_k(b, b + 16, b + 48, in);
}

static bool put_q6_k(byte *b, const struct ggml_block *in) {
    struct factors scale;
    if (!factorize(&scale, in->scale, 16, -128, 127))
        return false;
    memset(b, 0, 192);
    for (int i = 0; i < 256; i++) {
        const int h = i / 128, group = i % 128 / 32, k = i % 32, q = in->q[i] + 32;
        b[h * 64 + group % 2 * 32 + k] |= (byte)((q & 15) << (group < 2 ? 0 : 4));
        b[128 + h * 32 + k] |= (byte)((q >> 4 & 3) << group * 2);
    }
    for (int k = 0; k < 16; k++)
        b[192 + k] = (byte)(int8_t)scale.s[k];
    put_half(b + 208, scale.d);
    return true;
}

/* ---- the table ---- */

/* The integers of a type are from least to most. `put` is given no others; false: the scales are
 * none of the type's. */
static const struct block_writer {
    const char *name;
    int least, most;
    bool (*put)(byte *block, const struct ggml_block *in);
} writers[] = {
    {"Q4_0", -8, 7, put_q4_0},   {"Q4_1", 0, 15, put_q4_1},     {"Q5_0", -16, 15, put_q5_0},
    {"Q5_1", 0, 31, put_q5_1},   {"Q8_0", -128, 127, put_q8_0}, {"Q2_K", 0, 3, put_q2_k},
    {"Q3_K", -4, 3, put_q3_k},   {"Q4_K", 0, 15, put_q4_k},     {"Q5_K", 0, 31, put_q5_k},
    {"Q6_K", -32, 31, put_q6_k},
};

static const struct block_writer *find_writer(const struct ggml_type *type) {
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++)
        if (strcmp(writers[i].name, type->name) == 0)
            return &writers[i];
    return NULL;
}

bool ggml_block_put(byte *block, const struct ggml_type *type, const struct ggml_block *in) {
    const struct block_writer *writer = find_writer(type);
    bool ok = writer != NULL;
    for (unsigned i = 0; ok && i < type->n_elements; i++)
        ok = in->q[i] >= writer->least && in->q[i] <= writer->most;
    if (!ok || !writer->put(block, in))
        return false;
    struct ggml_block read; // a scale that is no half-precision number has changed
    type->take(&read, block);
    for (int g = 0; g < (int)type->n_elements / type->group; g++)
        ok = ok && same(read.scale[g], in->scale[g]) &&
             (!type->mins || same(read.min[g], in->min[g]));
    return ok;
}
