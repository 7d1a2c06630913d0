/* packed.c - reads a packed file: version, header, table of checksums, configuration. */
#include "weights/packed.h"
#include "base/checksum.h"
#include "base/error_internal.h"
#include "weights/block_check.h"
#include "weights/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_LEN (sizeof PACKED_MAGIC - 1)

static const char remedy[] = "copy the file again, or make it again with `gpt2 quantize`";

_Static_assert(8 + MAGIC_LEN <= CONTAINER_HEAD, "the head of a file tells whether it is packed");

static bool recognise(const unsigned char *head, size_t n) {
    return n >= 8 + MAGIC_LEN && memcmp(head + 8, PACKED_MAGIC, MAGIC_LEN) == 0;
}

/* The number that stands for a version, 1 to 9 digits; 0: it is none. */
static int version_number(const char *text, size_t len) {
    int number = 0;
    if (len > 9 || len == 0 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        number = 10 * number + (text[i] - '0');
    }
    return number;
}

static bool check_version(int *version, const unsigned char *bytes, size_t n_bytes,
                          const char *name, struct gpt2_error *err) {
    const char *text = (const char *)bytes + 8 + MAGIC_LEN;
    size_t left = n_bytes - 8 - MAGIC_LEN, len = 0;
    while (len < left && len < 20 && text[len] != '"')
        len++;
    *version = len < left && text[len] == '"' ? version_number(text, len) : 0;
    if (*version >= PACKED_OLDEST && *version <= PACKED_VERSION)
        return true;
    const bool later = *version > PACKED_VERSION;
    error_set(err, GPT2_ERR_MODEL,
              "%s: made by %s version of gpt2: expected format version %d to %d, found \"%.*s\"",
              name, later ? "a later" : "another", PACKED_OLDEST, PACKED_VERSION, (int)len, text);
    return error_hint(err, later ? "use that version, or make it again with `gpt2 quantize`"
                                 : "make it again with `gpt2 quantize`");
}

/* The checksum of the header is in the first 8 bytes after it, so it can be checked before anything
 * in the header is used. */
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

size_t packed_table_entries(size_t n_blocks) {
    return (1 + n_blocks + 7) / 8 * 8;
}

/* What the table, the first tensor, says of the data after it. */
static struct checksums find_checksums(const struct tensors *tensors) {
    const struct tensor *table = &tensors->items[0], *last = &tensors->items[tensors->count - 1];
    const unsigned char *data = (const unsigned char *)table->data + table->n_bytes;
    size_t n_bytes = (size_t)((const unsigned char *)last->data + last->n_bytes - data);
    return (struct checksums){
        .data = data,
        .n_bytes = n_bytes,
        .block_bytes = PACKED_BLOCK,
        .count = (n_bytes + PACKED_BLOCK - 1) / PACKED_BLOCK,
        .sums = (const unsigned char *)table->data + 8,
    };
}

static bool check_table(struct tensors *tensors, struct gpt2_error *err) {
    const struct tensor *table = &tensors->items[0];
    if (tensors->count == 0 || strcmp(table->name, PACKED_CHECKSUMS) != 0) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected the data to begin with tensor \"%s\"",
                  tensors->path, PACKED_CHECKSUMS);
        return error_hint(err, "%s", remedy);
    }
    const struct checksums blocks = find_checksums(tensors);
    size_t expected = 8 * packed_table_entries(blocks.count);
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
    tensors->checksums = blocks;
    return true;
}

static bool parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                  struct gpt2_error *err) {
    if (!recognise(bytes, n_bytes)) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a packed model, found another kind of file",
                  name);
        return error_hint(err, "`gpt2 quantize` makes one");
    }
    int version;
    if (!check_version(&version, bytes, n_bytes, name, err) ||
        !check_header(bytes, n_bytes, name, err))
        return false;
    if (!safetensors_parse(out, bytes, n_bytes, name, err))
        return error_hint(err, "%s", remedy);
    out->in_panels = version;
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

const struct tensor *packed_find(const struct tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->items[i].name, name) == 0)
            return &tensors->items[i];
    return NULL;
}

/* The configuration is used at once, so it is compared with its checksums at once; the rest may be
 * compared later. */
static bool read_config(struct tensors *tensors, struct gpt2_error *err) {
    const struct tensor *t = packed_find(tensors, PACKED_CONFIG);
    if (!t) {
        error_set(err, GPT2_ERR_MODEL, "%s: missing tensor \"%s\"", tensors->path, PACKED_CONFIG);
        return error_hint(err, "make it again with `gpt2 quantize`");
    }
    if (!block_check_tensor(tensors, t, err))
        return false;
    tensors->config = malloc(t->n_bytes + 1);
    if (!tensors->config)
        return error_memory(err, "the configuration", t->n_bytes + 1);
    memcpy(tensors->config, t->data, t->n_bytes);
    tensors->config[t->n_bytes] = 0;
    tensors->config_len = t->n_bytes;
    tensors->config_name = PACKED_CONFIG;
    return true;
}

static bool parse_model(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                        const char *path, struct gpt2_error *err) {
    if (!packed_parse(out, bytes, n_bytes, path, err))
        return false;
    if (read_config(out, err))
        return true;
    tensors_close(out);
    return false;
}

/* Only what holds the tokenizer is compared with its checksums. */
static bool find_tables(const unsigned char **tables, size_t *n_tables, const unsigned char *bytes,
                        size_t n_bytes, const char *path, struct gpt2_error *err) {
    struct tensors file;
    *tables = NULL;
    *n_tables = 0;
    if (!packed_parse(&file, bytes, n_bytes, path, err))
        return false;
    const struct tensor *t = packed_find(&file, PACKED_TOKENIZER);
    const bool ok = !t || block_check_tensor(&file, t, err);
    if (ok && t) {
        *tables = t->data;
        *n_tables = t->n_bytes;
    }
    tensors_close(&file);
    return ok;
}

const struct container container_packed = {
    .what = "a packed model",
    .name = "packed",
    .config = CONFIG_INSIDE,
    .whole = true,
    .recognise = recognise,
    .parse = parse_model,
    .tables = find_tables,
};
