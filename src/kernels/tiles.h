/* tiles.h - register tiles, the common base of the products of all variants with vectors (gemm.h,
 * gemv.h, gemm_nt.h, quantized.h).
 *
 * The file that includes this one defines vectors and tile sizes first:
 *
 *   vec, WIDTH            a vector of WIDTH f32, 4, 8 or 16
 *   vec_set(s)            all lanes s
 *   vec_fma(a, b, c)      a * b + c, rounded once
 *   vec_fma_n(a, b, c, n) the same in the first n lanes; the others keep c
 *   vec_store(p, v, n)    stores the first n lanes to p[0..n)
 *   load_f32(p, n)        the n elements of that type at p as f32; the other lanes are 0. Reads no
 *   load_f16, load_bf16   byte after them. n == WIDTH, as a constant, is the fast case
 *   lanes_sum(p)          the tree of lanes16 over 16 / WIDTH vectors
 *   GEMM_ROWS             the register tile of gemm: rows of x,
 *   GEMM_VECS(rows)       and vectors of columns, at most those of a STRIP
 *   PREFETCH_AHEAD        bytes from what a tile reads to what it prefetches; 0: it does not pay
 *   PREFETCH_LEVEL        the cache it goes to, as __builtin_prefetch has it: 3 is L1, 2 is L2
 *   PREFETCH_STEP_LEVEL(size)  the same for the tiles of a block; size: bytes of an element, 1 if
 *                         it is quantized
 *   GEMM_DEPTH            rows of w in a block: with a tile's columns they fit in half of the L1
 *                         cache in every type
 *   GEMV_ROWS, GEMV_VECS  the register tile of gemv: rows of x, vectors of columns
 *   GEMV_DEPTH            rows of W in a slab
 *   GEMM_NT_ROWS          rows of x in the tile of gemm_nt
 *
 * and, if a product can take one lane of a vector for all lanes, so that gemm needs no broadcasts,
 *
 *   X_STEPS, xvec         a vector with the elements of a row of x for X_STEPS steps of k
 *   x_load(p, n)          the first n of X_STEPS elements at p; reads nothing after them
 *   ADD_PRODUCT_X(sum, x, i, w)  sum += x[i] * w, rounded once, where it is written; i is a
 *                         constant
 *   ADD_PRODUCTS_X(sum, v, x, i, w)  sum[r][v + j] += x[r][i] * w[j] for all GEMM_ROWS rows and
 *                         j = 0 and 1; GEMM_VECS(GEMM_ROWS) is even
 *
 * The code of a tile is a function whose sizes are parameters. It is inlined where they are
 * constants, so that its arrays become registers. Remainders run the same code with smaller sizes.
 */
#ifndef KERNELS_TILES_H
#define KERNELS_TILES_H

#include "kernels/kernels.h"
#include "kernels/operands.h"
#include <stdbool.h>

#if defined(__clang__)
#define UNROLL    _Pragma("clang loop unroll(full)")
#define UNROLL_2  _Pragma("clang loop unroll_count(2)")
#define UNROLL_4  _Pragma("clang loop unroll_count(4)")
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL    _Pragma("GCC unroll 16")
#define UNROLL_2  _Pragma("GCC unroll 2")
#define UNROLL_4  _Pragma("GCC unroll 4")
#define NO_UNROLL _Pragma("GCC unroll 1")
#endif

/* IN_ORDER(v), after a product has been added to the sum v: the addition stays where it is written.
 * Compilers otherwise move the additions of a tile below the loads of the steps that follow, and
 * have to keep what is loaded on the stack. */
#if defined(__x86_64__)
#define IN_ORDER(v) __asm__ volatile("" : "+v"(v) : : "memory")
#elif defined(__aarch64__)
#define IN_ORDER(v) __asm__ volatile("" : "+w"(v) : : "memory")
#else
#define IN_ORDER(v) ((void)(v))
#endif

/* sum += a * b, rounded once. clang gets the instruction that adds in place: left to itself it
 * writes the result over a or b, and moves all sums of a tile at the end of a step. gcc for x86-64
 * leaves these additions where they are; for arm64 it copies sums, too. */
#if defined(__clang__)
#define FLOATS_IN_ORDER(v) IN_ORDER(v)
#else
#define FLOATS_IN_ORDER(v) ((void)(v))
#endif
#if defined(__clang__) && defined(__x86_64__)
#define ADD_PRODUCT(sum, a, b) \
    __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b) : "memory")
#elif defined(__aarch64__)
#define ADD_PRODUCT(sum, a, b) \
    __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(sum) : "w"(a), "w"(b) : "memory")
#else
#define ADD_PRODUCT(sum, a, b)      \
    do {                            \
        (sum) = vec_fma(a, b, sum); \
        FLOATS_IN_ORDER(sum);       \
    } while (0)
#endif

/* IN_MEMORY(v): the vector v is in memory from here on, so that the loop that follows has all
 * registers. */
#define IN_MEMORY(v) __asm__ volatile("" : "+m"(v))

/* LOADS_STAY(), before a tile: its loads stay in it. A compiler that finds the same loads in two
 * tiles of different sizes makes them before the branch that leads to either, and has to keep them
 * on the stack. */
#define LOADS_STAY() __asm__ volatile("" ::: "memory")

/* OPAQUE(x): the compiler knows nothing of the integer or pointer x. What depends on it is computed
 * where it is used: not before an outer loop, to be kept on the stack in the loop, and not for all
 * steps of an unrolled loop at once, which would take more registers than there are. */
#define OPAQUE(x) __asm__ volatile("" : "+r"(x))

#if !defined(X_STEPS)
#define X_STEPS 1
#endif

/* Runs TILE(rows) with `rows` as a constant, 0 <= rows < limit; nothing for 0 rows. `limit` is a
 * constant, at most WITH_CONSTANT_MOST. */
#define WITH_CONSTANT_MOST 8
#define WITH_CONSTANT(rows, limit, TILE)                                                     \
    {                                                                                        \
        _Static_assert((limit) <= WITH_CONSTANT_MOST, "WITH_CONSTANT has no case for this"); \
        switch (rows) {                                                                      \
        case 1:                                                                              \
            if (1 < (limit))                                                                 \
                TILE(1);                                                                     \
            break;                                                                           \
        case 2:                                                                              \
            if (2 < (limit))                                                                 \
                TILE(2);                                                                     \
            break;                                                                           \
        case 3:                                                                              \
            if (3 < (limit))                                                                 \
                TILE(3);                                                                     \
            break;                                                                           \
        case 4:                                                                              \
            if (4 < (limit))                                                                 \
                TILE(4);                                                                     \
            break;                                                                           \
        case 5:                                                                              \
            if (5 < (limit))                                                                 \
                TILE(5);                                                                     \
            break;                                                                           \
        case 6:                                                                              \
            if (6 < (limit))                                                                 \
                TILE(6);                                                                     \
            break;                                                                           \
        case 7:                                                                              \
            if (7 < (limit))                                                                 \
                TILE(7);                                                                     \
            break;                                                                           \
        }                                                                                    \
    }

/* The sums of a tile are in an array as wide as a STRIP. */
_Static_assert(GEMM_VECS(1) * WIDTH <= STRIP && GEMM_VECS(GEMM_ROWS) * WIDTH <= STRIP,
               "a tile of gemm is at most a STRIP wide");

/* The size of a register tile: `rows` rows by `vecs` vectors, of which only the first `columns`
 * columns are used. ahead: it is the first to read its weights, from memory, or may be, and calls
 * prefetch_ahead; else they are in a cache, and it takes a struct prefetch. */
struct tile {
    int rows, vecs, columns;
    bool ahead;
};

/* The number of lanes of its vector v that are used. */
ALWAYS_INLINE int tile_lanes(struct tile tile, int v) {
    int left = tile.columns - v * WIDTH;
    return left < 0 ? 0 : left < WIDTH ? left : WIDTH;
}

/* Prefetches a line of weights to the L1 or the L2 cache, by a level as in PREFETCH_LEVEL. */
ALWAYS_INLINE void prefetch_line(const char *p, int level) {
    if (level == 2)
        __builtin_prefetch(p, 0, 2); // the level has to be a literal
    else
        __builtin_prefetch(p, 0, 3);
}

/* What the tiles of a block of weights prefetch, each a share: lines that are `step` bytes apart,
 * in each of the tile's panels in turn. The panels are `next` bytes apart. sparse: there are so
 * many tiles that every SPARSE-th step of each is enough; the instructions of the others would take
 * time from the products. */
struct prefetch {
    const char *p;
    size_t step, next;
    bool sparse;
};
#define SPARSE 4

/* Where the first of some lines is from that of panel 0: at each step i the next of the panels. A
 * power of two of panels, and no signed numbers, of which clang would make vectors. */
ALWAYS_INLINE size_t prefetch_turn(int i, int panels, int lines, size_t next) {
    return lines < panels
               ? (size_t)((unsigned)i % (unsigned)(panels / lines)) * (size_t)lines * next
               : 0;
}

/* At step i of a tile, which reads so many lines of elements of `size` bytes (quantized: 1): half
 * as many, what two tiles share. The next call is `steps` later. */
ALWAYS_INLINE void prefetch_step(struct prefetch *prefetch, int i, int panels, int reads,
                                 size_t steps, size_t size) {
    const int lines = reads > 1 ? reads / 2 : 1;
    const size_t turn = prefetch_turn(i, panels, lines, prefetch->next);
    UNROLL for (int j = 0; j < lines; j++) {
        prefetch_line(prefetch->p + turn + (size_t)j * prefetch->next, PREFETCH_STEP_LEVEL(size));
    }
    prefetch->p += steps * prefetch->step;
    OPAQUE(prefetch->p); // or the places of all steps are computed first, and kept on the stack
}

_Static_assert(GEMM_ROWS != 2 && GEMM_NT_ROWS != 2, "no tile of several has one row: tile_rows");

/* The rows of the next tile of m rows, which has at most `max`. Two or three tiles are equally
 * large, and so are the last ones of many: none has one row, which would load each weight for a
 * single product, but where `max` is 2. */
ALWAYS_INLINE int tile_rows(int m, int max) {
    if (m <= max)
        return m;
    if (m <= 2 * max)
        return (m + 1) / 2;
    if (m <= 3 * max)
        return (m + 2) / 3;
    return max;
}

/* A tile that reads a line of 64 bytes for more products than this prefetches PREFETCH_AHEAD bytes
 * ahead of itself, in each panel. A core has no more than some hundred instructions in flight: with
 * many products a line that is less memory than it could be waiting for; with few the hardware does
 * as well alone, and better on some CPUs. */
#define PREFETCH_PRODUCTS 4

/* At step i of a tile, whose line of its first panel is at `at`, and which reads so many lines, or
 * half of each of twice as many. products: how many vectors of products each line is read for. */
ALWAYS_INLINE void prefetch_ahead(const char *at, size_t next, int i, int panels, int reads,
                                  int products) {
    const int lines = reads > 1 ? reads : 1;
    const size_t turn = prefetch_turn(i, panels, lines, next);
    const bool pays = PREFETCH_AHEAD > 0 && products > PREFETCH_PRODUCTS;
    UNROLL for (int j = 0; pays && j < lines; j++) {
        prefetch_line(at + turn + (size_t)j * next + PREFETCH_AHEAD, PREFETCH_LEVEL);
    }
}

/* A type of weights: the size of an element in bytes, and load_f32, load_f16 or load_bf16; in
 * gemm.h also `whole_tile`, or NULL where there is none. */
struct element {
    size_t size;
    vec (*load)(const void *p, int n);
    void (*whole_tile)(struct y_rows y, struct x_rows x, struct panels w, struct prefetch prefetch,
                       int K);
};

#endif
