/* panels.c - the weights of a single output of a panel, for look-ups and checks. */
#include "kernels/panels.h"

#include <math.h>
#include <string.h>

static float half_at(const unsigned char *at) {
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return dtype_f16_to_f32(bits);
}

void panels_column(float *out, const void *panel, enum dtype dtype, int column, int K) {
    const unsigned char *group = panel;
    if (!dtype_is_quantized(dtype)) {
        size_t size = dtype_size(dtype);
        for (int k = 0; k < K; k++)
            dtype_to_f32(out + k, group + ((size_t)k * PANEL + (size_t)column) * size, dtype, 1);
        return;
    }
    for (int k = 0; k < K; k += GROUP) {
        int n = K - k < GROUP ? K - k : GROUP;
        float scale = half_at(group + 2 * column);
        if (dtype == DTYPE_Q8) {
            const unsigned char *w = group + 2 * PANEL + 4 * column;
            for (int i = 0; i < n; i++)
                out[k + i] = (float)(w[i / 4 * PANEL * 4 + i % 4] - 128) * scale;
            group += Q8_GROUP_BYTES;
        } else {
            float min = half_at(group + 2 * (PANEL + column));
            const unsigned char *w = group + 4 * PANEL + 4 * column;
            for (int i = 0; i < n; i++) {
                int step = i / 4 % (GROUP / 8), shift = i < GROUP / 2 ? 0 : 4;
                int nibble = w[step * PANEL * 4 + i % 4] >> shift & 15;
                out[k + i] = fmaf((float)nibble, scale, min);
            }
            group += Q4_GROUP_BYTES;
        }
    }
}
