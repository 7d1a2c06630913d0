/* vocab_files.h - finding and reading a tokenizer's files in a directory. */
#ifndef TEXT_VOCAB_FILES_H
#define TEXT_VOCAB_FILES_H

#include "text/vocab.h"
#include "weights/containers.h"

/* The vocabulary of the file of weights `path`, if it has one inside; else of the directory `path`,
 * or of the one that holds the file; `given` says which of these it is. A tokenizer's file that is
 * named is one of those that are read. *none is set where there is no part of a tokenizer at all,
 * which is an error too. */
struct vocab *vocab_files_read(const char *path, const struct given *given, bool *none,
                               struct gpt2_error *err);

#endif
