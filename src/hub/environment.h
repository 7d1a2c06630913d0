/* environment.h - what the environment says: folders, the hub's address, the token. */
#ifndef HUB_ENVIRONMENT_H
#define HUB_ENVIRONMENT_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A new string in printf's manner, to be freed. NULL: memory is out. */
char *environment_format(struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The variable's value, NULL where it is unset or empty. */
const char *environment_variable(const char *name);

/* Sets *path to the i-th folder in which models--OWNER--NAME are looked for, to be freed; to NULL
 * past the last. False: memory is out. */
bool environment_cache(int i, char **path, struct gpt2_error *err);

/* "https://huggingface.co" or $HF_ENDPOINT without slashes at its end, to be freed. Fails with
 * GPT2_ERR_USAGE where that is no address of http or https. */
char *environment_endpoint(struct gpt2_error *err);

/* The file, open for reading; NULL with errno. A pipe is empty, and not waited for. */
FILE *environment_open(const char *path);

/* *token is NULL where there is none; to be freed. Fails with GPT2_ERR_USAGE where it holds what no
 * token holds, such as a line break, and where the system cannot read the file that it is in, or it
 * may not be read. */
bool environment_token(char **token, struct gpt2_error *err);

#endif
