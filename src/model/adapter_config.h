/* adapter_config.h - reads adapter_config.json of a LoRA adapter (PEFT, tuners/lora/config.py). */
#ifndef MODEL_ADAPTER_CONFIG_H
#define MODEL_ADAPTER_CONFIG_H

#include "base/json.h"
#include "model/warnings.h"
#include <stdbool.h>

#define ADAPTER_MAX_RANK 65536

struct adapter_config {
    const char *path;  /* of the file, for messages; borrowed */
    struct json *root; /* owned                               */
    const char *base;  /* base_model_name_or_path, "" where it is not said; of root */
};

/* Parses text[0..len). Fails with GPT2_ERR_MODEL where it is not a LoRA adapter's, where a value is
 * of another type, and where a setting asks for other arithmetic than B A: it is named. Settings
 * that are not known go to `notes`. */
bool adapter_config_parse(struct adapter_config *config, struct warnings *notes, const char *text,
                          size_t len, const char *path, struct gpt2_error *err);

void adapter_config_free(struct adapter_config *config); /* a zeroed struct is allowed */

/* What c of gpt2/lora.h is for the pair of a module, "transformer.h.0.attn.c_attn", whose
 * matrices have `rank` rows and columns. Fails with GPT2_ERR_MODEL where the file says another
 * rank, or has a pattern that cannot be read. */
bool adapter_config_scale(double *scale, const struct adapter_config *config, const char *module,
                          int rank, struct gpt2_error *err);

/* True where the file lists the module as one that every such layer has a pair for. `module` is
 * GPT-2's own name for it, "h.0.attn.c_attn". */
bool adapter_config_expects(const struct adapter_config *config, const char *module);

#endif
