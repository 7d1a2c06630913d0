/* tiling.h - how a matrix product [m, n_out] is cut into tasks for the threads.
 *
 * A task is a rectangle of outputs; those at the right and lower edge may be smaller. Nothing here
 * can change a result: no sum is ever shared. */
#ifndef FORWARD_TILING_H
#define FORWARD_TILING_H

#include <stddef.h>

/* Outputs of a task: rows of y, and columns in whole strips (kernels/panels.h). */
struct tiling {
    int rows, columns;
};

#define TILING_COLUMNS 256 /* the most columns that tiling_blocks gives a task */

/* What cutting is computed with, here and in attention.c and kv.c; b > 0. */
static inline int min(int a, int b) {
    return a < b ? a : b;
}

static inline int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

static inline int round_up(int a, int b) {
    return divide_up(a, b) * b;
}

/* A file's rows that are streamed: pieces of them, one for each thread or more where pieces stay
 * long. `size`: bytes of an element. */
struct tiling tiling_stream(int m, int n_out, size_t size, int threads);

/* Panels that a pass moves: strips with all rows, so that each is read once; as many tasks as can
 * be, so that no thread waits long for another. */
struct tiling tiling_strips(int m);

/* Rectangles for more rows, cut along the rows into `max_cuts` at most, between register tiles of
 * `mr` rows: the cut with the least work for the thread that has most of it, where each task costs
 * as much as `packing` rows before it begins. Of equal ones that with the most columns: while a
 * thread works on a strip, it asks for the next one of its task. */
struct tiling tiling_blocks(int m, int n_out, int mr, int packing, int threads, int max_cuts);

#endif
