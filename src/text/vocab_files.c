/* vocab_files.c - which files of a directory make up its tokenizer. */
#include "text/vocab_files.h"
#include "base/error.h"
#include "base/os.h"
#include "text/vocab_parse.h"

#include <stdio.h>
#include <string.h>

#define MAX_PATH 4096

struct folder {
    char names[VOCAB_N_FILES][MAX_PATH]; /* full paths; "" where there is no such file */
    struct os_file files[VOCAB_N_FILES];
};

/* Sets the path of `file` in the directory, if there is such a file. */
static bool find(struct folder *folder, enum vocab_file file, const char *directory, int len,
                 const char *name) {
    const char *slash = directory[len - 1] == '/' ? "" : "/"; // it is one only in "/"
    int n = snprintf(folder->names[file], MAX_PATH, "%.*s%s%s", len, directory, slash, name);
    bool found = n > 0 && n < MAX_PATH && os_exists(folder->names[file]);
    if (!found)
        folder->names[file][0] = 0;
    return found;
}

/* Both files of a pair, or neither. */
static bool find_pair(struct folder *folder, const char *directory, int len, const char *tokens,
                      const char *merges) {
    if (find(folder, VOCAB_TOKENS, directory, len, tokens) &&
        find(folder, VOCAB_MERGES, directory, len, merges))
        return true;
    folder->names[VOCAB_TOKENS][0] = 0;
    return false;
}

static bool locate(struct folder *folder, const char *path, struct gpt2_error *err) {
    size_t n = strlen(path);
    if (!os_exists(path))
        return error_set(err, GPT2_ERR_MODEL, "%s: no such file or directory", path);
    if (!os_is_directory(path)) { // the part before the last slash; none: the current directory
        while (n > 0 && path[n - 1] != '/')
            n--;
        if (n == 0)
            path = ".", n = 1;
    }
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n >= MAX_PATH - 64)
        return error_set(err, GPT2_ERR_MODEL, "%.80s...: expected a path of less than %d bytes",
                         path, MAX_PATH - 64);
    int len = (int)n;
    if (!find_pair(folder, path, len, "vocab.json", "merges.txt") &&
        !find_pair(folder, path, len, "encoder.json", "vocab.bpe") &&
        !find(folder, VOCAB_TOKENIZER, path, len, "tokenizer.json")) {
        error_set(err, GPT2_ERR_MODEL,
                  "%.*s: expected a tokenizer (vocab.json and merges.txt, encoder.json and "
                  "vocab.bpe, or tokenizer.json), found none of them complete",
                  len, path);
        return error_hint(err, "without a tokenizer, give and take token ids: --ids, --output ids");
    }
    find(folder, VOCAB_ADDED, path, len, "added_tokens.json");
    find(folder, VOCAB_SPECIALS, path, len, "special_tokens_map.json");
    find(folder, VOCAB_CONFIG, path, len, "tokenizer_config.json");
    return true;
}

static struct vocab *read(struct folder *folder, struct gpt2_error *err) {
    struct vocab_source sources[VOCAB_N_FILES] = {{0}};
    for (int i = 0; i < VOCAB_N_FILES; i++) {
        const char *name = folder->names[i];
        struct os_file *file = &folder->files[i];
        if (!*name)
            continue;
        if (!os_map(file, name, GPT2_ERR_MODEL, err))
            return NULL;
        if (file->size > VOCAB_MAX_BYTES) {
            error_set(err, GPT2_ERR_MODEL, "%s: expected at most %zu bytes, found %zu", name,
                      VOCAB_MAX_BYTES, file->size);
            return NULL;
        }
        sources[i] = (struct vocab_source){name, (const char *)file->data, file->size};
    }
    return vocab_parse(sources, err);
}

struct vocab *vocab_files_read(const char *path, struct gpt2_error *err) {
    struct folder *folder = os_alloc(1, sizeof *folder, "file names", err);
    if (!folder)
        return NULL;
    struct vocab *vocab = locate(folder, path, err) ? read(folder, err) : NULL;
    for (int i = 0; i < VOCAB_N_FILES; i++)
        os_unmap(&folder->files[i]);
    os_free(folder);
    return vocab;
}
