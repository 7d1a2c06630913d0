/* emulate_amx.h - the tile instructions of src/kernels/x86_amx.c in plain C, so that a CPU
 * without AMX can test that variant. They are written from Intel's description of LDTILECFG,
 * TILERELEASE, TILEZERO, TILELOADD, TILESTORED and TDPBSSD: what that says raises an exception ends
 * the program, and what an instruction does not write is 0. Tiles belong to the thread. */
#include <stdio.h>
#include <stdlib.h>

typedef uint32_t emulated_row __attribute__((vector_size(64))); /* one lane for 4 bytes */

struct emulated_tile {
    int rows, bytes; /* as configured; 0: not at all */
    emulated_row row[16];
};
static _Thread_local struct emulated_tile emulated_tiles[8];
static _Thread_local int emulated_is_configured;

static struct emulated_tile *emulated_tile(int t) {
    if (t < 0 || t > 7 || !emulated_is_configured || !emulated_tiles[t].rows) {
        fprintf(stderr, "emulate_amx.h: tile %d is not configured\n", t);
        abort();
    }
    return &emulated_tiles[t];
}

static __attribute__((noinline)) void emulated_configure(const struct tile_configuration *c) {
    for (int t = 0; t < 16; t++)
        if (c->rows[t] > 16 || c->bytes[t] > 64 || !c->rows[t] != !c->bytes[t] ||
            (t > 7 && c->rows[t])) {
            fprintf(stderr, "emulate_amx.h: tile %d has no such shape\n", t);
            abort();
        }
    if (c->palette != 1 || c->start_row != 0)
        abort();
    memset(emulated_tiles, 0, sizeof emulated_tiles);
    for (int t = 0; t < 8; t++) {
        emulated_tiles[t].rows = c->rows[t];
        emulated_tiles[t].bytes = c->bytes[t];
    }
    emulated_is_configured = 1;
}

static __attribute__((noinline)) void emulated_zero(int t) {
    struct emulated_tile *tile = emulated_tile(t);
    memset(tile->row, 0, sizeof tile->row);
}

static __attribute__((noinline)) void emulated_load(int t, const void *p, size_t stride) {
    struct emulated_tile *tile = emulated_tile(t);
    memset(tile->row, 0, sizeof tile->row);
    for (int r = 0; r < tile->rows; r++)
        memcpy(&tile->row[r], (const char *)p + (size_t)r * stride, (size_t)tile->bytes);
}

static __attribute__((noinline)) void emulated_store(int t, void *p, size_t stride) {
    const struct emulated_tile *tile = emulated_tile(t);
    for (int r = 0; r < tile->rows; r++)
        memcpy((char *)p + (size_t)r * stride, &tile->row[r], (size_t)tile->bytes);
}

/* Byte k of each lane, with its sign. */
static inline emulated_row emulated_byte(emulated_row lanes, int k) {
    typedef int32_t signed_row __attribute__((vector_size(64)));
    return (emulated_row)((signed_row)(lanes << (24 - 8 * k)) >> 24);
}

static __attribute__((noinline)) void emulated_dot(int s, int a, int b) {
    struct emulated_tile *sum = emulated_tile(s), *x = emulated_tile(a), *w = emulated_tile(b);
    if (s == a || s == b || a == b || sum->rows != x->rows || sum->bytes != w->bytes ||
        x->bytes != 4 * w->rows) {
        fprintf(stderr, "emulate_amx.h: tiles %d, %d and %d do not fit each other\n", s, a, b);
        abort();
    }
    for (int r = 0; r < sum->rows; r++)
        for (int i = 0; i < w->rows; i++) // a lane of x with a row of w: 0 past its bytes
            for (int k = 0; k < 4; k++)
                sum->row[r] += emulated_byte(x->row[r][i] - (emulated_row){0}, k) *
                               emulated_byte(w->row[i], k);
}

#define TILE_CONFIGURE(c)        emulated_configure(c)
#define TILE_RELEASE()           (emulated_is_configured = 0)
#define TILE_ZERO(t)             emulated_zero(t)
#define TILE_LOAD(t, p, stride)  emulated_load(t, p, stride)
#define TILE_STORE(t, p, stride) emulated_store(t, p, stride)
#define TILE_DOT(sum, a, b)      emulated_dot(sum, a, b)
