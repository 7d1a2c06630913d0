/* containers.h - which formats of weights there are, and which of them a path means.
 *
 * A new format is one new file with a reader and one row of the table in containers.c. */
#ifndef WEIGHTS_CONTAINERS_H
#define WEIGHTS_CONTAINERS_H

#include "weights/tensors.h"

/* The texts of a tokenizer that a container has inside, as the files of a directory would hold
 * them. */
enum tokenizer_text {
    TOKENIZER_VOCAB,  /* vocab.json: {token in the byte alphabet: id}                      */
    TOKENIZER_MERGES, /* merges.txt: "left right" on each line, in the byte alphabet       */
    TOKENIZER_ADDED,  /* added_tokens.json: {special token, as it stands: id}; may lack    */
    TOKENIZER_CONFIG, /* tokenizer_config.json; may lack                                   */
    TOKENIZER_N_TEXTS
};

struct tokenizer_texts {
    struct {
        char *text; /* [len] to be freed; NULL: there is none         */
        size_t len;
        const char *what; /* "tokenizer.ggml.tokens": for messages; static */
    } items[TOKENIZER_N_TEXTS];
};

void tokenizer_texts_free(struct tokenizer_texts *texts); /* a zeroed struct is allowed */

/* Where the configuration is. INSIDE: the container has all of it, and a config.json beside it is
 * not looked at. EITHER: a config.json beside it counts; where there is none, what is inside. */
enum container_config { CONFIG_BESIDE, CONFIG_INSIDE, CONFIG_EITHER };

struct container {
    const char *what;         /* "a GGUF file": what is found                              */
    const char *const *names; /* of its files, NULL-ended: "model.safetensors", "*.gguf"   */
    enum container_config config;

    /* True if a file that begins with head[0..n) is of this format, whatever its name; at least
     * CONTAINER_HEAD bytes where the file has them. NULL: names alone tell. */
    bool (*recognise)(const unsigned char *head, size_t n);

    /* Fills the table (tensors.h) from the file at `path`. On failure GPT2_ERR_MODEL names the
     * file, what was expected and what was found, and *out is zeroed. NULL: the format is known
     * but not read; `hint` says what to do. */
    bool (*open)(struct tensors *out, const char *path, struct gpt2_error *err);

    /* Fills *out, which is zeroed, with the tokenizer that the file at `path` has inside or that
     * belongs to it in this format; leaves it as it is where there is none. NULL: never has one. */
    bool (*tokenizer)(struct tokenizer_texts *out, const char *path, struct gpt2_error *err);

    const char *hint;
};

#define CONTAINER_HEAD 64

/* What a path means. A file that is named is that file: only those that a model's directory is made
 * of beside its weights stand for the directory. */
enum given_kind {
    GIVEN_DIRECTORY,
    GIVEN_PART,    /* config.json, vocab.json ...: the directory that it is in */
    GIVEN_WEIGHTS, /* a file of weights                                        */
    GIVEN_PACKED   /* a packed file (packed.h)                                 */
};

struct given {
    enum given_kind kind;
    const struct container *format; /* of GIVEN_WEIGHTS; else NULL */
};

/* Says what is at `path`. What a file begins with counts before its name. Fails with
 * GPT2_ERR_MODEL where there is nothing, where it cannot be read and where it is none of the above:
 * whoever asks never has to try what else it may be. */
bool containers_identify(struct given *out, const char *path, struct gpt2_error *err);

/* The weights in a directory: the first file of the table's order, *file (to be freed) its path.
 * Formats that are read go before those that are not. False with *found = NULL and no error: there
 * are none. Fails with GPT2_ERR_MODEL where there are several of a name like *.gguf: which? And
 * where the directory cannot be read. */
bool containers_in_directory(const struct container **found, char **file, const char *dir,
                             struct gpt2_error *err);

/* "safetensors, GGUF ...": the formats that are read, for messages. */
const char *containers_list(void);

#endif
