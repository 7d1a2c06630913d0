/* block_check.c - compares blocks of a file with the checksums that its container carries. */
#include "weights/block_check.h"
#include "base/checksum.h"
#include "base/error_internal.h"
#include "base/os.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

/* Threads that check a file: one reads 20 to 40 GB/s, so a few reach what memory gives. */
#define MAX_THREADS 4
#define MIN_BLOCKS  32 /* with fewer, it is over before a thread has started */

static uint64_t block_sum(const struct checksums *blocks, size_t i) {
    const size_t at = i * blocks->block_bytes, left = blocks->n_bytes - at;
    return checksum(blocks->data + at, left < blocks->block_bytes ? left : blocks->block_bytes);
}

static uint64_t expected_sum(const struct checksums *blocks, size_t i) {
    uint64_t sum;
    memcpy(&sum, blocks->sums + 8 * i, 8);
    return sum;
}

struct block_check {
    const struct tensors *tensors;
    struct checksums blocks; /* a copy of the table's */
    atomic_bool *taken;   /* [blocks.count] a thread has compared the block, or is comparing it */
    atomic_size_t n_done; /* blocks that have been compared                              */
    atomic_size_t bad;    /* the first block that is damaged, of those looked at so far  */
};

static bool refuse_block(const struct tensors *tensors, const struct checksums *blocks, size_t bad,
                         struct gpt2_error *err) {
    const unsigned char *data = blocks->data + bad * blocks->block_bytes;
    const char *name = "";
    for (size_t i = 0; i < tensors->count; i++)
        if ((const unsigned char *)tensors->items[i].data <= data)
            name = tensors->items[i].name;
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected the data from tensor \"%s\" on to have checksum %016" PRIx64
              ", found %016" PRIx64 ": the file is damaged",
              tensors->path, name, expected_sum(blocks, bad), block_sum(blocks, bad));
    return error_hint(err, "copy the file again, or make it again with `gpt2 quantize`");
}

/* Any thread, any number of times: the first one compares. */
static void check_block(void *arg, int i, int worker) {
    struct block_check *check = arg;
    if (atomic_exchange_explicit(&check->taken[i], true, memory_order_relaxed))
        return;
    if (block_sum(&check->blocks, (size_t)i) != expected_sum(&check->blocks, (size_t)i)) {
        size_t bad = atomic_load(&check->bad);
        while ((size_t)i < bad && !atomic_compare_exchange_weak(&check->bad, &bad, (size_t)i)) {
        }
    }
    atomic_fetch_add_explicit(&check->n_done, 1, memory_order_release);
}

struct block_check *block_check_create(const struct tensors *tensors, struct gpt2_error *err) {
    struct block_check *check = os_alloc(1, sizeof *check, "checking the file", err);
    if (!check)
        return NULL;
    check->tensors = tensors;
    check->blocks = tensors->checksums;
    atomic_init(&check->bad, SIZE_MAX);
    check->taken = os_alloc(check->blocks.count, sizeof *check->taken, "checking the file", err);
    if (check->taken)
        return check;
    block_check_free(check);
    return NULL;
}

void block_check_free(struct block_check *check) {
    if (!check)
        return;
    os_free(check->taken);
    os_free(check);
}

/* Where in the blocks some bytes begin; *n_bytes becomes how many of them are there, 0 for bytes
 * elsewhere. */
static size_t place_in(const struct block_check *check, const void *data, size_t *n_bytes) {
    const struct checksums *blocks = &check->blocks;
    uintptr_t begin = (uintptr_t)blocks->data, at = (uintptr_t)data;
    if (at < begin || at - begin >= blocks->n_bytes)
        *n_bytes = 0;
    else if (*n_bytes > blocks->n_bytes - (at - begin))
        *n_bytes = blocks->n_bytes - (at - begin);
    return *n_bytes ? at - begin : 0;
}

void block_check_begin(const struct block_check *check, const void *data, size_t n_bytes) {
    const struct os_file *file = &check->tensors->file;
    place_in(check, data, &n_bytes);
    if (n_bytes && file->size) // not so where the bytes are borrowed
        os_populate(file, (size_t)((const unsigned char *)data - file->data), n_bytes);
}

void block_check_end(struct block_check *check, const void *data, size_t n_bytes) {
    const size_t at = place_in(check, data, &n_bytes), block = check->blocks.block_bytes;
    for (size_t i = at / block; i < (at + n_bytes) / block; i++)
        if (!atomic_load_explicit(&check->taken[i], memory_order_relaxed))
            check_block(check, (int)i, 0);
}

bool block_check_finish(struct block_check *check, struct pool *pool, struct gpt2_error *err) {
    if (atomic_load_explicit(&check->n_done, memory_order_acquire) < check->blocks.count)
        pool_run(pool, (int)check->blocks.count, check_block, check);
    while (atomic_load_explicit(&check->n_done, memory_order_acquire) < check->blocks.count)
        os_yield(); // another pass is comparing the last of them
    size_t bad = atomic_load(&check->bad);
    return bad == SIZE_MAX || refuse_block(check->tensors, &check->blocks, bad, err);
}

bool block_check_passed(const struct block_check *check) {
    return atomic_load_explicit(&check->n_done, memory_order_acquire) == check->blocks.count &&
           atomic_load(&check->bad) == SIZE_MAX;
}

/* Without threads it is slower, but not wrong. */
bool block_check_all(const struct tensors *tensors, struct gpt2_error *err) {
    if (!tensors->checksums.sums)
        return true;
    struct block_check *check = block_check_create(tensors, err);
    if (!check)
        return false;
    int n_threads = check->blocks.count >= MIN_BLOCKS ? os_cpus() : 1;
    struct pool *pool = pool_create(n_threads < MAX_THREADS ? n_threads : MAX_THREADS, NULL);
    bool ok = block_check_finish(check, pool, err);
    pool_free(pool);
    block_check_free(check);
    return ok;
}

bool block_check_tensor(const struct tensors *tensors, const struct tensor *tensor,
                        struct gpt2_error *err) {
    const struct checksums *blocks = &tensors->checksums;
    if (!blocks->sums || tensor->n_bytes == 0)
        return true;
    size_t at = (size_t)((const unsigned char *)tensor->data - blocks->data);
    size_t last = (at + tensor->n_bytes - 1) / blocks->block_bytes;
    for (size_t i = at / blocks->block_bytes; i <= last; i++)
        if (block_sum(blocks, i) != expected_sum(blocks, i))
            return refuse_block(tensors, blocks, i, err);
    return true;
}
