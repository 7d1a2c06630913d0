/* directory.h - which files make up the model at a path. */
#ifndef MODEL_DIRECTORY_H
#define MODEL_DIRECTORY_H

#include "weights/containers.h"
#include <gpt2/error.h>
#include <stdbool.h>

/* All owned but the format. */
struct directory {
    char *path;          /* of the directory                                            */
    char *config;        /* its config.json; NULL where there is none               */
    char *generation;    /* its generation_config.json: may not exist               */
    char *adapter;       /* its adapter_config.json; NULL: none, or a file was named    */
    char *weights;       /* the file with the weights, or the first of them; NULL: none */
    struct os_file file; /* the mapping of that file; {NULL, 0}: none */
    const struct container *format; /* of the weights; NULL: none                */
};

/* `path` is what `given` says: a directory, a part of one, or a file of weights, and then that very
 * file is used: its mapping is taken from `given`. Fails with GPT2_ERR_MODEL where the directory
 * cannot be read, and where it has neither config.json nor weights that are read. */
bool directory_find(struct directory *out, const char *path, struct given *given,
                    struct gpt2_error *err);

/* Fails with GPT2_ERR_MODEL where the weights are not there; weights of a format that is not read
 * are named, with what to do. Apart from directory_find so that config.json can be read first: a
 * model of another type is refused as that. */
bool directory_check_weights(const struct directory *directory, struct gpt2_error *err);

/* Refuses a model without config.json whose weights do not have all of it inside. Apart, so that
 * tensors of another kind of model are named first. Returns false. */
bool directory_refuse_without_config(const struct directory *directory, struct gpt2_error *err);

void directory_free(struct directory *directory); /* a zeroed struct is allowed */

#endif
