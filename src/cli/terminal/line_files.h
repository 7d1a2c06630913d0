/* line_files.h - names of files, for Tab. */
#ifndef CLI_TERMINAL_LINE_FILES_H
#define CLI_TERMINAL_LINE_FILES_H

#include "cli/terminal/line_editor.h"

/* Offers the files whose path may go on from `typed`: all of its folder, folders with a slash at
 * their end. Names that begin with a dot only where one is typed, and none with control characters.
 */
void line_files_offer(const char *typed, line_offer offer, void *to);

#endif
