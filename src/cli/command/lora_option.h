/* lora_option.h - --lora: adapters that are merged into the model of a command. */
#ifndef CLI_COMMAND_LORA_OPTION_H
#define CLI_COMMAND_LORA_OPTION_H

#include "cli/command/options.h"

#include <gpt2/model.h>
#include <gpt2/runtime.h>

/* An entry of an option table; `dest` is a struct string_list *. */
#define OPT_LORA(dest)                                              \
    OPT_STRINGS("lora", 0, dest, "DIR[:SCALE]",                     \
                "a LoRA adapter (PEFT's folder), merged into the\n" \
                "model, SCALE times (default 1); may be repeated",  \
                .aliases = "lora-scaled")

/* Merges each adapter, in order (gpt2_model_adapt); NULL: none. Each item is a path that exists, or
 * a path, ':' and a number. NULL runtime: in one of its own, with all processors. Fails as
 * gpt2_model_adapt does, and with GPT2_ERR_USAGE where a SCALE is no finite number. */
bool lora_merge(struct gpt2_model *model, const struct string_list *adapters,
                struct gpt2_runtime *runtime, struct gpt2_error *err);

/* gpt2_model_open and lora_merge. NULL: err is set. */
struct gpt2_model *lora_open(const char *path, const struct string_list *adapters,
                             struct gpt2_runtime *runtime, struct gpt2_error *err);

#endif
