/* fatal.h - signals that end the program: temporary files are removed, and the cause is reported
 * where it is known. */
#ifndef CLI_IO_FATAL_H
#define CLI_IO_FATAL_H

#include <gpt2/error.h>
#include <stdbool.h>

/* For main, before anything else is done. Signals that end a program from outside (SIGINT, SIGTERM,
 * SIGHUP, SIGPIPE, SIGQUIT, SIGXCPU ...) remove temporary files (base/outfile.h) before they end
 * this one, unless they are ignored. SIGBUS where a mapped file cannot be read ends it with
 * GPT2_ERR_MODEL and an error that names the file. SIGXFSZ is ignored, so that a write beyond the
 * limit fails as on a full disk. */
void fatal_catch(void);

/* Ends the program by a signal, after the same. For its handler. */
void fatal_end(int number);

/* True where this thread's stack may be large enough: the limit is raised where that is allowed.
 * False: err is set. */
bool fatal_stack(struct gpt2_error *err);

#endif
