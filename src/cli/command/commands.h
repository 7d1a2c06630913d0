/* commands.h - the commands; main.c lists them in its table. */
#ifndef CLI_COMMAND_COMMANDS_H
#define CLI_COMMAND_COMMANDS_H

#include "cli/command/options.h"

extern const struct command command_generate;
extern const struct command command_tokenize;
extern const struct command command_detokenize;
extern const struct command command_info;
extern const struct command command_inspect;
extern const struct command command_bench;
extern const struct command command_quantize;
extern const struct command command_score;
extern const struct command command_choose;
extern const struct command command_eval;
extern const struct command command_compare;
extern const struct command command_convert;
extern const struct command command_verify;
extern const struct command command_pull;
extern const struct command command_models;
extern const struct command command_rm;
extern const struct command command_completions;

/* The i-th of all of them, NULL past the last one. */
const struct command *command_at(size_t i);

#endif
