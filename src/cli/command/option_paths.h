/* option_paths.h - that no option of a command writes what another one reads or writes. */
#ifndef CLI_COMMAND_OPTION_PATHS_H
#define CLI_COMMAND_OPTION_PATHS_H

#include "cli/command/options.h"

/* Looks at the values of a table that was read whole. Fails with GPT2_ERR_USAGE where an
 * OPTION_RESULT or OPTION_WRITES names the file of another one or of an OPTION_READS, where
 * standard output is the file of an OPTION_READS and the result goes there, and where an
 * OPTION_FILE_ONLY is
 * "-" or empty. Files are the same that have the same name, or are one on the disk (links); devices
 * and pipes may be named twice. A saved session may be written where it was read. */
bool option_paths_check(const struct option *table, struct gpt2_error *err);

#endif
