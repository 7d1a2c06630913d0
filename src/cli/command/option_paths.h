/* option_paths.h - that no option of a command writes what another one reads or writes, or what
 * cannot be written. */
#ifndef CLI_COMMAND_OPTION_PATHS_H
#define CLI_COMMAND_OPTION_PATHS_H

#include "cli/command/options.h"

/* Looks at the values of a table that was read whole. Fails with GPT2_ERR_USAGE
 *
 *   where an OPTION_RESULT or OPTION_WRITES names the file of another one or of an OPTION_READS;
 *   where the result goes to standard output, and that is the file of an OPTION_READS;
 *   where an OPTION_FILE_ONLY is "-" or empty.
 *
 * Fails with GPT2_ERR_RUNTIME where an OPTION_WRITES that is OPTION_FILE_ONLY cannot be written: it
 * would be found after the work. It makes the temporary file for that (base/outfile.h), and removes
 * it. A file that is there may not have to be written, and is not tried.
 *
 * Files are the same that are one on the disk (links), or will be: the same name of nothing yet.
 * "-" of an OPTION_READS is standard input. Devices and pipes may be named twice, and two
 * OPTION_UPDATES may be one file: a saved session is written where it was read. */
bool option_paths_check(const struct option *table, struct gpt2_error *err);

#endif
