/* containers.h - which formats of weights there are, and which of them a path means.
 *
 * A new format is one new file, which defines a `struct container`, and one entry of
 * containers.def. Everything here can be called from any thread. */
#ifndef WEIGHTS_CONTAINERS_H
#define WEIGHTS_CONTAINERS_H

#include "weights/tensors.h"
#include "weights/tokenizer_texts.h"

/* Where the configuration is. INSIDE: the container has all of it, and a config.json beside it is
 * not looked at. EITHER: a config.json beside it counts; where there is none, what is inside. */
enum container_config { CONFIG_BESIDE, CONFIG_INSIDE, CONFIG_EITHER };

/* One format. Pointers to functions may be NULL: the format does not have that. */
struct container {
    const char *what;         /* "a GGUF file": what is found                             */
    const char *name;         /* in lists of the formats that are read, "GGUF"; NULL: not in them */
    const char *const *names; /* of its files, NULL-ended: "model.safetensors", "*.gguf";
                                 NULL: it is known by its first bytes alone                    */
    /* Of a variant of its files, NULL-ended: "model.*.safetensors". In a directory such a file
     * counts where no other weights are that are read. NULL: none. */
    const char *const *variants;
    enum container_config config;
    bool whole; /* one file is all of a model: nothing beside it is looked at, and it is never the
                   weights of a directory                                                     */
    bool lists; /* the file only lists others, and the table does not point into it           */

    /* True if a file that begins with head[0..n) is of this format, whatever its name; at least
     * CONTAINER_HEAD bytes where the file has them. NULL: names alone tell. */
    bool (*recognise)(const unsigned char *head, size_t n);

    /* Fills the table (tensors.h) from the bytes of the file at `path`, and of others beside it
     * where the format has several. On failure GPT2_ERR_MODEL names the file, what was expected and
     * what was found, and *out is zeroed. NULL: the format is known but not read; `hint` says what
     * to do. */
    tensors_parse *parse;

    /* Fills *out, which is zeroed, with the tokenizer that the file at `path`, of these bytes, has
     * inside or that belongs to it in this format; leaves it as it is where there is none. False:
     * err is set. */
    bool (*tokenizer)(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                      const char *path, struct gpt2_error *err);

    /* Sets *tables [*n_tables], in the file's bytes, to the tokenizer that it has inside as
     * gpt2_tokenizer_pack made it; to NULL where there is none. Of files that have this there is no
     * `tokenizer`. False: err is set. */
    bool (*tables)(const unsigned char **tables, size_t *n_tables, const unsigned char *bytes,
                   size_t n_bytes, const char *path, struct gpt2_error *err);

    const char *hint; /* what to do with a format that is not read */

    /* Sets err to what is at `path`, of a format that is not read, and what to do, where that takes
     * a look at the files. Returns false. NULL: `what` and `hint` say it. */
    bool (*refuse)(const char *path, struct gpt2_error *err);
};

#define CONTAINER_HEAD 256

#define CONTAINER_MAX_NAMES 16 /* of a list */

/* The list of names in an entry. */
#define CONTAINER_NAMES(...) \
    (const char *const[]) {  \
        __VA_ARGS__, NULL    \
    }

#define CONTAINER(name) extern const struct container container_##name;
#include "weights/containers.def"

/* The i-th entry of the table, NULL past its end. */
const struct container *containers_at(size_t i);

/* What a path means. A file that is named is that file: only those that a model's directory is made
 * of beside its weights stand for the directory. */
enum given_kind {
    GIVEN_DIRECTORY,
    GIVEN_PART,   /* config.json, vocab.json ...: the directory that it is in */
    GIVEN_WEIGHTS /* a file of weights                                        */
};

struct given {
    enum given_kind kind;
    const struct container *format; /* of GIVEN_WEIGHTS; else NULL                           */
    struct os_file file;            /* of GIVEN_WEIGHTS, its mapping: it is opened only once */
    bool refused;                   /* it failed, and what is there is not known             */
};

/* Says what is at `path`. What a file begins with counts before its name. Fails with
 * GPT2_ERR_MODEL where there is nothing, where it cannot be looked at or read (`refused`) and where
 * it is none of the above; then there is nothing to close. */
bool containers_identify(struct given *out, const char *path, struct gpt2_error *err);

/* The directory that was given, or that the file is in, to be freed. NULL where memory is out. */
char *containers_directory(const struct given *given, const char *path, struct gpt2_error *err);

/* Unmaps the file, unless it was handed on; a zeroed struct is allowed. */
void containers_close(struct given *given);

/* Fills the table from a mapped file of a format that is read (`parse` is not NULL). The mapping
 * then belongs to the table and *file is zeroed, unless the format `lists`; then and after a
 * failure it stays the caller's. */
bool containers_open(struct tensors *out, const struct container *format, struct os_file *file,
                     const char *path, struct gpt2_error *err);

/* The weights in a directory by their names: the first file of the table's order, *file (to be
 * freed) its path. Formats that are read go before their variants, and these before formats that
 * are not. False with *found = NULL and no error: there are none. Fails with GPT2_ERR_MODEL where
 * there are several of a name like *.gguf: which? And where the directory cannot be read. */
bool containers_in_directory(const struct container **found, char **file, const char *dir,
                             struct gpt2_error *err);

/* Where containers_in_directory found none: the first file by name, *file (to be freed) its path,
 * that is of a format by its first bytes or by a name that counts only where the file is named. For
 * messages. NULL, and *file too: there is none, or memory is out. */
const struct container *containers_guess(char **file, const char *dir);

/* Refuses the file at `path`, which is of a format that is not read. Returns false. */
bool containers_refuse(const struct container *format, const char *path, struct gpt2_error *err);

#define CONTAINERS_LIST 200 /* bytes */

/* "packed, safetensors ... and llm.c": the formats that are read, in the table's order, for
 * messages. Returns `list`. */
const char *containers_list(char list[CONTAINERS_LIST]);

#endif
