/* api_keys.h - the keys that clients have to send. */
#ifndef CLI_SERVE_API_KEYS_H
#define CLI_SERVE_API_KEYS_H

#include "base/buffer.h"
#include <gpt2/error.h>
#include <stdbool.h>

/* Starts from {0}: no key is asked for. */
struct api_keys {
    struct buffer text; /* the file's; each key ends in NUL */
    int n;
};

/* Reads a file ("-" is standard input) with a key on each line; white space around it is no part of
 * it, and lines that begin with # are comments. Fails with GPT2_ERR_INPUT where there is no such
 * file, or no key in it, and as text_read does (prompt_source.h). */
bool api_keys_read(struct api_keys *keys, const char *path, struct gpt2_error *err);
void api_keys_free(struct api_keys *keys);

/* Whether an Authorization header, "Bearer KEY", or NULL where there is none, is one of a client
 * that has a key. Takes as long for any wrong key of the same length. Without keys: always. */
bool api_keys_accept(const struct api_keys *keys, const char *authorization);

#endif
