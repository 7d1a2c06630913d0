/* interactive_commands.h - the lines of a session that begin with a slash, such as "/undo". */
#ifndef CLI_GENERATE_INTERACTIVE_COMMANDS_H
#define CLI_GENERATE_INTERACTIVE_COMMANDS_H

#include "cli/generate/interactive_session.h"

/* Does what the line says, which begins with a slash and is changed. Errors are reported. */
void interactive_command(struct interactive *session, char *line);

#endif
