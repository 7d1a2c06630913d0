/* interactive_commands.h - the lines of a session that begin with a slash, such as "/undo". */
#ifndef CLI_GENERATE_INTERACTIVE_COMMANDS_H
#define CLI_GENERATE_INTERACTIVE_COMMANDS_H

#include "cli/generate/interactive_session.h"

/* Does what the line says, which begins with a slash and is changed. Errors are reported. */
void interactive_command(struct interactive *session, char *line);

/* What Tab offers (line_editor.h): the commands, after /set and /unset options and the values of a
 * choice, and files where a command takes one. */
size_t interactive_complete(const char *line, size_t n, line_offer offer, void *to);

#endif
