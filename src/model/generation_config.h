/* generation_config.h - what a model's files recommend for drawing text: the keys of Hugging Face's
 * generation_config.json. */
#ifndef MODEL_GENERATION_CONFIG_H
#define MODEL_GENERATION_CONFIG_H

#include "base/buffer.h"
#include "base/json.h"
#include "model/warnings.h"
#include <gpt2/error.h>
#include <gpt2/model.h>
#include <stdbool.h>

/* One key. A value is an int or a float of struct gpt2_generation_config. */
struct generation_config_key {
    const char *name; /* in generation_config.json                               */
    size_t offset;    /* in struct gpt2_generation_config                        */
    bool is_float;
    double min, max; /* what is outside is not used                              */
};

/* The i-th key, NULL past the last one. */
const struct generation_config_key *generation_config_key(size_t i);

/* Says nothing: every number is NAN or GPT2_UNSAID. */
struct gpt2_generation_config generation_config_unsaid(void);

/* False where the key's number is unsaid. */
bool generation_config_get(const struct generation_config_key *key,
                           const struct gpt2_generation_config *config, double *value);

/* Replaces all of `config` by what `object` says. null is unsaid; a value that is of another type
 * or out of range is unsaid, too, with a note that names `path`. False: GPT2_ERR_MEMORY. */
bool generation_config_read(struct gpt2_generation_config *config, const struct json *object,
                            const char *path, struct warnings *notes, struct gpt2_error *err);

/* Appends the JSON object that generation_config_read makes the same struct from, or nothing where
 * nothing is said: false. */
bool generation_config_print(struct buffer *out, const struct gpt2_generation_config *config);

#endif
