/* sandbox.h - --no-sandbox: whether a command gives up what it does not need (base/confine.h).
 *
 * A command calls sandbox_begin before the first thread, with the files that it may write, and
 * sandbox_enter when model, tokenizer and input are open. */
#ifndef CLI_COMMAND_SANDBOX_H
#define CLI_COMMAND_SANDBOX_H

#include "base/buffer.h"
#include "base/confine.h"
#include "cli/command/options.h"

struct sandbox {
    bool off;    /* --no-sandbox                                   */
    bool writes; /* of sandbox_begin: one of the outputs is a file */
};

#define OPT_SANDBOX(dest)                                            \
    OPT_FLAG("no-sandbox", 0, &(dest)->off,                          \
             "give up nothing: else, when all is open, no file is\n" \
             "opened, but in the folder of the output, no program\n" \
             "started and no connection made (Linux, OpenBSD)")

/* The paths may be NULL or "-", which is standard output. */
void sandbox_begin(struct sandbox *sandbox, const char *const *outputs, size_t n);

/* For a session, where files to write are named later: anywhere. */
void sandbox_begin_session(struct sandbox *sandbox);

/* `keeps` is of enum confine_keeps; CONFINE_WRITES is added where there is an output. */
void sandbox_enter(const struct sandbox *sandbox, unsigned keeps);

/* A line for --stats. */
void sandbox_print(struct buffer *out, const struct sandbox *sandbox);

#endif
