/* separator.h - what stands between a prompt and a choice, in generate and in choose. */
#ifndef CLI_IO_SEPARATOR_H
#define CLI_IO_SEPARATOR_H

#include <stdbool.h>

/* As C's isspace in the C locale. */
bool is_white_space(char c);

/* `given` if it is not NULL. Else a space, unless the prompt is empty or ends in white space
 * (`is_open`), or the choice begins with some. Borrowed from `given`, or static. */
const char *choice_separator(const char *given, bool is_open, const char *choice);

#endif
