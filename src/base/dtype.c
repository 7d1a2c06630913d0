/* dtype.c - names and sizes of the types of weights, and conversion to F32. */
#include "base/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} table[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 4},       [DTYPE_F16] = {"F16", 2},     [DTYPE_BF16] = {"BF16", 2},
    [DTYPE_F64] = {"F64", 8},       [DTYPE_Q8] = {"Q8", 0},       [DTYPE_Q4] = {"Q4", 0},
    [DTYPE_Q8_32] = {"Q8_32", 0},   [DTYPE_Q4_32] = {"Q4_32", 0}, [DTYPE_Q8_32M] = {"Q8_32M", 0},
    [DTYPE_Q4_32M] = {"Q4_32M", 0}, [DTYPE_Q8_16] = {"Q8_16", 0}, [DTYPE_Q4_16] = {"Q4_16", 0},
    [DTYPE_Q4_16M] = {"Q4_16M", 0},
};

const char *dtype_name(enum dtype dtype) {
    return table[dtype].name;
}

size_t dtype_size(enum dtype dtype) {
    return table[dtype].size;
}

bool dtype_find(enum dtype *dtype, const char *name) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (table[i].size && strcmp(table[i].name, name) == 0) {
            *dtype = (enum dtype)i;
            return true;
        }
    }
    return false;
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float dtype_f16_to_f32(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = (bits >> 10) & 0x1F;
    uint32_t mantissa = bits & 0x3FF;
    if (exponent == 0x1F) // Inf, NaN (a signalling one becomes quiet, as the hardware does)
        return from_bits(sign | 0x7F800000 | mantissa << 13 | (mantissa ? 0x400000 : 0));
    if (exponent == 0) { // zero and subnormals: mantissa * 2^-24, exact in f32
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

uint16_t dtype_f32_to_f16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000;
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000)
        return (uint16_t)(sign | 0x7E00);
    if (bits >= 0x477FF000) // 65520, half-way to what would follow 65504
        return (uint16_t)(sign | 0x7C00);
    if (bits < 0x38800000) { // below 2^-14: a multiple of 2^-24. The sum rounds, ties to even, and
                             // leaves the multiple in its low bits
        float magnitude = from_bits(bits) + 0.5f;
        memcpy(&bits, &magnitude, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3F000000));
    }
    bits += 0xFFF + (bits >> 13 & 1); // a carry moves into the exponent, as it should
    return (uint16_t)(sign | (bits - ((127 - 15) << 23)) >> 13);
}

uint16_t dtype_f32_to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void dtype_to_f32(float *dst, const void *src, enum dtype dtype, size_t n) {
    const unsigned char *bytes = src;
    switch (dtype) {
    case DTYPE_F32:
        memcpy(dst, src, n * sizeof *dst);
        return;
    case DTYPE_F16:
        for (size_t i = 0; i < n; i++) {
            uint16_t bits;
            memcpy(&bits, bytes + 2 * i, sizeof bits);
            dst[i] = dtype_f16_to_f32(bits);
        }
        return;
    case DTYPE_BF16:
        for (size_t i = 0; i < n; i++) {
            uint16_t bits;
            memcpy(&bits, bytes + 2 * i, sizeof bits);
            dst[i] = from_bits((uint32_t)bits << 16);
        }
        return;
    case DTYPE_F64:
        for (size_t i = 0; i < n; i++) {
            double value;
            memcpy(&value, bytes + 8 * i, sizeof value);
            dst[i] = (float)value;
        }
        return;
    default: // panels are no elements
        return;
    }
}
