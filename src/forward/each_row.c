/* each_row.c - cuts rows into blocks, which are tasks. */
#include "forward/each_row.h"

/* Up to so many rows are not shared out. */
#define FEW_ROWS 4

/* Rows of a task, at most: enough that taking the next task costs nothing beside it. */
#define BLOCK_ROWS 8

struct row_blocks {
    pool_fn fn;
    void *arg;
    int n, size; /* rows: all, and of a block */
};

static void run_block(void *arg, int block, int worker) {
    const struct row_blocks *b = arg;
    const int end = (block + 1) * b->size < b->n ? (block + 1) * b->size : b->n;
    for (int row = block * b->size; row < end; row++)
        b->fn(b->arg, row, worker);
}

void each_row(struct pool *pool, int n, pool_fn fn, void *arg) {
    struct row_blocks blocks = {fn, arg, n, n};
    if (n > FEW_ROWS) {
        blocks.size = n / (4 * pool_size(pool));
        blocks.size = blocks.size < 1 ? 1 : blocks.size > BLOCK_ROWS ? BLOCK_ROWS : blocks.size;
        pool_run(pool, (n + blocks.size - 1) / blocks.size, run_block, &blocks);
    } else if (n > 0) {
        run_block(&blocks, 0, 0);
    }
}
