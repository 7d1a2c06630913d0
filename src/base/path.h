/* path.h - taking file names apart and putting them together. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <gpt2/error.h>
#include <stdbool.h>

/* The part after the last slash, in `path` itself; "" where it ends in one. */
const char *path_name(const char *path);

/* True if a path, or any text, ends in `end` (".gguf"); NULL does not. */
bool path_ends_in(const char *path, const char *end);

/* DIR/NAME, to be freed; NULL where memory is out. */
char *path_join(const char *dir, const char *name, struct gpt2_error *err);

/* The directory that a file's path says it is in, to be freed: "." where the path is a name alone.
 * No slash at its end. Nothing is looked up. NULL where memory is out. */
char *path_directory(const char *path, struct gpt2_error *err);

/* The path of a directory without slashes at its end ("/" keeps its own), to be freed. NULL where
 * memory is out. */
char *path_without_slash(const char *path, struct gpt2_error *err);

/* True if all of `name` is as the pattern says, in which * stands for any characters and [0-9] for
 * a digit, as a shell has it. */
bool path_matches(const char *name, const char *pattern);

#endif
