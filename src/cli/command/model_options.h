/* model_options.h - --lora, --expand, --max-memory: what a command makes of the model's weights,
 * and how much of memory they may take. Every command that opens a model opens it here. */
#ifndef CLI_COMMAND_MODEL_OPTIONS_H
#define CLI_COMMAND_MODEL_OPTIONS_H

#include "cli/command/memory_limit.h"
#include "cli/command/options.h"

#include <gpt2/model.h>
#include <gpt2/runtime.h>

struct model_options {
    struct string_list lora;
    bool expand;
    size_t max_memory; /* 0: no limit */
};

/* An entry of an option table; `dest` is a struct string_list *. */
#define OPT_LORA(dest)                                              \
    OPT_STRINGS("lora", 0, dest, "DIR[:SCALE]",                     \
                "a LoRA adapter (PEFT's folder), merged into the\n" \
                "model, SCALE times (default 1); may be repeated",  \
                .aliases = "lora-scaled")

/* The same; `dest` is a bool *. */
#define OPT_EXPAND(dest)                                              \
    OPT_FLAG("expand", 0, dest,                                       \
             "what a GGUF file has quantized becomes F32 (default:\n" \
             "products of its integers, faster and in less memory)")

/* The same of a command that writes the model. */
#define OPT_EXPAND_KEPT(dest)                                               \
    OPT_FLAG("expand", 0, dest,                                             \
             "what a GGUF file has quantized becomes F32 first (default:\n" \
             "its integers are kept)")

/* Of a command that runs the model. */
#define OPT_MODEL_OPTIONS(dest) OPT_NUMBERS_OPTIONS(dest), OPT_EXPAND(&(dest)->expand)

/* Of a command that is about the numbers of the weights. */
#define OPT_NUMBERS_OPTIONS(dest) OPT_LORA(&(dest)->lora), OPT_MAX_MEMORY(&(dest)->max_memory)

/* Merges each adapter, in order (gpt2_model_adapt); NULL: none. Each item is a path that exists, or
 * a path, ':' and a number. NULL runtime: in one of its own, with all processors. Fails as
 * gpt2_model_adapt does, and with GPT2_ERR_USAGE where a SCALE is no finite number. */
bool model_options_merge(struct gpt2_model *model, const struct string_list *adapters,
                         struct gpt2_runtime *runtime, struct gpt2_error *err);

/* Whether some weights of the model are integers of a GGUF file and products take them so. */
bool model_options_keeps(const struct gpt2_model *model);

/* gpt2_model_open_expanded. NULL: err is set, with GPT2_ERR_USAGE where the file has nothing to be
 * expanded. */
struct gpt2_model *model_options_expand(const char *path, struct gpt2_error *err);

/* Opens the model of a command that runs or keeps it as it is and merges the adapters. NULL: err is
 * set. The command then adds up what the run takes, and asks memory_check. */
struct gpt2_model *model_options_open(const char *path, const struct model_options *options,
                                      struct gpt2_runtime *runtime, struct gpt2_error *err);

/* The same for a command that is about the numbers of the weights, not about products: what a file
 * has quantized is F32, whatever the file. */
struct gpt2_model *model_options_open_numbers(const char *path, const struct model_options *options,
                                              struct gpt2_runtime *runtime, struct gpt2_error *err);

/* Of a command that takes little beside the weights: whether these and `other` bytes are no more
 * than max_memory; GPT2_ERR_MEMORY. */
bool model_options_fit(const struct gpt2_model *model, const struct model_options *options,
                       uint64_t other, struct gpt2_error *err);

#endif
