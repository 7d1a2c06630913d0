/* store.h - removing a directory of pulled files. */
#ifndef HUB_STORE_H
#define HUB_STORE_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

/* Removes a directory that holds files and nothing else; it leaves its name first, in one step, so
 * that nobody finds half of a model. Adds what it held to *n_bytes. Fails with GPT2_ERR_RUNTIME. */
bool store_remove(const char *path, uint64_t *n_bytes, struct gpt2_error *err);

#endif
