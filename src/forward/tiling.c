/* tiling.c - chooses how many rows and columns a task of a product has. */
#include "forward/tiling.h"
#include "kernels/panels.h"

#include <stdint.h>

/* Bytes of a row of W that a streaming task should read in one go, at least. Shorter pieces cost
 * bandwidth: the hardware reads ahead, into columns that belong to another task. */
#define MIN_PIECE 4096

struct tiling tiling_stream(int m, int n_out, size_t size, int threads) {
    int piece = (int)(MIN_PIECE / size);
    int columns = divide_up(n_out, threads);
    if (columns > 2 * piece)
        columns = divide_up(columns, columns / piece);
    return (struct tiling){m, round_up(columns, STRIP)};
}

struct tiling tiling_strips(int m) {
    return (struct tiling){m, STRIP};
}

struct tiling tiling_blocks(int m, int n_out, int mr, int packing, int threads, int max_cuts) {
    struct tiling best = {0};
    int64_t least = INT64_MAX;
    for (int n = 1; n <= max_cuts; n++) {
        int rows = round_up(divide_up(m, n), mr);
        for (int columns = STRIP; columns <= TILING_COLUMNS; columns += STRIP) {
            int tasks = divide_up(m, rows) * divide_up(n_out, columns);
            int64_t work = (int64_t)divide_up(tasks, threads) * columns * (rows + packing);
            if (work < least || (work == least && columns > best.columns)) {
                least = work;
                best = (struct tiling){rows, columns};
            }
        }
    }
    return best;
}
