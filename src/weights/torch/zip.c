/* zip.c - a zip archive is read from its end:
 *
 *     [local header, data]...            data begins after the local header's name and extra field
 *     central directory                  for each entry 46 bytes and name, extra field, comment
 *     [zip64 end record, its locator]    torch.save writes them for small files too
 *     end record                         22 bytes and a comment
 *
 * Sizes count from the central directory alone: local headers may say 0 and have them after the
 * data. A field of all ones is kept in 64 bits in the entry's zip64 extra field instead.
 *
 * Nothing is unpacked, since torch.save compresses nothing: weights are used where they lie.
 * Nothing is ever extracted to a path. Checksums of data are not compared: torch does not either,
 * and files exist whose writer was told not to compute them. */
#include "weights/torch/zip.h"
#include "base/error_internal.h"
#include "base/os.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define END_SIZE     22u
#define LOCATOR_SIZE 20u
#define END64_SIZE   56u
#define ENTRY_SIZE   46u
#define LOCAL_SIZE   30u
#define MAX_ENTRIES  200000u

struct zip_reader {
    const unsigned char *bytes; /* [n_bytes] */
    size_t n_bytes;
    const char *name;
    struct gpt2_error *err;
};

struct zip_directory {
    uint64_t count, size, offset;
};

static uint64_t load(const unsigned char *p, int n) {
    uint64_t value = 0;
    for (int i = n; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

static bool is(const unsigned char *p, const char *signature) {
    return memcmp(p, signature, 4) == 0;
}

/* True if bytes[offset .. offset + size) are there. */
static bool inside(const struct zip_reader *r, uint64_t offset, uint64_t size) {
    return offset <= r->n_bytes && size <= r->n_bytes - offset;
}

static bool refuse(const struct zip_reader *r, const char *what) {
    return error_set(r->err, GPT2_ERR_MODEL, "%s: zip archive: %s", r->name, what);
}

/* Counts of an archive that needs 64 bits, or has them all the same. */
static bool read_end64(struct zip_directory *out, const struct zip_reader *r, size_t end) {
    if (end < LOCATOR_SIZE || !is(r->bytes + end - LOCATOR_SIZE, "PK\6\7"))
        return true;
    const uint64_t at = load(r->bytes + end - LOCATOR_SIZE + 8, 8);
    if (!inside(r, at, END64_SIZE) || !is(r->bytes + at, "PK\6\6"))
        return refuse(r, "expected its zip64 end record where the locator says, found none");
    const unsigned char *p = r->bytes + at;
    if (load(p + 16, 4) != 0 || load(p + 20, 4) != 0)
        return refuse(r, "expected one file, found a part of several");
    *out = (struct zip_directory){load(p + 32, 8), load(p + 40, 8), load(p + 48, 8)};
    return true;
}

/* The end record is the last of that signature whose comment ends where the file does. */
static bool find_directory(struct zip_directory *out, const struct zip_reader *r) {
    const size_t n = r->n_bytes;
    for (size_t back = END_SIZE; back <= n && back <= END_SIZE + 65535; back++) {
        const unsigned char *p = r->bytes + n - back;
        if (!is(p, "PK\5\6") || load(p + 20, 2) != back - END_SIZE)
            continue;
        if (load(p + 4, 2) != 0 || load(p + 6, 2) != 0)
            return refuse(r, "expected one file, found a part of several");
        *out = (struct zip_directory){load(p + 10, 2), load(p + 12, 4), load(p + 16, 4)};
        if (!read_end64(out, r, n - back))
            return false;
        if (!inside(r, out->offset, out->size))
            return refuse(r, "its directory lies outside the file: truncated or damaged");
        if (out->count > MAX_ENTRIES || out->count > out->size / ENTRY_SIZE)
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: zip archive: %" PRIu64 " entries do not fit its directory of "
                             "%" PRIu64 " bytes",
                             r->name, out->count, out->size);
        return true;
    }
    return refuse(r, "expected an end record, found none: the file is truncated");
}

/* The 64-bit values that stand for fields of all ones, in this order. */
static bool read_extra64(const unsigned char *extra, size_t n, uint64_t *fields[3]) {
    bool wanted = false;
    for (int i = 0; i < 3; i++)
        wanted |= *fields[i] == UINT32_MAX;
    for (size_t at = 0; wanted && n - at >= 4;) {
        const size_t id = load(extra + at, 2), size = load(extra + at + 2, 2);
        at += 4;
        if (size > n - at)
            return false;
        if (id == 1) {
            size_t from = at;
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != UINT32_MAX)
                    continue;
                if (at + size - from < 8)
                    return false;
                *fields[i] = load(extra + from, 8);
                from += 8;
            }
            return true;
        }
        at += size;
    }
    return !wanted;
}

/* Entry of the directory at p[0..n): fills *out, and *used bytes of it. */
static bool read_entry(struct zip_entry *out, size_t *used, const struct zip_reader *r,
                       const unsigned char *p, size_t n) {
    if (n < ENTRY_SIZE || !is(p, "PK\1\2"))
        return refuse(r, "expected an entry in its directory, found none");
    const size_t n_name = load(p + 28, 2), n_extra = load(p + 30, 2);
    *used = ENTRY_SIZE + n_name + n_extra + load(p + 32, 2);
    if (*used > n)
        return refuse(r, "an entry of its directory is longer than the directory");
    *out = (struct zip_entry){.name = (const char *)p + ENTRY_SIZE, .n_name = n_name};
    const int shown = (int)(n_name < 80 ? n_name : 80);
    if (load(p + 8, 2) & 1)
        return error_set(r->err, GPT2_ERR_MODEL, "%s: zip entry \"%.*s\": is encrypted", r->name,
                         shown, out->name);
    out->method = (unsigned)load(p + 10, 2);
    uint64_t packed = load(p + 20, 4), size = load(p + 24, 4), local = load(p + 42, 4);
    uint64_t *fields[3] = {&size, &packed, &local};
    if (!read_extra64(p + ENTRY_SIZE + n_name, n_extra, fields) ||
        (out->method == 0 && packed != size))
        return error_set(r->err, GPT2_ERR_MODEL, "%s: zip entry \"%.*s\": its sizes are damaged",
                         r->name, shown, out->name);
    if (!inside(r, local, LOCAL_SIZE) || !is(r->bytes + local, "PK\3\4"))
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: zip entry \"%.*s\": expected its header at byte %" PRIu64
                         ", found none",
                         r->name, shown, out->name, local);
    const unsigned char *header = r->bytes + local;
    const uint64_t at = local + LOCAL_SIZE + load(header + 26, 2) + load(header + 28, 2);
    if (!inside(r, at, packed))
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: zip entry \"%.*s\": %" PRIu64 " bytes from byte %" PRIu64
                         " end after the file's %zu: truncated or damaged",
                         r->name, shown, out->name, packed, at, r->n_bytes);
    out->data = r->bytes + at;
    out->n_bytes = (size_t)packed;
    out->crc = (uint32_t)load(p + 16, 4);
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct zip_entry *x = a, *y = b;
    const size_t n = x->n_name < y->n_name ? x->n_name : y->n_name;
    const int order = memcmp(x->name, y->name, n);
    return order ? order : (x->n_name > y->n_name) - (x->n_name < y->n_name);
}

static int by_data(const void *a, const void *b) {
    const struct zip_entry *x = a, *y = b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* No two entries share a byte or a name. */
static bool check_entries(struct zip *zip, const struct zip_reader *r) {
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_data);
    for (size_t i = 1; i < zip->count; i++) {
        const struct zip_entry *a = &zip->entries[i - 1], *b = &zip->entries[i];
        if (a->n_bytes > (size_t)(b->data - a->data))
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: zip entries \"%.*s\" and \"%.*s\" overlap", r->name,
                             (int)(a->n_name < 80 ? a->n_name : 80), a->name,
                             (int)(b->n_name < 80 ? b->n_name : 80), b->name);
    }
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
    for (size_t i = 1; i < zip->count; i++)
        if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return error_set(r->err, GPT2_ERR_MODEL, "%s: zip entry \"%.*s\" is there twice",
                             r->name,
                             (int)(zip->entries[i].n_name < 80 ? zip->entries[i].n_name : 80),
                             zip->entries[i].name);
    return true;
}

static bool read_entries(struct zip *zip, const struct zip_reader *r) {
    struct zip_directory d = {0};
    if (!find_directory(&d, r))
        return false;
    zip->entries = os_alloc((size_t)d.count, sizeof *zip->entries, "zip entries", r->err);
    if (!zip->entries)
        return false;
    const unsigned char *p = r->bytes + d.offset;
    size_t left = (size_t)d.size, used = 0;
    for (; zip->count < d.count; p += used, left -= used) {
        if (!read_entry(&zip->entries[zip->count], &used, r, p, left))
            return false;
        zip->count++;
    }
    return check_entries(zip, r);
}

bool zip_parse(struct zip *out, const unsigned char *bytes, size_t n_bytes, const char *name,
               struct gpt2_error *err) {
    const struct zip_reader r = {bytes, n_bytes, name, err};
    *out = (struct zip){0};
    if (read_entries(out, &r))
        return true;
    zip_free(out);
    return false;
}

void zip_free(struct zip *zip) {
    os_free(zip->entries);
    *zip = (struct zip){0};
}

const struct zip_entry *zip_find(const struct zip *zip, const char *name, size_t n_name) {
    const struct zip_entry key = {.name = name, .n_name = n_name};
    return bsearch(&key, zip->entries, zip->count, sizeof key, by_name);
}
