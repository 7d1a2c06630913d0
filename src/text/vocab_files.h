/* vocab_files.h - finding and reading a tokenizer's files in a directory. */
#ifndef TEXT_VOCAB_FILES_H
#define TEXT_VOCAB_FILES_H

#include "text/vocab.h"

/* The vocabulary of the file of weights `path`, if it has one inside; else of the directory `path`,
 * or of the one that holds the file. */
struct vocab *vocab_files_read(const char *path, struct gpt2_error *err);

#endif
