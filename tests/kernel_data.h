/* kernel_data.h - operands for the tests of kernels: random numbers in memory that ends where an
 * inaccessible page begins. cmocka.h must be included before it. */
#ifndef KERNEL_DATA_H
#define KERNEL_DATA_H

#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t random_state = 1;

static uint32_t random_bits(void) { // xorshift64*
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1D >> 32);
}

static int random_below(int n) {
    return (int)(random_bits() % (uint32_t)n);
}

static float random_float(void) { // about normal, never 0
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)(int32_t)random_bits() * 0x1p-31f;
    return sum;
}

/* PLAIN: numbers of ordinary size. WILD: one in 16 is a special or extreme value. */
enum data { PLAIN, WILD };

static float random_value(enum data data) {
    static const float awkward[] = {NAN,     INFINITY, -INFINITY, 0.0f,    -0.0f,  1e-40f,
                                    -1e-45f, FLT_MAX,  -FLT_MAX,  FLT_MIN, -88.7f, 104.0f};
    if (data == WILD && random_below(16) == 0)
        return awkward[random_below((int)(sizeof awkward / sizeof *awkward))];
    return random_float();
}

/* n_bytes that end where an inaccessible page begins. UNGUARDED=1: an accessible one, for emulators
 * that read the lanes which AVX2's masked loads leave out, as qemu 7.2 does. */
struct guarded {
    char *map;
    size_t map_bytes;
    void *data;
    size_t n_bytes;
};

static struct guarded guarded_alloc(size_t n_bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct guarded g = {.n_bytes = n_bytes, .map_bytes = (n_bytes / page + 2) * page};
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    if (!getenv("UNGUARDED"))
        assert_int_equal(mprotect(g.map + g.map_bytes - page, page, PROT_NONE), 0);
    g.data = g.map + g.map_bytes - page - n_bytes;
    return g;
}

static void guarded_free(struct guarded g) {
    munmap(g.map, g.map_bytes);
}

/* A matrix of f32 in guarded memory: the last row ends at the page, the gaps are random too. */
static struct guarded random_matrix(int rows, int columns, size_t stride, enum data data) {
    size_t n = (size_t)(rows - 1) * stride + (size_t)columns;
    struct guarded g = guarded_alloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        ((float *)g.data)[i] = random_value(data);
    return g;
}

static struct guarded copy_of(struct guarded source) {
    struct guarded g = guarded_alloc(source.n_bytes);
    memcpy(g.data, source.data, source.n_bytes);
    return g;
}

/* Asserts equal bits, except that any NaN equals any other. */
static void assert_same(const void *a, const void *b, size_t n, const char *what) {
    const float *x = a, *y = b;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&x[i], &y[i], sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i])))
            fail_msg("%s: element %zu of %zu: %a, expected %a", what, i, n, (double)x[i],
                     (double)y[i]);
    }
}

#endif
