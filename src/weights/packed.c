#include "weights/packed.h"
#include "base/checksum.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/pool.h"
#include "weights/containers.h"
#include "weights/safetensors.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file begins with this behind its first 8 bytes; the version and a quote follow. Other tools
 * that write a file anew may order its header otherwise: it is then theirs, and its checksums are
 * no longer right anyway. */
static const char magic[] = "{\"__metadata__\":{\"format\":\"gpt2-packed\",\"version\":\"";

#define MAGIC_LEN (sizeof magic - 1)
#define DATA_AT   4096 /* the data begins at a multiple of it */

/* Threads that check a file: one reads 20 to 40 GB/s, so a few reach what memory gives. */
#define MAX_THREADS 4
#define MIN_BLOCKS  32 /* below, it is over before a thread has started */

static const char remedy[] = "copy the file again, or make it again with `gpt2 quantize`";

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* ---- reading ---- */

_Static_assert(8 + MAGIC_LEN <= CONTAINER_HEAD, "the head of a file tells whether it is packed");

bool packed_recognise(const unsigned char *head, size_t n) {
    return n >= 8 + MAGIC_LEN && memcmp(head + 8, magic, MAGIC_LEN) == 0;
}

static bool check_version(const unsigned char *bytes, size_t n_bytes, const char *name,
                          struct gpt2_error *err) {
    const char *version = (const char *)bytes + 8 + MAGIC_LEN;
    size_t left = n_bytes - 8 - MAGIC_LEN, len = 0;
    while (len < left && len < 20 && version[len] != '"')
        len++;
    if (len == strlen(PACKED_VERSION) && memcmp(version, PACKED_VERSION, len) == 0)
        return true;
    error_set(err, GPT2_ERR_MODEL,
              "%s: made by another version of gpt2: expected format version %s, found \"%.*s\"",
              name, PACKED_VERSION, (int)len, version);
    return error_hint(err, "make it again with `gpt2 quantize`");
}

/* The header's own checksum stands in the first 8 bytes behind it, so it can be checked before
 * anything in the header is believed. */
static bool check_header(const unsigned char *bytes, size_t n_bytes, const char *name,
                         struct gpt2_error *err) {
    uint64_t n_header, expected;
    memcpy(&n_header, bytes, 8);
    if (n_header > n_bytes - 8 || n_bytes - 8 - n_header < 8) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: expected a header of %" PRIu64
                  " bytes and data, found the file to have %zu bytes: it is truncated or damaged",
                  name, n_header, n_bytes);
        return error_hint(err, "%s", remedy);
    }
    memcpy(&expected, bytes + 8 + n_header, 8);
    uint64_t found = checksum(bytes, 8 + (size_t)n_header);
    if (found == expected)
        return true;
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected the header to have checksum %016" PRIx64 ", found %016" PRIx64
              ": the file is damaged",
              name, expected, found);
    return error_hint(err, "%s", remedy);
}

/* What the table says about, in blocks. */
struct blocks {
    const unsigned char *data; /* [n_bytes] behind the table */
    size_t n_bytes, count;
    const unsigned char *sums; /* [count] of 8 bytes */
};

static struct blocks blocks_of(const struct tensors *tensors) {
    const struct tensor *table = &tensors->items[0], *last = &tensors->items[tensors->count - 1];
    const unsigned char *data = (const unsigned char *)table->data + table->n_bytes;
    size_t n_bytes = (size_t)((const unsigned char *)last->data + last->n_bytes - data);
    return (struct blocks){data, n_bytes, (n_bytes + PACKED_BLOCK - 1) / PACKED_BLOCK,
                           (const unsigned char *)table->data + 8};
}

static size_t table_entries(size_t n_blocks) {
    return round_up(1 + n_blocks, 8);
}

static bool check_table(const struct tensors *tensors, struct gpt2_error *err) {
    const struct tensor *table = &tensors->items[0];
    if (tensors->count == 0 || strcmp(table->name, PACKED_CHECKSUMS) != 0) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected the data to begin with tensor \"%s\"",
                  tensors->path, PACKED_CHECKSUMS);
        return error_hint(err, "%s", remedy);
    }
    struct blocks blocks = blocks_of(tensors);
    size_t expected = 8 * table_entries(blocks.count);
    if (table->n_bytes != expected) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected %zu bytes for %zu bytes of data, found %zu",
                  tensors->path, table->name, expected, blocks.n_bytes, table->n_bytes);
        return error_hint(err, "%s", remedy);
    }
    for (size_t i = 8 * blocks.count; i < table->n_bytes - 8; i++) {
        if (blocks.sums[i]) {
            error_set(err, GPT2_ERR_MODEL, "%s: tensor \"%s\": expected zeros at its end, found %d",
                      tensors->path, table->name, blocks.sums[i]);
            return error_hint(err, "%s", remedy);
        }
    }
    return true;
}

static bool parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                  struct gpt2_error *err) {
    if (!packed_recognise(bytes, n_bytes)) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a packed model, found another kind of file",
                  name);
        return error_hint(err, "`gpt2 quantize` makes one");
    }
    if (!check_version(bytes, n_bytes, name, err) || !check_header(bytes, n_bytes, name, err))
        return false;
    if (!safetensors_parse(out, bytes, n_bytes, name, err))
        return error_hint(err, "%s", remedy);
    return check_table(out, err);
}

bool packed_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                  struct gpt2_error *err) {
    *out = (struct tensors){0};
    if (parse(out, bytes, n_bytes, name, err))
        return true;
    tensors_close(out);
    return false;
}

bool packed_open(struct tensors *out, const char *path, struct gpt2_error *err) {
    return tensors_open(out, path, packed_parse, err);
}

const struct tensor *packed_find(const struct tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->items[i].name, name) == 0)
            return &tensors->items[i];
    return NULL;
}

static uint64_t block_sum(const struct blocks *blocks, size_t i) {
    size_t left = blocks->n_bytes - i * PACKED_BLOCK;
    return checksum(blocks->data + i * PACKED_BLOCK, left < PACKED_BLOCK ? left : PACKED_BLOCK);
}

static uint64_t expected_sum(const struct blocks *blocks, size_t i) {
    uint64_t sum;
    memcpy(&sum, blocks->sums + 8 * i, 8);
    return sum;
}

struct packed_check {
    const struct tensors *tensors;
    struct blocks blocks;
    atomic_bool *taken;   /* [blocks.count] somebody has compared the block, or is at it */
    atomic_size_t n_done; /* blocks that have been compared                              */
    atomic_size_t bad;    /* the first block that is damaged, of those looked at so far  */
};

static bool refuse_block(const struct tensors *tensors, const struct blocks *blocks, size_t bad,
                         struct gpt2_error *err) {
    const unsigned char *data = blocks->data + bad * PACKED_BLOCK;
    const char *name = "";
    for (size_t i = 0; i < tensors->count; i++)
        if ((const unsigned char *)tensors->items[i].data <= data)
            name = tensors->items[i].name;
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected the data from tensor \"%s\" on to have checksum %016" PRIx64
              ", found %016" PRIx64 ": the file is damaged",
              tensors->path, name, expected_sum(blocks, bad), block_sum(blocks, bad));
    return error_hint(err, "%s", remedy);
}

static void check_block(void *arg, int i, int worker) {
    struct packed_check *check = arg;
    if (atomic_exchange_explicit(&check->taken[i], true, memory_order_relaxed))
        return;
    if (block_sum(&check->blocks, (size_t)i) != expected_sum(&check->blocks, (size_t)i)) {
        size_t bad = atomic_load(&check->bad);
        while ((size_t)i < bad && !atomic_compare_exchange_weak(&check->bad, &bad, (size_t)i)) {
        }
    }
    atomic_fetch_add_explicit(&check->n_done, 1, memory_order_release);
}

struct packed_check *packed_check_create(const struct tensors *tensors, struct gpt2_error *err) {
    struct packed_check *check = os_alloc(1, sizeof *check, "checking the file", err);
    if (!check)
        return NULL;
    check->tensors = tensors;
    check->blocks = blocks_of(tensors);
    atomic_init(&check->bad, SIZE_MAX);
    check->taken = os_alloc(check->blocks.count, sizeof *check->taken, "checking the file", err);
    if (check->taken)
        return check;
    packed_check_free(check);
    return NULL;
}

void packed_check_free(struct packed_check *check) {
    if (!check)
        return;
    os_free(check->taken);
    os_free(check);
}

/* Where in the blocks some bytes begin, and how many there are; none if they are elsewhere. */
static size_t place_in(const struct packed_check *check, const void *data, size_t *n_bytes) {
    const struct blocks *blocks = &check->blocks;
    uintptr_t begin = (uintptr_t)blocks->data, at = (uintptr_t)data;
    if (at < begin || at - begin >= blocks->n_bytes)
        *n_bytes = 0;
    else if (*n_bytes > blocks->n_bytes - (at - begin))
        *n_bytes = blocks->n_bytes - (at - begin);
    return *n_bytes ? at - begin : 0;
}

void packed_check_begin(const struct packed_check *check, const void *data, size_t n_bytes) {
    const struct os_file *file = &check->tensors->file;
    place_in(check, data, &n_bytes);
    if (n_bytes && file->size) // not so where the bytes are borrowed
        os_populate(file, (size_t)((const unsigned char *)data - file->data), n_bytes);
}

void packed_check_end(struct packed_check *check, const void *data, size_t n_bytes) {
    size_t at = place_in(check, data, &n_bytes);
    for (size_t i = at / PACKED_BLOCK; i < (at + n_bytes) / PACKED_BLOCK; i++)
        if (!atomic_load_explicit(&check->taken[i], memory_order_relaxed))
            check_block(check, (int)i, 0);
}

bool packed_check_finish(struct packed_check *check, struct pool *pool, struct gpt2_error *err) {
    if (atomic_load_explicit(&check->n_done, memory_order_acquire) < check->blocks.count)
        pool_run(pool, (int)check->blocks.count, check_block, check);
    while (atomic_load_explicit(&check->n_done, memory_order_acquire) < check->blocks.count)
        os_yield(); // another pass is at the last of them
    size_t bad = atomic_load(&check->bad);
    return bad == SIZE_MAX || refuse_block(check->tensors, &check->blocks, bad, err);
}

bool packed_check_passed(const struct packed_check *check) {
    return atomic_load_explicit(&check->n_done, memory_order_acquire) == check->blocks.count &&
           atomic_load(&check->bad) == SIZE_MAX;
}

/* All blocks, in some threads. Without threads it is slower, but not wrong. */
static bool verify_all(const struct tensors *tensors, struct gpt2_error *err) {
    struct packed_check *check = packed_check_create(tensors, err);
    if (!check)
        return false;
    int n_threads = check->blocks.count >= MIN_BLOCKS ? os_cpus() : 1;
    struct pool *pool = pool_create(n_threads < MAX_THREADS ? n_threads : MAX_THREADS, NULL);
    if (!pool)
        pool = pool_create(1, err);
    bool ok = pool && packed_check_finish(check, pool, err);
    pool_free(pool);
    packed_check_free(check);
    return ok;
}

bool packed_verify(const struct tensors *tensors, const struct tensor *only,
                   struct gpt2_error *err) {
    if (!only)
        return verify_all(tensors, err);
    if (only->n_bytes == 0)
        return true;
    struct blocks blocks = blocks_of(tensors);
    size_t at = (size_t)((const unsigned char *)only->data - blocks.data);
    size_t last = (at + only->n_bytes - 1) / PACKED_BLOCK;
    for (size_t i = at / PACKED_BLOCK; i <= last; i++)
        if (block_sum(&blocks, i) != expected_sum(&blocks, i))
            return refuse_block(tensors, &blocks, i, err);
    return true;
}

/* ---- writing ---- */

static size_t padding_behind(const struct tensor *t) {
    return round_up(t->n_bytes, PACKED_ALIGN) - t->n_bytes;
}

/* `,"NAME":{...}` for data at *at, which moves behind it. */
static void print_entry(FILE *text, const struct tensor *t, uint64_t *at) {
    fprintf(text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
    for (int i = 0; i < t->rank; i++)
        fprintf(text, "%s%" PRId64, i ? "," : "", t->shape[i]);
    fprintf(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *at, *at + t->n_bytes);
    *at += t->n_bytes;
}

static struct tensor bytes_tensor(const char *name, size_t n_bytes) {
    return (struct tensor){name, "U8", 1, {(int64_t)n_bytes}, NULL, n_bytes};
}

/* All that stands in front of the data, to be freed; NULL where memory is out. */
static char *make_header(size_t *size, const struct packed_writer *w, const char *type) {
    char *header = NULL;
    FILE *text = open_memstream(&header, size);
    if (!text)
        return NULL;
    const struct tensor table = {PACKED_CHECKSUMS,     "I64", 1,
                                 {(int64_t)w->n_sums}, NULL,  w->n_sums * 8};
    uint64_t at = 0;
    fprintf(text, "........%s" PACKED_VERSION "\",\"type\":\"%s\"}", magic, type);
    print_entry(text, &table, &at);
    for (size_t i = 0; i < w->n_tensors; i++) {
        char name[sizeof PACKED_PADDING + 20];
        snprintf(name, sizeof name, PACKED_PADDING "%zu", i);
        struct tensor padding = bytes_tensor(name, padding_behind(&w->tensors[i]));
        print_entry(text, &w->tensors[i], &at);
        if (padding.n_bytes)
            print_entry(text, &padding, &at);
    }
    fputc('}', text);
    fflush(text);
    for (size_t i = *size; i % DATA_AT; i++)
        fputc(' ', text);
    if (fclose(text) != 0) {
        free(header);
        return NULL;
    }
    uint64_t n = *size - 8;
    memcpy(header, &n, 8);
    return header;
}

/* The block is full, or the last. */
static bool write_block(struct packed_writer *w, struct gpt2_error *err) {
    w->sums[1 + w->n_blocks++] = checksum(w->block, w->n_block);
    size_t n = w->n_block;
    w->n_block = 0;
    return outfile_write(&w->file, w->block, n, err);
}

static bool append(struct packed_writer *w, const void *data, size_t n_bytes,
                   struct gpt2_error *err) {
    const char *at = data;
    while (n_bytes > 0) {
        size_t room = PACKED_BLOCK - w->n_block, n = n_bytes < room ? n_bytes : room;
        memcpy(w->block + w->n_block, at, n);
        w->n_block += n;
        at += n;
        n_bytes -= n;
        if (w->n_block == PACKED_BLOCK && !write_block(w, err))
            return false;
    }
    return true;
}

/* Goes on to the next tensor that has bytes, once the current one has got all of its own. */
static bool next_tensor(struct packed_writer *w, struct gpt2_error *err) {
    static const char zeros[PACKED_ALIGN];
    while (w->left == 0 && w->current < w->n_tensors) {
        if (!append(w, zeros, padding_behind(&w->tensors[w->current]), err))
            return false;
        if (++w->current < w->n_tensors)
            w->left = w->tensors[w->current].n_bytes;
    }
    return true;
}

static bool begin(struct packed_writer *w, const char *path, const char *type,
                  struct gpt2_error *err) {
    size_t n_bytes = 0, n_header = 0;
    for (size_t i = 0; i < w->n_tensors; i++)
        n_bytes += round_up(w->tensors[i].n_bytes, PACKED_ALIGN);
    w->n_sums = table_entries((n_bytes + PACKED_BLOCK - 1) / PACKED_BLOCK);
    w->sums = os_alloc(w->n_sums, sizeof *w->sums, "checksums", err);
    w->block = os_alloc(PACKED_BLOCK, 1, "a block of the file", err);
    if (!w->sums || !w->block)
        return false;
    char *header = make_header(&n_header, w, type);
    if (!header)
        return error_memory(err, "the file's header", n_header);
    w->sums[0] = checksum(header, n_header);
    w->table_at = n_header;
    w->left = w->n_tensors ? w->tensors[0].n_bytes : 0;
    // The table has its place; what stands in it is known at the end.
    bool ok = outfile_create(&w->file, path, err) &&
              outfile_write(&w->file, header, n_header, err) &&
              outfile_write(&w->file, w->sums, w->n_sums * 8, err) && next_tensor(w, err);
    free(header);
    return ok;
}

bool packed_writer_create(struct packed_writer *writer, const char *path, const char *type,
                          const struct tensor *tensors, size_t n_tensors, struct gpt2_error *err) {
    *writer = (struct packed_writer){.tensors = tensors, .n_tensors = n_tensors};
    if (begin(writer, path, type, err))
        return true;
    packed_writer_discard(writer);
    return false;
}

bool packed_write(struct packed_writer *writer, const void *data, size_t n_bytes,
                  struct gpt2_error *err) {
    writer->left -= n_bytes;
    return append(writer, data, n_bytes, err) && next_tensor(writer, err);
}

bool packed_writer_commit(struct packed_writer *writer, struct gpt2_error *err) {
    bool ok =
        (writer->n_block == 0 || write_block(writer, err)) &&
        outfile_write_at(&writer->file, writer->table_at, writer->sums, writer->n_sums * 8, err) &&
        outfile_commit(&writer->file, err);
    packed_writer_discard(writer);
    return ok;
}

void packed_writer_discard(struct packed_writer *writer) {
    outfile_discard(&writer->file);
    os_free(writer->sums);
    os_free(writer->block);
    *writer = (struct packed_writer){0};
}
