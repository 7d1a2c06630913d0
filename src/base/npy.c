/* npy.c - the headers of .npy files, and the zip file around them that is a .npz file. */
#include "base/npy.h"
#include "base/crc32.h"

#include <assert.h>
#include <string.h>

#define ALIGN 64 /* where the numbers begin */

void npy_header(struct buffer *out, const size_t *shape, int rank) {
    assert(rank >= 1 && rank <= NPY_RANK);
    struct buffer text = {0};
    buffer_text(&text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        buffer_format(&text, i ? ", %zu" : "%zu", shape[i]);
    buffer_text(&text, rank == 1 ? ",), }" : "), }");
    while ((10 + text.len + 1) % ALIGN && !text.failed)
        buffer_byte(&text, ' ');
    buffer_byte(&text, '\n');
    const unsigned char front[] = {0x93,
                                   'N',
                                   'U',
                                   'M',
                                   'P',
                                   'Y',
                                   1,
                                   0,
                                   (unsigned char)text.len,
                                   (unsigned char)(text.len >> 8)};
    buffer_bytes(out, front, sizeof front);
    buffer_append(out, &text);
    buffer_free(&text);
}

/* ---- zip ---- */

#define VERSION   45           /* 4.5: has ZIP64 */
#define DATE      0x0021       /* 1980-01-01, so that equal arrays are equal files */
#define ELSEWHERE ~(uint64_t)0 /* in 4 bytes: the number has 8 and stands in another place */
#define ZIP64     1            /* the extra field that has it */

static void number(struct buffer *out, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++)
        buffer_byte(out, (char)(value >> 8 * i));
}

/* The fields that an entry has before its numbers and in the directory alike (APPNOTE 4.4). */
static void common_fields(struct buffer *out, uint32_t crc, size_t n_name, size_t n_extra) {
    number(out, VERSION, 2);
    number(out, 0, 2); // flags
    number(out, 0, 2); // method: stored
    number(out, 0, 2); // time
    number(out, DATE, 2);
    number(out, crc, 4);
    number(out, ELSEWHERE, 4); // compressed
    number(out, ELSEWHERE, 4); // and as it is
    number(out, n_name, 2);
    number(out, n_extra, 2);
}

static void name_field(struct buffer *out, const char *name) {
    buffer_text(out, name);
    buffer_text(out, ".npy");
}

/* A ZIP64 field of n numbers. */
static void extra_field(struct buffer *out, const uint64_t *values, int n) {
    number(out, ZIP64, 2);
    number(out, 8 * (uint64_t)n, 2);
    for (int i = 0; i < n; i++)
        number(out, values[i], 8);
}

void npy_zip_entry(struct npy_zip *npz, struct buffer *out, const char *name, const size_t *shape,
                   int rank, const float *data) {
    struct buffer header = {0};
    size_t n = sizeof *data;
    for (int i = 0; i < rank; i++)
        n *= shape[i];
    npy_header(&header, shape, rank);
    const uint32_t crc = crc32_zip_on(crc32_zip(header.data, header.len), data, n);
    const uint64_t size = header.len + n, sizes[] = {size, size, npz->offset};
    const size_t n_name = strlen(name) + 4, before = out->len;

    number(out, 0x04034b50, 4);
    common_fields(out, crc, n_name, 4 + 16);
    name_field(out, name);
    extra_field(out, sizes, 2);
    buffer_append(out, &header);

    number(&npz->directory, 0x02014b50, 4);
    number(&npz->directory, VERSION, 2); // made by
    common_fields(&npz->directory, crc, n_name, 4 + 24);
    number(&npz->directory, 0, 2); // comment
    number(&npz->directory, 0, 2); // disk
    number(&npz->directory, 0, 2); // internal attributes
    number(&npz->directory, 0, 4); // external ones
    number(&npz->directory, ELSEWHERE, 4);
    name_field(&npz->directory, name);
    extra_field(&npz->directory, sizes, 3);

    npz->offset += out->len - before + n;
    npz->n_entries++;
    buffer_free(&header);
}

void npy_zip_end(struct npy_zip *npz, struct buffer *out) {
    const uint64_t start = npz->offset, size = npz->directory.len;
    buffer_append(out, &npz->directory);
    number(out, 0x06064b50, 4); // the end, with 64 bits
    number(out, 44, 8);         // bytes that follow
    number(out, VERSION, 2);
    number(out, VERSION, 2);
    number(out, 0, 4); // disks
    number(out, 0, 4);
    number(out, npz->n_entries, 8);
    number(out, npz->n_entries, 8);
    number(out, size, 8);
    number(out, start, 8);
    number(out, 0x07064b50, 4); // where that is
    number(out, 0, 4);
    number(out, start + size, 8);
    number(out, 1, 4);
    number(out, 0x06054b50, 4); // the end for readers without ZIP64
    number(out, 0, 2);
    number(out, 0, 2);
    number(out, ELSEWHERE, 2);
    number(out, ELSEWHERE, 2);
    number(out, ELSEWHERE, 4);
    number(out, ELSEWHERE, 4);
    number(out, 0, 2); // comment
    buffer_free(&npz->directory);
    *npz = (struct npy_zip){0};
}
