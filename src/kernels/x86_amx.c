/* x86_amx.c - the variant for AMX beside AVX-512 with VNNI: products of bytes in tiles, for many
 * rows. Run under emulation only so far (tests/emulate_amx.h), never on hardware. */
// ISA x86_64: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mamx-tile -mamx-int8
// ISA x86_64: -mfma -mf16c -mprefer-vector-width=512
#include "kernels/x86_vnni.h" // for few rows, and all that is not a quantized product

#include "kernels/kernels.h"
#include "kernels/operands.h"
#include <string.h>

/* Rows of a tile. With fewer rows left than half of them, dot products are faster. */
#define TILE_ROWS           16
#define QUANT_MANY(m)       ((m) % TILE_ROWS < TILE_ROWS / 2 ? (m) - (m) % TILE_ROWS : (m))
#define QUANT_MANY_PRODUCTS quant_many

ALWAYS_INLINE void quant_many(struct y_rows y, struct quantized x, struct panels w, int m, int n,
                              int n_groups, struct panel_form form);

#include "kernels/products.h"

/* A tile has 16 rows of up to 64 bytes. The tiles of a product, for groups of `group` inputs:
 *
 *   0 .. 3   sums: 16 rows of x, 16 outputs, int32
 *   4, 5     x: 16 rows, the signed bytes of a group
 *   6, 7     weights: a group of a panel as it lies there, group / 4 rows of 16 outputs by 4 inputs
 *
 * The configuration is an object of its own that the compiler never writes: gcc 12 takes the
 * operand of ldtilecfg to be 8 bytes long, and would leave out stores to the rest of it. */
struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row of tile i */
    uint8_t rows[16];   /* of tile i          */
};

#define CONFIGURATION(group)                                           \
    {                                                                  \
        .palette = 1, .bytes = {64, 64, 64, 64, group, group, 64, 64}, \
        .rows = {16, 16, 16, 16, 16, 16, (group) / 4, (group) / 4},    \
    }

static const struct tile_configuration groups_of_16 = CONFIGURATION(16),
                                       groups_of_32 = CONFIGURATION(32),
                                       groups_of_64 = CONFIGURATION(64);
_Static_assert(sizeof(struct tile_configuration) == 64, "as ldtilecfg reads it");
_Static_assert(PANEL_MIN_GROUP == 16 && PANEL_MAX_GROUP == 64, "there is one for each group");

/* TILE_CONFIGURE(c), TILE_RELEASE(); of tiles, given as literals: TILE_ZERO(t), TILE_LOAD(t, p,
 * stride), TILE_STORE(t, p, stride), and TILE_DOT(sum, a, b), which adds to sum[r][c] the products
 * of the signed bytes a[r][4 i + j] and b[i][4 c + j]. gcc does not know that a tile is loaded from
 * memory: without LOADS_STAY it may leave out what was stored there. */
#if defined(EMULATE_AMX)
#include "emulate_amx.h"
#else
#define TILE_CONFIGURE(c) _tile_loadconfig(c)
#define TILE_RELEASE()    _tile_release()
#define TILE_ZERO(t)      _tile_zero(t)
#define TILE_LOAD(t, p, stride)    \
    do {                           \
        LOADS_STAY();              \
        _tile_loadd(t, p, stride); \
    } while (0)
#define TILE_STORE(t, p, stride) _tile_stored(t, p, stride)
#define TILE_DOT(sum, a, b)      _tile_dpbssd(sum, a, b)
#endif

/* Groups in a block. Its weights as signed bytes, 16 KiB, stay in the L1 cache for all rows. */
#define MOST_GROUPS (QUANT_DEPTH / PANEL_MIN_GROUP)
#define STRIP_BYTES (QUANT_DEPTH * STRIP)

typedef int32_t int_tile[TILE_ROWS][PANEL];

/* A tile of rows of x for a block: bytes, of each group the scales of its rows, and what is
 * multiplied with the mins. Rows from `rows` on are 0, so that all loops have TILE_ROWS steps. */
struct many_rows {
    const int8_t *q;
    size_t stride;
    int rows;
    float scale[MOST_GROUPS][TILE_ROWS], sum[MOST_GROUPS][TILE_ROWS];
    int8_t padded[TILE_ROWS][QUANT_DEPTH];
};

static void take_rows(struct many_rows *to, struct quantized x, int rows, int n_groups, int group) {
    to->q = x.q;
    to->stride = x.qs;
    to->rows = rows;
    for (int g = 0; g < n_groups; g++)
        for (int r = 0; r < TILE_ROWS; r++) {
            const size_t at = (size_t)r * x.gs + (size_t)g;
            to->scale[g][r] = r < rows ? x.scale[at] : 0;
            to->sum[g][r] = r < rows ? (float)x.sum[at] * x.scale[at] : 0;
        }
    if (rows == TILE_ROWS)
        return;
    memset(to->padded, 0, sizeof to->padded);
    for (int r = 0; r < rows; r++)
        memcpy(to->padded[r], x.q + (size_t)r * x.qs, (size_t)n_groups * (size_t)group);
    to->q = to->padded[0];
    to->stride = QUANT_DEPTH;
}

/* The integers of a group of a panel as signed bytes. */
ALWAYS_INLINE void signed_group(int8_t *to, const char *from, struct panel_form form) {
    const int row = 4 * PANEL;
    const __m512i low = _mm512_set1_epi8(0x0F), less = _mm512_set1_epi8(form.mins ? 0 : 8);
    for (int i = 0; i < quant_steps(form) * form.bits / 8; i++) {
        const __m512i bytes = _mm512_loadu_si512(from + i * row);
        if (form.bits == 8) {
            _mm512_storeu_si512(to + i * row, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
            continue;
        }
        const __m512i first = _mm512_and_si512(bytes, low);
        const __m512i second = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
        _mm512_storeu_si512(to + i * row, _mm512_sub_epi8(first, less));
        _mm512_storeu_si512(to + (i + quant_steps(form) / 2) * row, _mm512_sub_epi8(second, less));
    }
}

/* sums = the products of a group of TILE_ROWS rows and a panel. `sum`, `a` and `b` are tiles. */
#define MANY_SUMS(sums, sum, a, b, x, stride, w) \
    do {                                         \
        TILE_LOAD(a, x, stride);                 \
        TILE_LOAD(b, w, 4 * PANEL);              \
        TILE_ZERO(sum);                          \
        TILE_DOT(sum, a, b);                     \
        TILE_STORE(sum, sums, 4 * PANEL);        \
    } while (0)

/* Continues the chains of a tile by a group, as quant_chain does. */
ALWAYS_INLINE void many_chain(vec chain[TILE_ROWS], int_tile *sums, const struct many_rows *x,
                              int g, struct panels group, struct panel_form form) {
    const struct panels mins = panels_skip(group, (size_t)form.scale_bytes * PANEL);
    const vec scale = load_scales(group, 0, form);
    const vec min = form.mins ? load_scales(mins, 0, form) : scale;
    UNROLL for (int r = 0; r < TILE_ROWS; r++) {
        const vec factor = vec_mul(scale, vec_set(x->scale[g][r]));
        ADD_PRODUCT(chain[r], ivec_to_f32(ivec_load((*sums)[r])), factor);
        if (form.mins)
            ADD_PRODUCT(chain[r], vec_set(x->sum[g][r]), min);
        IN_ORDER(chain[r]); // or gcc adds to a chain in memory
    }
}

/* A tile of y, all groups of a block. Four groups at a time are multiplied before their sums are
 * used: a tile is long on its way to memory, and the float operations of one panel and the tiles of
 * the next have no order between them. */
ALWAYS_INLINE void many_tile(struct y_rows y, const struct many_rows *x, struct panels groups,
                             const int8_t *weights, int n_groups, int lanes,
                             struct panel_form form) {
    const size_t bytes = (size_t)form.group * PANEL;
    const int8_t *q = x->q;
    _Alignas(64) int_tile room[4];
    int_tile *sums = room;
    vec chain[TILE_ROWS];
    OPAQUE(sums); // arrays, in memory: no vectors that the compiler has put on the stack
    UNROLL for (int r = 0; r < TILE_ROWS; r++) {
        chain[r] = r < x->rows ? load_f32(y_from(y, r, 0).p, lanes) : vec_set(0);
    }
    int g = 0;
    for (; g + 4 <= n_groups; g += 4) {
        MANY_SUMS(sums[0], 0, 4, 6, q, x->stride, weights);
        MANY_SUMS(sums[1], 1, 5, 7, q + form.group, x->stride, weights + bytes);
        MANY_SUMS(sums[2], 2, 4, 6, q + 2 * form.group, x->stride, weights + 2 * bytes);
        MANY_SUMS(sums[3], 3, 5, 7, q + 3 * form.group, x->stride, weights + 3 * bytes);
        for (int i = 0; i < 4; i++) {
            many_chain(chain, &sums[i], x, g + i, groups, form);
            groups.w += groups.stride;
        }
        q += 4 * form.group;
        weights += 4 * bytes;
    }
    for (; g < n_groups; g++) {
        MANY_SUMS(sums[0], 0, 4, 6, q, x->stride, weights);
        many_chain(chain, &sums[0], x, g, groups, form);
        groups.w += groups.stride;
        q += form.group;
        weights += bytes;
    }
    UNROLL for (int r = 0; r < TILE_ROWS; r++) {
        if (r < x->rows)
            vec_store(y_from(y, r, 0).p, chain[r], lanes);
    }
}

/* All rows and up to STRIP columns, for a block of groups. */
ALWAYS_INLINE void many_block(struct y_rows y, struct quantized x, struct panels groups, int m,
                              int n, int n_groups, struct panel_form form) {
    _Alignas(64) int8_t weights[STRIP_BYTES];
    struct many_rows rows;
    const size_t bytes = (size_t)form.group * PANEL, panel = (size_t)n_groups * bytes;
    for (int c = 0; c < n; c += PANEL)
        for (int g = 0; g < n_groups; g++)
            signed_group(weights + (size_t)(c / PANEL) * panel + (size_t)g * bytes,
                         groups.w + column_at(groups, c, 0) + (size_t)g * groups.stride +
                             panel_form_head(form),
                         form);
    for (int r = 0; r < m; r += TILE_ROWS) {
        take_rows(&rows, quant_from(x, r, 0, form), m - r < TILE_ROWS ? m - r : TILE_ROWS, n_groups,
                  form.group);
        for (int c = 0; c < n; c += PANEL) {
            const struct panels panel_groups = panels_skip(groups, column_at(groups, c, 0));
            const int8_t *from = weights + (size_t)(c / PANEL) * panel;
            if (n - c >= PANEL)
                many_tile(y_from(y, r, c), &rows, panel_groups, from, n_groups, PANEL, form);
            else
                many_tile(y_from(y, r, c), &rows, panel_groups, from, n_groups, n - c, form);
        }
    }
}

/* The tiles are released at the end: a thread that has them in use is slower to switch, and on some
 * CPUs keeps the core at a higher power. */
ALWAYS_INLINE void quant_many(struct y_rows y, struct quantized x, struct panels w, int m, int n,
                              int n_groups, struct panel_form form) {
    const int depth = QUANT_DEPTH / form.group;
    TILE_CONFIGURE(form.group == 16   ? &groups_of_16
                   : form.group == 32 ? &groups_of_32
                                      : &groups_of_64);
    for (int c = 0; c < n; c += STRIP)
        for (int g = 0; g < n_groups; g += depth)
            many_block(y_from(y, 0, c), quant_from(x, 0, g, form),
                       panels_skip(w, column_at(w, c, 0) + (size_t)g * w.stride), m,
                       n - c < STRIP ? n - c : STRIP, n_groups - g < depth ? n_groups - g : depth,
                       form);
    TILE_RELEASE();
}

/* n steps of four tile products, of 16 x 16 x 64 bytes. */
#define PEAK_DOT "tdpbssd"
static double peak_dot4(int32_t *x, int n) {
    _Alignas(64) int8_t bytes[TILE_ROWS * 64];
    _Alignas(64) int_tile sums;
    memset(bytes, *x & 1, sizeof bytes);
    TILE_CONFIGURE(&groups_of_64);
    TILE_LOAD(4, bytes, 64);
    TILE_LOAD(6, bytes, 64);
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int step = 0; step < n; step++) {
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 6);
        TILE_DOT(2, 4, 6);
        TILE_DOT(3, 4, 6);
    }
    for (int i = 0; i < 4; i++) {
        if (i == 0)
            TILE_STORE(0, sums, 64);
        else if (i == 1)
            TILE_STORE(1, sums, 64);
        else if (i == 2)
            TILE_STORE(2, sums, 64);
        else
            TILE_STORE(3, sums, 64);
        *x ^= sums[0][0];
    }
    TILE_RELEASE();
    return 2.0 * 4 * TILE_ROWS * PANEL * 64 * n;
}

#include "kernels/peak.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(amx, GEMM_ROWS, 4 * WIDTH);
