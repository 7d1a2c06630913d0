/* cmd_completions.c - `gpt2 completions`: prints the completion script of a shell. */
#include "base/error_internal.h"
#include "cli/command/commands.h"
#include "cli/command/shell_completion.h"
#include "cli/io/output.h"
#include "cli/io/report.h"

static int run_completions(int argc, char **argv) {
    const struct option table[] = {OPT_END};
    static struct output out; // it has a buffer, too large for a small stack
    struct gpt2_error err;
    struct buffer script = {0};
    int n_words, code;
    if (!command_begin(&command_completions, table, argc, argv, 1, &n_words, &code))
        return code;
    if (n_words == 0 || !shell_completion_write(&script, argv[0], &code)) {
        usage_error(&err, "expected bash, zsh or fish, got %s", n_words ? argv[0] : "nothing");
        return report(&err);
    }
    const bool ok = code || (script.failed ? error_memory(&err, "a completion script", script.len)
                                           : output_bytes(&out, script.data, script.len, &err) &&
                                                 output_flush(&out, &err));
    if (!ok)
        code = output_failed(&out, &err);
    buffer_free(&script);
    return code;
}

const struct command command_completions = {
    .name = "completions",
    .summary = "print the completion script of a shell",
    .usage = "bash|zsh|fish",
    .details = "Installed packages have them in place. Without: source <(gpt2 completions bash)\n",
    .examples = EXAMPLES({"source <(gpt2 completions bash)", "bash, in this shell"},
                         {"gpt2 completions zsh >_gpt2", "zsh: in a folder of $fpath"},
                         {"gpt2 completions fish | source", "fish, in this shell"}),
    .run = run_completions,
};
