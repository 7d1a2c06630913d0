/* zip.h - the entries of a zip archive, found in place. What is compressed is not unpacked. */
#ifndef WEIGHTS_TORCH_ZIP_H
#define WEIGHTS_TORCH_ZIP_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip_entry {
    const char *name; /* [n_name] in the archive, no NUL after it */
    size_t n_name;
    const unsigned char *data; /* [n_bytes] in the archive          */
    size_t n_bytes;
    unsigned method; /* 0: stored as it is; otherwise data is compressed  */
    uint32_t crc;    /* as the archive says; not compared with the data   */
};

struct zip {
    struct zip_entry *entries; /* [count] sorted by name, no two alike */
    size_t count;
};

/* Reads the archive's directory. The bytes are borrowed and must outlive it; `name` stands for them
 * in messages. Fails with GPT2_ERR_MODEL where it is truncated, damaged, encrypted or
 * split, or GPT2_ERR_MEMORY; then there is nothing to free. */
bool zip_parse(struct zip *out, const unsigned char *bytes, size_t n_bytes, const char *name,
               struct gpt2_error *err);
void zip_free(struct zip *zip); /* a zeroed struct is allowed */

const struct zip_entry *zip_find(const struct zip *zip, const char *name, size_t n_name);

#endif
