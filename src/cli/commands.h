/* commands.h - the commands; main.c lists them in its table. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

extern const struct command command_generate;
extern const struct command command_tokenize;
extern const struct command command_detokenize;
extern const struct command command_info;
extern const struct command command_inspect;
extern const struct command command_bench;
extern const struct command command_quantize;

#endif
