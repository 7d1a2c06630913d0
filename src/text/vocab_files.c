/* vocab_files.c - which files of a directory make up its tokenizer, or which file of weights has it
 * inside. */
#include "text/vocab_files.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "base/path.h"
#include "base/stand_in.h"
#include "text/vocab_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATH 4096

struct folder {
    char names[VOCAB_N_FILES][MAX_PATH]; /* full paths; "" where there is no such file */
    struct os_file files[VOCAB_N_FILES];
};

/* Sets the path of `file` in the directory, if there is such a file; else it is "". False: the
 * system could not look. */
static bool find(struct folder *folder, enum vocab_file file, const char *directory, int len,
                 const char *name, struct gpt2_error *err) {
    const char *slash = directory[len - 1] == '/' ? "" : "/"; // it is one only in "/"
    int n = snprintf(folder->names[file], MAX_PATH, "%.*s%s%s", len, directory, slash, name);
    bool found = false, ok = n <= 0 || n >= MAX_PATH ||
                             look_exists(&found, folder->names[file], GPT2_ERR_MODEL, err);
    if (!found)
        folder->names[file][0] = 0;
    return ok;
}

/* The files that a tokenizer may be made of, the first complete set counts. tokenizer.json goes
 * first, as Hugging Face's AutoTokenizer has it: it says more than a pair of files can. */
static const struct set {
    enum vocab_file file;
    const char *name, *merges; /* merges: NULL where there is no second file */
} sets[] = {
    {VOCAB_TOKENIZER, "tokenizer.json", NULL},
    {VOCAB_TOKENS, "vocab.json", "merges.txt"},
    {VOCAB_TOKENS, "encoder.json", "vocab.bpe"},
};

#define N_SETS (sizeof sets / sizeof *sets)

/* Sets *complete where all files of a set are there; else none is set. False: the system could not
 * look. */
static bool find_set(bool *complete, struct folder *folder, const char *directory, int len,
                     const struct set *set, struct gpt2_error *err) {
    *complete = false;
    if (!find(folder, set->file, directory, len, set->name, err) ||
        (set->merges && !find(folder, VOCAB_MERGES, directory, len, set->merges, err)))
        return false;
    *complete = *folder->names[set->file] && (!set->merges || *folder->names[VOCAB_MERGES]);
    if (!*complete)
        folder->names[set->file][0] = 0;
    return true;
}

/* The set that a file of this name belongs to, NULL: none. */
static const struct set *set_of(const char *name) {
    for (size_t i = 0; i < N_SETS; i++)
        if (!strcmp(name, sets[i].name) || (sets[i].merges && !strcmp(name, sets[i].merges)))
            return &sets[i];
    return NULL;
}

/* Finds the tokenizer's files in the directory: those of the set `named`, where it is not NULL.
 * False if it, or with NULL every one, is not complete; where the system could not look, err is set
 * as well. */
static bool locate(struct folder *folder, const char *directory, const struct set *named,
                   struct gpt2_error *err) {
    const int len = (int)strlen(directory);
    const struct set *set = named ? named : sets, *end = named ? named + 1 : sets + N_SETS;
    bool complete = false;
    for (; set < end && !complete; set++)
        if (!find_set(&complete, folder, directory, len, set, err))
            return false;
    return complete && find(folder, VOCAB_ADDED, directory, len, "added_tokens.json", err) &&
           find(folder, VOCAB_SPECIALS, directory, len, "special_tokens_map.json", err) &&
           find(folder, VOCAB_CONFIG, directory, len, "tokenizer_config.json", err);
}

/* Sets *none where the directory has no file of any set. False: the system could not look. */
static bool has_none(bool *none, struct folder *folder, const char *directory,
                     struct gpt2_error *err) {
    const int len = (int)strlen(directory);
    bool any = false;
    *none = false;
    for (size_t i = 0; i < N_SETS && !any; i++) {
        if (!find(folder, sets[i].file, directory, len, sets[i].name, err) ||
            (sets[i].merges && !find(folder, VOCAB_MERGES, directory, len, sets[i].merges, err)))
            return false;
        any = *folder->names[sets[i].file] || (sets[i].merges && *folder->names[VOCAB_MERGES]);
    }
    *none = !any;
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
        if (stand_in_refuse(file->data, file->size, name, GPT2_ERR_MODEL, err))
            return NULL;
        sources[i] = (struct vocab_source){name, (const char *)file->data, file->size};
    }
    return vocab_parse(sources, err);
}

/* Where tokenizer.json cannot be used and a pair of files is there: how to take that. */
static void hint_pair(const struct folder *folder, const char *directory, struct gpt2_error *err) {
    struct folder *pair = *folder->names[VOCAB_TOKENIZER] && !*err->hint
                              ? os_alloc(1, sizeof *pair, "file names", NULL)
                              : NULL;
    for (size_t i = 1; pair && i < N_SETS && !*err->hint; i++) {
        bool complete;
        find_set(&complete, pair, directory, (int)strlen(directory), &sets[i], NULL);
        if (complete)
            error_hint(err, "-m %s uses it with %s, and does nothing that tokenizer.json says",
                       pair->names[VOCAB_TOKENS], sets[i].merges);
    }
    os_free(pair);
}

/* ---- in a file of weights ---- */

static struct vocab *read_inner(const struct tokenizer_texts *texts, const char *path,
                                struct gpt2_error *err) {
    static const enum vocab_file files[TOKENIZER_N_TEXTS] = {
        [TOKENIZER_VOCAB] = VOCAB_TOKENS,
        [TOKENIZER_MERGES] = VOCAB_MERGES,
        [TOKENIZER_ADDED] = VOCAB_ADDED,
        [TOKENIZER_CONFIG] = VOCAB_CONFIG,
    };
    struct vocab_source sources[VOCAB_N_FILES] = {{0}};
    char names[TOKENIZER_N_TEXTS][sizeof err->message];
    for (int i = 0; i < TOKENIZER_N_TEXTS; i++) {
        if (!texts->items[i].text)
            continue;
        snprintf(names[i], sizeof names[i], "%s: %s", path, texts->items[i].what);
        sources[files[i]] =
            (struct vocab_source){names[i], texts->items[i].text, texts->items[i].len};
    }
    return vocab_parse(sources, err);
}

/* The tokenizer that belongs to a file of weights. False: there is none, and *err is set if that is
 * for another reason than that the format has none. */
static bool find_inner(struct tokenizer_texts *texts, const struct container *container,
                       const struct os_file *file, const char *path, struct gpt2_error *err) {
    return container->tokenizer && container->tokenizer(texts, file->data, file->size, path, err) &&
           texts->items[TOKENIZER_VOCAB].text;
}

/* The same of the weights in a directory. */
static bool find_in_directory(struct tokenizer_texts *texts, char **path, const char *directory,
                              struct gpt2_error *err) {
    const struct container *container;
    struct os_file file;
    if (!containers_in_directory(&container, path, directory, err) || !container->tokenizer ||
        !os_map(&file, *path, GPT2_ERR_MODEL, err))
        return false;
    const bool found = find_inner(texts, container, &file, *path, err);
    os_unmap(&file);
    return found;
}

/* ---- all of it ---- */

/* No tokenizer: names one of another kind, if that is what there is. weights: the file that was
 * given, NULL: the directory was. */
static void refuse_nothing(const char *directory, const char *weights, struct gpt2_error *err) {
    static const char *const others[][2] = {
        {"spiece.model", "a SentencePiece tokenizer"},
        {"tokenizer.model", "a SentencePiece tokenizer"},
        {"sentencepiece.bpe.model", "a SentencePiece tokenizer"},
        {"vocab.txt", "a WordPiece tokenizer"},
    };
    static const char hint[] = "without a tokenizer, give and take token ids: --ids, --format ids";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char *path = path_join(directory, others[i][0], err);
        bool found = false;
        const bool ok = path && look_exists(&found, path, GPT2_ERR_MODEL, err);
        if (found)
            error_set(err, GPT2_ERR_MODEL, "%s: expected a byte-level BPE tokenizer, found %s",
                      path, others[i][1]);
        free(path);
        if (found)
            error_hint(err, "%s", hint);
        if (found || !ok)
            return;
    }
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected a tokenizer%s (vocab.json and merges.txt, encoder.json and "
              "vocab.bpe, or tokenizer.json), found none of them complete",
              weights ? weights : directory, weights ? " in it or beside it" : "");
    error_hint(err, "%s", hint);
}

/* What a file has inside goes before what lies beside it; of a directory it is the other way
 * round. */
static struct vocab *search(struct folder *folder, const char *path, const struct given *given,
                            const char *directory, bool *none, struct gpt2_error *err) {
    struct gpt2_error failure = {0};
    struct tokenizer_texts texts = {0};
    struct vocab *vocab = NULL;
    char *weights = NULL;
    const struct set *named = given->kind == GIVEN_PART ? set_of(path_name(path)) : NULL;
    if (given->kind == GIVEN_WEIGHTS &&
        find_inner(&texts, given->format, &given->file, path, &failure)) {
        vocab = read_inner(&texts, path, &failure);
    } else if (!failure.status && locate(folder, directory, named, &failure)) {
        vocab = read(folder, &failure);
        if (!vocab)
            hint_pair(folder, directory, &failure);
    } else if (!failure.status && given->kind != GIVEN_WEIGHTS && !named &&
               find_in_directory(&texts, &weights, directory, &failure)) {
        vocab = read_inner(&texts, weights, &failure);
    } else if (!failure.status) {
        if (has_none(none, folder, directory, &failure))
            refuse_nothing(directory, given->kind == GIVEN_WEIGHTS ? path : NULL, &failure);
    }
    tokenizer_texts_free(&texts);
    free(weights);
    if (!vocab && err)
        *err = failure;
    return vocab;
}

struct vocab *vocab_files_read(const char *path, const struct given *given, bool *none,
                               struct gpt2_error *err) {
    *none = false;
    struct folder *folder = os_alloc(1, sizeof *folder, "file names", err);
    char *directory = folder ? containers_directory(given, path, err) : NULL;
    struct vocab *vocab = NULL;
    if (directory && strlen(directory) >= MAX_PATH - 64)
        error_set(err, GPT2_ERR_MODEL, "%.80s...: expected a path of less than %d bytes", directory,
                  MAX_PATH - 64);
    else if (directory)
        vocab = search(folder, path, given, directory, none, err);
    free(directory);
    for (int i = 0; folder && i < VOCAB_N_FILES; i++)
        os_unmap(&folder->files[i]);
    os_free(folder);
    return vocab;
}
