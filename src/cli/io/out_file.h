/* out_file.h - a file for results, which is there whole or not at all: it is written beside its
 * place, and moved there at the end. What is no plain file (a device, a pipe) cannot be replaced
 * and is written to as it is; of a link the file behind it is replaced. */
#ifndef CLI_IO_OUT_FILE_H
#define CLI_IO_OUT_FILE_H

#include "cli/io/output.h"

struct out_file {
    char *path;      /* owned; NULL: none is open        */
    char *temporary; /* owned; NULL: `path` is written to */
};

/* Makes `out` write to the file. GPT2_ERR_RUNTIME where it cannot be created, GPT2_ERR_MEMORY. */
bool out_file_open(struct out_file *file, const char *path, struct output *out,
                   struct gpt2_error *err);

/* Writes what is held, closes the file and puts it in its place. On failure it is dropped. */
bool out_file_keep(struct out_file *file, struct output *out, struct gpt2_error *err);

/* Closes the file and removes it. A zeroed struct, and one that was kept, are allowed. */
void out_file_drop(struct out_file *file, struct output *out);

#endif
