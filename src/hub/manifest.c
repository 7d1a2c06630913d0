/* manifest.c - reads the list of files from the hub and from pulled.json, and writes it. */
#include "hub/manifest.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/os.h"
#include "base/outfile.h"
#include "hub/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES 4096
#define MAX_SIZE  ((int64_t)1 << 50)

void manifest_free(struct manifest *manifest) {
    free(manifest->files);
    *manifest = (struct manifest){0};
}

const struct manifest_file *manifest_find(const struct manifest *manifest, const char *name) {
    for (size_t i = 0; i < manifest->count; i++)
        if (!strcmp(manifest->files[i].name, name))
            return &manifest->files[i];
    return NULL;
}

bool manifest_add(struct manifest *manifest, const struct manifest_file *file,
                  struct gpt2_error *err) {
    if (manifest_find(manifest, file->name))
        return true;
    size_t n_bytes = (manifest->count + 1) * sizeof *file;
    if (manifest->count >= MAX_FILES)
        return error_set(err, GPT2_ERR_MODEL, "expected at most %d files, found more", MAX_FILES);
    struct manifest_file *grown = realloc(manifest->files, n_bytes);
    if (!grown)
        return error_memory(err, "a list of files", n_bytes);
    manifest->files = grown;
    manifest->files[manifest->count++] = *file;
    return true;
}

static bool is_hex(const char *text, size_t n) {
    return strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

/* Takes a digest if it is one. */
static void take_digest(struct manifest_file *file, const struct json *node,
                        enum digest_kind kind) {
    const char *text;
    if (json_string(node, &text) && is_hex(text, kind == DIGEST_SHA256 ? 64 : 40)) {
        file->kind = kind;
        snprintf(file->digest, sizeof file->digest, "%s", text);
    }
}

/* One file as the hub or pulled.json has it. False: it is none that we would fetch. */
static bool read_file(struct manifest_file *file, const struct json *node, const char *name_key) {
    const char *name;
    int64_t size;
    *file = (struct manifest_file){0};
    if (!json_string(json_get(node, name_key), &name) || !name_word(name, strlen(name)) ||
        !strcmp(name, MANIFEST_NAME)) // ours
        return false;
    snprintf(file->name, sizeof file->name, "%s", name);
    const struct json *lfs = json_get(node, "lfs"); // large files; null for small ones
    take_digest(file, json_get(node, "blobId"), DIGEST_SHA1);
    take_digest(file, json_get(node, "sha1"), DIGEST_SHA1);
    take_digest(file, json_get(node, "sha256"), DIGEST_SHA256);
    if (lfs && json_kind(lfs) == JSON_OBJECT) {
        file->digest[0] = 0; // the blob is a pointer to the file then
        take_digest(file, json_get(lfs, "oid"), DIGEST_SHA256);
        take_digest(file, json_get(lfs, "sha256"), DIGEST_SHA256);
    }
    if (!json_integer(json_get(node, "size"), 0, MAX_SIZE, &size) &&
        !(lfs && json_integer(json_get(lfs, "size"), 0, MAX_SIZE, &size)))
        return false;
    file->size = (uint64_t)size;
    return true;
}

static bool parse(struct manifest *out, const char *text, size_t len, const char *what,
                  const char *commit_key, const char *files_key, const char *name_key,
                  struct gpt2_error *err) {
    *out = (struct manifest){0};
    struct json *root = json_parse(text, len, what, GPT2_ERR_RUNTIME, err);
    if (!root)
        return false;
    const struct json *files = json_get(root, files_key);
    const char *commit;
    bool ok = files && json_kind(files) == JSON_ARRAY;
    if (!ok)
        error_set(err, GPT2_ERR_RUNTIME, "%s: expected a list \"%s\", found %s", what, files_key,
                  files ? json_kind_name(files) : "none");
    if (ok && json_string(json_get(root, commit_key), &commit) &&
        (is_hex(commit, 40) || is_hex(commit, 64)))
        snprintf(out->commit, sizeof out->commit, "%s", commit);
    for (const struct json *node = ok ? json_first(files) : NULL; ok && node;
         node = json_next(node)) {
        struct manifest_file file;
        if (read_file(&file, node, name_key))
            ok = manifest_add(out, &file, err);
    }
    json_free(root);
    if (!ok)
        manifest_free(out);
    return ok;
}

bool manifest_parse_hub(struct manifest *out, const char *text, size_t len, const char *what,
                        struct gpt2_error *err) {
    return parse(out, text, len, what, "sha", "siblings", "rfilename", err);
}

bool manifest_read(struct manifest *out, const char *path, struct gpt2_error *err) {
    struct os_file file;
    *out = (struct manifest){0};
    if (!os_map(&file, path, GPT2_ERR_RUNTIME, err))
        return false;
    bool ok = parse(out, (const char *)file.data, file.size, path, "commit", "files", "name", err);
    os_unmap(&file);
    return ok;
}

/* Names and digests hold nothing that JSON would escape. */
bool manifest_write(const struct manifest *manifest, const char *repo, const char *revision,
                    const char *path, struct gpt2_error *err) {
    struct outfile file;
    if (!outfile_create(&file, path, err))
        return false;
    char line[2 * GPT2_HUB_NAME_MAX + 200];
    int n = snprintf(line, sizeof line,
                     "{\"repo\": \"%s\", \"revision\": \"%s\", \"commit\": \"%s\",\n \"files\": [",
                     repo, revision, manifest->commit);
    bool ok = outfile_write(&file, line, (size_t)n, err);
    for (size_t i = 0; ok && i < manifest->count; i++) {
        const struct manifest_file *f = &manifest->files[i];
        n = snprintf(line, sizeof line,
                     "%s\n  {\"name\": \"%s\", \"size\": %" PRIu64 ", \"%s\": \"%s\"}",
                     i ? "," : "", f->name, f->size, f->kind == DIGEST_SHA256 ? "sha256" : "sha1",
                     f->digest);
        ok = outfile_write(&file, line, (size_t)n, err);
    }
    return ok && outfile_write(&file, "\n]}\n", 4, err) && outfile_commit(&file, err);
}

bool manifest_add_shards(struct manifest *out, const struct manifest *listed, const char *text,
                         size_t len, const char *what, struct gpt2_error *err) {
    struct json *root = json_parse(text, len, what, GPT2_ERR_MODEL, err);
    if (!root)
        return false;
    const struct json *map = json_get(root, "weight_map");
    bool ok = map && json_kind(map) == JSON_OBJECT && json_first(map);
    if (!ok)
        error_set(err, GPT2_ERR_MODEL, "%s: expected an object \"weight_map\" with tensors", what);
    const struct manifest_file *last = NULL; // tensors of one file mostly follow each other
    for (const struct json *node = ok ? json_first(map) : NULL; ok && node;
         node = json_next(node)) {
        const char *name = "";
        ok = json_string(node, &name);
        if (ok && last && !strcmp(last->name, name))
            continue;
        last = ok ? manifest_find(listed, name) : NULL;
        ok = last ? manifest_add(out, last, err)
                  : error_set(err, GPT2_ERR_MODEL,
                              "%s: tensor \"%s\" is in file \"%s\", which is not there", what,
                              json_name(node), name);
    }
    json_free(root);
    return ok;
}
