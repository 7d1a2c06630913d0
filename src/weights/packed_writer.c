/* packed_writer.c - writes a packed file: header, table of checksums, tensors in order. */
#include "weights/packed_writer.h"
#include "base/buffer.h"
#include "base/checksum.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "weights/packed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_AT 4096 /* the data begins at a multiple of it */

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

static size_t padding_after(const struct tensor *t) {
    return round_up(t->n_bytes, PACKED_ALIGN) - t->n_bytes;
}

/* `,"NAME":{...}` for data at *at, which moves to its end. */
static void print_entry(struct buffer *text, const struct tensor *t, uint64_t *at) {
    buffer_format(text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
    for (int i = 0; i < t->rank; i++)
        buffer_format(text, "%s%" PRId64, i ? "," : "", t->shape[i]);
    buffer_format(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *at, *at + t->n_bytes);
    *at += t->n_bytes;
}

struct tensor packed_bytes(const char *name, const void *data, size_t n_bytes) {
    return (struct tensor){.name = name,
                           .dtype = "U8",
                           .rank = 1,
                           .shape = {(int64_t)n_bytes},
                           .data = data,
                           .n_bytes = n_bytes};
}

/* All bytes before the data, to be freed; NULL where memory is out. */
static char *make_header(size_t *size, const struct packed_writer *w, const char *type) {
    struct buffer buffer = {0}, *text = &buffer;
    const struct tensor table = {.name = PACKED_CHECKSUMS,
                                 .dtype = "I64",
                                 .rank = 1,
                                 .shape = {(int64_t)w->n_sums},
                                 .n_bytes = w->n_sums * 8};
    uint64_t at = 0;
    buffer_format(text, "........" PACKED_MAGIC "%d\",\"type\":\"%s\"", PACKED_VERSION, type);
    for (size_t i = 0; i < w->n_tensors; i++)
        if (w->tensors[i].note)
            buffer_format(text, ",\"%s\":\"%s\"", w->tensors[i].name, w->tensors[i].note);
    buffer_byte(text, '}');
    print_entry(text, &table, &at);
    for (size_t i = 0; i < w->n_tensors; i++) {
        char name[sizeof PACKED_PADDING + 20];
        snprintf(name, sizeof name, PACKED_PADDING "%zu", i);
        struct tensor padding = packed_bytes(name, NULL, padding_after(&w->tensors[i]));
        print_entry(text, &w->tensors[i], &at);
        if (padding.n_bytes)
            print_entry(text, &padding, &at);
    }
    buffer_byte(text, '}');
    buffer_pad(text, DATA_AT, ' ');
    char *header = buffer_take(text, size);
    if (!header)
        return NULL;
    const uint64_t n = *size - 8;
    memcpy(header, &n, sizeof n);
    return header;
}

/* Appends to the file. */
static bool put(struct packed_writer *w, const void *data, size_t n, struct gpt2_error *err) {
    if (!w->memory)
        return outfile_write(&w->file, data, n, err);
    assert(n <= w->n_memory - w->at);
    memcpy(w->memory + w->at, data, n);
    w->at += n;
    return true;
}

/* The block is full, or the last. */
static bool write_block(struct packed_writer *w, struct gpt2_error *err) {
    w->sums[1 + w->n_blocks++] = checksum(w->block, w->n_block);
    size_t n = w->n_block;
    w->n_block = 0;
    return put(w, w->block, n, err);
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
        if (!append(w, zeros, padding_after(&w->tensors[w->current]), err))
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
    w->n_sums = packed_table_entries((n_bytes + PACKED_BLOCK - 1) / PACKED_BLOCK);
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
    // This reserves the place of the table; its values are known at the end.
    w->n_memory = n_header + w->n_sums * 8 + n_bytes;
    bool ok = path ? outfile_create(&w->file, path, err)
                   : (w->memory = os_alloc(w->n_memory, 1, "packed weights", err)) != NULL;
    if (ok && w->memory)
        os_large_pages(w->memory, w->n_memory);
    ok = ok && put(w, header, n_header, err) && put(w, w->sums, w->n_sums * 8, err) &&
         next_tensor(w, err);
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

void *packed_writer_take(struct packed_writer *writer, size_t *n_bytes, struct gpt2_error *err) {
    unsigned char *memory = NULL;
    if (writer->n_block == 0 || write_block(writer, err)) {
        memory = writer->memory;
        memcpy(memory + writer->table_at, writer->sums, writer->n_sums * 8);
        *n_bytes = writer->at;
        writer->memory = NULL;
    }
    packed_writer_discard(writer);
    return memory;
}

void packed_writer_discard(struct packed_writer *writer) {
    outfile_discard(&writer->file);
    os_free(writer->memory);
    os_free(writer->sums);
    os_free(writer->block);
    *writer = (struct packed_writer){0};
}
