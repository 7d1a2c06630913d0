/* places.h - what the environment says: folders, the hub's address, the token. */
#ifndef HUB_PLACES_H
#define HUB_PLACES_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

/* A new string in printf's manner, to be freed. NULL: memory is out. */
char *places_format(struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The variable's value, NULL where it is unset or empty. */
const char *places_variable(const char *name);

/* The i-th folder in which models--OWNER--NAME are looked for, to be freed; NULL past the last. */
char *places_cache(int i);

/* "https://huggingface.co" or $HF_ENDPOINT without slashes at its end, to be freed. Fails with
 * GPT2_ERR_USAGE where that is no address of http or https. */
char *places_endpoint(struct gpt2_error *err);

/* *token is NULL where there is none; to be freed. Fails with GPT2_ERR_USAGE where it holds what no
 * token holds, such as a line break in its midst. */
bool places_token(char **token, struct gpt2_error *err);

#endif
