/* manifest.h - which files make up a model: as the hub lists them, and as a pulled directory
 * remembers them in its pulled.json. */
#ifndef HUB_MANIFEST_H
#define HUB_MANIFEST_H

#include "base/digest.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_NAME      "pulled.json"
#define MANIFEST_COMMIT    65
#define MANIFEST_FILE_NAME 128

struct manifest_file {
    char name[MANIFEST_FILE_NAME]; /* without folders, safe as a path and in a URL              */
    uint64_t size;
    enum digest_kind kind;   /* SHA-256 of the bytes, or git's SHA-1                             */
    char digest[DIGEST_HEX]; /* "": the hub does not say                                         */
};

/* Start from {0}. */
struct manifest {
    char commit[MANIFEST_COMMIT]; /* "" where the hub does not say */
    struct manifest_file *files;  /* [count], owned                */
    size_t count;
};

/* Reads the hub's answer about a model. Files in folders and files with strange names are left
 * out, and so is a pulled.json; none of them belongs to a GPT-2. Fails with GPT2_ERR_RUNTIME,
 * naming `what`, where it is no such answer. */
bool manifest_parse_hub(struct manifest *out, const char *text, size_t len, const char *what,
                        struct gpt2_error *err);

/* Reads and writes pulled.json. Names that are none of a file in the folder itself - absolute ones,
 * with folders, ".." - are left out when it is read, as they are of the hub's answer.
 *     {"repo": "OWNER/NAME", "revision": "main", "commit": "607a30d7...",
 *      "files": [{"name": "config.json", "size": 665, "sha1": "..."}, ...]} */
bool manifest_read(struct manifest *out, const char *path, struct gpt2_error *err);
bool manifest_write(const struct manifest *manifest, const char *repo, const char *revision,
                    const char *path, struct gpt2_error *err);

const struct manifest_file *manifest_find(const struct manifest *manifest, const char *name);
bool manifest_add(struct manifest *manifest, const struct manifest_file *file,
                  struct gpt2_error *err);
void manifest_free(struct manifest *manifest); /* a zeroed struct is allowed */

/* The files that weights in several parts are in: the values of "weight_map" in the text of a
 * model.safetensors.index.json. Each must be in `listed`; they are added to `out`. */
bool manifest_add_shards(struct manifest *out, const struct manifest *listed, const char *text,
                         size_t len, const char *what, struct gpt2_error *err);

#endif
