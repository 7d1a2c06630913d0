/* sandbox.c - gives up what a command does not need, unless --no-sandbox. */
#include "cli/command/sandbox.h"

#include <string.h>

void sandbox_begin(struct sandbox *sandbox, const char *const *outputs, size_t n) {
    for (size_t i = 0; i < n; i++)
        sandbox->writes |= outputs[i] && strcmp(outputs[i], "-") != 0;
    if (!sandbox->off)
        confine_files(outputs, n);
}

void sandbox_begin_session(struct sandbox *sandbox) {
    sandbox->writes = true;
    if (!sandbox->off)
        confine_programs();
}

void sandbox_enter(const struct sandbox *sandbox, unsigned keeps) {
    if (!sandbox->off)
        confine_calls(keeps | (sandbox->writes ? CONFINE_WRITES : 0));
}

void sandbox_print(struct buffer *out, const struct sandbox *sandbox) {
    buffer_format(out, "sandbox %s\n", sandbox->off ? "off" : confine_state());
}
