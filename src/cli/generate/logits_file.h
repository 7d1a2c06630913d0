/* logits_file.h - `generate --logits FILE.npy`: the rows that a text's tokens were chosen from. */
#ifndef CLI_GENERATE_LOGITS_FILE_H
#define CLI_GENERATE_LOGITS_FILE_H

#include "base/outfile.h"

/* Start from {0}: nothing is written, and each function does nothing. */
struct logits_file {
    struct outfile file;
    size_t n_vocab, n_rows;
    bool failed; /* err says why; no file is left */
    struct gpt2_error err;
};

/* Begins the file `path`; NULL: none. GPT2_ERR_USAGE for "-". */
bool logits_file_open(struct logits_file *logits, const char *path, int n_vocab,
                      struct gpt2_error *err);

/* Appends a row [n_vocab]. False after a failure, which logits_file_end tells. */
bool logits_file_row(struct logits_file *logits, const float *row);

/* Keeps the first n_ids rows, those of the text's tokens (a row from which an end was chosen is no
 * token's), writes the header and puts the file in its place. */
bool logits_file_end(struct logits_file *logits, int n_ids, struct gpt2_error *err);

void logits_file_discard(struct logits_file *logits);

#endif
