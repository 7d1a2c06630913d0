/* config.h - reads config.json and generation_config.json into a struct gpt2_config
 * (keys and defaults: transformers, configuration_gpt2.py). */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "model/warnings.h"
#include <gpt2/error.h>
#include <gpt2/model.h>
#include <stdbool.h>
#include <stddef.h>

#define CONFIG_MAX_VOCAB (1 << 24)

/* What the files say about an lm_head that differs from wte. */
enum config_tie {
    CONFIG_TIE_UNSAID, /* no "tie_word_embeddings": Hugging Face's default is true */
    CONFIG_TIE_TRUE,
    CONFIG_TIE_FALSE
};

/* Fills `config` from the bytes of a config.json: Hugging Face's names, aliases and defaults. Every
 * field is in range afterwards: n_head divides n_embd, no product of two dimensions overflows an
 * int64_t, config->activation is a kernel's name (static). `path` names the file in messages. Fails
 * with GPT2_ERR_MODEL where a value is of another type, out of range, unknown, or asks for
 * something that is not computed here (cross attention, quantised weights, another model type). */
bool config_parse(struct gpt2_config *config, enum config_tie *tie, struct warnings *notes,
                  const char *text, size_t len, const char *path, struct gpt2_error *err);

/* Lets the bytes of a generation_config.json override the eos and bos ids in `config`, and say what
 * is recommended for drawing text (generation_config.h). */
bool config_parse_generation(struct gpt2_config *config, struct warnings *notes, const char *text,
                             size_t len, const char *path, struct gpt2_error *err);

/* The same from files. `generation_path` need not exist. */
bool config_open(struct gpt2_config *config, enum config_tie *tie, struct warnings *notes,
                 const char *path, const char *generation_path, struct gpt2_error *err);

/* The text of a config.json from which config_parse makes the same struct again, NUL-ended, to be
 * freed; NULL where memory is out. */
char *config_print(const struct gpt2_config *config, bool tied, struct gpt2_error *err);

#endif
