/* find_model.h - from what was given for -m to the path of a model, and the folders it is looked
 * for in. */
#ifndef CLI_IO_FIND_MODEL_H
#define CLI_IO_FIND_MODEL_H

#include <gpt2/error.h>
#include <stdbool.h>

/* Turns what the user gave for -m (NULL: nothing) into a path. In this order: a path that exists,
 * and then nothing else is tried, whether it can be opened or not;
 * a name of a model (what is none does not count if another place has one) in ./models, in the
 * folders of $GPT2_MODELS (separated by ':'), in models/ beside the program's folder, in the user's
 * and the installation's data directory; a name in the cache of Hugging Face's programs (gpt2/hub.h
 * says what names are). With NULL: $GPT2_MODEL, where that is set and not empty, else the shipped
 * model "tales". The result is owned by the caller: free(). NULL: GPT2_ERR_MODEL,
 * or GPT2_ERR_MEMORY and GPT2_ERR_RUNTIME where the system could not look. What is there and may
 * not be read is what was meant, and opening it fails; a folder that may not be entered is passed
 * over, and named where the model is in no other. */
char *find_model(const char *name, struct gpt2_error *err);

/* What find_model looks for: `given`, or where that is NULL what $GPT2_MODEL or we have. Borrowed;
 * never NULL. */
const char *model_or_default(const char *given);

/* The path without links and dots, to be freed; NULL, with errno, where there is no such file. */
char *canonical_path(const char *path);

/* Calls visit for each folder that find_model looks for names in, in its order, whether it exists
 * or not. False where `visit` ended it, or memory is out: then err is set. */
bool list_model_folders(bool (*visit)(void *user, const char *folder), void *user,
                        struct gpt2_error *err);

#endif
